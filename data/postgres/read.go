package postgres

import (
	"context"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// stmt is a prepared query. Each connection prepares its text when it first meets it.
type stmt struct {
	*sqldb.Statement
	e       *Engine
	filters bool // it asks for some rows of its table only
}

func (s *stmt) Text() string { return s.SQL }

func (e *Engine) Prepare(q *driver.Query) (driver.Stmt, error) {
	s, err := sqldb.Translate(dialect{}, e.served().collections, q)
	if err != nil {
		return nil, err
	}
	return &stmt{s, e, q.Where != nil}, nil
}

// Rows asks without BEGIN and COMMIT: a statement is a snapshot of its own.
func (e *Engine) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	c, err := e.take(ctx)
	if err != nil {
		return err
	}
	alone := session{e: e, c: c}
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
	r := &reader{session{e: e, c: c, begin: beginRead}}
	defer r.end(commit)
	return fn(r)
}

type reader struct{ session }

func (r *reader) Rows(ctx context.Context, s driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	return r.query(ctx, s, args, yield)
}
