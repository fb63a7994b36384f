package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/fault"
)

// how a database is opened.
type how int

const (
	opened  how = iota // it is made when it is not there
	looking            // nothing is made: an empty one stands for one that is not there
)

// database is an engine and what ends with it.
type database struct {
	*sqlite.Engine
	end func()
}

func (d *database) Close() error {
	err := d.Engine.Close()
	d.end()
	return err
}

// open opens the database of an app. These are the engines that this program links.
func open(dir, url string, h how) (*database, error) {
	path, err := sqlitePath(dir, url)
	if err != nil {
		return nil, err
	}
	end := func() {}
	if h == looking {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			empty, err := os.MkdirTemp("", "plinth-")
			if err != nil {
				return nil, fault.Wrap(fault.Internal, "look at an empty database", err)
			}
			path, end = filepath.Join(empty, "empty.db"), func() { os.RemoveAll(empty) }
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Msg: "the folder of the database cannot be made", Err: err}
	}
	release, err := share(path)
	if err != nil {
		return nil, err
	}
	eng, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		release()
		return nil, err
	}
	return &database{eng, func() { release(); end() }}, nil
}

// sqlitePath reads --db. What is written there may hold a password: it is not repeated.
func sqlitePath(dir, url string) (string, error) {
	if url == "" {
		return filepath.Join(dir, "data", "plinth.db"), nil
	}
	scheme, path, ok := strings.Cut(url, ":")
	switch {
	case !ok:
		return "", misused("--db is an address like sqlite:PATH")
	case scheme != "sqlite":
		return "", misused("--db %s: this program has no such engine: sqlite:PATH", scheme)
	case path == "" || path == ":memory:":
		return "", misused("--db sqlite:PATH names a file")
	}
	return strings.TrimPrefix(path, "//"), nil
}
