package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/fault"
)

// mode is what a connection is for.
type mode uint8

const (
	reading mode = iota // a statement is a transaction of its own, and one that is begun is a snapshot
	writing             // a transaction begins with its first statement
	modes
)

// pool keeps connections of both modes, the latest used first: as many of each as there may be in use, for a write that has
// read on one goes on on one of the other mode, which begins its transaction by itself.
type pool struct {
	connector sqldriver.Connector
	settings  string
	kept      int           // statements that a connection keeps at most
	slots     chan struct{} // one for each connection in use
	gone      chan struct{} // closed by close
	ending    sync.Once

	waits  atomic.Int32   // who waits for a slot
	beside sync.WaitGroup // connections of extra

	mu   sync.Mutex
	idle [modes][]*conn
	open int // connections, idle or not
}

func newPool(connector sqldriver.Connector, most int) *pool {
	return &pool{connector: connector, kept: keptStatements, slots: make(chan struct{}, most), gone: make(chan struct{})}
}

// take gives a connection to the caller alone.
func (p *pool) take(ctx context.Context, m mode) (*conn, error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	c, err := p.get(ctx, m)
	if err != nil {
		p.leave()
	}
	return c, err
}

// soon is how long one waits without looking whether ctx ends: to ask a request's for its end makes it watch for
// that, which takes longer than most have to wait.
const soon = 10 * time.Millisecond

// enter waits for the right to one connection, which leave gives up.
func (p *pool) enter(ctx context.Context) error {
	if p.ended() {
		return errClosed()
	}
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, "connect", err)
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	p.waits.Add(1)
	defer p.waits.Add(-1)
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-p.gone:
		return errClosed()
	case <-timer.C:
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-p.gone:
		return errClosed()
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, "connect", ctx.Err())
	}
}

func (p *pool) leave() { <-p.slots }

// get gives a connection to the caller alone, who has entered.
func (p *pool) get(ctx context.Context, m mode) (*conn, error) {
	for c := p.pop(m); c != nil; c = p.pop(m) {
		if c.alive(ctx) {
			return c, nil
		}
		p.forget(c)
	}
	c, err := p.ready(ctx, m)
	if err != nil {
		return nil, during(ctx, "connect", err)
	}
	p.mu.Lock()
	p.open++
	var spare *conn
	if other := &p.idle[modes-1-m]; p.open > int(modes)*cap(p.slots) && len(*other) > 0 {
		spare, *other, p.open = (*other)[0], (*other)[1:], p.open-1
	}
	p.mu.Unlock()
	if spare != nil {
		spare.close()
	}
	return c, nil
}

// trade gives an idle connection of another mode for one, if there is one.
func (p *pool) trade(ctx context.Context, c *conn, m mode) *conn {
	for other := p.pop(m); other != nil; other = p.pop(m) {
		if other.alive(ctx) {
			c.rested = time.Now()
			p.mu.Lock()
			p.idle[c.mode] = append(p.idle[c.mode], c)
			p.mu.Unlock()
			return other
		}
		p.forget(other)
	}
	return nil
}

// ready makes a connection, which is not waited for without end: what accepts it need not be a server that answers.
func (p *pool) ready(ctx context.Context, m mode) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.begun(ctx, p.settings, m); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// extra gives a connection beside those that there may be, for work that waits for others of them. It is
// given up with done.
func (p *pool) extra(ctx context.Context) (c *conn, done func(), err error) {
	p.mu.Lock()
	if p.ended() {
		p.mu.Unlock()
		return nil, nil, errClosed()
	}
	p.beside.Add(1)
	p.mu.Unlock()
	c, err = p.ready(ctx, reading)
	if err != nil {
		p.beside.Done()
		return nil, nil, during(ctx, "connect", err)
	}
	return c, func() { c.close(); p.beside.Done() }, nil
}

// pop takes the latest used idle connection.
func (p *pool) pop(m mode) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := &p.idle[m]
	if len(*idle) == 0 {
		return nil
	}
	c := (*idle)[len(*idle)-1]
	*idle = (*idle)[:len(*idle)-1]
	return c
}

func (p *pool) forget(c *conn) {
	c.close()
	p.mu.Lock()
	p.open--
	p.mu.Unlock()
}

// release takes a connection back, or closes one that is broken.
func (p *pool) release(c *conn) {
	if c.broken() {
		p.forget(c)
	} else {
		c.rested = time.Now()
		p.mu.Lock()
		p.idle[c.mode] = append(p.idle[c.mode], c)
		p.mu.Unlock()
	}
	<-p.slots
}

// reset closes the idle connections: one of them was found broken.
func (p *pool) reset() {
	p.mu.Lock()
	var all []*conn
	for m := range p.idle {
		all = append(all, p.idle[m]...)
		p.idle[m] = nil
	}
	p.open -= len(all)
	p.mu.Unlock()
	for _, c := range all {
		c.close()
	}
}

// ended says whether close was called.
func (p *pool) ended() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// close waits for the connections in use and closes all.
func (p *pool) close() error {
	p.ending.Do(func() {
		p.mu.Lock()
		close(p.gone)
		p.mu.Unlock()
		p.beside.Wait()
		for range cap(p.slots) {
			p.slots <- struct{}{}
		}
		p.reset()
	})
	return nil
}
