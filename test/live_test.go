package test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unique"

	"github.com/bluell/plinth/data/mongo/mongotest"
)

const liveApp = `
collections:
  notes:
    fields: {n: {type: int, required: true}, open: {type: bool, required: true}, who: {type: text, max: 20}}
    access: {read: true, create: true, update: true, delete: true}
`

// liveSize is how many listen and write, how often a server is killed, and about how many writes there are before it is.
// cut is the longest time until a listener's link is cut; 0: 3 s.
type liveSize struct {
	listeners, writers, kills, writes int

	cut time.Duration
}

// sizeOfLive is a size or, with PLINTH_TEST_LISTENERS, that of so many listeners, 32 writers and twenty kills.
func sizeOfLive(size liveSize) liveSize {
	if n, err := strconv.Atoi(os.Getenv("PLINTH_TEST_LISTENERS")); err == nil && n > 0 {
		size.listeners, size.kills, size.writers = n, 20, 32
	}
	return size
}

// Thirty-two writers change records while many listen, on links that are cut at random, and servers are killed and
// started again: one on a file, or one of three on a server of databases. What each listener has seen, without what
// it has seen twice, is what was committed, in order, and nothing else. The judge knows no code of the server: it
// follows revisions, and judges by itself what is in a list.
func TestNoGapNoRepeat(t *testing.T) {
	onEach(t, func(t *testing.T, db string) {
		noGapNoRepeat(t, db, sizeOfLive(liveSize{listeners: 60, writers: 32, kills: 4, writes: 300}))
	})
}

// The same where there are no transactions, and changes wait in the records that they tell of until somebody moves them
// into the log: on FerretDB, and on the second implementation of MongoDB's language.
func TestNoGapNoRepeatOnMongo(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{"ferretdb": mongotest.Database, "mingo": mongotest.Alone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := sizeOfLive(liveSize{listeners: 60, writers: 8, kills: 4, writes: 60})
			size.cut = max(3*time.Second, time.Duration(size.listeners)*30*time.Millisecond) // of thousands that come back each second nobody would see the end
			noGapNoRepeat(t, database(t), size)
		})
	}
}

func noGapNoRepeat(t *testing.T, db string, size liveSize) {
	w := &liveWorld{t: t, db: db, dir: folder(t, liveApp), answered: map[string]map[int]note{}, cut: size.cut}
	servers := 1
	if db != "" {
		servers = 3
		runOn(t, db, "apply", w.dir)
	}
	for range servers {
		w.servers = append(w.servers, &atomic.Pointer[server]{})
	}
	for i := range w.servers {
		w.start(i)
	}
	var all []*liveListener
	var listening sync.WaitGroup
	ready := make(chan struct{}, size.listeners)
	for i := range size.listeners {
		l := &liveListener{w: w, list: liveLists[i%len(liveLists)], rng: rand.New(rand.NewPCG(uint64(i), 7)), seen: map[string]uint64{}}
		all = append(all, l)
		listening.Go(func() { l.listen(ready) })
	}
	for range size.listeners {
		select {
		case <-ready:
		case <-time.After(time.Minute):
			t.Fatal("a listener is not ready")
		}
	}
	var writing sync.WaitGroup
	var stop atomic.Bool
	for n := range size.writers {
		writing.Go(func() { w.write(n, &stop) })
	}
	for round := range size.kills {
		w.until(w.count() + size.writes/2 + rand.IntN(size.writes))
		i := round % servers
		w.servers[i].Load().kill()
		w.start(i)
	}
	w.until(w.count() + size.writes)
	stop.Store(true)
	writing.Wait()
	w.end()
	listening.Wait()
	w.judge(all)
	for i := range w.servers {
		w.servers[i].Load().kill()
	}
}

// liveWorld is what is under test and what is known of it.
type liveWorld struct {
	t       *testing.T
	db, dir string
	servers []*atomic.Pointer[server]
	cut     time.Duration

	mu       sync.Mutex
	answered map[string]map[int]note // by record and revision; a deleted one has its last revision, negative
	writes   int
	last     string // the id of the last record, once it is there

	strict  bool // a write that is not done is a failure
	failed  int
	failure string // the first
}

type note struct {
	ID   string
	Rev  int
	N    int
	Open bool
	Who  string
}

// liveLists are the lists that are listened to, and which notes are in them.
var liveLists = []struct {
	query string
	has   func(note) bool
}{
	{"", func(note) bool { return true }},
	{"?filter=open%20%3D%3D%20true", func(n note) bool { return n.Open }},
	{"?filter=n%20%3E%2050&fields=rev,n,open", func(n note) bool { return n.N > 50 }},
}

func (w *liveWorld) start(i int) {
	s, err := start(environ("PLINTH_DB="+w.db), nil, w.dir)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.servers[i].Store(s)
	w.t.Cleanup(func() { s.kill() })
}

func (w *liveWorld) url(rng *rand.Rand) string { return w.servers[rng.IntN(len(w.servers))].Load().url }

// patience is how long a listener waits for the end: with thousands of them, on a server that is slow, hours.
func (w *liveWorld) patience() time.Duration {
	if os.Getenv("PLINTH_TEST_LISTENERS") != "" {
		return 3 * time.Hour
	}
	return 15 * time.Minute
}

func (w *liveWorld) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

func (w *liveWorld) until(n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); w.count() < n && time.Now().Before(end); {
		<-tick.C
	}
}

var liveClient = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// send makes one write. What is not answered may have been done or not.
func (w *liveWorld) send(rng *rand.Rand, method, path, body string) (n note, done bool) {
	r, err := http.NewRequest(method, w.url(rng)+path, strings.NewReader(body))
	if err != nil {
		return n, false
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := liveClient.Do(r)
	if err != nil {
		w.fail(method, 0, nil, err)
		return n, false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 || resp.StatusCode != 204 && json.Unmarshal(b, &n) != nil {
		w.fail(method, resp.StatusCode, b, err)
		return n, false
	}
	return n, true
}

// fail counts a request that should not have failed, where any should not.
func (w *liveWorld) fail(method string, code int, body []byte, err error) {
	if !w.strict {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed++; w.failed == 1 {
		w.failure = fmt.Sprintf("%s: %d %s %v", method, code, body, err)
	}
}

func (w *liveWorld) note(id string, rev int, n note) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answered[id] == nil {
		w.answered[id] = map[int]note{}
	}
	w.answered[id][rev] = n
	w.writes++
}

// write creates, changes and deletes records of its own, and changes those of others.
func (w *liveWorld) write(number int, stop *atomic.Bool) {
	rng := rand.New(rand.NewPCG(uint64(number), 3))
	var own []string
	for !stop.Load() {
		body := fmt.Sprintf(`{"n":%d,"open":%t}`, rng.IntN(100), rng.IntN(2) == 0)
		switch k := rng.IntN(10); {
		case len(own) < 3 || k < 3:
			if n, ok := w.send(rng, "POST", "/api/notes", strings.TrimSuffix(body, "}")+`,"who":"w`+strconv.Itoa(number)+`"}`); ok {
				own = append(own, n.ID)
				w.note(n.ID, n.Rev, n)
			}
		case k < 9:
			if n, ok := w.send(rng, "PATCH", "/api/notes/"+own[rng.IntN(len(own))], body); ok {
				w.note(n.ID, n.Rev, n)
			}
		default:
			id := own[len(own)-1]
			own = own[:len(own)-1]
			if _, ok := w.send(rng, "DELETE", "/api/notes/"+id, ""); ok {
				w.note(id, -1, note{ID: id})
			}
		}
	}
}

// end makes the last record, which is in every list. Its id is known before anybody can be told of it.
func (w *liveWorld) end() {
	const last = "01900000-0000-7000-8000-000000000999"
	w.mu.Lock()
	w.last = last
	w.mu.Unlock()
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		if n, ok := w.send(rng, "PUT", "/api/notes/"+last, `{"n":100,"open":true,"who":"last"}`); ok {
			w.note(n.ID, n.Rev, n)
			return
		}
		time.Sleep(20 * time.Millisecond) // a server is on its way
	}
	w.t.Error("the last record cannot be made")
}

func (w *liveWorld) over(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last != "" && w.last == id
}

// liveListener is a client of one list, which comes back whenever its link is cut.
type liveListener struct {
	w    *liveWorld
	list struct {
		query string
		has   func(note) bool
	}
	rng     *rand.Rand
	lastID  string
	seen    map[string]uint64 // hashes of what came, by event id
	events  []liveEvent
	cuts    int
	repeats int
	ended   bool
}

var liveSeed = maphash.MakeSeed()

type liveEvent struct {
	kind string
	note
}

func (l *liveListener) listen(ready chan<- struct{}) {
	told := sync.OnceFunc(func() { ready <- struct{}{} })
	for end := time.Now().Add(l.w.patience()); !l.ended; l.cuts++ {
		if time.Now().After(end) {
			l.w.t.Errorf("a listener of %q has not seen the end; it has seen %d events and was cut %d times", l.list.query, len(l.events), l.cuts)
			told()
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond+time.Duration(l.rng.Int64N(int64(cmp.Or(l.w.cut, 3*time.Second)))))
		err := l.once(ctx, told)
		cancel()
		if err != nil {
			l.w.t.Error(err)
			told()
			return
		}
	}
}

// once listens until the link is cut, by us or by a server's end.
func (l *liveListener) once(ctx context.Context, told func()) error {
	r, err := http.NewRequestWithContext(ctx, "GET", l.w.url(l.rng)+"/api/notes"+l.list.query, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	if l.lastID != "" {
		r.Header.Set("Last-Event-ID", l.lastID)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		if ctx.Err() == nil {
			l.w.fail("a stream", 0, nil, err)
		}
		select { // nobody is there
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		if resp.StatusCode >= 500 {
			b, _ := io.ReadAll(resp.Body)
			l.w.fail("a stream", resp.StatusCode, b, nil)
			return nil // it is stopping, or its database is not there yet
		}
		b, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("a stream: %d %s", resp.StatusCode, b)
	}
	in := bufio.NewReader(resp.Body)
	var kind, id string
	var text bytes.Buffer
	for !l.ended {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			text.WriteString(value)
		case "":
			if line != "\n" { // a comment
				continue
			}
			if text.Len() > 0 {
				if err := l.take(kind, id, text.String(), told); err != nil {
					return err
				}
			}
			kind, id = "", ""
			text.Reset()
		}
	}
	return nil
}

func (l *liveListener) take(kind, id, text string, told func()) error {
	if kind == "resync" {
		return fmt.Errorf("a stream of %q is told to begin anew: %s", l.list.query, text)
	}
	if id == "" {
		return fmt.Errorf("an event without an id: %s %s", kind, text)
	}
	l.lastID = id
	if kind == "ready" {
		told()
		return nil
	}
	is := maphash.String(liveSeed, kind+text)
	if before, there := l.seen[id]; there {
		if l.repeats++; before != is {
			return fmt.Errorf("event %s is %s %s, and was another before", id, kind, text)
		}
		return nil
	}
	l.seen[unique.Make(id).Value()] = is // thousands of listeners see the same
	e := liveEvent{kind: kind}
	if err := json.Unmarshal([]byte(text), &e.note); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	e.ID, e.Who = unique.Make(e.ID).Value(), unique.Make(e.Who).Value()
	l.events = append(l.events, e)
	l.ended = l.w.over(e.ID) || e.Who == "last"
	return nil
}

// judge holds what listeners have seen against what was answered, and against each other.
func (w *liveWorld) judge(all []*liveListener) {
	var history map[string][]note // of each record, its states; a last one without a revision is its end
	cuts, repeats, events := 0, 0, 0
	for _, l := range all {
		cuts, repeats, events = cuts+l.cuts, repeats+l.repeats, events+len(l.events)
	}
	for _, l := range all {
		if l.list.query != "" {
			continue
		}
		seen := w.whole(l)
		if history == nil {
			history = seen
		}
		if len(seen) != len(history) {
			w.t.Errorf("listeners of the same list have seen %d and %d records", len(seen), len(history))
		}
		for id, states := range history {
			if fmt.Sprint(states) != fmt.Sprint(seen[id]) {
				w.t.Errorf("listeners of the same list have seen\n%v and\n%v", states, seen[id])
				return
			}
		}
	}
	for id, revs := range w.answered {
		for rev, n := range revs {
			states := history[id]
			switch {
			case rev == -1:
				if len(states) == 0 || states[len(states)-1].Rev != 0 {
					w.t.Errorf("%s was deleted, which nobody was told: %v", id, states)
				}
			case rev > len(states) || states[rev-1] != n:
				w.t.Errorf("%+v was answered, and is told as %v", n, states)
			}
		}
	}
	for _, l := range all {
		if l.list.query != "" && !w.t.Failed() {
			w.part(l, history)
		}
	}
	w.t.Logf("%d writes; %d listeners have seen %d events, were cut %d times and have seen %d events twice", w.writes, len(all), events, cuts, repeats)
}

// whole reads the states of all records from the events of a list that has everything: revisions follow one another.
func (w *liveWorld) whole(l *liveListener) map[string][]note {
	states := map[string][]note{}
	for _, e := range l.events {
		s := states[e.ID]
		switch e.kind {
		case "create", "update":
			if (e.kind == "create") != (len(s) == 0) || e.Rev != len(s)+1 {
				w.t.Errorf("%s of revision %d follows %v", e.kind, e.Rev, s)
			}
			states[e.ID] = append(s, e.note)
		case "delete":
			if len(s) == 0 || s[len(s)-1].Rev == 0 {
				w.t.Errorf("a delete follows %v", s)
			}
			states[e.ID] = append(s, note{})
		default:
			w.t.Errorf("%s of a list that has everything", e.kind)
		}
	}
	return states
}

// part holds the events of a list that has some records against what they should be.
func (w *liveWorld) part(l *liveListener, history map[string][]note) {
	want := map[string][]string{}
	for id, states := range history {
		in := false
		for i, n := range states {
			was := in
			in = n.Rev != 0 && l.list.has(n)
			kind := ""
			switch {
			case was && n.Rev == 0:
				kind = "delete"
			case was && !in:
				kind = "leave"
			case in && i == 0:
				kind = "create"
			case in && !was:
				kind = "enter"
			case in:
				kind = "update"
			}
			if kind != "" {
				want[id] = append(want[id], fmt.Sprint(kind, " ", n.Rev*bit(in)))
			}
		}
	}
	got := map[string][]string{}
	for _, e := range l.events {
		got[e.ID] = append(got[e.ID], fmt.Sprint(e.kind, " ", e.Rev))
	}
	if len(got) != len(want) {
		w.t.Errorf("a listener of %q was told of %d records, want %d", l.list.query, len(got), len(want))
	}
	for id := range want {
		if fmt.Sprint(got[id]) != fmt.Sprint(want[id]) {
			w.t.Errorf("a listener of %q was told\n%q, want\n%q\nof %v", l.list.query, got[id], want[id], history[id])
			return
		}
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
