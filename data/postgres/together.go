package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// fewTogether is from how many records on one statement for all of them is worth its savepoint.
const fewTogether = 16

// together is how many of the first records can be inserted by one statement: they are of one collection and have no
// lists, for an array of arrays would have one length.
func together(all []driver.Insertion) (n int) {
	c := all[0].C
	for n < len(all) && all[n].C == c {
		for i, f := range c.Fields {
			if f.Kind() == expr.List && !all[n].R[i].IsNull() {
				return max(n, 1)
			}
		}
		n++
	}
	return n
}

// columns gives insertSome the values of records.
func (b *batch) columns(all []driver.Insertion) {
	for i, f := range all[0].C.Fields {
		if f.Kind() != expr.List {
			b.c.args.column(f.Kind(), len(all), func(n int) expr.Value { return all[n].R[i] })
		}
	}
}

// insertTogether inserts records by one statement, to which each field comes as an array. Where one of them is refused
// none is there, and ok is false: one after the other shows which. That is what the savepoint is for.
func (t *tx) insertTogether(all []driver.Insertion) (ok bool, err error) {
	c := all[0].C
	ctx := t.bounded(context.Background())
	err = t.first(ctx, func(begin *prepared) error {
		if !t.sent {
			t.id = 0 // run again on another connection, in another transaction
		}
		t.c.args.reset()
		b := batch{ctx: ctx, c: t.c}
		b.call(`SAVEPOINT "together"`)
		b.call(insertSome(c) + dialect{}.Tells())
		b.columns(all)
		b.call(`RELEASE SAVEPOINT "together"`)
		if b.close(); b.err != nil {
			return b.err
		}
		_, err := t.c.send(ctx, begin, b.calls, func(i int, r *pgconn.ResultReader) {
			for i == 1 && r.NextRow() {
				t.told(r)
			}
		})
		return err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" {
		t.sent = true
		return false, t.fail(ctx, "insert", t.c.run(ctx, `ROLLBACK TO SAVEPOINT "together"`))
	}
	return err == nil, t.fail(ctx, "insert", err)
}

// insertSome is the statement that inserts records whose fields come as arrays.
func insertSome(c *spec.Collection) string {
	var names, arrays strings.Builder
	n := 0
	for _, f := range c.Fields {
		if f.Kind() == expr.List {
			continue
		}
		if n++; n > 1 {
			names.WriteString(", ")
			arrays.WriteString(", ")
		}
		names.WriteString(q(f.Name))
		arrays.WriteString("$" + strconv.Itoa(n) + "::" + typeOf(expr.List, f.Kind()))
	}
	return "INSERT INTO " + q(c.Name) + " (" + names.String() + ") SELECT * FROM unnest(" + arrays.String() + ")"
}
