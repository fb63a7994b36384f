// Package sqlite is the engine on SQLite, in pure Go.
//
// One goroutine writes. It takes the requests that wait, runs each but the first behind a savepoint of one
// transaction, commits them with one sync and answers all. Readers have connections of their own,
// each on its own snapshot of the write-ahead log.
//
// Order to read in: open.go (the engine and its connections' settings), write.go (group commit),
// tx.go and insert.go (one request's part of it), read.go and columns.go (queries), dialect.go (its SQL), conn.go (a connection and its
// statements), pagecache.go (its pages), readers.go (those that read), checkpoint.go (the log), schema.go, layout.go, statements.go and apply.go
// (tables), fail.go (errors), backup.go, check.go, explain.go.
//
// There are no foreign keys in the tables, though the setting is on: data checks references
// and cascades itself. A deferred key would fail at the commit of a whole group because of one
// member, and an immediate one forbids orders of work that data is free to choose.
package sqlite
