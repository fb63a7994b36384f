package sqldb

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// Layout is what differs in the statements that change tables. A table is as it is before the statement, but for
// CreateTable; free makes a name that nothing in the database has.
type Layout interface {
	// Quote makes an identifier of any name.
	Quote(name string) string
	// CreateTable makes a table with its indexes (but those of a list alone).
	CreateTable(t *Table) []string
	// Rename renames tables, of each the name that it has and the one that it gets.
	Rename(tables ...[2]string) []string
	AddColumn(t *Table, c driver.Column) string
	// DropColumn drops a column and before it the indexes that have it.
	DropColumn(t *Table, c driver.Column, indexes []driver.TableIndex) []string
	CreateIndex(t *Table, x driver.TableIndex, sqlname string) string
	DropIndex(t *Table, x driver.TableIndex) string
	// CreateSide makes the side table of a list: value and id, each pair once, and an index of ids. It is
	// filled with what a list has that is there already.
	CreateSide(side, table string, c driver.Column, fill bool, free func(parts ...string) string) []string
}

// RenameEach renames tables one by one.
func RenameEach(quote func(string) string, tables ...[2]string) (out []string) {
	for _, t := range tables {
		out = append(out, "ALTER TABLE "+quote(t[0])+" RENAME TO "+quote(t[1]))
	}
	return out
}

// Plan writes the statements of a step, none where it is done already, and makes s what it is after it.
//
// Where tables do not change in transactions any of them may be the last that is run, and the step is then
// planned again. So the catalogue is told before a step what will be, and after it what is no more; side
// tables are ready before their lists; and what others see of a step happens in one statement.
func (s *Schema) Plan(l Layout, step driver.Step) ([]string, error) {
	p := &planner{have: s, l: l}
	if step.Kind == driver.CreateTable {
		if s.Tables[step.New.Name] == nil {
			p.createTable(step.New)
		}
		return p.out, nil
	}
	t, to := s.Tables[step.Table], s.Tables[step.To]
	switch {
	case step.Kind == driver.DropTable:
		if t != nil {
			p.dropTable(t)
		}
		return p.out, nil
	case t == nil && step.Kind == driver.RenameTable && to != nil:
		return nil, nil // done before
	case t == nil:
		return nil, fault.New(fault.Internal, "there is no table %q", step.Table)
	case step.Kind == driver.RenameTable && to != nil:
		return nil, fault.New(fault.Internal, "there is a table %q already", step.To)
	case step.Kind == driver.RenameTable:
		p.renameTable(t, step.To)
		return p.out, nil
	}
	return p.out, p.alter(t, step)
}

type planner struct {
	have *Schema
	l    Layout
	out  []string
}

// add appends a statement made of words as they are.
func (p *planner) add(words ...string) { p.out = append(p.out, strings.Join(words, "")) }

func (p *planner) run(statements ...string) { p.out = append(p.out, statements...) }

// Quote makes an identifier of standard SQL.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal makes a text of standard SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// free is a name like this that nothing in the database has: renamed tables keep the names of their indexes.
func (p *planner) free(parts ...string) string {
	name := Derived(parts...)
	for n := 2; p.have.Names[name]; n++ {
		name = Derived(append(slices.Clone(parts), strconv.Itoa(n))...)
	}
	p.have.Names[name] = true
	return name
}

func (p *planner) alter(t *Table, s driver.Step) error {
	at := t.column(s.Column.Name)
	switch s.Kind {
	case driver.AddColumn:
		if at < 0 {
			p.addColumn(t, s.Column)
		}
	case driver.DropColumn:
		if at >= 0 {
			p.dropColumn(t, at)
		}
	case driver.RenameColumn:
		done := t.column(s.To) >= 0
		switch {
		case at >= 0 && !done:
			p.renameColumn(t, at, s.To)
		case (at >= 0) == done:
			return fault.New(fault.Internal, "%s.%s cannot be renamed to %s", t.Name, s.Column.Name, s.To)
		}
	case driver.CreateIndex:
		if t.index(s.Index.Name) < 0 {
			p.createIndex(t, s.Index)
		}
	case driver.DropIndex:
		if i := t.index(s.Index.Name); i >= 0 {
			p.dropIndex(t, i)
		}
	default:
		return fault.New(fault.Internal, "unknown step of a schema change")
	}
	return nil
}

func (p *planner) createTable(n driver.Table) {
	p.forget(n.Name) // what the catalogue says of a table that others dropped
	t := &Table{Table: driver.Table{Name: n.Name, Columns: slices.Clone(n.Columns)}, SQLName: map[string]string{}}
	p.have.Tables[t.Name], p.have.Names[t.Name] = t, true
	for _, c := range t.Columns {
		p.enter(t.Name, c)
		p.beside(t.Name, c)
	}
	for _, x := range n.Indexes {
		if c, ok := t.ListAlone(x); ok {
			t.SQLName[x.Name] = sideTable(t.Name, c.Name)
			p.createSide(t.Name, c, false)
		} else {
			t.SQLName[x.Name] = p.free(t.Name, x.Name, "index")
		}
		t.Indexes = append(t.Indexes, x)
		p.enterIndex(t, x)
	}
	p.run(p.l.CreateTable(t)...)
}

// enter tells the catalogue of a column. What it says of one of that name is of one that is no more.
func (p *planner) enter(table string, c driver.Column) {
	if _, ok := p.have.catalogued[table][c.Name]; ok {
		p.leave(table, c.Name)
	}
	p.have.entry(table)[c.Name] = c
	p.add(`INSERT INTO "_columns" ("tbl", "name", "kind", "elem", "scale", "ref", "side", "maxlen") VALUES (`, literal(table), ", ", literal(c.Name), ", ",
		literal(c.Kind.String()), ", ", literal(c.Elem.String()), ", ", strconv.Itoa(c.Scale), ", ", literal(c.Ref), ", ", flag(c.Side), ", ", strconv.Itoa(c.MaxLen), ")")
}

func (p *planner) leave(table, column string) {
	delete(p.have.catalogued[table], column)
	p.add(`DELETE FROM "_columns" WHERE "tbl" = `, literal(table), ` AND "name" = `, literal(column))
}

func (p *planner) enterIndex(t *Table, x driver.TableIndex) {
	p.leaveIndex(t.Name, x.Name)
	p.add(`INSERT INTO "_indexes" ("tbl", "name", "sqlname", "columns", "unique") VALUES (`, literal(t.Name), ", ", literal(x.Name), ", ",
		literal(t.SQLName[x.Name]), ", ", listed(x.Columns), ", ", flag(x.Unique), ")")
}

// listed writes names of columns as the catalogue keeps them.
func listed(columns []string) string {
	items := make([]expr.Value, len(columns))
	for i, c := range columns {
		items[i] = expr.TextOf(c)
	}
	return literal(string(AppendList(nil, items)))
}

func (p *planner) leaveIndex(table, index string) {
	p.add(`DELETE FROM "_indexes" WHERE "tbl" = `, literal(table), ` AND "name" = `, literal(index))
}

// forget removes what the catalogue says of a table.
func (p *planner) forget(table string) {
	if p.have.catalogued[table] != nil {
		delete(p.have.catalogued, table)
		p.add(`DELETE FROM "_columns" WHERE "tbl" = `, literal(table))
		p.add(`DELETE FROM "_indexes" WHERE "tbl" = `, literal(table))
	}
}

// beside makes the side table of a list that is new. One that others left behind belongs to a column that
// is no more.
func (p *planner) beside(table string, c driver.Column) {
	p.dropSide(table, c)
	if c.Kind == expr.List && (c.Side || c.Ref != "") {
		p.createSide(table, c, false)
	}
}

func (p *planner) createSide(table string, c driver.Column, fill bool) {
	side := sideTable(table, c.Name)
	if p.have.Names[side] {
		return
	}
	p.have.Names[side] = true
	p.run(p.l.CreateSide(side, table, c, fill, p.free)...)
}

func (p *planner) dropSide(table string, c driver.Column) {
	if side := sideTable(table, c.Name); p.have.Names[side] {
		delete(p.have.Names, side)
		p.add("DROP TABLE ", p.l.Quote(side))
	}
}

// movedSide makes room for a side table's new name. There is nothing to rename where a step is planned again.
func (p *planner) movedSide(from, to string) [][2]string {
	if !p.have.Names[from] {
		return nil
	}
	if p.have.Names[to] {
		p.add("DROP TABLE ", p.l.Quote(to)) // of a column that others dropped
	}
	delete(p.have.Names, from)
	p.have.Names[to] = true
	return [][2]string{{from, to}}
}

func (p *planner) dropTable(t *Table) {
	p.add("DROP TABLE ", p.l.Quote(t.Name))
	for _, c := range t.Columns {
		p.dropSide(t.Name, c)
	}
	p.forget(t.Name)
	delete(p.have.Tables, t.Name)
	delete(p.have.Names, t.Name)
}

func (p *planner) renameTable(t *Table, to string) {
	p.forget(to)
	from := t.Name
	t.Name = to
	for _, other := range p.have.Tables {
		for i := range other.Columns {
			if other.Columns[i].Ref == from {
				other.Columns[i].Ref = to
			}
		}
	}
	p.add(`UPDATE "_columns" SET "ref" = `, literal(to), ` WHERE "ref" = `, literal(from))
	for _, c := range t.Columns {
		p.enter(to, c)
	}
	for _, x := range t.Indexes {
		if c, ok := t.ListAlone(x); ok {
			t.SQLName[x.Name] = sideTable(to, c.Name)
		}
		p.enterIndex(t, x)
	}
	moved := [][2]string{{from, to}}
	for _, c := range t.Columns {
		moved = append(moved, p.movedSide(sideTable(from, c.Name), sideTable(to, c.Name))...)
	}
	p.run(p.l.Rename(moved...)...)
	p.forget(from)
	delete(p.have.Tables, from)
	delete(p.have.Names, from)
	p.have.Tables[to], p.have.Names[to] = t, true
}

func (p *planner) addColumn(t *Table, c driver.Column) {
	p.enter(t.Name, c)
	p.beside(t.Name, c)
	p.run(p.l.AddColumn(t, c))
	t.Columns = append(t.Columns, c)
}

func (p *planner) dropColumn(t *Table, at int) {
	c := t.Columns[at]
	var over, rest []driver.TableIndex
	for _, x := range t.Indexes {
		if !slices.Contains(x.Columns, c.Name) {
			rest = append(rest, x)
		} else if _, ok := t.ListAlone(x); !ok {
			over = append(over, x)
		}
	}
	p.run(p.l.DropColumn(t, c, over)...)
	p.dropSide(t.Name, c)
	for _, x := range t.Indexes {
		if slices.Contains(x.Columns, c.Name) {
			p.leaveIndex(t.Name, x.Name)
			delete(p.have.Names, t.SQLName[x.Name])
			delete(t.SQLName, x.Name)
		}
	}
	p.leave(t.Name, c.Name)
	t.Columns, t.Indexes = slices.Delete(t.Columns, at, at+1), rest
}

func (p *planner) renameColumn(t *Table, at int, to string) {
	from := t.Columns[at]
	t.Columns[at].Name = to
	p.enter(t.Name, t.Columns[at])
	for i, x := range t.Indexes {
		if !slices.Contains(x.Columns, from.Name) {
			continue
		}
		x.Columns = slices.Clone(x.Columns)
		for j, c := range x.Columns {
			if c == from.Name {
				x.Columns[j] = to
			}
		}
		t.Indexes[i] = x
		if _, ok := t.ListAlone(x); ok {
			t.SQLName[x.Name] = sideTable(t.Name, to)
		}
		p.add(`UPDATE "_indexes" SET "columns" = `, listed(x.Columns), `, "sqlname" = `, literal(t.SQLName[x.Name]),
			` WHERE "tbl" = `, literal(t.Name), ` AND "name" = `, literal(x.Name))
	}
	if moved := p.movedSide(sideTable(t.Name, from.Name), sideTable(t.Name, to)); moved != nil {
		p.run(p.l.Rename(moved...)...)
	}
	p.add("ALTER TABLE ", p.l.Quote(t.Name), " RENAME COLUMN ", p.l.Quote(from.Name), " TO ", p.l.Quote(to))
	p.leave(t.Name, from.Name)
}

// createIndex makes an index, which ends with id unless it is unique. The index of a list alone is
// its side table.
func (p *planner) createIndex(t *Table, x driver.TableIndex) {
	if c, ok := t.ListAlone(x); ok {
		t.SQLName[x.Name] = sideTable(t.Name, c.Name)
		p.enterIndex(t, x)
		p.createSide(t.Name, c, true)
	} else {
		t.SQLName[x.Name] = p.free(t.Name, x.Name, "index")
		p.enterIndex(t, x)
		p.run(p.l.CreateIndex(t, x, t.SQLName[x.Name]))
	}
	t.Indexes = append(t.Indexes, x)
}

func (p *planner) dropIndex(t *Table, at int) {
	x := t.Indexes[at]
	if c, ok := t.ListAlone(x); ok {
		if !c.Side && c.Ref == "" {
			p.dropSide(t.Name, c)
		}
	} else {
		delete(p.have.Names, t.SQLName[x.Name])
		p.run(p.l.DropIndex(t, x))
	}
	p.leaveIndex(t.Name, x.Name)
	t.Indexes = slices.Delete(t.Indexes, at, at+1)
	delete(t.SQLName, x.Name)
}
