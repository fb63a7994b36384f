package data

import (
	"slices"
	"unicode/utf8"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// The physical schema. A table is a collection and has its name; a column is a field, companions
// included, and has its name: id is the first column and the primary key. What Plinth adds to the
// app's names carries a $, which no name of an app can:
//
//	email$fold       the fold of a ci field                    (spec)
//	phone$key        the keyed hash of a searchable one        (spec)
//	NAME$index       the key of a partial unique index NAME    (spec)
//	client$ref       the index of a reference that leads no declared one
//	price$new        a column that is going to replace price, while a plan is being applied
//
// _migrations is the journal of Apply, beside the app's own tables.

// Tables is the physical schema of an app, in the order of its collections.
//
// Every declared index becomes one over the columns by which its fields are compared (fold, keyed
// hash), and ends with id unless it is unique. A partial unique index is a unique one over its
// companion alone. A list with an index of its own, and every list of references, has a side table
// instead (Column.Side). A reference is indexed, for cascades and inverses.
func Tables(app *spec.App) []driver.Table {
	tables := make([]driver.Table, 0, len(app.Collections))
	for _, c := range app.Collections {
		tables = append(tables, tableOf(c))
	}
	return tables
}

func tableOf(c *spec.Collection) driver.Table {
	t := driver.Table{Name: c.Name}
	for _, f := range c.Fields {
		t.Columns = append(t.Columns, columnOf(c, f))
	}
	for _, x := range c.Indexes {
		if onList(x) {
			continue
		}
		t.Indexes = append(t.Indexes, indexOf(c, x))
	}
	for _, f := range c.Fields {
		if f.Type == spec.Ref && !f.Encrypted && !leads(t.Indexes, f.Name) {
			t.Indexes = append(t.Indexes, driver.TableIndex{Name: f.Name + "$ref", Columns: []string{f.Name, "id"}})
		}
	}
	return t
}

func columnOf(c *spec.Collection, f *spec.Field) driver.Column {
	col := plainColumn(f)
	if f.Encrypted {
		return driver.Column{Name: f.Name, Kind: expr.Bytes}
	}
	if f.Type == spec.List {
		col.Side = f.Elem == spec.Ref || slices.ContainsFunc(c.Indexes, func(x *spec.Index) bool { return onList(x) && x.Fields[0] == f })
	}
	return col
}

// plainColumn is what a field would be if it were not encrypted.
func plainColumn(f *spec.Field) driver.Column {
	col := driver.Column{Name: f.Name, Kind: f.Type.Kind()}
	item := f.Type
	if f.Type == spec.List {
		item = f.Elem
		col.Elem = f.Elem.Kind()
	}
	switch item {
	case spec.Ref:
		col.Ref = f.To
	case spec.Decimal:
		col.Scale = f.Scale
	}
	if col.Kind == expr.Text {
		col.MaxLen = maxLen(f)
	}
	return col
}

// Lengths of texts that Plinth makes, in characters.
const (
	lenID    = 36
	lenHash  = 43  // 32 bytes in base64
	lenIndex = 255 // what an indexed text may have
	lenFold  = 730 // and its fold: with an id behind it MariaDB has room for no more in an index
)

// maxLen is how long a text can be, in characters; 0 when it is too long for an index.
func maxLen(f *spec.Field) int {
	switch {
	case f.Ord == spec.OrdID || f.Type == spec.Ref:
		return lenID
	case f.Companion == spec.Key || f.Companion == spec.Partial:
		return lenHash
	case f.Companion == spec.Fold:
		return foldLen(f.Of)
	case f.Type == spec.Enum:
		n := 0
		for _, v := range f.Values {
			n = max(n, utf8.RuneCountInString(v.Value))
		}
		return n
	case f.MaxLen <= lenIndex:
		return f.MaxLen
	}
	return 0
}

// foldLen is how long the fold of a text in an index may be: the full fold makes at most three characters of one. That of an address
// of mail is hardly ever longer than it, and has to leave room beside it in an index.
func foldLen(f *spec.Field) int {
	if f.Type == spec.Email {
		return maxLen(f)
	}
	return min(3*maxLen(f), lenFold)
}

func indexOf(c *spec.Collection, x *spec.Index) driver.TableIndex {
	out := driver.TableIndex{Name: x.Name, Unique: x.Unique}
	if x.Key != nil {
		out.Columns = []string{x.Key.Name}
		return out
	}
	for _, f := range x.Fields {
		out.Columns = append(out.Columns, c.Fields[comparedBy(f)].Name)
	}
	if !x.Unique && !slices.Contains(out.Columns, "id") {
		out.Columns = append(out.Columns, "id")
	}
	return out
}

// onList says whether an index is that of a list, which a side table serves.
func onList(x *spec.Index) bool {
	return len(x.Fields) == 1 && x.Fields[0].Type == spec.List && !x.Fields[0].Encrypted
}

func leads(indexes []driver.TableIndex, column string) bool {
	return slices.ContainsFunc(indexes, func(x driver.TableIndex) bool { return x.Columns[0] == column })
}
