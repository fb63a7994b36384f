package mysql_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
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

// wire stands between an engine and its server, counts commands and cuts them.
type wire struct {
	trips atomic.Int64
	meet  atomic.Pointer[func(command []byte) verdict] // asked before a command goes on
}

type verdict int

const (
	pass verdict = iota
	cut          // it does not arrive
	lost         // it arrives, but no answer comes back
	torn         // it arrives, and the link to the client is cut at once, of which the server does not know
)

// through is an address that leads to a database through a wire.
func through(t testing.TB, address string) (*wire, string) {
	t.Helper()
	w := &wire{}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	network, to := "unix", u.Query().Get("socket")
	if to == "" {
		network, to = "tcp", u.Host
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
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
			server, err := net.Dial(network, to)
			if err != nil {
				client.Close()
				continue
			}
			go w.carry(client, server)
		}
	}()
	u.Host, u.RawQuery = "", "socket="+socket
	return w, u.String()
}

const (
	closeStatement = 0x19 // has no answer
	query          = 0x03
	execute        = 0x17
)

// carry takes packets from the client one by one: three bytes of length, the number in its exchange, which is 0
// for a command, and what it says.
func (w *wire) carry(client, server net.Conn) {
	var deaf atomic.Bool
	over := make(chan bool)
	go func() {
		defer close(over)
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if err != nil {
				client.Close()
				return
			}
			if deaf.Load() { // it is done
				client.Close()
				continue
			}
			client.Write(buf[:n])
		}
	}()
	defer client.Close()
	defer server.Close()
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(append(head[:3:3], 0)))
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if head[3] == 0 && body[0] != closeStatement {
			w.trips.Add(1)
			if f := w.meet.Load(); f != nil {
				switch (*f)(body) {
				case cut:
					return
				case torn:
					deaf.Store(true)
					server.Write(append(head, body...))
					client.Close()
					<-over
					return
				case lost:
					deaf.Store(true)
					server.Write(append(head, body...))
					io.Copy(io.Discard, client)
					return
				}
			}
		}
		server.Write(append(head, body...))
	}
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	first, address := empty(t)
	others := another(t, first)
	w, address := through(t, address)
	e := openWith(t, address, 1)
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
	insert := func(list expr.Value) func(tx driver.Tx) {
		return func(tx driver.Tx) {
			n++
			r := post(n)
			r[postTags] = list
			if err := tx.Insert(posts, r); err != nil {
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
		{"a snapshot with two queries, its begin and its end", 4, func() {
			if err := e.Read(context.Background(), func(r driver.Reader) error { ask(r, get); ask(r, get); return nil }); err != nil {
				t.Error(err)
			}
		}},
		{"an insert", 2, write(insert(expr.Value{}))},
		{"an insert that is the whole", 1, write(func(tx driver.Tx) {
			n++
			finish(t, tx, nil, plain(n))
		})},
		{"an insert with what it refers to that is the whole", 1, write(func(tx driver.Tx) {
			n++
			finish(t, tx, nil, refersTo(plain(n), others))
		})},
		{"several that are the whole", 1, write(func(tx driver.Tx) {
			n += 3
			finish(t, tx, nil, plain(n-2), refersTo(plain(n-1), others), refersTo(plain(n), others))
		})},
		{"several that refer to their own", 1, write(func(tx driver.Tx) {
			n += 2
			finish(t, tx, nil, refersTo(plain(n-1), posts), refersTo(plain(n), posts))
		})},
		{"a record and its change", 2, write(func(tx driver.Tx) {
			ask(tx, get)
			finish(t, tx, revision(1, 1))
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
		{"a delete of many", 2, write(func(tx driver.Tx) {
			if _, err := tx.Delete(posts, []string{id(500), id(501), id(502)}); err != nil {
				t.Error(err)
			}
		})},
		{"a write that asks nothing", 0, write(func(driver.Tx) {})},
		{"a write that is refused before it asks", 0, func() {
			if err := e.Write(context.Background(), func(driver.Tx) error { return boom }); err != boom {
				t.Error(err)
			}
		}},
		{"the health check", 1, func() {
			if err := e.Check(context.Background()); err != nil {
				t.Error(err)
			}
		}},
	} {
		c.do() // statements are prepared, on a connection of the mode that is needed
		e.Idle()
		c.do()
		e.Idle()
		before := w.trips.Load()
		c.do()
		e.Idle()
		if got := w.trips.Load() - before; got != c.want {
			t.Errorf("%s: %d round trips, want %d", c.name, got, c.want)
		}
	}
}

// TestCommitLost: what becomes of a commit whose answer is lost is found out, or it is said that nobody knows.
func TestCommitLost(t *testing.T) {
	t.Parallel()
	direct := mysqltest.Database(t)
	create(t, open(t, direct))
	w, address := through(t, direct)
	e := open(t, address)
	at := func(v verdict) {
		var once atomic.Bool
		f := func(command []byte) verdict {
			if command[0] != query || !bytes.Equal(command[1:], []byte("COMMIT")) || !once.CompareAndSwap(false, true) {
				return pass
			}
			w.meet.Store(nil)
			return v
		}
		w.meet.Store(&f)
	}
	update := func(rev int64) error {
		return e.Write(context.Background(), func(tx driver.Tx) error {
			r := post(1)
			r[spec.OrdRev], r[spec.OrdUpdated] = expr.IntOf(rev+1), expr.TimeOf(rev*1000)
			ok, err := tx.Update(posts, id(1), rev, r, []int{spec.OrdUpdated, spec.OrdRev, postTitle})
			if err == nil && !ok {
				err = errors.New("it has another revision")
			}
			return err
		})
	}
	if err := insert(e, post(1)); err != nil {
		t.Fatal(err)
	}
	at(cut)
	if err := update(1); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nothing is stored") {
		t.Errorf("an update, cut off before it: %v", err)
	}
	at(lost)
	if err := update(1); err != nil {
		t.Errorf("an update, done and not answered: %v", err)
	}
	at(lost)
	if err := insert(e, post(3)); err != nil {
		t.Errorf("an insert, done and not answered: %v", err)
	}
	at(cut)
	err := insert(e, post(2))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nothing is stored") {
		t.Errorf("an insert, cut off before it: %v", err)
	}
	has(t, e, 1, 3)
	if err := update(2); err != nil { // the database is used on
		t.Error(err)
	}
}

// TestRestart: connections that died in the pool are noticed before anything depends on them.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
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

// another makes a collection like posts, with one record.
func another(t *testing.T, e *mysql.Engine) *spec.Collection {
	t.Helper()
	others := *posts
	others.Name = "others"
	if err := e.Apply(context.Background(), driver.Step{Kind: driver.CreateTable, New: tableOf(&others)}, nil); err != nil {
		t.Fatal(err)
	}
	if err := e.Write(context.Background(), func(tx driver.Tx) error { return tx.Insert(&others, post(1)) }); err != nil {
		t.Fatal(err)
	}
	return &others
}

// plain is a post without lists.
func plain(n int) driver.Insertion {
	r := post(n)
	r[postTags] = expr.Value{}
	return driver.Insertion{C: posts, R: r}
}

func refersTo(one driver.Insertion, c *spec.Collection) driver.Insertion {
	one.Refers = []driver.Reference{{C: c, ID: id(1)}}
	return one
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

// TestFinishLost: a write that is one statement is settled where the link is cut: before it arrives, when it is done,
// and while it waits. What is told is so: nothing is stored twice, and nothing that was said not to be.
func TestFinishLost(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
	direct := server.Database(t)
	first := open(t, direct)
	create(t, first)
	others := another(t, first)
	w, address := through(t, direct)
	e := openWith(t, address, 1)
	fill(t, e, 2)
	have, n := []int{1, 2}, 2
	at := func(v verdict, before func()) {
		f := func(command []byte) verdict {
			if command[0] != execute {
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
	write := func(of int, all ...driver.Insertion) error {
		err := e.Write(context.Background(), func(tx driver.Tx) error {
			var u *driver.Revision
			want := len(all)
			if of > 0 {
				u = revision(of, rev[of])
				u.R[spec.OrdRev], u.R[spec.OrdUpdated] = expr.IntOf(rev[of]+1), expr.TimeOf(rev[of]*1000)
				u.Ords = []int{spec.OrdUpdated, spec.OrdRev, postTitle}
				want++
			}
			at, err := tx.(driver.Finisher).Finish(u, all)
			if err == nil && at != want {
				err = errors.New("it stopped")
			}
			return err
		})
		if err == nil {
			rev[of]++
			for range all {
				n++
				have = append(have, n)
			}
		} else {
			n += len(all)
		}
		return err
	}
	for name, do := range map[string]func() error{
		"a record":              func() error { return write(0, refersTo(plain(n+1), others)) },
		"several":               func() error { return write(0, refersTo(plain(n+1), others), refersTo(plain(n+2), others)) },
		"a change":              func() error { return write(1) },
		"one without":           func() error { return write(0, plain(n+1)) },
		"a change and a record": func() error { return write(1, refersTo(plain(n+1), others)) },
		"several, of their own": func() error { return write(0, refersTo(plain(n+1), posts), plain(n+2)) },
	} {
		for _, c := range []struct {
			name string
			v    verdict
			told string // "": it is done
		}{{"cut before it", cut, "nothing is stored"}, {"done", lost, ""}} {
			if err := errors.Join(do(), do()); err != nil { // statements are prepared
				t.Fatal(err)
			}
			at(c.v, nil)
			err := do()
			if c.told == "" && err != nil || c.told != "" && (!fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), c.told)) {
				t.Errorf("%s, %s: %v", name, c.name, err)
			}
			has(t, e, have...)
			if err := write(2); err != nil { // the database is used on
				t.Errorf("%s, %s, after it: %v", name, c.name, err)
			}
		}
	}
	// Another holds what it waits for when the link is cut.
	lock := one()
	lock.Lock, lock.From = driver.LockGone, others
	for _, hold := range []time.Duration{0, 300 * time.Millisecond} {
		holds, cuts, over := make(chan bool), make(chan bool), make(chan error)
		go func() {
			over <- first.Write(context.Background(), func(tx driver.Tx) error {
				_, err := texts(tx, prepare(t, first, lock), expr.TextOf(id(1)))
				close(holds)
				<-cuts
				time.Sleep(hold)
				return err
			})
		}()
		<-holds
		at(torn, func() { close(cuts) })
		err := write(0, refersTo(plain(n+1), others))
		if err := <-over; err != nil {
			t.Fatal(err)
		}
		if err != nil && !strings.Contains(err.Error(), "nothing is stored") {
			t.Errorf("torn off while it waited: %v", err)
		}
		has(t, e, have...)
	}
	if !e.Compounds() {
		t.Error("MariaDB takes compound statements")
	}
	server.Crash(t) // while the connections lie in the pool
	if err := write(0, refersTo(plain(n+1), others)); err != nil {
		t.Errorf("crashed before it: %v", err)
	}
	has(t, e, have...)
}

// TestAutocommit: a write of one statement is committed on a server that commits nothing by itself.
func TestAutocommit(t *testing.T) {
	t.Parallel()
	server := mysqltest.Start(t)
	address := server.Database(t)
	raw(t, address).exec(t, "SET GLOBAL autocommit = 0")
	e := open(t, address)
	create(t, e)
	if err := e.Write(context.Background(), func(tx driver.Tx) error { finish(t, tx, nil, plain(1)); return nil }); err != nil {
		t.Fatal(err)
	}
	has(t, open(t, address), 1)
}

// TestRefusedOnReadingConnection: what is refused together is done once more, one after the other, on the connection
// that is there: the first of an engine, which has none that writes.
func TestRefusedOnReadingConnection(t *testing.T) {
	t.Parallel()
	_, address := empty(t)
	e := openWith(t, address, 1)
	var at int
	err := e.Write(context.Background(), func(tx driver.Tx) (err error) {
		at, err = tx.(driver.Finisher).Finish(nil, []driver.Insertion{plain(1), plain(1)})
		return err
	})
	if !fault.Is(err, fault.Unique) || at != 1 {
		t.Errorf("two records with one id: at %d, %v", at, err)
	}
	has(t, e)
}
