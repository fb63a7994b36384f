package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAskReadsEveryKindOfBody(t *testing.T) {
	long := strings.Repeat("0123456789", 10_000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/short":
			fmt.Fprint(w, "short")
		case "/chunked":
			fmt.Fprint(w, long[:70_000])
			w.(http.Flusher).Flush()
			fmt.Fprint(w, long[70_000:])
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer srv.Close()
	c, err := dial(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()

	// one connection for all: what is left of one answer would spoil the next
	for _, keep := range []bool{true, false} {
		for path, want := range map[string]string{"/short": "short", "/chunked": long, "/nothing": ""} {
			status, body, err := c.ask(appendGet(nil, path, ""), keep)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if status/100 != 2 || keep && string(body) != want {
				t.Errorf("%s: status %d, %d bytes", path, status, len(body))
			}
		}
	}
}

func TestSeedIsTheSameEachTime(t *testing.T) {
	first, again, next := seedPost(10, "a"), seedPost(10, "a"), seedPost(11, "a")
	if first != again || first == next {
		t.Error("a post must depend on its number alone")
	}
}

func TestFilledIDsSortByNumber(t *testing.T) {
	for n := range 1000 {
		if a, b := filledID(n), filledID(n+1); a >= b || len(a) != 36 {
			t.Fatalf("%s is not before %s", a, b)
		}
	}
}

func TestTableHasRowsLongerThanItsHead(t *testing.T) {
	var out strings.Builder
	var tb table
	tb.row("what", "plinth")
	tb.row("time, ms", "17", "", "<= 18", "yes")
	tb.print(&out)
	if lines := strings.Split(out.String(), "\n"); lines[2] != "time, ms      17  <= 18  yes" {
		t.Errorf("%q", lines)
	}
}
