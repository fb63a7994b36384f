package mongo

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Options of Open. Zero values are the defaults.
type Options struct {
	Conns int // connections at most; default what the address says (maxPoolSize), else 100
}

// connectTime is how long one try to connect may take, and a server to be found.
const connectTime = 5 * time.Second

// Engine is one database.
type Engine struct {
	server server
	can    abilities
	app    atomic.Pointer[spec.App]
	tables atomic.Pointer[map[string]*table] // the catalogue as it was read last

	mu    sync.Mutex // of gone and of entering busy
	gone  bool       // Close was called
	busy  sync.WaitGroup
	ended sync.Once
	err   error
}

var _ driver.Engine = (*Engine)(nil)

// Open opens the database at an address, "mongodb://user:password@host:port/database?…" or "mongodb+srv://…"
// (MongoDB's manual, "Connection Strings"). It asks the server what it can do.
func Open(ctx context.Context, address string, o Options) (*Engine, error) {
	name, config, err := read(address)
	if err != nil {
		return nil, err
	}
	if o.Conns > 0 {
		config.SetMaxPoolSize(uint64(o.Conns))
	}
	if config.AppName == nil {
		config.SetAppName("plinth")
	}
	if config.ConnectTimeout == nil {
		config.SetConnectTimeout(connectTime)
	}
	if config.ServerSelectionTimeout == nil {
		config.SetServerSelectionTimeout(connectTime)
	}
	config.SetWriteConcern(durable())
	c, err := mongo.Connect(config)
	if err != nil {
		return nil, classify("open the database", err)
	}
	s := &client{c: c, db: c.Database(name)}
	can, err := s.probe(ctx)
	if err != nil {
		_ = s.close()
		if fault.Is(err, fault.Capability) {
			return nil, err
		}
		return nil, unreached(config.Hosts, err)
	}
	if can.transactions {
		s.db = c.Database(name, options.Database().SetReadConcern(readconcern.Majority()))
	}
	e, err := on(ctx, s, can)
	if err != nil {
		_ = s.close()
		return nil, err
	}
	return e, nil
}

// Readable is the error of an address that Open cannot read, of kind BadRequest. Nobody is asked, but name servers for "mongodb+srv://…".
func Readable(address string) error {
	_, _, err := read(address)
	return err
}

func read(address string) (name string, config *options.ClientOptions, err error) {
	name, ok := databaseOf(address)
	config = options.Client().ApplyURI(address)
	if !ok || config.Validate() != nil { // its error may hold a password
		return "", nil, fault.Address("cannot be read, or names no database", "mongodb://user:password@host:27017/database")
	}
	return name, config, nil
}

// unreached says who does not let us in, and why, to whoever opens the database.
func unreached(hosts []string, err error) error {
	said := ""
	var refused mongo.CommandError
	switch {
	case errors.As(err, &refused):
		said = refused.Message
	case mongo.IsTimeout(err):
		err = context.DeadlineExceeded // its own words name every host at length
	}
	return fault.Unreached("open the database", "MongoDB at "+strings.Join(hosts, ","), said, err)
}

// on is an engine on a server.
func on(ctx context.Context, s server, can abilities) (*Engine, error) {
	e := &Engine{server: s, can: can}
	for _, name := range []string{catalogue, health} {
		if err := s.create(ctx, name); err != nil {
			return nil, during(ctx, "open the database", err)
		}
	}
	tables, err := e.inspect(ctx)
	for name := range tables { // those of versions that did not carry have none
		if err == nil {
			err = during(ctx, "open the database", e.waited(ctx, name))
		}
	}
	return e, err
}

// databaseOf finds the name of the database in an address. There may be several hosts, which package url does
// not read.
func databaseOf(address string) (string, bool) {
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		return "", false
	}
	_, name, _ := strings.Cut(rest, "/")
	name, _, _ = strings.Cut(name, "?")
	name, err := url.PathUnescape(name)
	return name, err == nil && name != "" && !strings.ContainsAny(name, `/\. "$`)
}

func (e *Engine) Name() string { return "mongo" }

func (e *Engine) Caps() driver.Caps {
	return driver.Caps{Transactions: e.can.transactions, Paths: e.can.joins}
}

// Use names the collections to which paths lead.
func (e *Engine) Use(app *spec.App) error {
	e.app.Store(app)
	return nil
}

// enter begins work that Close waits for; leave ends it.
func (e *Engine) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, "begin", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return fault.New(fault.Unavailable, "the database is closed")
	}
	e.busy.Add(1)
	return nil
}

func (e *Engine) leave() { e.busy.Done() }

// Close waits for what is under way and ends.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.gone = true
	e.mu.Unlock()
	e.ended.Do(func() {
		e.busy.Wait()
		e.err = classify("close the database", e.server.close())
	})
	return e.err
}

// Prepare compiles a query. Its statement is used with the app that was served then.
func (e *Engine) Prepare(q *driver.Query) (driver.Stmt, error) {
	var collections []*spec.Collection
	if app := e.app.Load(); app != nil {
		collections = app.Collections
	}
	p, err := compile(e.can, collections, q)
	if err != nil {
		return nil, err
	}
	return newStmt(e, p), nil
}

// Rows is a question of its own.
func (e *Engine) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	return e.rows(ctx, s, args, yield)
}

// Read runs fn on one snapshot, where the server has them. Without transactions each question has its own moment.
func (e *Engine) Read(ctx context.Context, fn func(driver.Reader) error) error {
	if err := e.enter(ctx); err != nil {
		return err
	}
	defer e.leave()
	r := &reader{e: e}
	if e.can.transactions {
		in, end, err := e.server.snapshot(ctx)
		if err != nil {
			return during(ctx, "read", err)
		}
		defer end()
		r.in = in
	}
	return fn(r)
}

// reader reads in a session, which has a context of its own.
type reader struct {
	e  *Engine
	in context.Context // nil: none
}

func (r *reader) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if r.in != nil {
		ctx = r.in
	}
	return r.e.rows(ctx, s, args, yield)
}
