package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/fault"
)

// on is the database of an app. These are the engines that this program links.
func (c *cli) on() plinth.Option {
	return plinth.OnFile(c.file, func(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) })
}

// looking is the same for a command that makes nothing: an empty database stands for one that is not there.
func (c *cli) looking(dir string) plinth.Option {
	file := c.file
	if file == "" {
		file = filepath.Join(dir, "data", "plinth.db")
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return c.on()
	}
	return plinth.On(func() (*empty, error) {
		folder, err := os.MkdirTemp("", "plinth-")
		if err != nil {
			return nil, fault.Wrap(fault.Internal, "look at an empty database", err)
		}
		eng, err := sqlite.Open(filepath.Join(folder, "empty.db"), sqlite.Options{})
		if err != nil {
			os.RemoveAll(folder)
			return nil, err
		}
		return &empty{eng, folder}, nil
	})
}

// empty is a database in a folder that goes with it.
type empty struct {
	*sqlite.Engine
	folder string
}

func (e *empty) Close() error { return errors.Join(e.Engine.Close(), os.RemoveAll(e.folder)) }

// sqliteFile reads --db; "" is the database in the app's folder. What is written there may hold a password:
// it is not repeated.
func sqliteFile(url string) (string, error) {
	if url == "" {
		return "", nil
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
