// Package mysql is the engine on MariaDB, 10.6 or later, and MySQL, 8.0.17 or later.
//
// A question alone is one round trip: a statement is prepared once on each connection, its arguments go
// and its rows come in the binary format, and no transaction is begun. Connections that write have autocommit
// off, so that a transaction begins with its first statement. New records of one collection go many to a statement.
// What a write has left to its end is sent where autocommit is on, if it is one statement, together with the question
// after what new records refer to. On MariaDB many are one compound statement, with their transaction: a create and its
// row in the log of changes are one round trip, and so is a batch of them; a patch is two. MySQL has no such statements:
// there a create is three, a patch four.
//
// Order to read in: open.go (the engine and its connections' settings), pool.go and conn.go (connections and
// their statements), session.go (a transaction on one), read.go and tx.go (what the driver asks), finish.go and
// compound.go (writes of one statement), dialect.go, bind.go and columns.go (values), commit.go (a commit whose answer was lost),
// schema.go, layout.go and apply.go (tables), fail.go (errors), explain.go, check.go.
//
// How values are stored: text in a collation that compares by code point and counts spaces, as VARCHAR where an
// index has it and as LONGTEXT elsewhere; json and lists as the text that was made in Go, with a side table where
// an index of a list's items is declared; times as DATETIME(3) in UTC and dates as DATE; decimals as BIGINT at
// their field's scale; sealed bytes as LONGBLOB.
//
// There are no foreign keys in the tables: data checks references and cascades itself. A commit is on disk when
// it is answered only where the server says so (innodb_flush_log_at_trx_commit = 1, its default): a connection
// cannot ask for it.
package mysql
