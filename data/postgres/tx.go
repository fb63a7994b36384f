package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// tx is a write under way.
type tx struct {
	session
	id   uint64 // of the transaction, from its first change; 0: it has changed nothing
	done bool   // it is committed
}

// Write runs fn in a transaction, which begins with its first statement.
func (e *Engine) Write(ctx context.Context, fn func(driver.Tx) error) error {
	c, err := e.take(ctx)
	if err != nil {
		return err
	}
	t := &tx{session: session{e: e, c: c, begin: beginWrite, late: true}}
	defer func() { t.end(rollback) }()
	if err := fn(t); err != nil {
		return err
	}
	switch {
	case t.done:
		return nil
	case t.failed != nil:
		return t.failed
	case t.id == 0:
		return nil // nothing is changed: nobody needs to wait for the end
	default:
		return t.commit()
	}
}

// Rows reads in the transaction, which is carried through whatever becomes of its caller.
func (t *tx) Rows(_ context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return t.query(context.Background(), s, args, yield)
}

const now = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::int8"

// Now asks the server. It neither changes nor locks anything, so the transaction does not begin with it.
func (t *tx) Now() (ms int64, err error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	ctx := t.bounded(context.Background())
	err = t.attempt(ctx, t.begin != "", func(begin *prepared) error {
		p, err := t.c.prepare(ctx, now)
		if err != nil {
			return err
		}
		_, err = t.c.send(ctx, begin, []call{{p: p}}, func(_ int, r *pgconn.ResultReader) {
			for r.NextRow() {
				if v := r.Values()[0]; len(v) == 8 {
					ms = int64(binary.BigEndian.Uint64(v))
				}
			}
		})
		return err
	})
	return ms, t.fail(ctx, "clock", err)
}

func (t *tx) usable() error {
	if t.c == nil {
		return errOver
	}
	return t.failed
}

func (t *tx) Insert(c *spec.Collection, r driver.Record) error {
	if err := t.usable(); err != nil {
		return err
	}
	w := t.e.served().Writes(c)
	_, err := t.change("insert", func(b *batch) {
		b.call(w.Insert)
		for i, f := range c.Fields {
			b.add(r[i], f.Elem.Kind())
		}
		for _, s := range w.Sides {
			b.fill(s, r[spec.OrdID], r[s.Ord])
		}
	})
	return err
}

func (t *tx) Update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) (bool, error) {
	if err := t.usable(); err != nil {
		return false, err
	}
	w := t.e.served().Writes(c)
	n, err := t.change("update", func(b *batch) {
		b.call(w.Update(ords))
		for _, ord := range ords {
			b.add(r[ord], c.Fields[ord].Elem.Kind())
		}
		b.add(expr.TextOf(id), expr.Null)
		b.add(expr.IntOf(rev), expr.Null)
	})
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.refill(touched(w, ords), id, r)
}

// touched are the side tables of lists that are among the fields with these ordinals.
func touched(w *sqldb.Writes, ords []int) (sides []sqldb.Side) {
	for _, s := range w.Sides {
		if slices.Contains(ords, s.Ord) {
			sides = append(sides, s)
		}
	}
	return sides
}

// refill puts the lists of a record that has changed into their side tables.
func (t *tx) refill(sides []sqldb.Side, id string, r driver.Record) error {
	if len(sides) == 0 {
		return nil
	}
	_, err := t.change("update", func(b *batch) {
		for _, s := range sides {
			b.call(s.Delete)
			b.add(expr.ListOf(expr.TextOf(id)), expr.Text)
			b.fill(s, expr.TextOf(id), r[s.Ord])
		}
	})
	return err
}

func (t *tx) Delete(c *spec.Collection, ids []string) (int, error) {
	if err := t.usable(); err != nil || len(ids) == 0 {
		return 0, err
	}
	w := t.e.served().Writes(c)
	list := make([]expr.Value, len(ids))
	for i, id := range ids {
		list[i] = expr.TextOf(id)
	}
	return t.change("delete", func(b *batch) {
		b.call(w.Delete)
		b.add(expr.ListOf(list...), expr.Text)
		for _, s := range w.Sides {
			b.call(s.Delete)
			b.add(expr.ListOf(list...), expr.Text)
		}
	})
}

// batch is statements that travel together, of which the first says the transaction's id.
type batch struct {
	ctx   context.Context
	c     *conn
	calls []call
	err   error
}

// call begins a statement; add gives it an argument.
func (b *batch) call(sql string) {
	b.close()
	if b.err != nil {
		return
	}
	p, err := b.c.prepare(b.ctx, sql)
	b.err = err
	b.calls = append(b.calls, call{p: p, from: len(b.c.args.vals)})
}

func (b *batch) add(v expr.Value, elem expr.Kind) { b.c.args.add(v, elem) }

// close gives the last statement its arguments.
func (b *batch) close() {
	if n := len(b.calls); n > 0 {
		b.calls[n-1].vals = b.c.args.vals[b.calls[n-1].from:]
	}
}

// fill puts a list's items into its side table.
func (b *batch) fill(s sqldb.Side, id, list expr.Value) {
	if len(list.List()) > 0 {
		b.call(s.Fill)
		b.add(list, s.Elem)
		b.add(id, expr.Null)
	}
}

// change sends what build makes and says how many rows the first statement changed.
func (t *tx) change(op string, build func(*batch)) (n int, err error) {
	ctx := t.bounded(context.Background())
	err = t.first(ctx, func(begin *prepared) error {
		if n = 0; !t.sent {
			t.id = 0 // run again on another connection, in another transaction
		}
		t.c.args.reset()
		b := batch{ctx: ctx, c: t.c}
		build(&b)
		if b.close(); b.err != nil {
			return b.err
		}
		_, err := t.c.send(ctx, begin, b.calls, func(i int, r *pgconn.ResultReader) {
			for i == 0 && r.NextRow() {
				n++
				t.told(r)
			}
		})
		return err
	})
	return n, t.refusal(ctx, op, err)
}

// told takes the transaction's id from the row of a change.
func (t *tx) told(r *pgconn.ResultReader) {
	if v := r.Values(); t.id == 0 && len(v) == 1 && len(v[0]) == 8 {
		t.id = binary.BigEndian.Uint64(v[0])
	}
}

// InsertAll sends the questions after what the records refer to, one for each collection, and the inserts
// behind them in one round trip, with the BEGIN if it is due.
func (t *tx) InsertAll(all []driver.Insertion) (at int, err error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	if len(all) >= fewTogether && together(all) == len(all) && !sqldb.Refer(all) {
		if ok, err := t.insertTogether(all); ok {
			return len(all), nil
		} else if err != nil {
			return 0, err
		}
	}
	targets := sqldb.Targets(all)
	var there []map[string]bool
	var firsts []int // the first statement of each record
	done := 0
	ctx := t.bounded(context.Background())
	err = t.first(ctx, func(begin *prepared) (err error) {
		there, firsts, done = make([]map[string]bool, len(targets)), firsts[:0], 0
		t.c.args.reset()
		b := batch{ctx: ctx, c: t.c}
		for i, target := range targets {
			there[i] = map[string]bool{}
			b.call(`SELECT "id" FROM ` + q(target.C.Name) + ` WHERE "id" = ANY ($1)` + dialect{}.Lock(driver.LockStay))
			b.add(expr.ListOf(target.IDs()...), expr.Text)
		}
		for _, one := range all {
			firsts = append(firsts, len(b.calls))
			w := t.e.served().Writes(one.C)
			b.call(w.Insert)
			for i, f := range one.C.Fields {
				b.add(one.R[i], f.Elem.Kind())
			}
			for _, s := range w.Sides {
				b.fill(s, one.R[spec.OrdID], one.R[s.Ord])
			}
		}
		if b.close(); b.err != nil {
			return b.err
		}
		done, err = t.c.send(ctx, begin, b.calls, func(i int, r *pgconn.ResultReader) {
			for r.NextRow() {
				if i < len(targets) {
					there[i][string(r.Values()[0])] = true
				} else {
					t.told(r)
				}
			}
		})
		return err
	})
	for at = 0; at < len(firsts) && (err == nil || at+1 < len(firsts) && firsts[at+1] <= done); at++ {
		if sqldb.Missing(targets, there, &all[at]) {
			break
		}
	}
	err = t.refusal(ctx, "insert", err)
	if err != nil && done >= len(targets) && len(firsts) > 0 && sqldb.Missing(targets, there, &all[at]) {
		return at, nil // it was asked for before
	}
	return at, err
}

// refusal names the unique index that refused a row. The transaction is over then, so the catalogue is
// asked outside of it.
func (t *tx) refusal(ctx context.Context, op string, err error) error {
	err = t.fail(ctx, op, err)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Unique {
		return err
	}
	sqlname := f.Index
	f.Index = "id"
	if t.c.pg.TxStatus() != 'I' {
		if err := t.c.run(ctx, rollback); err != nil {
			return t.fail(ctx, op, err)
		}
	}
	find := t.c.each(ctx, `SELECT "name" FROM "_indexes" WHERE "sqlname" = $1`, nil, func(cols *columns) error {
		f.Index = string(cols.raw[0])
		return nil
	}, expr.TextOf(sqlname))
	if find != nil {
		return t.fail(ctx, op, find)
	}
	return f
}

// Tells: each change says the transaction, for a commit whose answer is lost.
func (dialect) Tells() string { return " RETURNING pg_current_xact_id()" }

// Delete takes a list of values.
func (d dialect) Delete(table, column string) string {
	return "DELETE FROM " + d.Quote(table) + " WHERE " + d.Quote(column) + " = ANY ($1)"
}

// Fill takes a list. What it has twice is once in the table.
func (d dialect) Fill(side string, elem expr.Kind) string {
	return "INSERT INTO " + d.Quote(side) + ` ("value", "id") SELECT DISTINCT v, $2 FROM unnest($1::` + typeOf(expr.List, elem) + ") v"
}
