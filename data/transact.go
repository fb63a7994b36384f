package data

import (
	"context"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// Tx is a write of several steps in one transaction, for Go code. It belongs to the function that was given it, and
// to its goroutine. Its first error ends it: nothing of it is stored, whatever is done after.
type Tx struct {
	w      *work
	by     *Caller // instead of who writes; nil: he
	failed error
	apart  func(func(*work) error) error // each step is a write by itself; nil: all are one
}

// Transact runs do in a transaction, as by. What it returns without an error is on disk.
//
// do may run again, when the transaction met another in its way: it does nothing that cannot be undone, and keeps
// nothing of a run before. What has effects outside is a job. A value that is taken, and a reference that leads to
// nothing, may be told only by a later step, or by Transact itself: what is written waits, to be stored together.
func (db *DB) Transact(ctx context.Context, by Caller, do func(*Tx) error) error {
	return db.commit(ctx, &by, func(w *work) error {
		w.bare = true
		return w.steps(do)
	})
}

// Series is Transact where the database has transactions. Where it has none, each step is a write by itself: those
// before one that fails, or before the process ends, have been done. So it is for what is in order after any of its steps.
func (db *DB) Series(ctx context.Context, by Caller, do func(*Tx) error) error {
	if db.eng.Caps().Transactions {
		return db.Transact(ctx, by, do)
	}
	t := &Tx{apart: func(step func(*work) error) error {
		return db.commit(ctx, &by, func(w *work) error {
			w.bare = true
			return step(w)
		})
	}}
	defer func() { t.failed = errTxOver }()
	if err := do(t); err != nil {
		return err
	}
	return t.failed
}

// steps runs do as a part of a write.
func (w *work) steps(do func(*Tx) error) error {
	t := &Tx{w: w}
	defer func() { t.failed = errTxOver }()
	if err := do(t); err != nil {
		return err
	}
	return t.failed
}

var errTxOver = fault.New(fault.Internal, "a transaction was used after its end")

func (t *Tx) fail(err error) error {
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// in does a part of the transaction.
func (t *Tx) in(do func(*work) error) error {
	switch {
	case t.failed != nil:
		return t.failed
	case t.apart != nil:
		return t.fail(t.apart(do))
	}
	return t.fail(do(t.w))
}

// as makes its caller the one who writes, until what it returns is called.
func (t *Tx) as(w *work) func() {
	by, bare := w.by, w.bare
	if w.bare = true; t.by != nil {
		w.by = t.by
	}
	return func() { w.by, w.bare = by, bare }
}

// step does one operation as DB's method of the same name would, but for preconditions and the answer's body.
func (t *Tx) step(op Operation) (r Reply, err error) {
	err = t.in(func(w *work) error {
		defer t.as(w)()
		act, err := w.db.plan(w.by, op)
		if err != nil {
			return err
		}
		r, err = act(w)
		return err
	})
	return r, err
}

// Create makes a record. The reply has no body.
func (t *Tx) Create(collection string, body *doc.Node) (Reply, error) {
	return t.step(Operation{Op: "create", Collection: collection, Body: body})
}

// Update changes a record by a JSON merge patch. The reply has no body.
func (t *Tx) Update(collection, id string, patch *doc.Node) (Reply, error) {
	return t.step(Operation{Op: "update", Collection: collection, ID: id, Body: patch})
}

// UpdateAt is Update of a record that is still of a revision. If it is of another it is fault.Precondition, and the record stays
// as it is: of all who found it at that revision one changes it, without transactions too.
func (t *Tx) UpdateAt(collection, id string, rev int64, patch *doc.Node) (Reply, error) {
	return t.step(Operation{Op: "update", Collection: collection, ID: id, Body: patch, IfMatch: &Match{Revs: []int64{rev}}})
}

// Delete removes a record and what its references say goes with it.
func (t *Tx) Delete(collection, id string) error {
	_, err := t.step(Operation{Op: "delete", Collection: collection, ID: id})
	return err
}

// Record reads a record, which nobody else changes or deletes until the transaction ends: plain, encrypted fields
// opened. Fields that the caller may not read are null. It is nil where there is none that he may read.
func (t *Tx) Record(collection, id string) (rec Record, err error) {
	err = t.in(func(w *work) error {
		defer t.as(w)()
		rec, err = w.readable(collection, id)
		return err
	})
	return rec, err
}

// readable reads a record as its caller may read it, to be changed; nil where there is none for him.
func (w *work) readable(collection, id string) (Record, error) {
	k, err := w.db.collection(*w.by, collection)
	if err != nil {
		return nil, err
	}
	rec, err := k.record(w.ctx, w.tx, k.lock, id)
	if err != nil || rec == nil {
		return nil, err
	}
	if err := w.db.keys.open(k.Collection, rec); err != nil {
		return nil, err
	}
	may, err := w.holds(k.Access.Read, rec)
	if err != nil || !may {
		return nil, err
	}
	readable, err := w.db.readableFields(w.by, k, rec, w.fetch())
	if err != nil {
		return nil, err
	}
	for ord, ok := range readable {
		if !ok {
			rec[ord] = expr.Value{}
		}
	}
	return rec, nil
}

// Fence fails with fault.Precondition if the term of a lease is over. Else nobody else can take the lease before
// this transaction has ended: what it does, it does as the holder. It is a comparison of terms, not of times: a
// lease that has ended and that nobody has taken since still fences all others out.
func (t *Tx) Fence(l Lease) error {
	return t.in(func(w *work) error { return w.fence(l) })
}

// Now is what time it is by the database's clock.
func (t *Tx) Now() (ms int64, err error) {
	err = t.in(func(w *work) error {
		ms, err = w.tx.Now()
		return err
	})
	return ms, err
}
