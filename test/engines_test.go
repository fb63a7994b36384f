package test

import (
	"net/url"
	"regexp"
	"testing"

	"github.com/bluell/plinth/data/mongo/mongotest"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/data/postgres/pgtest"
)

// engine is a database that the whole program is tested on.
type engine struct {
	name string
	db   func(t testing.TB) string // --db of a new, empty database, which goes with the test; "" is the app's own
}

var engines = []engine{
	{"sqlite", func(testing.TB) string { return "" }},
	{"postgres", func(t testing.TB) string { return postgresURL(pgtest.Database(t)) }},
	{"mysql", func(t testing.TB) string { return mysqltest.Database(t) }},
}

// withServers runs the tests and then stops the servers that they share.
func withServers(m *testing.M) int {
	defer mongotest.Stop()
	return pgtest.Main(running(func() int { return mysqltest.Main(m) }))
}

type running func() int

func (r running) Run() int { return r() }

// onEach runs a test on every engine; one whose server is not installed is left out, and says so.
func onEach(t *testing.T, fn func(t *testing.T, db string)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			fn(t, e.db(t))
		})
	}
}

// onAll is onEach, and on FerretDB, where there are no transactions.
func onAll(t *testing.T, fn func(t *testing.T, db string)) {
	onEach(t, fn)
	t.Run("ferretdb", func(t *testing.T) {
		t.Parallel()
		fn(t, mongotest.Database(t))
	})
}

var dsn = regexp.MustCompile(`^host=(\S+) user=(\S+) dbname=(\S+)$`)

// postgresURL is the address of a database of pgtest as people write it.
func postgresURL(address string) string {
	part := dsn.FindStringSubmatch(address)
	return "postgres://" + part[2] + "@/" + part[3] + "?host=" + url.QueryEscape(part[1])
}
