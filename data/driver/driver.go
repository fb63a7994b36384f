// Package driver is what an engine must do, and no more. All meaning lives in package data:
// ids, defaults, clocks, normalisation, rules, cascades, hidden columns. An engine stores,
// compares bytes and numbers, and commits.
//
// An engine translates a query whole or refuses it with fault.Capability; it never answers a
// part and leaves the rest to be filtered in Go, because filters are also access rules.
package driver

import (
	"context"
	"io"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// Record is one row: a value for each field of its collection, by ordinal, companions included.
// A nil Record is no row.
type Record []expr.Value

// Caps are the few things in which engines may differ. What needs one of the first two that is lacking is
// refused by its name; without the others the same is done in another way.
type Caps struct {
	Transactions bool // several records in one transaction
	Paths        bool // expressions through references and inverses
	Joins        bool // Query.Joins
	Ordered      bool // writes are done one after the other, in the order of their commits: each sees all that were done before it
}

// Engine is one database, opened for one app.
type Engine interface {
	Name() string // "sqlite", "memory"
	Caps() Caps

	// Prepare translates a query once; the Stmt is used for its shape ever after, by many
	// goroutines. It is pure: no connection is taken.
	Prepare(q *Query) (Stmt, error)

	// Write runs fn in a transaction and returns after its commit is on disk. fn may be run
	// in company (group commit) but sees and undoes only its own work; an error of fn undoes it
	// and is returned as it is. A cancelled ctx keeps fn from starting; once it has started it is
	// carried through. Conflicts are reported as fault.Retry, refused unique values as
	// fault.Unique with Index set: the index's name, "id" for a record's own.
	Write(ctx context.Context, fn func(Tx) error) error

	// Rows answers one query on a snapshot of its own. It costs no transaction.
	Reader

	// Read runs fn on one snapshot.
	Read(ctx context.Context, fn func(Reader) error) error

	// Inspect tells what tables there are, as they were asked for: what an engine keeps for itself is
	// not among them.
	Inspect(ctx context.Context) ([]Table, error)

	// Statements are what Apply would run for each of these steps, one after the other, for people to
	// read. Nothing is changed.
	Statements(steps ...Step) [][]string

	// Apply runs one step. A step that is already done is done again without harm. fence, if there is one, runs
	// in the step's transaction, before it: its error undoes it and is returned as it is, and the step is not
	// done; when the step fails, what fence wrote is undone. Like the function of a Write it may be run again.
	//
	// An engine whose tables do not change in transactions runs fence in a transaction of its own that it
	// begins before the step and commits after it. The step may then be done without what fence wrote, never
	// the other way round, and what fence has locked stays locked while it is done.
	Apply(ctx context.Context, s Step, fence func(Tx) error) error

	// Use tells the engine the collections it serves from now on (after Open and after Apply).
	Use(app *spec.App) error

	// Backup writes a consistent copy of the database. Progress is called with parts done of all.
	Backup(ctx context.Context, w io.Writer, progress func(done, total int)) error

	// Check commits a row, for nothing else shows that one can be committed: the health check writes. Where
	// it did, but what is stored was found to be damaged, its error is a *Damage. It looks only for damage
	// that is found at once.
	Check(ctx context.Context) error

	// Verify looks for damage in all that is stored, however long it takes.
	Verify(ctx context.Context) error

	// Close waits for writes under way and ends.
	Close() error
}

// Warner is an Engine on a server whose settings may be such that a commit is told of before it is safe. An Engine need
// not be one.
type Warner interface {
	// Warnings names those settings, a sentence for each: what can be lost, and what to set.
	Warnings(ctx context.Context) ([]string, error)
}

// Versioned is an Engine that says what it runs on, like "PostgreSQL 17.2". An Engine need not be one.
type Versioned interface {
	Version(ctx context.Context) (string, error)
}

// Waker is an Engine that can carry hints between the processes that have the same database open. An Engine need not be one.
type Waker interface {
	// Wake gives a hint to all others that Listen, on other Engines. It may be lost.
	Wake(ctx context.Context) error
	// Listen calls fn when others Wake, and once when it has begun to listen, until ctx ends or an error.
	Listen(ctx context.Context, fn func()) error
}

// Damage is the error of a Check that could write, but found what is stored to be damaged.
type Damage struct{ Err error }

func (d *Damage) Error() string { return d.Err.Error() }
func (d *Damage) Unwrap() error { return d.Err }

// Reader answers prepared queries. The one that Read gives must not be kept.
type Reader interface {
	// Rows calls yield for each row, in order. Columns are valid until yield returns; an error
	// of yield ends the reading and is returned as it is.
	Rows(ctx context.Context, s Stmt, args []expr.Value, yield func(Columns) error) error
}

// Tx reads and writes in one transaction. It must not be kept or shared.
type Tx interface {
	Reader
	// Now is what time it is by the clock that all who write to this database share: the server's, or the machine's
	// where the database is a file or in memory. Milliseconds, UTC; of the moment, not of when the transaction began.
	Now() (int64, error)
	Insert(c *spec.Collection, r Record) error
	// Update sets the fields with the ordinals ords of the record with that id to the values of r,
	// if its rev is still rev; it reports whether it was.
	Update(c *spec.Collection, id string, rev int64, r Record, ords []int) (bool, error)
	// Delete removes the records with these ids and reports how many there were.
	Delete(c *spec.Collection, ids []string) (int, error)
}

// Inserter is a Tx that stores many records in fewer round trips than one for each and for what each refers
// to. A Tx need not be one.
type Inserter interface {
	// InsertAll stores records in order, each after it has seen that what it refers to is there, and has
	// locked it as LockStay does; what an earlier record of the list has made is there. at is the first that
	// could not be stored: err says why, or is nil where Missing does; len(all) when all are stored. Else the
	// caller gives the transaction up.
	InsertAll(all []Insertion) (at int, err error)
}

// Noter is a Tx of an engine that is Ordered and does many writes in one transaction.
type Noter interface {
	// Note is a number that stays from one write to the next, as long as all are in one transaction and none of
	// them is undone; else it is 0.
	Note() *int64
}

// Finisher is an Inserter that can do what is left of a write together with its commit, in fewer round trips than
// one after the other.
type Finisher interface {
	Inserter
	// Finish changes a record, if u says so, stores records as InsertAll does, and commits all that the transaction
	// has done. at counts u, then the records. Where it is not their number, nothing of the transaction is stored:
	// it stopped at u, where the record is not any more what u says it was, or at a record, as InsertAll does. An
	// error with at as their number is one of the commit. Nothing is asked of the Tx after it.
	Finish(u *Revision, all []Insertion) (at int, err error)
	// UpdateAll does what Update does for many records of one collection, of which the same fields are set, and
	// says how many were what they are said to be. Here Ords may name id, in a collection to which nothing refers
	// and whose lists have no side tables: then R has another.
	UpdateAll(all []Revision) (n int, err error)
}

// Revision changes a record that is there, as Update does. In a Finish the record was perhaps read without a lock: it must
// have been created, too, when R says so, for another may have its id and rev by now.
type Revision struct {
	C    *spec.Collection
	ID   string
	Rev  int64
	R    Record // has created, and what Ords name
	Ords []int
}

// Insertion is a record that is to be stored.
type Insertion struct {
	C      *spec.Collection
	R      Record
	Refers []Reference
}

// Reference is a record that another refers to.
type Reference struct {
	C       *spec.Collection
	ID      string
	Missing bool // is set by InsertAll
}

// Columns is one row as the engine has it, read in place. Indexes count the query's outputs.
// Asking for another kind than the output has is a programming error.
type Columns interface {
	Null(i int) bool
	Int(i int) int64        // Int, Bigint, Bool (0, 1), Time (ms), Decimal (unscaled, at the field's scale)
	Float(i int) float64    // Float
	Text(i int) []byte      // Text, Date, JSON, Bytes; a List as a JSON array. Valid until the next call or row
	Value(i int) expr.Value // any kind, copied: may be kept
	Record(dst Record)      // the first outputs, as many as dst takes, copied: may be kept
}

// Stmt is a prepared query.
type Stmt interface {
	// Text is the statement as the engine sees it, for explain and logs.
	Text() string
	// Explain says how the engine would answer: a line a step, and the table scans and sorts that an index would save.
	Explain(ctx context.Context, args []expr.Value) (Explanation, error)
}

// Explanation is how an engine answers a query.
type Explanation struct {
	Steps   []string // the engine's own words
	Indexes []string // names of the indexes used
	Scans   []string // tables read whole
	Sorts   bool     // rows are sorted after they are found
}

// Query is a question in plain data. An argument that Where, If or After names is never null: whether
// a value is null is part of the shape. From, as every collection that an engine is given, need not be
// of the app it serves: migrations read and write tables through collections of their own making, so
// an engine goes by names. Only what a path leads to is looked up in the app (Use).
type Query struct {
	From  *spec.Collection
	Where *expr.Node // boolean over OpRow VarRecord; nil: all. No OpAuth, OpHas, OpNow, OpSlug, arithmetic, VarInput
	Sort  []Key      // complete: the last key is id, unless Group or Count
	After *After     // continue behind a row
	Limit int        // index of the argument that holds the limit (an Int); -1: none
	Cols  []Col      // outputs, in order

	// Joins put records that the rows refer to beside them: their outputs come behind Cols, in order. There
	// are none with Count, Group, Aggregates, Per and Lock, nor where Caps.Joins is false.
	Joins []Join

	// Count: one row with one output, the number of rows that hold. Cols is empty.
	Count bool

	// Group: one row for each distinct value of these fields, sorted by them; outputs are the group
	// fields and then Aggregates. Cols is empty.
	Group      []int
	Aggregates []Aggregate // may be there without Group: then one row

	// Per: only rows that belong to parents, which argument Per.Arg lists.
	Per *Per

	// Lock: in a Tx, until it ends, the rows are kept from other writers.
	Lock Lock
}

// Lock says what other writers may not do with the rows that a transaction has read. A stronger one holds
// what a weaker one does; an engine may lock more than is asked.
type Lock uint8

const (
	Unlocked  Lock = iota
	LockStay       // not delete them: something will refer to them. Several may hold it at once
	LockWrite      // not change or delete them; others may still refer to them
	LockGone       // not refer to them either: they will be deleted
	LockSkip       // as LockWrite; rows that another has locked may be left out instead of being waited for
)

// Key is one sort key. Null is smallest. Ord may be a companion.
type Key struct {
	Ord  int
	Desc bool
}

// After continues a sorted list behind the row whose keys are the arguments Args[i], in the order
// of Sort. Null[i] says that the key is null there (its argument is not used): it is part of the shape.
type After struct {
	Args []int
	Null []bool
}

// Col is an output: a field; with If, two outputs: whether If holds (never null), then the field, null where it does not.
type Col struct {
	Ord int
	If  *expr.Node
}

// Join is one other record beside each row: the one that a reference of it leads to.
type Join struct {
	To    *spec.Collection
	Ord   int        // the reference, of From
	Where *expr.Node // boolean over OpRow VarRecord, which is the record of To here; nil: any. One of which it is not true is not there
	Cols  []Col      // outputs. Where there is no record all are null, but for those of an If, which say nothing then
}

// Aggregate is one aggregate output. A count is an Int. A sum, of an Int, Bigint or Decimal (unscaled), is a Text of its
// digits: it is exact, also beyond 64 bits. Sum, min and max of no values are null.
type Aggregate struct {
	Func string // count sum min max
	Ord  int    // the field; count with −1 counts rows, else the rows in which the field is not null
}

// Per makes a query answer for many parents at once. Argument Arg is a list of texts.
type Per struct {
	Arg int
	// Ord is the field that must equal one of the texts (OrdID: the records themselves), or a list of
	// references that must contain it. The first output, before Cols, is the text it belongs to.
	Ord int
	// Limit is the index of the argument with the most rows for each parent, -1: no limit. Rows of
	// one parent come in the query's Sort; the order of parents does not matter.
	Limit int
}

// Table is a table as it is, or as it should be.
type Table struct {
	Name    string
	Columns []Column
	Indexes []TableIndex
}

// Column is a column of a table.
type Column struct {
	Name   string
	Kind   expr.Kind
	Elem   expr.Kind // List
	Scale  int       // Decimal
	Ref    string    // Text or List of Text that refers to a table; a list of references has a side table
	Side   bool      // List: kept in a side table (value, id) too
	MaxLen int       // Text: an indexed text has a limit
}

// TableIndex is an index of a table.
type TableIndex struct {
	Name    string
	Columns []string
	Unique  bool
}

// Step is one step of a schema change.
type Step struct {
	Kind   StepKind
	Table  string // the table as it is named before the step
	To     string // RenameTable, RenameColumn: the new name
	Column Column // AddColumn, DropColumn, RenameColumn (by its Name)
	Index  TableIndex
	New    Table // CreateTable
}

// StepKind is what a step does.
type StepKind uint8

const (
	CreateTable StepKind = iota
	RenameTable
	DropTable
	AddColumn
	RenameColumn
	DropColumn
	CreateIndex
	DropIndex
)
