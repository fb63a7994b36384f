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

// Backup is not made here: what a server has is copied by its own tools, which also put it back.
func (e *Engine) Backup(context.Context, io.Writer, func(done, total int)) error {
	return &fault.Error{Kind: fault.Capability, Op: "backup", Msg: "a PostgreSQL database is copied with pg_dump, and put back with pg_restore"}
}
