package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const movedApp = `
auth: {register: open, verify: optional, roles: [member]}
schedules:
  often: {every: 1s, create: {collection: ticks, body: {name: often}}}
collections:
  ticks: {fields: {name: {type: text}}, access: {read: true}}
  notes: {fields: {text: {type: text, max: 100}}, access: {read: true, create: true}}
`

// The wall clock of a server jumps a day forward, a day and an hour back, and to what is right. The server goes on: what was acknowledged
// is there, once, and was told to who listens; sessions, cursors and limits hold; schedules tick on, once for each second at most.
func TestClockMoved(t *testing.T) {
	onEach(t, func(t *testing.T, db string) {
		dir := folder(t, movedApp)
		runOn(t, db, "apply", dir)
		s := servingOn(t, db, dir)
		clock := move(t, s.cmd.Process.Pid)
		a := &afterwards{t: t, s: s, acknowledged: map[string]bool{}, heard: map[string]int{}}
		const in = `{"email":"anna@example.com","password":"a horse of another time"}`
		if code, b := a.ask("", "POST", "/api/auth/register", in); code/100 != 2 {
			t.Fatal(code, b)
		}
		token := a.signIn(in)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		a.listen(ctx)
		var over atomic.Bool
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() { a.write(w, &over) })
		}
		a.until("notes were written", func() bool { return a.count() > 100 })
		cursor := a.cursor()
		for _, at := range []time.Duration{24 * time.Hour, -time.Hour, 0} {
			clock.to(at)
			if code, b := a.ask("", "GET", "/readyz", ""); code != 200 || !strings.Contains(b, `"write":true`) {
				t.Errorf("at %s it is not ready: %d %s", at, code, b)
			}
			if code, b := a.ask(token, "GET", "/api/auth/me", ""); code != 200 {
				t.Errorf("at %s the session is over: %d %s", at, code, b)
			}
			if code, b := a.ask("", "GET", "/api/notes?sort=-text&limit=10&cursor="+cursor, ""); code != 200 {
				t.Errorf("at %s the cursor is not good: %d %s", at, code, b)
			}
			if again := a.signIn(in); again == "" {
				t.Errorf("at %s nobody can sign in", at)
			}
			ticks, began, n := a.ticks(), time.Now(), a.count()
			a.until(fmt.Sprintf("at %s the schedule ticks", at), func() bool { return a.ticks() >= ticks+3 })
			if got, most := a.ticks()-ticks, int(time.Since(began)/time.Second)+3; got > most { // one is made up for, one was under way
				t.Errorf("at %s it has ticked %d times in %s", at, got, time.Since(began))
			}
			a.until(fmt.Sprintf("at %s notes are written", at), func() bool { return a.count() > n+100 })
		}
		over.Store(true)
		writers.Wait()
		a.judge()

		clock.to(24 * time.Hour)
		limited := false
		for i := 0; i < 25 && !limited; i++ { // ten in a minute of the clock: it may be another before they are
			code, b := a.ask("", "POST", "/api/auth/login", `{"email":"anna@example.com","password":"not that horse"}`)
			if limited = code == 429; !limited && code != 401 || limited && i < 10 {
				t.Fatalf("false password %d: %d %s", i, code, b)
			}
		}
		if !limited {
			t.Error("somebody may guess as often as he likes")
		}
		clock.to(-time.Hour)
		cmd := exec.Command(plinth, "user", "disable", "anna@example.com", dir)
		cmd.Env = environ("PLINTH_DB=" + db)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		disabled := time.Now()
		a.until("the session of who is disabled ends", func() bool { code, _ := a.ask(token, "GET", "/api/auth/me", ""); return code == 401 })
		t.Logf("%d notes; a session ended after %s", a.count(), time.Since(disabled).Round(time.Millisecond))
		if said := s.stderr.text(); strings.Contains(said, "panic") || strings.Contains(said, `"level":"ERROR"`) {
			t.Errorf("the log: %s", said)
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
}

// afterwards is what was done with a server, and what is to hold of it.
type afterwards struct {
	t testing.TB
	s *server

	mu           sync.Mutex
	acknowledged map[string]bool
	heard        map[string]int
}

func (a *afterwards) ask(token, method, path, body string) (int, string) {
	code, b, err := ask(client, method, a.s.url+path, token, body)
	if err != nil {
		a.t.Errorf("%s %s: %v", method, path, err)
	}
	return code, string(b)
}

func (a *afterwards) signIn(body string) string {
	_, b := a.ask("", "POST", "/api/auth/login", body)
	var session struct{ Token string }
	if json.Unmarshal([]byte(b), &session) != nil || session.Token == "" {
		a.t.Errorf("nobody is signed in: %s", b)
	}
	return session.Token
}

func (a *afterwards) until(what string, so func() bool) {
	a.t.Helper()
	soon(a.t, 30*time.Second, "it is not so that "+what, so)
}

func (a *afterwards) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.acknowledged)
}

// write makes notes until over.
func (a *afterwards) write(w int, over *atomic.Bool) {
	for i := 0; !over.Load(); i++ {
		code, b := a.ask("", "POST", "/api/notes", fmt.Sprintf(`{"text":"%d-%d"}`, w, i))
		var made struct{ ID string }
		if code != 201 || json.Unmarshal([]byte(b), &made) != nil {
			a.t.Errorf("a note was not written: %d %s", code, b)
			return
		}
		a.mu.Lock()
		if a.acknowledged[made.ID] {
			a.t.Errorf("two notes have the id %s", made.ID)
		}
		a.acknowledged[made.ID] = true
		a.mu.Unlock()
		time.Sleep(2 * time.Millisecond) // else nobody else has the processor
	}
}

// listen counts what is told of notes.
func (a *afterwards) listen(ctx context.Context) {
	r, _ := http.NewRequestWithContext(ctx, "GET", a.s.url+"/api/notes?fields=id", nil)
	r.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(r)
	if err != nil || res.StatusCode != 200 {
		a.t.Fatal(res, err)
	}
	ready := make(chan struct{})
	go func() {
		defer res.Body.Close()
		lines, event := bufio.NewScanner(res.Body), ""
		for lines.Scan() {
			line := lines.Text()
			if name, ok := strings.CutPrefix(line, "event: "); ok {
				if event = name; event == "ready" {
					close(ready)
				}
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok && event == "create" {
				var note struct{ ID string }
				_ = json.Unmarshal([]byte(data), &note)
				a.mu.Lock()
				a.heard[note.ID]++
				a.mu.Unlock()
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
		a.t.Fatal("nobody listens")
	}
}

func (a *afterwards) cursor() string {
	_, b := a.ask("", "GET", "/api/notes?sort=-text&limit=10", "")
	var page struct{ Next string }
	if json.Unmarshal([]byte(b), &page) != nil || page.Next == "" {
		a.t.Fatal(b)
	}
	return page.Next
}

func (a *afterwards) ticks() int {
	_, b := a.ask("", "GET", "/api/ticks?limit=1&count=exact", "")
	var page struct{ Total int }
	_ = json.Unmarshal([]byte(b), &page)
	return page.Total
}

// judge compares what was acknowledged with what is there, and with what was heard.
func (a *afterwards) judge() {
	a.until("all was heard", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.heard) >= len(a.acknowledged)
	})
	there := map[string]bool{}
	for next := ""; ; {
		_, b := a.ask("", "GET", "/api/notes?fields=id&limit=500&cursor="+next, "")
		var page struct {
			Items []struct{ ID string }
			Next  string
		}
		if err := json.Unmarshal([]byte(b), &page); err != nil {
			a.t.Fatal(b)
		}
		for _, note := range page.Items {
			there[note.ID] = true
		}
		if next = page.Next; next == "" {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(there) != len(a.acknowledged) {
		a.t.Errorf("%d notes are there, and %d were acknowledged", len(there), len(a.acknowledged))
	}
	for id := range a.acknowledged {
		if !there[id] || a.heard[id] != 1 {
			a.t.Errorf("%s: there %t, heard %d times", id, there[id], a.heard[id])
		}
	}
}
