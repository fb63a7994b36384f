//go:build !linux

package mysqltest

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }

func own(string) error { return nil }
