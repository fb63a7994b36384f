package sqlite

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// Apply runs a fence, a step and the catalogue's part of it in one transaction, in the queue of the writes.
// What the catalogue says of things that others dropped is replaced, so that they can be made again.
func (e *Engine) Apply(ctx context.Context, s driver.Step, fence func(driver.Tx) error) error {
	return e.writer.do(ctx, func(c *conn) error {
		if fence != nil {
			if err := e.within(c, fence); err != nil {
				return err
			}
		}
		have, err := inspect(c)
		if err != nil {
			return unchanged(err)
		}
		statements, err := plan(have, s)
		if err != nil {
			return err
		}
		for _, sql := range statements {
			if err := c.script(sql); err != nil {
				return unchanged(err)
			}
		}
		return nil
	})
}

// unchanged is the error of a step that SQLite refused, with words of ours instead of its own.
func unchanged(err error) error {
	err = classify("change the tables", err)
	var f *fault.Error
	if !errors.As(err, &f) || f.Msg != "" {
		return err
	}
	told := *f
	told.Msg = "the tables could not be changed"
	if told.Kind == fault.Unique {
		told.Msg = "values are there twice that would have to be unique"
	}
	return &told
}

// plan writes the statements of a step, none where it is done already.
func plan(have *schema, s driver.Step) ([]string, error) {
	p := &planner{have: have}
	name := s.Table
	if s.Kind == driver.CreateTable {
		name = s.New.Name
	}
	t, there := have.table(name)
	switch s.Kind {
	case driver.CreateTable:
		if !there {
			p.createTable(s.New)
		}
		return p.out, nil
	case driver.DropTable:
		if there {
			p.dropTable(t)
		}
		return p.out, nil
	case driver.RenameTable:
		if !there {
			if _, done := have.table(s.To); done {
				return nil, nil
			}
			break
		}
		if _, taken := have.table(s.To); taken {
			return nil, fault.New(fault.Internal, "there is a table %q already", s.To)
		}
		p.renameTable(t, s.To)
		return p.out, nil
	}
	if !there {
		return nil, fault.New(fault.Internal, "there is no table %q", name)
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

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// free is a name like this that nothing in the file has: renamed tables keep the names of their indexes.
func (p *planner) free(parts ...string) string {
	name := sqldb.Derived(parts...)
	for n := 2; p.have.names[name]; n++ {
		name = sqldb.Derived(append(slices.Clone(parts), strconv.Itoa(n))...)
	}
	p.have.names[name] = true
	return name
}

func (p *planner) alter(t driver.Table, s driver.Step) error {
	col, has := column(t, s.Column.Name)
	switch s.Kind {
	case driver.AddColumn:
		if !has {
			p.add("ALTER TABLE ", q(t.Name), " ADD COLUMN ", definition(s.Column))
			p.beside(t.Name, s.Column)
		}
	case driver.DropColumn:
		if has {
			p.dropColumn(t, col)
		}
	case driver.RenameColumn:
		_, done := column(t, s.To)
		switch {
		case has && !done:
			p.renameColumn(t, col, s.To)
		case has == done:
			return fault.New(fault.Internal, "%s.%s cannot be renamed to %s", t.Name, s.Column.Name, s.To)
		}
	case driver.CreateIndex:
		if _, done := index(t, s.Index.Name); !done {
			p.createIndex(t, s.Index)
		}
	case driver.DropIndex:
		if x, has := index(t, s.Index.Name); has {
			p.dropIndex(t, x)
		}
	default:
		return fault.New(fault.Internal, "unknown step of a schema change")
	}
	return nil
}

func definition(c driver.Column) string {
	d := q(c.Name) + " " + declared(c.Kind)
	if c.Name == "id" {
		d += " PRIMARY KEY NOT NULL"
	}
	if c.Kind == expr.Bool {
		d += " CHECK (" + q(c.Name) + " IN (0, 1))"
	}
	return d
}

// createTable makes a table by rowid with an index of its ids: rows of any size then lie in the
// order in which they came, and other indexes lead to them by number.
func (p *planner) createTable(t driver.Table) {
	defs := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		defs[i] = definition(c)
	}
	p.forget(t.Name)
	p.add("CREATE TABLE ", q(t.Name), " (", strings.Join(defs, ", "), ") STRICT")
	for _, c := range t.Columns {
		p.beside(t.Name, c)
	}
	for _, x := range t.Indexes {
		p.createIndex(t, x)
	}
}

// forget removes what the catalogue still says of a table that is not there: others dropped it.
func (p *planner) forget(table string) {
	for _, k := range catalogue {
		if p.have.catalogued[table] {
			p.add("DELETE FROM ", q(k), ` WHERE "tbl" = `, text(table))
		}
	}
}

// beside makes what comes with a column: its entry in the catalogue, and the side table of a list. One
// that others left behind belongs to a column that is no more.
func (p *planner) beside(table string, c driver.Column) {
	p.add(`INSERT OR REPLACE INTO "_columns" VALUES (`, text(table), ", ", text(c.Name), ", ", text(c.Kind.String()), ", ", text(c.Elem.String()), ", ",
		strconv.Itoa(c.Scale), ", ", text(c.Ref), ", ", flag(c.Side), ", ", strconv.Itoa(c.MaxLen), ")")
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
	p.add("CREATE TABLE ", q(side), ` ("value" `, declared(c.Elem), ` NOT NULL, "id" TEXT NOT NULL, PRIMARY KEY ("value", "id")) STRICT, WITHOUT ROWID`)
	p.add("CREATE INDEX ", q(p.free(side, "id")), " ON ", q(side), ` ("id")`)
	p.add("INSERT OR IGNORE INTO ", q(side), ` ("value", "id") SELECT i.value, r."id" FROM `, q(table), " r JOIN json_each(r.", q(c.Name), ") i WHERE i.value IS NOT NULL")
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
	}
}

func (p *planner) dropTable(t driver.Table) {
	for _, c := range t.Columns {
		p.dropSide(t.Name, c)
	}
	p.add("DROP TABLE ", q(t.Name))
	for _, k := range catalogue {
		p.add("DELETE FROM ", q(k), ` WHERE "tbl" = `, text(t.Name))
	}
}

func (p *planner) renameTable(t driver.Table, to string) {
	p.forget(to)
	for _, c := range t.Columns {
		p.renameSide(sqldb.SideTable(t.Name, c.Name), sqldb.SideTable(to, c.Name))
	}
	p.add("ALTER TABLE ", q(t.Name), " RENAME TO ", q(to))
	for _, k := range catalogue {
		p.add("UPDATE ", q(k), ` SET "tbl" = `, text(to), ` WHERE "tbl" = `, text(t.Name))
	}
	p.add(`UPDATE "_columns" SET "ref" = `, text(to), ` WHERE "ref" = `, text(t.Name))
}

// dropColumn drops the indexes that have the column first: SQLite refuses otherwise.
func (p *planner) dropColumn(t driver.Table, c driver.Column) {
	for _, x := range t.Indexes {
		if slices.Contains(x.Columns, c.Name) {
			p.dropIndex(t, x)
		}
	}
	for _, name := range p.have.over[[2]string{t.Name, c.Name}] {
		if p.have.names[name] {
			p.add("DROP INDEX ", q(name))
		}
	}
	p.dropSide(t.Name, c)
	p.add("ALTER TABLE ", q(t.Name), " DROP COLUMN ", q(c.Name))
	p.add(`DELETE FROM "_columns" WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(c.Name))
}

func (p *planner) renameColumn(t driver.Table, c driver.Column, to string) {
	p.renameSide(sqldb.SideTable(t.Name, c.Name), sqldb.SideTable(t.Name, to))
	p.add("ALTER TABLE ", q(t.Name), " RENAME COLUMN ", q(c.Name), " TO ", q(to))
	p.add(`UPDATE OR REPLACE "_columns" SET "name" = `, text(to), ` WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(c.Name))
	for _, x := range t.Indexes {
		if i := slices.Index(x.Columns, c.Name); i >= 0 {
			columns := slices.Clone(x.Columns)
			columns[i] = to
			p.add(`UPDATE "_indexes" SET "columns" = `, text(listed(columns)), ` WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(x.Name))
		}
	}
}

// listed writes column names as the catalogue keeps them.
func listed(columns []string) string {
	items := make([]expr.Value, len(columns))
	for i, c := range columns {
		items[i] = expr.TextOf(c)
	}
	return string(sqldb.AppendList(nil, items))
}

// createIndex makes an index, which ends with id unless it is unique. The index of a list alone is
// its side table.
func (p *planner) createIndex(t driver.Table, x driver.TableIndex) {
	sqlname := ""
	if c, ok := listAlone(t, x); ok {
		p.createSide(t.Name, c)
		sqlname = sqldb.SideTable(t.Name, c.Name)
	} else {
		sqlname = p.free(t.Name, x.Name, "index")
		columns := slices.Clone(x.Columns)
		if !x.Unique && !slices.Contains(columns, "id") {
			columns = append(columns, "id")
		}
		for i, c := range columns {
			columns[i] = q(c)
		}
		unique := ""
		if x.Unique {
			unique = "UNIQUE "
		}
		p.add("CREATE ", unique, "INDEX ", q(sqlname), " ON ", q(t.Name), " (", strings.Join(columns, ", "), ")")
	}
	p.add(`INSERT OR REPLACE INTO "_indexes" VALUES (`, text(t.Name), ", ", text(x.Name), ", ", text(sqlname), ", ", text(listed(x.Columns)), ", ", flag(x.Unique), ")")
}

func (p *planner) dropIndex(t driver.Table, x driver.TableIndex) {
	sqlname := p.have.sqlname[[2]string{t.Name, x.Name}]
	if c, ok := listAlone(t, x); ok {
		if !c.Side && c.Ref == "" {
			p.dropSide(t.Name, c)
		}
	} else {
		delete(p.have.names, sqlname)
		p.add("DROP INDEX ", q(sqlname))
	}
	p.add(`DELETE FROM "_indexes" WHERE "tbl" = `, text(t.Name), ` AND "name" = `, text(x.Name))
}

func listAlone(t driver.Table, x driver.TableIndex) (driver.Column, bool) {
	if len(x.Columns) == 0 || slices.ContainsFunc(x.Columns[1:], func(c string) bool { return c != "id" }) {
		return driver.Column{}, false
	}
	c, ok := column(t, x.Columns[0])
	return c, ok && c.Kind == expr.List
}
