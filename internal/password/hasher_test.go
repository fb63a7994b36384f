package password

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluell/plinth/fault"
)

func TestHash(t *testing.T) {
	t.Parallel()
	h, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	const password = "correct horse battery staple"
	one, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(one) {
		t.Error(one)
	}
	other, err := h.Hash(t.Context(), password)
	if err != nil || one == other {
		t.Errorf("two hashes are one: %v", err)
	}
	if ok, rehash := verify(t, h, one, password); !ok || rehash {
		t.Errorf("verified %t, to be replaced %t", ok, rehash)
	}
	if ok, rehash := verify(t, h, one, password+" "); ok || rehash {
		t.Errorf("another password: verified %t, to be replaced %t", ok, rehash)
	}
	for _, bad := range []string{"", strings.Repeat("x", MaxTyped+1)} {
		if _, err := h.Hash(t.Context(), bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
		if ok, _, err := h.Verify(t.Context(), one, bad); ok || err != nil {
			t.Errorf("%d bytes: %t, %v", len(bad), ok, err)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{Memory: 7}, {Memory: 64, Threads: 9}, {Memory: 128<<10 + 1}, {Memory: 128 << 10, Time: 17}, {Threads: 17}, {AtOnce: -1}, {Queue: -1}, {Patience: -1},
	} {
		if _, err := New(o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A password is the same however it was typed, and one that PHP hashed as it was typed verifies in our own format too.
func TestNormalForm(t *testing.T) {
	t.Parallel()
	h := cheap(t, Options{})
	for _, same := range [][]string{
		{"l\u00e8tmein", "le\u0300tmein"},
		{"a b", "a\u00a0b", "a\u3000b", "a\u2003b"},
		{"\u1e69", "s\u0323\u0307", "s\u0307\u0323", "\u1e63\u0307"},
	} {
		stored, err := h.Hash(t.Context(), same[len(same)-1])
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range same {
			if ok, rehash := verify(t, h, stored, s); !ok || rehash {
				t.Errorf("%q for %q: verified %t, to be replaced %t", s, same[0], ok, rehash)
			}
		}
	}
	for _, other := range []string{"ﬁne", "fine", "FINE", " fine", "fi\tne", "broken \xff", "broken \xfe", "broken \ufffd"} {
		stored, err := h.Hash(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"ﬁne", "fine", "FINE", " fine", "fi\tne", "broken \xff", "broken \xfe", "broken \ufffd"} {
			if ok, _ := verify(t, h, stored, s); ok != (s == other) {
				t.Errorf("%q for %q: %t", s, other, ok)
			}
		}
	}
	d := argon2Digest{argon2Params: h.today, salt: random(saltLen)}
	d.sum = d.derive("le\u0300tmein", sumLen)
	if ok, rehash := verify(t, h, d.String(), "le\u0300tmein"); !ok || !rehash {
		t.Errorf("a decomposed one in our own format: verified %t, to be replaced %t", ok, rehash)
	}
}

// Whatever is not of today's parameters is to be replaced.
func TestRehash(t *testing.T) {
	t.Parallel()
	today := cheap(t, Options{Memory: 128, Time: 2, Threads: 2})
	for _, o := range []Options{{Memory: 64, Time: 2, Threads: 2}, {Memory: 256, Time: 2, Threads: 2}, {Memory: 128, Time: 1, Threads: 2},
		{Memory: 128, Time: 2, Threads: 1}, {Memory: 128, Time: 2, Threads: 2}} {
		stored, err := cheap(t, o).Hash(t.Context(), "password")
		if err != nil {
			t.Fatal(err)
		}
		same := o.Memory == 128 && o.Time == 2 && o.Threads == 2
		if ok, rehash := verify(t, today, stored, "password"); !ok || rehash == same {
			t.Errorf("%+v: verified %t, to be replaced %t", o, ok, rehash)
		}
	}
	short := argon2Digest{argon2Params: today.today, salt: random(8), sum: ""}
	short.sum = short.derive("password", 16)
	if ok, rehash := verify(t, today, short.String(), "password"); !ok || !rehash {
		t.Errorf("a short salt and digest: verified %t, to be replaced %t", ok, rehash)
	}
}

// Nobody is verified at the cost of somebody, and is never let in.
func TestNobody(t *testing.T) {
	t.Parallel()
	h := cheap(t, Options{Memory: 128, Time: 3, Threads: 2})
	stored, err := h.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	somebody, err := parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	a, b := somebody.digest.(argon2Digest), h.nobody.digest.(argon2Digest)
	if a.argon2Params != b.argon2Params || len(a.salt) != len(b.salt) || len(a.sum) != len(b.sum) {
		t.Errorf("somebody costs %+v, nobody %+v", a.argon2Params, b.argon2Params)
	}
	for _, typed := range []string{"password", "pa\u00a0ssword"} { // one candidate, and two
		if x, y := len(somebody.candidates(typed)), len(h.nobody.candidates(typed)); x != y {
			t.Errorf("%q: somebody is verified %d times, nobody %d times", typed, x, y)
		}
	}
	if !h.current(h.nobody) || !h.current(somebody) {
		t.Error("they are held back as other systems' are")
	}
	h.nobody.digest = a // even whoever finds what nobody's is made of
	for _, none := range []string{"", "!", "!unusable0123"} {
		ok, rehash, err := h.Verify(t.Context(), none, "password")
		if ok || rehash || err != nil {
			t.Errorf("%q: %t %t %v", none, ok, rehash, err)
		}
		if scheme, err := Identify(none); scheme != "none" || err != nil {
			t.Errorf("%q: %q, %v", none, scheme, err)
		}
	}
}

// counted counts the derivations of a digest.
type counted struct {
	digest
	n *int
}

func (c counted) match(password string) (bool, error) { *c.n++; return c.digest.match(password) }

// What cannot be read is an error for the log, at nobody's cost.
func TestUnread(t *testing.T) {
	t.Parallel()
	h := cheap(t, Options{})
	n := 0
	h.nobody.digest = counted{h.nobody.digest, &n}
	for i, stored := range []string{"rubbish", "{noop}password", "{devise}$2a$04$" + strings.Repeat("a", 53)} {
		ok, rehash, err := h.Verify(t.Context(), stored, "password")
		if ok || rehash || !fault.Is(err, fault.Internal) || n != i+1 {
			t.Errorf("%q: %t %t %v, derived %d times", stored, ok, rehash, err, n)
		}
		if err != nil && strings.Contains(err.Error(), "password\"") {
			t.Errorf("the error repeats what is stored: %v", err)
		}
	}
}

// slow is a digest that takes a while of a synthetic clock, or until it is told.
type slow struct {
	digest
	takes time.Duration
	until chan struct{}
}

func (s slow) match(password string) (bool, error) {
	time.Sleep(s.takes)
	if s.until != nil {
		<-s.until
	}
	return s.digest.match(password)
}

// Refusals take as long as another system's hash does, whoever is asked for; who signs in does not wait.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := cheap(t, Options{})
		stored, err := h.Hash(t.Context(), "password")
		if err != nil {
			t.Fatal(err)
		}
		took := func(stored, password string, want time.Duration) {
			t.Helper()
			began := time.Now()
			ok, _, err := h.Verify(t.Context(), stored, password)
			if err != nil || ok != (password == "password" && stored != "") {
				t.Errorf("verified %t: %v", ok, err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("it took %v, want %v", took, want)
			}
		}
		took("", "password", 0)
		const old = 200 * time.Millisecond
		h.pace.learn(old)
		took("", "password", old)
		took(stored, "wrong", old)
		took("", "wr\u00a0ong", 2*old)
		took(stored, "wr\u00a0ong", 2*old)
		took("$2a$04$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG", "wrong", old-old/32)
		took(stored, "password", 0)
		h.pace.learn(time.Hour)
		took("", "password", longest)
		ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		if _, _, err := h.Verify(ctx, "", "password"); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("whoever does not wait is told: %v", err)
		}
	})
}

// What foreign hashes take is learned by verifying them.
func TestPaceIsLearned(t *testing.T) {
	t.Parallel()
	h := cheap(t, Options{})
	if _, err := h.Hash(t.Context(), "password"); err != nil {
		t.Fatal(err)
	}
	verify(t, h, "", "password")
	if h.pace.slowest.Load() != 0 {
		t.Error("it was learned from what is today's")
	}
	verify(t, h, "{pbkdf2}"+strings.Repeat("00", 40), "password")
	if h.pace.slowest.Load() == 0 {
		t.Error("nothing was learned from another system's")
	}
}

// Derivations beyond those at once wait, for some time, and in a queue that has an end.
func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := cheap(t, Options{AtOnce: 2, Queue: 3, Patience: time.Second})
		until := make(chan struct{})
		h.nobody.digest = slow{digest: h.nobody.digest, until: until}
		errs := make(chan error, 10)
		ask := func(ctx context.Context) {
			go func() {
				_, _, err := h.Verify(ctx, "", "password")
				errs <- err
			}()
			synctest.Wait()
		}
		for range 5 { // two run, three wait
			ask(t.Context())
		}
		if len(errs) > 0 {
			t.Fatal(<-errs)
		}
		ask(t.Context()) // one too many: it is told so at once
		if len(errs) != 1 {
			t.Fatalf("%d were answered", len(errs))
		}
		if err := <-errs; !fault.Is(err, fault.Unavailable) || !errors.Is(err, errBusy) {
			t.Errorf("beyond the queue: %v", err)
		}
		var e *fault.Error
		if errors.As(errBusy, &e); e.After <= 0 {
			t.Error("nobody is told when to try again")
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, errBusy) { // after a second
				t.Errorf("beyond patience: %v", err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		ask(ctx)
		stop()
		if err := <-errs; !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up: %v", err)
		}
		ask(ctx)
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("who had given up before: %v", err)
		}
		if _, err := h.Hash(ctx, "password"); !errors.Is(err, context.Canceled) {
			t.Errorf("who had given up before he hashed: %v", err)
		}
		ask(t.Context()) // waits, and gets in
		close(until)
		for range 3 {
			if err := <-errs; err != nil {
				t.Errorf("who got in: %v", err)
			}
		}
		if n := h.gate.waiting.Load(); n != 0 || !h.gate.memory.TryAcquire(h.gate.budget) {
			t.Errorf("%d wait, or memory is still held", n)
		}
	})
}

// A hash that needs much memory counts for what it needs: two of them do not run at once.
func TestBudget(t *testing.T) {
	t.Parallel()
	h := cheap(t, Options{AtOnce: 64})
	large, err := h.gate.enter(t.Context(), 100<<20)
	if err != nil {
		t.Fatal(err)
	}
	if h.gate.memory.TryAcquire(100 << 20) {
		t.Error("200 MiB fit into a budget of 128 MiB")
	}
	small, err := h.gate.enter(t.Context(), 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	large()
	small()
	whole, err := h.gate.enter(t.Context(), 1<<40) // never more than all
	if err != nil {
		t.Fatal(err)
	}
	whole()
}

// Garbage counts until a cycle that began after it has ended: the second that is complete.
func TestHeap(t *testing.T) {
	t.Parallel()
	h := heap{cycle: 7, fresh: 40}
	for _, then := range []struct {
		cycle        uint64
		fresh, stale int64
	}{{7, 40, 0}, {8, 0, 40}, {8, 0, 40}, {9, 0, 0}} {
		if h.turn(then.cycle); h.fresh != then.fresh || h.stale != then.stale {
			t.Errorf("at cycle %d: fresh %d, stale %d", then.cycle, h.fresh, h.stale)
		}
	}
	h.fresh, h.stale = 40, 40
	if h.turn(11); h.fresh != 0 || h.stale != 0 {
		t.Errorf("two cycles later: %d, %d", h.fresh, h.stale)
	}
	h.limit = 100
	for range 10 {
		h.begin(40)
		if all := h.live + h.fresh + h.stale; all > h.limit {
			t.Errorf("%d bytes, of %d", all, h.limit)
		}
		h.end(40)
	}
	h.begin(80)
	h.begin(80) // there is nothing to collect, and the gate has let it in
	if h.live != 160 {
		t.Errorf("%d bytes are alive", h.live)
	}
}

// One Hasher serves all, and many at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	h := cheap(t, Options{Queue: 1000, Patience: time.Minute})
	stored, err := h.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			typed := "password"
			if i%2 == 1 {
				typed = "wrong"
			}
			if ok, rehash, err := h.Verify(t.Context(), stored, typed); ok != (i%2 == 0) || rehash || err != nil {
				t.Errorf("%q: %t %t %v", typed, ok, rehash, err)
			}
		})
	}
	all.Wait()
	if h.heap.live != 0 {
		t.Errorf("%d bytes are still alive", h.heap.live)
	}
}
