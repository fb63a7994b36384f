package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// surveyor looks at the rows that the steps of a plan are going to change: how many values would be
// lost, and what would stand in the way.
type surveyor struct {
	app  *spec.App
	eng  driver.Engine
	keys *Keyring
	now  *shape
}

func (sv *surveyor) survey(ctx context.Context, steps []Step) error {
	for i := range steps {
		s := &steps[i]
		var err error
		switch {
		case s.do.Fill != nil && s.do.Fill.Kind == fillConvert:
			err = sv.conversion(ctx, s)
		case s.do.Change == nil:
		case s.Lossy && s.table != "":
			err = sv.loss(ctx, s)
		case s.do.Change.Kind == driver.AddColumn && s.table != "":
			err = sv.required(ctx, s)
		case s.do.Change.Kind == driver.CreateIndex && s.do.Change.Index.Unique:
			err = sv.newUnique(ctx, steps, s.do.Change)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loss says in a step how many values or records it drops.
func (sv *surveyor) loss(ctx context.Context, s *Step) error {
	from := collectionOf(sv.now.table(s.table))
	q := &driver.Query{From: from, Count: true, Limit: -1}
	what := "record"
	if s.do.Change.Kind == driver.DropColumn {
		ord := ordinalOf(from, s.column)
		if ord < 0 {
			return nil
		}
		what = "value"
		q.Where = notNull(from.Fields[ord])
	}
	stmt, err := sv.eng.Prepare(q)
	if err != nil {
		return err
	}
	return sv.eng.Read(ctx, func(r driver.Reader) error {
		return r.Rows(ctx, stmt, nil, func(cols driver.Columns) error {
			s.Text += " (" + plural(int(cols.Int(0)), what) + ")"
			return nil
		})
	})
}

// required says in the step that adds a required field how many records will have none.
func (sv *surveyor) required(ctx context.Context, s *Step) error {
	c, ok := sv.app.Collection(s.do.Change.Table)
	if !ok {
		return nil
	}
	f, ok := c.Field(s.do.Change.Column.Name)
	if !ok || !f.Required || f.Default != nil || f.Set != nil {
		return nil
	}
	n, err := countRows(ctx, sv.eng, collectionOf(sv.now.table(s.table)))
	if err != nil || n == 0 {
		return err
	}
	have := " have"
	if n == 1 {
		have = " has"
	}
	s.Text += ": " + plural(n, "record") + have + " none: a change of one will be refused until it is given"
	return nil
}

func notNull(f *spec.Field) *expr.Node {
	null := &expr.Node{Op: expr.OpLit, Type: expr.Type{Null: true}}
	return &expr.Node{Op: expr.OpNe, Type: expr.Type{Kind: expr.Bool}, Args: []*expr.Node{fieldNode(f), null}}
}

// conversion counts what does not convert, and says it in the step.
func (sv *surveyor) conversion(ctx context.Context, s *Step) error {
	now := sv.now.table(s.table)
	if s.table == "" || s.column == "" {
		return nil
	}
	c, _ := sv.app.Collection(s.do.Fill.Table)
	f, _ := c.Field(s.do.Fill.From)
	// As if the new column were there: it is read as the old one, and nothing is written.
	fl := &filler{keys: sv.keys, table: now, from: collectionOf(now), to: c, field: f, loss: true}
	fl.fill = &fill{Kind: fillConvert, Table: s.table, From: s.column, Column: s.column}
	fl.ord = ordinalOf(fl.from, s.column)
	fl.look()
	if to := plainColumn(f); to.Ref != "" {
		if target := sv.origin(to.Ref); target != nil {
			var err error
			fl.refs, err = sv.eng.Prepare(&driver.Query{From: collectionOf(target), Cols: []driver.Col{{Ord: spec.OrdID}},
				Sort: byIDs, Limit: -1, Per: &driver.Per{Arg: 0, Ord: spec.OrdID, Limit: -1}})
			if err != nil {
				return err
			}
		}
	}
	stmt, err := sv.eng.Prepare(fl.query())
	if err != nil {
		return err
	}
	total, example := 0, ""
	judge := func(row Record) (v Value, err error) {
		was, err := fl.plain(row, s.column)
		if err != nil || was.IsNull() {
			return Value{}, err
		}
		total++
		v, ok := convert(was, plainColumn(f))
		if ok && fits(f, v) {
			return v, nil
		}
		fl.lost++
		if example == "" && fl.showable() {
			example = ", such as " + short(was)
		}
		return Value{}, nil
	}
	err = sv.eng.Read(ctx, func(r driver.Reader) error {
		for cursor := ""; ; {
			rows, err := fl.read(ctx, r, stmt, cursor, batchRows)
			if err != nil || len(rows) == 0 {
				return err
			}
			values := make([]Value, len(rows))
			for i, row := range rows {
				if values[i], err = judge(row); err != nil {
					return err
				}
			}
			if fl.refs != nil {
				if err := fl.dropDangling(ctx, r, rows, values); err != nil {
					return err
				}
			}
			cursor = rows[len(rows)-1][spec.OrdID].Text()
		}
	})
	if err != nil || fl.lost == 0 {
		return err
	}
	s.Lossy = true
	s.Text += ": " + strconv.Itoa(fl.lost) + " of " + plural(total, "value") + " would be lost, because they do not convert" + example
	return nil
}

// origin is the table of now that a collection will be made of.
func (sv *surveyor) origin(collection string) *tableShape {
	if t := sv.now.table(collection); t != nil {
		return t
	}
	if c, ok := sv.app.Collection(collection); ok && c.Was != "" {
		return sv.now.table(c.Was)
	}
	return nil
}

// newUnique looks for duplicates under a unique index that is going to be added, where its values are
// in the database already. Where they are not, the step itself finds out.
func (sv *surveyor) newUnique(ctx context.Context, steps []Step, c *driver.Step) error {
	now := sv.origin(c.Table)
	if now == nil {
		return nil
	}
	for _, s := range steps { // values that are about to change are judged when they have
		if s.do.Fill != nil && s.do.Fill.Table == c.Table && (s.do.Fill.Kind == fillConvert || s.do.Fill.Kind == fillDefault) {
			return nil
		}
	}
	if err := sv.duplicates(ctx, now, c.Index); err != nil {
		return &fault.Error{Kind: err.Kind, Msg: err.Msg}
	}
	return nil
}

// duplicates is the error about the values that a unique index over a table would refuse; nil when
// there are none, or they cannot be told.
func (sv *surveyor) duplicates(ctx context.Context, t *tableShape, x driver.TableIndex) *fault.Error {
	d := sv.keysOf(t, x)
	if d == nil {
		return nil
	}
	rows, err := countRows(ctx, sv.eng, d.from)
	if err == nil {
		err = d.count(ctx, sv.eng, uint64(rows/mostKeys+1))
	}
	if err != nil {
		return &fault.Error{Kind: fault.Of(err), Op: "plan", Err: err}
	}
	if d.twice == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "%s cannot be unique by %s (index %q): %s not the only one%s; change the records first",
		d.c.Name, fieldWords(d.index), d.index.Name, are(d.twice), d.example)
}

// keysOf finds what the keys of an index over a table are made of; nil when it is not there as it will be.
func (sv *surveyor) keysOf(t *tableShape, x driver.TableIndex) *duplicates {
	c, ok := sv.app.Collection(t.Name)
	for _, other := range sv.app.Collections {
		if !ok && other.Was == t.Name {
			c, ok = other, true
		}
	}
	if !ok {
		return nil
	}
	i := slices.IndexFunc(c.Indexes, func(i *spec.Index) bool { return i.Name == x.Name })
	if i < 0 {
		return nil
	}
	d := &duplicates{c: c, index: c.Indexes[i], table: t, from: collectionOf(t), keys: sv.keys, seen: map[indexKey]bool{}}
	if !d.locate() {
		return nil
	}
	return d
}

func are(n int) string {
	if n == 1 {
		return "1 record is"
	}
	return strconv.Itoa(n) + " records are"
}

// mostKeys is how many keys are held at once, in some 40 MB. A table that may have more is read several times, each time
// for another part of them. The keys are made here, not asked for by group: a fold, a hash or a condition that
// is going to be declared is in no column yet, and an engine would have to hold them all the same.
const mostKeys = 1 << 19

// indexKey is a hash of what a row is found by in an index.
type indexKey [sha256.Size]byte

// duplicates counts the rows whose key another row has already.
type duplicates struct {
	c       *spec.Collection
	index   *spec.Index
	table   *tableShape // as it is
	from    *spec.Collection
	keys    *Keyring
	fields  []*spec.Field  // that the key is made of
	cols    []*columnShape // where they are
	seen    map[indexKey]bool
	twice   int
	example string
}

// count reads the table once for each part of the keys.
func (d *duplicates) count(ctx context.Context, eng driver.Engine, parts uint64) error {
	q := &driver.Query{From: d.from, Sort: byIDs, Limit: -1, Cols: []driver.Col{{Ord: spec.OrdID}}}
	for _, col := range d.cols {
		q.Cols = append(q.Cols, driver.Col{Ord: ordinalOf(d.from, col.Name)})
	}
	stmt, err := eng.Prepare(q)
	if err != nil {
		return err
	}
	return eng.Read(ctx, func(r driver.Reader) error {
		for part := range parts {
			clear(d.seen)
			err := r.Rows(ctx, stmt, nil, func(cols driver.Columns) error {
				rec, err := d.record(cols)
				if err != nil {
					return err
				}
				key, ok := d.key(rec)
				if !ok || binary.BigEndian.Uint64(key[:])%parts != part {
					return nil
				}
				if d.seen[key] {
					d.again(rec)
				}
				d.seen[key] = true
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// locate finds the columns that the index's fields are in; false when one is not there as it will be.
func (d *duplicates) locate() bool {
	d.fields = slices.Clone(d.index.Fields)
	if d.index.Where != nil {
		for _, f := range readsOf(d.c, d.index.Where) {
			if !slices.Contains(d.fields, f) {
				d.fields = append(d.fields, f)
			}
		}
	}
	for _, f := range d.fields {
		col := d.table.column(f.Name)
		if col == nil && f.Was != "" {
			col = d.table.column(f.Was)
		}
		if col == nil || (col.Plain != nil || f.KeyOrd >= 0) && d.keys == nil {
			return false
		}
		if a, b := col.value(), plainColumn(f); a.Kind != b.Kind || a.Scale != b.Scale || a.Elem != b.Elem {
			return false
		}
		d.cols = append(d.cols, col)
	}
	return true
}

// record is a row as the app's collection has it, with the companions that it will have.
func (d *duplicates) record(cols driver.Columns) (Record, error) {
	rec := make(Record, len(d.c.Fields))
	id := string(cols.Text(0))
	rec[spec.OrdID] = expr.TextOf(id)
	for i, f := range d.fields {
		v, err := openColumn(d.keys, d.cols[i], d.table.Name, id, cols.Value(i+1))
		if err != nil {
			return nil, err
		}
		rec[f.Ord] = v
	}
	return rec, d.keys.companions(d.c, rec)
}

// key is what a record is found by; false when the index does not have it.
func (d *duplicates) key(rec Record) (indexKey, bool) {
	var text []byte
	by := []int{}
	if d.index.Key != nil {
		by = append(by, d.index.Key.Ord)
	} else {
		for _, f := range d.index.Fields {
			by = append(by, comparedBy(f))
		}
	}
	for _, ord := range by {
		if rec[ord].IsNull() {
			return indexKey{}, false
		}
		text = append(AppendJSON(text, rec[ord]), 0)
	}
	return sha256.Sum256(text), true
}

// again counts a record whose key is there already.
func (d *duplicates) again(rec Record) {
	d.twice++
	if f := d.index.Fields[0]; d.example == "" && !slices.ContainsFunc(d.index.Fields, func(f *spec.Field) bool { return f.Personal || f.Encrypted || f.Hidden }) {
		d.example = ", such as the second with " + short(rec[f.Ord])
	}
}
