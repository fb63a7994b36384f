package serve

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/bluell/plinth/fault"
)

// end takes no new connections, lets the requests under way finish, and returns. Where another process has taken
// over, or is to be found by whoever balances the load, clients that keep a connection get the time to ask once more:
// a connection that is closed while its client asks is a request that failed.
func (s *server) end(over bool) error {
	s.leaving.Store(true)
	if !over {
		call(s.o.Leave)
		if s.o.Drain > 0 {
			time.Sleep(s.o.Drain)
		}
	}
	for _, d := range s.doors {
		_ = d.ln.Close()
	}
	call(s.o.Cut)
	if over || s.o.Drain > 0 {
		s.conns.wait(linger)
	}
	return s.finish(timeout(&s.o.Limits) + slack)
}

// finish waits for the requests under way, but no longer than that.
func (s *server) finish(wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	ended := make(chan error, len(s.doors))
	for _, d := range s.doors {
		go func() { ended <- d.srv.Shutdown(ctx) }()
	}
	var err error
	for range s.doors {
		if e := <-ended; e != nil && ctx.Err() != nil {
			s.close()
			err = fault.New(fault.Unavailable, "requests were still under way after %s: they were cut off", wait)
		}
	}
	return err
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// conns are the connections of a process, but those that were taken over from net/http.
type conns struct {
	mu   sync.Mutex
	all  map[net.Conn]struct{}
	none chan struct{} // closed when there is none; nil: nobody waits
}

func newConns() *conns { return &conns{all: map[net.Conn]struct{}{}} }

// state is http.Server.ConnState.
func (c *conns) state(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.mu.Lock()
		c.all[conn] = struct{}{}
		c.mu.Unlock()
	case http.StateHijacked, http.StateClosed:
		c.mu.Lock()
		delete(c.all, conn)
		if len(c.all) == 0 && c.none != nil {
			close(c.none)
			c.none = nil
		}
		c.mu.Unlock()
	}
}

// wait waits until there is no connection, or so long.
func (c *conns) wait(most time.Duration) {
	c.mu.Lock()
	if len(c.all) == 0 {
		c.mu.Unlock()
		return
	}
	none := make(chan struct{})
	c.none = none
	c.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
	}
}
