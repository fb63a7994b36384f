package sqlite

import (
	"context"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// damage remembers the last look at the file's structure.
type damage struct {
	sync.Mutex
	at  time.Time
	err error
}

// Looking at the structure reads the whole file. It is done seldom, and only while the file is
// small; the structure of a large one is looked at by each backup.
const (
	lookEvery   = 10 * time.Minute
	lookAtBytes = 64 << 20
)

// Check commits a row of its own, with whatever else is being written: only a commit shows that
// the disk takes one. Then it looks for damage.
func (e *Engine) Check(ctx context.Context) error {
	if e.readers.wounded.Load() {
		return fault.New(fault.Unavailable, "a part of the database file could not be read: look at the disk, and start the server again")
	}
	err := e.writer.do(ctx, func(c *conn) error {
		return classify("check", c.beat())
	})
	if err != nil {
		return err
	}
	e.health.Lock()
	defer e.health.Unlock()
	if time.Since(e.health.at) < lookEvery {
		return e.health.err
	}
	err = e.inspecting(ctx, structure)
	if ctx.Err() == nil {
		e.health.at, e.health.err = time.Now(), err
	}
	return err
}

// beat writes a row that nobody needs.
func (c *conn) beat() error {
	return c.run(`INSERT OR REPLACE INTO "_health" ("one", "at") VALUES (1, ?1)`, expr.IntOf(time.Now().UnixMilli()))
}

func structure(c *conn) error {
	var bytes int64 = 1
	for _, factor := range []string{"PRAGMA page_count", "PRAGMA page_size"} {
		if err := c.each(factor, func(s *sqlite.Stmt) error { bytes *= s.ColumnInt64(0); return nil }); err != nil {
			return classify("check", err)
		}
	}
	if bytes > lookAtBytes {
		return nil
	}
	return quickCheck(c)
}

func quickCheck(c *conn) error {
	err := c.each("PRAGMA quick_check(1)", func(s *sqlite.Stmt) error {
		if s.ColumnText(0) != "ok" {
			return fault.New(fault.Internal, "the database is damaged: restore a backup")
		}
		return nil
	})
	return classify("check", err)
}
