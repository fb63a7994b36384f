package postgres

import "github.com/bluell/plinth/data/driver"

// Load is how busy the pool of connections is. Who is about to be given one counts as waiting.
func (e *Engine) Load() driver.Load {
	s := e.pool.Stat()
	return driver.Load{InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Most: int(s.MaxConns()), Waiting: int(e.waits.Load())}
}
