package sqlite

import (
	"context"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// own are the tables that are the engine's, not the app's, with what is declared in each. Two
// are the catalogue (see sqldb.Schema), which changes in the transaction of each step.
var own = map[string]string{
	"_columns": `"tbl" TEXT NOT NULL, "name" TEXT NOT NULL, "kind" TEXT NOT NULL, "elem" TEXT NOT NULL,
	"scale" INTEGER NOT NULL, "ref" TEXT NOT NULL, "side" INTEGER NOT NULL, "maxlen" INTEGER NOT NULL, PRIMARY KEY ("tbl", "name")`,
	"_indexes": `"tbl" TEXT NOT NULL, "name" TEXT NOT NULL, "sqlname" TEXT NOT NULL, "columns" TEXT NOT NULL,
	"unique" INTEGER NOT NULL, PRIMARY KEY ("tbl", "name")`,
	"_health": `"one" INTEGER PRIMARY KEY, "at" INTEGER NOT NULL`,
}

// makeOwn makes the engine's own tables where they are not there.
func makeOwn(c *conn) error {
	for name, columns := range own {
		if err := c.script("CREATE TABLE IF NOT EXISTS " + q(name) + " (" + columns + ") STRICT"); err != nil {
			return err
		}
	}
	return nil
}

// Inspect tells what tables there are, without those the engine keeps beside them.
func (e *Engine) Inspect(ctx context.Context) ([]driver.Table, error) {
	var tables []driver.Table
	err := e.inspecting(ctx, func(c *conn) error {
		s, err := inspect(c)
		if err == nil {
			tables = s.Sorted()
		}
		return during(ctx, "inspect", err)
	})
	return tables, err
}

// inspect reads the schema. The columns of all tables are found with one statement: there is a start behind it.
func inspect(c *conn) (*sqldb.Schema, error) {
	s := sqldb.NewSchema()
	for _, part := range []struct {
		sql  string
		take func(text func(i int) string) error
	}{
		{`SELECT "name" FROM sqlite_schema`, func(text func(int) string) error { s.Names[sqldb.Named(text(0))] = true; return nil }},
		{`SELECT "tbl", "name", "kind", "elem", "scale", "ref", "side", "maxlen" FROM "_columns"`,
			func(text func(int) string) error { s.Catalogued(text); return nil }},
		{`SELECT m."name", p."name", p."type" FROM sqlite_schema m CROSS JOIN pragma_table_info(m."name") p
			WHERE m."type" = 'table' AND m."name" NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY m."name", p."cid"`,
			func(text func(int) string) error {
				s.Has(sqldb.Named(text(0)), sqldb.Named(text(1)), kindOf[text(2)])
				return nil
			}},
		{`SELECT "tbl", "name", "sqlname", "columns", "unique" FROM "_indexes" ORDER BY rowid`,
			func(text func(int) string) error { return s.Indexed(text, func(_, _ string) bool { return false }) }},
	} {
		if err := c.each(part.sql, func(st *sqlite.Stmt) error { return part.take(st.ColumnText) }); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// planning is the schema, with what a plan is made with.
func planning(c *conn) (*sqldb.Schema, *layout, error) {
	s, err := inspect(c)
	if err != nil {
		return nil, nil, err
	}
	l := &layout{names: s.Names, over: map[[2]string][]string{}}
	err = c.each(`SELECT m."tbl_name", i."name", m."name" FROM sqlite_schema m CROSS JOIN pragma_index_info(m."name") i
		WHERE m."type" = 'index' AND m."sql" IS NOT NULL`, func(st *sqlite.Stmt) error {
		column := [2]string{sqldb.Named(st.ColumnText(0)), sqldb.Named(st.ColumnText(1))}
		l.over[column] = append(l.over[column], sqldb.Named(st.ColumnText(2)))
		return nil
	})
	return s, l, err
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
