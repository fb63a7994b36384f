package postgres

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Options of Open. Zero values are the defaults.
type Options struct {
	Conns int  // connections at most; default what the address says (pool_max_conns), else 4 for each processor
	Look  bool // nothing is changed: the catalogue must be there (NotFound)
}

// oldest is the first PostgreSQL that has what is needed here: 13 has xid8 and gen_random_uuid.
const oldest = 130000

// like is an address.
const like = "postgres://user:password@host:5432/database"

// connectTime is how long one try to connect may take.
const connectTime = 5 * time.Second

// Engine is one PostgreSQL database.
type Engine struct {
	pool    *pgxpool.Pool
	app     atomic.Pointer[sqldb.Served]
	closing sync.Once
	gone    atomic.Bool  // Close was called
	waits   atomic.Int32 // who asks for a connection
	name    string       // of this engine among others of the database
}

var _ driver.Engine = (*Engine)(nil)

// settings hold for every connection. A transaction that is not begun in so many words is as one that is. A commit is answered after it is on disk; who waits for a lock for
// long is told to try again; and what a client that is gone has locked is free again. Plans are compiled
// to machine code for long analyses, which nobody asks here. From version 14 on the server looks, while it works on a statement,
// whether there is somebody to answer: what a process asked that was killed ends.
const settings = `SELECT set_config('default_transaction_isolation', 'read committed', false), set_config('default_transaction_read_only', 'off', false),
	set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
	set_config('lock_timeout', '5s', false), set_config('idle_in_transaction_session_timeout', '10s', false), set_config('jit', 'off', false),
	(SELECT set_config(name, '5s', false) FROM pg_settings WHERE name = 'client_connection_check_interval')`

// Open opens the database at an address, "postgres://user:password@host:port/database?sslmode=…" or
// "host=… dbname=…" (PostgreSQL's manual, "Connection Strings").
func Open(ctx context.Context, address string, o Options) (*Engine, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil { // it may hold a password
		return nil, fault.Address("cannot be read", like)
	}
	if !namesDatabase(address) {
		return nil, fault.Address("names no database", like)
	}
	if o.Conns > 0 {
		config.MaxConns = int32(o.Conns)
	} else if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = int32(4 * processors())
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTime
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "plinth"
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // statements are prepared here
	config.ConnConfig.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: connectTime}
	}
	if err := prepareDatabase(ctx, config.ConnConfig, o.Look); err != nil {
		return nil, err
	}
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error { return begun(ctx, c.PgConn()) }
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // see session.first
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, classify("open the database", err)
	}
	e := &Engine{pool: pool, name: newName()}
	e.app.Store(sqldb.NewServed(dialect{}, nil))
	return e, nil
}

// namesDatabase says whether an address names a database. Where none is named PostgreSQL would take that of the
// user's name.
func namesDatabase(address string) bool {
	if u, err := url.Parse(address); err == nil && u.Scheme != "" {
		return strings.Trim(u.Path, "/") != "" || u.Query().Has("dbname")
	}
	return strings.Contains(address, "dbname=")
}

// prepareDatabase makes sure that the database is one that can be used, and has the catalogue.
func prepareDatabase(ctx context.Context, config *pgx.ConnConfig, look bool) error {
	pg, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return unreached(config, err)
	}
	defer pg.Close(context.WithoutCancel(ctx))
	c := newConn(pg)
	var version, encoding string
	err = c.each(ctx, "SELECT current_setting('server_version_num'), current_setting('server_encoding')", nil, func(cols *columns) error {
		version, encoding = string(cols.raw[0]), string(cols.raw[1])
		return nil
	})
	if err != nil {
		return classify("open the database", err)
	}
	if n, _ := strconv.Atoi(version); n < oldest {
		return fault.New(fault.Capability, "PostgreSQL %d or later is needed, and this is %s", oldest/10000, pg.ParameterStatus("server_version"))
	}
	if encoding != "UTF8" {
		return fault.New(fault.Capability, "the database must be in UTF8, and is in %s", encoding)
	}
	if look {
		return catalogued(ctx, c)
	}
	if _, err := pg.Exec(ctx, catalogue).ReadAll(); err != nil {
		return classify("open the database", err)
	}
	return nil
}

// catalogued is an error where there is no catalogue.
func catalogued(ctx context.Context, c *conn) error {
	there := false
	err := c.each(ctx, "SELECT CASE WHEN to_regclass('_columns') IS NULL THEN 'no' ELSE 'yes' END", nil, func(cols *columns) error {
		there = string(cols.raw[0]) == "yes"
		return nil
	})
	if err != nil {
		return classify("open the database", err)
	}
	if !there {
		return fault.New(fault.NotFound, "there is nothing of Plinth's in the database yet")
	}
	return nil
}

// Version is what the server says that it is.
func (e *Engine) Version(ctx context.Context) (version string, err error) {
	c, err := e.take(ctx)
	if err != nil {
		return "", err
	}
	defer e.give(c, rollback)
	err = c.each(ctx, "SELECT current_setting('server_version')", nil, func(row *columns) error {
		version = "PostgreSQL " + string(row.raw[0])
		return nil
	})
	return version, during(ctx, "ask for the version", err)
}

// unreached says who does not let us in, and why, to whoever opens the database.
func unreached(config *pgx.ConnConfig, err error) error {
	who, said := "PostgreSQL at "+config.Host, ""
	if !strings.HasPrefix(config.Host, "/") {
		who = "PostgreSQL at " + net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		if said = refused.Message; refused.Code == "3D000" { // invalid_catalog_name
			return fault.Unmade("open the database", who, config.Database, err)
		}
	}
	return fault.Unreached("open the database", who, said, err)
}

// begun makes a new connection ready.
func begun(ctx context.Context, pg *pgconn.PgConn) error {
	if _, err := pg.Exec(ctx, settings).ReadAll(); err != nil {
		return err
	}
	results, err := pg.Exec(ctx, bootRow).ReadAll()
	if err != nil {
		return err
	}
	c := newConn(pg)
	first := func(r *pgconn.Result) string {
		if len(r.Rows) == 0 {
			return ""
		}
		return string(r.Rows[0][0])
	}
	n := len(results)
	c.boot, c.at = first(results[n-2]), first(results[n-1])
	pg.CustomData()[own] = c
	return nil
}

// own is the name under which a connection has its conn.
const own = "plinth"

// take gives a connection of the pool to the caller alone.
func (e *Engine) take(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "connect", err)
	}
	e.waits.Add(1)
	pc, err := e.pool.Acquire(ctx)
	e.waits.Add(-1)
	if err != nil {
		if e.gone.Load() {
			return nil, errClosed()
		}
		return nil, during(ctx, "connect", err)
	}
	pg := pc.Conn().PgConn()
	c := pg.CustomData()[own].(*conn)
	c.pool = pc
	return c, nil
}

// give returns a connection. A transaction that is open on it is ended with end, which nobody waits for.
func (e *Engine) give(c *conn, end string) {
	c.top, c.rows.busy = nil, false
	c.unlimit()
	if status := c.pg.TxStatus(); c.pg.IsClosed() || c.pg.IsBusy() || status == 'I' {
		c.release()
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), connectTime)
		defer cancel()
		_ = c.run(ctx, end) // what is not ended then is closed
		c.release()
	}()
}

func (c *conn) release() {
	pool := c.pool
	c.pool = nil
	pool.Release()
}

func (e *Engine) Name() string { return "postgres" }

func (e *Engine) Caps() driver.Caps { return driver.Caps{Transactions: true, Paths: true, Joins: true} }

// Use makes the statements for an app's collections.
func (e *Engine) Use(app *spec.App) error {
	e.app.Store(sqldb.NewServed(dialect{}, app))
	return nil
}

func (e *Engine) served() *sqldb.Served { return e.app.Load() }

// Close waits for what is under way and ends.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.gone.Store(true)
		e.pool.Close()
	})
	return nil
}

func errClosed() error { return fault.New(fault.Unavailable, "the database is closed") }
