// Package postgres is the engine on PostgreSQL, 13 or later.
//
// A question alone is one round trip: a statement is prepared once on each connection, its arguments go
// and its rows come in the binary format, and no transaction is begun. A transaction's BEGIN travels with
// its first statement that changes or locks anything; what is asked before is asked without it. New records travel
// together with the question after what they refer to. Where that is all that a write does, or the change of a record
// that was read before, the commit travels with it: a create is one round trip, and so is a batch of them, a patch is two.
//
// Order to read in: open.go (the engine and its connections' settings), conn.go (a connection and its
// statements), session.go (a transaction on it), read.go and tx.go (what the driver asks), finish.go (what travels with its
// commit), dialect.go (its SQL), encode.go and columns.go (values on the wire), commit.go (a commit whose answer was lost), schema.go and
// layout.go (tables), fail.go (errors), explain.go, check.go.
//
// How values are stored: text as text COLLATE "C", which orders by code point whatever the server's
// locale is; json as the text that was made in Go; times as timestamptz(3) and dates as date, which are
// numbers on the wire; decimals as bigint at their field's scale, which is as fast to read and to compare
// as a number can be and exact beside every other number, where numeric would be converted digit by digit;
// lists as arrays, with a side table where an index of their items is declared; sealed bytes as bytea.
//
// There are no foreign keys in the tables: data checks references and cascades itself.
package postgres
