// Package sqldb turns queries into SQL for a Dialect. It is shared by the engines that speak SQL
// and opens no connection itself.
//
// A query is translated whole or refused with fault.Capability. Every boolean is two-valued: the
// SQL for a condition is true exactly where the condition has the value that is wanted, and false
// or null elsewhere, so NOT never stands before anything that may be null.
//
// Order to read in: query.go (a query becomes a statement), keyset.go (pages), cond.go and
// value.go (expressions), list.go, bind.go and number.go (how arguments become values), dialect.go and sql.go (what
// differs), writes.go, change.go and targets.go (what writes rows), schema.go and plan.go (tables), name.go.
package sqldb
