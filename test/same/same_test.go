// Package same_test asks random apps random questions over HTTP, on every engine beside the memory engine, and
// holds each answer to that of memory, byte for byte: status, header and body.
package same_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/bluell/plinth/fault"
)

// wanted is how many requests each engine is asked: some for everybody, more for CI, and as many as
// PLINTH_TEST_RANDOM says for a night.
func wanted(t *testing.T) int64 {
	if text := os.Getenv("PLINTH_TEST_RANDOM"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			t.Fatalf("PLINTH_TEST_RANDOM=%q is no number of requests", text)
		}
		return n
	}
	if os.Getenv("PLINTH_TEST_ALL") == "1" {
		return 2000
	}
	return 300
}

// tally is what was asked of one engine.
type tally struct {
	apps, requests, good, refused int64
	byStatus                      map[int]int64
	story                         story // in which the engine disagreed
}

func TestSameAnswers(t *testing.T) {
	t.Parallel()
	n := wanted(t)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			sum := tally{byStatus: map[int]int64{}}
			for !t.Failed() && sum.requests < n {
				before := sum.requests
				t.Run("apps", func(t *testing.T) { round(t, e, &sum, n) })
				if sum.requests == before {
					t.Fatal("nothing was asked")
				}
			}
			t.Logf("%d requests to %d apps, %d of them answered with 2xx, %d refused for what the engine lacks; by status %v",
				sum.requests, sum.apps, sum.good, sum.refused, sum.byStatus)
			if !t.Failed() && sum.good < sum.requests/3 {
				t.Errorf("%d of %d requests were answered with 2xx: the test proves little", sum.good, sum.requests)
			}
		})
	}
}

// round tries apps until so many requests were answered alike, or rapid has enough.
func round(t *testing.T, e engine, sum *tally, n int64) {
	failing := false
	defer func() {
		if failing {
			t.Error(sum.story.shorter(t, e))
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		if sum.requests >= n && !failing {
			return
		}
		defer func() {
			if p := recover(); p != nil { // so does rapid end a test
				failing = true
				panic(p)
			}
		}()
		s := &scope{TB: t}
		defer s.end()
		differ(rt, s, e, sum)
	})
}

// differ makes an app on an engine and on memory and asks both.
func differ(t *rapid.T, s *scope, e engine, sum *tally) {
	m := drawModel(t)
	yaml := m.file()
	want, err := open(s, yaml, memoryEngine)
	if err != nil {
		t.Fatalf("%v\n%s", err, yaml)
	}
	got, err := open(s, yaml, e)
	if fault.Of(err) == fault.Capability {
		sum.refused++
		return
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", e.name, err, yaml)
	}
	sum.apps++
	p := &pair{t: t, engine: e, yaml: yaml, got: got, want: want, sum: sum}
	for _, r := range m.fill(t) {
		p.ask(r)
	}
	for range 2 { // making an app is what takes a server longest
		t.Repeat(map[string]func(*rapid.T){"ask": func(t *rapid.T) { p.follow(m.request(t)) }})
	}
	for _, c := range m.collections {
		p.ask(request{by: "operator", method: "GET", path: "/api/" + c.name + "?limit=500&count=exact"})
	}
}

// pair is an app on two engines, and what both were asked.
type pair struct {
	t         *rapid.T
	engine    engine
	yaml      string
	got, want *side
	sum       *tally
	asked     []request
}

// ask asks both sides at the same moment and compares. What the engine refuses for want of a capability
// memory is not asked: then both stay as they were.
func (p *pair) ask(r request) answer {
	tick(len(p.asked), p.got, p.want)
	p.asked = append(p.asked, r)
	got := p.got.ask(r)
	p.sum.requests++
	p.sum.byStatus[got.status]++
	if p.engine.refuses(got) {
		p.sum.refused++
		return got
	}
	if want := p.want.ask(r); got.status >= 500 || got != want {
		p.sum.story = story{p.yaml, p.asked}
		p.t.Fatalf("%s: %s says %s, memory says %s", r, p.engine.name, got, want)
	}
	if got.status < 300 {
		p.sum.good++
	}
	return got
}

// follow asks, and then the rest of a list, page by page.
func (p *pair) follow(r request) {
	for range 30 {
		a := p.ask(r)
		next := a.next()
		if next == "" || r.method != "GET" {
			return
		}
		r.path = withCursor(r.path, next)
	}
}

// scope is a test that ends before the test that it is a part of.
type scope struct {
	testing.TB
	ends []func()
}

func (s *scope) Cleanup(fn func()) { s.ends = append(s.ends, fn) }

func (s *scope) end() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

// closing closes at the end of a scope.
func closing(s *scope, close func() error) {
	s.Cleanup(func() {
		if err := close(); err != nil && !errors.Is(err, context.Canceled) {
			s.Errorf("close: %v", err)
		}
	})
}
