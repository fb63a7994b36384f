package sqlite

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/fault"
)

// look opens a file to be read alone. Where there is a log beside it, SQLite reads that too, which takes the index of the log:
// a server that runs has one, and of one that was killed SQLite makes it again. Where there is no log nobody has the
// file open, and it is read as one that nobody changes ("immutable", https://www.sqlite.org/uri.html): else SQLite would make a log and
// an index, and leave them there. Whoever begins to write meanwhile makes a log, see Verify.
func look(path string, o Options) (*Engine, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "open the database", err)
	}
	_ = f.Close()
	name := path
	still := !logged(path)
	if still {
		name = (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "immutable=1"}).String()
	}
	open := func() (*conn, error) { return connect(name, sqlite.OpenReadOnly, busy) }
	c, err := open()
	if err != nil {
		return nil, err
	}
	// A read, for SQLite opens the file itself with the first.
	if err := c.each("PRAGMA schema_version", func(*sqlite.Stmt) error { return nil }); err != nil {
		_ = c.close()
		return nil, classify("open the database", err)
	}
	logs := &checkpoints{wrote: make(chan struct{}, lookAfter), stop: make(chan struct{}), ended: make(chan struct{})}
	close(logs.ended)
	e := &Engine{path: path, readers: newReaders(name, o.Readers), logs: logs, still: still}
	e.app.Store(sqldb.NewServed(dialect{}, nil))
	e.writer = newWriter(c, open, logs)
	return e, nil
}

// logged says whether there is a log beside a file.
func logged(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

// overtaken says whether a file was changed since it was found to be one that nobody changes. What was found in it says nothing
// then: it is looked at again, with its log.
func (e *Engine) overtaken(ctx context.Context, before time.Time) (bool, error) {
	if info, err := os.Stat(e.path); err == nil && info.ModTime().Equal(before) && !logged(e.path) {
		return false, nil
	}
	again, err := look(e.path, Options{})
	if err != nil {
		return true, err
	}
	defer again.Close()
	if again.still {
		return true, fault.New(fault.Unavailable, "the database was changed while it was looked at: look again")
	}
	return true, again.Verify(ctx)
}

// Version says which SQLite reads the file.
func (e *Engine) Version(context.Context) (string, error) { return "SQLite " + Version, nil }
