package postgres

import (
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

var (
	_ sqldb.Layout = dialect{}
	_ sqldb.Writer = dialect{}
)

// q makes an identifier. Tables have columns of the system's, and tables of its own are found before the app's
// (PostgreSQL's manual, "System Columns", "The System Catalog Schema").
func q(name string) string {
	switch name {
	case "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid":
		name = sqldb.Kept(name)
	default:
		if strings.HasPrefix(name, "pg_") {
			name = sqldb.Kept(name)
		}
	}
	return sqldb.Quote(name)
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

func definition(c driver.Column) string {
	d := q(c.Name) + " " + declared(c.Kind, c.Elem)
	if c.Name == "id" {
		d += " PRIMARY KEY"
	}
	return d
}

func (d dialect) CreateTable(t *sqldb.Table) []string {
	defs := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		defs[i] = definition(c)
	}
	out := []string{"CREATE TABLE " + q(t.Name) + " (" + strings.Join(defs, ", ") + ")"}
	for _, x := range t.Indexes {
		if _, alone := t.ListAlone(x); !alone {
			out = append(out, d.CreateIndex(t, x, t.SQLName[x.Name]))
		}
	}
	return out
}

func (dialect) Rename(tables ...[2]string) []string { return sqldb.RenameEach(q, tables...) }

func (dialect) AddColumn(t *sqldb.Table, c driver.Column) string {
	return "ALTER TABLE " + q(t.Name) + " ADD COLUMN " + definition(c)
}

// DropColumn: indexes that have the column go with it.
func (dialect) DropColumn(t *sqldb.Table, c driver.Column, _ []driver.TableIndex) []string {
	return []string{"ALTER TABLE " + q(t.Name) + " DROP COLUMN " + q(c.Name)}
}

// never are the columns that are never null, whose order in an index says nothing of nulls.
var never = map[string]bool{"id": true, "created": true, "updated": true, "rev": true}

func (d dialect) CreateIndex(t *sqldb.Table, x driver.TableIndex, sqlname string) string {
	columns := slices.Clone(sqldb.Keyed(x))
	for i, c := range columns {
		columns[i] = q(c) + d.Direction(false, !never[c])
	}
	unique := ""
	if x.Unique {
		unique = "UNIQUE "
	}
	text := "CREATE " + unique + "INDEX " + q(sqlname) + " ON " + q(t.Name) + " (" + strings.Join(columns, ", ") + ")"
	if x.Unique && len(x.Columns) == 1 && strings.HasSuffix(x.Columns[0], "$index") {
		// The key of an index over some records is null for the others, and nobody asks for those: a change of theirs has
		// nothing to do with it.
		text += " WHERE " + q(x.Columns[0]) + " IS NOT NULL"
	}
	return text
}

func (dialect) DropIndex(t *sqldb.Table, x driver.TableIndex) string {
	return "DROP INDEX " + q(t.SQLName[x.Name])
}

func (dialect) CreateSide(side, table string, c driver.Column, fill bool, free func(...string) string) []string {
	out := []string{
		"CREATE TABLE " + q(side) + ` ("value" ` + declared(c.Elem, expr.Null) + ` NOT NULL, "id" text COLLATE "C" NOT NULL, PRIMARY KEY ("value", "id"))`,
		"CREATE INDEX " + q(free(side, "id")) + " ON " + q(side) + ` ("id")`,
	}
	if fill {
		out = append(out, "INSERT INTO "+q(side)+` ("value", "id") SELECT DISTINCT v, r."id" FROM `+q(table)+" r, unnest(r."+q(c.Name)+") v")
	}
	return out
}
