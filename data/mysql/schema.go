package mysql

import (
	"context"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// own are the engine's own tables: the catalogue (see sqldb.Schema) and the row of Check.
var own = []string{
	`"_columns" ("tbl" VARCHAR(64) NOT NULL, "name" VARCHAR(64) NOT NULL, "kind" VARCHAR(16) NOT NULL, "elem" VARCHAR(16) NOT NULL,
	"scale" INT NOT NULL, "ref" VARCHAR(64) NOT NULL, "side" TINYINT NOT NULL, "maxlen" INT NOT NULL, PRIMARY KEY ("tbl", "name"))`,
	`"_indexes" ("n" BIGINT NOT NULL AUTO_INCREMENT UNIQUE, "tbl" VARCHAR(64) NOT NULL, "name" VARCHAR(64) NOT NULL,
	"sqlname" VARCHAR(64) NOT NULL, "columns" TEXT NOT NULL, "unique" TINYINT NOT NULL, PRIMARY KEY ("tbl", "name"))`,
	`"_health" ("one" INT PRIMARY KEY, "at" DATETIME(3) NOT NULL)`,
}

func (e *Engine) makeCatalogue(ctx context.Context, c *conn) error {
	for _, table := range own {
		if err := c.exec(ctx, "CREATE TABLE IF NOT EXISTS "+table+e.d.tableEnd()); err != nil {
			return err
		}
	}
	return nil
}

// Inspect tells what tables there are, without those the engine keeps beside them.
func (e *Engine) Inspect(ctx context.Context) ([]driver.Table, error) {
	have, err := e.inspect(ctx)
	if err != nil {
		return nil, err
	}
	return have.Sorted(), nil
}

func (e *Engine) inspect(ctx context.Context) (*sqldb.Schema, error) {
	c, err := e.pool.Take(ctx, reading)
	if err != nil {
		return nil, err
	}
	s := session{e: e, c: c, reads: true}
	defer s.end()
	var have *sqldb.Schema
	err = s.first(ctx, func() (err error) {
		have, err = inspect(ctx, s.c)
		return err
	})
	return have, during(ctx, "inspect", err)
}

// inspect reads what there is before and after the catalogue, which is told first of what will be and last of
// what is no more: what is there in the end was in the catalogue.
func inspect(ctx context.Context, c *conn) (*sqldb.Schema, error) {
	s := sqldb.NewSchema()
	err := c.each(ctx, `SELECT "tbl", "name", "kind", "elem", "scale", "ref", "side", "maxlen" FROM "_columns"`, func(text func(int) string) error {
		s.Catalogued(text)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = c.each(ctx, `SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE FROM information_schema.COLUMNS c JOIN information_schema.TABLES t
		ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME AND t.TABLE_TYPE = 'BASE TABLE'
		WHERE c.TABLE_SCHEMA = DATABASE() ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION`, func(text func(int) string) error {
		s.Names[sqldb.Named(text(0))] = true
		s.Has(sqldb.Named(text(0)), sqldb.Named(text(1)), kindOf[strings.ToLower(text(2))])
		return nil
	})
	if err != nil {
		return nil, err
	}
	indexes := map[[2]string]bool{}
	err = c.each(ctx, `SELECT DISTINCT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()`, func(text func(int) string) error {
		indexes[[2]string{sqldb.Named(text(0)), sqldb.Named(text(1))}] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	there := func(table, sqlname string) bool { return indexes[[2]string{table, sqlname}] }
	return s, c.each(ctx, `SELECT "tbl", "name", "sqlname", "columns", "unique" FROM "_indexes" ORDER BY "n"`, func(text func(int) string) error {
		return s.Indexed(text, there)
	})
}

// kindOf guesses the kind of a column that Plinth did not make.
var kindOf = map[string]expr.Kind{"tinyint": expr.Bool, "smallint": expr.Int, "int": expr.Int, "bigint": expr.Bigint, "double": expr.Float,
	"datetime": expr.Time, "date": expr.Date, "longblob": expr.Bytes, "varchar": expr.Text, "text": expr.Text, "longtext": expr.Text}
