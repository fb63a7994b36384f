package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/spec"
)

// A caller may ask so often at once and gets it back evenly; others are not touched by it.
func TestRates(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := NewRates(spec.Rate{Count: 3, Per: time.Minute}, nil)
	for i, want := range []struct {
		whom string
		at   time.Duration
		left int64
		back time.Duration
		ok   bool
	}{
		{"ann", 0, 2, 20 * time.Second, true},
		{"ann", 0, 1, 40 * time.Second, true},
		{"ann", 0, 0, 20 * time.Second, true},
		{"ann", 0, 0, 20 * time.Second, false},
		{"bob", 0, 2, 20 * time.Second, true},
		{"ann", 5 * time.Second, 0, 15 * time.Second, false},
		{"ann", 20 * time.Second, 0, 20 * time.Second, true},
		{"ann", 20 * time.Second, 0, 20 * time.Second, false},
		{"ann", time.Hour, 2, 20 * time.Second, true},
	} {
		left, back, ok := l.spend(want.whom, now.Add(want.at))
		if left != want.left || back != want.back || ok != want.ok {
			t.Errorf("%d: %d left, %s, %t; want %v", i, left, back, ok, want)
		}
	}
}

// What is kept does not grow with the callers that there have ever been, and is bounded with those that there are.
func TestRatesForget(t *testing.T) {
	t.Parallel()
	l := NewRates(spec.Rate{Count: 10, Per: time.Second}, nil)
	now := time.Unix(1000, 0)
	for i := range 100_000 {
		l.spend(fmt.Sprint("address:", i), now.Add(time.Duration(i)*time.Millisecond))
	}
	kept := 0
	for i := range l.shards {
		kept += len(l.shards[i].all)
	}
	if kept > 10_000 {
		t.Errorf("%d callers are kept", kept)
	}
	l.most = 200
	for i := range 50_000 {
		l.spend(fmt.Sprint("address:", i), now)
	}
	for i := range l.shards {
		if n := len(l.shards[i].all); n > max(l.most, kept) {
			t.Errorf("%d callers are kept in a shard", n)
		}
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no time passes between the requests
		by := data.Caller{Scope: "address:192.0.2.1"}
		h := Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := Asks(w, &by); err != nil {
				Problem(w, r, err)
				return
			}
			Write(w, r, http.StatusOK, nil)
		}), spec.Server{Limits: spec.Limits{Requests: spec.Rate{Count: 2, Per: time.Hour}}}, quiet)
		for i, want := range []struct {
			status int
			left   string
			after  string
		}{{200, `"requests";r=1;t=1800`, ""}, {200, `"requests";r=0;t=1800`, ""}, {429, `"requests";r=0;t=1800`, "1800"}} {
			rec := ask(h, "GET", "/api/x", "")
			if got := rec.Header(); rec.Code != want.status || got.Get("RateLimit") != want.left || got.Get("Retry-After") != want.after || got.Get("RateLimit-Policy") != `"requests";q=2;w=3600` {
				t.Errorf("%d: %d %v", i, rec.Code, got)
			}
			if want.status == 429 && !contains(rec.Body.String(), `"type":"/problems/quota-exceeded"`, `"violated-policies":["requests"]`) {
				t.Error(rec.Body.String())
			}
		}
		by.Operator = true
		if rec := ask(h, "GET", "/api/x", ""); rec.Code != 200 || rec.Header().Get("RateLimit") != "" {
			t.Errorf("an operator: %d %v", rec.Code, rec.Header())
		}
	})
}

var quiet = slog.New(slog.DiscardHandler)

func ask(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func contains(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
