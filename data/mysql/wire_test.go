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

	"github.com/bluell/plinth/data/driver"
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
)

// carry takes packets from the client one by one: three bytes of length, the number in its exchange, which is 0
// for a command, and what it says.
func (w *wire) carry(client, server net.Conn) {
	var deaf atomic.Bool
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if err != nil {
				client.Close()
				return
			}
			if deaf.Load() { // it is done
				client.Close()
				return
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
	_, address := empty(t)
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
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "may or may not") {
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
