package mysql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// A text that an index has is a VARCHAR, for only a part of a LONGTEXT could be in one, by which nothing is
// sorted. One that no index has is a LONGTEXT: how long it may be is not part of the schema, and may grow. What
// is indexed has room for the most that an indexed text may have, whatever it may have now; but where that is
// too much for one index it has the room that it needs now.
const (
	indexedText  = 255  // characters
	indexedFold  = 730  // of its fold
	idText       = 36   // characters of an id
	maxKey       = 3072 // bytes of an index
	textBytes    = 4    // of a character
	otherKeyPart = 9    // bytes of anything else, at most
)

var _ sqldb.Layout = dialect{}

func (d dialect) tableEnd() string {
	return " ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE " + d.collation
}

// q makes an identifier. InnoDB has columns of its own in each table (MySQL's manual, "InnoDB Multi-Versioning", "InnoDB
// Full-Text Indexes").
func q(name string) string {
	switch name {
	case "db_row_id", "db_trx_id", "db_roll_ptr", "fts_doc_id":
		name = sqldb.Kept(name)
	}
	return sqldb.Quote(name)
}

// room is how many characters an indexed text has; tight: what it needs now.
func room(c driver.Column, tight bool) int {
	switch {
	case c.Name == "id" || c.Ref != "":
		return idText
	case c.MaxLen > 0 && tight:
		return c.MaxLen
	case strings.HasSuffix(c.Name, "$fold"):
		return indexedFold
	default:
		return indexedText
	}
}

// tight says that an index is too long where every text has the most it may have.
func tight(t *sqldb.Table, x driver.TableIndex) bool {
	n := 0
	for _, name := range sqldb.Keyed(x) {
		if c, _ := t.Column(name); c.Kind == expr.Text {
			n += room(c, false)*textBytes + 3
		} else {
			n += otherKeyPart
		}
	}
	return n > maxKey
}

// definition is a column's; of a table with these indexes.
func definition(t *sqldb.Table, c driver.Column, indexes []driver.TableIndex) string {
	d := q(c.Name) + " "
	over := slices.ContainsFunc(indexes, func(x driver.TableIndex) bool { return slices.Contains(x.Columns, c.Name) })
	switch {
	case c.Name == "id":
		return d + "VARCHAR(36) NOT NULL"
	case c.Kind == expr.Text && (over || c.Ref != ""):
		narrow := slices.ContainsFunc(indexes, func(x driver.TableIndex) bool { return slices.Contains(x.Columns, c.Name) && tight(t, x) })
		return d + "VARCHAR(" + strconv.Itoa(room(c, narrow)) + ")"
	default:
		return d + typeOf(c.Kind)
	}
}

// key is an index in the definition of a table.
func key(x driver.TableIndex, sqlname string) string {
	columns := slices.Clone(sqldb.Keyed(x))
	for i, c := range columns {
		columns[i] = q(c)
	}
	unique := ""
	if x.Unique {
		unique = "UNIQUE "
	}
	return unique + "INDEX " + q(sqlname) + " (" + strings.Join(columns, ", ") + ")"
}

func (d dialect) CreateTable(t *sqldb.Table) []string {
	var parts []string
	for _, c := range t.Columns {
		parts = append(parts, definition(t, c, t.Indexes))
	}
	parts = append(parts, `PRIMARY KEY ("id")`)
	for _, x := range t.Indexes {
		if _, alone := t.ListAlone(x); !alone {
			parts = append(parts, key(x, t.SQLName[x.Name]))
		}
	}
	return []string{"CREATE TABLE " + q(t.Name) + " (" + strings.Join(parts, ", ") + ")" + d.tableEnd()}
}

// Rename is one statement, which is done whole or not at all.
func (dialect) Rename(tables ...[2]string) []string {
	parts := make([]string, len(tables))
	for i, t := range tables {
		parts[i] = q(t[0]) + " TO " + q(t[1])
	}
	return []string{"RENAME TABLE " + strings.Join(parts, ", ")}
}

func (dialect) AddColumn(t *sqldb.Table, c driver.Column) string {
	return "ALTER TABLE " + q(t.Name) + " ADD COLUMN " + definition(t, c, t.Indexes)
}

// refit gives columns the types that they have with these indexes, where they had others.
func refit(t *sqldb.Table, columns []string, indexes []driver.TableIndex) (parts []string) {
	for _, name := range columns {
		c, ok := t.Column(name)
		if now := definition(t, c, indexes); ok && now != definition(t, c, t.Indexes) {
			parts = append(parts, "MODIFY COLUMN "+now)
		}
	}
	return parts
}

func (dialect) CreateIndex(t *sqldb.Table, x driver.TableIndex, sqlname string) string {
	parts := append(refit(t, x.Columns, append(slices.Clone(t.Indexes), x)), "ADD "+key(x, sqlname))
	return "ALTER TABLE " + q(t.Name) + " " + strings.Join(parts, ", ")
}

func (dialect) DropIndex(t *sqldb.Table, x driver.TableIndex) string {
	return "ALTER TABLE " + q(t.Name) + " " + strings.Join(without(t, x), ", ")
}

// without drops indexes and gives the columns they had the types that they have without.
func without(t *sqldb.Table, dropped ...driver.TableIndex) (parts []string) {
	var columns []string
	rest := slices.Clone(t.Indexes)
	for _, x := range dropped {
		parts = append(parts, "DROP INDEX "+q(t.SQLName[x.Name]))
		rest = slices.DeleteFunc(rest, func(r driver.TableIndex) bool { return r.Name == x.Name })
		columns = append(columns, x.Columns...)
	}
	slices.Sort(columns)
	return append(parts, refit(t, slices.Compact(columns), rest)...)
}

func (dialect) DropColumn(t *sqldb.Table, c driver.Column, indexes []driver.TableIndex) []string {
	parts := slices.DeleteFunc(without(t, indexes...), func(part string) bool { return strings.HasPrefix(part, "MODIFY COLUMN "+q(c.Name)+" ") })
	parts = append(parts, "DROP COLUMN "+q(c.Name))
	return []string{"ALTER TABLE " + q(t.Name) + " " + strings.Join(parts, ", ")}
}

// CreateSide fills a table under another name, so that one with its own name is a whole one.
func (d dialect) CreateSide(side, table string, c driver.Column, fill bool, _ func(...string) string) []string {
	value := typeOf(c.Elem)
	if c.Elem == expr.Text {
		value = "VARCHAR(" + strconv.Itoa(room(driver.Column{Ref: c.Ref}, false)) + ")"
	}
	made := side
	if fill {
		made = sqldb.Derived(side, "new")
	}
	create := "CREATE TABLE " + q(made) + ` ("value" ` + value + ` NOT NULL, "id" VARCHAR(36) NOT NULL, PRIMARY KEY ("value", "id"), INDEX ("id"))` + d.tableEnd()
	if !fill {
		return []string{create}
	}
	return append([]string{
		"DROP TABLE IF EXISTS " + q(made),
		create,
		"INSERT INTO " + q(made) + ` ("value", "id") SELECT DISTINCT v."value", r."id" FROM ` + q(table) + " r CROSS JOIN JSON_TABLE(r." + q(c.Name) +
			`, '$[*]' COLUMNS ("value" ` + d.item(c.Elem) + ` PATH '$')) v WHERE v."value" IS NOT NULL`,
	}, d.Rename([2]string{made, side})...)
}
