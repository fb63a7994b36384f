package postgres

import "time"

// Idle waits until no connection is in use.
func (e *Engine) Idle() {
	for e.pool.Stat().AcquiredConns() > 0 {
		time.Sleep(time.Millisecond)
	}
}
