package postgres

import (
	"context"
	"io"

	"github.com/bluell/plinth/fault"
)

// Check commits a row of its own: only a commit shows that the database takes one.
func (e *Engine) Check(ctx context.Context) error {
	c, err := e.take(ctx)
	if err != nil {
		return err
	}
	s := session{e: e, c: c}
	defer s.end(rollback)
	err = s.first(ctx, func(*prepared) error {
		return s.c.run(ctx, `INSERT INTO "_health" ("one", "at") VALUES (1, clock_timestamp()) ON CONFLICT ("one") DO UPDATE SET "at" = EXCLUDED."at"`)
	})
	return during(ctx, "check", err)
}

// Verify reads every value of every table: what the server cannot read it says, and with checksums of its
// pages (initdb --data-checksums) that is whatever was changed behind its back.
func (e *Engine) Verify(ctx context.Context) error {
	c, err := e.take(ctx)
	if err != nil {
		return err
	}
	defer e.give(c, rollback)
	var tables []string
	err = c.each(ctx, `SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') ORDER BY relname`, nil,
		func(row *columns) error {
			tables = append(tables, string(row.raw[0]))
			return nil
		})
	for _, name := range tables {
		if err != nil {
			break
		}
		_, err = c.pg.Exec(ctx, "SELECT count(t::text) FROM "+q(name)+" t").ReadAll()
	}
	return during(ctx, "verify", err)
}

// Backup is not made here: what a server has is copied by its own tools, which also put it back.
func (e *Engine) Backup(context.Context, io.Writer, func(done, total int)) error {
	return &fault.Error{Kind: fault.Capability, Op: "backup", Msg: "a PostgreSQL database is copied with pg_dump, and put back with pg_restore"}
}
