package web

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// As many are let in as there are slots, others wait in turn, and those for whom it takes too long are refused.
func TestLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLoad()
		r := httptest.NewRequest("GET", "/api/x", nil)
		for range mostSlots {
			if err := l.enter(r); err != nil {
				t.Fatal(err)
			}
		}
		var order []int
		var refused atomic.Int64
		for i := range 3 {
			go func() {
				if err := l.enter(r); err != nil {
					refused.Add(1)
					return
				}
				order = append(order, i)
				l.leave()
			}()
			synctest.Wait()
		}
		l.leave()
		synctest.Wait()
		if len(order) != 3 || order[0] != 0 || order[1] != 1 || order[2] != 2 {
			t.Errorf("they came in as %v", order)
		}
		if err := l.enter(r); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err := l.enter(r)
		if took := time.Since(began); !fault.Is(err, fault.Unavailable) || took != patience {
			t.Errorf("who waits is answered %v after %s", err, took)
		}
		r.Header.Set("Accept", "text/event-stream")
		go func() {
			time.Sleep(2 * time.Second)
			l.leave()
		}()
		if err := l.enter(r); err != nil {
			t.Errorf("a live connection: %v", err)
		}
		r.Header.Del("Accept")
		for range l.most.Load() {
			go func() {
				if l.enter(r) != nil {
					refused.Add(1)
				}
			}()
		}
		synctest.Wait()
		began = time.Now()
		if err := l.enter(r); !fault.Is(err, fault.Unavailable) || time.Since(began) != 0 {
			t.Errorf("with a full line: %v after %s", err, time.Since(began))
		}
		time.Sleep(2 * patience)
		if n := refused.Load(); n != shortLine || l.waiting.Load() != 0 || l.inside.Load() != mostSlots {
			t.Errorf("%d were refused, %d wait, %d are inside", n, l.waiting.Load(), l.inside.Load())
		}
	})
}

// What may be inside follows what was answered.
func TestLoadMeasures(t *testing.T) {
	t.Parallel()
	l := NewLoad()
	for range 10 {
		l.done.Store(100)
		l.measure(time.Second)
	}
	if s, m := l.slots.Load(), l.most.Load(); s != fewestSlots || m != shortLine {
		t.Errorf("at 100/s: %d slots, %d in line", s, m)
	}
	for range 30 {
		l.done.Store(5000)
		l.measure(time.Second)
	}
	if s, m := l.slots.Load(), l.most.Load(); s < 245 || s > 250 || m < 740 || m > 750 {
		t.Errorf("at 5000/s: %d slots, %d in line", s, m)
	}
	for range 30 {
		l.done.Store(2000)
		l.measure(loadWindow)
	}
	if s, m := l.slots.Load(), l.most.Load(); s != mostSlots || m < 2990 || m > 3000 {
		t.Errorf("at 20000/s: %d slots, %d in line", s, m)
	}
	if l.measure(time.Minute); l.slots.Load() != mostSlots || l.rate != 0 {
		t.Error("after a time without requests something is known")
	}
}

// Who waits for a processor waits in the line too, although nobody inside ever pauses: thousands that come at once are not all
// answered, each later than the one before.
func TestLoadOfProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // with many, all of them are answered in time
	l := NewLoad()
	r := httptest.NewRequest("GET", "/api/x", nil)
	var answered, refused atomic.Int64
	ask := func() {
		if err := l.enter(r); err != nil {
			refused.Add(1)
			return
		}
		for began := time.Now(); time.Since(began) < time.Millisecond; {
		}
		answered.Add(1)
		l.leave()
	}
	const crowd = 3000
	var all sync.WaitGroup
	for range crowd {
		all.Go(ask)
	}
	all.Wait()
	if a, n := answered.Load(), refused.Load(); a+n != crowd || n < crowd/4 || a < crowd/50 {
		t.Errorf("of %d that come at once %d are answered, %d refused", crowd, a, n)
	}
	for range 3 { // one after the other
		l.window.Store(-int64(time.Second))
		ask()
	}
	if l.crowded.Load() {
		t.Error("one who comes alone is a crowd")
	}
}

// What has a bound of its own takes no room, and nobody counts it twice.
func TestAside(t *testing.T) {
	t.Parallel()
	var l *Load
	h := Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		within := l.inside.Load()
		back := Aside(r.Context())
		aside := l.inside.Load()
		back()
		if again := l.inside.Load(); within != 1 || aside != 0 || again != 1 {
			t.Errorf("inside: %d, aside %d, back %d", within, aside, again)
		}
		Aside(r.WithContext(t.Context()).Context())()
	}), spec.Server{Limits: spec.Limits{Timeout: time.Minute}}, quiet)
	l = h.(*guard).load
	ask(h, "GET", "/api/x", "")
	if n := l.inside.Load(); n != 0 {
		t.Errorf("%d are inside when nobody is there", n)
	}
}

// Nobody is lost and nobody is counted twice, whatever happens at once; who waits for his client takes no room.
func TestLoadAtOnce(t *testing.T) {
	t.Parallel()
	h := Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := Borrow()
		defer buf.Return()
		if err := buf.read(w, r, 0); err != nil {
			Problem(w, r, err)
			return
		}
		Write(w, r, http.StatusOK, make([]byte, len(buf.B)*shortAnswer))
	}), spec.Server{}, quiet)
	l := h.(*guard).load
	l.slots.Store(2)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 50 {
				if rec := ask(h, "POST", "/api/x", strings.Repeat("x", 5)); rec.Code != http.StatusOK && rec.Code != http.StatusServiceUnavailable {
					t.Error(rec.Code)
				}
			}
		})
	}
	all.Wait()
	if l.inside.Load() != 0 || l.waiting.Load() != 0 || l.line.Len() != 0 {
		t.Errorf("%d are inside and %d wait when nobody is there", l.inside.Load(), l.waiting.Load())
	}
	l.inside.Store(10_000)
	if rec := ask(h, "GET", "/readyz", ""); rec.Code != http.StatusOK {
		t.Errorf("/readyz: %d", rec.Code)
	}
}

// Doors that share a load are one: what waits at one is no room at the other.
func TestShared(t *testing.T) {
	t.Parallel()
	inside, goes := make(chan struct{}), make(chan struct{})
	l := NewLoad()
	first := Observed(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside <- struct{}{}; <-goes }), spec.Server{}, l, nil, quiet, nil)
	second := Observed(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), spec.Server{}, l, nil, quiet, nil)
	l.slots.Store(1)
	ended := make(chan int)
	go func() { ended <- ask(first, "GET", "/api/x", "").Code }()
	<-inside
	if rec := ask(second, "GET", "/", ""); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("the other door has room: %d", rec.Code)
	}
	close(goes)
	if code := <-ended; code != http.StatusOK {
		t.Error(code)
	}
}

// windowless is a client that takes what net/http keeps, and nothing of what is longer until it is let go.
type windowless struct {
	*httptest.ResponseRecorder
	taken, free chan struct{}
	once        sync.Once
}

func (w *windowless) Write(b []byte) (int, error) {
	if len(b) > shortAnswer {
		w.once.Do(func() { close(w.taken) })
		<-w.free
	}
	return len(b), nil
}

// Who waits for his client does no work: one place is free then, and not two, also where the answer is encoded.
func TestWaitingForAClientFreesOnePlace(t *testing.T) {
	t.Parallel()
	body := make([]byte, 200<<10)
	for i := range body {
		body[i] = byte(rand.IntN(64)) + ' '
	}
	for _, accepted := range []string{"", "gzip", "zstd"} {
		h := Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { JSON(w, r, http.StatusOK, body) }), spec.Server{}, quiet)
		r := httptest.NewRequest(http.MethodGet, "/api/x", nil)
		r.Header.Set("Accept-Encoding", accepted)
		slow := &windowless{ResponseRecorder: httptest.NewRecorder(), taken: make(chan struct{}), free: make(chan struct{})}
		done := make(chan struct{})
		go func() {
			h.ServeHTTP(slow, r)
			close(done)
		}()
		<-slow.taken
		if n := h.(*guard).load.inside.Load(); n != 0 {
			t.Errorf("%q: %d are inside while the only one waits", accepted, n)
		}
		close(slow.free)
		<-done
		if coding := slow.Header().Get("Content-Encoding"); coding != accepted {
			t.Errorf("%q: %q", accepted, coding)
		}
	}
}
