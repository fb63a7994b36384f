package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

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
		case s.do.Change.Kind == driver.CreateIndex:
			if err = sv.tooLong(ctx, s); err == nil && s.do.Change.Index.Unique {
				err = sv.newUnique(ctx, s)
			}
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
	var where *expr.Node
	what := "record"
	if s.do.Change.Kind == driver.DropColumn {
		ord := ordinalOf(from, s.column)
		if ord < 0 {
			return nil
		}
		what = "value"
		where = notNull(from.Fields[ord])
	}
	n, err := countRows(ctx, sv.eng, from, where)
	if err == nil {
		s.Text += " (" + plural(n, what) + ")"
	}
	return err
}

// tooLong refuses an index over a text that is longer, in some records, than one in an index may be: databases differ in
// whether they take it. Where the engine cannot say how long texts are, nobody is refused.
func (sv *surveyor) tooLong(ctx context.Context, s *Step) error {
	c, ok := sv.app.Collection(s.of.Name)
	now := sv.now.table(s.of.origin)
	if !ok || now == nil {
		return nil
	}
	for _, f := range c.Fields {
		will := s.of.column(f.Name)
		if f.Type != spec.Text && f.Type != spec.URL || f.Companion != spec.Own || f.Encrypted || will == nil || will.converts ||
			!slices.Contains(s.do.Change.Index.Columns, c.Fields[comparedBy(f)].Name) {
			continue
		}
		from := collectionOf(now)
		ord := ordinalOf(from, will.origin)
		if ord < 0 {
			continue
		}
		n, err := countRows(ctx, sv.eng, from, longer(from.Fields[ord], lenIndex))
		switch {
		case err != nil && !fault.Is(err, fault.Capability):
			return err
		case n > 0:
			return fault.New(fault.Conflict, "%s cannot be indexed by %s (index %q): %s longer than %d characters; change the records first",
				c.Name, f.Name, s.do.Change.Index.Name, plural(n, "value"), lenIndex)
		}
	}
	return nil
}

// longer says that a text has more than n characters.
func longer(f *spec.Field, n int64) *expr.Node {
	whole := expr.Type{Kind: expr.Int}
	return &expr.Node{Op: expr.OpGt, Type: expr.Type{Kind: expr.Bool}, Args: []*expr.Node{
		{Op: expr.OpSize, Type: whole, Args: []*expr.Node{fieldNode(f)}},
		{Op: expr.OpLit, Type: whole, Val: expr.IntOf(n)},
	}}
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
	n, err := countRows(ctx, sv.eng, collectionOf(sv.now.table(s.table)), nil)
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
	if s.table == "" || s.column == "" {
		return nil
	}
	c, _ := sv.app.Collection(s.do.Fill.Table)
	f, _ := c.Field(s.do.Fill.From)
	fl, err := sv.converter(sv.now.table(s.table), s.column, c, f)
	if err != nil {
		return err
	}
	stmt, err := sv.eng.Prepare(fl.query())
	if err != nil {
		return err
	}
	total, lost, example := 0, 0, ""
	err = sv.eng.Read(ctx, func(r driver.Reader) error {
		return fl.all(ctx, r, stmt, func(rows []Record) error {
			was, is, err := fl.converted(ctx, r, rows)
			for i, v := range was {
				if v.IsNull() {
					continue
				}
				total++
				if !is[i].IsNull() {
					continue
				}
				lost++
				if example == "" && fl.showable() {
					example = ", such as " + short(v)
				}
			}
			return err
		})
	})
	if err != nil || lost == 0 {
		return err
	}
	s.Lossy = true
	s.Text += ": " + strconv.Itoa(lost) + " of " + plural(total, "value") + " would be lost, because they do not convert" + example
	return nil
}

// converter converts the values of a column as if the new one were there: it is read as the old one, and nothing
// is written.
func (sv *surveyor) converter(now *tableShape, column string, c *spec.Collection, f *spec.Field) (*filler, error) {
	fl := &filler{scan: scan{from: collectionOf(now)}, keys: sv.keys, table: now, to: c, field: f, loss: true}
	fl.fill = &fill{Kind: fillConvert, Table: now.Name, From: column, Column: column}
	fl.ord = ordinalOf(fl.from, column)
	fl.look()
	if to := plainColumn(f); to.Ref != "" {
		if target := sv.origin(to.Ref); target != nil {
			return fl, fl.refersTo(sv.eng, target)
		}
	}
	return fl, nil
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

// newUnique looks for duplicates under a unique index that is going to be added. What its values will be is known
// before they are converted.
func (sv *surveyor) newUnique(ctx context.Context, s *Step) error {
	if err := sv.duplicates(ctx, s.of, s.do.Change.Index, "change the records first"); err != nil {
		return err
	}
	return nil
}

// duplicates is the error about the values that a unique index over a table would refuse; nil when
// there are none, or they cannot be told.
func (sv *surveyor) duplicates(ctx context.Context, t *tableShape, x driver.TableIndex, remedy string) *fault.Error {
	d, err := sv.keysOf(t, x)
	if err == nil && d == nil {
		return nil
	}
	rows := 0
	if err == nil {
		rows, err = countRows(ctx, sv.eng, d.from, nil)
	}
	if err == nil {
		err = d.count(ctx, sv.eng, uint64(rows/mostKeys+1))
	}
	if err != nil {
		return &fault.Error{Kind: fault.Of(err), Op: "plan", Err: err}
	}
	if d.twice == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "%s cannot be unique by %s (index %q)%s: %s not the only one%s; %s",
		d.c.Name, fieldWords(d.index), d.index.Name, d.changes(), are(d.twice), d.example, remedy)
}

// keysOf finds what the keys of an index over a table will be made of; nil when no row is there yet, or a value
// cannot be told for lack of a key.
func (sv *surveyor) keysOf(t *tableShape, x driver.TableIndex) (*duplicates, error) {
	c, ok := sv.app.Collection(t.Name)
	now := sv.now.table(t.origin)
	if !ok || now == nil {
		return nil, nil
	}
	i := slices.IndexFunc(c.Indexes, func(i *spec.Index) bool { return i.Name == x.Name })
	if i < 0 {
		return nil, nil
	}
	d := &duplicates{scan: scan{from: collectionOf(now), need: []int{spec.OrdID}}, c: c, index: c.Indexes[i], table: now,
		keys: sv.keys, seen: map[indexKey]bool{}}
	fields := slices.Clone(d.index.Fields)
	if d.index.Where != nil {
		fields = append(fields, readsOf(c, d.index.Where)...)
	}
	for i, f := range fields {
		if slices.Contains(fields[:i], f) {
			continue
		}
		ok, err := d.take(sv, t, f)
		if err != nil || !ok {
			return nil, err
		}
	}
	return d, nil
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
	scan
	c       *spec.Collection
	index   *spec.Index
	table   *tableShape // as it is
	keys    *Keyring
	parts   []keyPart
	seen    map[indexKey]bool
	twice   int
	example string
}

// keyPart is a field that the keys are made of, and where its values are.
type keyPart struct {
	field   *spec.Field
	col     *columnShape // nil: nowhere yet
	convert *filler      // nil: they stay as they are
}

// take finds the values of a field in a table that will be t; false where they cannot be opened.
func (d *duplicates) take(sv *surveyor, t *tableShape, f *spec.Field) (bool, error) {
	p := keyPart{field: f}
	will := t.column(f.Name)
	if will == nil || f.KeyOrd >= 0 && d.keys == nil {
		return false, nil
	}
	if p.col = d.table.column(will.origin); p.col != nil {
		if p.col.Plain != nil && d.keys == nil {
			return false, nil
		}
		d.need = append(d.need, ordinalOf(d.from, p.col.Name))
	}
	if will.converts && p.col != nil {
		var err error
		if p.convert, err = sv.converter(d.table, p.col.Name, d.c, f); err != nil {
			return false, err
		}
	}
	d.parts = append(d.parts, p)
	return true, nil
}

// changes says which values are not yet as the keys have them.
func (d *duplicates) changes() string {
	var names []string
	for _, p := range d.parts {
		if p.convert != nil {
			names = append(names, p.field.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " after the conversion of " + strings.Join(names, ", ")
}

// count reads the table once for each part of the keys.
func (d *duplicates) count(ctx context.Context, eng driver.Engine, parts uint64) error {
	stmt, err := eng.Prepare(d.query())
	if err != nil {
		return err
	}
	return eng.Read(ctx, func(r driver.Reader) error {
		for part := range parts {
			clear(d.seen)
			err := d.all(ctx, r, stmt, func(rows []Record) error {
				records, err := d.records(ctx, r, rows)
				if err != nil {
					return err
				}
				for _, rec := range records {
					key, ok := d.key(rec)
					if !ok || binary.BigEndian.Uint64(key[:])%parts != part {
						continue
					}
					if d.seen[key] {
						d.again(rec)
					}
					d.seen[key] = true
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// records are rows as the app's collection will have them, with their companions.
func (d *duplicates) records(ctx context.Context, r driver.Reader, rows []Record) ([]Record, error) {
	records := make([]Record, len(rows))
	for i, row := range rows {
		records[i] = make(Record, len(d.c.Fields))
		records[i][spec.OrdID] = row[spec.OrdID]
	}
	for _, p := range d.parts {
		values, err := d.values(ctx, r, p, rows)
		if err != nil {
			return nil, err
		}
		for i, v := range values {
			records[i][p.field.Ord] = v
		}
	}
	for _, rec := range records {
		if err := d.keys.companions(d.c, rec); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// values are what a field will be in some rows.
func (d *duplicates) values(ctx context.Context, r driver.Reader, p keyPart, rows []Record) (values []Value, err error) {
	if p.convert != nil {
		_, values, err = p.convert.converted(ctx, r, rows)
		return values, err
	}
	values = make([]Value, len(rows))
	for i, row := range rows {
		if p.col != nil {
			values[i], err = openColumn(d.keys, p.col, d.table.Name, row[spec.OrdID].Text(), row[ordinalOf(d.from, p.col.Name)])
			if err != nil {
				return nil, err
			}
		}
		if (p.col == nil || p.col.Unfilled) && p.field.Default != nil && values[i].IsNull() {
			values[i] = *p.field.Default
		}
	}
	return values, nil
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
