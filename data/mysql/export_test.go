package mysql

import (
	"strconv"
	"strings"
	"time"
)

// Idle waits until no connection is in use.
func (e *Engine) Idle() {
	for until := time.Now().Add(20 * time.Second); e.pool.Load().InUse > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			panic("a connection is in use and stays so")
		}
	}
}

// StopAfter ends every step behind its statement with this number, as a crash would.
func (e *Engine) StopAfter(stop func(i int) error) { e.stopAfter = stop }

// WarningsOf is what is said of settings that have these values.
var WarningsOf = warnings

// OneByOne makes it an engine whose server takes no compound statements.
func (e *Engine) OneByOne() { e.compounds = false }

// Compounds says whether the server takes compound statements.
func (e *Engine) Compounds() bool { return e.compounds }

// Impatient makes the server end a transaction that says nothing for so many seconds, where it does that at all. It holds
// for connections that are made from now on.
func (e *Engine) Impatient(seconds int) bool {
	was := e.settings
	e.settings = strings.Replace(was, "idle_transaction_timeout = "+strconv.Itoa(idleTime), "idle_transaction_timeout = "+strconv.Itoa(seconds), 1)
	return e.settings != was
}

// Brief makes the server end what takes longer than so many seconds, where it does that at all, for which nobody may wait longer. It
// holds for connections that are made from now on.
func (e *Engine) Brief(seconds int) bool {
	was := e.settings
	e.settings = strings.Replace(was, "max_statement_time = "+strconv.Itoa(longest), "max_statement_time = "+strconv.Itoa(seconds), 1)
	return e.settings != was
}
