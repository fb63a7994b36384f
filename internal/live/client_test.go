package live

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
)

// stuck is a way on which nothing comes through until it is closed.
type stuck struct{ begun, closed chan struct{} }

func (s *stuck) try(*piece) (int, error) { return 0, nil }
func (s *stuck) close()                  { close(s.closed) }
func (s *stuck) write([]byte) error {
	close(s.begun)
	<-s.closed
	return errGone
}

// What waits for one that is cut off while somebody writes to it is not counted for ever: else all others would be
// cut off for it at last.
func TestWhatWaitedIsNotCountedAnyMore(t *testing.T) {
	before := inAll.Load()
	way := &stuck{make(chan struct{}), make(chan struct{})}
	c := newClient(&view{form: sse{}}, data.Caller{}, way)
	c.send(make([]byte, 1000))
	<-way.begun
	c.send(make([]byte, 1000))
	free := c.free
	c.send(make([]byte, mostPending)) // too much: it is cut off
	select {
	case <-free:
	case <-time.After(10 * time.Second):
		t.Error("whoever waits for the one who wrote waits for ever")
	}
	if n := inAll.Load(); n != before {
		t.Errorf("%d bytes are counted that nobody holds", n-before)
	}
}

// What waits for all clients is bounded for those too that have taken all so far: a first piece may be half a megabyte, and many may ask for one at once.
func TestFirstPieceIsBounded(t *testing.T) {
	before := inAll.Load()
	inAll.Store(mostInAll + 1)
	defer inAll.Store(before)
	way := &stuck{make(chan struct{}), make(chan struct{})}
	c := newClient(&view{form: sse{}}, data.Caller{}, way)
	c.send(make([]byte, mostPending/2))
	if !c.gone() || inAll.Load() != mostInAll+1 {
		t.Errorf("one more piece is kept: %d bytes", inAll.Load()-mostInAll-1)
	}
}

// slow is a way on which what is written waits until it may go on.
type slow struct {
	stuck
	may chan struct{}
	got [][]byte
}

func (s *slow) write(b []byte) error {
	if s.got == nil {
		close(s.begun)
		s.got = [][]byte{}
	}
	<-s.may
	s.got = append(s.got, b)
	return nil
}

// Those who wait for the same keep one copy of it, and what waited is written in its order, together as far as that is not much.
func TestWhatWaitsIsShared(t *testing.T) {
	before := inAll.Load()
	const many = 300
	reader := func() *slow {
		return &slow{stuck: stuck{begun: make(chan struct{}), closed: make(chan struct{})}, may: make(chan struct{})}
	}
	way := reader()
	g := &group{clients: map[*client]struct{}{}}
	var all []*client
	for range many {
		c := newClient(&view{form: sse{}}, data.Caller{}, reader())
		g.clients[c], all = struct{}{}, append(all, c)
	}
	watched := newClient(&view{form: sse{}}, data.Caller{}, way)
	g.clients[watched], all = struct{}{}, append(all, watched)
	var want []byte
	buf := make([]byte, 40<<10) // who sends uses it again
	for i := range 8 {
		for j := range buf {
			buf[j] = byte('a' + i)
		}
		n := min(len(buf), 100<<(2*i))
		g.send(buf[:n])
		want = append(want, buf[:n]...)
		for _, c := range all { // it is written alone
			<-c.out.(*slow).begun
		}
	}
	if n := inAll.Load() - before; n != int64(len(want)) {
		t.Errorf("%d bytes are counted, and %d are held", n, len(want))
	}
	kept := map[*byte]int{}
	for _, c := range all {
		c.mu.Lock()
		for _, h := range c.pending {
			kept[&h.b[0]]++
		}
		c.mu.Unlock()
	}
	if len(kept) > 8 {
		t.Errorf("%d copies are kept of 8 pieces", len(kept))
	}
	for _, c := range all {
		free := c.free
		close(c.out.(*slow).may)
		<-free
	}
	if n := inAll.Load() - before; n != 0 {
		t.Errorf("%d bytes are counted that nobody holds", n)
	}
	if got := bytes.Join(way.got, nil); !bytes.Equal(got, want) {
		t.Errorf("%d bytes in another order than the %d that were sent", len(got), len(want))
	}
	if n := len(way.got); n >= 8 {
		t.Errorf("written in %d pieces", n)
	}
}

// An answer of net/http is not written to when its handler has returned: that panics, or writes to whoever has it next.
func TestNothingIsWrittenBehindTheHandler(t *testing.T) {
	h := New(nowhere{}, Options{})
	defer h.Close()
	for range 100 {
		w := httptest.NewRecorder() // nothing to be taken over
		h.answer(w, httptest.NewRequest(http.MethodGet, "/", nil), data.Caller{}, &question{form: sse{}, lists: []*data.WatchQuery{{}}, subs: []subscription{alone}, from: "nonsense"}, nil)
		if got := w.Body.String(); !strings.Contains(got, "event: resync\n") || !strings.HasSuffix(got, "\n\n") {
			t.Fatalf("when the handler returned this was written: %q", got)
		}
		w = httptest.NewRecorder()
		h.tail(w, httptest.NewRequest(http.MethodGet, "/", nil), data.Caller{}, data.Position{Epoch: "other"}, true)
		if got := w.Body.String(); !strings.Contains(got, "event: resync\n") {
			t.Fatalf("when the handler of the log returned this was written: %q", got)
		}
	}
}

// nowhere is a store whose log goes on from nowhere.
type nowhere struct{ Store }

func (nowhere) Watch(data.Caller, *data.WatchQuery) (*data.Watch, error) { return &data.Watch{}, nil }
func (nowhere) Head(context.Context) (data.Position, error)              { return data.Position{Epoch: "this"}, nil }
func (nowhere) Follow(ctx context.Context, after data.Position, _ func([]*data.Change, data.Position) error) error {
	if after.Epoch != "this" {
		return &data.TooOld{}
	}
	<-ctx.Done()
	return ctx.Err()
}

// lines is a connection that remembers its deadline.
type lines struct {
	net.Conn
	deadline time.Time
}

func (l *lines) Write(b []byte) (int, error)         { return len(b), nil }
func (l *lines) SetWriteDeadline(at time.Time) error { l.deadline = at; return nil }

// shared is an answer of a connection that others share, which remembers its deadline.
type shared struct {
	*httptest.ResponseRecorder
	lines
}

func (s *shared) Write(b []byte) (int, error) { return s.ResponseRecorder.Write(b) }

// A deadline is for what is being written. One that is left behind would end a stream on which nothing happens for a
// while: whatever is tried behind it fails, and HTTP/2 resets the stream when it passes.
func TestNoDeadlineIsLeftBehind(t *testing.T) {
	conn := &lines{}
	if err := newWire(conn).write([]byte("x")); err != nil || !conn.deadline.IsZero() {
		t.Errorf("a connection: %v, deadline %v", err, conn.deadline)
	}
	w := &shared{ResponseRecorder: httptest.NewRecorder()}
	if err := (&answer{w: w, ctl: http.NewResponseController(w)}).write([]byte("x")); err != nil || !w.deadline.IsZero() {
		t.Errorf("an answer: %v, deadline %v", err, w.deadline)
	}
}
