package serve

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/bluell/plinth/internal/web"
)

// counted is a connection that is counted until it is closed, and what web.Guard knows of it. What can be done with the system's connection
// can be done with it.
type counted struct {
	*net.TCPConn
	client netip.Addr // not valid: many
	free   func()
	plain  bool
	heads  heads

	mu        sync.Mutex // crypto/tls writes while it reads, too
	gathering bool
	gathered  *[]byte // nil: nothing
	broken    error   // part of what was gathered may be written, so that nothing may follow it
}

// gathers are what connections gather in. More is written as it comes.
var gathers = sync.Pool{New: func() any {
	b := make([]byte, 0, 20<<10)
	return &b
}}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if c.plain && n > 0 {
		c.heads.read(b[:n])
	}
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gathering {
		if c.gathered == nil {
			c.gathered = gathers.Get().(*[]byte)
		}
		if have := *c.gathered; len(b) <= cap(have)-len(have) {
			*c.gathered = append(have, b...)
			return len(b), nil
		}
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.TCPConn.Write(b)
}

// Gather keeps what is written until Send.
func (c *counted) Gather() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering = true
}

// Send writes what was gathered. Where that fails the connection ends.
func (c *counted) Send() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering = false
	_ = c.flush()
}

func (c *counted) flush() error {
	if c.gathered != nil {
		if _, c.broken = c.TCPConn.Write(*c.gathered); c.broken != nil {
			_ = c.TCPConn.Close() // also for what goes past Write: files, and who takes the connection over
		}
		*c.gathered = (*c.gathered)[:0]
		gathers.Put(c.gathered)
		c.gathered = nil
	}
	return c.broken
}

func (c *counted) Client() netip.Addr { return c.client }

func (c *counted) Doubtful(r *http.Request) bool { return c.heads.doubtful(r) }

func (c *counted) Close() error {
	defer c.free()
	return c.TCPConn.Close()
}

// within lets web.Guard know the connection of a request, and Crowd count those that an encrypted one carries (http.Server.ConnContext).
func within(ctx context.Context, conn net.Conn) context.Context {
	if over, ok := conn.(*tls.Conn); ok {
		ctx, conn = carrying(ctx), over.NetConn()
	}
	if c, ok := conn.(*counted); ok {
		return web.Connected(ctx, c)
	}
	return ctx
}
