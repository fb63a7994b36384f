package postgres

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// A commit whose answer does not come may have been done or not. The server is asked what became of the
// transaction with that number; but after a crash it may have given the number to another one, because
// what was not on disk yet is forgotten. Tables that are not logged are emptied by a crash, and on a server
// that takes over from another: the random text in _boot is a connection's own for as long as numbers mean the same.
const bootRow = `INSERT INTO "_boot" ("one", "boot") SELECT 1, gen_random_uuid()::text WHERE NOT EXISTS (SELECT 1 FROM "_boot") ON CONFLICT DO NOTHING;
SELECT "boot" FROM "_boot"`

// resolveTime is how long the server is asked what became of a transaction.
const resolveTime = 10 * time.Second

// commit makes the transaction durable.
func (t *tx) commit() error {
	ctx := t.bounded(context.Background())
	tag := ""
	p, err := t.c.prepare(ctx, commit)
	if err == nil {
		r := t.c.pg.ExecStatement(ctx, p.StatementDescription, nil, nil, nil)
		var done pgconn.CommandTag
		done, err = r.Close()
		tag = done.String()
	} else if t.c.pg.IsClosed() {
		return during(ctx, "commit", err) // it was not sent
	}
	var refused *pgconn.PgError
	switch {
	case err == nil && tag == commit:
		return nil
	case err == nil:
		return fault.New(fault.Internal, "the transaction was undone by the database: %s", tag)
	case t.id == 0, errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR":
		return during(ctx, "commit", err)
	}
	return t.resolve(err)
}

// resolve finds out what became of a commit whose answer was lost, or says that nobody knows.
func (t *tx) resolve(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTime)
	defer cancel()
	boot := t.c.boot
	t.end(rollback)
	t.e.pool.Reset()
	unknown := &fault.Error{Kind: fault.Unavailable, Op: "commit", Err: cause,
		Msg: "the database is away: what was to be written may or may not be stored"}
	for ctx.Err() == nil {
		status, same, err := t.e.fate(ctx, t.id, boot)
		switch {
		case fault.Is(err, fault.Unavailable) && t.e.gone.Load():
			return unknown
		case err != nil, status == "in progress":
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		case !same:
			return unknown
		case status == "committed":
			return nil
		case status == "aborted":
			return &fault.Error{Kind: fault.Unavailable, Op: "commit", Msg: "the database was away: nothing is stored", Err: cause}
		default:
			return unknown
		}
	}
	return unknown
}

// fate asks on a new connection what became of a transaction, and whether its number still means it.
func (e *Engine) fate(ctx context.Context, id uint64, boot string) (status string, same bool, err error) {
	c, err := e.take(ctx)
	if err != nil {
		return "", false, err
	}
	defer e.give(c, rollback)
	if c.boot == "" || c.boot != boot {
		return "", false, nil
	}
	err = c.each(ctx, "SELECT pg_xact_status($1::text::xid8)", nil, func(cols *columns) error {
		status = string(cols.raw[0])
		return nil
	}, expr.TextOf(strconv.FormatUint(id, 10)))
	return status, true, err
}
