package postgres

import (
	"context"
	"maps"
	"sync/atomic"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// stmt is a prepared query. Each connection prepares its text when it first meets it.
type stmt struct {
	*sqldb.Statement
	e       *Engine
	q       *driver.Query
	served  *sqldb.Served
	limit   int // index of the argument that is a limit; -1: none
	limited atomic.Pointer[map[int64]*sqldb.Statement]
}

func (s *stmt) Text() string { return s.SQL }

func (e *Engine) Prepare(q *driver.Query) (driver.Stmt, error) {
	app := e.served()
	st, err := sqldb.Translate(dialect{}, app.Collections, q)
	if err != nil {
		return nil, err
	}
	s := &stmt{Statement: st, e: e, q: q, served: app, limit: q.Limit}
	if q.Per != nil {
		s.limit = q.Per.Limit
	}
	return s, nil
}

// fixedLimits is how many limits of one query are written into its text, each a statement of its own.
const fixedLimits = 8

// statement is the statement for these arguments. A limit that is an argument is not known to the server
// when it plans once for all, so it would plan anew each time (a fifth of a list's time): the limits that
// are asked for first are written out.
func (s *stmt) statement(args []expr.Value) *sqldb.Statement {
	st := s.Statement
	if s.limit >= 0 && s.limit < len(args) {
		if fixed := s.fixed(args[s.limit].Int()); fixed != nil {
			st = fixed
		}
	}
	return st.For(args)
}

// fixed is the statement with a limit in its text; nil where there are enough of those.
func (s *stmt) fixed(limit int64) *sqldb.Statement {
	have := s.limited.Load()
	if have != nil {
		if st := (*have)[limit]; st != nil || len(*have) >= fixedLimits {
			return st
		}
	}
	st, err := sqldb.Translate(dialect{limit: limit, fixed: true}, s.served.Collections, s.q)
	if err != nil {
		return nil
	}
	more := map[int64]*sqldb.Statement{limit: st}
	if have != nil {
		maps.Copy(more, *have)
	}
	s.limited.CompareAndSwap(have, &more) // who comes second does it again another time
	return st
}

// Rows asks without BEGIN and COMMIT: a statement is a snapshot of its own.
func (e *Engine) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	c, err := e.take(ctx)
	if err != nil {
		return err
	}
	alone := session{e: e, c: c, reads: true}
	defer alone.end(rollback)
	return alone.query(ctx, s, args, yield)
}

const (
	beginRead  = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	beginWrite = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
	commit     = "COMMIT"
	rollback   = "ROLLBACK"
)

// Read runs fn on one snapshot, which begins with its first statement.
func (e *Engine) Read(ctx context.Context, fn func(driver.Reader) error) error {
	c, err := e.take(ctx)
	if err != nil {
		return err
	}
	r := &reader{session{e: e, c: c, reads: true, begin: beginRead}}
	defer r.end(commit)
	return fn(r)
}

type reader struct{ session }

func (r *reader) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return r.query(ctx, s, args, yield)
}
