package postgres

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A commit whose answer does not come may have been done or not. The server is asked what became of the
// transaction with that number; but after a crash it may have given the number to another one, because
// what was not on disk yet is forgotten. Tables that are not logged are emptied by a crash, and on a server
// that takes over from another: the random text in _boot is a connection's own for as long as numbers mean the same.
const bootRow = `INSERT INTO "_boot" ("one", "boot") SELECT 1, gen_random_uuid()::text WHERE NOT EXISTS (SELECT 1 FROM "_boot") ON CONFLICT DO NOTHING;
SELECT "boot" FROM "_boot";
SELECT ` + process + ` FROM pg_stat_activity WHERE pid = pg_backend_pid()`

// process tells a process of the server from all others that it has had since it was started.
const process = `pid::text || ' ' || extract(epoch FROM backend_start)::text`

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
	return t.ask(cause, func(ctx context.Context, boot, _ string) (fate, error) { return t.e.fate(ctx, t.id, boot) })
}

// fate is what became of a transaction.
type fate uint8

const (
	unknown fate = iota
	running
	committed
	undone
)

// ask asks what became of a transaction until that is known or nobody will know, of a connection with that boot to
// that process of the server.
func (t *tx) ask(cause error, what func(ctx context.Context, boot, at string) (fate, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTime)
	defer cancel()
	boot, at := t.c.boot, t.c.at
	_ = t.c.pg.Close(ctx)
	t.e.pool.Reset()
	t.end(rollback)
	for ctx.Err() == nil {
		switch became, err := what(ctx, boot, at); {
		case fault.Is(err, fault.Unavailable) && t.e.pool.Closed():
			return lost(cause)
		case err != nil, became == running:
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		case became == committed:
			return nil
		case became == undone:
			return &fault.Error{Kind: fault.Unavailable, Op: "commit", Msg: "the database was away: nothing is stored", Err: cause}
		default:
			return lost(cause)
		}
	}
	return lost(cause)
}

func lost(cause error) error {
	return &fault.Error{Kind: fault.Unavailable, Op: "commit", Err: cause,
		Msg: "the database is away: what was to be written may or may not be stored"}
}

// fate asks on a new connection what became of a transaction, if its number still means it.
func (e *Engine) fate(ctx context.Context, id uint64, boot string) (became fate, err error) {
	c, err := e.take(ctx)
	if err != nil {
		return unknown, err
	}
	defer e.give(c, rollback)
	if c.boot == "" || c.boot != boot {
		return unknown, nil
	}
	err = c.each(ctx, "SELECT pg_xact_status($1::text::xid8)", nil, func(cols *columns) error {
		became = map[string]fate{"in progress": running, "committed": committed, "aborted": undone}[string(cols.raw[0])]
		return nil
	}, expr.TextOf(strconv.FormatUint(id, 10)))
	return became, err
}

// A transaction that travelled with its commit has told no number when the answer is lost. But it left a trace: a
// record that it made, or one that it gave the next revision. Where that is not there, and the process that the
// connection led to is gone, the transaction is over and has stored nothing.

// endIdle ends a process that has done what it was sent, or will never have it, for the link to it may be cut without
// its knowing. One that does something is waited for.
const endIdle = `CASE WHEN state = 'idle' THEN pg_terminate_backend(pid) END`

// trace is a change by which a transaction can be recognised.
type trace struct {
	c       *spec.Collection
	id      expr.Value
	created expr.Value // of the record
	changed *driver.Revision
}

func revised(u *driver.Revision) trace {
	return trace{c: u.C, id: expr.TextOf(u.ID), created: u.R[spec.OrdCreated], changed: u}
}

// settle finds out what became of a transaction by its trace, or says that nobody knows.
func (t *tx) settle(left trace, cause error) error {
	return t.ask(cause, func(ctx context.Context, boot, at string) (fate, error) {
		c, err := t.e.take(ctx)
		if err != nil {
			return unknown, err
		}
		defer t.e.give(c, rollback)
		same := c.boot != "" && c.boot == boot
		over := same && at != "" // a server that took over may have less than the one before
		if over {
			err = c.each(ctx, "SELECT "+endIdle+" FROM pg_stat_activity WHERE "+process+" = $1", nil, func(*columns) error { over = false; return nil }, expr.TextOf(at))
			if err != nil {
				return unknown, err
			}
		}
		found, err := left.find(ctx, c)
		switch {
		case err != nil || found != undone || over:
			return found, err
		case same:
			return running, nil
		default:
			return unknown, nil
		}
	})
}

// find says whether what was to be changed is as it was, or as it was to be.
func (left trace) find(ctx context.Context, c *conn) (found fate, err error) {
	sql, values := `SELECT 'made'`, []expr.Value{left.id, left.created}
	if u := left.changed; u != nil {
		sql = `SELECT CASE WHEN "rev" = $3 THEN 'before' WHEN "rev" = $3 + 1`
		values = append(values, expr.IntOf(u.Rev))
		for _, ord := range u.Ords {
			if u.C.Fields[ord].Type == spec.List {
				continue // its nulls are not bound
			}
			values = append(values, u.R[ord])
			sql += ` AND ` + q(u.C.Fields[ord].Name) + ` IS NOT DISTINCT FROM $` + strconv.Itoa(len(values))
		}
		sql += ` THEN 'made' ELSE 'other' END`
	} else {
		found = undone // unless it is there
	}
	err = c.each(ctx, sql+` FROM `+q(left.c.Name)+` WHERE "id" = $1 AND "created" = $2`, nil, func(cols *columns) error {
		found = map[string]fate{"made": committed, "before": undone}[string(cols.raw[0])]
		return nil
	}, values...)
	return found, err
}
