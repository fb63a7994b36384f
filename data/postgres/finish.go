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
	ctx := t.bounded(context.Background())
	if t.begin == "" || !t.c.there() {
		return t.stepwise(u, all)
	}
	f := &finish{t: t, u: u, all: all, ctx: ctx}
	if !f.build() {
		return t.stepwise(u, all) // a statement cannot be prepared, which is told there
	}
	f.send()
	var refused *pgconn.PgError
	switch told := errors.As(f.err, &refused) && refused.SeverityUnlocalized == "ERROR"; {
	case f.err == nil:
		t.done = f.missing < 0
		return f.stop(f.missing)
	case told && (refused.Code == divided || f.several):
		return t.stepwise(u, all)
	case told:
		at := f.place()
		if at < f.count() && sqldb.Named(refused.TableName) == f.second && f.second != "" {
			at = f.count() - 1
		}
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
	firsts  []int  // the first statement of u and of each record
	only    bool   // there is one statement, and it must change a row
	second  string // the table of the second record of the one statement
	several bool   // a statement stores more than one record
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

// build makes the statements: one, if it can be.
func (f *finish) build() bool {
	f.t.c.args.reset()
	b := &batch{ctx: f.ctx, c: f.t.c}
	served := f.t.e.served()
	if f.chain(b, served) {
		return f.close(b)
	}
	if f.u != nil {
		f.firsts = append(f.firsts, 0)
		f.revise(b, served.Writes(f.u.C))
	}
	for _, target := range sqldb.Targets(f.all) {
		ids := target.IDs()
		b.call(`SELECT 1 / ((SELECT count(*) FROM (SELECT FROM ` + q(target.C.Name) + ` WHERE "id" = ANY ($1)` + dialect{}.Lock(driver.LockStay) + `) r) = $2)::int`)
		b.add(expr.ListOf(ids...), expr.Text)
		b.add(expr.IntOf(int64(len(ids))), expr.Null)
	}
	for rest := f.all; len(rest) > 0; {
		w, n := served.Writes(rest[0].C), together(rest)
		if f.several = f.several || n > 1; n > 1 {
			b.call(insertSome(rest[0].C))
			b.columns(rest[:n])
		} else {
			b.call(w.Plain)
			b.record(rest[0])
		}
		for range n {
			f.firsts = append(f.firsts, len(b.calls)-1)
		}
		for _, s := range w.Sides {
			if n == 1 {
				b.fill(s, rest[0].R[spec.OrdID], rest[0].R[s.Ord])
			}
		}
		rest = rest[n:]
	}
	return f.close(b)
}

// chain makes one statement of a change of a record, or of a new record that refers to one other at most, and of another
// new one, if there is one: that is stored if the first was. It costs the server less than one after the other.
func (f *finish) chain(b *batch, served *sqldb.Served) bool {
	var c *spec.Collection
	var first string
	rest := f.all
	if f.u != nil {
		w := served.Writes(f.u.C)
		if len(touched(w, f.u.Ords)) > 0 {
			return false
		}
		c, first, f.only = f.u.C, w.Revision(f.u.Ords), true
	} else {
		w := served.Writes(f.all[0].C)
		if len(f.all[0].Refers) > 1 || fills(w, f.all[0].R) {
			return false
		}
		c, first, rest = f.all[0].C, w.Plain, f.all[1:]
		if f.only = len(f.all[0].Refers) == 1; f.only {
			first = w.Referring(f.all[0].Refers[0].C.Name, 0)
		}
	}
	if len(rest) > 1 || len(rest) == 1 && (rest[0].C == c || len(rest[0].Refers) > 0 || fills(served.Writes(rest[0].C), rest[0].R)) {
		f.only = false
		return false
	}
	if len(rest) == 1 {
		bound := len(c.Fields)
		switch {
		case f.u != nil:
			bound = len(f.u.Ords) + 3
		case f.only:
			bound++
		}
		first = served.Writes(rest[0].C).Following(first, bound)
	}
	b.call(first)
	if f.u != nil {
		b.revision(f.u)
	} else {
		b.record(f.all[0])
		for _, r := range f.all[0].Refers {
			b.add(expr.TextOf(r.ID), expr.Null)
		}
	}
	f.firsts = []int{0}
	for _, one := range rest {
		b.record(one)
		f.second = one.C.Name
	}
	return true
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
	u := f.u
	b.call("WITH u AS (" + w.Revision(u.Ords) + " RETURNING 1) SELECT 1 / (SELECT count(*) FROM u)")
	b.revision(u)
	for _, s := range touched(w, u.Ords) {
		b.call(s.Delete)
		b.add(expr.ListOf(expr.TextOf(u.ID)), expr.Text)
		b.fill(s, expr.TextOf(u.ID), u.R[s.Ord])
	}
}

// revision gives Writes.Revision its arguments.
func (b *batch) revision(u *driver.Revision) {
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
	n, err := t.change("update", func(b *batch) {
		b.call(w.Revision(u.Ords) + dialect{}.Tells())
		b.revision(u)
	})
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.refill(touched(w, u.Ords), u.ID, u.R)
}
