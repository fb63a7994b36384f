package postgres

import (
	"context"
	"runtime"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

func processors() int { return runtime.GOMAXPROCS(0) }

// answerTime is how long the server may take over a statement that no caller's patience bounds: one of a
// write, which is carried through once it has begun, and the reading of one record.
const answerTime = 30 * time.Second

// session is a connection while somebody has it, with the transaction on it.
type session struct {
	e      *Engine
	c      *conn  // nil when it is over
	begin  string // begins the transaction, with its first statement; "" when it has begun, or there is none
	late   bool   // it begins with what changes or locks: until then each query is a snapshot of its own, as in it
	reads  bool   // nobody runs it again
	sent   bool   // a statement was answered
	failed error  // the first error: the server refuses everything after it
}

var errOver = fault.New(fault.Internal, "a transaction was used after its end")

// query answers a prepared query.
func (s *session) query(ctx context.Context, st driver.Stmt, args []expr.Value, yield func(driver.Columns) error) error {
	switch own, ok := st.(*stmt); {
	case s.c == nil:
		return errOver
	case s.failed != nil:
		return s.failed
	case !ok:
		return fault.New(fault.Internal, "a statement of another engine")
	default:
		if own.Single || ctx.Done() == nil {
			ctx = s.bounded(ctx)
		} else {
			s.c.unlimit()
		}
		var refused error
		before := s.late && s.begin != "" && own.q.Lock == driver.Unlocked
		err := s.attempt(ctx, before, func(begin *prepared) (err error) {
			refused, err = s.c.ask(ctx, begin, own.statement(args), args, func(cols driver.Columns) error {
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
}

// bounded gives the server answerTime, or until ctx's deadline, without a watch over ctx.
func (s *session) bounded(ctx context.Context) context.Context {
	now := time.Now()
	s.c.asked = now
	until := now.Add(answerTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	s.c.limit(until)
	return context.Background()
}

// first runs do behind the BEGIN that is due. If the connection turns out to be broken before the first
// answer (the server was started anew while it lay in the pool) do is run once more on another.
func (s *session) first(ctx context.Context, do func(begin *prepared) error) error {
	return s.attempt(ctx, false, do)
}

// attempt is first; before: it is a query before the transaction, which is as if nothing had been asked then.
func (s *session) attempt(ctx context.Context, before bool, do func(begin *prepared) error) error {
	for again := !s.sent; ; again = false {
		var begin *prepared
		var err error
		if s.begin != "" && !before {
			begin, err = s.c.prepare(ctx, s.begin)
		}
		if err == nil {
			err = do(begin)
		}
		switch {
		case err != nil:
		case !before:
			s.begin, s.sent, s.c.heard = "", true, s.c.asked
			return nil
		default:
			s.sent, s.c.heard = s.begin == "", s.c.asked // one that was asked meanwhile began it
			return nil
		}
		if !again || s.sent || ctx.Err() != nil || s.c.late() || !s.c.pg.IsClosed() && !stale(err) {
			s.begin = ""
			return err
		}
		if s.another(ctx) != nil {
			return err
		}
	}
}

// another gives a new connection for one that is broken; the others in the pool may be as well.
func (s *session) another(ctx context.Context) error {
	limited := s.c.limited
	_ = s.c.pg.Close(ctx)
	s.e.pool.Reset()
	s.e.pool.Give(s.c)
	var err error
	if s.c, err = s.e.take(ctx); err == nil && limited {
		s.c.limit(time.Now().Add(answerTime))
	}
	return err
}

// fail remembers the first error of a transaction.
func (s *session) fail(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if s.c != nil && (stale(err) || standsBy(err)) {
		_ = s.c.pg.Close(ctx) // what is run again prepares its statements anew, and finds the server that can be written
	}
	s.failed = during(ctx, op, err)
	if f, ok := s.failed.(*fault.Error); ok && s.reads && f.Kind == fault.Retry {
		f.Kind, f.Msg = fault.Unavailable, f.Msg+": try again"
	}
	return s.failed
}

// end gives the connection back; what is left of a transaction is ended with end.
func (s *session) end(end string) {
	if c := s.c; c != nil {
		s.c = nil
		s.e.give(c, end)
	}
}
