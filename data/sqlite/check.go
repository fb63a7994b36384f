package sqlite

import (
	"context"
	"errors"
	"math"
	"os"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// looked remembers the last look at the file's structure.
type looked struct {
	looking sync.Mutex // held by who looks
	mu      sync.Mutex
	at      time.Time
	err     error
}

// last is when somebody looked, and what was found.
func (l *looked) last() (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.err
}

func (l *looked) found(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.err = time.Now(), err
}

// Looking at the structure reads the whole file. Check does it seldom, and only while the file is
// small; the structure of a large one is looked at by each backup, and by Verify.
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
	if e.health.looking.TryLock() { // whoever comes meanwhile is told what was last found
		defer e.health.looking.Unlock()
		if at, _ := e.health.last(); time.Since(at) >= lookEvery {
			if err := e.look(ctx, lookAtBytes); ctx.Err() == nil { // else the next one looks
				e.health.found(err)
			}
		}
	}
	if _, damage := e.health.last(); damage != nil {
		return &driver.Damage{Err: damage}
	}
	return nil
}

// Verify reads the whole file and looks at its structure.
func (e *Engine) Verify(ctx context.Context) error {
	if !e.still {
		return e.look(ctx, math.MaxInt64)
	}
	info, err := os.Stat(e.path)
	if err != nil {
		return classify("check", err)
	}
	found := e.look(ctx, math.MaxInt64)
	if changed, err := e.overtaken(ctx, info.ModTime()); changed {
		return err
	}
	return found
}

// look looks at the structure of a file that has at most this many bytes.
func (e *Engine) look(ctx context.Context, most int64) error {
	return e.Read(ctx, func(r driver.Reader) error {
		rd := r.(*reader)
		rd.armed = rd.c.arm(ctx)
		bytes, err := bytesOf(rd.c)
		if err == nil && bytes <= most {
			err = quickCheck(rd.c)
		}
		return during(ctx, "check", err)
	})
}

// beat writes a row that nobody needs.
func (c *conn) beat() error {
	return c.run(`INSERT OR REPLACE INTO "_health" ("one", "at") VALUES (1, ?1)`, expr.IntOf(time.Now().UnixMilli()))
}

// bytesOf is how many bytes the database has.
func bytesOf(c *conn) (int64, error) {
	var bytes int64 = 1
	for _, factor := range []string{"PRAGMA page_count", "PRAGMA page_size"} {
		if err := c.each(factor, func(s *sqlite.Stmt) error { bytes *= s.ColumnInt64(0); return nil }); err != nil {
			return 0, err
		}
	}
	return bytes, nil
}

func quickCheck(c *conn) error {
	return c.each("PRAGMA quick_check(1)", func(s *sqlite.Stmt) error {
		if found := s.ColumnText(0); found != "ok" {
			return damaged("check", errors.New(found))
		}
		return nil
	})
}
