package mysql

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// tx is a write under way.
type tx struct {
	session
	changed bool
	done    bool            // it is committed
	trace   trace           // the first change that can be recognised, see commit.go
	used    map[string]bool // tables, where somebody wants to know
}

// Write runs fn in a transaction, which begins with its first statement.
func (e *Engine) Write(ctx context.Context, fn func(driver.Tx) error) error {
	if err := e.pool.Enter(ctx); err != nil {
		return err
	}
	t := &tx{session: session{e: e, slot: true, late: true}}
	defer func() { t.end() }()
	if err := fn(t); err != nil {
		return err
	}
	switch {
	case t.done:
		return nil
	case t.failed != nil:
		return t.failed
	case !t.changed:
		return nil // nothing is changed: nobody needs to wait for the end
	default:
		return t.commit()
	}
}

// Rows reads in the transaction, which is carried through whatever becomes of its caller.
func (t *tx) Rows(_ context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if own, ok := s.(*stmt); ok {
		for _, table := range own.Tables {
			t.use(table)
		}
	}
	return t.query(context.Background(), s, args, yield)
}

const now = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000"

// Now asks the server. It neither changes nor locks anything, so the transaction does not begin with it.
func (t *tx) Now() (ms int64, err error) {
	if err := t.usable(); err != nil {
		return 0, err
	}
	m := writing
	if t.late {
		m = reading
	}
	if err := t.connect(context.Background(), m); err != nil {
		return 0, err
	}
	ctx := t.bounded(context.Background())
	err = t.attempt(ctx, t.late, func() error {
		return t.c.each(ctx, now, func(text func(int) string) (err error) {
			ms, err = strconv.ParseInt(text(0), 10, 64)
			return err
		})
	})
	return ms, t.fail(ctx, "clock", err)
}

// writes says that it may go on, on a connection to write with.
func (t *tx) writes() error {
	if err := t.usable(); err != nil {
		return err
	}
	return t.connect(context.Background(), writing)
}

func (t *tx) use(table string) {
	if t.used != nil {
		t.used[table] = true
	}
}

func (t *tx) Insert(c *spec.Collection, r driver.Record) error {
	if err := t.writes(); err != nil {
		return err
	}
	w := t.e.served().Writes(c)
	t.trace.inserted(c, r)
	_, err := t.change("insert", c, w.Insert, func(add func(expr.Value, expr.Kind)) {
		for i, f := range c.Fields {
			add(r[i], f.Elem.Kind())
		}
	})
	for _, s := range w.Sides {
		if err == nil {
			err = t.fill("insert", c, s, r[spec.OrdID], r[s.Ord])
		}
	}
	return err
}

// Records that are inserted by one statement: how many at most, and about how long their texts may be together,
// for a server takes packets up to a length.
const (
	mostInserted  = 128
	insertedBytes = 1 << 20
)

// InsertAll asks for what the records refer to, some hundreds at once, and inserts those of one collection that
// stand together with one statement. That asks, too, where only the first of them refer to others, of one collection.
func (t *tx) InsertAll(all []driver.Insertion) (at int, err error) {
	if at, err = t.insertReferring(all); err != nil {
		return 0, err
	}
	end := len(all)
	if at == 0 {
		if end, err = t.asked(all); err != nil {
			return 0, err
		}
	}
	for at < end {
		n, err := t.insertSome(all[at:end])
		if at += n; err != nil {
			return at, err
		}
	}
	return at, nil
}

// asked is how many of the first records can be inserted: what they refer to is there, and locked.
func (t *tx) asked(all []driver.Insertion) (end int, err error) {
	targets := sqldb.Targets(all)
	there := make([]map[string]bool, len(targets))
	for i, target := range targets {
		there[i] = map[string]bool{}
		for some := range slices.Chunk(target.IDs(), mostDeleted) {
			if err := t.referred(target.C, some, there[i]); err != nil {
				return 0, err
			}
		}
	}
	for end < len(all) && !sqldb.Missing(targets, there, &all[end]) {
		end++
	}
	return end, nil
}

// insertReferring inserts the first records by one statement which asks for what they refer to (see Finish), if only they
// refer to others; 0: they are not stored, which is found out one after the other.
func (t *tx) insertReferring(all []driver.Insertion) (int, error) {
	n := 0
	for n < len(all) && all[n].C == all[0].C && n < mostInserted {
		n++
	}
	if !sqldb.Refer(all[:n]) || sqldb.Refer(all[n:]) {
		return 0, nil
	}
	sql, args := t.e.whole(nil, all[:n])
	if sql == "" {
		return 0, nil
	}
	if err := t.writes(); err != nil {
		return 0, err
	}
	t.changed = true
	t.use(all[0].C.Name)
	stored := 0
	ctx := t.bounded(context.Background())
	err := t.first(ctx, func() (err error) {
		t.c.settle()
		t.c.args = append(t.c.args[:0], args...)
		stored, err = t.c.run(ctx, sql)
		return err
	})
	var told *mysql.MySQLError
	why := classify("insert", err)
	switch {
	case errors.As(err, &told) && told.Number == divided, fault.Is(why, fault.Unique), fault.Is(why, fault.TooLarge):
		return 0, nil // nothing of the statement is done
	case err != nil:
		return 0, t.fail(ctx, "insert", err)
	case stored < n:
		return 0, nil
	}
	for _, one := range all[:n] {
		t.trace.inserted(one.C, one.R)
	}
	return n, nil
}

// referred finds out which of these records are there, and locks them. The ids are as many as in a delete.
func (t *tx) referred(c *spec.Collection, ids []expr.Value, there map[string]bool) error {
	if err := t.writes(); err != nil {
		return err
	}
	size := stepped(len(ids))
	asked := make([]expr.Value, size)
	for i := range asked {
		asked[i] = ids[min(i, len(ids)-1)]
	}
	t.use(c.Name)
	ctx := t.bounded(context.Background())
	sql := `SELECT "id" FROM ` + q(c.Name) + ` FORCE INDEX (PRIMARY) WHERE "id" IN (?` + strings.Repeat(", ?", size-1) + ")" + t.e.d.Lock(driver.LockStay)
	err := t.first(ctx, func() error {
		return t.c.each(ctx, sql, func(text func(int) string) error { there[text(0)] = true; return nil }, asked...)
	})
	return t.fail(ctx, "read", err)
}

// insertSome inserts one record or several and says how many.
func (t *tx) insertSome(all []driver.Insertion) (n int, err error) {
	c := all[0].C
	w := t.e.served().Writes(c)
	size := 1
	for length := textLength(all[0].R); len(w.Sides) == 0 && size < min(len(all), mostInserted); size++ {
		if length += textLength(all[size].R); all[size].C != c || length > insertedBytes {
			break
		}
	}
	for size > 1 && len(w.Inserts(size)) > keptLength {
		size /= 2
	}
	if size == 1 {
		if err := t.Insert(c, all[0].R); err != nil {
			return 0, err
		}
		return 1, nil
	}
	if err := t.writes(); err != nil {
		return 0, err
	}
	t.changed = true
	t.use(c.Name)
	ctx := t.bounded(context.Background())
	err = t.first(ctx, func() error {
		t.c.settle()
		t.c.args = t.c.args[:0]
		t.c.args = appendRecords(t.c.args, all[:size])
		_, err := t.c.run(ctx, w.Inserts(size))
		return err
	})
	if why := classify("insert", err); fault.Is(why, fault.Unique) || fault.Is(why, fault.TooLarge) {
		// Nothing of the statement is done. Which record it was is found out.
		for ; n < size; n++ {
			if err := t.Insert(c, all[n].R); err != nil {
				return n, err
			}
		}
		return n, nil
	}
	if err := t.fail(ctx, "insert", err); err != nil {
		return 0, err
	}
	for _, one := range all[:size] {
		t.trace.inserted(c, one.R)
	}
	return size, nil
}

func textLength(r driver.Record) (n int) {
	for i := range r {
		n += len(r[i].Text())
		for _, item := range r[i].List() {
			n += len(item.Text())
		}
	}
	return n
}

// fill puts a list's items into its side table.
func (t *tx) fill(op string, c *spec.Collection, s sqldb.Side, id, list expr.Value) error {
	if len(list.List()) == 0 {
		return nil
	}
	_, err := t.change(op, c, s.Fill, func(add func(expr.Value, expr.Kind)) {
		add(list, s.Elem)
		add(id, expr.Null)
	})
	return err
}

func (t *tx) Update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) (bool, error) {
	if err := t.writes(); err != nil {
		return false, err
	}
	return t.update(c, id, rev, r, ords, t.e.served().Writes(c).Update(ords), false)
}

// update: made says that the statement wants to know when the record was created.
func (t *tx) update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int, sql string, made bool) (bool, error) {
	if err := t.writes(); err != nil {
		return false, err
	}
	w := t.e.served().Writes(c)
	n, err := t.change("update", c, sql, func(add func(expr.Value, expr.Kind)) {
		for _, ord := range ords {
			add(r[ord], c.Fields[ord].Elem.Kind())
		}
		add(expr.TextOf(id), expr.Null)
		add(expr.IntOf(rev), expr.Null)
		if made {
			add(r[spec.OrdCreated], expr.Null)
		}
	})
	if err != nil || n == 0 {
		return false, err
	}
	t.trace.revised(c, id, rev, r, ords)
	for _, s := range w.Sides {
		if !slices.Contains(ords, s.Ord) {
			continue
		}
		if _, err := t.change("update", c, s.Delete, func(add func(expr.Value, expr.Kind)) { add(expr.TextOf(id), expr.Null) }); err != nil {
			return false, err
		}
		if err := t.fill("update", c, s, expr.TextOf(id), r[s.Ord]); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (t *tx) Delete(c *spec.Collection, ids []string) (int, error) {
	if err := t.writes(); err != nil {
		return 0, err
	}
	w := t.e.served().Writes(c)
	t.trace.deleted(c, ids)
	n := 0
	for some := range slices.Chunk(ids, mostDeleted) {
		gone, err := t.delete(c, c.Name, w.Delete, some)
		n += gone
		if err != nil {
			return n, err
		}
		for _, s := range w.Sides {
			if gone == 0 {
				break
			}
			if _, err := t.delete(c, s.Name, s.Delete, some); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// mostDeleted is how many ids one statement names at most.
const mostDeleted = 256

// stepped is how many ids a statement has for n, so that there are few such statements: the last one then stands in several
// places. Of many the steps are finer than doubling, for each costs the server some microseconds.
func stepped(n int) int {
	size := 1
	for size < n {
		size *= 2
	}
	if step := size / 8; size > 32 {
		size = (n + step - 1) / step * step
	}
	return size
}

// delete deletes from a table by ids, stepped. one is the statement for one.
func (t *tx) delete(c *spec.Collection, table, one string, ids []string) (int, error) {
	size, sql := stepped(len(ids)), one
	if size > 1 {
		sql = sqldb.DeleteSome(t.e.d, table, "id", size)
	}
	return t.change("delete", c, sql, func(add func(expr.Value, expr.Kind)) {
		for i := range size {
			add(expr.TextOf(ids[min(i, len(ids)-1)]), expr.Null)
		}
	})
}

// change runs a statement that changes rows and says how many it found.
func (t *tx) change(op string, c *spec.Collection, sql string, build func(add func(expr.Value, expr.Kind))) (n int, err error) {
	ctx := t.bounded(context.Background())
	t.changed = true
	t.use(c.Name)
	err = t.first(ctx, func() error {
		t.c.settle()
		t.c.args = t.c.args[:0]
		build(func(v expr.Value, elem expr.Kind) { t.c.args = append(t.c.args, bound(v, elem)) })
		n, err = t.c.run(ctx, sql)
		return err
	})
	return n, t.refusal(ctx, op, c, err)
}

// refusal names the unique index that refused a row.
func (t *tx) refusal(ctx context.Context, op string, c *spec.Collection, err error) error {
	err = t.fail(ctx, op, err)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Unique {
		return err
	}
	sqlname := f.Index
	f.Index = "id"
	find := t.c.each(ctx, `SELECT "name" FROM "_indexes" WHERE "tbl" = ? AND "sqlname" = ?`, func(text func(int) string) error {
		f.Index = text(0)
		return nil
	}, expr.TextOf(c.Name), expr.TextOf(sqlname))
	if find != nil {
		t.failed = nil
		return t.fail(ctx, op, find)
	}
	return f
}
