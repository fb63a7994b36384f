package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

var errArgs = errors.New("a query was given fewer arguments than it names")

// stmt is a prepared query. Each connection prepares its text when it first meets it.
type stmt struct {
	*sqldb.Statement
	e       *Engine
	filters bool // it asks for some rows of its table only
}

func (s *stmt) Text() string { return s.SQL }

func (e *Engine) Prepare(q *driver.Query) (driver.Stmt, error) {
	s, err := sqldb.Translate(dialect{}, e.served().collections, q)
	if err != nil {
		return nil, err
	}
	return &stmt{s, e, q.Where != nil}, nil
}

// readers are the connections that read. Each is opened when all that are open are busy, and the one
// used last is used next: its pages are still in the processor's caches. There may be many more than
// processors, so that a few long questions do not keep the short ones waiting; few stay open.
type readers struct {
	path   string
	free   chan struct{} // a token for each connection that may be taken
	closed chan struct{}
	stay   int // open connections at rest

	// wounded: a part of the file could not be read through memory. From then on none is read so: what is
	// wrong is an error of SQLite's. The connection that was lost keeps a lock on the log, which grows until
	// the process ends; Check says so.
	wounded atomic.Bool

	mu   sync.Mutex
	idle []*conn
}

func newReaders(path string, n int) *readers {
	stay := max(4, 2*runtime.GOMAXPROCS(0))
	if n <= 0 {
		n = max(32, 8*stay)
	}
	p := &readers{path: path, free: make(chan struct{}, n), closed: make(chan struct{}), stay: stay}
	for range n {
		p.free <- struct{}{}
	}
	return p
}

func (p *readers) take(ctx context.Context) (*conn, error) {
	select {
	case <-p.closed:
		return nil, errClosed()
	default:
	}
	select {
	case <-p.free:
		return p.pop()
	default:
	}
	select {
	case <-p.free:
		return p.pop()
	case <-p.closed:
		return nil, errClosed()
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, "read", ctx.Err())
	}
}

// pop gives the holder of a token the connection used last, or opens one.
func (p *readers) pop() (*conn, error) {
	p.mu.Lock()
	for n := len(p.idle); n > 0; n-- {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if !c.mapped || !p.wounded.Load() {
			p.mu.Unlock()
			return c, nil
		}
		_ = c.close()
	}
	p.mu.Unlock()
	c, err := connect(p.path, sqlite.OpenReadOnly, 5*time.Second)
	if err != nil {
		p.free <- struct{}{}
		return nil, err
	}
	if !p.wounded.Load() {
		if err := c.script(mapped); err != nil {
			c.close()
			p.free <- struct{}{}
			return nil, classify("open the database", err)
		}
		c.mapped = true
	}
	c.interruptible()
	return c, nil
}

// give returns a connection. One that is stuck in a transaction is closed, and one too many.
func (p *readers) give(c *conn) {
	p.mu.Lock()
	stays := c.c.AutocommitEnabled() && len(p.idle) < p.stay && !(c.mapped && p.wounded.Load())
	if stays {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !stays {
		_ = c.close()
	}
	p.free <- struct{}{}
}

// close waits for the readers under way.
func (p *readers) close() {
	close(p.closed)
	for range cap(p.free) {
		<-p.free
	}
	for _, c := range p.idle {
		c.close()
	}
}

// Rows reads without BEGIN and COMMIT: a statement is a snapshot of its own.
func (e *Engine) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) (err error) {
	r, err := e.reader(ctx)
	if err != nil {
		return err
	}
	defer e.end(&r, &err)
	return r.Rows(ctx, s, args, yield)
}

// Read runs fn on one snapshot, which begins with its first statement.
func (e *Engine) Read(ctx context.Context, fn func(driver.Reader) error) (err error) {
	r, err := e.reader(ctx)
	if err != nil {
		return err
	}
	defer e.end(&r, &err)
	if err := r.c.run("BEGIN"); err != nil {
		return during(ctx, "read", err)
	}
	return fn(&r)
}

func (e *Engine) reader(ctx context.Context) (reader, error) {
	if err := ctx.Err(); err != nil {
		return reader{}, fault.Wrap(fault.Unavailable, "read", err)
	}
	c, err := e.readers.take(ctx)
	if err != nil {
		return reader{}, err
	}
	return reader{c: c, faults: debug.SetPanicOnFault(true)}, nil
}

// end ends what a reader has open and gives its connection back. It is to be deferred: a fault of
// memory becomes the error that the disk has caused.
func (e *Engine) end(r *reader, err *error) {
	c := r.c
	debug.SetPanicOnFault(r.faults)
	if v := recover(); v != nil {
		if at, ok := v.(interface{ Addr() uintptr }); ok {
			*err = &fault.Error{Kind: fault.Unavailable, Op: "read", Msg: "the database file cannot be read",
				Err: fmt.Errorf("a fault in its mapping at %#x: the disk failed, or the file was cut", at.Addr())}
			r.c = nil // it stopped in the middle of SQLite: nothing of it may be touched again
			e.readers.wounded.Store(true)
			e.readers.free <- struct{}{}
			return
		}
		defer panic(v)
	}
	r.disarm()
	r.c = nil
	if !c.c.AutocommitEnabled() {
		if c.run("COMMIT") != nil { // interrupted, maybe
			_ = c.run("ROLLBACK")
		}
	}
	e.readers.give(c)
}

// during classifies an error of a statement; one that a cancelled ctx caused says so.
func during(ctx context.Context, op string, err error) error {
	if err != nil && ctx.Err() != nil && sqlite.ErrCode(err) == sqlite.ResultInterrupt {
		return fault.Wrap(fault.Unavailable, op, ctx.Err())
	}
	return classify(op, err)
}

type reader struct {
	c      *conn
	faults bool   // what the goroutine did of faults of memory before
	armed  func() // ends the watch over ctx; nil: nobody watches
}

func (r *reader) disarm() {
	if r.armed != nil {
		r.armed()
		r.armed = nil
	}
}

// Rows watches ctx from the first query that may read many rows; one record is read too fast for that.
func (r *reader) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if r.c == nil {
		return fault.New(fault.Internal, "a reader was used after its end")
	}
	if st, ok := s.(*stmt); ok && !st.Single && r.armed == nil && ctx.Done() != nil {
		r.armed = r.c.arm(ctx)
	}
	return rows(ctx, r.c, s, args, yield)
}

func rows(ctx context.Context, c *conn, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	st, ok := s.(*stmt)
	if !ok {
		return fault.New(fault.Internal, "a statement of another engine")
	}
	var refusal error // of yield: returned as it is
	err := c.rows(st, args, func(cols *columns) error {
		refusal = yield(cols)
		return refusal
	})
	if refusal != nil {
		return refusal
	}
	return during(ctx, "read", err)
}
