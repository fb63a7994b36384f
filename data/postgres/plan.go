package postgres

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// plan writes the statements of a step, none where it is done already, and makes have what it is after it.
func plan(have *schema, s driver.Step) ([]string, error) {
	p := &planner{have: have}
	if s.Kind == driver.CreateTable {
		if have.tables[s.New.Name] == nil {
			p.createTable(s.New)
		}
		return p.out, nil
	}
	t := have.tables[s.Table]
	switch {
	case s.Kind == driver.DropTable:
		if t != nil {
			p.dropTable(t)
		}
		return p.out, nil
	case t == nil && s.Kind == driver.RenameTable && have.tables[s.To] != nil:
		return nil, nil // done before
	case t == nil:
		return nil, fault.New(fault.Internal, "there is no table %q", s.Table)
	case s.Kind == driver.RenameTable && have.tables[s.To] != nil:
		return nil, fault.New(fault.Internal, "there is a table %q already", s.To)
	case s.Kind == driver.RenameTable:
		p.renameTable(t, s.To)
		return p.out, nil
	}
	return p.out, p.alter(t, s)
}

type planner struct {
	have *schema
	out  []string
}

// add appends a statement made of words as they are.
func (p *planner) add(words ...string) { p.out = append(p.out, strings.Join(words, "")) }

func q(name string) string { return dialect{}.Quote(name) }

// text makes a literal.
func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// free is a name like this that nothing in the database has: renamed tables keep the names of their indexes.
func (p *planner) free(parts ...string) string {
	name := sqldb.Derived(parts...)
	for n := 2; p.have.names[name]; n++ {
		name = sqldb.Derived(append(slices.Clone(parts), strconv.Itoa(n))...)
	}
	p.have.names[name] = true
	return name
}

func (p *planner) alter(t *table, s driver.Step) error {
	at := t.column(s.Column.Name)
	switch s.Kind {
	case driver.AddColumn:
		if at < 0 {
			p.add("ALTER TABLE ", q(t.Name), " ADD COLUMN ", p.definition(t.Name, s.Column))
			t.Columns = append(t.Columns, s.Column)
			p.beside(t.Name, s.Column)
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

// declared is how a column of a kind is declared.
func declared(kind, elem expr.Kind) string {
	d := typeOf(kind, elem)
	switch {
	case kind == expr.Time:
		d += "(3)"
	case strings.HasPrefix(d, "text"):
		d += ` COLLATE "C"`
	}
	return d
}

func (p *planner) definition(table string, c driver.Column) string {
	d := q(c.Name) + " " + declared(c.Kind, c.Elem)
	if c.Name == "id" {
		d += " CONSTRAINT " + q(p.free(table, "id")) + " PRIMARY KEY"
	}
	return d
}

func (p *planner) createTable(n driver.Table) {
	t := &table{Table: driver.Table{Name: n.Name, Columns: slices.Clone(n.Columns)}, sqlname: map[string]string{}}
	p.have.tables[t.Name], p.have.names[t.Name] = t, true
	p.forget(t.Name) // what the catalogue says of a table that others dropped
	defs := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		defs[i] = p.definition(t.Name, c)
	}
	p.add("CREATE TABLE ", q(t.Name), " (", strings.Join(defs, ", "), ")")
	for _, c := range t.Columns {
		p.beside(t.Name, c)
	}
	for _, x := range n.Indexes {
		p.createIndex(t, x)
	}
}

// forget removes what the catalogue says of a table.
func (p *planner) forget(table string) {
	p.add(`DELETE FROM "_columns" WHERE "tbl" = `, text(table))
	p.add(`DELETE FROM "_indexes" WHERE "tbl" = `, text(table))
}

// beside makes what comes with a column: its entry in the catalogue, and the side table of a list. One
// that others left behind belongs to a column that is no more.
func (p *planner) beside(table string, c driver.Column) {
	p.add(`DELETE FROM "_columns" WHERE "tbl" = `, text(table), ` AND "name" = `, text(c.Name))
	p.add(`INSERT INTO "_columns" VALUES (`, text(table), ", ", text(c.Name), ", ", text(c.Kind.String()), ", ", text(c.Elem.String()), ", ",
		strconv.Itoa(c.Scale), ", ", text(c.Ref), ", ", strconv.FormatBool(c.Side), ", ", strconv.Itoa(c.MaxLen), ")")
	p.dropSide(table, c)
	if c.Kind == expr.List && (c.Side || c.Ref != "") {
		p.createSide(table, c)
	}
}

// createSide makes the side table of a list and fills it with what the list has.
func (p *planner) createSide(table string, c driver.Column) {
	side := sqldb.SideTable(table, c.Name)
	if p.have.names[side] {
		return
	}
	p.have.names[side] = true
	p.add("CREATE TABLE ", q(side), ` ("value" `, declared(c.Elem, expr.Null), ` NOT NULL, "id" text COLLATE "C" NOT NULL, CONSTRAINT `,
		q(p.free(side, "value")), ` PRIMARY KEY ("value", "id"))`)
	p.add("CREATE INDEX ", q(p.free(side, "id")), " ON ", q(side), ` ("id")`)
	p.add("INSERT INTO ", q(side), ` ("value", "id") SELECT DISTINCT v, r."id" FROM `, q(table), " r, unnest(r.", q(c.Name), ") v")
}

func (p *planner) dropSide(table string, c driver.Column) {
	if side := sqldb.SideTable(table, c.Name); p.have.names[side] {
		delete(p.have.names, side)
		p.add("DROP TABLE ", q(side))
	}
}

func (p *planner) renameSide(from, to string) {
	if p.have.names[from] {
		if p.have.names[to] {
			p.add("DROP TABLE ", q(to)) // of a column that others dropped
		}
		delete(p.have.names, from)
		p.have.names[to] = true
		p.add("ALTER TABLE ", q(from), " RENAME TO ", q(to))
		p.add(`UPDATE "_indexes" SET "sqlname" = `, text(to), ` WHERE "sqlname" = `, text(from))
		for _, t := range p.have.tables {
			for name, sqlname := range t.sqlname {
				if sqlname == from {
					t.sqlname[name] = to
				}
			}
		}
	}
}

func (p *planner) dropTable(t *table) {
	for _, c := range t.Columns {
		p.dropSide(t.Name, c)
	}
	p.add("DROP TABLE ", q(t.Name))
	p.forget(t.Name)
	delete(p.have.tables, t.Name)
	delete(p.have.names, t.Name)
}

func (p *planner) renameTable(t *table, to string) {
	p.forget(to)
	for _, c := range t.Columns {
		p.renameSide(sqldb.SideTable(t.Name, c.Name), sqldb.SideTable(to, c.Name))
	}
	from := t.Name
	p.add("ALTER TABLE ", q(from), " RENAME TO ", q(to))
	p.add(`UPDATE "_columns" SET "tbl" = `, text(to), ` WHERE "tbl" = `, text(from))
	p.add(`UPDATE "_indexes" SET "tbl" = `, text(to), ` WHERE "tbl" = `, text(from))
	p.add(`UPDATE "_columns" SET "ref" = `, text(to), ` WHERE "ref" = `, text(from))
	t.Name = to
	delete(p.have.tables, from)
	delete(p.have.names, from)
	p.have.tables[to], p.have.names[to] = t, true
	for _, t := range p.have.tables {
		for i := range t.Columns {
			if t.Columns[i].Ref == from {
				t.Columns[i].Ref = to
			}
		}
	}
}

func (p *planner) dropColumn(t *table, at int) {
	c := t.Columns[at]
	for i := len(t.Indexes) - 1; i >= 0; i-- {
		if slices.Contains(t.Indexes[i].Columns, c.Name) {
			p.dropIndex(t, i)
		}
	}
	p.dropSide(t.Name, c)
	p.add("ALTER TABLE ", q(t.Name), " DROP COLUMN ", q(c.Name))
	p.add(`DELETE FROM "_columns" WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(c.Name))
	t.Columns = slices.Delete(t.Columns, at, at+1)
}

func (p *planner) renameColumn(t *table, at int, to string) {
	from := t.Columns[at].Name
	p.renameSide(sqldb.SideTable(t.Name, from), sqldb.SideTable(t.Name, to))
	p.add("ALTER TABLE ", q(t.Name), " RENAME COLUMN ", q(from), " TO ", q(to))
	p.add(`DELETE FROM "_columns" WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(to))
	p.add(`UPDATE "_columns" SET "name" = `, text(to), ` WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(from))
	p.add(`UPDATE "_indexes" SET "columns" = array_replace("columns", `, text(from), ", ", text(to), `) WHERE "tbl" = `, text(t.Name))
	t.Columns[at].Name = to
	for i, x := range t.Indexes {
		x.Columns = slices.Clone(x.Columns)
		for j, c := range x.Columns {
			if c == from {
				x.Columns[j] = to
			}
		}
		t.Indexes[i] = x
	}
}

// never are the columns that are never null, whose order in an index says nothing of nulls.
var never = map[string]bool{"id": true, "created": true, "updated": true, "rev": true}

// createIndex makes an index, which ends with id unless it is unique. The index of a list alone is
// its side table.
func (p *planner) createIndex(t *table, x driver.TableIndex) {
	sqlname := ""
	if c, ok := t.listAlone(x); ok {
		p.createSide(t.Name, c)
		sqlname = sqldb.SideTable(t.Name, c.Name)
	} else {
		sqlname = p.free(t.Name, x.Name, "index")
		columns := slices.Clone(x.Columns)
		if !x.Unique && !slices.Contains(columns, "id") {
			columns = append(columns, "id")
		}
		for i, c := range columns {
			columns[i] = q(c) + dialect{}.Direction(false, !never[c])
		}
		unique := ""
		if x.Unique {
			unique = "UNIQUE "
		}
		p.add("CREATE ", unique, "INDEX ", q(sqlname), " ON ", q(t.Name), " (", strings.Join(columns, ", "), ")")
	}
	listed := make([]string, len(x.Columns))
	for i, c := range x.Columns {
		listed[i] = text(c)
	}
	p.add(`DELETE FROM "_indexes" WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(x.Name))
	p.add(`INSERT INTO "_indexes" ("tbl", "name", "sqlname", "columns", "unique") VALUES (`, text(t.Name), ", ", text(x.Name), ", ", text(sqlname),
		", ARRAY[", strings.Join(listed, ", "), "]::text[], ", strconv.FormatBool(x.Unique), ")")
	t.Indexes = append(t.Indexes, x)
	t.sqlname[x.Name] = sqlname
}

func (p *planner) dropIndex(t *table, at int) {
	x := t.Indexes[at]
	if c, ok := t.listAlone(x); ok {
		if !c.Side && c.Ref == "" {
			p.dropSide(t.Name, c)
		}
	} else {
		delete(p.have.names, t.sqlname[x.Name])
		p.add("DROP INDEX ", q(t.sqlname[x.Name]))
	}
	p.add(`DELETE FROM "_indexes" WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(x.Name))
	t.Indexes = slices.Delete(t.Indexes, at, at+1)
	delete(t.sqlname, x.Name)
}
