package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Options of Open. Zero values are the defaults.
type Options struct {
	Readers int  // connections that read; default 2 for each processor, at least 4
	Look    bool // nothing is changed: the file must be there, and writes are refused
}

// Version is the SQLite that is built in.
const Version = sqlite.Version

// oldest is the first SQLite whose write-ahead log does not lose data when it is reset.
const oldest = "3.51.3"

// Engine is one SQLite database.
type Engine struct {
	path    string
	readers *readers
	writer  *writer
	logs    *checkpoints
	app     atomic.Pointer[sqldb.Served]
	health  looked
	still   bool // the file was opened as one that nobody changes (look)
	closing sync.Once
	closed  error
}

var _ driver.Engine = (*Engine)(nil)

// Open opens the database in the file path, which is made if it is not there.
func Open(path string, o Options) (*Engine, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "open the database", err)
	}
	if o.Look {
		return look(path, o)
	}
	// Made here first, so that nobody else on the machine may read it; its log has the same mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "open the database", err)
	}
	f.Close()
	open := func() (*conn, error) { return openWriter(path) }
	c, err := open()
	if err != nil {
		return nil, err
	}
	e := &Engine{path: path, readers: newReaders(path, o.Readers), logs: newCheckpoints(path)}
	e.app.Store(sqldb.NewServed(dialect{}, nil))
	e.writer = newWriter(c, open, e.logs)
	return e, nil
}

// busy is how long another process's write is waited for.
const busy = 5 * time.Second

func openWriter(path string) (*conn, error) {
	c, err := connect(path, sqlite.OpenReadWrite|sqlite.OpenCreate, busy)
	if err != nil {
		return nil, err
	}
	if err := prepareFile(c); err != nil {
		c.close()
		return nil, classify("open the database", err)
	}
	return c, nil
}

// prepareFile makes the file ready to be written: the log, and the catalogue of what SQLite
// itself cannot say of tables.
func prepareFile(c *conn) error {
	var version, mode string
	text := func(to *string) func(*sqlite.Stmt) error {
		return func(s *sqlite.Stmt) error { *to = s.ColumnText(0); return nil }
	}
	if err := c.each("SELECT sqlite_version()", text(&version)); err != nil {
		return err
	}
	if older(version, oldest) {
		return fault.New(fault.Capability, "SQLite %s may lose data: at least %s is needed", version, oldest)
	}
	if err := c.each("PRAGMA journal_mode = WAL", text(&mode)); err != nil {
		return err
	}
	if mode != "wal" {
		return fault.New(fault.Capability, "this file system cannot keep SQLite's write-ahead log")
	}
	if err := c.each("PRAGMA wal_autocheckpoint = "+strconv.Itoa(backstop), func(*sqlite.Stmt) error { return nil }); err != nil {
		return err
	}
	return makeOwn(c)
}

// older compares versions by their numbers.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return len(as) < len(bs)
}

func (e *Engine) Name() string { return "sqlite" }

func (e *Engine) Caps() driver.Caps {
	return driver.Caps{Transactions: true, Paths: true, Joins: true, Ordered: true}
}

// Use makes the statements for an app's collections.
func (e *Engine) Use(app *spec.App) error {
	e.app.Store(sqldb.NewServed(dialect{}, app))
	return nil
}

func (e *Engine) served() *sqldb.Served { return e.app.Load() }

// Close waits for writes and reads under way and ends; the log is worked into the file.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.logs.close()
		e.readers.close()
		e.closed = classify("close", e.writer.close())
	})
	return e.closed
}

func errClosed() error { return fault.New(fault.Unavailable, "the database is closed") }

// inspecting runs fn with a reading connection.
func (e *Engine) inspecting(ctx context.Context, fn func(c *conn) error) error {
	return e.Read(ctx, func(r driver.Reader) error { return fn(r.(*reader).c) })
}
