package sqlite

import (
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// layout is how tables are made here. It knows the indexes in the file that have a column, by table and column:
// SQLite refuses to drop a column as long as there is one, whoever made it.
type layout struct {
	names map[string]bool // those that are in the file still
	over  map[[2]string][]string
}

var (
	_ sqldb.Layout = (*layout)(nil)
	_ sqldb.Writer = dialect{}
)

// system begins the names that SQLite keeps for its own tables and indexes ("CREATE TABLE").
const system = "sqlite_"

// q makes an identifier.
func q(name string) string {
	if strings.HasPrefix(name, system) {
		name = sqldb.Kept(name)
	}
	return sqldb.Quote(name)
}

func (*layout) Quote(name string) string { return q(name) }

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

// CreateTable makes a table by rowid with an index of its ids: rows of any size then lie in the
// order of their ids (sqldb.RowNumber), and other indexes lead to them by number.
func (l *layout) CreateTable(t *sqldb.Table) []string {
	defs := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		defs[i] = definition(c)
	}
	out := []string{"CREATE TABLE " + q(t.Name) + " (" + strings.Join(defs, ", ") + ") STRICT"}
	for _, x := range t.Indexes {
		if _, alone := t.ListAlone(x); !alone {
			out = append(out, l.CreateIndex(t, x, t.SQLName[x.Name]))
		}
	}
	return out
}

func (*layout) Rename(tables ...[2]string) []string { return sqldb.RenameEach(q, tables...) }

func (*layout) AddColumn(t *sqldb.Table, c driver.Column) string {
	return "ALTER TABLE " + q(t.Name) + " ADD COLUMN " + definition(c)
}

func (l *layout) DropColumn(t *sqldb.Table, c driver.Column, indexes []driver.TableIndex) []string {
	var names, out []string
	for _, x := range indexes {
		names = append(names, t.SQLName[x.Name])
	}
	for _, name := range l.over[[2]string{t.Name, c.Name}] {
		if l.names[name] && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		delete(l.names, name)
		out = append(out, "DROP INDEX "+q(name))
	}
	return append(out, "ALTER TABLE "+q(t.Name)+" DROP COLUMN "+q(c.Name))
}

func (*layout) CreateIndex(t *sqldb.Table, x driver.TableIndex, sqlname string) string {
	columns := slices.Clone(sqldb.Keyed(x))
	for i, c := range columns {
		columns[i] = q(c)
	}
	unique := ""
	if x.Unique {
		unique = "UNIQUE "
	}
	return "CREATE " + unique + "INDEX " + q(sqlname) + " ON " + q(t.Name) + " (" + strings.Join(columns, ", ") + ")"
}

func (*layout) DropIndex(t *sqldb.Table, x driver.TableIndex) string {
	return "DROP INDEX " + q(t.SQLName[x.Name])
}

func (*layout) CreateSide(side, table string, c driver.Column, fill bool, free func(...string) string) []string {
	out := []string{
		"CREATE TABLE " + q(side) + ` ("value" ` + declared(c.Elem) + ` NOT NULL, "id" TEXT NOT NULL, PRIMARY KEY ("value", "id")) STRICT, WITHOUT ROWID`,
		"CREATE INDEX " + q(free(side, "id")) + " ON " + q(side) + ` ("id")`,
	}
	if fill {
		out = append(out, "INSERT OR IGNORE INTO "+q(side)+` ("value", "id") SELECT i.value, r."id" FROM `+q(table)+" r JOIN json_each(r."+q(c.Name)+") i WHERE i.value IS NOT NULL")
	}
	return out
}
