//go:build linux

package live_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/internal/live"
	"github.com/bluell/plinth/internal/rest"
)

// Who has gone is noticed soon though nothing is sent to it: it counts among its caller's connections no longer.
func TestGoneAreNoticed(t *testing.T) {
	t.Parallel()
	h := serve(t, `
server: {limits: {streams: 3}}
collections:
  posts:
    fields: {title: {type: text}}
    access: {read: true}
`, memory.Open())
	over := httptest.NewTLSServer(rest.New(h.DB, func(*http.Request) (data.Caller, error) { return data.Caller{Scope: "nobody"}, nil }, rest.Options{Live: h.hub}))
	defer over.Close()
	plain := strings.TrimPrefix(h.url, "http://")
	for name, dial := range map[string]func() (net.Conn, error){
		"plain": func() (net.Conn, error) { return net.Dial("tcp", plain) },
		"TLS": func() (net.Conn, error) {
			return tls.Dial("tcp", strings.TrimPrefix(over.URL, "https://"), &tls.Config{InsecureSkipVerify: true})
		},
		"one direction": func() (net.Conn, error) { return net.Dial("tcp", plain) },
	} {
		var all []net.Conn
		for range 3 {
			conn, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "GET /api/posts HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			for read := ""; !strings.Contains(read, "event: ready"); {
				b := make([]byte, 4096)
				n, err := conn.Read(b)
				if read += string(b[:n]); err != nil {
					t.Fatalf("%s: %v after %s", name, err, read)
				}
			}
			all = append(all, conn)
		}
		counted(t, h.hub, 3) // a client is told ready before it is one of the hub's
		for _, conn := range all {
			if name == "one direction" {
				_ = conn.(*net.TCPConn).CloseWrite()
			} else {
				_ = conn.Close()
			}
		}
		counted(t, h.hub, 0)
	}
}

// counted waits until a hub has so many clients. A heartbeat comes after 15 s.
func counted(t *testing.T, hub *live.Hub, n int) {
	t.Helper()
	for begun := time.Now(); hub.Count() != n; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d clients are there, not %d", hub.Count(), n)
		}
	}
}
