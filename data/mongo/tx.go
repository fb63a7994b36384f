package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// writeTime is how long one write may take, its commit included.
const writeTime = time.Minute

var errOver = fault.New(fault.Internal, "a transaction was used after its end")

// Write runs fn in a transaction, or, where the server has none, on one document.
func (e *Engine) Write(ctx context.Context, fn func(driver.Tx) error) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	// What has started is carried through, but a server that does not answer is not waited for without end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	if !e.can.transactions {
		t := &single{e: e, in: ctx}
		defer func() { t.failed = errOver }()
		if err := fn(t); err != nil {
			return err
		}
		return t.flush(ctx)
	}
	t, err := e.begin(ctx)
	if err != nil {
		return err
	}
	return t.run(fn)
}

// tx is a transaction on a snapshot. Two that write one document do not wait for each other: the second one
// fails with a write conflict, and is run again.
type tx struct {
	e       *Engine
	in      context.Context
	finish  func(commit bool) error
	failed  error           // the first error ends it
	touched map[string]bool // collections of which documents are written, or locked
}

func (e *Engine) begin(ctx context.Context) (*tx, error) {
	in, end, err := e.server.begin(ctx)
	if err != nil {
		return nil, during(ctx, "begin", err)
	}
	return &tx{e: e, in: in, finish: end, touched: map[string]bool{}}, nil
}

// run runs fn and commits.
func (t *tx) run(fn func(driver.Tx) error) error {
	committing := false
	defer func() {
		if !committing { // refused, or a panic
			t.undo()
		}
		t.failed = errOver
	}()
	if err := fn(t); err != nil {
		return err
	}
	committing = true
	return t.commit()
}

// undo ends it without its work. Where the server is away it does so by itself.
func (t *tx) undo() { _ = t.finish(false) }

func (t *tx) commit() error {
	if t.failed != nil {
		t.undo()
		return t.failed
	}
	return classify("commit", t.finish(true))
}

func (t *tx) fail(op string, err error) error {
	err = classify(op, err)
	if err != nil && t.failed == nil {
		t.failed = err
	}
	return err
}

// locked is a field that no reader sees. What a transaction locks it writes: another that writes the same
// document, for whatever reason, conflicts with it.
const locked = "_lock"

// Rows reads in the transaction. Rows that are to be locked are read whole before they are given to yield.
func (t *tx) Rows(_ context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if t.failed != nil {
		return t.failed
	}
	q, err := known(s)
	if err != nil {
		return t.fail("read", err)
	}
	if q.q.Lock == driver.Unlocked {
		var mine error
		err := t.e.rows(t.in, q, args, func(c driver.Columns) error {
			mine = yield(c)
			return mine
		})
		if mine != nil {
			return err
		}
		return t.fail("read", err)
	}
	var rows []*columns
	ids := bson.A{}
	err = t.e.found(t.in, q, args, func(c *columns) error {
		rows = append(rows, c.clone())
		ids = append(ids, string(text(c.id)))
		return nil
	})
	if err == nil && len(ids) > 0 {
		t.touched[q.q.From.Name] = true
		_, err = t.e.server.update(t.in, q.q.From.Name, is("_id", "$in", ids), op("$inc", field(locked, int64(1))), many)
	}
	if err != nil {
		return t.fail("lock", err)
	}
	for _, c := range rows {
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

// clone is a row that outlives the document that it came from.
func (c *columns) clone() *columns {
	out := &columns{s: c.s, parent: c.parent, vals: make([]bson.RawValue, len(c.vals))}
	for i, v := range c.vals {
		out.vals[i] = bson.RawValue{Type: v.Type, Value: append([]byte(nil), v.Value...)}
	}
	return out
}

func (t *tx) Now() (int64, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	return t.e.now(t.in)
}

// now is asked beside what is under way in ctx, of which it keeps the deadline alone.
func (e *Engine) now(in context.Context) (int64, error) {
	ctx := context.Background()
	if until, ok := in.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	ms, err := e.server.now(ctx)
	return ms, classify("clock", err)
}

func (t *tx) Insert(c *spec.Collection, r driver.Record) error {
	if t.failed != nil {
		return t.failed
	}
	t.touched[c.Name] = true
	return t.fail("insert", t.e.named(t.e.server.insert(t.in, c.Name, document(c, r))))
}

func (t *tx) Update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) (bool, error) {
	if t.failed != nil {
		return false, t.failed
	}
	t.touched[c.Name] = true
	n, err := t.e.server.update(t.in, c.Name, revision(id, rev), change(c, r, ords), one)
	return n > 0, t.fail("update", t.e.named(err))
}

func (t *tx) Delete(c *spec.Collection, ids []string) (int, error) {
	if t.failed != nil || len(ids) == 0 {
		return 0, t.failed
	}
	t.touched[c.Name] = true
	n, err := t.e.server.delete(t.in, c.Name, is("_id", "$in", list(ids)))
	return int(n), t.fail("delete", err)
}

// named gives a refusal the name of the index as it was asked for.
func (e *Engine) named(err error) error {
	err = classify("write", err)
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Unique && f.Index == "" {
		return fault.Wrap(fault.Internal, "write", err)
	}
	return err
}

// document is a record as it is stored.
func document(c *spec.Collection, r driver.Record) bson.D {
	d := make(bson.D, 0, len(r))
	for i, f := range c.Fields {
		if !r[i].IsNull() {
			d = append(d, bson.E{Key: stored(f.Name), Value: encode(r[i])})
		}
	}
	return d
}

// change sets fields; those that are null are taken away.
func change(c *spec.Collection, r driver.Record, ords []int) bson.D {
	return setting(nil, c, r, ords)
}

// setting is change with what else is set.
func setting(set bson.D, c *spec.Collection, r driver.Record, ords []int) bson.D {
	unset := bson.D{}
	for _, ord := range ords {
		if name := stored(c.Fields[ord].Name); r[ord].IsNull() {
			unset = append(unset, bson.E{Key: name, Value: ""})
		} else {
			set = append(set, bson.E{Key: name, Value: encode(r[ord])})
		}
	}
	d := bson.D{}
	if len(set) > 0 {
		d = append(d, bson.E{Key: "$set", Value: set})
	}
	if len(unset) > 0 {
		d = append(d, bson.E{Key: "$unset", Value: unset})
	}
	return d
}

func revision(id string, rev int64) bson.D {
	return bson.D{{Key: "_id", Value: id}, {Key: "rev", Value: rev}}
}

func list(ids []string) bson.A {
	out := make(bson.A, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}
