//go:build unix

package postgres

import (
	"crypto/tls"
	"net"
	"syscall"
)

// quiet says that the server has neither ended the connection nor said anything while it lay in the pool, without
// asking it. What commits must not be sent twice, so it is not sent where it might not arrive.
func (c *conn) quiet() bool { return quiet(c.pg.Conn()) }

func quiet(wire net.Conn) bool {
	if over, ok := wire.(*tls.Conn); ok {
		wire = over.NetConn()
	}
	socket, ok := wire.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	nothing := false
	err = raw.Control(func(fd uintptr) { // not Read: the library may have left a reader behind, which would be waited for
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		nothing = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
	})
	return err == nil && nothing
}
