package mysql

import (
	"context"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/fault"
)

// Statements plans the steps one after the other, each on what those before it leave. A step that is done
// already has none; nor have those behind one that cannot be told.
func (e *Engine) Statements(steps ...driver.Step) [][]string {
	out := make([][]string, len(steps))
	have, err := e.inspect(context.Background())
	if err != nil {
		return out
	}
	for i, s := range steps {
		if out[i], err = have.Plan(e.d, s); err != nil {
			return out
		}
	}
	return out
}

// Apply runs a step on a connection of its own, alone among the processes that change tables of this database. Each of its statements is
// done at once and for good (see sqldb.Schema.Plan); the fence's transaction is open meanwhile.
//
// A table that a transaction has used cannot be changed beside it. A fence that uses the tables of its own
// step (package data's does not) is run before the step and undone, and after it again.
func (e *Engine) Apply(ctx context.Context, s driver.Step, fence func(driver.Tx) error) error {
	alone, done, err := e.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := alone.lock(ctx); err != nil {
		return during(ctx, "change the tables", err)
	}
	if fence == nil {
		return e.step(ctx, alone, s)
	}
	t, err := e.fenced(ctx, fence)
	if err != nil {
		return err
	}
	if t.meets(s) {
		t.end()
		if err := e.step(ctx, alone, s); err != nil {
			return err
		}
		if t, err = e.fenced(ctx, fence); err != nil {
			return err
		}
		defer t.end()
		return t.commit()
	}
	defer t.end()
	still := t.waits()
	err = e.step(ctx, alone, s)
	if lost := still(); err == nil {
		err = lost
	}
	if err != nil {
		return err
	}
	return t.commit()
}

// saysSomething is how often a transaction that waits says something: the server ends one that does not for idleTime.
const saysSomething = time.Second

// waits keeps a transaction while something else is done, however long that takes. Nobody may use it until still was
// called, which says whether the server has lost it.
func (t *tx) waits() (still func() error) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(saysSomething)
		defer tick.Stop()
		for t.failed == nil {
			select {
			case <-over:
				return
			case <-tick.C:
				ctx := t.bounded(context.Background())
				_ = t.fail(ctx, "change the tables", t.c.exec(ctx, "DO 0"))
			}
		}
	}()
	return func() error {
		close(over)
		<-ended
		return t.failed
	}
}

// fenced runs a fence in a transaction that is then open.
func (e *Engine) fenced(ctx context.Context, fence func(driver.Tx) error) (*tx, error) {
	c, err := e.pool.Take(ctx, writing)
	if err != nil {
		return nil, err
	}
	t := &tx{session: session{e: e, c: c}, used: map[string]bool{}}
	err = fence(t)
	if err == nil {
		err = t.failed
	}
	if err != nil {
		t.end()
		return nil, err
	}
	t.c.unlimit()
	return t, nil
}

// meets says whether a transaction has used a table that a step changes.
func (t *tx) meets(s driver.Step) bool {
	for _, name := range []string{s.Table, s.To, s.New.Name} {
		if name != "" && t.used[name] {
			return true
		}
	}
	return false
}

func (e *Engine) step(ctx context.Context, c *conn, s driver.Step) error {
	have, err := inspect(ctx, c)
	if err != nil {
		return during(ctx, "inspect", err)
	}
	statements, err := have.Plan(e.d, s)
	if err != nil {
		return err
	}
	for i, sql := range statements {
		if err := c.exec(ctx, sql); err != nil {
			return unchanged(during(ctx, "change the tables", err), s)
		}
		if e.stopAfter != nil {
			if err := e.stopAfter(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// lock lets one process at a time change the tables of a database. Who waits asks again every ten seconds. The server frees it when the connection ends.
func (c *conn) lock(ctx context.Context) error {
	for {
		got := ""
		err := c.each(ctx, "SELECT GET_LOCK(CONCAT('plinth ', LEFT(SHA2(DATABASE(), 256), 32)), 10)", func(text func(int) string) error { got = text(0); return nil })
		if err != nil || got == "1" {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// unchanged is the error of a step that the server refused, with words of ours instead of its own.
func unchanged(err error, s driver.Step) error {
	f, ok := err.(*fault.Error)
	if !ok {
		return err
	}
	switch f.Kind {
	case fault.Unique:
		f.Msg, f.Index = "values are there twice that would have to be unique", s.Index.Name
	case fault.Retry:
		f.Kind, f.Msg = fault.Unavailable, "the tables are in use: try again"
	case fault.TooLarge:
		f.Msg = "an index would have more than this database takes, or a text that is stored is longer than an indexed one may be"
	case fault.Internal:
		if f.Msg == "" {
			f.Msg = "the tables could not be changed"
		}
	}
	return f
}

var _ sqldb.Writer = dialect{}
