package mysql

import "github.com/bluell/plinth/data/driver"

// Load is how busy the pool of connections is.
func (e *Engine) Load() driver.Load { return e.pool.Load() }
