package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAnswerIsReadInAnyPieces(t *testing.T) {
	for text, status := range map[string]int{
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 12\r\n\r\nabc\r\n\r\ndefgh": 200,
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n":                             503,
	} {
		for size := 1; size <= len(text); size++ {
			var a answer
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				ended, err := a.feed([]byte(rest[:n]))
				if rest = rest[n:]; err != nil || ended != (rest == "") {
					t.Fatalf("pieces of %d: %q is left, ended %v, %v", size, rest, ended, err)
				}
			}
			if a.status != status {
				t.Errorf("status %d", a.status)
			}
		}
	}
	for _, wrong := range []string{
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\na",
		"HTTP/1.1 2x0 OK\r\n", "nothing of the kind\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n",
	} {
		if _, err := new(answer).feed([]byte(wrong)); err == nil {
			t.Errorf("%q is taken for an answer", wrong)
		}
	}
}

// A crowd asks as often as it is told to, over each of its connections, counts what it is answered, and waits for who is late.
func TestCrowd(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads with epoll")
	}
	var mu sync.Mutex
	from := map[string]int{}
	late := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr]++
		n := from[r.RemoteAddr]
		mu.Unlock()
		switch {
		case r.URL.Path == "/late" && n == 1:
			time.Sleep(300 * time.Millisecond) // longer than the crowd asks
			mu.Lock()
			late++
			mu.Unlock()
		case n%2 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, strings.Repeat("x", n))
	}))
	defer srv.Close()
	for path, pause := range map[string]time.Duration{"/soon": 0, "/late": time.Millisecond} {
		clear(from)
		c, err := newCrowd(srv.Listener.Addr().String(), 10)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		c.pause = pause
		got, err := c.ask(t.Context(), 200, 200*time.Millisecond, func(b []byte, _ *rand.Rand) []byte { return appendGet(b, path, "") })
		if err != nil {
			t.Fatal(err)
		}
		each := 0
		for _, n := range from {
			each += n
		}
		if len(from) != 10 || got.asked != each || len(got.took)+got.refused != got.asked || got.time != 200*time.Millisecond {
			t.Errorf("%s: %+v of %v", path, got, from)
		}
		if path == "/soon" && got.refused == 0 {
			t.Errorf("%s: %+v", path, got)
		}
		if path == "/late" && (late != 10 || got.asked != 10 || got.at(0.5) < 300) {
			t.Errorf("%s: %d were late, %+v", path, late, got)
		}
	}
}
