package postgres_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// wire stands between an engine and its server, counts round trips and cuts them.
type wire struct {
	dir   string
	trips atomic.Int64
	meet  atomic.Pointer[func(message []byte) verdict] // asked before a message goes on
	mu    sync.Mutex
	open  []net.Conn
}

type verdict int

const (
	pass verdict = iota
	cut          // it does not arrive
	lost         // it arrives, but no answer comes back
	held         // it does not arrive, and nobody says so
	done         // it arrives, and the link is cut when it is answered
	torn         // it arrives, and the link to the client is cut at once
)

// through is an address that leads to a database through a wire.
func through(t testing.TB, address string) (*wire, string) {
	t.Helper()
	w := &wire{dir: t.TempDir()}
	socket := "/.s.PGSQL.5432"
	dir, rest, _ := strings.Cut(strings.TrimPrefix(address, "host="), " ")
	l, err := net.Listen("unix", filepath.Join(w.dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", dir+socket)
			if err != nil {
				client.Close()
				continue
			}
			w.mu.Lock()
			w.open = append(w.open, client)
			w.mu.Unlock()
			go w.carry(client, server)
		}
	}()
	return w, "host=" + w.dir + " " + rest
}

// carry takes messages from the client one by one. The first has no type.
func (w *wire) carry(client, server net.Conn) {
	var deaf atomic.Bool
	heard := make(chan bool, 1)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if err != nil {
				client.Close()
				return
			}
			if !deaf.Load() {
				client.Write(buf[:n])
			} else {
				select {
				case heard <- true:
				default:
				}
			}
		}
	}()
	defer client.Close()
	for first := true; ; first = false {
		head := make([]byte, 5)
		if first {
			head = head[1:]
		}
		if _, err := io.ReadFull(client, head); err != nil {
			server.Close()
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			server.Close()
			return
		}
		if !first && (head[0] == 'S' || head[0] == 'Q') {
			w.trips.Add(1)
		}
		if f := w.meet.Load(); f != nil && !first {
			switch (*f)(append(head[:1:1], body...)) {
			case cut:
				server.Close()
				return
			case held:
				continue
			case done:
				deaf.Store(true)
				server.Write(append(head, body...))
				<-heard
				server.Close()
				return
			case torn:
				deaf.Store(true)
				server.Write(append(head, body...))
				return
			case lost:
				deaf.Store(true)
				server.Write(append(head, body...))
				server.Write([]byte{'S', 0, 0, 0, 4})
				buf := make([]byte, 64)
				for { // what follows was sent with it
					client.Read(buf)
					return
				}
			}
		}
		server.Write(append(head, body...))
	}
}

func (w *wire) count(do func()) int64 {
	before := w.trips.Load()
	do()
	return w.trips.Load() - before
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	_, address := empty(t)
	w, address := through(t, address)
	e := open(t, address+" pool_max_conns=1")
	get, lock := prepare(t, e, one()), one()
	lock.Lock = driver.LockWrite
	locked := prepare(t, e, lock)
	n := 0
	ask := func(r driver.Reader, s driver.Stmt) {
		if got, err := texts(r, s, expr.TextOf(id(1))); err != nil || len(got) > 1 {
			t.Errorf("%q, %v", got, err)
		}
	}
	write := func(do func(tx driver.Tx)) func() {
		return func() {
			if err := e.Write(context.Background(), func(tx driver.Tx) error { do(tx); return nil }); err != nil {
				t.Error(err)
			}
		}
	}
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		want int64
		do   func()
	}{
		{"a query", 1, func() { ask(e, get) }},
		{"a snapshot with two queries, and its end", 3, func() {
			if err := e.Read(context.Background(), func(r driver.Reader) error { ask(r, get); ask(r, get); return nil }); err != nil {
				t.Error(err)
			}
		}},
		{"an insert", 2, write(func(tx driver.Tx) {
			n++
			if err := tx.Insert(posts, post(n)); err != nil {
				t.Error(err)
			}
		})},
		{"an insert with what it refers to", 2, write(func(tx driver.Tx) {
			n++
			refers := []driver.Reference{{C: posts, ID: id(1)}}
			if at, err := tx.(driver.Inserter).InsertAll([]driver.Insertion{{C: posts, R: post(n), Refers: refers}}); at != 1 || err != nil {
				t.Error(at, err)
			}
		})},
		{"an insert that is the whole", 1, write(func(tx driver.Tx) {
			n++
			finish(t, tx, nil, driver.Insertion{C: posts, R: post(n)})
		})},
		{"an insert with what it refers to that is the whole", 1, write(func(tx driver.Tx) {
			n++
			finish(t, tx, nil, driver.Insertion{C: posts, R: post(n), Refers: []driver.Reference{{C: posts, ID: id(1)}}})
		})},
		{"several that are the whole", 1, write(func(tx driver.Tx) {
			n += 2
			refers := []driver.Reference{{C: posts, ID: id(1)}}
			finish(t, tx, nil, driver.Insertion{C: posts, R: post(n - 1), Refers: refers}, driver.Insertion{C: posts, R: post(n), Refers: refers})
		})},
		{"a record and its change", 2, write(func(tx driver.Tx) {
			ask(tx, get)
			finish(t, tx, revision(1, 1))
		})},
		{"a record and its change, with another", 2, write(func(tx driver.Tx) {
			n++
			ask(tx, get)
			finish(t, tx, revision(1, 1), driver.Insertion{C: posts, R: post(n)})
		})},
		{"a question and a refusal", 1, func() {
			err := e.Write(context.Background(), func(tx driver.Tx) error { ask(tx, get); return boom })
			if err != boom {
				t.Error(err)
			}
		}},
		{"a locked record and its update", 3, write(func(tx driver.Tx) {
			ask(tx, locked)
			if ok, err := tx.Update(posts, id(1), 1, post(1), []int{postTitle}); !ok || err != nil {
				t.Error(ok, err)
			}
		})},
		{"a delete", 2, write(func(tx driver.Tx) {
			if _, err := tx.Delete(posts, []string{id(500)}); err != nil {
				t.Error(err)
			}
		})},
		{"a write that asks nothing", 0, write(func(driver.Tx) {})},
		{"a write that is refused before it asks", 0, func() {
			if err := e.Write(context.Background(), func(driver.Tx) error { return boom }); err != boom {
				t.Error(err)
			}
		}},
	} {
		c.do() // statements are prepared
		e.Check(context.Background())
		if got := w.count(func() { c.do(); settled(t, e) }) - 1; got != c.want {
			t.Errorf("%s: %d round trips, want %d", c.name, got, c.want)
		}
	}
}

// revision changes the title of a post, and leaves its revision.
func revision(n int, rev int64) *driver.Revision {
	r := post(n)
	r[spec.OrdRev] = expr.IntOf(rev)
	return &driver.Revision{C: posts, ID: id(n), Rev: rev, R: r, Ords: []int{postTitle}}
}

func finish(t *testing.T, tx driver.Tx, u *driver.Revision, all ...driver.Insertion) {
	t.Helper()
	want := len(all)
	if u != nil {
		want++
	}
	if at, err := tx.(driver.Finisher).Finish(u, all); at != want || err != nil {
		t.Error(at, err)
	}
}

// TestLate: a question whose time is over is not asked once more on another connection.
func TestLate(t *testing.T) {
	t.Parallel()
	_, address := empty(t)
	w, address := through(t, address)
	e := open(t, address)
	get := prepare(t, e, one())
	if _, err := texts(e, get, expr.TextOf(id(1))); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	silent := func(m []byte) verdict {
		if m[0] == 'B' { // Bind
			asked.Add(1)
		}
		return held
	}
	w.meet.Store(&silent)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := e.Rows(ctx, get, []expr.Value{expr.TextOf(id(1))}, func(driver.Columns) error { return nil })
	w.meet.Store(nil)
	if !fault.Is(err, fault.Unavailable) || asked.Load() != 1 || time.Since(began) > 10*time.Second {
		t.Errorf("asked %d times in %v: %v", asked.Load(), time.Since(began), err)
	}
	if _, err := texts(e, get, expr.TextOf(id(1))); err != nil { // goes on
		t.Error(err)
	}
}

// settled waits until nothing is under way: a connection alone can then be taken and asked, in one round trip.
func settled(t *testing.T, e *postgres.Engine) {
	t.Helper()
	e.Idle()
	if err := e.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestCommitLost: what becomes of a commit whose answer is lost is found out, or it is said that nobody knows.
func TestCommitLost(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	direct := server.Database(t)
	create(t, open(t, direct))
	w, address := through(t, direct)
	e := open(t, address)
	if err := insert(e, post(1)); err != nil {
		t.Fatal(err)
	}
	at := func(v verdict, more func()) {
		var once atomic.Bool
		var name []byte
		f := func(m []byte) verdict {
			if m[0] == 'P' && bytes.Contains(m, []byte("\x00COMMIT\x00")) {
				name = append([]byte(nil), m[1:bytes.IndexByte(m, 0)]...)
			}
			commits := m[0] == 'B' && name != nil && bytes.HasPrefix(m[2:], append(name, 0))
			if !commits || !once.CompareAndSwap(false, true) {
				if m[0] == 'E' && once.Load() && v == lost {
					w.meet.Store(nil)
					if more != nil {
						more()
					}
					return lost
				}
				return pass
			}
			if v == cut {
				w.meet.Store(nil)
				return cut
			}
			return pass
		}
		w.meet.Store(&f)
	}
	prepared := func() { // the connections that are there have prepared COMMIT: they are closed
		w.mu.Lock()
		for _, c := range w.open {
			c.Close()
		}
		w.open = nil
		w.mu.Unlock()
	}
	prepared()
	at(cut, nil)
	err := insert(e, post(2))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nothing is stored") {
		t.Errorf("cut off before it: %v", err)
	}
	prepared()
	at(lost, nil)
	if err := insert(e, post(3)); err != nil {
		t.Errorf("done, and not answered: %v", err)
	}
	prepared()
	at(lost, func() { server.Crash(t) })
	err = insert(e, post(4))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "may or may not") {
		t.Errorf("crashed: %v", err)
	}
	has(t, e, 1, 3)
}

// TestRestart: connections that died in the pool are noticed before anything depends on them.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	e := open(t, server.Database(t))
	create(t, e)
	fill(t, e, 1)
	all := prepare(t, e, ids(nil))
	for name, do := range map[string]func() error{
		"a query": func() error { _, err := texts(e, all); return err },
		"a snapshot": func() error {
			return e.Read(context.Background(), func(r driver.Reader) error { _, err := texts(r, all); return err })
		},
		"a write": func() error {
			return e.Write(context.Background(), func(tx driver.Tx) error {
				_, err := tx.Update(posts, id(1), 1, post(1), []int{postTitle})
				return err
			})
		},
		"the health check": func() error { return e.Check(context.Background()) },
	} {
		server.Crash(t)
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFinishLost: what travels with its commit is settled where the link is cut: before it arrives, before its end does,
// and when it is done. What is told is so: nothing is stored twice, and nothing that was said not to be.
func TestFinishLost(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	direct := server.Database(t)
	create(t, open(t, direct))
	w, address := through(t, direct)
	e := open(t, address+" pool_max_conns=1")
	fill(t, e, 2)
	have := []int{1, 2}
	n := 2
	refers := []driver.Reference{{C: posts, ID: id(1)}}
	// at meets the first message with that type of a statement that is executed.
	at := func(kind byte, v verdict, before func()) {
		var last byte
		f := func(m []byte) verdict {
			was := last
			last = m[0]
			if m[0] != kind || kind == 'S' && was != 'E' {
				return pass
			}
			w.meet.Store(nil)
			if before != nil {
				before()
			}
			return v
		}
		w.meet.Store(&f)
	}
	rev := map[int]int64{1: 1, 2: 1}
	revise := func(of int) *driver.Revision {
		u := revision(of, rev[of])
		u.R[spec.OrdRev], u.R[spec.OrdUpdated] = expr.IntOf(rev[of]+1), expr.TimeOf(rev[of]*1000)
		u.R[postTags] = expr.ListOf(expr.TextOf("x"))
		u.Ords = []int{spec.OrdUpdated, spec.OrdRev, postTitle, postTags}
		return u
	}
	write := func(u *driver.Revision, all ...driver.Insertion) error {
		return e.Write(context.Background(), func(tx driver.Tx) error {
			at, err := tx.(driver.Finisher).Finish(u, all)
			want := len(all)
			if u != nil {
				want++
			}
			if err == nil && at != want {
				err = errors.New("it stopped")
			}
			return err
		})
	}
	for _, kind := range []struct {
		name   string
		revise bool
		make   int
	}{{"a record", false, 1}, {"several", false, 3}, {"a change", true, 0}, {"a change and a record", true, 1}} {
		do := func() ([]int, error) {
			var u *driver.Revision
			if kind.revise {
				u = revise(1)
			}
			var all []driver.Insertion
			var numbers []int
			for range kind.make {
				n++
				numbers = append(numbers, n)
				all = append(all, driver.Insertion{C: posts, R: post(n), Refers: refers})
			}
			err := write(u, all...)
			if err == nil {
				have = append(have, numbers...)
				if kind.revise {
					rev[1]++
				}
			}
			return numbers, err
		}
		if _, err := do(); err != nil { // statements are prepared
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			kind byte
			v    verdict
			told string // "": it is done
		}{
			{"cut before it", 'B', cut, "nothing is stored"},
			{"cut before its end", 'S', cut, "nothing is stored"},
			{"done", 'S', done, ""},
		} {
			if _, err := do(); err != nil {
				t.Fatal(err)
			}
			at(c.kind, c.v, nil)
			_, err := do()
			if c.told == "" && err != nil || c.told != "" && (!fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), c.told)) {
				t.Errorf("%s, %s: %v", kind.name, c.name, err)
			}
			has(t, e, have...)
			if err := write(revise(2)); err != nil { // the database is used on
				t.Errorf("%s, %s, after it: %v", kind.name, c.name, err)
			}
			rev[2]++
		}
	}
	// Another holds what it waits for when the link is cut.
	other, lock := open(t, direct), one()
	lock.Lock = driver.LockGone
	locked := prepare(t, other, lock)
	for _, hold := range []time.Duration{0, 300 * time.Millisecond} {
		holds, cuts := make(chan bool), make(chan bool)
		over := make(chan error)
		go func() {
			over <- other.Write(context.Background(), func(tx driver.Tx) error {
				_, err := texts(tx, locked, expr.TextOf(id(1)))
				close(holds)
				<-cuts
				time.Sleep(hold)
				return err
			})
		}()
		<-holds
		at('S', torn, func() { close(cuts) })
		n++
		err := write(nil, driver.Insertion{C: posts, R: post(n), Refers: refers})
		if err := <-over; err != nil {
			t.Fatal(err)
		}
		switch {
		case err == nil:
			have = append(have, n)
		case !strings.Contains(err.Error(), "nothing is stored"):
			t.Errorf("torn off while it waited: %v", err)
		}
		has(t, e, have...)
	}
	// The server ends the connection, and it crashes.
	at('S', cut, func() { server.Crash(t) })
	n++
	if err := write(nil, driver.Insertion{C: posts, R: post(n), Refers: refers}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "may or may not") {
		t.Errorf("crashed: %v", err)
	}
	has(t, e, have...)
	server.Crash(t) // while the connections lie in the pool
	n++
	if err := write(nil, driver.Insertion{C: posts, R: post(n), Refers: refers}); err != nil {
		t.Errorf("crashed before it: %v", err)
	}
	has(t, e, append(have, n)...)
}
