package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// TestQueryInsideRows: another query may be asked while rows are read, and the rows go on.
func TestQueryInsideRows(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	title := func(n int) string { return strings.Repeat(string(rune('a'+n)), 200) }
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

// TestChangedMeanwhile: a snapshot is not one of a table that was changed since, and its reader is told to ask
// again; a write, of which each statement has a snapshot of its own, goes on or is run again.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	first, address := empty(t)
	if err := first.Apply(context.Background(), driver.Step{Kind: driver.CreateTable, New: driver.Table{Name: "others", Columns: tableOf(posts).Columns}}, nil); err != nil {
		t.Fatal(err)
	}
	e, other := openWith(t, address, 1), open(t, address)
	q := ids(nil)
	q.Cols = append(q.Cols, driver.Col{Ord: postScore})
	s := prepare(t, e, q)
	others := *posts
	others.Name = "others"
	begin := prepare(t, e, &driver.Query{From: &others, Cols: q.Cols, Sort: byID, Limit: -1})
	read := func(kind expr.Kind) func(r driver.Reader) error {
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
	if err := e.Read(context.Background(), read(expr.Text)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a reader: %v", err)
	}
	if _, err := texts(e, s); err != nil {
		t.Fatal(err)
	}
	if err := e.Write(context.Background(), func(tx driver.Tx) error { return read(expr.Int)(tx) }); err != nil && !fault.Is(err, fault.Retry) {
		t.Errorf("a write: %v", err)
	}
	err := e.Write(context.Background(), func(tx driver.Tx) error {
		_, err := texts(tx, begin)
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
	blocker := raw(t, address)
	blocker.exec(t, `LOCK TABLES "posts" WRITE`)
	for name, ask := range map[string]func(ctx context.Context) error{
		"a list": func(ctx context.Context) error {
			return e.Rows(ctx, prepare(t, e, ids(nil)), nil, func(driver.Columns) error { return nil })
		},
		"one record": func(ctx context.Context) error {
			return e.Rows(ctx, prepare(t, e, one()), []expr.Value{expr.TextOf(id(1))}, func(driver.Columns) error { return nil })
		},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		if err := ask(ctx); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	for waiting := 1; waiting > 0 && t.Context().Err() == nil; { // the server is told, while the table is locked
		err := blocker.QueryRowContext(t.Context(), `SELECT count(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND STATE LIKE 'Waiting%'`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	blocker.exec(t, `UNLOCK TABLES`)
	has(t, e, 1)
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
	title := func(e *mysql.Engine, text string) error {
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
			[]expr.Value{expr.ListOf(expr.TextOf("a1"), expr.TextOf("a2")), expr.IntOf(3)}, "by_author", false},
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

// TestFoldPlans: an index of folds, which is as long as one may be, serves a list.
func TestFoldPlans(t *testing.T) {
	t.Parallel()
	e, _ := openEmpty(t)
	words := collection("words", &spec.Field{Name: "s$fold"})
	table := tableOf(words, driver.TableIndex{Name: "by_s", Columns: []string{"s$fold", "id"}})
	if err := e.Apply(context.Background(), driver.Step{Kind: driver.CreateTable, New: table}, nil); err != nil {
		t.Fatal(err)
	}
	if err := e.Use(&spec.App{Collections: []*spec.Collection{words}}); err != nil {
		t.Fatal(err)
	}
	err := e.Write(context.Background(), func(tx driver.Tx) error {
		for n := range 2000 {
			r := driver.Record{expr.TextOf(id(n)), expr.TimeOf(1), expr.TimeOf(1), expr.IntOf(1), expr.TextOf(fmt.Sprintf("t%d", n%40))}
			if err := tx.Insert(words, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	by := func(desc bool) []driver.Key {
		return []driver.Key{{Ord: spec.OrdFirst, Desc: desc}, {Ord: spec.OrdID, Desc: desc}}
	}
	behind := &driver.After{Args: []int{1, 2}, Null: []bool{false, false}}
	for _, c := range []struct {
		name string
		q    *driver.Query
		args []expr.Value
	}{
		{"from the start", &driver.Query{Sort: by(false), Limit: 0}, []expr.Value{expr.IntOf(10)}},
		{"from the end", &driver.Query{Sort: by(true), Limit: 0}, []expr.Value{expr.IntOf(10)}},
		{"behind a row", &driver.Query{Sort: by(false), Limit: 0, After: behind}, []expr.Value{expr.IntOf(10), expr.TextOf("t5"), expr.TextOf(id(5))}},
		{"before a row", &driver.Query{Sort: by(true), Limit: 0, After: behind}, []expr.Value{expr.IntOf(10), expr.TextOf("t5"), expr.TextOf(id(5))}},
		{"of one value", &driver.Query{Where: op(expr.OpEq, mine(spec.OrdFirst), param(0, expr.Text)), Sort: byID, Limit: 1}, []expr.Value{expr.TextOf("t5"), expr.IntOf(10)}},
	} {
		c.q.From, c.q.Cols = words, []driver.Col{{Ord: spec.OrdID}}
		s := prepare(t, e, c.q)
		x, err := s.Explain(context.Background(), c.args)
		if err != nil || !slices.Equal(x.Indexes, []string{"by_s"}) || len(x.Scans) > 0 || x.Sorts {
			t.Errorf("%s: %v, %+v\n%s", c.name, err, x, s.Text())
		}
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
	address := mysqltest.Database(t)
	for address, want := range map[string]string{
		"mysql://u:hunter2@[::1/x":                                   "cannot be read, or names no database",
		"mysql://u:hunter2@localhost/":                               "cannot be read, or names no database",
		"u:hunter2":                                                  "cannot be read, or names no database",
		"mysql://u:hunter2@/x?socket=/nowhere":                       "MySQL at /nowhere does not answer",
		"u:hunter2@unix(/nowhere)/x":                                 "MySQL at /nowhere does not answer",
		strings.Replace(address, "root@", "nobody:hunter2@", 1):      "does not let us in: Access denied",
		regexp.MustCompile(`/t\d+`).ReplaceAllString(address, "/no"): `has no database "no": create it there first`,
	} {
		kind := fault.Unavailable
		if strings.Contains(want, "cannot be read") {
			kind = fault.BadRequest
		}
		_, err := mysql.Open(context.Background(), address, mysql.Options{})
		if !fault.Is(err, kind) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestBackup: it says what is to be used instead.
func TestBackup(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	if err := e.Backup(context.Background(), nil, nil); !fault.Is(err, fault.Capability) || !strings.Contains(err.Error(), "mariadb-dump") {
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
