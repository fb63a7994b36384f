package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/internal/pool"
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
	pool   *pool.Pool[*conn]
	config *pgconn.Config // of its connections
	app    atomic.Pointer[sqldb.Served]
	name   string // of this engine among others of the database
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
	config, conns, err := read(address)
	if err != nil {
		return nil, err
	}
	e := &Engine{config: config, name: newName()}
	if conns.Connect = e.connect; o.Conns > 0 {
		conns.Most = o.Conns
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTime
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "plinth"
	}
	config.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: connectTime}
	}
	if err := prepareDatabase(ctx, config, o.Look); err != nil {
		return nil, err
	}
	e.pool = pool.New(conns)
	e.app.Store(sqldb.NewServed(dialect{}, nil))
	return e, nil
}

// Readable is the error of an address that Open cannot read, of kind BadRequest. Nobody is asked.
func Readable(address string) error {
	_, _, err := read(address)
	return err
}

func read(address string) (*pgconn.Config, pool.Config[*conn], error) {
	config, err := pgconn.ParseConfig(address)
	if err != nil { // it may hold a password
		return nil, pool.Config[*conn]{}, fault.Address("cannot be read", like)
	}
	if !namesDatabase(address) {
		return nil, pool.Config[*conn]{}, fault.Address("names no database", like)
	}
	conns, err := pooled(config.RuntimeParams)
	return config, conns, err
}

// pooled takes what an address says of the pool out of the parameters that the server is given: by the names, and in the form, that
// other programs in Go read there too.
func pooled(params map[string]string) (pool.Config[*conn], error) {
	p := pool.Config[*conn]{Most: 4 * processors(), Modes: 1, Idle: pool.Idle, Life: pool.Life, Jitter: pool.Jitter}
	for name, text := range params {
		into, least := (*time.Duration)(nil), time.Second
		switch name {
		case "pool_max_conns":
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil || n < 1 {
				return p, fault.New(fault.BadRequest, "%s in the address must be a whole number from 1", name)
			}
			p.Most = int(n)
		case "pool_max_conn_idle_time":
			into = &p.Idle
		case "pool_max_conn_lifetime":
			into = &p.Life
		case "pool_max_conn_lifetime_jitter":
			into, least = &p.Jitter, 0
		case "pool_min_conns", "pool_min_idle_conns", "pool_health_check_period", "pool_ping_timeout", "default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity":
			return p, fault.New(fault.BadRequest, "%s in the address means nothing here: leave it out", name)
		default:
			continue
		}
		if into != nil {
			d, err := time.ParseDuration(text)
			if err != nil || d < least {
				return p, fault.New(fault.BadRequest, "%s in the address must be a time such as 30m or 1h, of %v at least", name, least)
			}
			*into = d
		}
		delete(params, name)
	}
	return p, nil
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
func prepareDatabase(ctx context.Context, config *pgconn.Config, look bool) error {
	pg, err := pgconn.ConnectConfig(ctx, config)
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
func unreached(config *pgconn.Config, err error) error {
	who, said := "PostgreSQL at "+config.Host, ""
	if !strings.HasPrefix(config.Host, "/") {
		who = "PostgreSQL at " + net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	}
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused):
		if said = refused.Message; refused.Code == "3D000" { // invalid_catalog_name
			return fault.Unmade("open the database", who, config.Database, err)
		}
	case foreign(err):
		return &fault.Error{Kind: fault.Unavailable, Op: "open the database", Msg: who + " cannot be used: what answers there is no PostgreSQL"}
	}
	return fault.Unreached("open the database", who, said, err)
}

// foreign says whether what answered was no message of PostgreSQL's: that of MySQL, say, which speaks first. The library has no type for it, and
// its words of it are those of a formatting gone wrong.
func foreign(err error) bool {
	var network net.Error
	text := err.Error()
	return !errors.As(err, &network) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) &&
		(strings.Contains(text, "received unexpected message") || strings.Contains(text, "failed to receive message"))
}

// connect makes a connection of the pool, which is not waited for without end: what accepts it need not be a server that answers.
// To connect has a bound for each of the hosts that the address names.
func (e *Engine) connect(ctx context.Context, _ int) (*conn, error) {
	pg, err := pgconn.ConnectConfig(ctx, e.config)
	if err != nil {
		return nil, during(ctx, "connect", err)
	}
	c := newConn(pg)
	c.limit(time.Now().Add(e.config.ConnectTimeout))
	if err := c.begun(ctx); err != nil {
		c.Close()
		return nil, during(ctx, "connect", err)
	}
	c.unlimit()
	return c, nil
}

// begun makes a new connection ready.
func (c *conn) begun(ctx context.Context) error {
	if _, err := c.pg.Exec(ctx, settings).ReadAll(); err != nil {
		return err
	}
	results, err := c.pg.Exec(ctx, bootRow).ReadAll()
	if err != nil {
		return err
	}
	first := func(r *pgconn.Result) string {
		if len(r.Rows) == 0 {
			return ""
		}
		return string(r.Rows[0][0])
	}
	n := len(results)
	c.boot, c.at = first(results[n-2]), first(results[n-1])
	return nil
}

// take gives a connection of the pool to the caller alone.
func (e *Engine) take(ctx context.Context) (*conn, error) { return e.pool.Take(ctx, 0) }

// give returns a connection. A transaction that is open on it is ended with end, which nobody waits for.
func (e *Engine) give(c *conn, end string) {
	c.top, c.rows.busy = nil, false
	c.unlimit()
	if c.pg.IsClosed() || c.pg.IsBusy() || c.pg.TxStatus() == 'I' {
		e.pool.Give(c)
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), connectTime)
		defer cancel()
		_ = c.run(ctx, end) // what is not ended then is closed
		e.pool.Give(c)
	}()
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
	e.pool.Close()
	return nil
}
