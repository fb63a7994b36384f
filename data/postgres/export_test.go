package postgres

import (
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
)

// Idle waits until no connection is in use.
func (e *Engine) Idle() {
	for e.pool.Stat().AcquiredConns() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// TextFor is the statement that these arguments are asked with.
func TextFor(s driver.Stmt, args ...expr.Value) string { return s.(*stmt).statement(args).SQL }
