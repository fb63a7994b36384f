package sqlite

import (
	"context"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/fault"
)

// readers are the connections that read: as many at a time as keep the processors busy. Each is opened when
// all that are open are busy, and the one used last is used next: its pages are still in the processor's
// caches. For each one that a long question holds there is one extra, so that a few of these do not keep the
// short ones waiting.
type readers struct {
	path   string
	free   chan struct{} // a token for each connection that may be taken
	extra  chan struct{} // the same, in place of those that are held for long
	closed chan struct{}
	linger time.Duration // how long one too many stays open unused

	// wounded: a part of the file could not be read through memory. From then on none is read so: what is
	// wrong is an error of SQLite's. The connection that was lost keeps a lock on the log, which grows until
	// the process ends; Check says so.
	wounded atomic.Bool

	waits atomic.Int32 // who waits for a connection

	mu   sync.Mutex
	idle []*conn             // the one used last is the last
	busy map[*conn]time.Time // since when
	rest *time.Timer         // closes those that are too many; nil: there are none
}

// long is how long a question holds a connection, and another waits for one, before there is an extra one.
// Waiting alone is no reason: where the processors are the bottleneck all wait, and more connections would
// make each of them slower.
const long = 5 * time.Millisecond

func newReaders(path string, n int) *readers {
	if n <= 0 {
		n = max(4, 2*runtime.GOMAXPROCS(0))
	}
	return &readers{path: path, free: tokens(n), extra: tokens(max(32, 8*n)), closed: make(chan struct{}), linger: time.Second,
		busy: map[*conn]time.Time{}}
}

func tokens(n int) chan struct{} {
	all := make(chan struct{}, n)
	for range n {
		all <- struct{}{}
	}
	return all
}

func (p *readers) take(ctx context.Context) (*conn, error) {
	select {
	case <-p.closed:
		return nil, errClosed()
	default:
	}
	select {
	case <-p.free:
		return p.pop(p.free)
	default:
	}
	waited := timers.Get().(*time.Timer)
	waited.Reset(long)
	p.waits.Add(1)
	defer func() {
		p.waits.Add(-1)
		waited.Stop()
		timers.Put(waited)
	}()
	var extra chan struct{} // nil as long as nobody may have one
	for {
		select {
		case <-p.free:
			return p.pop(p.free)
		case <-extra:
			return p.pop(p.extra)
		case <-waited.C:
			extra = nil
			if p.held() > cap(p.extra)-len(p.extra) {
				extra = p.extra
			}
			waited.Reset(long)
		case <-p.closed:
			return nil, errClosed()
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, "read", ctx.Err())
		}
	}
}

// held counts the connections that long questions hold.
func (p *readers) held() (n int) {
	before := time.Now().Add(-long)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, since := range p.busy {
		if since.Before(before) {
			n++
		}
	}
	return n
}

// pop gives the holder of a token the connection used last, or opens one.
func (p *readers) pop(from chan struct{}) (*conn, error) {
	p.mu.Lock()
	for n := len(p.idle); n > 0; n-- {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if !c.mapped || !p.wounded.Load() {
			p.lend(c, from)
			p.mu.Unlock()
			return c, nil
		}
		_ = c.close()
	}
	p.mu.Unlock()
	c, err := p.open()
	if err != nil {
		from <- struct{}{}
		return nil, err
	}
	p.mu.Lock()
	p.lend(c, from)
	p.mu.Unlock()
	return c, nil
}

func (p *readers) lend(c *conn, token chan struct{}) {
	c.token = token
	p.busy[c] = time.Now()
}

func (p *readers) open() (*conn, error) {
	c, err := connect(p.path, sqlite.OpenReadOnly, 5*time.Second)
	if err != nil {
		return nil, err
	}
	setting := mapped
	if info, err := os.Stat(p.path); err != nil || info.Size() > mostMapped {
		setting = large
	}
	if p.wounded.Load() {
		setting = ""
	}
	if err := c.script(setting); err != nil {
		c.close()
		return nil, classify("open the database", err)
	}
	c.mapped = setting == mapped
	c.interruptible()
	return c, nil
}

// give returns a connection. One that is stuck in a transaction is closed.
func (p *readers) give(c *conn) {
	token := c.token // another may have c before this returns
	p.mu.Lock()
	delete(p.busy, c)
	stays := c.c.AutocommitEnabled() && !(c.mapped && p.wounded.Load())
	if stays {
		p.idle = append(p.idle, c)
		if len(p.idle) > cap(p.free) {
			c.used = time.Now()
			if p.rest == nil {
				p.rest = time.AfterFunc(p.linger, p.trim)
			}
		}
	}
	p.mu.Unlock()
	if !stays {
		_ = c.close()
	}
	token <- struct{}{}
}

// trim closes what is open beyond the usual number and was not used for a while: each may hold pages.
func (p *readers) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for len(p.idle)-n > cap(p.free) && time.Since(p.idle[n].used) >= p.linger {
		_ = p.idle[n].close()
		n++
	}
	p.idle = append(p.idle[:0], p.idle[n:]...)
	p.rest = nil
	if len(p.idle) > cap(p.free) {
		p.rest = time.AfterFunc(p.linger, p.trim)
	}
}

// lost forgets a connection that cannot be touched again.
func (p *readers) lost(c *conn) {
	p.wounded.Store(true)
	p.mu.Lock()
	delete(p.busy, c)
	p.mu.Unlock()
	c.token <- struct{}{}
}

// close waits for the readers under way.
func (p *readers) close() {
	close(p.closed)
	for _, all := range []chan struct{}{p.free, p.extra} {
		for range cap(all) {
			<-all
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
}
