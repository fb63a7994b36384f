package data

import (
	"context"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// Observer is told what the database does, so that it can be counted, timed and traced. Many goroutines call it, and
// none may be kept waiting. It is told no value: neither an argument nor anything that is stored.
type Observer interface {
	// Asked is told of each statement, when it is answered.
	Asked(ctx context.Context, s Statement)
	// Writes is told that a transaction is about to begin. What is done in it has the context that is returned.
	Writes(ctx context.Context) context.Context
	// Wrote is told, with that context, that it has ended.
	Wrote(ctx context.Context, t Transaction)
	// Judged is told of each rule that was evaluated for a write, in its transaction.
	Judged(ctx context.Context, j Judgement)
	// Traced is asked, in a transaction, for the trace that it is part of, which is stored with a job so that the job's names it:
	// a traceparent of W3C Trace Context, "" where none is kept.
	Traced(ctx context.Context) string
}

// Statement is one question to the engine, or one change.
type Statement struct {
	Kind       string // one of StatementKinds
	Collection string
	Text       string // as the engine sees it, with places for values; "": there is no such text
	Start      time.Time
	Took       time.Duration // until the last row was taken
	Inside     bool          // it belongs to a transaction, whose time has it too
	Err        error
}

// StatementKinds are the kinds of statements: rows, how many they are, what groups of them amount to, rows that are locked; records that
// are stored, changed, removed; and what is left of a write together with its commit.
var StatementKinds = [...]string{"select", "count", "group", "lock", "insert", "update", "delete", "finish"}

// Transaction is one write, with all tries that it took.
type Transaction struct {
	Start   time.Time
	Took    time.Duration // until it was on disk, what it waited for others included
	Retried int           // how often it met another in its way and was run again
	Err     error
}

// Judgement is one evaluation of a rule.
type Judgement struct {
	Rule  string // as it is written in the app file
	Start time.Time
	Took  time.Duration
	Holds bool
	Err   error
}

// observedStmt is a prepared statement, and what an observer is told of it.
type observedStmt struct {
	driver.Stmt
	kind, collection string
}

// observedEngine tells an observer of what an engine is asked.
type observedEngine struct {
	driver.Engine
	o Observer
}

func (e observedEngine) Prepare(q *driver.Query) (driver.Stmt, error) {
	s, err := e.Engine.Prepare(q)
	if err != nil {
		return nil, err
	}
	kind := "select"
	switch {
	case q.Count:
		kind = "count"
	case len(q.Group)+len(q.Aggregates) > 0:
		kind = "group"
	case q.Lock != driver.Unlocked:
		kind = "lock"
	}
	return &observedStmt{s, kind, q.From.Name}, nil
}

func (e observedEngine) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return observeRows(ctx, e.o, e.Engine, false, s, args, yield)
}

func (e observedEngine) Read(ctx context.Context, fn func(driver.Reader) error) error {
	return e.Engine.Read(ctx, func(rd driver.Reader) error { return fn(observedReader{rd, e.o}) })
}

type observedReader struct {
	driver.Reader
	o Observer
}

func (r observedReader) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return observeRows(ctx, r.o, r.Reader, false, s, args, yield)
}

func observeRows(ctx context.Context, o Observer, rd driver.Reader, inside bool, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	own, ok := s.(*observedStmt)
	if !ok {
		return rd.Rows(ctx, s, args, yield)
	}
	start := time.Now()
	err := rd.Rows(ctx, own.Stmt, args, yield)
	told := err
	if err == errEnough {
		told = nil
	}
	o.Asked(ctx, Statement{Kind: own.kind, Collection: own.collection, Text: own.Text(), Start: start, Took: time.Since(start), Inside: inside, Err: told})
	return err
}

// observedTx tells of what is done in a transaction. What else an engine's Tx can do is found in work.raw.
type observedTx struct {
	driver.Tx
	o   Observer
	ctx context.Context
}

func (t *observedTx) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return observeRows(ctx, t.o, t.Tx, true, s, args, yield)
}

func (t *observedTx) Insert(c *spec.Collection, r driver.Record) error {
	start := time.Now()
	err := t.Tx.Insert(c, r)
	t.told("insert", c.Name, start, err)
	return err
}

func (t *observedTx) Update(c *spec.Collection, id string, rev int64, r driver.Record, ords []int) (bool, error) {
	start := time.Now()
	was, err := t.Tx.Update(c, id, rev, r, ords)
	t.told("update", c.Name, start, err)
	return was, err
}

func (t *observedTx) Delete(c *spec.Collection, ids []string) (int, error) {
	start := time.Now()
	n, err := t.Tx.Delete(c, ids)
	t.told("delete", c.Name, start, err)
	return n, err
}

func (t *observedTx) told(kind, collection string, start time.Time, err error) {
	t.o.Asked(t.ctx, Statement{Kind: kind, Collection: collection, Start: start, Took: time.Since(start), Inside: true, Err: err})
}

// observedInserter and observedFinisher are those of an engine that stores many records at once.
type observedInserter struct {
	*observedTx
	in driver.Inserter
}

func (t observedInserter) InsertAll(all []driver.Insertion) (int, error) {
	start := time.Now()
	at, err := t.in.InsertAll(all)
	t.told("insert", all[0].C.Name, start, err)
	return at, err
}

type observedFinisher struct {
	observedInserter
	fin driver.Finisher
}

func (t observedFinisher) Finish(u *driver.Revision, all []driver.Insertion) (int, error) {
	start := time.Now()
	at, err := t.fin.Finish(u, all)
	collection := ""
	switch {
	case u != nil:
		collection = u.C.Name
	case len(all) > 0:
		collection = all[0].C.Name
	}
	t.told("finish", collection, start, err)
	return at, err
}

func (t observedFinisher) UpdateAll(all []driver.Revision) (int, error) {
	start := time.Now()
	n, err := t.fin.UpdateAll(all)
	t.told("update", all[0].C.Name, start, err)
	return n, err
}

// observed is a transaction that tells an observer of what is done in it, and can do as much as tx of the rest: storing many at once.
func observed(ctx context.Context, o Observer, tx driver.Tx) driver.Tx {
	t := &observedTx{Tx: tx, o: o, ctx: ctx}
	in, ok := tx.(driver.Inserter)
	if !ok {
		return t
	}
	if fin, ok := tx.(driver.Finisher); ok {
		return observedFinisher{observedInserter{t, in}, fin}
	}
	return observedInserter{t, in}
}

// engineOf is the engine itself, where an observer stands before it.
func engineOf(eng driver.Engine) driver.Engine {
	if o, ok := eng.(observedEngine); ok {
		return o.Engine
	}
	return eng
}
