package mysql

import "time"

// Idle waits until no connection is in use.
func (e *Engine) Idle() {
	for len(e.pool.slots) > 0 {
		time.Sleep(time.Millisecond)
	}
}

// StopAfter ends every step behind its statement with this number, as a crash would.
func (e *Engine) StopAfter(stop func(i int) error) { e.stopAfter = stop }
