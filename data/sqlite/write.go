package sqlite

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// A group ends when nobody waits, or at these bounds, so that its first member is not kept
// waiting by the last. Nobody waits for company. Batches of 100 records touch the same pages of the indexes, which
// are written once a commit: 32 clients send a quarter more of them a second with 50 ms than with 20, and are
// answered sooner.
const (
	groupSize = 256
	groupTime = 50 * time.Millisecond
)

// nested is how long a write waits before it asks whether it waits for itself. It is only a delay
// of that error: no write that can succeed is affected.
const nested = 100 * time.Millisecond

// The states of a request: it is waiting until either the writer starts it or its caller leaves.
const (
	waiting int32 = iota
	started
	left
)

// request is one write on its way through the writer.
type request struct {
	ctx   context.Context // ended before the writer comes to it: it is not started
	fn    func(c *conn) error
	state atomic.Int32
	done  chan error // gets the answer, once
	err   error      // the answer, kept until the commit
}

// requests are used again, but for those that the writer may still find in its queue.
var requests = sync.Pool{New: func() any { return &request{done: make(chan error, 1)} }}

// again gives an answered request back.
func (r *request) again() {
	r.ctx, r.fn, r.err = nil, nil, nil
	r.state.Store(waiting)
	requests.Put(r)
}

// writer is the one goroutine that writes, and its queue.
type writer struct {
	queue  chan *request
	stop   chan struct{}
	ended  chan struct{}
	open   func() (*conn, error)
	c      *conn // nil after it could not be brought back to order
	logs   *checkpoints
	id     atomic.Int64 // of the goroutine
	group  []*request
	groups groups
	closed error
}

func newWriter(c *conn, open func() (*conn, error), logs *checkpoints) *writer {
	w := &writer{queue: make(chan *request, 4*groupSize), stop: make(chan struct{}), ended: make(chan struct{}),
		open: open, c: c, logs: logs}
	go w.run()
	return w
}

// Write runs fn in the next group.
func (e *Engine) Write(ctx context.Context, fn func(driver.Tx) error) error {
	return e.writer.do(ctx, func(c *conn) error { return e.within(c, fn) })
}

// within runs fn in the transaction that the connection is in.
func (e *Engine) within(c *conn, fn func(driver.Tx) error) error {
	t := &tx{e: e, c: c}
	defer func() { t.c = nil }()
	return fn(t)
}

// timers are stopped ones. A timer that was stopped or reset sends nothing late (Go 1.23).
var timers = sync.Pool{New: func() any { return time.NewTimer(time.Hour) }}

// do queues a request and waits for its answer.
func (w *writer) do(ctx context.Context, fn func(c *conn) error) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, "write", err)
	}
	r := requests.Get().(*request)
	r.ctx, r.fn = ctx, fn
	select {
	case <-w.stop:
		return errClosed()
	default:
	}
	patience := timers.Get().(*time.Timer)
	patience.Reset(nested)
	defer func() {
		patience.Stop()
		timers.Put(patience)
	}()
	// Most writes are answered long before this becomes patient, so nobody waits for ctx until then:
	// the writer looks at it when it comes to the request.
	queue := w.queue
	var cancelled <-chan struct{}
	for {
		select {
		case queue <- r:
			queue = nil
		case err := <-r.done:
			r.again()
			return err
		case <-patience.C:
			if goroutine() == w.id.Load() && r.state.CompareAndSwap(waiting, left) {
				return fault.New(fault.Internal, "a write inside a write would wait for itself: use the transaction it has")
			}
			cancelled = ctx.Done()
		case <-cancelled:
			if r.state.CompareAndSwap(waiting, left) {
				return fault.Wrap(fault.Unavailable, "write", ctx.Err())
			}
			cancelled = nil // it has started: it is carried through
		case <-w.ended:
			select {
			case err := <-r.done:
				return err
			default:
				return errClosed()
			}
		}
	}
}

// close lets the queue run empty.
func (w *writer) close() error {
	close(w.stop)
	<-w.ended
	return w.closed
}

func (w *writer) run() {
	w.id.Store(goroutine())
	normal := false
	defer func() {
		if !normal { // a request ended the goroutine (runtime.Goexit): another takes over
			w.abandon(fault.New(fault.Internal, "a write ended its goroutine"))
			go w.run()
		}
	}()
	for {
		select {
		case r := <-w.queue:
			w.serve(r)
			continue
		case <-w.stop:
		}
		select {
		case r := <-w.queue:
			w.serve(r)
			continue
		default:
		}
		if w.c != nil {
			w.closed = w.c.close()
		}
		normal = true
		close(w.ended)
		return
	}
}

// serve runs a group that begins with r, commits it and answers its members.
func (w *writer) serve(r *request) {
	begun := false
	until := time.Now().Add(groupTime)
	for ; r != nil; r = w.next(until) {
		if !r.state.CompareAndSwap(waiting, started) {
			continue
		}
		if err := r.ctx.Err(); err != nil {
			r.done <- fault.Wrap(fault.Unavailable, "write", err)
			continue
		}
		w.group = append(w.group, r)
		if !begun {
			if err := w.begin(); err != nil {
				w.answer(err)
				return
			}
			begun = true
		}
		// Alone so far: the transaction itself is its savepoint, and its refusal rests on
		// nobody's uncommitted work, so it is told at once.
		if len(w.group) == 1 {
			r.err = contained(r.fn, w.c)
			if r.err == nil && w.c.c.AutocommitEnabled() {
				r.err = lost(nil)
			}
			if r.err != nil {
				begun = false
				w.abandon(r.err)
			}
			continue
		}
		if err := w.inCompany(r); err != nil {
			w.abandon(err)
			return
		}
	}
	if begun {
		w.commit()
	}
}

// next is the next request of the group, if one waits.
func (w *writer) next(until time.Time) *request {
	if len(w.group) >= groupSize || time.Now().After(until) {
		return nil
	}
	select {
	case r := <-w.queue:
		return r
	default:
	}
	runtime.Gosched() // who is about to write may come along
	select {
	case r := <-w.queue:
		return r
	default:
		return nil
	}
}

func (w *writer) begin() error {
	if w.c == nil {
		c, err := w.open()
		if err != nil {
			return err
		}
		w.c = c
	}
	w.c.note = 0
	return classify("begin", w.c.run("BEGIN IMMEDIATE"))
}

// inCompany runs a request behind a savepoint. Its own error stays with it; the error returned is of
// the transaction, which is then lost for all.
func (w *writer) inCompany(r *request) error {
	if err := w.c.run(`SAVEPOINT "one"`); err != nil {
		return classify("write", err)
	}
	r.err = contained(r.fn, w.c)
	if w.c.c.AutocommitEnabled() { // SQLite gave the whole transaction up: disk full, read or write error
		return lost(r.err)
	}
	if r.err != nil {
		w.c.note = 0
		if err := w.c.run(`ROLLBACK TO "one"`); err != nil {
			return classify("write", err)
		}
	}
	return classify("write", w.c.run(`RELEASE "one"`))
}

// lost is the error of a transaction that SQLite rolled back because of one statement.
func lost(cause error) error {
	kind := fault.Unavailable
	if fault.Is(cause, fault.Full) {
		kind = fault.Full
	}
	return &fault.Error{Kind: kind, Op: "write", Msg: "the transaction was lost", Err: cause}
}

// commit makes the group durable and answers it.
func (w *writer) commit() {
	if w.c.c.AutocommitEnabled() {
		w.abandon(lost(w.group[len(w.group)-1].err))
		return
	}
	if err := w.c.run("COMMIT"); err != nil {
		w.abandon(w.undone(err))
		return
	}
	w.groups.add(len(w.group))
	w.answer(nil)
	w.logs.commit()
}

// undone is the error of a COMMIT that failed. Its rows may lie in the log, whole but not known to be on
// disk: SQLite passes over them, but after a crash it would find and apply them, and what was answered
// as failed would be there. Another commit writes over their beginning, and with it the sums of all
// that lies behind no longer fit. Where that fails too nobody knows, and that is what is said.
func (w *writer) undone(cause error) error {
	f := &fault.Error{Kind: fault.Unavailable, Op: "commit", Msg: "the database is away", Err: cause}
	if fault.Is(classify("commit", cause), fault.Full) {
		f.Kind, f.Msg = fault.Full, "the disk is full"
	}
	if !w.c.c.AutocommitEnabled() {
		w.c.run("ROLLBACK")
	}
	if !w.c.c.AutocommitEnabled() || w.c.beat() != nil {
		f.Msg += ": what was to be written may or may not be stored"
	}
	return f
}

// abandon rolls back and answers everybody with err: a refusal in company may rest on what is not stored now. A
// connection that cannot be brought back to order is closed; the next group opens another.
func (w *writer) abandon(err error) {
	if w.c != nil && !w.c.c.AutocommitEnabled() {
		w.c.run("ROLLBACK")
	}
	if w.c != nil && !w.c.c.AutocommitEnabled() {
		w.c.close()
		w.c = nil
	}
	for i, r := range w.group {
		if i > 0 {
			r.err = err
		}
	}
	w.answer(err)
}

// answer tells each member its own error, or else err.
func (w *writer) answer(err error) {
	for i, r := range w.group {
		if r.err == nil {
			r.err = err
		}
		r.done <- r.err
		w.group[i] = nil
	}
	w.group = w.group[:0]
}

// contained runs fn; a panic becomes an error.
func contained(fn func(c *conn) error, c *conn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Wrap(fault.Internal, "write", fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return fn(c)
}
