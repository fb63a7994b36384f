package plinth_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqlite"
)

// Writers write and listeners come and go: what they leave behind in goroutines, memory and on the disk does not grow.
// PLINTH_TEST_SOAK says for how long; in CI it is two minutes.
func TestSoak(t *testing.T) {
	length := 6 * time.Second
	if d, err := time.ParseDuration(os.Getenv("PLINTH_TEST_SOAK")); err == nil {
		length = d
	}
	dir := t.TempDir()
	app := "changes: {most: 1000}\ncollections: {notes: {fields: {n: {type: int}, text: {type: text, max: 2000}}, access: {read: true, write: true}}}"
	if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(app), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := plinth.Open(t.Context(), dir, plinth.WithKey(make([]byte, 32)), plinth.OnFile("", func(file string) (driver.Engine, error) { return sqlite.Open(file, sqlite.Options{}) }))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p.Handler())
	defer func() {
		srv.Close()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := &soak{t: t, url: srv.URL, sweep: length / 60}
	s.run(p, length/3) // until everything that is kept is there
	before := s.measure(p, dir)
	s.run(p, length*2/3)
	after := s.measure(p, dir)
	t.Logf("%d writes, %d streams, %d events: before %+v, after %+v", s.writes, s.streams, s.events, before, after)
	if s.writes < 50 || s.streams < 20 || s.events < 100 {
		t.Error("hardly anything was done")
	}
	if after.goroutines > before.goroutines+5 {
		t.Errorf("there are %d goroutines, and were %d", after.goroutines, before.goroutines)
	}
	slack := 8 << 20
	if length < time.Minute {
		slack *= 2 // what a hub remembers by its design, 8 MB, may not be full yet in the first third
	}
	if after.heap > before.heap*3/2+slack {
		t.Errorf("%d KB of memory are in use, and were %d", after.heap>>10, before.heap>>10)
	}
	if after.disk > before.disk*3/2+16<<20 {
		t.Errorf("%d KB lie on the disk, and did %d", after.disk>>10, before.disk>>10)
	}
}

type soak struct {
	t     *testing.T
	url   string
	sweep time.Duration // how often the log is swept: what comes in between lies on the disk

	mu                      sync.Mutex
	writes, streams, events int
}

type soakFigures struct{ goroutines, heap, disk int }

// measure counts when nobody does anything.
func (s *soak) measure(p *plinth.Plinth, dir string) (f soakFigures) {
	s.t.Helper()
	if err := p.DB().SweepChanges(s.t.Context(), time.Hour, 1000); err != nil {
		s.t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	f.goroutines = 1 << 30
	for look := 0; look < 50; look++ { // what has ended takes a moment to be gone, and nobody tells when
		if n := runtime.NumGoroutine(); n < f.goroutines {
			f.goroutines, look = n, 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heap = int(m.HeapAlloc)
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if info, err := e.Info(); err == nil {
			f.disk += int(info.Size())
		}
		return nil
	})
	return f
}

func (s *soak) run(p *plinth.Plinth, length time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { // as a server does, more often
		tick := time.NewTicker(s.sweep)
		defer tick.Stop()
		for ctx.Err() == nil {
			select {
			case <-tick.C:
				if err := p.DB().SweepChanges(ctx, time.Hour, 1000); err != nil && ctx.Err() == nil {
					s.t.Error(err)
				}
			case <-ctx.Done():
			}
		}
	})
	for n := range 4 {
		all.Go(func() { s.write(ctx, rand.New(rand.NewPCG(uint64(n), 1))) })
	}
	for n := range 24 {
		all.Go(func() { s.listen(ctx, rand.New(rand.NewPCG(uint64(n), 2))) })
	}
	all.Wait()
}

func (s *soak) write(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		id := fmt.Sprintf("01900000-0000-7000-8000-%012d", rng.IntN(200))
		method, body := "PUT", fmt.Sprintf(`{"n":%d,"text":"%s"}`, rng.IntN(100), strings.Repeat("x", rng.IntN(2000)))
		if rng.IntN(5) == 0 {
			method, body = "DELETE", ""
		}
		r, err := http.NewRequestWithContext(ctx, method, s.url+"/api/notes/"+id, strings.NewReader(body))
		if err != nil {
			s.t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			continue // the time is over
		}
		resp.Body.Close()
		if resp.StatusCode >= 500 {
			s.t.Errorf("%s: %d", method, resp.StatusCode)
			return
		}
		s.mu.Lock()
		s.writes++
		s.mu.Unlock()
	}
}

func (s *soak) listen(ctx context.Context, rng *rand.Rand) {
	last := ""
	for ctx.Err() == nil {
		once, cancel := context.WithTimeout(ctx, time.Duration(50+rng.IntN(400))*time.Millisecond)
		r, err := http.NewRequestWithContext(once, "GET", s.url+"/api/notes"+[]string{"", "?filter=n%20%3E%2050", "?start=snapshot"}[rng.IntN(3)], nil)
		if err != nil {
			s.t.Error(err)
			cancel()
			return
		}
		r.Header.Set("Accept", "text/event-stream")
		if last != "" && rng.IntN(2) == 0 {
			r.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			cancel()
			continue
		}
		in, events := bufio.NewReader(resp.Body), 0
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				break
			}
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				last, events = strings.TrimSpace(id), events+1
			}
		}
		resp.Body.Close()
		cancel()
		s.mu.Lock()
		s.streams, s.events = s.streams+1, s.events+events
		s.mu.Unlock()
	}
}
