package rest_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/test/conform"
)

// real is the app on SQLite behind a real server and the real gate, with a connection to it.
type real struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	ask  []byte
	out  []byte
}

// newReal makes the app with one record; ask is a request for it, with a key or without.
func newReal(t testing.TB, withKey bool) *real {
	t.Helper()
	eng, err := sqlite.Open(filepath.Join(t.TempDir(), "plinth.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db := database(t, agency, eng, nil)
	gate, err := auth.New(db, secret, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Close)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil)) // info, as a server has it
	s := httptest.NewServer(web.Guard(rest.New(db, gate.Caller, rest.Options{}), db.App().Server, quiet))
	t.Cleanup(s.Close)
	judged := http.Client{Transport: conform.Transport(t, nil)}
	resp, err := judged.Post(s.URL+"/api/posts", "application/json", strings.NewReader(`{"title":"A title of usual length","stars":3,"status":"open","price":"12.50","tags":["a","b"]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	again, err := judged.Get(s.URL + resp.Header.Get("Location")) // what once reads is as described
	if err != nil || again.StatusCode != http.StatusOK {
		t.Fatal(again, err)
	}
	again.Body.Close()
	headers := ""
	if withKey {
		_, token, err := gate.AddKey(t.Context(), auth.KeyOptions{Role: "staff"})
		if err != nil {
			t.Fatal(err)
		}
		headers = "Authorization: Bearer " + token + "\r\n"
	}
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := &real{t: t, conn: c, in: bufio.NewReader(c), out: make([]byte, 4<<10)}
	r.ask = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n%s\r\n", resp.Header.Get("Location"), headers)
	return r
}

// once asks once and reads the answer, without an allocation of the client's own.
func (r *real) once() {
	if _, err := r.conn.Write(r.ask); err != nil {
		r.t.Fatal(err)
	}
	n, err := r.conn.Read(r.out)
	if err != nil || n < 12 || string(r.out[9:12]) != "200" || r.out[n-1] != '}' {
		r.t.Fatalf("%v %q", err, r.out[:n])
	}
}

// TestReadAllocations bounds what a read of one record costs, network, credential and database and all.
func TestReadAllocations(t *testing.T) {
	for name, c := range map[string]struct {
		key  bool
		most float64
	}{"nobody": {false, 25}, "a key": {true, 25}} {
		r := newReal(t, c.key)
		for range 50 {
			r.once()
		}
		if raced {
			c.most *= 2
		}
		if n := testing.AllocsPerRun(500, r.once); n > c.most {
			t.Errorf("%s: a read allocates %.0f times, at most %.0f were meant", name, n, c.most)
		} else {
			t.Logf("%s: a read allocates %.0f times", name, n)
		}
	}
}

// BenchmarkRealRead is one record over a real server on SQLite.
func BenchmarkRealRead(b *testing.B) {
	for name, key := range map[string]bool{"nobody": false, "key": true} {
		b.Run(name, func(b *testing.B) {
			r := newReal(b, key)
			r.once()
			b.ReportAllocs()
			for b.Loop() {
				r.once()
			}
		})
	}
}
