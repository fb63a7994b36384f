package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// What a write has left to the end, and is all it changes, travels with its commit: statements that end with one
// Sync are a transaction by themselves, which the server commits at the Sync, or undoes at the first error
// (PostgreSQL's manual, 55.2.2 "Pipelining"). Its isolation is the connection's default, which is set.
//
// Nothing can be decided here between two of the statements. So a statement that must have found something fails
// where it has not: it divides by how many are missing. What was refused so is done once more, one after the
// other, to find out why; there is no such error otherwise.
const divided = "22012" // division_by_zero

var _ driver.Finisher = (*tx)(nil)

// Finish commits in one round trip where nothing was begun yet.
func (t *tx) Finish(u *driver.Revision, all []driver.Insertion) (at int, err error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	if t.begin == "" || !t.c.quiet() || u == nil && together(all) {
		return t.stepwise(u, all)
	}
	f := &finish{t: t, u: u, all: all, ctx: t.bounded(context.Background())}
	if !f.build() {
		return t.stepwise(u, all) // a statement cannot be prepared, which is told there
	}
	f.send()
	var refused *pgconn.PgError
	switch told := errors.As(f.err, &refused) && refused.SeverityUnlocalized == "ERROR"; {
	case f.err == nil:
		t.done = f.missing < 0
		return f.stop(f.missing)
	case told && refused.Code == divided:
		return t.stepwise(u, all)
	case told:
		at := f.place()
		return at, t.refusal(f.ctx, "store", f.err)
	}
	if err := t.settle(f.trace(), f.err); err != nil {
		t.failed = err
		return f.count(), err
	}
	t.done = true
	return f.count(), nil
}

// stepwise does what is left one after the other.
func (t *tx) stepwise(u *driver.Revision, all []driver.Insertion) (at int, err error) {
	if u != nil {
		if was, err := t.revise(u); err != nil || !was {
			return 0, err
		}
		at = 1
	}
	if len(all) > 0 {
		n, err := t.InsertAll(all)
		if at += n; err != nil || n < len(all) {
			return at, err
		}
	}
	if err := t.commit(); err != nil {
		t.failed = err
		return at, err
	}
	t.done = true
	return at, nil
}

// finish is statements that are a transaction.
type finish struct {
	t   *tx
	ctx context.Context
	u   *driver.Revision
	all []driver.Insertion

	calls   []call
	firsts  []int // the first statement of u and of each record
	only    bool  // there is one statement, and it must change a row
	done    int
	missing int // of what is done: it changed nothing; -1: there is none
	err     error
}

func (f *finish) count() int {
	if f.u != nil {
		return len(f.all) + 1
	}
	return len(f.all)
}

// build makes the statements.
func (f *finish) build() bool {
	f.t.c.args.reset()
	b := &batch{ctx: f.ctx, c: f.t.c}
	served := f.t.e.served()
	if f.u != nil {
		f.firsts = append(f.firsts, 0)
		f.revise(b, served.Writes(f.u.C))
	}
	if len(f.all) == 1 && f.u == nil {
		if to := f.all[0].Refers; len(to) == 1 {
			w := served.Writes(f.all[0].C)
			if f.only = !fills(w, f.all[0].R); f.only {
				f.firsts = append(f.firsts, 0)
				b.call(w.Referring(to[0].C.Name, 0))
				b.record(f.all[0])
				b.add(expr.TextOf(to[0].ID), expr.Null)
				return f.close(b)
			}
		}
	}
	for _, target := range sqldb.Targets(f.all) {
		ids := target.IDs()
		b.call(`SELECT 1 / ((SELECT count(*) FROM (SELECT FROM ` + q(target.C.Name) + ` WHERE "id" = ANY ($1)` + dialect{}.Lock(driver.LockStay) + `) r) = $2)::int`)
		b.add(expr.ListOf(ids...), expr.Text)
		b.add(expr.IntOf(int64(len(ids))), expr.Null)
	}
	for _, one := range f.all {
		f.firsts = append(f.firsts, len(b.calls))
		w := served.Writes(one.C)
		b.call(w.Plain)
		b.record(one)
		for _, s := range w.Sides {
			b.fill(s, one.R[spec.OrdID], one.R[s.Ord])
		}
	}
	return f.close(b)
}

func (f *finish) close(b *batch) bool {
	b.close()
	f.calls = b.calls
	return b.err == nil
}

// fills says that a record has items for side tables.
func fills(w *sqldb.Writes, r driver.Record) bool {
	for _, s := range w.Sides {
		if len(r[s.Ord].List()) > 0 {
			return true
		}
	}
	return false
}

// record gives a statement the values of a record.
func (b *batch) record(one driver.Insertion) {
	for i, f := range one.C.Fields {
		b.add(one.R[i], f.Elem.Kind())
	}
}

// revise changes the record that u says. It may be followed by others.
func (f *finish) revise(b *batch, w *sqldb.Writes) {
	u, sides := f.u, touched(w, f.u.Ords)
	f.only = len(f.all) == 0 && len(sides) == 0
	sql := w.Revision(u.Ords)
	if !f.only {
		sql = "WITH u AS (" + sql + " RETURNING 1) SELECT 1 / (SELECT count(*) FROM u)"
	}
	b.revision(sql, u)
	for _, s := range sides {
		b.call(s.Delete)
		b.add(expr.ListOf(expr.TextOf(u.ID)), expr.Text)
		b.fill(s, expr.TextOf(u.ID), u.R[s.Ord])
	}
}

func (b *batch) revision(sql string, u *driver.Revision) {
	b.call(sql)
	for _, ord := range u.Ords {
		b.add(u.R[ord], u.C.Fields[ord].Elem.Kind())
	}
	b.add(expr.TextOf(u.ID), expr.Null)
	b.add(expr.IntOf(u.Rev), expr.Null)
	b.add(u.R[spec.OrdCreated], expr.Null)
}

// send sends the statements and sees what became of them.
func (f *finish) send() {
	f.missing = -1
	f.done, f.err = f.t.c.send(f.ctx, nil, f.calls, func(i int, r *pgconn.ResultReader) {
		tag, err := r.Close()
		if f.only && err == nil && tag.RowsAffected() == 0 {
			f.missing = 0
		}
	})
}

// stop is the answer where the statement of that number changed nothing, or all are done.
func (f *finish) stop(at int) (int, error) {
	if at < 0 {
		return f.count(), nil
	}
	if f.u == nil {
		f.all[at].Refers[0].Missing = true
	}
	return at, nil
}

// place is whose statement was refused; of the commit, where all were done.
func (f *finish) place() int {
	at := 0
	for at+1 < len(f.firsts) && f.firsts[at+1] <= f.done {
		at++
	}
	if f.done == len(f.calls) {
		at = f.count()
	}
	return at
}

// trace is by what the transaction can be recognised.
func (f *finish) trace() trace {
	if f.u != nil {
		return revised(f.u)
	}
	return trace{c: f.all[0].C, id: f.all[0].R[spec.OrdID], created: f.all[0].R[spec.OrdCreated]}
}

// revise is Update of a record that was created when u says.
func (t *tx) revise(u *driver.Revision) (bool, error) {
	if err := t.usable(); err != nil {
		return false, err
	}
	w := t.e.served().Writes(u.C)
	n, err := t.change("update", func(b *batch) { b.revision(w.Revision(u.Ords)+dialect{}.Tells(), u) })
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.refill(touched(w, u.Ords), u.ID, u.R)
}
