package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, users, blank(users, 1))
	s, err := e.Prepare(&driver.Query{From: users, Count: true, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	err = e.Read(t.Context(), func(r driver.Reader) error {
		var n [2]int64
		for i := range n {
			if err := r.Rows(t.Context(), s, nil, func(c driver.Columns) error { n[i] = c.Int(0); return nil }); err != nil {
				return err
			}
			insert(t, e, users, blank(users, 10+i))
		}
		if n[0] != 1 || n[1] != 1 {
			t.Errorf("one snapshot had %v rows", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNestedRows: a query may be asked while rows of the same query are being read.
func TestNestedRows(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, users, blank(users, 1), blank(users, 2), blank(users, 3))
	s, err := e.Prepare(all(users, nil))
	if err != nil {
		t.Fatal(err)
	}
	pairs, enough := 0, errors.New("enough")
	err = e.Read(t.Context(), func(r driver.Reader) error {
		return r.Rows(t.Context(), s, nil, func(outer driver.Columns) error {
			err := r.Rows(t.Context(), s, nil, func(inner driver.Columns) error { pairs++; return nil })
			if string(outer.Text(spec.OrdID)) == id(2) {
				return enough
			}
			return err
		})
	})
	if err != enough || pairs != 6 {
		t.Errorf("%d pairs, %v", pairs, err)
	}
}

func TestCancelledRead(t *testing.T) {
	t.Parallel()
	e := empty(t)
	endless := &stmt{Statement: statement(`WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n`), e: e}
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	var once sync.Once
	go func() { <-started; cancel() }()
	for range 3 { // the connection is good again afterwards
		err := e.Read(ctx, func(r driver.Reader) error {
			once.Do(func() { close(started) })
			return r.Rows(ctx, endless, nil, func(driver.Columns) error { return nil })
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		ctx = context.WithoutCancel(ctx)
		if rows := ask(t, e, all(users, nil)); len(rows) != 0 {
			t.Error("rows from nowhere")
		}
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
}

func TestManyReaders(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, posts, full(1))
	var done sync.WaitGroup
	for range 50 {
		done.Go(func() {
			for range 20 {
				if rows := ask(t, e, all(posts, nil)); len(rows) != 1 {
					t.Error("a row was not found")
				}
			}
		})
	}
	done.Wait()
}

func TestStatementsAreBounded(t *testing.T) {
	t.Parallel()
	e := empty(t)
	for i := range keptStatements + 50 {
		ask(t, e, all(users, op(expr.OpOr, op(expr.OpLt, size(of(users, record(), userName)), lit(expr.IntOf(1))),
			literalsIn(i))))
	}
	if len(e.readers.idle) == 0 {
		t.Error("no connection has read")
	}
	for _, c := range e.readers.idle {
		if len(c.kept) > keptStatements {
			t.Errorf("a connection keeps %d statements", len(c.kept))
		}
	}
}

// literalsIn makes a condition whose text depends on n.
func literalsIn(n int) *expr.Node {
	items := make([]expr.Value, n+1)
	for i := range items {
		items[i] = expr.TextOf("x")
	}
	return op(expr.OpIn, of(users, record(), userName), literals(items...))
}

func TestBackup(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, posts, full(1), blank(posts, 2))
	var b bytes.Buffer
	last, total := 0, 0
	if err := e.Backup(t.Context(), &b, func(done, all int) { last, total = done, all }); err != nil {
		t.Fatal(err)
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	path := filepath.Join(t.TempDir(), "restored.db")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	restored, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	restored.Use(app)
	if rows := ask(t, restored, all(posts, nil)); len(rows) != 2 {
		t.Errorf("%d rows were restored, want 2", len(rows))
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(e.path), ".backup-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	e := empty(t)
	for range 2 {
		if err := e.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, e, `SELECT count(*) FROM "_health"`); n != 1 {
		t.Errorf("%d rows of health, want 1", n)
	}
}

// TestDamage: a file that is not a database is refused, and one with a page that was overwritten is
// told of: by Check while it is small, and by Verify however large it is. It can still be written.
func TestDamage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "broken.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); err == nil {
		t.Error("a file that is no database was opened")
	}
	for _, large := range []bool{false, true} {
		if large && testing.Short() {
			t.Log("LEFT OUT with -short: the large file, for as many bytes to look at")
			break
		}
		e := empty(t)
		for i := range 300 {
			insert(t, e, users, blank(users, i))
		}
		if large {
			post := blank(posts, 1)
			post[postTitle] = expr.TextOf(strings.Repeat("x", lookAtBytes))
			insert(t, e, posts, post)
			ctx, cancel := context.WithCancel(t.Context())
			if err := e.Verify(&patience{ctx, cancel}); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%v, want a look that ends with its context", err)
			}
		}
		if err := e.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		damaged := overwritten(t, e, "users")
		err := damaged.Check(t.Context())
		var d *driver.Damage
		switch {
		case large && err != nil:
			t.Errorf("Check looks through a large file: %v", err)
		case !large && !errors.As(err, &d):
			t.Errorf("Check says %v, want damage", err)
		}
		if err := damaged.Verify(t.Context()); !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("large %t: Verify says %v, want damage", large, err)
		}
		if n := count(t, damaged, `SELECT count(*) FROM "_health"`); n != 1 {
			t.Errorf("%d rows of health, want 1: it was not written", n)
		}
	}
}

// overwritten opens a copy of a database in which the first page of a table was overwritten.
func overwritten(t *testing.T, e *Engine, table string) *Engine {
	t.Helper()
	var b bytes.Buffer
	if err := e.Backup(t.Context(), &b, nil); err != nil {
		t.Fatal(err)
	}
	page := count(t, e, `SELECT rootpage FROM sqlite_schema WHERE name = '`+table+`'`)
	size := count(t, e, "PRAGMA page_size")
	copy(b.Bytes()[(page-1)*size:page*size], bytes.Repeat([]byte{0xa5}, int(size)))
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { damaged.Close() })
	return damaged
}

// patience is a context that ends when somebody begins to wait for its end.
type patience struct {
	context.Context
	cancel func()
}

func (p *patience) Value(any) any { return nil } // else package context asks the one inside

func (p *patience) AfterFunc(f func()) (stop func() bool) {
	defer p.cancel()
	return context.AfterFunc(p.Context, f)
}

// TestDamagedList: a list that cannot be read is an error, not null: a null would be written back.
func TestDamagedList(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, posts, blank(posts, 1), blank(posts, 2))
	err := e.writer.do(t.Context(), func(c *conn) error {
		return c.run(`UPDATE "posts" SET "tags" = '["a' WHERE "id" = ?1`, expr.TextOf(id(2)))
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, read := range map[string]func(driver.Columns){
		"Value":  func(c driver.Columns) { c.Value(postTags) },
		"Record": func(c driver.Columns) { c.Record(make(driver.Record, len(posts.Fields))) },
	} {
		s, err := e.Prepare(all(posts, nil))
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		in := func(r driver.Reader) error {
			return r.Rows(t.Context(), s, nil, func(c driver.Columns) error { rows++; read(c); return nil })
		}
		for where, err := range map[string]error{"Rows": in(e), "Read": e.Read(t.Context(), in), "Write": e.Write(t.Context(), func(tx driver.Tx) error { return in(tx) })} {
			if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s in %s: %v, want damage", what, where, err)
			}
		}
		if rows != 6 {
			t.Errorf("%d rows were read, want 6", rows)
		}
	}
}

// TestFull: a full disk refuses what does not fit, and nothing that was answered is lost.
func TestFull(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, users, blank(users, 1))
	pages := func(n string) {
		err := e.writer.do(t.Context(), func(c *conn) error {
			return c.each("PRAGMA max_page_count = "+n, func(*sqlite.Stmt) error { return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	pages("1") // no fewer than there are
	big := blank(users, 2)
	big[userName] = expr.TextOf(string(bytes.Repeat([]byte("x"), 1<<20)))
	put := func(r driver.Record) func(driver.Tx) error {
		return func(tx driver.Tx) error { return tx.Insert(users, r) }
	}
	if err := e.Write(t.Context(), put(big)); !fault.Is(err, fault.Full) {
		t.Errorf("a full disk: %v", err)
	}
	errs := together(t, e, func(driver.Tx) error { return nil }, put(big), put(blank(users, 3)))
	if errs[0] != nil && !fault.Is(errs[0], fault.Full) || !fault.Is(errs[1], fault.Full) || errs[2] != nil && !fault.Is(errs[2], fault.Full) {
		t.Errorf("in company: %v", errs)
	}
	pages("1000000")
	if err := e.Write(t.Context(), put(big)); err != nil {
		t.Errorf("after the disk was freed: %v", err)
	}
	want := 2
	if errs[2] == nil {
		want++
	}
	if rows := ask(t, e, all(users, nil)); len(rows) != want {
		t.Errorf("%d rows, want %d", len(rows), want)
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]bool{"3.51.2": true, "3.51.3": false, "3.53.0": false, "3.6.0": true, "3.51": true, "4.0.0": false} {
		if older(v, oldest) != want {
			t.Errorf("%s older than %s: %v", v, oldest, !want)
		}
	}
}

// TestFileIsCut: what a reader sees of the file through memory may go away. That is an error of the
// one who reads, not the end of the process, and others read on when the file is whole again.
func TestFileIsCut(t *testing.T) {
	t.Parallel()
	e := empty(t)
	long := strings.Repeat("x", 9000) // reaches over several pages
	for n := range 200 {
		r := blank(users, n)
		r[userName] = expr.TextOf(long)
		insert(t, e, users, r)
	}
	other, err := connect(e.path, sqlite.OpenReadWrite, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) { // the engine may be at it itself, and says to nobody when it has done
		left, err := other.log("PASSIVE")
		if err != nil || time.Now().After(end) {
			t.Fatal("the log is not in the file: ", left, err)
		}
		if left == 0 {
			break
		}
	}
	other.close()
	s, err := e.Prepare(&driver.Query{From: users, Limit: -1, Cols: []driver.Col{{Ord: spec.OrdID}, {Ord: userName}}})
	if err != nil {
		t.Fatal(err)
	}
	read := func() (n int, err error) {
		err = e.Rows(t.Context(), s, nil, func(driver.Columns) error { n++; return nil })
		return n, err
	}
	if n, err := read(); n != 200 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	whole, err := os.ReadFile(e.path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = e.Rows(t.Context(), s, nil, func(cols driver.Columns) error {
		if n++; n == 5 {
			if err := os.Truncate(e.path, 1<<20); err != nil {
				return err
			}
		}
		_ = cols.Text(1)
		return nil
	})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("a file that was cut after 5 of %d rows: %v", n, err)
	}
	f, err := os.OpenFile(e.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(whole); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if n, err := read(); n != 200 || err != nil {
		t.Errorf("the file is whole again: %d rows, %v", n, err)
	}
	if err := e.Check(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("nobody is told: %v", err)
	}
	for _, c := range e.readers.idle {
		if c.mapped {
			t.Error("the file is still read through memory")
		}
	}
}

// A few long questions do not keep the short ones waiting.
func TestLongReadersDoNotBlock(t *testing.T) {
	t.Parallel()
	e := empty(t)
	insert(t, e, users, blank(users, 1))
	s, err := e.Prepare(all(users, nil))
	if err != nil {
		t.Fatal(err)
	}
	inside, free := make(chan struct{}), make(chan struct{})
	var long sync.WaitGroup
	for range cap(e.readers.free) + 3 {
		long.Go(func() {
			err := e.Rows(context.Background(), s, nil, func(driver.Columns) error {
				inside <- struct{}{}
				<-free
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-inside // with no more connections than usual this would wait for ever
	}
	rows := 0
	if err := e.Rows(t.Context(), s, nil, func(driver.Columns) error { rows++; return nil }); err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
	close(free)
	long.Wait()
	e.readers.mu.Lock()
	if len(e.readers.idle) < cap(e.readers.free)+3 || len(e.readers.busy) > 0 {
		t.Errorf("%d connections are kept for a while, %d are in use", len(e.readers.idle), len(e.readers.busy))
	}
	e.readers.linger = 0
	e.readers.mu.Unlock()
	e.readers.trim()
	e.readers.mu.Lock()
	open := len(e.readers.idle)
	e.readers.mu.Unlock()
	if open != cap(e.readers.free) {
		t.Errorf("%d connections stay open", open)
	}
	if len(e.readers.extra) != cap(e.readers.extra) || len(e.readers.free) != cap(e.readers.free) {
		t.Error("a token was lost")
	}
}

// Where all wait because there is much to do, and no question is long, there are no more connections than usual.
func TestWaitingAloneIsNoReason(t *testing.T) {
	t.Parallel()
	p := newReaders("", 2)
	for range 2 {
		p.lend(&conn{}, p.free)
		<-p.free
	}
	for c := range p.busy {
		p.busy[c] = time.Now().Add(time.Hour) // taken a moment ago, for as long as this test may take
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*long)
	defer cancel()
	if _, err := p.take(ctx); !fault.Is(err, fault.Unavailable) {
		t.Errorf("one more was opened: %v", err)
	}
}
