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
	s, err := sqldb.Translate(dialect{}, e.served().Collections, q)
	if err != nil {
		return nil, err
	}
	return &stmt{s, e, q.Where != nil}, nil
}

// readers are the connections that read: as many at a time as keep the processors busy. Each is opened when
// all that are open are busy, and the one used last is used next: its pages are still in the processor's
// caches. Who has waited for extraAfter gets one beyond that number, so that a few long questions do not keep
// the short ones waiting.
type readers struct {
	path   string
	free   chan struct{} // a token for each connection that may be taken
	extra  chan struct{} // the same, for those who have waited
	closed chan struct{}

	// wounded: a part of the file could not be read through memory. From then on none is read so: what is
	// wrong is an error of SQLite's. The connection that was lost keeps a lock on the log, which grows until
	// the process ends; Check says so.
	wounded atomic.Bool

	mu   sync.Mutex
	idle []*conn
}

// extraAfter is how long one waits for a connection before there is an extra one.
const extraAfter = 5 * time.Millisecond

func newReaders(path string, n int) *readers {
	if n <= 0 {
		n = max(4, 2*runtime.GOMAXPROCS(0))
	}
	return &readers{path: path, free: tokens(n), extra: tokens(max(32, 8*n)), closed: make(chan struct{})}
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
	waited.Reset(extraAfter)
	defer func() {
		waited.Stop()
		timers.Put(waited)
	}()
	var extra chan struct{}
	for {
		select {
		case <-p.free:
			return p.pop(p.free)
		case <-extra:
			return p.pop(p.extra)
		case <-waited.C:
			extra = p.extra
		case <-p.closed:
			return nil, errClosed()
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, "read", ctx.Err())
		}
	}
}

// pop gives the holder of a token the connection used last, or opens one.
func (p *readers) pop(from chan struct{}) (*conn, error) {
	p.mu.Lock()
	for n := len(p.idle); n > 0; n-- {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if !c.mapped || !p.wounded.Load() {
			p.mu.Unlock()
			c.token = from
			return c, nil
		}
		_ = c.close()
	}
	p.mu.Unlock()
	c, err := connect(p.path, sqlite.OpenReadOnly, 5*time.Second)
	if err != nil {
		from <- struct{}{}
		return nil, err
	}
	if !p.wounded.Load() {
		if err := c.script(mapped); err != nil {
			c.close()
			from <- struct{}{}
			return nil, classify("open the database", err)
		}
		c.mapped = true
	}
	c.interruptible()
	c.token = from
	return c, nil
}

// give returns a connection. One that is stuck in a transaction is closed, and one too many.
func (p *readers) give(c *conn) {
	token := c.token // another may have c before this returns
	p.mu.Lock()
	stays := c.c.AutocommitEnabled() && len(p.idle) < cap(p.free) && !(c.mapped && p.wounded.Load())
	if stays {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !stays {
		_ = c.close()
	}
	token <- struct{}{}
}

// close waits for the readers under way.
func (p *readers) close() {
	close(p.closed)
	for _, all := range []chan struct{}{p.free, p.extra} {
		for range cap(all) {
			<-all
		}
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
			c.token <- struct{}{}
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
