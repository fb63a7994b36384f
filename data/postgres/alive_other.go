//go:build !unix

package postgres

// quiet: a socket cannot be looked at here, so every write begins with what may be sent twice.
func (c *conn) quiet() bool { return false }
