package mysql

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/bluell/plinth/fault"
)

// Check commits a row of its own: only a commit shows that the database takes one.
func (e *Engine) Check(ctx context.Context) error {
	c, err := e.pool.Take(ctx, reading)
	if err != nil {
		return err
	}
	s := session{e: e, c: c}
	defer s.end()
	ctx = s.bounded(ctx)
	err = s.first(ctx, func() error {
		s.c.args = s.c.args[:0]
		_, err := s.c.run(ctx, `INSERT INTO "_health" ("one", "at") VALUES (1, NOW(3)) ON DUPLICATE KEY UPDATE "at" = NOW(3)`)
		return err
	})
	return during(ctx, "check", err)
}

// Verify has the server look at every page and every index of every table, on a connection of its own.
func (e *Engine) Verify(ctx context.Context) error {
	c, done, err := e.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	var tables []string
	err = c.each(ctx, `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME`,
		func(text func(int) string) error { tables = append(tables, text(0)); return nil })
	for _, name := range tables {
		if err != nil {
			break
		}
		err = c.each(ctx, "CHECK TABLE "+q(name)+" EXTENDED", func(text func(int) string) error {
			if slices.Contains([]string{"error", "Error", "Corrupt", "corrupt"}, text(2)) {
				return &fault.Error{Kind: fault.Internal, Op: "verify", Msg: damaged, Err: errors.New(text(3))}
			}
			return nil
		})
	}
	return during(ctx, "verify", err)
}

// Backup is not made here: what a server has is copied by its own tools, which also put it back.
func (e *Engine) Backup(context.Context, io.Writer, func(done, total int)) error {
	return &fault.Error{Kind: fault.Capability, Op: "backup", Msg: "a MariaDB database is copied with mariadb-dump --single-transaction, a MySQL one with mysqldump --single-transaction, and both are put back with mariadb or mysql"}
}
