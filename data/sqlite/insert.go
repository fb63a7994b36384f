package sqlite

import (
	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// sizes are how many records of one collection that follow each other are stored by one statement: it opens the
// table and its indexes once, and keeps once what it needs to be undone. It is a few, so that connections keep them.
var sizes = [...]int{32, 8}

func (t *tx) Insert(c *spec.Collection, r driver.Record) error {
	if t.c == nil {
		return errOver
	}
	w := t.e.served().Writes(c)
	err := t.c.insert(w, []driver.Insertion{{C: c, R: r}})
	if sqlite.ErrCode(err) == sqlite.ResultConstraintRowID { // another row lies there: it goes behind all others
		err = t.c.run(w.Insert, r...)
	}
	if err != nil {
		return t.refusal("insert", err, c, r[spec.OrdID])
	}
	return t.sides(w, r)
}

// InsertAll asks once for all that the records refer to in a collection, and then stores them.
func (t *tx) InsertAll(all []driver.Insertion) (at int, err error) {
	if t.c == nil {
		return 0, errOver
	}
	targets := sqldb.Targets(all)
	there := make([]map[string]bool, len(targets))
	for i, target := range targets {
		if there[i], err = t.c.there(target); err != nil {
			return 0, classify("insert", err)
		}
	}
	stop := 0
	for stop < len(all) && !sqldb.Missing(targets, there, &all[stop]) {
		stop++
	}
	for at < stop {
		w := t.e.served().Writes(all[at].C)
		n := neighbours(w, all[at:stop])
		err := t.c.insert(w, all[at:at+n])
		if err != nil && t.c.c.AutocommitEnabled() { // SQLite gave the transaction up
			return at, classify("insert", err)
		}
		for end := at + n; at < end; at++ {
			if err != nil { // by which of them is not known, or there is another row where one is to lie
				err := t.Insert(all[at].C, all[at].R)
				if err != nil {
					return at, err
				}
			} else if err := t.sides(w, all[at].R); err != nil {
				return at, err
			}
		}
	}
	return at, nil
}

// neighbours is how many of the records are stored next, by one statement.
func neighbours(w *sqldb.Writes, all []driver.Insertion) int {
	n := 0
	for n < len(all) && all[n].C == all[0].C {
		n++
	}
	for _, size := range sizes {
		if n >= size && len(w.Inserts(size)) <= keptLength {
			return size
		}
	}
	return 1
}

// there are those of a collection's records that are to be there.
func (c *conn) there(target *sqldb.Target) (map[string]bool, error) {
	there := map[string]bool{}
	table := q(target.C.Name)
	found := func(s *sqlite.Stmt) error {
		there[s.ColumnText(0)] = true
		return nil
	}
	ids := target.IDs()
	if len(ids) > 1 {
		return there, c.each(`SELECT r."id" FROM json_each(?1) p CROSS JOIN `+table+` r WHERE r."id" = p.value`, found, expr.ListOf(ids...))
	}
	err := c.each(`SELECT "id" FROM `+table+` WHERE "id" = ?1 AND _rowid_ = ?2`, found, ids[0], expr.IntOf(sqldb.RowNumber(ids[0].Text())))
	if err == nil && len(there) == 0 {
		err = c.each(`SELECT "id" FROM `+table+` WHERE "id" = ?1`, found, ids[0])
	}
	return there, err
}

// insert puts records of a collection where their ids say, for there they are found without the index of ids. When
// it fails, none is stored.
func (c *conn) insert(w *sqldb.Writes, all []driver.Insertion) error {
	p, err := c.take(w.Inserts(len(all)))
	if err != nil {
		return err
	}
	defer c.leave(p)
	at := 0
	for _, one := range all {
		for _, v := range one.R {
			at++
			c.bind(p, at, v)
		}
		at++
		p.BindInt64(at, sqldb.RowNumber(one.R[spec.OrdID].Text()))
	}
	_, err = p.Step()
	return err
}

// sides puts the lists of a new record into their side tables.
func (t *tx) sides(w *sqldb.Writes, r driver.Record) error {
	for _, s := range w.Sides {
		if err := t.c.fill(s, r[spec.OrdID].Text(), r[s.Ord]); err != nil {
			return classify("insert", err)
		}
	}
	return nil
}

// fill puts a list's items into its side table.
func (c *conn) fill(s sqldb.Side, id string, list expr.Value) error {
	for _, item := range list.List() {
		if item.IsNull() {
			continue
		}
		if err := c.run(s.Fill, item, expr.TextOf(id)); err != nil {
			return err
		}
	}
	return nil
}

// refusal names the unique index that refused a row, by the columns SQLite names. Of a row whose id
// is taken too, SQLite may name either: here it is the id.
func (t *tx) refusal(op string, err error, c *spec.Collection, inserted expr.Value) error {
	err = classify(op, err)
	f, ok := err.(*fault.Error)
	if !ok || f.Kind != fault.Unique {
		return err
	}
	columns := f.Index
	f.Index = "id"
	find := t.c.each(`SELECT "name" FROM "_indexes" WHERE "unique" AND (SELECT group_concat("tbl" || '.' || value, ', ' ORDER BY key) FROM json_each("columns")) = ?1`,
		func(s *sqlite.Stmt) error {
			f.Index = s.ColumnText(0)
			return nil
		}, expr.TextOf(columns))
	if find == nil && f.Index != "id" && !inserted.IsNull() {
		find = t.c.each(`SELECT 1 FROM `+q(c.Name)+` WHERE "id" = ?1`, func(*sqlite.Stmt) error {
			f.Index = "id"
			return nil
		}, inserted)
	}
	if find != nil {
		return classify(op, find)
	}
	return f
}
