package live

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bluell/plinth/data"
)

const (
	mostPending = 1 << 20          // bytes that wait for a client
	mostInAll   = 256 << 20        // bytes that are held for all of them; what several wait for is held once
	patience    = 10 * time.Second // for a client to take some of them
)

var inAll atomic.Int64 // bytes that are held

var deliveries atomic.Int64

// Deliveries is how often something that has happened was sent to a client of this process: a change of what it shows, a message, who has come.
func Deliveries() int64 { return deliveries.Load() }

// client is who listens to a stream.
type client struct {
	view  *view
	form  form
	by    data.Caller
	again func() (data.Caller, error) // who asks now; nil: he has shown nothing that could be taken from him
	out   sink
	root  *client // of a subscription by message: the connection that it is one of (socket.go)
	freed func()  // is called when it is over

	begun time.Time    // by which sent is counted: not the clock, which may be put back
	sent  atomic.Int64 // when something was sent last, ns after begun

	mu      sync.Mutex
	pending []held        // what waits while busy
	waits   int           // bytes of it
	busy    bool          // somebody writes
	free    chan struct{} // closed when nobody does any more; nil while nobody does
	last    bool          // it ends when what waits is sent
	over    bool
	ended   chan struct{} // closed when it is over
	stop    func()        // ends what is done for it alone; nil: nothing
}

// sink is the way to a client. One at a time uses it.
type sink interface {
	// try writes what can be written without waiting.
	try(p *piece) (n int, err error)
	// write writes all, or fails when the client does not take it in time.
	write(b []byte) error
	close()
}

func newClient(v *view, by data.Caller, out sink) *client {
	return &client{view: v, form: v.form, by: by, out: out, ended: make(chan struct{}), begun: time.Now()}
}

// silent is for how long nothing was sent.
func (c *client) silent() time.Duration { return time.Since(c.begun) - time.Duration(c.sent.Load()) }

// piece is what is sent to one or many. Those who must wait for it keep one copy together.
type piece struct {
	b       []byte
	once    sync.Once
	kept    []byte
	holders atomic.Int64
}

// held is what a client waits for of a piece.
type held struct {
	of *piece
	b  []byte
}

// hold keeps the rest of a piece, until it is let go of.
func (p *piece) hold(from int) held {
	p.once.Do(func() { p.kept = bytes.Clone(p.b) })
	if p.holders.Add(1) == 1 {
		inAll.Add(int64(len(p.kept)))
	}
	return held{p, p.kept[from:]}
}

func (h held) letGo() {
	if h.of.holders.Add(-1) == 0 {
		inAll.Add(-int64(len(h.of.kept)))
	}
}

// send sends, now or when what was sent before is taken. It does not wait, and does not keep b.
func (c *client) send(b []byte) { c.deliver(&piece{b: b}) }

// deliver is send of what others are sent, too.
func (c *client) deliver(p *piece) {
	c.sent.Store(int64(time.Since(c.begun)))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over || c.last:
	case c.busy:
		if c.waits+len(p.b) > mostPending || inAll.Load() > mostInAll {
			c.end()
			return
		}
		c.keep(p.hold(0))
	default:
		n, err := c.out.try(p)
		if err != nil {
			c.end()
		} else if n < len(p.b) && inAll.Load() > mostInAll {
			c.end()
		} else if n < len(p.b) {
			c.busy, c.free = true, make(chan struct{})
			c.keep(p.hold(n))
			go c.drain()
		}
	}
}

// keep lets something wait. The lock is held.
func (c *client) keep(h held) {
	c.pending = append(c.pending, h)
	c.waits += len(h.b)
}

// wait sends what may be long, and waits until it is taken: some whole events at a time, for others may stand between them.
func (c *client) wait(ctx context.Context, b []byte) error {
	way, some := c, mostPending/2 // there may be a little before it
	if c.root != nil {
		way, some = c.root, mostPending/4 // the rest is for what else comes meanwhile
	}
	for len(b) > 0 {
		n := c.form.whole(b, some)
		c.send(b[:n])
		b = b[n:]
		way.mu.Lock()
		busy, free := way.busy, way.free
		way.mu.Unlock()
		if busy {
			select {
			case <-free:
			case <-way.ended:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if c.gone() {
			return errGone
		}
	}
	return nil
}

var errGone = errors.New("the client is gone")

// resync tells the client to begin anew, and ends it.
func (c *client) resync(reason string) {
	b := resync(c.form, c.number(), reason)
	if c.root == nil {
		b = append(b, c.form.farewell()...)
	}
	c.finish(b)
}

// number is the subscription that the client is, where it is one of a connection; else alone.
func (c *client) number() subscription {
	if c.root != nil {
		return c.view.subs[0]
	}
	return alone
}

// beat shows that the connection is there.
func (c *client) beat() {
	if c.root == nil {
		c.send(c.form.heartbeat())
	}
}

// finish sends something last.
func (c *client) finish(b []byte) {
	c.send(b)
	c.mu.Lock()
	c.last = true
	if !c.busy {
		c.end()
	}
	c.mu.Unlock()
}

// drain writes what waits.
func (c *client) drain() {
	for {
		c.mu.Lock()
		waiting, n := c.pending, c.waits
		c.pending, c.waits = nil, 0
		if n == 0 || c.over {
			for _, h := range waiting {
				h.letGo()
			}
			c.busy = false
			close(c.free)
			if c.last {
				c.end()
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if c.writes(waiting) != nil {
			c.cut() // what has come to wait meanwhile is let go of
		}
	}
}

// mostJoined is how many bytes of what waits are copied to be written as one.
const mostJoined = 64 << 10

// writes writes what has waited, and lets go of it.
func (c *client) writes(waiting []held) (err error) {
	for len(waiting) > 0 {
		some, n := 1, len(waiting[0].b)
		for some < len(waiting) && n+len(waiting[some].b) <= mostJoined {
			n += len(waiting[some].b)
			some++
		}
		joined := 0
		if err == nil {
			b := waiting[0].b
			if some > 1 { // a copy of its own
				joined, b = n, make([]byte, 0, n)
				for _, h := range waiting[:some] {
					b = append(b, h.b...)
				}
			}
			inAll.Add(int64(joined))
			err = c.out.write(b)
		}
		inAll.Add(-int64(joined))
		for _, h := range waiting[:some] {
			h.letGo()
		}
		waiting = waiting[some:]
	}
	return err
}

// cut ends a client at once.
func (c *client) cut() {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
}

// end is called with mu held. Who writes lets go of what waits.
func (c *client) end() {
	if !c.over {
		c.over = true
		close(c.ended)
		c.out.close()
		if c.freed != nil {
			c.freed()
		}
		if c.stop != nil {
			c.stop()
		}
	}
}

// ends says what ends with the client.
func (c *client) ends(stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop = stop; c.over {
		stop()
	}
}

// written waits until nobody writes any more, once a client is over or last.
func (c *client) written() {
	c.mu.Lock()
	busy, free := c.busy, c.free
	c.mu.Unlock()
	if busy {
		<-free
	}
}

func (c *client) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// wire is a connection that is the stream's own: no goroutine waits on it, and net/http keeps nothing for it.
type wire struct {
	conn   net.Conn
	system syscall.RawConn // of the system, under TLS too; nil: unknown
	direct bool            // what is sent goes to the system as it is, so that it can be written without waiting

	talks bool // somebody reads what the client says
}

func newWire(conn net.Conn) *wire {
	w := &wire{conn: conn}
	below := conn
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		below = over.NetConn()
	}
	if s, ok := below.(syscall.Conn); ok {
		w.system, _ = s.SyscallConn()
	}
	if w.system != nil {
		w.direct = canTry && below == conn
		settle(w.system)
	}
	return w
}

// closed says whether the client has closed its side, where that can be told without waiting. A client says nothing on a
// stream, so nobody reads the end of what it says.
func (w *wire) closed() bool { return w.system != nil && !w.talks && hungUp(w.system) }

func (w *wire) try(p *piece) (n int, err error) {
	if !w.direct {
		return 0, nil
	}
	return tryWrite(w.system, p.b)
}

func (w *wire) write(b []byte) error {
	defer func() { _ = w.conn.SetWriteDeadline(time.Time{}) }() // try fails behind one that has passed
	for len(b) > 0 {
		_ = w.conn.SetWriteDeadline(time.Now().Add(patience))
		n, err := w.conn.Write(b)
		b = b[n:]
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return nil
}

func (w *wire) close() { _ = w.conn.Close() }

// answer is a stream of a connection that others share (HTTP/2), or that cannot be taken over.
type answer struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func (a *answer) try(*piece) (int, error) { return 0, nil }

func (a *answer) write(b []byte) error {
	defer func() { _ = a.ctl.SetWriteDeadline(time.Time{}) }() // HTTP/2 resets a stream when one passes
	_ = a.ctl.SetWriteDeadline(time.Now().Add(patience))
	if _, err := a.w.Write(b); err != nil {
		return err
	}
	return a.ctl.Flush()
}

func (a *answer) close() {} // its handler sees that the client has ended
