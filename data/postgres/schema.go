package postgres

import (
	"context"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// catalogue makes the catalogue (see sqldb.Schema), which changes in the transaction of each step. Who makes it has
// the lock that steps take, for processes start together.
const catalogue = lock + `;
CREATE TABLE IF NOT EXISTS "_columns" ("tbl" text COLLATE "C" NOT NULL, "name" text COLLATE "C" NOT NULL, "kind" text NOT NULL, "elem" text NOT NULL,
	"scale" int NOT NULL, "ref" text NOT NULL, "side" int NOT NULL, "maxlen" int NOT NULL, PRIMARY KEY ("tbl", "name"));
CREATE TABLE IF NOT EXISTS "_indexes" ("n" bigint GENERATED ALWAYS AS IDENTITY, "tbl" text COLLATE "C" NOT NULL, "name" text COLLATE "C" NOT NULL,
	"sqlname" text COLLATE "C" NOT NULL, "columns" text NOT NULL, "unique" int NOT NULL, PRIMARY KEY ("tbl", "name"));
CREATE TABLE IF NOT EXISTS "_health" ("one" int PRIMARY KEY, "at" timestamptz NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS "_boot" ("one" int PRIMARY KEY, "boot" text NOT NULL);
`

// lock lets one process at a time change the tables of a schema.
const lock = `SELECT pg_advisory_xact_lock(1886153070, hashtext(current_schema()))`

// Inspect tells what tables there are, without those the engine keeps beside them.
func (e *Engine) Inspect(ctx context.Context) ([]driver.Table, error) {
	have, err := e.inspect(ctx)
	if err != nil {
		return nil, err
	}
	return have.Sorted(), nil
}

// inspect reads everything in one snapshot.
func (e *Engine) inspect(ctx context.Context) (have *sqldb.Schema, err error) {
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

func inspect(ctx context.Context, c *conn) (*sqldb.Schema, error) {
	s := sqldb.NewSchema()
	for _, part := range []struct {
		sql  string
		take func(text func(i int) string) error
	}{
		{`SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace`,
			func(text func(int) string) error { s.Names[sqldb.Named(text(0))] = true; return nil }},
		{`SELECT "tbl", "name", "kind", "elem", "scale"::text, "ref", "side"::text, "maxlen"::text FROM "_columns"`,
			func(text func(int) string) error { s.Catalogued(text); return nil }},
		{`SELECT t.relname::text, a.attname::text, format_type(a.atttypid, NULL) FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
			WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY t.relname, a.attnum`,
			func(text func(int) string) error {
				s.Has(sqldb.Named(text(0)), sqldb.Named(text(1)), kindOf[text(2)])
				return nil
			}},
		{`SELECT "tbl", "name", "sqlname", "columns", "unique"::text FROM "_indexes" ORDER BY "n"`,
			func(text func(int) string) error { return s.Indexed(text, func(_, _ string) bool { return false }) }},
	} {
		err := c.each(ctx, part.sql, nil, func(row *columns) error { return part.take(func(i int) string { return string(row.raw[i]) }) })
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// kindOf guesses the kind of a column that Plinth did not make.
var kindOf = map[string]expr.Kind{"boolean": expr.Bool, "smallint": expr.Int, "integer": expr.Int, "bigint": expr.Bigint, "double precision": expr.Float,
	"timestamp with time zone": expr.Time, "date": expr.Date, "bytea": expr.Bytes, "text": expr.Text}

// Statements plans the steps one after the other, each on what those before it leave. A step that is done
// already has none; nor have those behind one that cannot be told.
func (e *Engine) Statements(steps ...driver.Step) [][]string {
	out := make([][]string, len(steps))
	have, err := e.inspect(context.Background())
	if err != nil {
		return out
	}
	for i, s := range steps {
		if out[i], err = have.Plan(dialect{}, s); err != nil {
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
	statements, err := have.Plan(dialect{}, s)
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
