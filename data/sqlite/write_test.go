package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

var values = cmp.AllowUnexported(expr.Value{})

// full is a post with a value in every field.
func full(n int) driver.Record {
	r := blank(posts, n)
	r[postTitle] = expr.TextOf("Zürich \"x\"\n " + fmt.Sprint(n))
	r[postStatus] = expr.TextOf("open")
	r[postStock] = expr.IntOf(-1<<53 + 1)
	r[postBig] = expr.BigintOf(-1 << 63)
	r[postScore] = expr.FloatOf(3)
	r[postPrice] = expr.DecimalOf(123456789012345678, 2)
	r[postLive] = expr.BoolOf(true)
	r[postDay] = expr.DateOf(fmt.Sprintf("2026-01-%02d", n%28+1))
	r[postAt] = expr.TimeOf(int64(-n))
	r[postAuthor] = expr.TextOf(id(900))
	r[postTopics] = expr.ListOf(expr.TextOf(id(800)), expr.TextOf(id(801)))
	r[postTags] = expr.ListOf(expr.TextOf("a\\\"\x01"), expr.TextOf("ü"), expr.TextOf(""))
	r[postMeta] = expr.JSONOf(`{"a":[1,2]}`)
	r[postSealed] = expr.BytesOf("\x00\xff")
	return r
}

func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, posts, full(1), blank(posts, 2))
	want := [][]expr.Value{full(1), blank(posts, 2)}
	if d := cmp.Diff(want, ask(t, e, all(posts, nil)), values); d != "" {
		t.Fatal(d)
	}

	next := full(1)
	next[spec.OrdRev], next[postTitle], next[postTopics] = expr.IntOf(2), expr.Value{}, expr.ListOf(expr.TextOf(id(802)))
	set := func(rev int64) (was bool) {
		err := e.Write(t.Context(), func(tx driver.Tx) (err error) {
			was, err = tx.Update(posts, id(1), rev, next, []int{spec.OrdRev, postTitle, postTopics})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return was
	}
	if set(7) {
		t.Error("an update of another revision was done")
	}
	if !set(1) {
		t.Error("an update was not done")
	}
	want[0] = next
	if d := cmp.Diff(want, ask(t, e, all(posts, nil)), values); d != "" {
		t.Fatal(d)
	}
	for topic, n := range map[int]int{800: 0, 802: 1} {
		rows := ask(t, e, all(posts, op(expr.OpIn, lit(expr.TextOf(id(topic))), mine(postTopics))))
		if len(rows) != n {
			t.Errorf("topic %d has %d posts after the update, want %d", topic, len(rows), n)
		}
	}

	var gone int
	err := e.Write(t.Context(), func(tx driver.Tx) (err error) {
		gone, err = tx.Delete(posts, []string{id(1), id(5), id(2)})
		return err
	})
	if err != nil || gone != 2 {
		t.Fatalf("deleted %d, %v; want 2", gone, err)
	}
	if rows := ask(t, e, all(posts, nil)); len(rows) != 0 {
		t.Error("deleted records are there")
	}
	if n := count(t, e, `SELECT count(*) FROM "posts$topics$items"`); n != 0 {
		t.Errorf("%d references of deleted records remain", n)
	}
}

// count asks a statement of the test's own.
func count(t *testing.T, e *Engine, sql string) (n int64) {
	t.Helper()
	s := &stmt{Statement: statement(sql), e: e}
	err := e.Read(t.Context(), func(r driver.Reader) error {
		return r.Rows(t.Context(), s, nil, func(c driver.Columns) error { n = c.Int(0); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTransactionSees: a transaction sees its own work, others see it after the commit.
func TestTransactionSees(t *testing.T) {
	t.Parallel()
	e := empty(t)
	s, err := e.Prepare(&driver.Query{From: users, Count: true, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	var inside int64
	outside := -1
	err = e.Write(t.Context(), func(tx driver.Tx) error {
		if err := tx.Insert(users, blank(users, 1)); err != nil {
			return err
		}
		outside = len(ask(t, e, all(users, nil)))
		return tx.Rows(t.Context(), s, nil, func(c driver.Columns) error { inside = c.Int(0); return nil })
	})
	if err != nil || inside != 1 || outside != 0 {
		t.Errorf("inside %d, outside %d, %v", inside, outside, err)
	}
}

// TestSameNumber: ids of which only the random bits differ want the same place in the table, and one of them has it.
func TestSameNumber(t *testing.T) {
	t.Parallel()
	e := empty(t)
	same := func(n int) driver.Record {
		r := blank(posts, n)
		r[spec.OrdID], r[postTitle] = expr.TextOf(fmt.Sprintf("01900000-0000-7abc-8000-%012d", n)), expr.TextOf(fmt.Sprint("title ", n))
		return r
	}
	insert(t, e, posts, same(2), same(1), full(7), same(3))
	if n := count(t, e, `SELECT count(*) FROM "posts" WHERE _rowid_ = `+fmt.Sprint(0x019000000000abc)); n != 1 {
		t.Errorf("%d rows have the place", n)
	}
	get := all(posts, op(expr.OpEq, mine(spec.OrdID), param(0, expr.Text)))
	title := func(n int) string {
		t.Helper()
		rows := ask(t, e, get, same(n)[spec.OrdID])
		if len(rows) == 0 {
			return ""
		}
		if len(rows) > 1 || !expr.Equal(rows[0][spec.OrdID], same(n)[spec.OrdID]) {
			t.Errorf("%d: %v", n, rows)
		}
		return rows[0][postTitle].Text()
	}
	err := e.Write(t.Context(), func(tx driver.Tx) error {
		for n := 1; n <= 4; n++ {
			r := same(n)
			r[postTitle] = expr.TextOf(fmt.Sprint("changed ", n))
			for _, c := range []struct {
				rev  int64
				want bool
			}{{9, false}, {1, n < 4}} {
				if was, err := tx.Update(posts, r[spec.OrdID].Text(), c.rev, r, []int{postTitle}); err != nil || was != c.want {
					t.Errorf("%d at rev %d: %v %v", n, c.rev, was, err)
				}
			}
		}
		for n := range 5 {
			if err := tx.Insert(posts, same(n)); (err == nil) != (n == 0 || n == 4) || err != nil && err.(*fault.Error).Index != "id" {
				t.Errorf("%d once more: %v", n, err)
			}
		}
		_, err := tx.Delete(posts, []string{same(2)[spec.OrdID].Text()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"title 0", "changed 1", "", "changed 3", "title 4", ""} {
		if got := title(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	insert(t, e, posts, same(2)) // its place is free
	if title(2) != "title 2" {
		t.Error(title(2))
	}
}

func TestUnique(t *testing.T) {
	t.Parallel()
	e := empty(t)
	a, b := blank(posts, 1), blank(posts, 2)
	a[postDay], a[postAt] = expr.DateOf("2026-01-01"), expr.TimeOf(5)
	b[postDay], b[postAt] = a[postDay], a[postAt]
	insert(t, e, posts, a, blank(posts, 3), blank(posts, 4))
	for _, c := range []struct {
		name, index string
		write       func(driver.Tx) error
	}{
		{"id", "id", func(tx driver.Tx) error { return tx.Insert(posts, a) }},
		{"index", "one_day", func(tx driver.Tx) error { return tx.Insert(posts, b) }},
		{"update", "one_day", func(tx driver.Tx) error {
			_, err := tx.Update(posts, id(3), 1, a, []int{postDay, postAt})
			return err
		}},
	} {
		err := e.Write(t.Context(), c.write)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Unique || f.Index != c.index {
			t.Errorf("%s: %v (index %q), want unique %q", c.name, err, f.Index, c.index)
		}
	}
}

// together runs the writes as one group: the first holds the writer until the others wait.
func together(t *testing.T, e *Engine, fns ...func(driver.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(fns))
	var done sync.WaitGroup
	held, release := make(chan struct{}), make(chan struct{})
	done.Go(func() {
		errs[0] = e.Write(t.Context(), func(tx driver.Tx) error {
			close(held)
			<-release
			return fns[0](tx)
		})
	})
	<-held
	for i, fn := range fns[1:] {
		done.Go(func() { errs[i+1] = e.Write(t.Context(), fn) })
		for len(e.writer.queue) <= i {
			runtime.Gosched()
		}
	}
	close(release)
	done.Wait()
	return errs
}

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	put := func(n int, err error) func(driver.Tx) error {
		return func(tx driver.Tx) error {
			if e := tx.Insert(users, blank(users, n)); e != nil {
				return e
			}
			return err
		}
	}
	panics := func(tx driver.Tx) error {
		put(50, nil)(tx)
		panic("oops")
	}
	for _, c := range []struct {
		name string
		fns  []func(driver.Tx) error
		want []error // nil: done
		rows int
	}{
		{"all", []func(driver.Tx) error{put(1, nil), put(2, nil), put(3, nil)}, []error{nil, nil, nil}, 3},
		{"first fails", []func(driver.Tx) error{put(1, mine), put(2, nil), put(3, nil)}, []error{mine, nil, nil}, 2},
		{"middle fails", []func(driver.Tx) error{put(1, nil), put(2, mine), put(3, nil)}, []error{nil, mine, nil}, 2},
		{"last fails", []func(driver.Tx) error{put(1, nil), put(2, nil), put(3, mine)}, []error{nil, nil, mine}, 2},
		{"taken by a neighbour", []func(driver.Tx) error{put(1, nil), put(1, nil), put(3, nil)}, []error{nil, fault.New(fault.Unique, ""), nil}, 2},
		{"panic alone", []func(driver.Tx) error{panics, put(2, nil)}, []error{fault.New(fault.Internal, ""), nil}, 1},
		{"panic in company", []func(driver.Tx) error{put(1, nil), panics, put(3, nil)}, []error{nil, fault.New(fault.Internal, ""), nil}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := empty(t)
			for i, err := range together(t, e, c.fns...) {
				var kind *fault.Error
				switch want := c.want[i]; {
				case want == nil && err == nil, want != nil && errors.Is(err, want):
				case errors.As(want, &kind) && fault.Is(err, kind.Kind):
				default:
					t.Errorf("write %d: %v, want %v", i, err, want)
				}
			}
			if got := len(ask(t, e, all(users, nil))); got != c.rows {
				t.Errorf("%d rows, want %d", got, c.rows)
			}
		})
	}
}

func TestCancelledWrites(t *testing.T) {
	t.Parallel()
	e := empty(t)
	held, release := make(chan struct{}), make(chan struct{})
	first, cancelFirst := context.WithCancel(t.Context())
	waits, cancelWaits := context.WithCancel(t.Context())
	var errs [3]error
	var done sync.WaitGroup
	done.Go(func() {
		errs[0] = e.Write(first, func(tx driver.Tx) error {
			close(held)
			<-release
			return tx.Insert(users, blank(users, 1))
		})
	})
	<-held
	done.Go(func() {
		errs[2] = e.Write(t.Context(), func(tx driver.Tx) error { return tx.Insert(users, blank(users, 3)) })
	})
	cancelled := make(chan struct{})
	go func() {
		defer close(cancelled)
		errs[1] = e.Write(waits, func(tx driver.Tx) error { return tx.Insert(users, blank(users, 2)) })
	}()
	for len(e.writer.queue) < 2 {
		runtime.Gosched()
	}
	cancelFirst() // has started: carried through
	cancelWaits() // has not: never starts
	<-cancelled
	close(release)
	done.Wait()
	if errs[0] != nil || errs[2] != nil || !errors.Is(errs[1], context.Canceled) {
		t.Fatalf("%v", errs)
	}
	if rows := ask(t, e, all(users, nil)); len(rows) != 2 {
		t.Errorf("%d rows, want 2", len(rows))
	}
}

func TestWriteInsideWrite(t *testing.T) {
	t.Parallel()
	e := empty(t)
	var inner error
	outer := e.Write(t.Context(), func(tx driver.Tx) error {
		inner = e.Write(t.Context(), func(driver.Tx) error { return nil })
		return tx.Insert(users, blank(users, 1))
	})
	if inner == nil || outer != nil {
		t.Fatalf("inner %v, outer %v", inner, outer)
	}
}

func TestGoexitInWrite(t *testing.T) {
	t.Parallel()
	e := empty(t)
	err := e.Write(t.Context(), func(tx driver.Tx) error {
		tx.Insert(users, blank(users, 1))
		runtime.Goexit()
		return nil
	})
	if err == nil {
		t.Error("a write that ended its goroutine succeeded")
	}
	insert(t, e, users, blank(users, 2))
	if rows := ask(t, e, all(users, nil)); len(rows) != 1 {
		t.Errorf("%d rows, want 1", len(rows))
	}
}

func TestManyWriters(t *testing.T) {
	t.Parallel()
	e := empty(t)
	const writers, each = 64, 20
	var done sync.WaitGroup
	refused := make([]int, writers)
	for w := range writers {
		done.Go(func() {
			for i := range each {
				err := e.Write(t.Context(), func(tx driver.Tx) error {
					if err := tx.Insert(users, blank(users, 1000*w+i)); err != nil {
						return err
					}
					return tx.Insert(teams, blank(teams, i)) // one of the writers is first
				})
				switch {
				case fault.Is(err, fault.Unique):
					refused[w]++
				case err != nil:
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	written := 0
	for _, n := range refused {
		written += each - n
	}
	if written != each {
		t.Errorf("%d writes were done, want %d", written, each)
	}
	if rows := ask(t, e, all(users, nil)); len(rows) != each {
		t.Errorf("%d rows, want %d: refused writes left rows", len(rows), each)
	}
}

func TestUseAfterEnd(t *testing.T) {
	t.Parallel()
	e := empty(t)
	var kept driver.Tx
	if err := e.Write(t.Context(), func(tx driver.Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := kept.Insert(users, blank(users, 1)); err == nil {
		t.Error("a transaction was used after its end")
	}
	e.Close()
	if err := e.Write(t.Context(), func(driver.Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a write after Close: %v", err)
	}
	if err := e.Read(t.Context(), func(driver.Reader) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a read after Close: %v", err)
	}
}

// A COMMIT that fails is followed by one that writes over what it may have left in the log; where that
// fails too, the answer says that nobody knows.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	e := empty(t)
	script := func(sql string) error {
		return e.writer.do(t.Context(), func(c *conn) error { return c.script(sql) })
	}
	if err := script(`CREATE TABLE "later" ("id" TEXT REFERENCES "users" ("id") DEFERRABLE INITIALLY DEFERRED)`); err != nil {
		t.Fatal(err)
	}
	refused := func() *fault.Error { // only COMMIT finds that the reference leads nowhere
		f, ok := script(`INSERT INTO "later" VALUES ('nobody')`).(*fault.Error)
		if !ok || f.Kind != fault.Unavailable {
			t.Fatalf("%v", f)
		}
		return f
	}
	if f := refused(); strings.Contains(f.Msg, "may or may not") {
		t.Error(f)
	}
	if n := count(t, e, `SELECT count(*) FROM "_health"`); n != 1 {
		t.Error("the log was not written over")
	}
	if err := script(`ALTER TABLE "_health" RENAME TO "_gone"`); err != nil {
		t.Fatal(err)
	}
	if f := refused(); !strings.Contains(f.Msg, "may or may not be stored") {
		t.Error(f)
	}
	if n := count(t, e, `SELECT count(*) FROM "later"`); n != 0 {
		t.Errorf("%d rows of what failed", n)
	}
	put := func(tx driver.Tx) error { return tx.Insert(users, blank(users, 1)) }
	nowhere := func(in driver.Tx) error { return in.(*tx).c.script(`INSERT INTO "later" VALUES ('nobody')`) }
	for i, err := range together(t, e, put, put, nowhere) { // the second is refused because of the first
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	insert(t, e, users, blank(users, 1)) // goes on
}
