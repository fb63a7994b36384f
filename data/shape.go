package data

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// shape is the schema as a plan sees it: tables, and what is in their columns. The journal keeps
// the shape of the database as Apply left it, also half-way through a plan.
type shape struct {
	Tables []*tableShape
}

type tableShape struct {
	Name    string
	Columns []*columnShape
	Indexes []driver.TableIndex

	was    string // the name it may have had
	origin string // its name in the database now, while a plan is made; "" when it is not there
}

type columnShape struct {
	driver.Column
	Type     string         // in the words of the app file
	Own      bool           // holds what people entered: to drop it loses data
	Plain    *driver.Column `json:",omitempty"` // encrypted: what is sealed in it
	Sealed   []string       `json:",omitempty"` // encrypted: the places its values may be sealed for
	Calc     string         `json:",omitempty"` // companion: how it is computed
	Unfilled bool           `json:",omitempty"` // its values are not there yet

	was      string
	origin   string // the column in the database now that its values come from
	converts bool   // they are converted
	fills    bool   // it has a default for rows that are there already
}

// temporary ends the name of a column that is going to replace another.
const temporary = "$new"

// shapeOf is the shape an app wants.
func shapeOf(app *spec.App) *shape {
	s := &shape{}
	for _, c := range app.Collections {
		def := tableOf(c)
		t := &tableShape{Name: c.Name, was: c.Was, Indexes: def.Indexes}
		for i, f := range c.Fields {
			col := &columnShape{Column: def.Columns[i], Type: typeWords(f), Own: f.Companion == spec.Own, was: f.Was, fills: f.Default != nil}
			if f.Encrypted {
				p := plainColumn(f)
				p.Name = ""
				col.Plain, col.Sealed = &p, []string{c.Name + "/" + f.Name}
			}
			if f.Companion != spec.Own {
				col.Calc = calc(c, f)
			}
			t.Columns = append(t.Columns, col)
		}
		s.Tables = append(s.Tables, t)
	}
	return s
}

func typeWords(f *spec.Field) string {
	t := f.Type.String()
	if f.Type == spec.List {
		t += " of " + f.Elem.String()
	}
	if f.Encrypted {
		t = "encrypted " + t
	}
	return t
}

// calc describes how a companion is computed: when the description changes, it is computed anew.
func calc(c *spec.Collection, f *spec.Field) string {
	kind := func(f *spec.Field) string {
		p := plainColumn(f)
		return fmt.Sprintf("%s %s %d %s", p.Kind, p.Elem, p.Scale, p.Ref)
	}
	switch f.Companion {
	case spec.Fold:
		return "fold " + kind(f.Of)
	case spec.Key:
		return fmt.Sprintf("key %s/%s %s ci=%t", c.Name, f.Of.Name, kind(f.Of), f.Of.CI)
	}
	var b strings.Builder
	b.WriteString("partial")
	for _, of := range f.Index.Fields {
		fmt.Fprintf(&b, " %s:%s", c.Fields[comparedBy(of)].Name, kind(of))
	}
	b.WriteString(" where " + f.Index.Where.Source)
	for _, of := range readsOf(c, f.Index.Where) {
		fmt.Fprintf(&b, " %s:%s", of.Name, kind(of))
	}
	return b.String()
}

// readsOf are the fields of the record that an expression reads.
func readsOf(c *spec.Collection, e *expr.Expr) []*spec.Field {
	var fields []*spec.Field
	expr.Walk(e.Root, func(n *expr.Node) bool {
		if n.Op == expr.OpField && n.Args[0].Op == expr.OpRow && n.Args[0].Index == expr.VarRecord {
			f := c.Fields[n.Index]
			if f.Of != nil {
				f = f.Of
			}
			if !slices.Contains(fields, f) {
				fields = append(fields, f)
			}
		}
		return true
	})
	return fields
}

func (s *shape) table(name string) *tableShape {
	for _, t := range s.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

func (t *tableShape) column(name string) *columnShape {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func (t *tableShape) index(name string) *driver.TableIndex {
	for i := range t.Indexes {
		if t.Indexes[i].Name == name {
			return &t.Indexes[i]
		}
	}
	return nil
}

// def is the table as an engine makes it.
func (t *tableShape) def() driver.Table {
	d := driver.Table{Name: t.Name, Indexes: t.Indexes}
	for _, c := range t.Columns {
		d.Columns = append(d.Columns, c.Column)
	}
	return d
}

// clone copies a shape as the database has it: everything in it has an origin.
func (s *shape) clone() *shape {
	out := &shape{}
	for _, t := range s.Tables {
		out.Tables = append(out.Tables, t.clone(true))
	}
	return out
}

func (t *tableShape) clone(there bool) *tableShape {
	out := *t
	out.origin = ""
	if there {
		out.origin = t.Name
	}
	out.Columns = nil
	for _, c := range t.Columns {
		col := *c
		col.origin = ""
		if there {
			col.origin = c.Name
		}
		col.Sealed = slices.Clone(c.Sealed)
		out.Columns = append(out.Columns, &col)
	}
	out.Indexes = slices.Clone(t.Indexes)
	for i := range out.Indexes {
		out.Indexes[i].Columns = slices.Clone(out.Indexes[i].Columns)
	}
	return &out
}

// holdsSame says whether two columns hold the same values in the same way. The length of a text is
// no part of it: whoever writes checks it.
func (c *columnShape) holdsSame(o *columnShape) bool {
	same := func(a, b driver.Column) bool {
		return a.Kind == b.Kind && a.Elem == b.Elem && a.Scale == b.Scale && a.Ref == b.Ref && a.Side == b.Side
	}
	if (c.Plain == nil) != (o.Plain == nil) || c.Plain != nil && !same(*c.Plain, *o.Plain) {
		return false
	}
	return same(c.Column, o.Column)
}

// action is what a step does to the database, and to the shape.
type action struct {
	Change *driver.Step `json:",omitempty"`
	Table  *tableShape  `json:",omitempty"` // CreateTable
	Column *columnShape `json:",omitempty"` // AddColumn
	Fill   *fill        `json:",omitempty"`
}

// apply does to the shape what the action does to the database.
func (s *shape) apply(a action) {
	if a.Fill != nil {
		if t := s.table(a.Fill.Table); t != nil {
			if c := t.column(a.Fill.Column); c != nil {
				c.Unfilled, c.Calc = false, a.Fill.Calc
				if a.Fill.Place != "" {
					c.Sealed = []string{a.Fill.Place}
				}
			}
		}
		return
	}
	d := a.Change
	switch d.Kind {
	case driver.CreateTable:
		if s.table(a.Table.Name) == nil {
			s.Tables = append(s.Tables, a.Table.clone(false))
		}
		return
	case driver.RenameTable:
		s.renameTable(d.Table, d.To)
		return
	case driver.DropTable:
		s.Tables = slices.DeleteFunc(s.Tables, func(t *tableShape) bool { return t.Name == d.Table })
		return
	}
	if t := s.table(d.Table); t != nil {
		t.apply(a)
	}
}

func (t *tableShape) apply(a action) {
	d := a.Change
	switch d.Kind {
	case driver.AddColumn:
		if t.column(d.Column.Name) == nil {
			c := *a.Column
			t.Columns = append(t.Columns, &c)
		}
	case driver.RenameColumn:
		if c := t.column(d.Column.Name); c != nil {
			c.Name = d.To
			for i := range t.Indexes {
				for j, name := range t.Indexes[i].Columns {
					if name == d.Column.Name {
						t.Indexes[i].Columns[j] = d.To
					}
				}
			}
		}
	case driver.DropColumn:
		t.Columns = slices.DeleteFunc(t.Columns, func(c *columnShape) bool { return c.Name == d.Column.Name })
	case driver.CreateIndex:
		if t.index(d.Index.Name) == nil {
			x := d.Index
			x.Columns = slices.Clone(x.Columns)
			t.Indexes = append(t.Indexes, x)
		}
	case driver.DropIndex:
		t.Indexes = slices.DeleteFunc(t.Indexes, func(x driver.TableIndex) bool { return x.Name == d.Index.Name })
	}
}

func (s *shape) renameTable(from, to string) {
	for _, t := range s.Tables {
		if t.Name == from {
			t.Name = to
		}
		for _, c := range t.Columns {
			if c.Ref == from {
				c.Ref = to
			}
			if c.Plain != nil && c.Plain.Ref == from {
				c.Plain.Ref = to
			}
		}
	}
}

// collectionOf is a collection for reading and writing a table as it is, whatever the app says.
func collectionOf(t *tableShape) *spec.Collection {
	c := &spec.Collection{Name: t.Name, System: true}
	for i, col := range t.Columns {
		f := &spec.Field{Name: col.Name, Ord: i, FoldOrd: -1, KeyOrd: -1, Scale: col.Scale, To: col.Ref, MaxLen: col.MaxLen}
		f.Type = fieldType(col.Column)
		if col.Kind == expr.List {
			item := col.Column
			item.Kind = col.Elem
			f.Elem = fieldType(item)
			f.MaxLen = 0
			if col.Side && f.Elem != spec.Ref {
				c.Indexes = append(c.Indexes, &spec.Index{Name: col.Name, Fields: []*spec.Field{f}})
			}
		}
		f.Encrypted = col.Kind == expr.Bytes
		c.Fields = append(c.Fields, f)
	}
	return c
}

func fieldType(c driver.Column) spec.FieldType {
	switch c.Kind {
	case expr.Bool:
		return spec.Bool
	case expr.Int:
		return spec.Int
	case expr.Bigint:
		return spec.Bigint
	case expr.Float:
		return spec.Float
	case expr.Decimal:
		return spec.Decimal
	case expr.Time:
		return spec.Time
	case expr.Date:
		return spec.Date
	case expr.JSON:
		return spec.JSON
	case expr.List:
		return spec.List
	}
	if c.Ref != "" {
		return spec.Ref
	}
	return spec.Text
}
