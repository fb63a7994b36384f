package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// own are the tables that are the engine's, not the app's, with what is declared in each. The catalogue keeps
// what SQLite cannot say of a column (a decimal is an integer to it, a list a text) and the names and
// columns of indexes as they were asked for. It is in tables, not in comments of the definitions, because
// those are rewritten by ALTER TABLE; and it changes in the same transaction.
var own = map[string]string{
	"_columns": `"tbl" TEXT NOT NULL, "name" TEXT NOT NULL, "kind" TEXT NOT NULL, "elem" TEXT NOT NULL,
	"scale" INTEGER NOT NULL, "ref" TEXT NOT NULL, "side" INTEGER NOT NULL, "maxlen" INTEGER NOT NULL, PRIMARY KEY ("tbl", "name")`,
	"_indexes": `"tbl" TEXT NOT NULL, "name" TEXT NOT NULL, "sqlname" TEXT NOT NULL, "columns" TEXT NOT NULL,
	"unique" INTEGER NOT NULL, PRIMARY KEY ("tbl", "name")`,
	"_health": `"one" INTEGER PRIMARY KEY, "at" INTEGER NOT NULL`,
}

// catalogue are those that say something of other tables, by their column tbl.
var catalogue = []string{"_columns", "_indexes"}

// makeOwn makes the engine's own tables where they are not there.
func makeOwn(c *conn) error {
	for name, columns := range own {
		if err := c.script("CREATE TABLE IF NOT EXISTS " + q(name) + " (" + columns + ") STRICT"); err != nil {
			return err
		}
	}
	return nil
}

// schema is the database's tables at one moment.
type schema struct {
	tables  []driver.Table
	names   map[string]bool        // every name in the file
	sqlname map[[2]string]string   // of the indexes, by table and name
	over    map[[2]string][]string // indexes in the file that have a column, by table and column

	catalogued map[string]bool // tables of which the catalogue says something, there or not
}

func (s *schema) table(name string) (driver.Table, bool) {
	for _, t := range s.tables {
		if t.Name == name {
			return t, true
		}
	}
	return driver.Table{}, false
}

func column(t driver.Table, name string) (driver.Column, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return driver.Column{}, false
}

func index(t driver.Table, name string) (driver.TableIndex, bool) {
	for _, x := range t.Indexes {
		if x.Name == name {
			return x, true
		}
	}
	return driver.TableIndex{}, false
}

// Inspect tells what tables there are, without those the engine keeps beside them.
func (e *Engine) Inspect(ctx context.Context) ([]driver.Table, error) {
	var tables []driver.Table
	err := e.inspecting(ctx, func(c *conn) error {
		s, err := inspect(c)
		if err == nil {
			tables = s.tables
		}
		return during(ctx, "inspect", err)
	})
	return tables, err
}

func inspect(c *conn) (*schema, error) {
	s := &schema{names: map[string]bool{}, sqlname: map[[2]string]string{}, over: map[[2]string][]string{}, catalogued: map[string]bool{}}
	err := c.each(`SELECT "type", "name" FROM sqlite_schema ORDER BY "name"`, func(st *sqlite.Stmt) error {
		kind, name := st.ColumnText(0), st.ColumnText(1)
		s.names[name] = true
		if kind == "table" && own[name] == "" && !strings.HasPrefix(name, "sqlite_") && !strings.Contains(name, "$") {
			s.tables = append(s.tables, driver.Table{Name: name})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = c.each(`SELECT "tbl" FROM "_columns" UNION SELECT "tbl" FROM "_indexes"`, func(st *sqlite.Stmt) error {
		s.catalogued[st.ColumnText(0)] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	at := make(map[string]*driver.Table, len(s.tables))
	for i := range s.tables {
		at[s.tables[i].Name] = &s.tables[i]
	}
	if err := columnsOf(c, at); err != nil {
		return nil, err
	}
	if err := s.indexes(c, at); err != nil {
		return nil, err
	}
	slices.SortFunc(s.tables, func(a, b driver.Table) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

// columnsOf finds the columns of all tables with one statement: there is a start behind it.
func columnsOf(c *conn, at map[string]*driver.Table) error {
	return c.each(`SELECT p."name", p."type", k."kind", k."elem", k."scale", k."ref", k."side", k."maxlen", m."name"
		FROM sqlite_schema m CROSS JOIN pragma_table_info(m."name") p LEFT JOIN "_columns" k ON k."tbl" = m."name" AND k."name" = p."name"
		WHERE m."type" = 'table' ORDER BY m."name", p."cid"`, func(st *sqlite.Stmt) error {
		t := at[st.ColumnText(8)]
		if t == nil {
			return nil
		}
		col := driver.Column{Name: st.ColumnText(0)}
		if st.ColumnType(2) == sqlite.TypeNull { // not made by Plinth
			col.Kind = kindOf[st.ColumnText(1)]
		} else {
			col.Kind, col.Elem = kindNamed(st.ColumnText(2)), kindNamed(st.ColumnText(3))
			col.Scale, col.Ref = st.ColumnInt(4), st.ColumnText(5)
			col.Side, col.MaxLen = st.ColumnBool(6), st.ColumnInt(7)
		}
		t.Columns = append(t.Columns, col)
		return nil
	})
}

func (s *schema) indexes(c *conn, at map[string]*driver.Table) error {
	err := c.each(`SELECT "name", "sqlname", "columns", "unique", "tbl" FROM "_indexes" ORDER BY rowid`, func(st *sqlite.Stmt) error {
		t := at[st.ColumnText(4)]
		if t == nil {
			return nil
		}
		columns, err := sqldb.ReadList([]byte(st.ColumnText(2)), expr.Text)
		if err != nil {
			return err
		}
		x := driver.TableIndex{Name: st.ColumnText(0), Unique: st.ColumnBool(3)}
		for _, v := range columns.List() {
			x.Columns = append(x.Columns, v.Text())
		}
		if sqlname := st.ColumnText(1); s.names[sqlname] {
			s.sqlname[[2]string{t.Name, x.Name}] = sqlname
			t.Indexes = append(t.Indexes, x)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.each(`SELECT m."name", i."name", m."tbl_name" FROM sqlite_schema m CROSS JOIN pragma_index_info(m."name") i WHERE m."type" = 'index' AND m."sql" IS NOT NULL`, func(st *sqlite.Stmt) error {
		column := [2]string{st.ColumnText(2), st.ColumnText(1)}
		s.over[column] = append(s.over[column], st.ColumnText(0))
		return nil
	})
}

// declared is how a column of a kind is declared. Strict tables refuse values of another type.
func declared(k expr.Kind) string {
	switch k {
	case expr.Bool, expr.Int, expr.Bigint, expr.Decimal, expr.Time, expr.Duration:
		return "INTEGER"
	case expr.Float:
		return "REAL"
	case expr.Bytes:
		return "BLOB"
	default:
		return "TEXT"
	}
}

// kindOf guesses the kind of a column that Plinth did not make.
var kindOf = map[string]expr.Kind{"INTEGER": expr.Bigint, "INT": expr.Bigint, "REAL": expr.Float, "BLOB": expr.Bytes, "TEXT": expr.Text}

func kindNamed(name string) expr.Kind {
	for k := expr.Null; k <= expr.Row; k++ {
		if k.String() == name {
			return k
		}
	}
	return expr.Null
}
