package data

import (
	"context"
	"crypto/sha256"
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
	total, example := 0, ""
	stmt, err := sv.eng.Prepare(fl.query(false))
	if err != nil {
		return err
	}
	var rows []Record
	var values []Value
	err = sv.eng.Read(ctx, func(r driver.Reader) error {
		flush := func() error {
			var err error
			if fl.refs != nil {
				err = fl.dropDangling(ctx, r, rows, values)
			}
			rows, values = rows[:0], values[:0]
			return err
		}
		err := fl.read(ctx, r, stmt, nil, func(row Record) error {
			if row[fl.ord].IsNull() {
				return nil
			}
			total++
			was, err := fl.plain(row, s.column)
			if err != nil {
				return err
			}
			v, ok := convert(was, plainColumn(f))
			if !ok || !fits(f, v) {
				fl.lost++
				if example == "" && fl.showable() {
					example = ", such as " + short(was)
				}
				return nil
			}
			if fl.refs != nil {
				rows, values = append(rows, row), append(values, v)
			}
			return nil
		})
		if err == nil {
			err = flush()
		}
		return err
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
	index := c.Indexes[i]
	d := &duplicates{index: index, seen: map[[sha256.Size]byte]int{}}
	if !d.locate(c, t, sv.keys) {
		return nil
	}
	from := collectionOf(t)
	q := &driver.Query{From: from, Sort: byIDs, Limit: -1, Cols: []driver.Col{{Ord: spec.OrdID}}}
	for _, col := range d.cols {
		q.Cols = append(q.Cols, driver.Col{Ord: ordinalOf(from, col.Name)})
	}
	stmt, err := sv.eng.Prepare(q)
	if err == nil {
		err = sv.eng.Read(ctx, func(r driver.Reader) error {
			return r.Rows(ctx, stmt, nil, func(cols driver.Columns) error { return d.row(c, t, sv.keys, cols) })
		})
	}
	if err != nil {
		return &fault.Error{Kind: fault.Of(err), Op: "plan", Err: err}
	}
	if d.twice == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "%s cannot be unique by %s (index %q): %s not the only one%s; change the records first",
		c.Name, fieldWords(index), index.Name, are(d.twice), d.example)
}

func are(n int) string {
	if n == 1 {
		return "1 record is"
	}
	return strconv.Itoa(n) + " records are"
}

// duplicates counts the rows whose key another row has already.
type duplicates struct {
	index   *spec.Index
	fields  []*spec.Field  // that the key is made of
	cols    []*columnShape // where they are
	seen    map[[sha256.Size]byte]int
	twice   int
	example string
}

// locate finds the columns of now that the index's fields are in; false when one is not there as it will be.
func (d *duplicates) locate(c *spec.Collection, t *tableShape, keys *Keyring) bool {
	d.fields = slices.Clone(d.index.Fields)
	if d.index.Where != nil {
		for _, f := range readsOf(c, d.index.Where) {
			if !slices.Contains(d.fields, f) {
				d.fields = append(d.fields, f)
			}
		}
	}
	for _, f := range d.fields {
		col := t.column(f.Name)
		if col == nil && f.Was != "" {
			col = t.column(f.Was)
		}
		if col == nil || (col.Plain != nil || f.KeyOrd >= 0) && keys == nil {
			return false
		}
		if a, b := col.value(), plainColumn(f); a.Kind != b.Kind || a.Scale != b.Scale || a.Elem != b.Elem {
			return false
		}
		d.cols = append(d.cols, col)
	}
	return true
}

func (d *duplicates) row(c *spec.Collection, t *tableShape, keys *Keyring, cols driver.Columns) error {
	rec := make(Record, len(c.Fields))
	id := string(cols.Text(0))
	rec[spec.OrdID] = expr.TextOf(id)
	for i, f := range d.fields {
		v, err := openColumn(keys, d.cols[i], t.Name, id, cols.Value(i+1))
		if err != nil {
			return err
		}
		rec[f.Ord] = v
	}
	if err := keys.companions(c, rec); err != nil {
		return err
	}
	var text []byte
	if d.index.Key != nil {
		if rec[d.index.Key.Ord].IsNull() {
			return nil
		}
		text = AppendJSON(text, rec[d.index.Key.Ord])
	} else {
		for _, f := range d.index.Fields {
			v := rec[comparedBy(f)]
			if v.IsNull() {
				return nil
			}
			text = append(AppendJSON(text, v), 0)
		}
	}
	key := sha256.Sum256(text)
	d.seen[key]++
	if d.seen[key] < 2 {
		return nil
	}
	d.twice++
	if f := d.index.Fields[0]; d.example == "" && !slices.ContainsFunc(d.index.Fields, func(f *spec.Field) bool { return f.Personal || f.Encrypted || f.Hidden }) {
		d.example = ", such as the second with " + short(rec[f.Ord])
	}
	return nil
}
