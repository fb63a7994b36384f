package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A write that is one statement is a transaction by itself where autocommit is on, and one round trip. New records of
// one collection are such a statement together with the question after what they refer to: the revision of the first
// is divided by whether all of it is there and locked, and to divide by zero is an error that nothing else makes
// (sql_mode ERROR_FOR_DIVISION_BY_ZERO). Then the same is done once more, one after the other, to find out what is missing.
const divided = 1365 // ER_DIVISION_BY_ZERO

var _ driver.Finisher = (*tx)(nil)

// Finish commits in one round trip where nothing was begun yet and one statement does it all (see compound).
func (t *tx) Finish(u *driver.Revision, all []driver.Insertion) (at int, err error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	if !t.late {
		return t.stepwise(u, all)
	}
	sql, args := t.e.whole(u, all)
	several := sql == ""
	if several {
		sql, args = t.e.compound(u, all)
	}
	if sql == "" {
		return t.stepwise(u, all)
	}
	if err := t.connect(context.Background(), reading); err != nil {
		return 0, err
	}
	ctx := t.bounded(context.Background())
	p, err := t.c.prepare(ctx, sql)
	if err != nil || t.c.Mode != reading {
		return t.stepwise(u, all) // it is told there
	}
	defer t.c.done(p)
	t.c.settle()
	result, err := p.Exec(args)
	var told *mysql.MySQLError
	switch ours := errors.As(err, &told) && !cutOff(told.Number); {
	case several && err == nil:
		t.done = true
		return count(u, all), nil
	case several && ours:
		return t.undone(ctx, u, all, told, err)
	case err == nil:
		n, err := result.RowsAffected()
		if t.done = err != nil || n > 0; t.done {
			return count(u, all), nil
		}
		if u == nil {
			for i := range all[0].Refers {
				all[0].Refers[i].Missing = true // it is one, perhaps named twice
			}
		}
		return 0, nil
	case errors.Is(err, mysql.ErrPktTooLarge), errors.Is(err, sqldriver.ErrBadConn), ours && told.Number == divided, ours && len(all) > 1:
		_ = t.c.failed(err)
		return t.stepwise(u, all) // nothing of it was done
	case ours:
		c := t.c.failed(err)
		if u != nil {
			return 0, t.refusal(ctx, "update", u.C, c)
		}
		return 0, t.refusal(ctx, "insert", all[0].C, c)
	}
	if u != nil {
		t.trace.revised(u.C, u.ID, u.Rev, u.R, u.Ords)
	} else {
		t.trace.inserted(all[0].C, all[0].R)
	}
	if err := t.resolve(t.c.failed(err), true); err != nil {
		t.failed = err
		return count(u, all), err
	}
	t.done = true
	return count(u, all), nil
}

// undone is what becomes of a compound statement that ended with an error.
func (t *tx) undone(ctx context.Context, u *driver.Revision, all []driver.Insertion, told *mysql.MySQLError, err error) (at int, _ error) {
	_ = t.c.failed(err)
	if err := t.c.exec(ctx, "ROLLBACK"); err != nil {
		return 0, t.fail(ctx, "store", err)
	}
	switch why := classify("store", err); {
	case told.Number == unfound && u != nil && !sqldb.Refer(all):
		return 0, nil
	case told.Number != unfound && (fault.Is(why, fault.Retry) || fault.Is(why, fault.Unavailable) || fault.Is(why, fault.Full)):
		return 0, t.fail(ctx, "store", err)
	}
	return t.stepwise(u, all)
}

func count(u *driver.Revision, all []driver.Insertion) int {
	if u != nil {
		return len(all) + 1
	}
	return len(all)
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

// whole is the statement that does it all, with its arguments, if there is one.
func (e *Engine) whole(u *driver.Revision, all []driver.Insertion) (string, []sqldriver.Value) {
	if u != nil {
		w := e.served().Writes(u.C)
		if len(all) > 0 || touches(w, u.Ords) {
			return "", nil
		}
		return w.Revision(u.Ords), revision(u)
	}
	c, length := all[0].C, 0
	w := e.served().Writes(c)
	for _, one := range all {
		length += textLength(one.R)
		if one.C != c {
			return "", nil
		}
	}
	targets := sqldb.Targets(all)
	// A table that is changed cannot be asked (ER_UPDATE_TABLE_USED).
	if len(targets) == 1 && targets[0].C.Name == c.Name || len(w.Sides) > 0 || len(targets) > 1 || length > insertedBytes {
		return "", nil
	}
	if len(targets) == 0 {
		args := make([]sqldriver.Value, 0, len(all)*len(c.Fields))
		return w.Inserts(len(all)), appendRecords(args, all)
	}
	ids := targets[0].IDs()
	if len(all) == 1 && len(ids) == 1 { // found and stored in one go: it costs the server less
		args := appendRecords(make([]sqldriver.Value, 0, len(c.Fields)+1), all)
		by := reference(&all[0], targets[0].C, ids[0])
		if by > 0 {
			args = slices.Delete(args, by, by+1)
		}
		return w.Referring(targets[0].C.Name, by), append(args, ids[0].Text())
	}
	size := stepped(len(ids))
	if size > mostDeleted {
		return "", nil
	}
	sql := e.referring(w, c, len(all), targets[0].C.Name, size)
	if len(sql) > keptLength {
		return "", nil
	}
	args := make([]sqldriver.Value, 0, len(all)*len(c.Fields)+size+1)
	for i, f := range c.Fields {
		args = append(args, bound(all[0].R[i], f.Elem.Kind()))
		if i == spec.OrdRev {
			for n := range size {
				args = append(args, ids[min(n, len(ids)-1)].Text())
			}
			args = append(args, int64(len(ids)))
		}
	}
	return sql, appendRecords(args, all[1:])
}

// reference is the ordinal of the field that is this id of another collection, if one is: what is found to be there
// need not be sent twice.
func reference(one *driver.Insertion, to *spec.Collection, id expr.Value) int {
	for _, f := range one.C.Fields {
		if f.Type == spec.Ref && f.To == to.Name && one.R[f.Ord].Kind() == expr.Text && one.R[f.Ord].Text() == id.Text() {
			return f.Ord
		}
	}
	return 0
}

// appendRecords appends the values of records. Most were made at the same time, which is written once.
func appendRecords(args []sqldriver.Value, all []driver.Insertion) []sqldriver.Value {
	var last expr.Value
	var text sqldriver.Value
	for _, one := range all {
		for i, f := range one.C.Fields {
			v := one.R[i]
			switch {
			case v.Kind() != expr.Time:
				args = append(args, bound(v, f.Elem.Kind()))
				continue
			case text == nil || v.Int() != last.Int():
				last, text = v, bound(v, expr.Null)
			}
			args = append(args, text)
		}
	}
	return args
}

// touches says that lists with side tables are among the fields with these ordinals.
func touches(w *sqldb.Writes, ords []int) bool {
	for _, s := range w.Sides {
		for _, ord := range ords {
			if ord == s.Ord {
				return true
			}
		}
	}
	return false
}

// referring inserts n rows if all of size ids are there in a table, of which the last may stand in several places.
func (e *Engine) referring(w *sqldb.Writes, c *spec.Collection, n int, to string, size int) string {
	return w.Kept(sqldb.Form{Rows: n, To: to, IDs: size}, func() string {
		return w.Computed(n, spec.OrdRev, "? DIV ((SELECT COUNT(*) FROM "+q(to)+` FORCE INDEX (PRIMARY) WHERE "id" IN (?`+strings.Repeat(", ?", size-1)+")"+
			e.d.Lock(driver.LockStay)+") = ?)")
	})
}

// revise is Update of a record that was created when u says.
func (t *tx) revise(u *driver.Revision) (bool, error) {
	return t.update(u.C, u.ID, u.Rev, u.R, u.Ords, t.e.served().Writes(u.C).Revision(u.Ords), true)
}

func revision(u *driver.Revision) []sqldriver.Value {
	args := make([]sqldriver.Value, 0, len(u.Ords)+3)
	for _, ord := range u.Ords {
		args = append(args, bound(u.R[ord], u.C.Fields[ord].Elem.Kind()))
	}
	return append(args, u.ID, u.Rev, bound(u.R[spec.OrdCreated], expr.Null))
}
