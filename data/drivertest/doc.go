// Package drivertest is the one suite that every engine passes: four databases, one meaning.
//
// A topic is a file. Its fixed cases run through package data on the engine under test and on the
// memory engine as oracle, and both must give the answer that the case names: a case says whether its
// answer is empty, so that two empty answers cannot agree by accident. What package data does not
// show (transactions, snapshots, schema steps, kinds of errors) is asked of the driver itself.
// random.go does the same with models, records and filters that nobody thought of.
//
// Every engine runs inside a Contract, which checks what package data asks of an engine and what an
// engine answers.
//
// An engine that lacks something (driver.Caps) refuses a case whole, by name: that is counted and printed, and
// RunLacking holds it to a list. A case that follows from one that was refused finds the same records: they are
// brought about one by one.
//
// An engine's own test is a call of Run; complete_test.go fails when an engine has none, or when a
// file of this package is no topic of the suite.
package drivertest
