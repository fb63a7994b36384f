package test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// client keeps enough connections open for all writers, and gives up on a server that was stopped.
var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}

const crashApp = `
collections:
  marks:
    fields:
      mark: {type: text, required: true, unique: true, max: 40}
      half: {type: text, required: true, max: 40}
    access: {read: true, create: true}
`

// log is what a writer knows of its writes.
type log struct {
	mu      sync.Mutex
	ok      map[string]string // the answer came: mark to id
	failed  map[string]bool   // it was refused
	unknown map[string]bool   // no answer came
}

func kills() int {
	if n, err := strconv.Atoi(os.Getenv("PLINTH_TEST_KILLS")); err == nil && n > 0 {
		return n
	}
	if testing.Short() {
		return 10
	}
	return 50
}

// Writers go on while the server is killed without a warning, again and again. Every write that was
// answered is there exactly once, none that was refused, and none by half. Some go in pairs, in one
// atomic batch: both or none.
func TestKilled(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db string) {
		if db == "" {
			killed(t, db, kills())
		} else { // the database is not killed with it: a few times are enough
			killed(t, db, min(kills(), 10))
		}
	})
}

// killed kills a server on a database so many times.
func killed(t *testing.T, db string, times int) {
	dir := folder(t, crashApp)
	l := &log{ok: map[string]string{}, failed: map[string]bool{}, unknown: map[string]bool{}}
	slowest := time.Duration(0)
	for round := range times {
		begun := time.Now()
		s, err := start(environ("PLINTH_DB="+db), nil, dir)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		slowest = max(slowest, time.Since(begun))
		judged := described(t)
		if status, b, err := ask(judged, "GET", s.url+"/api/marks?limit=1", "", ""); status != 200 {
			t.Fatalf("round %d: %d %s %v", round, status, b, err) // and with it the description was read, before the kill
		}
		before := l.answered()
		var stop atomic.Bool
		var writers sync.WaitGroup
		for w := range 16 {
			writers.Go(func() { l.writing(judged, s.url, fmt.Sprintf("%d-%d", round, w), &stop) })
		}
		l.until(before + 20 + rand.IntN(400)) // so that kills fall into all parts of the work
		s.kill()
		stop.Store(true)
		writers.Wait()
	}
	if slowest > 5*time.Second {
		t.Errorf("it took %s until the server was ready again", slowest)
	}
	l.compare(t, db, dir, times)
}

func (l *log) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ok)
}

// until waits until so many writes were answered.
func (l *log) until(n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); l.answered() < n && time.Now().Before(end); {
		<-tick.C
	}
}

// writing writes until the server is gone: single records, pairs, and now and then one that must be refused.
func (l *log) writing(judged *http.Client, url, name string, stop *atomic.Bool) {
	for i := 0; !stop.Load(); i++ {
		mark := name + "-" + strconv.Itoa(i)
		switch i % 8 {
		case 3:
			l.note(judged, url+"/api/batch", []string{mark + "a", mark + "b"},
				fmt.Sprintf(`{"operations":[{"op":"create","collection":"marks","body":{"mark":"%sa","half":"%sb"}},{"op":"create","collection":"marks","body":{"mark":"%sb","half":"%sa"}}]}`, mark, mark, mark, mark))
		case 6:
			l.note(judged, url+"/api/batch", []string{mark + "c", mark + "d"}, // the second is not valid: neither is there
				fmt.Sprintf(`{"operations":[{"op":"create","collection":"marks","body":{"mark":"%sc","half":"%sd"}},{"op":"create","collection":"marks","body":{"mark":"%sd"}}]}`, mark, mark, mark))
		default:
			l.note(judged, url+"/api/marks", []string{mark}, fmt.Sprintf(`{"mark":"%s","half":"none"}`, mark))
		}
	}
}

func (l *log) note(judged *http.Client, url string, marks []string, body string) {
	status, b, err := ask(judged, "POST", url, "", body)
	l.mu.Lock()
	defer l.mu.Unlock()
	var one struct{ ID string }
	for _, m := range marks {
		switch {
		case err != nil:
			l.unknown[m] = true
		case status == 201 && json.Unmarshal(b, &one) == nil:
			l.ok[m] = one.ID
		case status == 200:
			l.ok[m] = ""
		case status >= 500 && strings.Contains(string(b), "nothing is stored"):
			l.failed[m] = true // the server has found out
		case status >= 500:
			l.unknown[m] = true
		default:
			l.failed[m] = true
		}
	}
}

func (l *log) compare(t *testing.T, db, dir string, times int) {
	t.Helper()
	s := servingOn(t, db, dir)
	type record struct{ ID, Mark, Half string }
	there := map[string]record{}
	reader := described(t)
	for cursor := ""; ; {
		_, b, err := ask(reader, "GET", s.url+"/api/marks?limit=500&cursor="+cursor, "", "")
		var page struct {
			Items []record
			Next  string
		}
		if err != nil || json.Unmarshal(b, &page) != nil {
			t.Fatalf("%v %s", err, b)
		}
		for _, r := range page.Items {
			if _, twice := there[r.Mark]; twice {
				t.Errorf("%s is there twice", r.Mark)
			}
			there[r.Mark] = r
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for mark, id := range l.ok {
		r, ok := there[mark]
		if !ok {
			t.Errorf("%s was acknowledged and is lost", mark)
		} else if id != "" && r.ID != id {
			t.Errorf("%s was acknowledged as %s and is there as %s", mark, id, r.ID)
		}
	}
	extra := 0
	for mark, r := range there {
		if l.failed[mark] {
			t.Errorf("%s was refused and is there", mark)
		}
		if _, ok := l.ok[mark]; !ok {
			extra++
			if !l.unknown[mark] {
				t.Errorf("%s is there and nobody wrote it", mark)
			}
		}
		if r.Half != "none" {
			if _, ok := there[r.Half]; !ok {
				t.Errorf("%s is there without %s", mark, r.Half)
			}
		}
	}
	if len(l.ok) < 20*times/2 || len(l.failed) == 0 {
		t.Errorf("only %d writes were acknowledged and %d refused: the test proves little", len(l.ok), len(l.failed))
	}
	t.Logf("%d acknowledged, %d refused, %d without an answer of which %d are there", len(l.ok), len(l.failed), len(l.unknown), extra)
}
