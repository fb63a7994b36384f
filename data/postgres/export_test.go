package postgres

import (
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
)

// Idle waits until no connection is in use.
func (e *Engine) Idle() {
	for until := time.Now().Add(20 * time.Second); e.pool.Stat().AcquiredConns() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			panic("a connection is in use and stays so")
		}
	}
}

// TextFor is the statement that these arguments are asked with.
func TextFor(s driver.Stmt, args ...expr.Value) string { return s.(*stmt).statement(args).SQL }
