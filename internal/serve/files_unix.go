//go:build unix

package serve

import (
	"math"
	"syscall"
)

// openFiles is how many files the process may have open; 0: that is not known. The runtime has raised it as far as it may.
func openFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return int(min(uint64(l.Cur), math.MaxInt32))
}
