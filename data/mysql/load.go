package mysql

import "github.com/bluell/plinth/data/driver"

// Load is how busy the pool of connections is.
func (e *Engine) Load() driver.Load {
	p := e.pool
	l := driver.Load{InUse: len(p.slots), Most: cap(p.slots), Waiting: int(p.waits.Load())}
	p.mu.Lock()
	for _, some := range p.idle {
		l.Idle += len(some)
	}
	p.mu.Unlock()
	return l
}
