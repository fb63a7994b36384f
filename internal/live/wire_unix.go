//go:build unix

package live

import (
	"errors"
	"syscall"
)

const canTry = true

// tryWrite writes what the system takes without waiting.
func tryWrite(raw syscall.RawConn, b []byte) (n int, err error) {
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		for {
			n, failed = syscall.Write(int(fd), b)
			if failed != syscall.EINTR {
				return true
			}
		}
	})
	n = max(n, 0)
	if failed == syscall.EAGAIN {
		failed = nil
	}
	return n, errors.Join(err, failed)
}
