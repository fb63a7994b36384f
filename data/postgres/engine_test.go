package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// TestQueryInsideRows: another query may be asked while rows are read, and the rows go on.
func TestQueryInsideRows(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	title := func(n int) string { return strings.Repeat(string(rune('a'+n)), 5000) }
	for n := range 5 {
		r := post(n + 1)
		r[postTitle] = expr.TextOf(title(n))
		if err := insert(e, r); err != nil {
			t.Fatal(err)
		}
	}
	q := ids(nil)
	q.Cols = append(q.Cols, driver.Col{Ord: postTitle})
	all, get := prepare(t, e, q), prepare(t, e, one())
	nested := func(r driver.Reader) error {
		var seen []string
		err := r.Rows(context.Background(), all, nil, func(c driver.Columns) error {
			first := string(c.Text(0))
			for range 2 {
				inner, err := texts(r, get, expr.TextOf(first))
				if err != nil || !slices.Equal(inner, []string{first}) {
					return fmt.Errorf("inside: %q, %w", inner, err)
				}
			}
			if want := title(len(seen)); string(c.Text(0)) != first || string(c.Text(1)) != want {
				return fmt.Errorf("%q became %q with %.10q, want %.10q", first, c.Text(0), c.Text(1), want)
			}
			seen = append(seen, first)
			return nil
		})
		if want := []string{id(1), id(2), id(3), id(4), id(5)}; err == nil && !slices.Equal(seen, want) {
			err = fmt.Errorf("there is %q, want %q", seen, want)
		}
		return err
	}
	if err := e.Read(context.Background(), nested); err != nil {
		t.Error(err)
	}
	err := e.Write(context.Background(), func(tx driver.Tx) error {
		return errors.Join(nested(tx), tx.Rows(context.Background(), all, nil, func(c driver.Columns) error {
			ok, err := tx.Update(posts, string(c.Text(0)), 1, post(9), []int{postScore})
			if err == nil && !ok {
				err = errors.New("not updated")
			}
			return err
		}))
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFirstErrorEnds: after an error nothing of a write is done, even where its function goes on.
func TestFirstErrorEnds(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	fill(t, e, 1)
	err := e.Write(context.Background(), func(tx driver.Tx) error {
		if err := tx.Insert(posts, post(2)); err != nil {
			return err
		}
		if err := tx.Insert(posts, post(1)); !fault.Is(err, fault.Unique) {
			t.Errorf("%v, want unique", err)
		}
		if err := tx.Insert(posts, post(3)); !fault.Is(err, fault.Unique) {
			t.Errorf("after the error: %v, want the same", err)
		}
		return nil
	})
	if !fault.Is(err, fault.Unique) {
		t.Errorf("%v, want unique", err)
	}
	has(t, e, 1)
}

// TestUniqueNames: an index is named as it was asked for, after tables were renamed too.
func TestUniqueNames(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	a, b := post(1), post(2)
	a[postDay], b[postDay] = expr.DateOf("2024-02-29"), expr.DateOf("2024-02-29")
	index := func(c *spec.Collection, r driver.Record) string {
		err := e.Write(context.Background(), func(tx driver.Tx) error { return tx.Insert(c, r) })
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Unique {
			t.Errorf("%v, want unique", err)
			return ""
		}
		return f.Index
	}
	if err := insert(e, a); err != nil {
		t.Fatal(err)
	}
	if got := index(posts, b); got != "one_day" {
		t.Errorf("a day: %q", got)
	}
	if got := index(posts, a); got != "id" {
		t.Errorf("an id: %q", got)
	}
	if err := e.Apply(context.Background(), driver.Step{Kind: driver.RenameTable, Table: "posts", To: "papers"}, nil); err != nil {
		t.Fatal(err)
	}
	papers := *posts
	papers.Name = "papers"
	if got := index(&papers, b); got != "one_day" {
		t.Errorf("a day, renamed: %q", got)
	}
	create(t, e) // the names of the renamed table's indexes are in use
	if err := insert(e, a); err != nil {
		t.Fatal(err)
	}
	if got := index(posts, b); got != "one_day" {
		t.Errorf("a day of the new table: %q", got)
	}
}

// TestChangedByAnother: a statement that is prepared outlives a column of another type under its name.
func TestChangedByAnother(t *testing.T) {
	t.Parallel()
	e, address := empty(t)
	other := open(t, address)
	fill(t, e, 1)
	q := ids(nil)
	q.Cols = append(q.Cols, driver.Col{Ord: postScore})
	s := prepare(t, e, q)
	read := func(r driver.Reader) error { _, err := texts(r, s); return err }
	for range 2 {
		if err := errors.Join(read(e), e.Read(context.Background(), read), insert(e), e.Write(context.Background(), func(tx driver.Tx) error { return read(tx) })); err != nil {
			t.Fatal(err)
		}
		for _, step := range []driver.Step{{Kind: driver.DropColumn, Column: driver.Column{Name: "score"}}, {Kind: driver.AddColumn, Column: driver.Column{Name: "score", Kind: expr.Text}}} {
			step.Table = "posts"
			if err := other.Apply(context.Background(), step, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := read(e); err != nil {
		t.Error(err)
	}
}

// TestChangedMeanwhile: in the middle of a transaction a statement cannot be prepared anew: a write is to
// be run again, and a reader is told to ask again.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	first, address := empty(t)
	if err := first.Apply(context.Background(), driver.Step{Kind: driver.CreateTable, New: driver.Table{Name: "others", Columns: tableOf(posts).Columns}}, nil); err != nil {
		t.Fatal(err)
	}
	e, other := open(t, address+" pool_max_conns=1"), open(t, address)
	q := ids(nil)
	q.Cols = append(q.Cols, driver.Col{Ord: postScore})
	s := prepare(t, e, q)
	others := *posts
	others.Name = "others"
	begin := prepare(t, e, &driver.Query{From: &others, Cols: q.Cols, Sort: byID, Limit: -1})
	locking := prepare(t, e, &driver.Query{From: &others, Cols: q.Cols, Sort: byID, Limit: -1, Lock: driver.LockStay})
	read := func(kind expr.Kind, begin driver.Stmt) func(r driver.Reader) error {
		return func(r driver.Reader) error {
			if err := r.Rows(context.Background(), begin, nil, func(driver.Columns) error { return nil }); err != nil {
				return err
			}
			for _, step := range []driver.Step{{Kind: driver.DropColumn, Column: driver.Column{Name: "score"}}, {Kind: driver.AddColumn, Column: driver.Column{Name: "score", Kind: kind}}} {
				step.Table = "posts"
				if err := other.Apply(context.Background(), step, nil); err != nil {
					return err
				}
			}
			_, err := texts(r, s)
			return err
		}
	}
	if _, err := texts(e, s); err != nil { // prepared on the one connection
		t.Fatal(err)
	}
	if err := e.Read(context.Background(), read(expr.Text, begin)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a reader: %v", err)
	}
	if _, err := texts(e, s); err != nil {
		t.Fatal(err)
	}
	if err := e.Write(context.Background(), func(tx driver.Tx) error { return read(expr.Int, locking)(tx) }); !fault.Is(err, fault.Retry) {
		t.Errorf("a write: %v", err)
	}
	err := e.Write(context.Background(), func(tx driver.Tx) error {
		_, err := texts(tx, locking)
		_, again := texts(tx, s)
		return errors.Join(err, again)
	})
	if err != nil {
		t.Errorf("again: %v", err)
	}
}

// TestCancelled: a caller who leaves ends his question, and the connection serves the next.
func TestCancelled(t *testing.T) {
	t.Parallel()
	e, address := empty(t)
	fill(t, e, 1)
	blocker, err := pgconn.Connect(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close(context.Background())
	if _, err := blocker.Exec(context.Background(), `BEGIN; LOCK TABLE "posts"`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = e.Rows(ctx, prepare(t, e, ids(nil)), nil, func(driver.Columns) error { return nil })
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := blocker.Exec(context.Background(), `COMMIT`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	has(t, e, 1)
}

// TestNobodyThere: what a process asked that is gone is not worked on for long, where the server can tell.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	const name = "client_connection_check_interval" // since PostgreSQL 14; an older one says nothing
	if is, err := postgres.Setting(t.Context(), e, name); err != nil || is != "5s" && is != "" {
		t.Errorf("%s is %q, %v", name, is, err)
	}
}

// TestDeadlock: of two writes that wait for each other one is told to run again.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	fill(t, e, 2)
	lock := one()
	lock.Lock = driver.LockWrite
	s := prepare(t, e, lock)
	holds, errs := make(chan struct{}, 2), make(chan error, 2)
	both := make(chan struct{})
	for i := range 2 {
		go func() {
			errs <- e.Write(context.Background(), func(tx driver.Tx) error {
				if _, err := texts(tx, s, expr.TextOf(id(1+i))); err != nil {
					return err
				}
				holds <- struct{}{}
				<-both
				_, err := texts(tx, s, expr.TextOf(id(2-i)))
				return err
			})
		}()
	}
	<-holds
	<-holds
	close(both)
	got := []fault.Kind{}
	for range 2 {
		if err := <-errs; err != nil {
			got = append(got, fault.Of(err))
		}
	}
	if !slices.Equal(got, []fault.Kind{fault.Retry}) {
		t.Errorf("%v, want one retry", got)
	}
}

// TestStopped: what a process has locked that stops in the middle of a transaction is free again, and what it wrote is not there.
func TestStopped(t *testing.T) {
	t.Parallel()
	e, address := empty(t)
	fill(t, e, 1)
	other := open(t, address)
	title := func(e *postgres.Engine, text string) error {
		return e.Write(context.Background(), func(tx driver.Tx) error {
			r := post(1)
			r[postTitle] = expr.TextOf(text)
			ok, err := tx.Update(posts, id(1), 1, r, []int{postTitle})
			if err == nil && !ok {
				err = errors.New("not updated")
			}
			return err
		})
	}
	lock := one()
	lock.Lock = driver.LockWrite
	s := prepare(t, e, lock)
	stopped, wakes, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- e.Write(context.Background(), func(tx driver.Tx) error {
			if _, err := texts(tx, s, expr.TextOf(id(1))); err != nil {
				return err
			}
			close(stopped)
			<-wakes
			r := post(1)
			r[postTitle] = expr.TextOf("of the one that was stopped")
			_, err := tx.Update(posts, id(1), 1, r, []int{postTitle})
			return err
		})
	}()
	<-stopped
	began := time.Now()
	for err := title(other, "of another"); err != nil; err = title(other, "of another") {
		if !fault.Is(err, fault.Retry) && !fault.Is(err, fault.Unavailable) || time.Since(began) > 30*time.Second {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("it was not locked: %s", took)
	}
	close(wakes)
	if err := <-ended; !fault.Is(err, fault.Retry) && !fault.Is(err, fault.Unavailable) {
		t.Errorf("the one that was stopped: %v", err)
	}
}

// TestPlans: pages, parents' children and prefixes are found by an index, in order.
func TestPlans(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	fill(t, e, 2000)
	byTitle := []driver.Key{{Ord: postTitle, Desc: true}, {Ord: spec.OrdID, Desc: true}}
	at := expr.TextOf("t5")
	for _, c := range []struct {
		name  string
		q     *driver.Query
		args  []expr.Value
		index string
		sorts bool
	}{
		{"one record", one(), []expr.Value{expr.TextOf(id(1))}, "id", false},
		{"by title", &driver.Query{Sort: byTitle, Limit: 0}, []expr.Value{expr.IntOf(10)}, "by_title", false},
		{"behind a row, with nulls at the end", &driver.Query{Sort: byTitle, Limit: 0, After: &driver.After{Args: []int{1, 2}, Null: []bool{false, false}}},
			[]expr.Value{expr.IntOf(10), at, expr.TextOf(id(5))}, "by_title", false},
		{"by id", ids(nil), nil, "id", false},
		{"a prefix", &driver.Query{Where: op(expr.OpStartsWith, mine(postTitle), param(0, expr.Text)), Sort: []driver.Key{{Ord: postTitle}, {Ord: spec.OrdID}}, Limit: 1},
			[]expr.Value{at, expr.IntOf(10)}, "by_title", false},
		{"one of a list", &driver.Query{Where: op(expr.OpIn, mine(postTitle), &expr.Node{Op: expr.OpParam, Type: expr.Type{Kind: expr.List, Elem: expr.Text}}), Sort: byID, Limit: -1},
			[]expr.Value{expr.ListOf(at)}, "by_title", true},
		{"children of parents", &driver.Query{Per: &driver.Per{Arg: 0, Ord: postAuthor, Limit: 1}, Sort: []driver.Key{{Ord: postScore}, {Ord: spec.OrdID}}, Limit: -1},
			[]expr.Value{expr.ListOf(expr.TextOf("a1"), expr.TextOf("a2")), expr.IntOf(3)}, "by_author", true},
	} {
		c.q.From, c.q.Cols = posts, []driver.Col{{Ord: spec.OrdID}}
		s := prepare(t, e, c.q)
		x, err := s.Explain(context.Background(), c.args)
		if err != nil || !slices.Equal(x.Indexes, []string{c.index}) || len(x.Scans) > 0 || x.Sorts != c.sorts {
			t.Errorf("%s: %v, %+v\n%s", c.name, err, x, s.Text())
		}
		if err := e.Rows(context.Background(), s, c.args, func(driver.Columns) error { return nil }); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	scan := prepare(t, e, ids(op(expr.OpEq, mine(postScore), param(0, expr.Int))))
	if x, err := scan.Explain(context.Background(), []expr.Value{expr.IntOf(7)}); err != nil || !slices.Equal(x.Scans, []string{"posts"}) {
		t.Errorf("without an index: %+v, %v", x, err)
	}
}

// TestLimits: the first limits of a query stand in its text, and every one is kept to.
func TestLimits(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	fill(t, e, 20)
	q := ids(nil)
	q.Limit = 0
	s := prepare(t, e, q)
	written := 0
	for _, n := range []int{3, 1, 0, 19, 2, 4, 5, 6, 7, 8, 9, 20, 21, 3} {
		got, err := texts(e, s, expr.IntOf(int64(n)))
		if err != nil || len(got) != min(n, 20) {
			t.Errorf("%d of at most %d (%v)", len(got), n, err)
		}
		if strings.HasSuffix(postgres.TextFor(s, expr.IntOf(int64(n))), fmt.Sprint(" LIMIT ", n)) {
			written++
		}
	}
	if written != 9 {
		t.Errorf("%d limits are written out, want the first 8 and one of them again", written)
	}
}

// TestStatements: what is told is what would be done, step after step, and nothing is.
func TestStatements(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	list := driver.Column{Name: "more", Kind: expr.List, Elem: expr.Text, Side: true}
	steps := []driver.Step{
		{Kind: driver.RenameTable, Table: "posts", To: "papers"},
		{Kind: driver.AddColumn, Table: "papers", Column: list},
		{Kind: driver.CreateIndex, Table: "papers", Index: driver.TableIndex{Name: "x", Columns: []string{"more"}}},
		{Kind: driver.CreateTable, New: tableOf(posts)},
		{Kind: driver.DropColumn, Table: "papers", Column: list},
		{Kind: driver.AddColumn, Table: "papers", Column: driver.Column{Name: "title"}},
	}
	before, err := e.Inspect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	told := e.Statements(steps...)
	if after, err := e.Inspect(context.Background()); err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v became %v (%v)", before, after, err)
	}
	for i, s := range steps {
		if (len(told[i]) == 0) != (i == len(steps)-1) {
			t.Errorf("step %d: %q", i, told[i])
		}
		if now := e.Statements(s); !slices.Equal(now[0], told[i]) {
			t.Errorf("step %d: told\n%s\nand now\n%s", i, strings.Join(told[i], "\n"), strings.Join(now[0], "\n"))
		}
		if err := e.Apply(context.Background(), s, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpen: what cannot be used is refused in words, and a password is in none of them.
func TestOpen(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	for address, want := range map[string]string{
		"postgres://u:hunter2@[::1":                               "cannot be read",
		"host=/nowhere user=u password=hunter2":                   "names no database",
		"postgres://u:hunter2@127.0.0.1:1/":                       "names no database",
		"host=/nowhere user=u password=hunter2 dbname=d":          "PostgreSQL at /nowhere does not answer",
		"host=/nowhere dbname=d pool_max_conns=0":                 "pool_max_conns in the address must be a whole number from 1",
		"postgres://u:hunter2@h/d?pool_max_conn_idle_time=5":      "pool_max_conn_idle_time in the address must be a time such as 30m",
		"postgres://u:hunter2@h/d?pool_max_conn_lifetime=0s":      "pool_max_conn_lifetime in the address must be a time such as 30m",
		"postgres://u:hunter2@h/d?pool_min_conns=2":               "pool_min_conns in the address means nothing here",
		"host=/nowhere dbname=d default_query_exec_mode=exec":     "default_query_exec_mode in the address means nothing here",
		strings.Split(address, " dbname=")[0] + " dbname=no_such": `has no database "no_such": create it there first`,
	} {
		kind := fault.BadRequest
		if strings.Contains(want, "has no") || strings.Contains(want, "answer") {
			kind = fault.Unavailable
		}
		_, err := postgres.Open(context.Background(), address, postgres.Options{})
		if !fault.Is(err, kind) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestAnotherServer: what answers at the address in the protocol of MySQL, whose first byte is the length of its greeting, is said to be no
// PostgreSQL.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	for _, length := range []byte{'I', 'J', 'R', 'Z', 'd', 'n', 0x80} {
		greeting := make([]byte, 4+int(length))
		greeting[0] = length
		copy(greeting[4:], "\n5.5.5-10.11.6-MariaDB")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var answers sync.WaitGroup
		answers.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				answers.Go(func() {
					defer c.Close()
					if _, err := c.Write(greeting); err == nil {
						_, _ = io.Copy(io.Discard, c)
					}
				})
			}
		})
		for _, mode := range []string{"disable", "prefer"} {
			_, err := postgres.Open(t.Context(), "postgres://u:hunter2@"+l.Addr().String()+"/d?sslmode="+mode, postgres.Options{})
			if want := "open the database: PostgreSQL at " + l.Addr().String() + " cannot be used: what answers there is no PostgreSQL"; !fault.Is(err, fault.Unavailable) || err.Error() != want {
				t.Errorf("a greeting of %d bytes, %s: %v", length, mode, err)
			}
		}
		l.Close()
		answers.Wait()
	}
}

// TestBackup: it says what is to be used instead.
func TestBackup(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	if err := e.Backup(context.Background(), nil, nil); !fault.Is(err, fault.Capability) || !strings.Contains(err.Error(), "pg_dump") {
		t.Error(err)
	}
}

// TestCloseWaits: a write under way is carried through first.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	e, address := empty(t)
	var written atomic.Bool
	begun, closed := make(chan struct{}), make(chan error)
	go func() {
		<-begun
		err := e.Close()
		if !written.Load() {
			err = errors.New("closed before the write was done")
		}
		closed <- err
	}()
	err := e.Write(context.Background(), func(tx driver.Tx) error {
		close(begun)
		for !fault.Is(e.Check(context.Background()), fault.Unavailable) {
			runtime.Gosched()
		}
		err := tx.Insert(posts, post(1))
		written.Store(true)
		return err
	})
	if err := errors.Join(err, <-closed); err != nil {
		t.Error(err)
	}
	has(t, open(t, address), 1)
}

// Many records of one collection are stored by one statement; which of them is refused is told all the same.
func TestStoredTogether(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	many := func(from, n int, day func(i int) expr.Value) []driver.Insertion {
		var all []driver.Insertion
		for i := range n {
			r := post(from + i)
			r[postTags], r[postDay] = expr.Value{}, day(i)
			all = append(all, driver.Insertion{C: posts, R: r})
		}
		return all
	}
	store := func(all []driver.Insertion, more ...driver.Insertion) (at int, err error) {
		wrote := e.Write(context.Background(), func(tx driver.Tx) error {
			at, err = tx.(driver.Finisher).InsertAll(all)
			if err == nil && at == len(all) && len(more) > 0 {
				at, err = tx.(driver.Finisher).Finish(nil, more)
			}
			return err
		})
		return at, errors.Join(err, wrote)
	}
	none := func(int) expr.Value { return expr.Value{} }
	if at, err := store(many(1, 40, none), many(41, 20, none)...); err != nil || at != 20 {
		t.Fatalf("%d %v", at, err)
	}
	// The 18th of 30 has the day that the third has.
	twice := func(i int) expr.Value {
		if i == 2 || i == 17 {
			return expr.DateOf("2026-03-01")
		}
		return expr.Value{}
	}
	at, err := store(many(100, 30, twice))
	var refused *fault.Error
	if !errors.As(err, &refused) || refused.Kind != fault.Unique || refused.Index != "one_day" || at != 17 {
		t.Errorf("it stopped at %d: %v", at, err)
	}
	if at, err = store(many(200, 20, none), many(220, 30, twice)...); !errors.As(err, &refused) || refused.Index != "one_day" || at != 17 {
		t.Errorf("it stopped at %d: %v", at, err)
	}
	var numbers []int
	for n := range 60 {
		numbers = append(numbers, n+1)
	}
	has(t, e, numbers...)
}

// Collections may have the names that statements of many parts have for theirs.
func TestNamesOfStatements(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	for n, name := range []string{"first", "u", "r", "t", "v"} {
		c := *posts
		c.Name = name
		if err := e.Apply(context.Background(), driver.Step{Kind: driver.CreateTable, New: tableOf(&c)}, nil); err != nil {
			t.Fatal(err)
		}
		at := func(c *spec.Collection, n int) driver.Insertion {
			r := post(n)
			r[postTags] = expr.Value{}
			return driver.Insertion{C: c, R: r}
		}
		finish := func(what string, u *driver.Revision, all ...driver.Insertion) {
			t.Helper()
			want := len(all)
			if u != nil {
				want++
			}
			err := e.Write(context.Background(), func(tx driver.Tx) error {
				at, err := tx.(driver.Finisher).Finish(u, all)
				if err == nil && at != want {
					err = errors.New("it stopped")
				}
				return err
			})
			if err != nil {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		finish("a record", nil, at(&c, 1), at(posts, 10*n+1))
		refers := at(&c, 2)
		refers.Refers = []driver.Reference{{C: &c, ID: id(1)}}
		finish("one that refers", nil, refers, at(posts, 10*n+2))
		back := at(posts, 10*n+3)
		back.Refers = []driver.Reference{{C: &c, ID: id(1)}}
		finish("one that is referred from", nil, back, at(&c, 3))
		u := &driver.Revision{C: &c, ID: id(1), Rev: 1, R: post(1), Ords: []int{spec.OrdRev, postTitle}}
		u.R[spec.OrdRev] = expr.IntOf(2)
		finish("a change", u, at(posts, 10*n+4))
		to := at(posts, 10*n+5)
		to.Refers = []driver.Reference{{C: &c, ID: id(1)}, {C: posts, ID: id(1)}}
		finish("a change with several", &driver.Revision{C: &c, ID: id(1), Rev: 2, R: u.R, Ords: []int{postTitle}}, to, at(posts, 10*n+6))
		err := e.Write(context.Background(), func(tx driver.Tx) error {
			n, err := tx.(driver.Finisher).UpdateAll([]driver.Revision{{C: &c, ID: id(2), Rev: 1, R: u.R, Ords: []int{spec.OrdRev, postTitle}},
				{C: &c, ID: id(3), Rev: 1, R: u.R, Ords: []int{spec.OrdRev, postTitle}}})
			if err == nil && n != 2 {
				err = errors.New("it found others")
			}
			return err
		})
		if err != nil {
			t.Errorf("%s, some changes: %v", name, err)
		}
	}
}
