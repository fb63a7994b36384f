package main

import (
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// The tables are laid out as Plinth lays out the same app, so that both move the same bytes. The log is one
// b-tree: with one writer, the number that SQLite gives a row is its position in the order of the commits.
const schema = `
CREATE TABLE IF NOT EXISTS authors (
  id TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, rev INTEGER NOT NULL,
  name TEXT, bio TEXT
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS authors_id ON authors (id);
CREATE TABLE IF NOT EXISTS posts (
  id TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, rev INTEGER NOT NULL,
  title TEXT, body TEXT, status TEXT, views INTEGER, author TEXT REFERENCES authors (id)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS posts_id ON posts (id);
CREATE INDEX IF NOT EXISTS posts_status_created ON posts (status, created, id);
CREATE INDEX IF NOT EXISTS posts_author ON posts (author, id);
CREATE TABLE IF NOT EXISTS changes (
  id INTEGER PRIMARY KEY, created INTEGER NOT NULL, updated INTEGER NOT NULL, rev INTEGER NOT NULL,
  collection TEXT NOT NULL, record TEXT NOT NULL, op TEXT NOT NULL, old TEXT, new TEXT
) STRICT;
`

// open gives a connection to a WAL database whose commits are on disk when they return.
func open(path string, flags sqlite.OpenFlags) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return nil, err
	}
	for _, pragma := range []string{
		"synchronous = FULL",
		"foreign_keys = ON",
		"cache_size = -32000",
		"mmap_size = 1073741824",
		"temp_store = MEMORY",
	} {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, nil); err != nil {
			conn.Close()
			return nil, fmt.Errorf("%s: %s: %w", path, pragma, err)
		}
	}
	return conn, nil
}
