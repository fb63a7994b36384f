package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data/mongo"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/fault"
)

// database is what --db names. These are the engines that this program links.
type database struct {
	engine  string // sqlite, postgres, mysql, mongodb
	address string // sqlite: the file, "" for the one in the app's folder; else the whole address
}

// forms are what --db may look like.
const forms = "sqlite:PATH, or postgres://, mysql:// or mongodb://USER:PASSWORD@HOST/DATABASE"

// readDatabase reads --db, before a command does anything: so what is wrong with it is told alike by all of them. An address that cannot
// be read is wrong usage; an engine that is not linked is a failure, as any database that is not there. What is written there may hold
// a password: it is not repeated.
func readDatabase(url string) (database, error) {
	if url == "" {
		return database{engine: "sqlite"}, nil
	}
	scheme, path, ok := strings.Cut(url, ":")
	if !ok {
		return database{}, misused("--db is an address like %s", forms)
	}
	switch scheme {
	case "sqlite":
		if path = strings.TrimPrefix(path, "//"); path == "" || path == ":memory:" {
			return database{}, misused("--db sqlite:PATH names a file")
		}
		return database{"sqlite", path}, nil
	case "postgres", "postgresql":
		return database{"postgres", url}, postgres.Readable(url)
	case "mysql", "mariadb":
		url = "mysql:" + path
		return database{"mysql", url}, mysql.Readable(url)
	case "mongodb", "mongodb+srv":
		return database{"mongodb", url}, mongo.Readable(url)
	}
	return database{}, fault.New(fault.Invalid, "--db %s: this program has no such engine: it is %s", scheme, forms)
}

// on is the database of an app.
func (c *cli) on() plinth.Option {
	switch at := c.at.address; c.at.engine {
	case "postgres":
		return plinth.On(func(ctx context.Context) (*postgres.Engine, error) { return postgres.Open(ctx, at, postgres.Options{}) })
	case "mysql":
		return plinth.On(func(ctx context.Context) (*mysql.Engine, error) { return mysql.Open(ctx, at, mysql.Options{}) })
	case "mongodb":
		return plinth.On(func(ctx context.Context) (*mongo.Engine, error) { return mongo.Open(ctx, at, mongo.Options{}) })
	default:
		return plinth.OnFile(at, func(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) })
	}
}

// examining is the same for one that is only looked at: nothing is made and nothing changed in it. (MongoDB is tried out by
// making what Plinth keeps for itself, where that is not there.)
func (c *cli) examining() plinth.Option {
	switch at := c.at.address; c.at.engine {
	case "postgres":
		return plinth.On(func(ctx context.Context) (*postgres.Engine, error) {
			return postgres.Open(ctx, at, postgres.Options{Conns: 2, Look: true})
		})
	case "mysql":
		return plinth.On(func(ctx context.Context) (*mysql.Engine, error) {
			return mysql.Open(ctx, at, mysql.Options{Conns: 2, Look: true})
		})
	case "sqlite":
		return plinth.OnFile(at, func(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{Look: true}) })
	}
	return c.on()
}

// looking is the same for a command that makes nothing: an empty database stands for a file that is not there.
func (c *cli) looking(dir string) plinth.Option {
	file := c.at.address
	if file == "" {
		file = filepath.Join(dir, "data", "plinth.db")
	}
	if _, err := os.Stat(file); c.at.engine != "sqlite" || !errors.Is(err, fs.ErrNotExist) {
		return c.on()
	}
	return plinth.On(func(context.Context) (*empty, error) {
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
