package test

import "syscall"

// attributes: the process ends when the tests do, however those end.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
