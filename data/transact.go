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

// as makes its caller the one who writes, until what it returns is called.
func (t *Tx) as() func() {
	w := t.w
	by, bare := w.by, w.bare
	if w.bare = true; t.by != nil {
		w.by = t.by
	}
	return func() { w.by, w.bare = by, bare }
}

// step does one operation as DB's method of the same name would, but for preconditions and the answer's body.
func (t *Tx) step(op Operation) (Reply, error) {
	if t.failed != nil {
		return Reply{}, t.failed
	}
	defer t.as()()
	act, err := t.w.db.plan(t.w.by, op)
	if err != nil {
		return Reply{}, t.fail(err)
	}
	r, err := act(t.w)
	return r, t.fail(err)
}

// Create makes a record. The reply has no body.
func (t *Tx) Create(collection string, body *doc.Node) (Reply, error) {
	return t.step(Operation{Op: "create", Collection: collection, Body: body})
}

// Update changes a record by a JSON merge patch. The reply has no body.
func (t *Tx) Update(collection, id string, patch *doc.Node) (Reply, error) {
	return t.step(Operation{Op: "update", Collection: collection, ID: id, Body: patch})
}

// Delete removes a record and what its references say goes with it.
func (t *Tx) Delete(collection, id string) error {
	_, err := t.step(Operation{Op: "delete", Collection: collection, ID: id})
	return err
}

// Record reads a record, which nobody else changes or deletes until the transaction ends: plain, encrypted fields
// opened. Fields that the caller may not read are null. It is nil where there is none that he may read.
func (t *Tx) Record(collection, id string) (Record, error) {
	if t.failed != nil {
		return nil, t.failed
	}
	defer t.as()()
	k, err := t.w.db.collection(*t.w.by, collection)
	if err != nil {
		return nil, t.fail(err)
	}
	rec, err := k.record(t.w.ctx, t.w.tx, k.lock, id)
	if err != nil || rec == nil {
		return nil, t.fail(err)
	}
	if err := t.w.db.keys.open(k.Collection, rec); err != nil {
		return nil, t.fail(err)
	}
	may, err := t.w.holds(k.Access.Read, rec)
	if err != nil || !may {
		return nil, t.fail(err)
	}
	readable, err := t.w.db.readableFields(t.w.by, k, rec, t.w.fetch())
	if err != nil {
		return nil, t.fail(err)
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
	if t.failed != nil {
		return t.failed
	}
	return t.fail(t.w.fence(l))
}

// Now is what time it is by the database's clock.
func (t *Tx) Now() (ms int64, err error) {
	if t.failed != nil {
		return 0, t.failed
	}
	ms, err = t.w.tx.Now()
	return ms, t.fail(err)
}
