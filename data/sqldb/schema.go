package sqldb

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
)

// The catalogue keeps what a database cannot say of a column (a decimal is an integer to it) and the names
// and columns of indexes as they were asked for. It is in the tables _columns (tbl, name, kind, elem, scale,
// ref, side, maxlen) and _indexes (tbl, name, sqlname, columns, unique), not in comments of the definitions,
// because some databases rewrite those. What it says of things that are not there is not heard.

// Schema is a database's tables at one moment, or as steps leave them.
type Schema struct {
	Tables map[string]*Table
	Names  map[string]bool // of everything that shares a space of names with tables

	catalogued map[string]map[string]driver.Column // of the catalogue, by table and column
}

// Table is a table with the names that its indexes have in the database.
type Table struct {
	driver.Table
	SQLName map[string]string
}

// NewSchema is a database with nothing in it. It is told of names first, then of the catalogue's columns, the
// columns that there are, and the catalogue's indexes.
func NewSchema() *Schema {
	return &Schema{Tables: map[string]*Table{}, Names: map[string]bool{}, catalogued: map[string]map[string]driver.Column{}}
}

// Catalogued takes a row of _columns: text gives its columns in the order above.
func (s *Schema) Catalogued(text func(i int) string) {
	c := driver.Column{Name: text(1), Kind: kindNamed(text(2)), Elem: kindNamed(text(3)), Ref: text(5), Side: yes(text(6))}
	c.Scale, _ = strconv.Atoi(text(4))
	c.MaxLen, _ = strconv.Atoi(text(7))
	s.entry(text(0))[c.Name] = c
}

func (s *Schema) entry(table string) map[string]driver.Column {
	if s.catalogued[table] == nil {
		s.catalogued[table] = map[string]driver.Column{}
	}
	return s.catalogued[table]
}

// ours are the tables that are an engine's, not the app's.
func ours(table string) bool {
	switch table {
	case "_columns", "_indexes", "_health", "_boot":
		return true
	}
	return strings.Contains(table, "$")
}

// Has says that a table has a column. The kind is a guess, for one that the catalogue does not know.
func (s *Schema) Has(table, column string, guess expr.Kind) {
	if ours(table) {
		return
	}
	t := s.Tables[table]
	if t == nil {
		t = &Table{Table: driver.Table{Name: table}, SQLName: map[string]string{}}
		s.Tables[table] = t
	}
	c, ok := s.catalogued[table][column]
	if !ok {
		c = driver.Column{Name: column, Kind: guess}
	}
	t.Columns = append(t.Columns, c)
}

// Indexed takes a row of _indexes: text gives its columns in the order above. there says whether an index of
// such a name in the database is one of the table's.
func (s *Schema) Indexed(text func(i int) string, there func(table, sqlname string) bool) error {
	s.entry(text(0))
	t, sqlname := s.Tables[text(0)], text(2)
	if t == nil || !s.Names[sqlname] && !there(t.Name, sqlname) {
		return nil // of something that others dropped
	}
	columns, err := ReadList([]byte(text(3)), expr.Text)
	if err != nil {
		return err
	}
	x := driver.TableIndex{Name: text(1), Unique: yes(text(4))}
	for _, v := range columns.List() {
		x.Columns = append(x.Columns, v.Text())
	}
	t.Indexes = append(t.Indexes, x)
	t.SQLName[x.Name] = sqlname
	return nil
}

// Sorted are the tables by name.
func (s *Schema) Sorted() []driver.Table {
	var tables []driver.Table
	for _, t := range s.Tables {
		tables = append(tables, t.Table)
	}
	slices.SortFunc(tables, func(a, b driver.Table) int { return cmp.Compare(a.Name, b.Name) })
	return tables
}

func (t *Table) column(name string) int {
	return slices.IndexFunc(t.Columns, func(c driver.Column) bool { return c.Name == name })
}

// Column finds a column.
func (t *Table) Column(name string) (driver.Column, bool) {
	i := t.column(name)
	if i < 0 {
		return driver.Column{}, false
	}
	return t.Columns[i], true
}

func (t *Table) index(name string) int {
	return slices.IndexFunc(t.Indexes, func(x driver.TableIndex) bool { return x.Name == name })
}

// ListAlone is the list whose side table is the index, if there is one.
func (t *Table) ListAlone(x driver.TableIndex) (driver.Column, bool) {
	if len(x.Columns) == 0 || slices.ContainsFunc(x.Columns[1:], func(c string) bool { return c != "id" }) {
		return driver.Column{}, false
	}
	c, ok := t.Column(x.Columns[0])
	return c, ok && c.Kind == expr.List
}

// Keyed are the columns of an index in the database: one that is not unique ends with id.
func Keyed(x driver.TableIndex) []string {
	if x.Unique || slices.Contains(x.Columns, "id") {
		return x.Columns
	}
	return append(slices.Clone(x.Columns), "id")
}

func yes(text string) bool { return text == "1" }

func kindNamed(name string) expr.Kind {
	for k := expr.Null; k <= expr.Row; k++ {
		if k.String() == name {
			return k
		}
	}
	return expr.Null
}
