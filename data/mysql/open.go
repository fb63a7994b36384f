package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/internal/pool"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Options of Open. Zero values are the defaults.
type Options struct {
	Conns int  // connections in use at most, as many again may lie idle; default 4 for each processor
	Look  bool // nothing is changed: the catalogue must be there (NotFound)
}

// connectTime is how long one try to connect may take.
const connectTime = 5 * time.Second

// Engine is one database on a MariaDB or MySQL server.
type Engine struct {
	pool      *pool.Pool[*conn]
	connector sqldriver.Connector
	settings  string // of each connection
	bounds    bool   // the server ends by itself what takes longer than longest
	kept      int    // statements that a connection keeps at most
	d         dialect
	compounds bool // the server takes compound statements, see compound.go
	app       atomic.Pointer[sqldb.Served]

	stopAfter func(i int) error // where tests pull the plug: behind each statement of a step
}

var _ driver.Engine = (*Engine)(nil)

// Open opens the database at an address, "mysql://user:password@host:port/database?tls=true" or
// "mysql://user:password@/database?socket=/path", or one as github.com/go-sql-driver/mysql reads it,
// "user:password@tcp(host:port)/database". The database must be there.
func Open(ctx context.Context, address string, o Options) (*Engine, error) {
	config, connector, err := read(address)
	if err != nil {
		return nil, err
	}
	if o.Conns <= 0 {
		o.Conns = 4 * runtime.GOMAXPROCS(0)
	}
	e := &Engine{connector: connector, kept: keptStatements}
	if err := e.prepareDatabase(ctx, config, o.Conns, o.Look); err != nil {
		return nil, err
	}
	e.pool = pool.New(pool.Config[*conn]{Connect: e.connect, Most: o.Conns, Modes: modes, Idle: pool.Idle, Life: pool.Life, Jitter: pool.Jitter})
	e.app.Store(sqldb.NewServed(e.d, nil))
	return e, nil
}

// Readable is the error of an address that Open cannot read, of kind BadRequest. Nobody is asked.
func Readable(address string) error {
	_, _, err := read(address)
	return err
}

func read(address string) (*mysql.Config, sqldriver.Connector, error) {
	config, err := configured(address)
	if err != nil {
		return nil, nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, nil, errAddress()
	}
	return config, connector, nil
}

// prepareDatabase makes sure that the server is one that can be used by so many connections, and that the database has the
// catalogue.
func (e *Engine) prepareDatabase(ctx context.Context, config *mysql.Config, conns int, look bool) error {
	soon, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	c, err := e.link(soon)
	if err != nil {
		who, said := "MariaDB or MySQL at "+config.Addr, ""
		var refused *mysql.MySQLError
		if errors.As(err, &refused) {
			if said = refused.Message; refused.Number == 1049 { // ER_BAD_DB_ERROR
				return fault.Unmade("open the database", who, config.DBName, err)
			}
		}
		return fault.Unreached("open the database", who, said, err)
	}
	defer c.Close()
	var version string
	if err := c.each(soon, "SELECT VERSION()", func(text func(int) string) error { version = text(0); return nil }); err != nil {
		return during(ctx, "open the database", err)
	}
	if e.d.collation, err = collationFor(version); err != nil {
		return err
	}
	e.bounds = strings.Contains(version, "MariaDB")
	e.settings = settings(e.d.collation, e.bounds)
	if err := c.begun(soon, e.settings, reading); err != nil {
		return during(ctx, "open the database", err)
	}
	e.compounds = c.compounds(soon)
	err = c.each(soon, "SELECT @@max_prepared_stmt_count", func(text func(int) string) error {
		n, err := strconv.Atoi(text(0))
		e.kept = max(1, min(keptStatements, n/2/(modes*conns)))
		return err
	})
	if err != nil {
		return during(ctx, "open the database", err)
	}
	if look {
		return catalogued(ctx, c)
	}
	return during(ctx, "open the database", e.makeCatalogue(ctx, c))
}

// catalogued is an error where there is no catalogue.
func catalogued(ctx context.Context, c *conn) error {
	tables := ""
	err := c.each(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '_columns'", func(text func(int) string) error {
		tables = text(0)
		return nil
	})
	if err == nil && tables == "0" {
		return fault.New(fault.NotFound, "there is nothing of Plinth's in the database yet")
	}
	return during(ctx, "open the database", err)
}

// collationFor is the collation in which a server compares texts by code point and counts spaces, if it is one
// that has what is needed here.
func collationFor(version string) (string, error) {
	maria := strings.Contains(version, "MariaDB")
	number, _, _ := strings.Cut(strings.TrimPrefix(version, "5.5.5-"), "-") // what MariaDB says to old clients
	var parts [3]int
	for i, p := range strings.SplitN(number, ".", 3) {
		parts[i], _ = strconv.Atoi(p)
	}
	atLeast := func(major, minor, patch int) bool {
		for i, n := range [3]int{major, minor, patch} {
			if parts[i] != n {
				return parts[i] > n
			}
		}
		return true
	}
	switch {
	case maria && atLeast(10, 6, 0):
		return "utf8mb4_nopad_bin", nil
	case !maria && atLeast(8, 0, 17):
		return "utf8mb4_0900_bin", nil
	}
	return "", fault.New(fault.Capability, "MariaDB 10.6 or MySQL 8.0.17, or later, is needed, and this is %s", version)
}

// settings hold for every connection, whatever the server's are; those that write then have autocommit off. Names and texts are those of standard SQL,
// and nothing is bent to fit. Whoever waits for a lock for long is told to try again. Texts are sorted by their
// first 64 KB, for 1 KB is the default; the buffer has room for a few such.
//
// MariaDB makes IN of an EXISTS whose rows must equal several things of those around it, and then refuses one of them that is
// looked up itself ("SUBQUERY in ROW in left expression of IN/ALL/ANY"): conditions through references are such.
//
// What a process has locked that stops in the middle of a transaction (a machine that is paused, a network that is cut) is free again
// after idleTime. MySQL has no such setting: there it is kept until the server finds that the connection is gone.
//
// What nobody waits for any more is killed (see session.fail); where nobody is left to do that, the server ends it after longest.
// MySQL bounds nothing but SELECT, by a setting of another kind: there such a statement goes on to its end.
func settings(collation string, maria bool) string {
	own := ""
	if maria {
		own = ", optimizer_switch = 'exists_to_in=off', idle_transaction_timeout = " + strconv.Itoa(idleTime) +
			", max_statement_time = " + strconv.Itoa(longest)
	}
	return "SET NAMES utf8mb4 COLLATE " + collation + `, time_zone = '+00:00', lc_messages = 'en_US', innodb_lock_wait_timeout = 5, lock_wait_timeout = 5,
	sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
	autocommit = 1, max_sort_length = 65536, sort_buffer_size = 8388608, sql_select_limit = DEFAULT` + own
}

// idleTime is how long a transaction may say nothing, in seconds.
const idleTime = 10

// longest is how long the server works on a statement at most, in seconds, unless somebody may wait longer for it: more than answerTime.
const longest = 60

func (e *Engine) Name() string { return "mysql" }

func (e *Engine) Caps() driver.Caps { return driver.Caps{Transactions: true, Paths: true, Joins: true} }

// Use makes the statements for an app's collections.
func (e *Engine) Use(app *spec.App) error {
	e.app.Store(sqldb.NewServed(e.d, app))
	return nil
}

func (e *Engine) served() *sqldb.Served { return e.app.Load() }

// Close waits for what is under way and ends.
func (e *Engine) Close() error {
	e.pool.Close()
	return nil
}
