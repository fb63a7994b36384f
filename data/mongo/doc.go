// Package mongo is the engine on MongoDB and the servers that speak its protocol. It has never been run on
// MongoDB's own server: there it is a preview.
//
// A record is a document, id being its _id and null the absence of a field. A query is compiled, purely and
// once, to a template of a find or of an aggregation pipeline (plan.go); its arguments make documents of it
// (hole.go). A field that meets an argument is asked in the query language, which indexes serve (test.go,
// cond.go); what that cannot say is said in expressions (value.go); paths to other records are lookups
// (scope.go).
//
// What a server can do is asked of it once, in Open (probe.go). With transactions, that is on a replica set, a
// write is one (tx.go). Without them a write is one document: what it changes is kept until its function has
// ended, and more than one document is refused before anything is written (single.go). What a query needs and
// the server lacks is refused whole, with fault.Capability.
//
// Order to read in: open.go, plan.go, scope.go, cond.go, test.go, value.go, page.go, hole.go; read.go and
// columns.go; tx.go, single.go; server.go (the few things a server is asked to do, so that the same engine runs
// on another executor in tests) and client.go (MongoDB's own driver); schema.go, apply.go, fail.go, explain.go,
// check.go.
package mongo
