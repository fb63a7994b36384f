package test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/data/postgres/pgtest"
)

// crashing is a database server of a test's own.
type crashing interface {
	Database(testing.TB) string
	Crash(testing.TB)
}

// The database server is killed and started again under load, again and again. Every write that was answered
// is there exactly once and none that was refused; within five seconds of the server's return writes are
// answered again; and no connection is left over.
func TestDatabaseKilled(t *testing.T) {
	for name, open := range map[string]func(testing.TB) (crashing, string){
		"postgres": func(t testing.TB) (crashing, string) {
			s := pgtest.Start(t)
			return s, postgresURL(s.Database(t))
		},
		"mysql": func(t testing.TB) (crashing, string) {
			s := mysqltest.Start(t)
			return s, s.Database(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, db := open(t)
			dir := folder(t, crashApp)
			runOn(t, db, "apply", dir)
			s := servingOn(t, db, dir)
			l := &log{ok: map[string]string{}, failed: map[string]bool{}, unknown: map[string]bool{}}
			judged := described(t)
			var stop atomic.Bool
			var writers sync.WaitGroup
			for w := range 16 {
				writers.Go(func() { l.writing(judged, s.url, fmt.Sprintf("w%d", w), &stop) })
			}
			l.until(200)
			before := files(t, s)
			slowest := time.Duration(0)
			times := max(3, kills()*2/5)
			for range times {
				l.until(l.answered() + 20 + rand.IntN(100))
				server.Crash(t)
				back := time.Now()
				for n, end := l.answered(), back.Add(20*time.Second); l.answered() == n && time.Now().Before(end); {
					l.until(n + 1)
				}
				slowest = max(slowest, time.Since(back))
			}
			stop.Store(true)
			writers.Wait()
			if slowest > 5*time.Second {
				t.Errorf("it took %s until writes were answered again", slowest)
			}
			if after := files(t, s); after > before+8 {
				t.Errorf("the server has %d files and connections open, and had %d", after, before)
			}
			t.Logf("answered again after %s at most", slowest.Round(time.Millisecond))
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			l.compare(t, db, dir, times)
		})
	}
}

// files counts what a server's process has open: files and connections.
func files(t *testing.T, s *server) int {
	t.Helper()
	open, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "fd"))
	switch {
	case err != nil && runtime.GOOS != "linux":
		missing(t, "files and connections cannot be counted here")
	case err != nil:
		t.Errorf("the server has ended: %v", err)
	}
	return len(open)
}

const countersApp = `
collections:
  counters:
    fields: {n: {type: int, required: true}}
    access: {read: true, create: true, update: true}
  seats:
    fields: {seat: {type: int, required: true, unique: true}, who: {type: text, max: 20}}
    access: {read: true, create: true}
`

// Thirty-two clients change the same few records, each with If-Match: no change is lost and no client sees an
// error but 412. Then they race for the same unique values: each is taken once.
func TestRaces(t *testing.T) {
	onEach(t, func(t *testing.T, db string) {
		dir := folder(t, countersApp)
		runOn(t, db, "apply", dir)
		s := servingOn(t, db, dir)
		judged := described(t)
		var ids []string
		for range 3 {
			status, b, err := ask(judged, "POST", s.url+"/api/counters", "", `{"n":0}`)
			var made struct{ ID string }
			if err != nil || status != 201 || json.Unmarshal(b, &made) != nil {
				t.Fatalf("%d %s %v", status, b, err)
			}
			ids = append(ids, made.ID)
		}
		const clients, each = 32, 10
		taken := make([]atomic.Int64, clients*2)
		var all sync.WaitGroup
		for c := range clients {
			all.Go(func() {
				for i := range each {
					countUp(t, judged, s.url+"/api/counters/"+ids[(c+i)%len(ids)])
				}
				for i := range taken {
					seat := (i + c) % len(taken)
					status, b, err := ask(judged, "POST", s.url+"/api/seats", "", fmt.Sprintf(`{"seat":%d,"who":"c%d"}`, seat, c))
					switch {
					case err == nil && status == http.StatusCreated:
						taken[seat].Add(1)
					case err != nil || status != http.StatusConflict:
						t.Errorf("seat %d: %d %s %v", seat, status, b, err)
					}
				}
			})
		}
		all.Wait()
		sum := 0
		for _, id := range ids {
			n, rev := counter(t, judged, s.url+"/api/counters/"+id)
			if sum += n; rev != n+1 {
				t.Errorf("a counter is at %d and its revision at %d", n, rev)
			}
		}
		if sum != clients*each {
			t.Errorf("%d of %d changes are there", sum, clients*each)
		}
		for seat := range taken {
			if n := taken[seat].Load(); n != 1 {
				t.Errorf("seat %d was given %d times", seat, n)
			}
		}
	})
}

func counter(t *testing.T, client *http.Client, url string) (n, rev int) {
	status, b, err := ask(client, "GET", url, "", "")
	var c struct{ N, Rev int }
	if err != nil || status != http.StatusOK || json.Unmarshal(b, &c) != nil {
		t.Errorf("%d %s %v", status, b, err)
	}
	return c.N, c.Rev
}

// countUp reads a counter and writes it one higher, until nobody was faster.
func countUp(t *testing.T, client *http.Client, url string) {
	for range 10_000 {
		n, rev := counter(t, client, url)
		r, err := http.NewRequest("PATCH", url, strings.NewReader(fmt.Sprintf(`{"n":%d}`, n+1)))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", fmt.Sprintf(`"%d"`, rev))
		resp, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			return
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("%d where 200 or 412 is the answer", resp.StatusCode)
			return
		}
	}
	t.Error("somebody was always faster")
}

// Three servers start at once on a database that is new: each becomes ready, the tables are made once, and what one
// has written the others answer.
func TestStartTogether(t *testing.T) {
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			db, dir := e.db(t), folder(t, countersApp)
			servers := make([]*server, 3)
			var all sync.WaitGroup
			for i := range servers {
				all.Go(func() {
					s, err := start(environ("PLINTH_DB="+db), nil, dir)
					if err != nil {
						t.Error(err)
						return
					}
					servers[i] = s
				})
			}
			all.Wait()
			for _, s := range servers {
				if s == nil {
					continue
				}
				t.Cleanup(func() { s.stop() })
				status, b, err := ask(described(t), "POST", s.url+"/api/counters", "", `{"n":1}`)
				if err != nil || status != http.StatusCreated {
					t.Errorf("%d %s %v", status, b, err)
				}
			}
			for _, s := range servers {
				if s == nil {
					continue
				}
				_, b, err := ask(described(t), "GET", s.url+"/api/counters?aggregate=count", "", "")
				if want := `{"groups":[{"count":3}]}`; err != nil || string(b) != want {
					t.Errorf("%s %v, want %s", b, err, want)
				}
			}
		})
	}
}

// Batches that change the same two records in opposite orders all come through, soon.
func TestBatchesCross(t *testing.T) {
	onEach(t, func(t *testing.T, db string) {
		dir := folder(t, countersApp)
		runOn(t, db, "apply", dir)
		s := servingOn(t, db, dir)
		judged := described(t)
		var ids [2]string
		for i := range ids {
			status, b, err := ask(judged, "POST", s.url+"/api/counters", "", `{"n":0}`)
			var made struct{ ID string }
			if err != nil || status != 201 || json.Unmarshal(b, &made) != nil {
				t.Fatalf("%d %s %v", status, b, err)
			}
			ids[i] = made.ID
		}
		began := time.Now()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				const op = `{"op":"update","collection":"counters","id":"%s","body":{"n":%d}}`
				body := fmt.Sprintf(`{"operations":[`+op+`,`+op+`]}`, ids[i%2], i+1, ids[1-i%2], i+1)
				if status, b, err := ask(judged, "POST", s.url+"/api/batch", "", body); err != nil || status != 200 {
					t.Errorf("%d %s %v", status, b, err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// Settings with which a server can lose what it has acknowledged, as those of the tests' servers are, are told by
// check, and at the start of serve.
func TestWarnings(t *testing.T) {
	for name, remedy := range map[string]string{"postgres": "set fsync = on", "mysql": "set innodb_flush_log_at_trx_commit = 1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := slices.IndexFunc(engines, func(e engine) bool { return e.name == name })
			db, dir := engines[at].db(t), folder(t, countersApp)
			var checked struct{ Warnings []string }
			if err := json.Unmarshal([]byte(runOn(t, db, "check", "--json", dir)), &checked); err != nil || !strings.Contains(strings.Join(checked.Warnings, "\n"), remedy) {
				t.Errorf("check warns of %q (%v), want %q", checked.Warnings, err, remedy)
			}
			s := servingOn(t, db, dir)
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(s.stderr.text(), remedy) {
				t.Errorf("serve says %s, want %q", s.stderr.text(), remedy)
			}
		})
	}
}
