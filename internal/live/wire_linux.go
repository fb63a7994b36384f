package live

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unanswered is how long what is sent may stay without an answer of the client's system: then the connection is dead.
const unanswered = 30 * time.Second

// settle sets a connection up for a stream: RFC 5482.
func settle(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unanswered.Milliseconds()))
	})
}

// hungUp says whether the client's side of a connection is closed, whatever it has sent before: poll(2).
func hungUp(raw syscall.RawConn) (closed bool) {
	err := raw.Control(func(fd uintptr) {
		at := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(at, 0)
		closed = n == 1 && err == nil
	})
	return closed || err != nil
}
