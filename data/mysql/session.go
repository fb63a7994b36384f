package mysql

import (
	"context"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// answerTime is how long the server may take over a statement that no caller's patience bounds: one of a
// write, which is carried through once it has begun, and the reading of one record.
const answerTime = 30 * time.Second

// session is a connection while somebody has it, with the transaction on it.
type session struct {
	e      *Engine
	c      *conn  // nil when it is over
	begin  string // begins the transaction, before its first statement; "" when it has begun, or begins by itself
	late   bool   // it is a write that has neither changed nor locked anything: each query is a snapshot of its own, as in it
	slot   bool   // there is no connection yet, but a right to one
	reads  bool   // nobody runs it again
	sent   bool   // a statement was answered
	failed error  // the first error: nothing is done after it
}

var errOver = fault.New(fault.Internal, "a transaction was used after its end")

func (s *session) usable() error {
	if s.c == nil && !s.slot {
		return errOver
	}
	return s.failed
}

// connect takes the connection, if there is none yet.
func (s *session) connect(ctx context.Context, mode int) error {
	if s.c != nil {
		return nil
	}
	c, err := s.e.pool.Get(ctx, mode)
	if err != nil {
		s.failed = err
		return err
	}
	s.c, s.slot = c, false
	return nil
}

// query answers a prepared query.
func (s *session) query(ctx context.Context, st driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	if err := s.usable(); err != nil {
		return err
	}
	own, ok := st.(*stmt)
	if !ok {
		return fault.New(fault.Internal, "a statement of another engine")
	}
	before := s.late && own.q.Lock == driver.Unlocked
	m := writing
	if before {
		m = reading
	}
	if err := s.connect(ctx, m); err != nil {
		return err
	}
	parts, err := own.parts(args)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := s.ask(ctx, before, part.st, part.args, yield); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) ask(ctx context.Context, before bool, st *sqldb.Statement, args []expr.Value, yield func(driver.Columns) error) error {
	sql := st.SQL
	if st.Single || ctx.Done() == nil {
		ctx = s.bounded(ctx)
	} else {
		s.c.unlimit()
		if until, ok := ctx.Deadline(); s.e.bounds && (!ok || time.Until(until) > longest*time.Second) {
			sql = forAll + sql
		}
	}
	var refused error
	err := s.attempt(ctx, before && s.late, func() (err error) {
		refused, err = s.c.ask(ctx, sql, st, args, func(cols driver.Columns) error {
			s.sent = true
			return yield(cols)
		})
		return err
	})
	if err = s.fail(ctx, "read", err); refused != nil {
		return refused
	}
	return err
}

// forAll before a statement lets the server work on it as long as it takes, which costs no round trip.
const forAll = "SET STATEMENT max_statement_time = 0 FOR "

// alone gives a connection beside the pool's, on which a statement may take as long as it does. It is given up with done.
func (e *Engine) alone(ctx context.Context) (c *conn, done func(), err error) {
	if c, done, err = e.pool.Extra(ctx, reading); err != nil || !e.bounds {
		return c, done, err
	}
	if err := c.exec(ctx, "SET SESSION max_statement_time = 0"); err != nil {
		done()
		return nil, nil, during(ctx, "connect", err)
	}
	return c, done, nil
}

// bounded gives the server answerTime, or until ctx's deadline, without a watch over ctx.
func (s *session) bounded(ctx context.Context) context.Context {
	now := time.Now()
	until := now.Add(answerTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	s.c.limit(now, until)
	return context.Background()
}

// first runs do behind the statement that begins the transaction, if one does. If the connection turns out to
// be broken before the first answer (the server was started anew while it lay in the pool) do is run once more
// on another: what was sent then was part of a transaction that nobody has committed, or a question.
func (s *session) first(ctx context.Context, do func() error) error {
	return s.attempt(ctx, false, do)
}

// attempt is first; before: it is a query before the transaction, which is as if nothing had been asked then.
func (s *session) attempt(ctx context.Context, before bool, do func() error) error {
	for again := !s.sent; ; again = false {
		var err error
		if s.late && !before {
			err = s.start(ctx)
		} else if s.begin != "" {
			if err = s.c.exec(ctx, s.begin); err == nil {
				s.c.open = true
			}
		}
		if err == nil {
			err = do()
		}
		switch {
		case err != nil:
		case !before:
			s.begin, s.sent, s.late = "", true, false
			return nil
		default:
			s.sent = !s.late // one that was asked meanwhile began it
			return nil
		}
		if !again || s.sent || ctx.Err() != nil || !s.c.bad || s.c.late() {
			s.begin = ""
			return err
		}
		if s.another(ctx) != nil {
			return err
		}
	}
}

// start begins a write on a connection that began by reading, or has one that begins by itself.
func (s *session) start(ctx context.Context) error {
	if s.c.open {
		return nil // what was refused has begun it
	}
	if s.c.Mode == reading && s.c.top == nil {
		if c, ok := s.e.pool.Trade(ctx, s.c, writing); ok {
			limited, until := s.c.limited, s.c.until
			s.c.unlimit()
			if s.c = c; limited {
				c.limit(time.Now(), until)
			}
		}
	}
	if s.c.Mode == writing {
		return nil
	}
	err := s.c.exec(ctx, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
	if err == nil {
		err = s.c.exec(ctx, "START TRANSACTION")
	}
	if err == nil {
		s.c.open = true
	}
	return err
}

// another gives a new connection for one that is broken; the others in the pool may be as well.
func (s *session) another(ctx context.Context) error {
	mode, limited := s.c.Mode, s.c.limited
	s.e.pool.Reset()
	s.e.pool.Give(s.c)
	s.c = nil
	c, err := s.e.pool.Take(ctx, mode)
	if err != nil {
		s.failed = err
		return err
	}
	s.c = c
	if limited {
		now := time.Now()
		c.limit(now, now.Add(answerTime))
	}
	return nil
}

// fail remembers the first error of a transaction.
func (s *session) fail(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if s.c != nil && (ctx.Err() != nil || s.c.late()) && s.c.Broken() {
		s.e.kill(s.c.id)
	}
	s.failed = during(ctx, op, err)
	if f, ok := s.failed.(*fault.Error); ok && s.reads && f.Kind == fault.Retry {
		f.Kind, f.Msg = fault.Unavailable, f.Msg+": try again"
	}
	return s.failed
}

// kill ends what a connection that was given up is still doing on the server. Nobody waits for it; a server
// that cannot be reached has nothing to end.
func (e *Engine) kill(id string) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), connectTime)
		defer cancel()
		if c, err := e.link(ctx); err == nil {
			_ = c.exec(ctx, "KILL "+id)
			c.Close()
		}
	}()
}

// end gives the connection back. A transaction that is open on it is undone, for which nobody waits.
func (s *session) end() {
	c := s.c
	if s.slot {
		s.slot = false
		s.e.pool.Leave()
	}
	if c == nil {
		return
	}
	s.c = nil
	c.top, c.rows.busy = nil, false
	c.unlimit()
	if !c.open || c.Broken() {
		s.e.pool.Give(c)
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), connectTime)
		defer cancel()
		if c.exec(ctx, "ROLLBACK") == nil {
			c.open = false
		} else {
			c.bad = true
		}
		s.e.pool.Give(c)
	}()
}
