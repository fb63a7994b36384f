package postgres

import (
	"context"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
)

// Idle waits until no connection is in use.
func (e *Engine) Idle() {
	for until := time.Now().Add(20 * time.Second); e.pool.Load().InUse > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			panic("a connection is in use and stays so")
		}
	}
}

// TextFor is the statement that these arguments are asked with.
func TextFor(s driver.Stmt, args ...expr.Value) string { return s.(*stmt).statement(args).SQL }

// Setting is what a setting is on a connection of the engine's.
func Setting(ctx context.Context, e *Engine, name string) (is string, err error) {
	c, err := e.take(ctx)
	if err != nil {
		return "", err
	}
	defer e.give(c, "ROLLBACK")
	err = c.each(ctx, "SELECT current_setting('"+name+"', true)", nil, func(cols *columns) error {
		is = string(cols.raw[0])
		return nil
	})
	return is, err
}

// Pooled is what the parameters of an address say of the pool.
var Pooled = pooled
