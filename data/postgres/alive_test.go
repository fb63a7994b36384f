//go:build unix

package postgres

import (
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestQuiet: a connection is looked at without waiting for whoever reads from it.
func TestQuiet(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if !quiet(near) {
		t.Error("nothing was said")
	}
	read := make(chan error)
	go func() {
		_, err := near.Read(make([]byte, 1))
		read <- err
	}()
	time.Sleep(10 * time.Millisecond)
	looked := make(chan bool)
	go func() { looked <- quiet(near) }()
	select {
	case still := <-looked:
		if !still {
			t.Error("nothing was said to the reader")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for the reader")
	}
	far.Write([]byte("x"))
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	far.Write([]byte("x"))
	becomes := func(why string) {
		for end := time.Now().Add(10 * time.Second); quiet(near); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(why)
			}
		}
	}
	becomes("something was said")
	near.Read(make([]byte, 1))
	if !quiet(near) {
		t.Error("it was read")
	}
	far.Close()
	becomes("it is closed")
}

// TestThere: a connection is looked at unless it was heard a moment ago.
func TestThere(t *testing.T) {
	t.Parallel()
	config, err := pgconn.ParseConfig("host=nowhere dbname=d")
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe() // it cannot be looked at
	defer near.Close()
	defer far.Close()
	pg, err := pgconn.Construct(&pgconn.HijackedConn{Conn: near, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(pg)
	s := session{c: c}
	s.bounded(t.Context())
	if c.there() {
		t.Error("it was never heard")
	}
	heard := func(now time.Time, want error) {
		t.Helper()
		c.asked = now
		if err := s.attempt(t.Context(), true, func(*prepared) error { return want }); err != want {
			t.Fatal(err)
		}
	}
	now := time.Now()
	heard(now, nil)
	if c.asked = now.Add(fresh / 2); !c.there() {
		t.Error("it was heard")
	}
	if c.asked = now.Add(fresh); c.there() {
		t.Error("it was heard too long ago")
	}
	s.sent = true
	if heard(now.Add(fresh), net.ErrClosed); c.there() {
		t.Error("what failed was not heard")
	}
}
