package data

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Consumer reads the log of changes in order, from where it left off, in one process at a time, whichever that is: what it
// does happens for each change that was committed, and outlives every process.
type Consumer struct {
	Name string // 1 to 100 characters: where it left off is kept under it

	// Do is given changes, some hundreds at most; they are done when it returns nil. At its error it is given them again, after
	// a pause that grows to half a minute. It is given them at least once: again, when the process ended before they were
	// noted to be done, or was stopped for so long that another has taken over; then ctx ends.
	Do func(ctx context.Context, all []*Change) error

	// Write, instead of Do, is given changes in the transaction in which they are noted to be done: what it writes is
	// written once. It may run again, as the function of Transact may.
	Write func(tx *Tx, all []*Change) error

	// Lost is told that the log does not go on from where the consumer left off: it was away for longer than the log is kept,
	// or the database is a backup of another, or its fields are others by now. What it has is to be made anew from what is
	// there; then it goes on with what is changed after Lost was called. Where it is nil Consume ends with the error *TooOld.
	Lost func(ctx context.Context) error

	Oldest bool          // a new one begins with the oldest change that is kept, else behind the newest
	Lease  time.Duration // for how long a process that is silent keeps others from it; 15 s when 0
}

// Check says what is wrong with a consumer: fault.Invalid.
func (c *Consumer) Check() error {
	switch {
	case c.Name == "" || utf8.RuneCountInString(c.Name) > mostNamed:
		return fault.New(fault.Invalid, "a consumer has a name of 1 to %d characters", mostNamed)
	case (c.Do == nil) == (c.Write == nil):
		return fault.New(fault.Invalid, "the consumer %s has Do or Write, and not both", c.Name)
	case c.Lease != 0 && c.Lease < leastLease:
		return fault.New(fault.Invalid, "the lease of the consumer %s is shorter than %v", c.Name, leastLease)
	}
	return nil
}

const (
	mostNamed  = 100 // characters of a consumer's name
	leastLease = 20 * time.Millisecond
)

// leasePrefix begins the names of leases of consumers.
const leasePrefix = "consumer:"

// mostPause bounds how long a consumer waits after an error.
const mostPause = 30 * time.Second

// Consume runs a consumer until ctx ends: when this process has its lease, else it waits for it. Any number of processes may
// call it. Errors of Do and Write, and of a database that is away, are logged and tried again; a panic is such an error. What
// it returns, but nil when ctx has ended, is that it cannot go on: fault.Capability where the engine keeps no log, fault.Invalid
// for a wrong consumer, *TooOld. What the engine cannot do in one transaction with Write is fault.Capability too.
func (db *DB) Consume(ctx context.Context, c Consumer) error {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Lease == 0 {
		c.Lease = 15 * time.Second
	}
	if _, err := db.logged(); err != nil {
		return err
	}
	r := &consuming{Consumer: c, db: db, holder: strings.ToLower(rand.Text())}
	for pause := time.Duration(0); ctx.Err() == nil; {
		held, err := r.term(ctx)
		var old *TooOld
		switch {
		case ctx.Err() != nil:
		case errors.As(err, &old), fault.Is(err, fault.Capability), fault.Is(err, fault.Invalid):
			return err
		case err != nil && !fault.Is(err, fault.Precondition): // that the term is over
			pause = r.failed(pause, err)
		case !held:
			pause = c.Lease / 4
		default:
			pause = 0
		}
		wait(ctx, pause)
	}
	return nil
}

// wait waits until ctx ends, or for a time.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// consuming is a consumer in this process.
type consuming struct {
	Consumer
	db     *DB
	holder string

	other Lease     // of another process, as it was seen
	since time.Time // when it was first seen like that
}

// failed logs an error and says how long to wait after it.
func (r *consuming) failed(pause time.Duration, err error) time.Duration {
	r.db.log.Error("a consumer of the log of changes has failed and tries again", "consumer", r.Name, "error", err)
	return min(max(2*pause, 50*time.Millisecond), mostPause)
}

// term takes the lease, if it can, and consumes as long as it is held.
func (r *consuming) term(ctx context.Context) (held bool, err error) {
	asked := time.Now()
	l, held, err := r.db.Lease(ctx, leasePrefix+r.Name, r.holder, r.Lease)
	if err == nil && !held {
		err = r.waits(ctx, l)
	}
	if err != nil || !held {
		return false, err
	}
	inside, over := context.WithCancelCause(ctx)
	lapse := time.AfterFunc(time.Until(asked.Add(r.Lease)), func() { over(passedOn(l)) }) // also while the database does not answer
	defer lapse.Stop()
	var beside sync.WaitGroup
	beside.Go(func() { r.renew(inside, over, l, lapse) })
	defer func() {
		over(nil)
		beside.Wait()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = r.db.Release(end, l) // or it ends by itself
	}()
	return true, r.consume(inside, l)
}

// waits sees to it that a lease ends whose holder is gone and that would go on for long: the clock of the database has been put back since it was taken.
// Were its holder still there, he would have renewed it; and whoever has lost a lease is fenced out.
func (r *consuming) waits(ctx context.Context, l Lease) error {
	if l.Term != r.other.Term || !l.Until.Equal(r.other.Until) {
		r.other, r.since = l, time.Now()
	}
	if time.Since(r.since) < 2*r.Lease {
		return nil
	}
	return r.db.Release(ctx, l)
}

// renew keeps the lease until ctx ends, and puts lapse off, which ends ctx when it is not sure any more that nobody else has it.
func (r *consuming) renew(ctx context.Context, over context.CancelCauseFunc, l Lease, lapse *time.Timer) {
	for {
		wait(ctx, r.Lease/4)
		if ctx.Err() != nil {
			return
		}
		asked := time.Now()
		now, held, err := r.db.Lease(ctx, l.Name, l.Holder, r.Lease)
		switch {
		case err != nil:
		case held && now.Term == l.Term:
			lapse.Reset(time.Until(asked.Add(r.Lease)))
		default:
			over(passedOn(l))
			return
		}
	}
}

// consume goes on from where the consumer left off.
func (r *consuming) consume(ctx context.Context, l Lease) error {
	at, err := r.begin(ctx, l)
	for err == nil {
		err = r.db.Follow(ctx, at, func(all []*Change, to Position) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			at = to
			return r.done(ctx, l, all, to)
		})
		var old *TooOld
		if errors.As(err, &old) && r.Lost != nil {
			at, err = r.lost(ctx, l)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// begin is where the consumer left off.
func (r *consuming) begin(ctx context.Context, l Lease) (at Position, err error) {
	if l.Note != "" {
		return ParsePosition(l.Note)
	}
	if at, err = r.db.Head(ctx); r.Oldest && err == nil {
		at, err = r.db.Oldest(ctx)
	}
	if err != nil {
		return at, err
	}
	return at, r.db.note(ctx, l, at, nil)
}

// lost has the consumer make anew what it has, and is where it goes on.
func (r *consuming) lost(ctx context.Context, l Lease) (at Position, err error) {
	if at, err = r.db.Head(ctx); err != nil {
		return at, err
	}
	if err := r.again(ctx, func() error { return r.Lost(ctx) }); err != nil {
		return at, err
	}
	return at, r.note(ctx, l, at)
}

// done has changes done, and notes it.
func (r *consuming) done(ctx context.Context, l Lease, all []*Change, to Position) error {
	if r.Write != nil {
		return r.again(ctx, func() error {
			return r.db.note(ctx, l, to, func(tx *Tx) error {
				if len(all) == 0 {
					return nil
				}
				return contained(func() error { return r.Write(tx, all) })
			})
		})
	}
	if len(all) > 0 {
		if err := r.again(ctx, func() error { return r.Do(ctx, all) }); err != nil {
			return err
		}
	}
	return r.again(ctx, func() error { return r.note(ctx, l, to) })
}

// note notes up to where all is done: also when ctx has ended while it was, for else it would be done again.
func (r *consuming) note(ctx context.Context, l Lease, at Position) error {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Lease)
	defer cancel()
	return r.db.note(end, l, at, nil)
}

// again runs do until it has no error, or the term is over.
func (r *consuming) again(ctx context.Context, do func() error) error {
	for pause := time.Duration(0); ; wait(ctx, pause) {
		err := contained(do)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var over *termOver
		if errors.As(err, &over) || fault.Is(err, fault.Capability) {
			return err
		}
		pause = r.failed(pause, err)
	}
}

// contained makes an error of a panic.
func contained(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it panicked: %v\n%s", v, debug.Stack())
		}
	}()
	return do()
}

// termOver says that the term of a lease is over; what a consumer's function says is never it.
type termOver struct{ err error }

func (e *termOver) Error() string { return e.err.Error() }
func (e *termOver) Unwrap() error { return e.err }

// note leaves a position with a lease whose term is not over, behind what write does in the same transaction.
func (db *DB) note(ctx context.Context, l Lease, at Position, write func(*Tx) error) error {
	return db.commit(ctx, &System, func(w *work) error {
		w.bare = true
		if write != nil {
			if err := w.steps(write); err != nil {
				return err
			}
		}
		return w.leave(l, at.String())
	})
}

// ConsumerInfo is what is known of a consumer.
type ConsumerInfo struct {
	Name   string
	Holder string    // of its lease: which process, "" when none has it, or has let it end
	Until  time.Time // when that ends, if it is not renewed
	At     Position  // up to which changes are done; zero: it has not begun
	Behind int64     // how many changes are not done; -1: the log does not go on from At
}

// Consumers tells the consumers that there ever were, by name.
func (db *DB) Consumers(ctx context.Context) ([]ConsumerInfo, error) {
	head, err := db.Head(ctx)
	if err != nil {
		return nil, err
	}
	oldest, err := db.Oldest(ctx)
	if err != nil {
		return nil, err
	}
	var now int64
	err = db.commit(ctx, &System, func(w *work) (err error) {
		now, err = w.tx.Now()
		return err
	})
	if err != nil {
		return nil, err
	}
	return db.consumers(ctx, head, oldest.Number, now)
}

// SeeConsumers is Consumers for who changes nothing: what nobody has given a position yet is not counted as behind, and leases are
// compared with this machine's clock.
func (db *DB) SeeConsumers(ctx context.Context) ([]ConsumerInfo, error) {
	l, err := db.logged()
	if err != nil {
		return nil, err
	}
	rec, err := l.state.record(ctx, db.eng, l.state.whole, logRow)
	if err != nil || rec == nil { // nobody can have followed a log that is not there
		return nil, err
	}
	epoch, _ := l.state.Field("epoch")
	floor, _ := l.state.Field("floor")
	head, oldest := Position{Epoch: rec[epoch.Ord].Text()}, rec[floor.Ord].Int()
	if head.Number, err = l.last(ctx, db.eng); err != nil {
		return nil, err
	}
	first, err := l.first(ctx, db.eng)
	if err != nil {
		return nil, err
	}
	if first != nil {
		oldest = max(min(positionOf(first[spec.OrdID].Text())-1, head.Number), oldest) // the first may have no position yet
	} else {
		oldest = head.Number
	}
	return db.consumers(ctx, head, oldest, db.clock().UnixMilli())
}

// consumers tells how far each is in a log that has the positions from oldest to head.
func (db *DB) consumers(ctx context.Context, head Position, oldest, now int64) ([]ConsumerInfo, error) {
	k := db.kinds["_leases"]
	var all []ConsumerInfo
	q := &ListQuery{Collection: k.Name, Filter: `name.startsWith("` + leasePrefix + `")`, Sort: "name", Limit: 500}
	for {
		records, next, err := db.Records(ctx, System, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			l := k.lease(rec)
			info := ConsumerInfo{Name: strings.TrimPrefix(l.Name, leasePrefix), Behind: -1}
			if l.Until.UnixMilli() > now {
				info.Holder, info.Until = l.Holder, l.Until
			}
			if info.At, err = ParsePosition(l.Note); err == nil && info.At.Epoch == head.Epoch && info.At.Number >= oldest {
				info.Behind = max(0, head.Number-info.At.Number) // it may have gone on since
			}
			all = append(all, info)
		}
		if q.Cursor = next; next == "" {
			return all, nil
		}
	}
}
