//go:build !linux

package test

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
