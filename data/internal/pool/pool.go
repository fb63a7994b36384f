// Package pool keeps connections to a database server for the engines that speak with one.
//
// A caller enters, which gives him the right to one connection, and then gets it: so many are in use at once as there
// may be. What is given back lies there until somebody takes it, the latest used first, unless it is broken, of before
// a reset, or old.
package pool

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// Conn is a connection to a server. It embeds State.
type Conn interface {
	// Alive looks at an idle connection without asking the server.
	Alive(ctx context.Context) bool
	// Broken says that a connection that is given back cannot be used any more.
	Broken() bool
	// Close ends it, in a few seconds at most.
	Close()
	// Pooled is its State.
	Pooled() *State
}

// State is what the pool knows of a connection.
type State struct {
	Mode   int       // what it is for
	Rested time.Time // when it was given back
	old    time.Time // when it is
	after  int       // resets before it was made
}

// Pooled is how the pool finds it in a connection.
func (s *State) Pooled() *State { return s }

// Defaults for Config: how long a connection may lie idle and live, and by how much longer some live than others, so that
// not all are renewed at one moment.
const (
	Idle   = 30 * time.Minute
	Life   = time.Hour
	Jitter = 6 * time.Minute
)

// Config says how many connections there may be, and how they are made. Nothing of it is zero but Jitter.
type Config[C Conn] struct {
	Connect            func(ctx context.Context, mode int) (C, error) // it ends by itself when nobody answers; its error is classified
	Most               int                                            // in use at once
	Modes              int                                            // as many of each as may be in use: who has one may go on on one of another mode
	Idle, Life, Jitter time.Duration
}

// Pool is the connections of one engine.
type Pool[C Conn] struct {
	config Config[C]
	slots  chan struct{} // one for each connection in use
	gone   chan struct{} // closed by Close
	ending sync.Once

	waits  atomic.Int32   // who waits for a connection
	beside sync.WaitGroup // connections of Extra, and those that are being closed; added to by who has a slot or mu

	mu     sync.Mutex
	idle   [][]C
	resets int
	looks  *time.Timer // when the idle ones are looked through; nil: none was idle since they were
}

func New[C Conn](config Config[C]) *Pool[C] {
	return &Pool[C]{config: config, slots: make(chan struct{}, config.Most), gone: make(chan struct{}), idle: make([][]C, config.Modes)}
}

// Take is Enter and Get.
func (p *Pool[C]) Take(ctx context.Context, mode int) (c C, err error) {
	if err := p.Enter(ctx); err != nil {
		return c, err
	}
	if c, err = p.Get(ctx, mode); err != nil {
		p.Leave()
	}
	return c, err
}

// soon is how long one waits without looking whether ctx ends: to ask a request's for its end makes it watch for
// that, which takes longer than most have to wait.
const soon = 10 * time.Millisecond

// Enter waits for the right to one connection, which Leave gives up.
func (p *Pool[C]) Enter(ctx context.Context) error {
	if p.Closed() {
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

// Leave gives up the right to a connection, for which none was got.
func (p *Pool[C]) Leave() { <-p.slots }

// Get gives a connection to the caller alone, who has entered.
func (p *Pool[C]) Get(ctx context.Context, mode int) (c C, err error) {
	if c, ok := p.idling(ctx, mode); ok {
		return c, nil
	}
	return p.made(ctx, mode)
}

// Trade gives an idle connection of another mode for one, if there is one.
func (p *Pool[C]) Trade(ctx context.Context, c C, mode int) (other C, ok bool) {
	if other, ok = p.idling(ctx, mode); ok {
		p.rest(c)
	}
	return other, ok
}

// idling takes the latest used idle connection that is alive.
func (p *Pool[C]) idling(ctx context.Context, mode int) (c C, ok bool) {
	for {
		if c, ok = p.pop(mode); !ok || c.Alive(ctx) {
			return c, ok
		}
		p.mu.Lock()
		p.drop(c)
		p.mu.Unlock()
	}
}

func (p *Pool[C]) pop(mode int) (c C, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	some := p.idle[mode]
	last := len(some) - 1
	if last < 0 {
		return c, false
	}
	c, some[last] = some[last], c
	p.idle[mode] = some[:last]
	return c, true
}

func (p *Pool[C]) made(ctx context.Context, mode int) (c C, err error) {
	p.mu.Lock()
	resets := p.resets
	p.mu.Unlock()
	if c, err = p.config.Connect(ctx, mode); err != nil {
		return c, err
	}
	s := c.Pooled()
	s.Mode, s.after, s.old = mode, resets, time.Now().Add(p.config.Life)
	if p.config.Jitter > 0 {
		s.old = s.old.Add(rand.N(p.config.Jitter))
	}
	return c, nil
}

// Extra gives a connection beside those that there may be, for work that waits for others of them. It is
// given up with done.
func (p *Pool[C]) Extra(ctx context.Context, mode int) (c C, done func(), err error) {
	p.mu.Lock()
	if p.Closed() {
		p.mu.Unlock()
		return c, nil, errClosed()
	}
	p.beside.Add(1)
	p.mu.Unlock()
	if c, err = p.made(ctx, mode); err != nil {
		p.beside.Done()
		return c, nil, err
	}
	return c, func() { c.Close(); p.beside.Done() }, nil
}

// Give takes a connection back, and with it the right to one.
func (p *Pool[C]) Give(c C) {
	p.rest(c)
	<-p.slots
}

// rest lays a connection down, or closes one that nobody is to have again.
func (p *Pool[C]) rest(c C) {
	s, now := c.Pooled(), time.Now()
	s.Rested = now
	useless := c.Broken() || now.After(s.old)
	p.mu.Lock()
	defer p.mu.Unlock()
	if useless || s.after != p.resets {
		p.drop(c)
		return
	}
	p.idle[s.Mode] = append(p.idle[s.Mode], c)
	if p.looks == nil && !p.Closed() {
		p.looks = time.AfterFunc(min(p.config.Idle, time.Minute), p.look)
	}
}

// drop closes a connection, for which nobody waits: it may be one on which nothing arrives any more. mu is held.
func (p *Pool[C]) drop(c C) {
	p.beside.Go(c.Close)
}

// look closes the connections that have lain idle for long, or are old: what is between us and the server may
// have given them up, and who may connect may have changed.
func (p *Pool[C]) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looks = nil; p.Closed() {
		return
	}
	now, left := time.Now(), 0
	for m := range p.idle {
		kept := p.idle[m][:0]
		for _, c := range p.idle[m] {
			if s := c.Pooled(); now.After(s.old) || now.Sub(s.Rested) >= p.config.Idle {
				p.drop(c)
			} else {
				kept = append(kept, c)
			}
		}
		clear(p.idle[m][len(kept):])
		p.idle[m] = kept
		left += len(kept)
	}
	if left > 0 {
		p.looks = time.AfterFunc(min(p.config.Idle, time.Minute), p.look)
	}
}

// Reset closes the idle connections, and those in use when they are given back: one of them was found broken. Who calls it
// has a connection.
func (p *Pool[C]) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resets++
	for m, some := range p.idle {
		for _, c := range some {
			p.drop(c)
		}
		p.idle[m] = nil
	}
}

// Closed says whether Close was called.
func (p *Pool[C]) Closed() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// Close waits for the connections in use and closes all.
func (p *Pool[C]) Close() {
	p.ending.Do(func() {
		p.mu.Lock()
		close(p.gone)
		if p.looks != nil {
			p.looks.Stop()
		}
		p.mu.Unlock()
		for range cap(p.slots) {
			p.slots <- struct{}{}
		}
		p.Reset()
		p.beside.Wait()
	})
}

// Load is how busy the pool is.
func (p *Pool[C]) Load() driver.Load {
	l := driver.Load{InUse: len(p.slots), Most: cap(p.slots), Waiting: int(p.waits.Load())}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, some := range p.idle {
		l.Idle += len(some)
	}
	return l
}

func errClosed() error { return fault.New(fault.Unavailable, "the database is closed") }
