package mysql_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// Conditions of posts that take two seconds, and that take for ever. A server looks meanwhile whether there is somebody for whom
// it sleeps, but not for whom it counts.
const (
	slow    = "SLEEP(2) = 0"
	endless = "BENCHMARK(1000000000000, SHA2('a', 512)) = 0"
)

// heavy makes reading the posts take its time, and says how many statements do.
func heavy(t *testing.T, address, condition string) (busy func() int) {
	t.Helper()
	c := raw(t, address)
	c.exec(t, `RENAME TABLE "posts" TO "light"`)
	c.exec(t, `CREATE VIEW "posts" AS SELECT * FROM "light" WHERE `+condition)
	t.Cleanup(func() { // or the database could not be dropped
		rows, err := c.QueryContext(context.Background(), `SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()`)
		if err != nil {
			return
		}
		var all []string
		for id := ""; rows.Next() && rows.Scan(&id) == nil; {
			all = append(all, id)
		}
		for _, id := range all {
			c.ExecContext(context.Background(), "KILL "+id)
		}
	})
	return func() (n int) {
		t.Helper()
		err := c.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND COMMAND <> 'Sleep'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// end waits until nothing is busy.
func end(t *testing.T, busy func() int) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); busy() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d statements go on for which nobody waits", busy())
		}
	}
}

func list(ctx context.Context, t *testing.T, e *mysql.Engine) error {
	t.Helper()
	return e.Rows(ctx, prepare(t, e, ids(nil)), nil, func(driver.Columns) error { return nil })
}

// ready makes a connection, which lies in the pool then.
func ready(t *testing.T, e *mysql.Engine) {
	t.Helper()
	if _, err := e.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestGivenUp: what a request asked that was given up is not worked on any more.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	e, address := empty(t)
	fill(t, e, 1)
	busy := heavy(t, address, endless)
	for name, ask := range map[string]func(ctx context.Context) error{
		"a list": func(ctx context.Context) error { return list(ctx, t, e) },
		"one record": func(ctx context.Context) error {
			return e.Rows(ctx, prepare(t, e, one()), []expr.Value{expr.TextOf(id(1))}, func(driver.Columns) error { return nil })
		},
		"a snapshot": func(ctx context.Context) error {
			return e.Read(ctx, func(r driver.Reader) error {
				return r.Rows(ctx, prepare(t, e, ids(nil)), nil, func(driver.Columns) error { return nil })
			})
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if err := ask(ctx); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	end(t, busy)
}

// TestNobodyThere: what a process asked that is gone is not worked on for long, where the server can be told so beforehand.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	first, address := empty(t)
	fill(t, first, 1)
	busy := heavy(t, address, endless)
	w, through := through(t, address)
	e := open(t, through)
	if !e.Brief(3) {
		t.Skip("LEFT OUT: this server has no such setting: it is MySQL")
	}
	var asked atomic.Bool
	leave := func(command []byte) verdict {
		switch {
		case asked.Load():
			return cut
		case command[0] == execute:
			asked.Store(true)
			return torn
		}
		return pass
	}
	ready(t, e)
	w.meet.Store(&leave)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := list(ctx, t, e); !fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
	for until := time.Now().Add(2 * time.Second); busy() == 0; time.Sleep(time.Millisecond) { // it may not have begun yet
		if time.Now().After(until) {
			t.Fatal("nothing is worked on")
		}
	}
	end(t, busy)
}

// TestLongWork: what may take long is not cut: a question without a deadline or with a late one, a change of the tables, and a
// look through all of them.
func TestLongWork(t *testing.T) {
	t.Parallel()
	first, address := empty(t)
	fill(t, first, 1)
	e := open(t, address)
	if !e.Brief(1) {
		t.Skip("LEFT OUT: this server has no such setting: it is MySQL")
	}
	blocker := raw(t, address)
	for name, do := range map[string]func() error{
		"a change": func() error {
			return e.Apply(t.Context(), driver.Step{Kind: driver.AddColumn, Table: "posts", Column: driver.Column{Name: "more", Kind: expr.Text}}, nil)
		},
		"a look": func() error { return e.Verify(t.Context()) },
	} {
		blocker.exec(t, `LOCK TABLES "posts" WRITE`)
		timer := time.AfterFunc(2*time.Second, func() { blocker.ExecContext(context.Background(), `UNLOCK TABLES`) })
		if err := do(); err != nil || timer.Stop() {
			t.Errorf("%s: %v", name, errors.Unwrap(err))
		}
	}
	heavy(t, address, slow)
	later, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for name, ctx := range map[string]context.Context{"without a deadline": t.Context(), "a late one": later} {
		if err := list(ctx, t, e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := list(soon, t, e); !fault.Is(err, fault.Unavailable) || soon.Err() != nil {
		t.Errorf("a deadline that is near: %v", err)
	}
}
