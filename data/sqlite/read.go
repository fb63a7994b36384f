package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

var errArgs = errors.New("a query was given fewer arguments than it names")

// stmt is a prepared query. Each connection prepares its text when it first meets it.
type stmt struct {
	*sqldb.Statement
	e       *Engine
	filters bool // it asks for some rows of its table only
	brief   bool // it looks at a few rows at most: one record, and no list of others
}

func (s *stmt) Text() string { return s.first().SQL }

// first is the statement that is asked, and for nearly every record the only one.
func (s *stmt) first() *sqldb.Statement {
	if s.Near != nil {
		return s.Near
	}
	return s.Statement
}

func (e *Engine) Prepare(q *driver.Query) (driver.Stmt, error) {
	s, err := sqldb.Translate(dialect{}, e.served().Collections, q)
	if err != nil {
		return nil, err
	}
	return &stmt{s, e, q.Where != nil, s.Single && brief(q)}, nil
}

// brief says that a question has no part that looks through lists.
func brief(q *driver.Query) bool {
	lists := expr.MaxVar(q.Where) > expr.VarInput
	looks := func(cols []driver.Col) {
		for _, col := range cols {
			lists = lists || col.If != nil && expr.MaxVar(col.If) > expr.VarInput
		}
	}
	looks(q.Cols)
	for _, j := range q.Joins {
		lists = lists || j.Where != nil && expr.MaxVar(j.Where) > expr.VarInput
		looks(j.Cols)
	}
	return !lists
}

// Rows reads without BEGIN and COMMIT: a statement is a snapshot of its own, but for one that may have to be asked
// again in another way.
func (e *Engine) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) (err error) {
	if st, ok := s.(*stmt); ok && st.Halves != nil {
		return e.Read(ctx, func(r driver.Reader) error { return r.Rows(ctx, s, args, yield) })
	}
	r, err := e.reader(ctx)
	if err != nil {
		return err
	}
	defer e.end(&r, &err)
	return r.Rows(ctx, s, args, yield)
}

// Read runs fn on one snapshot, which begins with its first statement.
func (e *Engine) Read(ctx context.Context, fn func(driver.Reader) error) (err error) {
	r, err := e.reader(ctx)
	if err != nil {
		return err
	}
	defer e.end(&r, &err)
	if err := r.c.run("BEGIN"); err != nil {
		return during(ctx, "read", err)
	}
	return fn(&r)
}

func (e *Engine) reader(ctx context.Context) (reader, error) {
	if err := ctx.Err(); err != nil {
		return reader{}, fault.Wrap(fault.Unavailable, "read", err)
	}
	c, err := e.readers.take(ctx)
	if err != nil {
		return reader{}, err
	}
	return reader{c: c, faults: debug.SetPanicOnFault(true)}, nil
}

// end ends what a reader has open and gives its connection back. It is to be deferred: a fault of
// memory becomes the error that the disk has caused.
func (e *Engine) end(r *reader, err *error) {
	c := r.c
	debug.SetPanicOnFault(r.faults)
	if v := recover(); v != nil {
		if at, ok := v.(interface{ Addr() uintptr }); ok {
			*err = &fault.Error{Kind: fault.Unavailable, Op: "read", Msg: "the database file cannot be read",
				Err: fmt.Errorf("a fault in its mapping at %#x: the disk failed, or the file was cut", at.Addr())}
			r.c = nil // it stopped in the middle of SQLite: nothing of it may be touched again
			e.readers.lost(c)
			return
		}
		defer panic(v)
	}
	r.disarm()
	r.c = nil
	if !c.c.AutocommitEnabled() {
		if c.run("COMMIT") != nil { // interrupted, maybe
			_ = c.run("ROLLBACK")
		}
	}
	e.readers.give(c)
}

// during classifies an error of a statement; one that a cancelled ctx caused says so.
func during(ctx context.Context, op string, err error) error {
	if err != nil && ctx.Err() != nil && sqlite.ErrCode(err) == sqlite.ResultInterrupt {
		return fault.Wrap(fault.Unavailable, op, ctx.Err())
	}
	return classify(op, err)
}

type reader struct {
	c      *conn
	faults bool   // what the goroutine did of faults of memory before
	armed  func() // ends the watch over ctx; nil: nobody watches
}

func (r *reader) disarm() {
	if r.armed != nil {
		r.armed()
		r.armed = nil
	}
}

// Rows watches ctx from the first query that may read many rows; one record is read too fast for that, unless
// a rule looks through the records that refer to it.
func (r *reader) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if r.c == nil {
		return fault.New(fault.Internal, "a reader was used after its end")
	}
	if st, ok := s.(*stmt); ok && !st.brief && r.armed == nil && ctx.Done() != nil {
		r.armed = r.c.arm(ctx)
	}
	return rows(ctx, r.c, s, args, yield)
}

func rows(ctx context.Context, c *conn, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	st, ok := s.(*stmt)
	if !ok {
		return fault.New(fault.Internal, "a statement of another engine")
	}
	var refusal error // of yield: returned as it is
	err := c.rows(st.Statement, args, func(cols *columns) error {
		refusal = yield(cols)
		return refusal
	})
	if refusal != nil {
		return refusal
	}
	return during(ctx, "read", err)
}
