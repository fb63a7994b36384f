// Package memory is the reference engine: the oracle that every other engine must agree with,
// and the fast database of other packages' tests.
//
// It is written to be obviously right. A database is one immutable state; a reader holds the
// state it began with, a writer builds the next one beside it and puts it in place when it
// commits, and undoing is forgetting. Where is answered by expr on every row; there is no
// planner to be wrong.
//
// Order to read in: tree.go (the persistent map), table.go (rows and unique values), engine.go
// (transactions), rows.go (queries), columns.go (a row as it is read), apply.go (schema steps),
// backup.go, explain.go.
package memory
