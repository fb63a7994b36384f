package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/internal/pool"
	"github.com/bluell/plinth/fault"
)

// link is a connection to nowhere.
type link struct {
	pool.State
	t      *testing.T
	dead   atomic.Bool // it is found broken while it is idle
	broken atomic.Bool
	used   atomic.Bool // somebody has it
	closed atomic.Int32
}

func (l *link) Alive(context.Context) bool { return !l.dead.Load() }
func (l *link) Broken() bool               { return l.broken.Load() }

func (l *link) Close() {
	if l.closed.Add(1) > 1 {
		l.t.Error("a connection is closed twice")
	}
}

func (l *link) over() bool { return l.closed.Load() > 0 }

// server makes links and has them all.
type server struct {
	t    *testing.T
	wait func(ctx context.Context) error // before a link is made; nil: nothing
	mu   sync.Mutex
	made []*link
}

func (s *server) connect(ctx context.Context, mode int) (*link, error) {
	if s.wait != nil {
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
	l := &link{t: s.t}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = append(s.made, l)
	return l, nil
}

func (s *server) open() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.made {
		if !l.over() {
			n++
		}
	}
	return n
}

func newPool(t *testing.T, most, modes int) (*pool.Pool[*link], *server) {
	s := &server{t: t}
	return pool.New(pool.Config[*link]{Connect: s.connect, Most: most, Modes: modes, Idle: pool.Idle, Life: pool.Life, Jitter: pool.Jitter}), s
}

func take(t *testing.T, p *pool.Pool[*link], mode int) *link {
	t.Helper()
	l, err := p.Take(context.Background(), mode)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func loaded(t *testing.T, p *pool.Pool[*link], want driver.Load) {
	t.Helper()
	if got := p.Load(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestContention: no connection is in two hands, no more are in use than there may be, none is given out that was broken or
// of before a reset, and at the end none is left.
func TestContention(t *testing.T) {
	t.Parallel()
	const most = 3
	p, s := newPool(t, most, 2)
	var inUse atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 300 {
				mode := rand.IntN(2)
				l, err := p.Take(context.Background(), mode)
				if err != nil {
					t.Error(err)
					return
				}
				if l.Mode != mode || l.over() || l.broken.Load() || l.used.Swap(true) || inUse.Add(1) > most {
					t.Errorf("it has mode %d for %d, closed %d times, broken %v, in use %d", l.Mode, mode, l.closed.Load(), l.broken.Load(), inUse.Load())
				}
				l.used.Store(false)
				switch rand.IntN(20) {
				case 0:
					l.broken.Store(true)
				case 1:
					l.broken.Store(true)
					p.Reset()
				case 2:
					l.used.Store(false)
					if other, ok := p.Trade(context.Background(), l, 1-mode); ok {
						if l = other; l.used.Swap(true) {
							t.Error("what it was traded for is in use")
						}
						l.used.Store(false)
					}
				}
				inUse.Add(-1)
				p.Give(l)
			}
		})
	}
	all.Wait()
	l := p.Load()
	if l.InUse != 0 || l.Waiting != 0 || l.Idle > 2*most {
		t.Errorf("%+v", l)
	}
	p.Close()
	if n := s.open(); n != 0 {
		t.Errorf("%d of %d are open", n, len(s.made))
	}
}

// TestCancelled: who does not wait any more is told so, before and after a wait is watched, and has nothing.
func TestCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := newPool(t, 1, 1)
		defer p.Close()
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := p.Take(gone, 0); !errors.Is(err, context.Canceled) || len(s.made) > 0 {
			t.Errorf("gone before it: %v", err)
		}
		held := take(t, p, 0)
		for _, patience := range []time.Duration{time.Millisecond, 10 * time.Millisecond, time.Second} {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			began := time.Now()
			_, err := p.Take(ctx, 0)
			if took := time.Since(began); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) || took != max(patience, 10*time.Millisecond) {
				t.Errorf("%v after %v: %v", patience, took, err)
			}
			cancel()
		}
		loaded(t, p, driver.Load{InUse: 1, Most: 1})
		p.Give(held)
		if l := take(t, p, 0); l != held {
			t.Error("it is another")
		}
		p.Give(held)
		loaded(t, p, driver.Load{Idle: 1, Most: 1})
	})
}

// TestWaits: who waits has the next that is given back, also when he has waited for long.
func TestWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, 1, 1)
		defer p.Close()
		for _, while := range []time.Duration{0, time.Minute} {
			held := take(t, p, 0)
			got := make(chan *link)
			go func() { got <- take(t, p, 0) }()
			time.Sleep(while)
			synctest.Wait()
			loaded(t, p, driver.Load{InUse: 1, Most: 1, Waiting: 1})
			p.Give(held)
			l := <-got
			if l != held {
				t.Error("it is another")
			}
			p.Give(l)
		}
	})
}

// TestConnectFails: the right to a connection is free again where none could be made.
func TestConnectFails(t *testing.T) {
	t.Parallel()
	p, s := newPool(t, 1, 1)
	defer p.Close()
	boom := errors.New("boom")
	s.wait = func(context.Context) error { return boom }
	for range 3 {
		if _, err := p.Take(context.Background(), 0); err != boom {
			t.Fatal(err)
		}
		if _, _, err := p.Extra(context.Background(), 0); err != boom {
			t.Fatal(err)
		}
	}
	s.wait = nil
	p.Give(take(t, p, 0))
}

// TestClose waits for connections in use, and those beside them; who waits for one is told, and who comes.
func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := newPool(t, 2, 1)
		first, second := take(t, p, 0), take(t, p, 0)
		_, done, err := p.Extra(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}
		waits := make(chan error, 2)
		wait := func() {
			_, err := p.Take(context.Background(), 0)
			waits <- err
		}
		go wait()
		time.Sleep(time.Minute)
		go wait() // one waits for long, the other does not
		synctest.Wait()
		closed, began := make(chan bool, 1), time.Now()
		go func() { p.Close(); closed <- true }()
		synctest.Wait()
		refused := func(err error) {
			t.Helper()
			if !fault.Is(err, fault.Unavailable) || err.Error() != "the database is closed" {
				t.Errorf("%v", err)
			}
		}
		refused(<-waits)
		refused(<-waits)
		if took := time.Since(began); took > 0 {
			t.Errorf("told after %v", took)
		}
		_, err = p.Take(context.Background(), 0)
		refused(err)
		_, _, err = p.Extra(context.Background(), 0)
		refused(err)
		for what, end := range map[string]func(){
			"one": func() { p.Give(first) }, "another": func() { second.broken.Store(true); p.Give(second) }, "one beside them": done,
		} {
			if synctest.Wait(); len(closed) > 0 {
				t.Errorf("closed before %s was given back", what)
			}
			end()
		}
		<-closed
		p.Close() // once more is nothing
		if n := s.open(); n != 0 || len(s.made) != 3 {
			t.Errorf("%d of %d are open", n, len(s.made))
		}
	})
}

// TestGoesOn: who has entered gets a connection after Close was called, which waits for him.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := newPool(t, 2, 1)
		if err := p.Enter(context.Background()); err != nil {
			t.Fatal(err)
		}
		closed := make(chan bool, 1)
		go func() { p.Close(); closed <- true }()
		synctest.Wait()
		l, err := p.Get(context.Background(), 0)
		if err != nil || len(closed) > 0 {
			t.Fatal(err)
		}
		p.Give(l)
		<-closed
		if s.open() != 0 {
			t.Error("it is open")
		}
	})
}

// TestBroken: what breaks while it is idle is not given out, nor what is given back broken; others are.
func TestBroken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := newPool(t, 3, 1)
		defer p.Close()
		a, b, c := take(t, p, 0), take(t, p, 0), take(t, p, 0)
		p.Give(a)
		p.Give(b)
		b.dead.Store(true)
		c.broken.Store(true)
		p.Give(c)
		if l := take(t, p, 0); l != a {
			t.Error("it is not the one that is left")
		}
		if l := take(t, p, 0); l == b || l == c || l.over() {
			t.Error("it is one that is broken")
		}
		synctest.Wait()
		if !b.over() || !c.over() || a.over() || s.open() != 2 {
			t.Error("what is broken is not closed, or what is not")
		}
		p.Give(s.made[0])
		p.Give(s.made[3])
	})
}

// TestReset: the idle ones are closed at once, those in use when they are given back, and what was being made too.
func TestReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := newPool(t, 4, 2)
		defer p.Close()
		idle, other, used := take(t, p, 0), take(t, p, 1), take(t, p, 0)
		p.Give(idle)
		p.Give(other)
		goes, making := make(chan bool), make(chan *link)
		s.wait = func(context.Context) error { <-goes; return nil }
		p.Reset()
		synctest.Wait()
		if !idle.over() || !other.over() || used.over() {
			t.Error("idle ones are open, or one in use is not")
		}
		go func() { making <- take(t, p, 0) }()
		synctest.Wait()
		p.Reset()
		close(goes)
		before := <-making
		p.Give(used)
		p.Give(before)
		synctest.Wait()
		if !used.over() || !before.over() {
			t.Error("what was made before it is used on")
		}
		l := take(t, p, 0)
		p.Give(l)
		if synctest.Wait(); l.over() {
			t.Error("what was made after it is closed")
		}
		loaded(t, p, driver.Load{Idle: 1, Most: 4})
	})
}

// TestIdle: who lies idle for half an hour is closed, whoever else is used; nobody need come for that.
func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := newPool(t, 2, 2)
		defer p.Close()
		a, b := take(t, p, 0), take(t, p, 1)
		p.Give(a)
		p.Give(b)
		for range 29 {
			time.Sleep(time.Minute)
			p.Give(take(t, p, 0))
		}
		if s.open() != 2 {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Minute)
		if a.over() || !b.over() {
			t.Error("the one that is used is closed, or the other is not")
		}
		if time.Sleep(pool.Idle); !a.over() {
			t.Error("it is not closed")
		}
		if l := take(t, p, 0); l == a || l == b { // what comes after it is looked after as well
			t.Error("it was closed")
		}
		p.Give(s.made[2])
		if time.Sleep(pool.Idle + time.Minute); s.open() != 0 {
			t.Error("the next is not closed")
		}
	})
}

// TestLife: a connection is renewed after an hour, though it be used all the time, and not all at one moment.
func TestLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 8
		p, s := newPool(t, n, 1)
		defer p.Close()
		round := func() {
			var some []*link
			for range n {
				some = append(some, take(t, p, 0))
			}
			for _, l := range some {
				p.Give(l)
			}
			synctest.Wait()
		}
		round()
		old, ended := s.made[:n:n], map[time.Duration]bool{}
		for began := time.Now(); len(old) > 0; time.Sleep(time.Second) {
			round()
			left, age := living(old), time.Since(began)
			if len(left) < len(old) {
				ended[age] = true
			}
			if old = left; len(left) < n && age < pool.Life || age > pool.Life+pool.Jitter+time.Second {
				t.Fatalf("%d are left after %v", len(left), age)
			}
		}
		if round(); len(ended) < 3 || s.open() != n {
			t.Errorf("renewed at %d moments; %d are open", len(ended), s.open())
		}
	})
}

// TestOld: an old connection is closed when it is given back, or is looked at though it might lie idle for longer.
func TestOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{t: t}
		p := pool.New(pool.Config[*link]{Connect: s.connect, Most: 1, Modes: 1, Idle: 10 * time.Hour, Life: time.Hour})
		defer p.Close()
		p.Give(take(t, p, 0))
		if time.Sleep(time.Hour - time.Second); s.open() != 1 {
			t.Error("it is closed")
		}
		if time.Sleep(2 * time.Minute); s.open() != 0 {
			t.Error("it is open")
		}
		l := take(t, p, 0)
		time.Sleep(2 * time.Hour)
		p.Give(l)
		if synctest.Wait(); s.open() != 0 {
			t.Error("it is kept")
		}
	})
}

func living(some []*link) (left []*link) {
	for _, l := range some {
		if !l.over() {
			left = append(left, l)
		}
	}
	return left
}

// TestModes: who has one may trade it for an idle one of another mode, and of both there are as many as of one may be in use.
func TestModes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, s := newPool(t, 1, 2)
		defer p.Close()
		a := take(t, p, 0)
		if _, ok := p.Trade(context.Background(), a, 1); ok {
			t.Fatal("there was none")
		}
		p.Give(a)
		b := take(t, p, 1)
		got, ok := p.Trade(context.Background(), b, 0)
		if !ok || got != a {
			t.Fatal("it is not the one that was idle")
		}
		loaded(t, p, driver.Load{InUse: 1, Idle: 1, Most: 1})
		p.Give(a)
		loaded(t, p, driver.Load{Idle: 2, Most: 1})
		a.dead.Store(true)
		c := take(t, p, 0) // a is closed, b lies there
		p.Give(c)
		if synctest.Wait(); !a.over() || b.over() || s.open() != 2 {
			t.Error("not one of each is left")
		}
	})
}

func BenchmarkTake(b *testing.B) {
	s := &server{}
	p := pool.New(pool.Config[*link]{Connect: s.connect, Most: 8, Modes: 1, Idle: pool.Idle, Life: pool.Life})
	defer p.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.Take(ctx, 0)
		if err != nil {
			b.Fatal(err)
		}
		p.Give(l)
	}
}
