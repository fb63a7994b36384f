package data

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// fill is a step that gives the rows of a table the values of a column. It runs in batches by id; each
// batch is a transaction that moves the journal's cursor too, and a row that has its value already
// is left alone, so it may be stopped and begun again anywhere.
type fill struct {
	Kind   fillKind
	Table  string
	Column string
	From   string `json:",omitempty"` // convert: the column that is replaced
	Calc   string `json:",omitempty"` // of the column, when it is filled
	Place  string `json:",omitempty"` // what its values are sealed for, when it is filled
}

type fillKind string

const (
	fillDefault   fillKind = "default"   // null becomes the field's default
	fillConvert   fillKind = "convert"   // the values of From, as the new type
	fillCompanion fillKind = "companion" // what create would compute
	fillReseal    fillKind = "reseal"    // sealed for another place before
)

// batchRows is how many rows one transaction of a fill changes, and how many ids are asked for at once.
const batchRows = 500

func newFill(t *tableShape, c *columnShape, kind fillKind) *fill {
	f := &fill{Kind: kind, Table: t.Name, Column: c.Name, Calc: c.Calc}
	if len(c.Sealed) > 0 {
		f.Place = c.Sealed[0]
	}
	return f
}

// scan reads some columns of a table in batches by id.
type scan struct {
	from *spec.Collection // the table as it is
	need []int            // ordinals in from of the columns that are read
}

// filler computes the value of one column for the rows of a table.
type filler struct {
	scan
	fill  *fill
	keys  *Keyring
	table *tableShape
	to    *spec.Collection // the collection as the app has it
	field *spec.Field      // the field of to that is filled
	ord   int              // ordinal in from of the column it fills
	refs  driver.Stmt      // convert to a reference: which of argument 0 exist; nil: none
	loss  bool             // what does not convert becomes null
}

func newFiller(eng driver.Engine, app *spec.App, keys *Keyring, now *shape, f *fill) (*filler, error) {
	t := now.table(f.Table)
	c, ok := app.Collection(f.Table)
	if t == nil || !ok {
		return nil, fault.New(fault.Internal, "fill %s: there is no such collection", f.Table)
	}
	fl := &filler{scan: scan{from: collectionOf(t)}, fill: f, keys: keys, table: t, to: c}
	fl.ord = ordinalOf(fl.from, f.Column)
	name := strings.TrimSuffix(f.Column, temporary)
	i := slices.IndexFunc(c.Fields, func(x *spec.Field) bool { return x.Name == name })
	if fl.ord < 0 || i < 0 {
		return nil, fault.New(fault.Internal, "fill %s: there is no column %q", f.Table, f.Column)
	}
	fl.field = c.Fields[i]
	if keys == nil && (fl.field.Encrypted || slices.ContainsFunc(t.Columns, func(c *columnShape) bool { return c.Plain != nil })) {
		return nil, fault.New(fault.Invalid, "collection %s has encrypted fields: set PLINTH_KEY", f.Table)
	}
	fl.look()
	if to := plainColumn(fl.field); f.Kind == fillConvert && to.Ref != "" {
		target := now.table(to.Ref)
		if target == nil {
			return nil, fault.New(fault.Internal, "fill %s: there is no collection %s", f.Table, to.Ref)
		}
		return fl, fl.refersTo(eng, target)
	}
	return fl, nil
}

// refersTo prepares the question for what the references exist in.
func (fl *filler) refersTo(eng driver.Engine, target *tableShape) (err error) {
	fl.refs, err = eng.Prepare(&driver.Query{From: collectionOf(target), Cols: []driver.Col{{Ord: spec.OrdID}},
		Sort: byIDs, Limit: -1, Per: &driver.Per{Arg: 0, Ord: spec.OrdID, Limit: -1}})
	return err
}

var byIDs = []driver.Key{{Ord: spec.OrdID}}

func ordinalOf(c *spec.Collection, name string) int {
	return slices.IndexFunc(c.Fields, func(f *spec.Field) bool { return f.Name == name })
}

// look decides which columns are read.
func (fl *filler) look() {
	fl.need = []int{spec.OrdID, spec.OrdRev, fl.ord}
	add := func(name string) {
		if ord := ordinalOf(fl.from, name); ord >= 0 && !slices.Contains(fl.need, ord) {
			fl.need = append(fl.need, ord)
		}
	}
	switch {
	case fl.fill.Kind == fillConvert:
		add(fl.fill.From)
	case fl.field.Companion == spec.Partial:
		for _, f := range fl.field.Index.Fields {
			add(f.Name)
		}
		for _, f := range readsOf(fl.to, fl.field.Index.Where) {
			add(f.Name)
		}
	case fl.field.Companion != spec.Own:
		add(fl.field.Of.Name)
	}
}

// value is what the column should hold in a row; ok is false when the row's value does not convert.
func (fl *filler) value(row Record) (v Value, ok bool, err error) {
	id := row[spec.OrdID].Text()
	switch fl.fill.Kind {
	case fillDefault:
		if v = row[fl.ord]; v.IsNull() {
			v = *fl.field.Default
		}
	case fillConvert:
		if v, err = fl.plain(row, fl.fill.From); err != nil {
			return v, false, err
		}
		if v, ok = fl.convert(v); !ok {
			return v, false, nil
		}
	case fillReseal:
		if v, err = fl.plain(row, fl.fill.Column); err != nil {
			return v, false, err
		}
	default:
		v, err = fl.companion(row)
		return v, true, err
	}
	if !fl.field.Encrypted || v.IsNull() || v.Kind() == expr.Bytes {
		return v, true, nil
	}
	sealed, err := fl.keys.Seal(fl.to, fl.field, id, string(AppendJSON(nil, v)))
	return expr.BytesOf(sealed), true, err
}

// convert makes a value one of the field.
func (fl *filler) convert(v Value) (Value, bool) {
	v, ok := convert(v, plainColumn(fl.field))
	if !ok || !fits(fl.field, v) {
		return Value{}, false
	}
	return v, true
}

// converted gives the plain values that are converted in some rows, and what they become: null where one is lost.
func (fl *filler) converted(ctx context.Context, r driver.Reader, rows []Record) (was, is []Value, err error) {
	was, is = make([]Value, len(rows)), make([]Value, len(rows))
	for i, row := range rows {
		if was[i], err = fl.plain(row, fl.fill.From); err != nil {
			return nil, nil, err
		}
		is[i], _ = fl.convert(was[i])
	}
	return was, is, fl.dropDangling(ctx, r, rows, is)
}

// fits says whether a converted value may be one of a field whose type is narrower than its kind.
func fits(f *spec.Field, v Value) bool {
	t := f.Type
	if t == spec.List {
		t = f.Elem
	}
	for _, item := range append([]Value{v}, v.List()...) {
		switch {
		case item.IsNull() || item.Kind() == expr.List:
		case t == spec.Enum && !slices.ContainsFunc(f.Values, func(e spec.EnumValue) bool { return e.Value == item.Text() }):
			return false
		case t == spec.Decimal && f.Precision > 0 && digitsOf(item.Int()) > f.Precision:
			return false
		case t == spec.Email && !ValidEmail(item.Text()), t == spec.URL && !validURL(item.Text()):
			return false
		case t == spec.File:
			return false
		}
	}
	return true
}

// done says whether a row's column holds what it should. A sealed value never is the same twice: it
// is there when it opens in its place.
func (fl *filler) done(row Record, v Value) bool {
	have := row[fl.ord]
	if v.Kind() == expr.Bytes && have.Kind() == expr.Bytes {
		if fl.fill.Kind == fillDefault {
			return true
		}
		was, err := fl.keys.Unseal(fl.to, fl.field, row[spec.OrdID].Text(), []byte(have.Text()))
		is, err2 := fl.keys.Unseal(fl.to, fl.field, row[spec.OrdID].Text(), []byte(v.Text()))
		return err == nil && err2 == nil && string(was) == string(is)
	}
	return expr.Equal(have, v)
}

// plain is the plain value of a column.
func (fl *filler) plain(row Record, name string) (Value, error) {
	return openColumn(fl.keys, fl.table.column(name), fl.table.Name, row[spec.OrdID].Text(), row[ordinalOf(fl.from, name)])
}

// openColumn decrypts a stored value that is sealed for one of its column's places.
func openColumn(keys *Keyring, col *columnShape, table, id string, v Value) (Value, error) {
	if v.Kind() != expr.Bytes {
		return v, nil
	}
	if keys == nil {
		return v, fault.New(fault.Invalid, "collection %s has encrypted fields: set PLINTH_KEY", table)
	}
	var err error
	for _, place := range col.Sealed {
		c, f, _ := strings.Cut(place, "/")
		var text []byte
		if text, err = keys.Unseal(&spec.Collection{Name: c}, &spec.Field{Name: f}, id, []byte(v.Text())); err == nil {
			p := *col.Plain
			p.Name = col.Name
			return sealedValue(collectionOf(&tableShape{Columns: []*columnShape{{Column: p}}}).Fields[0], text)
		}
	}
	if err == nil {
		err = fault.New(fault.Internal, "open %s.%s: it is not known what it was sealed for", table, col.Name)
	}
	return Value{}, err
}

// companion computes a hidden column as create does.
func (fl *filler) companion(row Record) (Value, error) {
	rec := make(Record, len(fl.to.Fields))
	for _, f := range fl.to.Fields {
		ord := ordinalOf(fl.from, f.Name)
		if ord < 0 || f.Companion != spec.Own {
			continue
		}
		var err error
		if rec[f.Ord], err = fl.plain(row, f.Name); err != nil {
			return Value{}, err
		}
	}
	err := fl.keys.companions(fl.to, rec)
	return rec[fl.field.Ord], err
}

// query asks for what is needed of the rows behind argument 0, in the order of ids, as many as argument 1.
func (sc *scan) query() *driver.Query {
	q := &driver.Query{From: sc.from, Sort: byIDs, Limit: 1, After: &driver.After{Args: []int{0}, Null: []bool{false}}}
	for _, ord := range sc.need {
		q.Cols = append(q.Cols, driver.Col{Ord: ord})
	}
	return q
}

// read answers query, as records of from; only the columns that are needed are in them.
func (sc *scan) read(ctx context.Context, r driver.Reader, s driver.Stmt, cursor string, limit int) ([]Record, error) {
	var rows []Record
	err := r.Rows(ctx, s, []Value{expr.TextOf(cursor), expr.IntOf(int64(limit))}, func(cols driver.Columns) error {
		row := make(Record, len(sc.from.Fields))
		for i, ord := range sc.need {
			row[ord] = cols.Value(i)
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// all gives the rows of the table to do, a batch at a time.
func (sc *scan) all(ctx context.Context, r driver.Reader, s driver.Stmt, do func([]Record) error) error {
	for cursor := ""; ; {
		rows, err := sc.read(ctx, r, s, cursor, batchRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := do(rows); err != nil {
			return err
		}
		cursor = rows[len(rows)-1][spec.OrdID].Text()
	}
}

// batch fills the rows behind a cursor and returns the cursor and how many there were.
func (fl *filler) batch(ctx context.Context, tx driver.Tx, s driver.Stmt, cursor string, limit int) (string, int, error) {
	rows, err := fl.read(ctx, tx, s, cursor, limit)
	if err != nil || len(rows) == 0 {
		return cursor, 0, err
	}
	values := make([]Value, len(rows))
	for i, row := range rows {
		v, ok, err := fl.value(row)
		if err != nil {
			return cursor, 0, err
		}
		if !ok {
			if v, err = fl.refuse(row); err != nil {
				return cursor, 0, err
			}
		}
		values[i] = v
	}
	if err := fl.dropDangling(ctx, tx, rows, values); err != nil {
		return cursor, 0, err
	}
	for i, row := range rows {
		if fl.done(row, values[i]) {
			continue
		}
		rec := slices.Clone(row)
		rec[fl.ord] = values[i]
		was, err := tx.Update(fl.from, row[spec.OrdID].Text(), row[spec.OrdRev].Int(), rec, []int{fl.ord})
		if err != nil {
			return cursor, 0, err
		}
		if !was { // changed since it was read: the batch is run again
			return cursor, 0, fault.New(fault.Retry, "fill %s", fl.fill.Table)
		}
	}
	return rows[len(rows)-1][spec.OrdID].Text(), len(rows), nil
}

// refuse is what becomes of a value that does not convert.
func (fl *filler) refuse(row Record) (Value, error) {
	if fl.loss {
		return Value{}, nil
	}
	what := ""
	if v, err := fl.plain(row, fl.fill.From); err == nil && fl.showable() {
		what = " (" + short(v) + ")"
	}
	return Value{}, fault.New(fault.Invalid, "field %q of %s: the value%s of record %s does not convert to %s; change it, or allow its loss",
		fl.field.Name, fl.fill.Table, what, row[spec.OrdID].Text(), typeWords(fl.field))
}

// showable says whether a value may stand in a message.
func (fl *filler) showable() bool {
	from := fl.table.column(fl.fill.From)
	return !fl.field.Personal && !fl.field.Encrypted && !fl.field.Hidden && (from == nil || from.Plain == nil)
}

func short(v Value) string {
	r := []rune(string(AppendJSON(nil, v)))
	if len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return string(r)
}

// dropDangling finds the references that lead nowhere: they do not convert.
func (fl *filler) dropDangling(ctx context.Context, r driver.Reader, rows []Record, values []Value) error {
	if fl.fill.Kind != fillConvert || plainColumn(fl.field).Ref == "" {
		return nil
	}
	ids := map[string]bool{}
	each := func(v Value, do func(string)) {
		if v.Kind() == expr.List {
			for _, item := range v.List() {
				do(item.Text())
			}
		} else if !v.IsNull() {
			do(v.Text())
		}
	}
	var ask []Value
	for _, v := range values {
		each(v, func(id string) {
			if _, asked := ids[id]; !asked {
				ids[id] = false
				ask = append(ask, expr.TextOf(id))
			}
		})
	}
	if fl.refs == nil { // the collection is not there yet
		ask = nil
	}
	for part := range slices.Chunk(ask, batchRows) {
		err := r.Rows(ctx, fl.refs, []Value{expr.ListOf(part...)}, func(cols driver.Columns) error {
			ids[string(cols.Text(0))] = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i, v := range values {
		whole := true
		each(v, func(id string) { whole = whole && ids[id] })
		if whole {
			continue
		}
		var err error
		if values[i], err = fl.refuse(rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// words says what a fill is doing, for a progress line.
func (f *fill) words() string {
	return fmt.Sprintf("%s: %s", f.Table, strings.TrimSuffix(f.Column, temporary))
}
