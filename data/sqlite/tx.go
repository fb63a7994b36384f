package sqlite

import (
	"context"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// tx is one request's part of the group's transaction.
type tx struct {
	e *Engine
	c *conn // nil when the request is over
}

var errOver = fault.New(fault.Internal, "a transaction was used after its end")

var _ driver.Noter = (*tx)(nil)

// Note is begun anew by the writer.
func (t *tx) Note() *int64 { return &t.c.note }

// Rows reads in the transaction. ctx does not interrupt it: others share the connection.
func (t *tx) Rows(_ context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if t.c == nil {
		return errOver
	}
	return rows(context.Background(), t.c, s, args, yield)
}

// Now is the machine's clock, which all processes share that can have the file open.
func (t *tx) Now() (int64, error) {
	if t.c == nil {
		return 0, errOver
	}
	return time.Now().UnixMilli(), nil
}

func (t *tx) Update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) (bool, error) {
	if t.c == nil {
		return false, errOver
	}
	w := t.e.served().Writes(c)
	by := [...]expr.Value{expr.TextOf(id), expr.IntOf(rev), expr.IntOf(sqldb.RowNumber(id))}
	n, err := t.c.update(w.NumberedUpdate(ords), r, ords, by[:])
	if n == 0 && err == nil {
		n, err = t.c.update(w.Update(ords), r, ords, by[:2])
	}
	if err != nil {
		return false, t.refusal("update", err, c, expr.Value{})
	}
	if n == 0 {
		return false, nil
	}
	for _, s := range w.Sides {
		for _, ord := range ords {
			if ord != s.Ord {
				continue
			}
			if err := t.c.run(s.Delete, expr.TextOf(id)); err != nil {
				return false, classify("update", err)
			}
			if err := t.c.fill(s, id, r[ord]); err != nil {
				return false, classify("update", err)
			}
		}
	}
	return true, nil
}

// update sets some fields of the row with the values by, and tells how many there are.
func (c *conn) update(sql string, r driver.Record, ords []int, by []expr.Value) (int, error) {
	p, err := c.take(sql)
	if err != nil {
		return 0, err
	}
	defer c.leave(p)
	for i, ord := range ords {
		c.bind(p, i+1, r[ord])
	}
	for i, v := range by {
		c.bind(p, len(ords)+i+1, v)
	}
	if _, err := p.Step(); err != nil {
		return 0, err
	}
	return c.c.Changes(), nil
}

func (t *tx) Delete(c *spec.Collection, ids []string) (int, error) {
	if t.c == nil {
		return 0, errOver
	}
	w := t.e.served().Writes(c)
	n := 0
	for _, id := range ids {
		if err := t.c.run(w.Delete, expr.TextOf(id)); err != nil {
			return n, classify("delete", err)
		}
		gone := t.c.c.Changes()
		n += gone
		for _, s := range w.Sides {
			if gone == 0 {
				break
			}
			if err := t.c.run(s.Delete, expr.TextOf(id)); err != nil {
				return n, classify("delete", err)
			}
		}
	}
	return n, nil
}

// Tells: the connection says how many rows were changed.
func (dialect) Tells() string { return "" }

func (d dialect) Delete(table, column string) string { return sqldb.Delete(d, table, column) }

// Fill takes one item at a time.
func (d dialect) Fill(side string, _ expr.Kind) string {
	return "INSERT OR IGNORE INTO " + d.Quote(side) + ` ("value", "id") VALUES (?1, ?2)`
}
