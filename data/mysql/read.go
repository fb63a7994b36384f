package mysql

import (
	"context"
	"maps"
	"sync/atomic"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// stmt is a prepared query. Each connection prepares its text when it first meets it.
type stmt struct {
	*sqldb.Statement
	e      *Engine
	q      *driver.Query
	served *sqldb.Served
	legs   bool // it has a leg for each parent
	sized  atomic.Pointer[map[int]*sqldb.Statement]
}

func (s *stmt) Text() string { return s.SQL }

func (e *Engine) Prepare(q *driver.Query) (driver.Stmt, error) {
	app, d := e.served(), e.d
	legs := q.Per != nil && q.Per.Limit >= 0 && q.Per.Ord != spec.OrdID
	if legs {
		d.parents = 1
	}
	st, err := sqldb.Translate(d, app.Collections, q)
	if err != nil {
		return nil, err
	}
	return &stmt{Statement: st, e: e, q: q, served: app, legs: legs}, nil
}

// mostLegs is for how many parents a statement is written at most; more are asked for in several.
const mostLegs = 32

// part is a statement with its arguments.
type part struct {
	st   *sqldb.Statement
	args []expr.Value
}

// parts are what is asked for these arguments, one after the other. With a limit each parent has a leg of its
// own: the statements are for 1, 2, 4 … parents, and a leg may have none.
func (s *stmt) parts(args []expr.Value) (parts []part, err error) {
	if !s.legs || s.q.Per.Arg >= len(args) {
		return []part{{s.For(args), args}}, nil
	}
	parents := args[s.q.Per.Arg].List()
	for len(parents) > 0 {
		n := min(len(parents), mostLegs)
		own := append([]expr.Value(nil), args...)
		own[s.q.Per.Arg] = expr.ListOf(parents[:n]...)
		parents = parents[n:]
		size := 1
		for size < n {
			size *= 2
		}
		st, err := s.size(size)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{st.For(args), own})
	}
	return parts, nil
}

// size is the statement for so many parents.
func (s *stmt) size(parents int) (*sqldb.Statement, error) {
	if parents == 1 {
		return s.Statement, nil
	}
	have := s.sized.Load()
	if have != nil && (*have)[parents] != nil {
		return (*have)[parents], nil
	}
	d := s.e.d
	d.parents = parents
	st, err := sqldb.Translate(d, s.served.Collections, s.q)
	if err != nil {
		return nil, err
	}
	more := map[int]*sqldb.Statement{parents: st}
	if have != nil {
		maps.Copy(more, *have)
	}
	s.sized.CompareAndSwap(have, &more) // who comes second does it again another time
	return st, nil
}

// Rows asks without a transaction: a statement is a snapshot of its own. What takes several has one.
func (e *Engine) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	c, err := e.pool.Take(ctx, reading)
	if err != nil {
		return err
	}
	alone := session{e: e, c: c, reads: true}
	defer alone.end()
	if own, ok := s.(*stmt); ok && own.legs && own.q.Per.Arg < len(args) && len(args[own.q.Per.Arg].List()) > mostLegs {
		alone.begin = beginRead
	}
	return alone.query(ctx, s, args, yield)
}

const beginRead = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"

// Read runs fn on one snapshot, which begins with its first statement.
func (e *Engine) Read(ctx context.Context, fn func(driver.Reader) error) error {
	c, err := e.pool.Take(ctx, reading)
	if err != nil {
		return err
	}
	r := &reader{session{e: e, c: c, reads: true, begin: beginRead}}
	defer r.end()
	return fn(r)
}

type reader struct{ session }

func (r *reader) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return r.query(ctx, s, args, yield)
}
