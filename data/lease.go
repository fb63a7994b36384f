package data

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// Lease is the right to do something alone among all processes on one database, until it ends or is renewed. It
// ends by the database's clock. A holder that was stopped and wakes when it has ended does not know so: what must
// be done by the holder alone is done in a transaction that asks Fence.
type Lease struct {
	Name   string
	Holder string
	Term   int64     // grows each time that the lease is taken: by another, or anew after it had ended
	Until  time.Time // by the database's clock
	Note   string    // what its holders have left for the next
}

// maxName is how long the name of a lease, and of its holder, may be, in characters.
const maxName = 120

// Lease takes the lease with this name for a time, or renews it for its holder, whose name no other process may
// have. held says whether holder has it now; where another has it, the lease is that one's.
func (db *DB) Lease(ctx context.Context, name, holder string, ttl time.Duration) (l Lease, held bool, err error) {
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxName || holder == "" || utf8.RuneCountInString(holder) > maxName:
		return Lease{}, false, fault.New(fault.Internal, "a lease and its holder have names of 1 to %d characters", maxName)
	case ttl < time.Millisecond:
		return Lease{}, false, fault.New(fault.Internal, "the lease %s would have ended before it was taken", name)
	}
	for range 2 {
		err = db.commit(ctx, &System, func(w *work) (err error) {
			l, held, err = w.lease(name, holder, ttl)
			return err
		})
		if !fault.Is(err, fault.Conflict) {
			break // else it is new, and another was the first to make it
		}
	}
	if err != nil {
		return Lease{}, false, err
	}
	return l, held, nil
}

func (w *work) lease(name, holder string, ttl time.Duration) (Lease, bool, error) {
	k := w.db.kinds["_leases"]
	old, err := w.leased(name)
	if err != nil {
		return Lease{}, false, err
	}
	now, err := w.tx.Now() // behind the lock, for which it may have waited
	if err != nil {
		return Lease{}, false, err
	}
	until := expr.TimeOf(now + ttl.Milliseconds())
	if old == nil {
		rec := k.fresh(w)
		k.put(rec, "name", expr.TextOf(name))
		k.put(rec, "holder", expr.TextOf(holder))
		k.put(rec, "term", expr.IntOf(1))
		k.put(rec, "until", until)
		return k.lease(rec), true, w.insert(k, rec)
	}
	was := k.lease(old)
	running := was.Until.UnixMilli() > now
	if running && was.Holder != holder {
		return was, false, nil
	}
	rec := append(Record(nil), old...)
	k.put(rec, "holder", expr.TextOf(holder))
	k.put(rec, "until", until)
	if !running {
		k.put(rec, "term", expr.IntOf(was.Term+1))
	}
	return k.lease(rec), true, w.replace(k, old, rec)
}

// Release ends a lease before its time, if its term is not over. Another may take it at once.
func (db *DB) Release(ctx context.Context, l Lease) error {
	return db.commit(ctx, &System, func(w *work) error {
		k := w.db.kinds["_leases"]
		old, err := w.leased(l.Name)
		if err != nil || old == nil || k.lease(old).Term != l.Term {
			return err
		}
		rec := append(Record(nil), old...)
		k.put(rec, "until", expr.TimeOf(0))
		return w.replace(k, old, rec)
	})
}

// leave leaves something for those who take a lease later, if its term is not over: else its error is *termOver.
func (w *work) leave(l Lease, text string) error {
	k := w.db.kinds["_leases"]
	old, err := w.leased(l.Name)
	if err != nil {
		return err
	}
	if old == nil || k.lease(old).Term != l.Term {
		return &termOver{passedOn(l)}
	}
	rec := append(Record(nil), old...)
	k.put(rec, "note", expr.TextOf(text))
	return w.replace(k, old, rec)
}

func passedOn(l Lease) error {
	return fault.New(fault.Precondition, "the lease %s has passed on: term %d of %s is over", l.Name, l.Term, l.Holder)
}

// fence fails with fault.Precondition if the term of a lease is over. Else nobody else can take the lease before
// this transaction has ended: what it does, it does as the holder. Transactions that are fenced by one lease come
// one after the other. It is a comparison of terms, not of times: a lease that has ended and that nobody has taken
// yet still fences all others out.
func (w *work) fence(l Lease) error {
	if !w.db.eng.Caps().Transactions {
		const what = "a write that is fenced by a lease"
		return &fault.Error{Kind: fault.Capability, Op: what, Msg: "this database has no transactions, and this needs one: " + what}
	}
	rec, err := w.leased(l.Name)
	if err != nil {
		return err
	}
	if rec == nil || w.db.kinds["_leases"].lease(rec).Term != l.Term {
		return passedOn(l)
	}
	return nil
}

// leased reads a lease, to be changed; nil when there is none.
func (w *work) leased(name string) (rec Record, err error) {
	k := w.db.kinds["_leases"]
	err = w.tx.Rows(w.ctx, w.db.lease, []Value{expr.TextOf(name)}, func(cols driver.Columns) error {
		rec = k.copy(cols)
		return nil
	})
	return rec, err
}

// lease is a record of _leases as what it says.
func (k *kind) lease(rec Record) Lease {
	term, _ := k.Field("term")
	until, _ := k.Field("until")
	return Lease{Name: k.text(rec, "name"), Holder: k.text(rec, "holder"), Term: rec[term.Ord].Int(), Until: time.UnixMilli(rec[until.Ord].Int()).UTC(), Note: k.text(rec, "note")}
}
