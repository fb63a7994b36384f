//go:build unix

package machine

import "syscall"

// Descriptors is how many files and connections this process may have open at once; 0: that is not known, or not bounded. The runtime has
// raised it as far as it may.
func Descriptors() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return uint64(l.Cur)
}
