//go:build unix

package plinth

import (
	"os"
	"syscall"
)

// share waits until nobody holds f alone.
func share(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_SH) }

// alone fails when somebody else holds f.
func alone(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
