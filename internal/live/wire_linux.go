package live

import (
	"syscall"
	"time"
)

// unanswered is how long what is sent may stay without an answer of the client's system: then the connection is dead.
const unanswered = 30 * time.Second

const tcpUserTimeout = 18 // TCP_USER_TIMEOUT (RFC 5482)

// settle sets a connection up for a stream.
func settle(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unanswered.Milliseconds()))
	})
}

// hungUp says whether the client's side of a connection is closed. A client sends nothing on a stream.
func hungUp(raw syscall.RawConn) (closed bool) {
	var b [1]byte
	err := raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = n == 0 && err == nil || err == syscall.ECONNRESET
	})
	return closed || err != nil
}
