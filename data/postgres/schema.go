package postgres

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// catalogue keeps what PostgreSQL cannot say of a column (a decimal is a bigint to it) and the names and
// columns of indexes as they were asked for. It changes in the transaction of each step. Who makes it has
// the lock that steps take, for processes start together.
const catalogue = lock + `;
CREATE TABLE IF NOT EXISTS "_columns" ("tbl" text COLLATE "C" NOT NULL, "name" text COLLATE "C" NOT NULL, "kind" text NOT NULL, "elem" text NOT NULL,
	"scale" int NOT NULL, "ref" text NOT NULL, "side" boolean NOT NULL, "maxlen" int NOT NULL, PRIMARY KEY ("tbl", "name"));
CREATE TABLE IF NOT EXISTS "_indexes" ("n" bigint GENERATED ALWAYS AS IDENTITY, "tbl" text COLLATE "C" NOT NULL, "name" text COLLATE "C" NOT NULL,
	"sqlname" text COLLATE "C" NOT NULL, "columns" text[] NOT NULL, "unique" boolean NOT NULL, PRIMARY KEY ("tbl", "name"));
CREATE TABLE IF NOT EXISTS "_health" ("one" int PRIMARY KEY, "at" timestamptz NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS "_boot" ("one" int PRIMARY KEY, "boot" text NOT NULL);
`

// lock lets one process at a time change the tables of a schema.
const lock = `SELECT pg_advisory_xact_lock(1886153070, hashtext(current_schema()))`

// ours are the tables that are the engine's, not the app's.
var ours = map[string]bool{"_columns": true, "_indexes": true, "_health": true, "_boot": true}

// schema is the database's tables at one moment, or as steps leave them.
type schema struct {
	tables map[string]*table
	names  map[string]bool // of everything in the database that shares a space of names with tables
}

// table is a table with the names that its indexes have in the database.
type table struct {
	driver.Table
	sqlname map[string]string
}

func (t *table) column(name string) int {
	return slices.IndexFunc(t.Columns, func(c driver.Column) bool { return c.Name == name })
}

func (t *table) index(name string) int {
	return slices.IndexFunc(t.Indexes, func(x driver.TableIndex) bool { return x.Name == name })
}

// listAlone is the list whose side table is the index, if there is one.
func (t *table) listAlone(x driver.TableIndex) (driver.Column, bool) {
	if len(x.Columns) == 0 || slices.ContainsFunc(x.Columns[1:], func(c string) bool { return c != "id" }) {
		return driver.Column{}, false
	}
	i := t.column(x.Columns[0])
	if i < 0 {
		return driver.Column{}, false
	}
	return t.Columns[i], t.Columns[i].Kind == expr.List
}

// Inspect tells what tables there are, without those the engine keeps beside them.
func (e *Engine) Inspect(ctx context.Context) ([]driver.Table, error) {
	have, err := e.inspect(ctx)
	if err != nil {
		return nil, err
	}
	var tables []driver.Table
	for _, t := range have.tables {
		tables = append(tables, t.Table)
	}
	slices.SortFunc(tables, func(a, b driver.Table) int { return cmp.Compare(a.Name, b.Name) })
	return tables, nil
}

// inspect reads everything in one snapshot.
func (e *Engine) inspect(ctx context.Context) (have *schema, err error) {
	c, err := e.take(ctx)
	if err != nil {
		return nil, err
	}
	defer e.give(c, commit)
	if err := c.run(ctx, beginRead); err != nil {
		return nil, during(ctx, "inspect", err)
	}
	have, err = inspect(ctx, c)
	return have, during(ctx, "inspect", err)
}

func inspect(ctx context.Context, c *conn) (*schema, error) {
	s := &schema{tables: map[string]*table{}, names: map[string]bool{}}
	err := c.each(ctx, `SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace`, nil, func(row *columns) error {
		s.names[string(row.raw[0])] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = c.each(ctx, `SELECT t.relname::text, a.attname::text, format_type(a.atttypid, NULL), k."kind", k."elem", k."scale"::text, k."ref", k."side"::text, k."maxlen"::text
		FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid LEFT JOIN "_columns" k ON k."tbl" = t.relname::text AND k."name" = a.attname::text
		WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY t.relname, a.attnum`, nil, s.addColumn)
	if err != nil {
		return nil, err
	}
	return s, c.each(ctx, `SELECT "tbl", "name", "sqlname", "unique"::text, "columns" FROM "_indexes" ORDER BY "n"`, nil, s.addIndex)
}

func (s *schema) addColumn(row *columns) error {
	text := func(i int) string { return string(row.raw[i]) }
	name := text(0)
	if ours[name] || strings.Contains(name, "$") {
		return nil
	}
	t := s.tables[name]
	if t == nil {
		t = &table{Table: driver.Table{Name: name}, sqlname: map[string]string{}}
		s.tables[name] = t
	}
	col := driver.Column{Name: text(1)}
	if row.Null(3) { // not made by Plinth
		col.Kind = kindOf[text(2)]
	} else {
		col.Kind, col.Elem, col.Ref, col.Side = kindNamed(text(3)), kindNamed(text(4)), text(6), text(7) == "true"
		col.Scale, _ = strconv.Atoi(text(5))
		col.MaxLen, _ = strconv.Atoi(text(8))
	}
	t.Columns = append(t.Columns, col)
	return nil
}

func (s *schema) addIndex(row *columns) error {
	t, sqlname := s.tables[string(row.raw[0])], string(row.raw[2])
	if t == nil || !s.names[sqlname] {
		return nil // of something that others dropped
	}
	x := driver.TableIndex{Name: string(row.raw[1]), Unique: string(row.raw[3]) == "true"}
	items(row.raw[4], func(item []byte) { x.Columns = append(x.Columns, string(item)) })
	t.Indexes = append(t.Indexes, x)
	t.sqlname[x.Name] = sqlname
	return nil
}

// kindOf guesses the kind of a column that Plinth did not make.
var kindOf = map[string]expr.Kind{"boolean": expr.Bool, "smallint": expr.Int, "integer": expr.Int, "bigint": expr.Bigint, "double precision": expr.Float,
	"timestamp with time zone": expr.Time, "date": expr.Date, "bytea": expr.Bytes, "text": expr.Text}

func kindNamed(name string) expr.Kind {
	for k := expr.Null; k <= expr.Row; k++ {
		if k.String() == name {
			return k
		}
	}
	return expr.Null
}

// Statements plans the steps one after the other, each on what those before it leave. A step that is done
// already has none; nor have those behind one that cannot be told.
func (e *Engine) Statements(steps ...driver.Step) [][]string {
	out := make([][]string, len(steps))
	have, err := e.inspect(context.Background())
	if err != nil {
		return out
	}
	for i, s := range steps {
		if out[i], err = plan(have, s); err != nil {
			return out
		}
	}
	return out
}

// Apply runs a fence, a step and the catalogue's part of it in one transaction, alone among the processes that
// change tables. Connections that have prepared statements for the tables as they were are closed.
func (e *Engine) Apply(ctx context.Context, s driver.Step, fence func(driver.Tx) error) error {
	c, err := e.take(ctx)
	if err != nil {
		return err
	}
	t := &tx{session: session{e: e, c: c}}
	defer func() { t.end(rollback) }()
	run := func(sql string) error {
		_, err := c.pg.Exec(ctx, sql).ReadAll()
		return unchanged(during(ctx, "change the tables", err), s)
	}
	err = t.first(ctx, func(*prepared) error {
		c = t.c
		return run(beginWrite + "; SET LOCAL lock_timeout = 0; " + lock + "; SET LOCAL lock_timeout = '5s'")
	})
	if err != nil {
		return err
	}
	if fence != nil {
		if err := fence(t); err != nil {
			return err
		}
		if t.failed != nil {
			return t.failed
		}
		c.unlimit()
	}
	have, err := inspect(ctx, c)
	if err != nil {
		return during(ctx, "inspect", err)
	}
	statements, err := plan(have, s)
	if err != nil {
		return err
	}
	if len(statements) > 0 {
		if err := run(strings.Join(statements, ";\n")); err != nil {
			return err
		}
	}
	if err := t.commit(); err != nil {
		return err
	}
	if len(statements) > 0 {
		e.pool.Reset()
	}
	return nil
}

// unchanged is the error of a step that PostgreSQL refused, with words of ours instead of its own.
func unchanged(err error, s driver.Step) error {
	f, ok := err.(*fault.Error)
	if !ok {
		return err
	}
	switch f.Kind {
	case fault.Unique:
		f.Msg, f.Index = "values are there twice that would have to be unique", s.Index.Name
	case fault.Retry:
		f.Kind, f.Msg = fault.Unavailable, "the tables are in use: try again"
	case fault.Internal:
		if f.Msg == "" {
			f.Msg = "the tables could not be changed"
		}
	}
	return f
}
