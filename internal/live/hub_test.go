package live

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// away is a store of a database that does not answer.
type away struct {
	nowhere
	asked chan struct{}
	yield chan func([]*data.Change, data.Position) error
}

func (a *away) Follow(ctx context.Context, _ data.Position, yield func([]*data.Change, data.Position) error) error {
	a.yield <- yield
	<-ctx.Done()
	return ctx.Err()
}

func (a *away) WithHistory(ctx context.Context, _ data.Position, _ bool, _ func(*data.History) error) error {
	a.asked <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// posts is a database of an app with one collection.
func posts(t *testing.T, eng driver.Engine) *data.DB {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte("name: x\ncollections:\n  posts:\n    fields: {name: {type: text, max: 9}}\n    access: {read: true}\n")}},
		func(string) (string, bool) { return "", false })
	if err == nil {
		err = app.Extend("data", []byte(data.Collections))
	}
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("live live live live live live li")
	plan, err := data.Plan(t.Context(), app, eng, key)
	if err == nil {
		err = plan.Apply(t.Context(), eng, data.ApplyOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := data.Open(t.Context(), app, eng, data.Options{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// everything is a list of which every change is told.
func everything(t *testing.T) *data.Watch {
	t.Helper()
	w, err := posts(t, memory.Open()).Watch(data.Caller{}, &data.WatchQuery{Collection: "posts"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func inTime(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal(what)
	}
}

func async(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// A hub can be closed whatever the database does.
func TestCloseWhileTheDatabaseIsAway(t *testing.T) {
	db := &away{asked: make(chan struct{}, 1), yield: make(chan func([]*data.Change, data.Position) error, 1)}
	h := New(db, Options{})
	if err := h.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	yield := <-db.yield
	h.groups["x"] = &group{view: &view{form: sse{}, subs: []subscription{alone}, watches: []*data.Watch{everything(t)}}}
	told := async(func() {
		_ = yield([]*data.Change{{Position: 1, Collection: "posts"}}, data.Position{Epoch: "this", Number: 1})
	})
	<-db.asked
	inTime(t, "the hub cannot be closed", async(h.Close))
	<-told
}

// Whoever followed the log before has no say any more when another follows it.
func TestTheFollowerBefore(t *testing.T) {
	db := &away{yield: make(chan func([]*data.Change, data.Position) error, 1)}
	h := New(db, Options{})
	defer h.Close()
	if err := h.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := <-db.yield
	h.mu.Lock() // as when nobody has listened for long
	h.follow()
	h.follow = nil
	h.mu.Unlock()
	if err := h.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-db.yield
	at := h.position()
	if err := before(nil, data.Position{Epoch: "this", Number: at.Number + 1}); err == nil || h.position() != at {
		t.Errorf("the hub is at %v, was at %v: %v", h.position(), at, err)
	}
}

// hanging is a store whose newest position nobody learns.
type hanging struct {
	nowhere
	asked chan struct{}
}

func (a *hanging) Head(ctx context.Context) (data.Position, error) {
	a.asked <- struct{}{}
	<-ctx.Done()
	return data.Position{}, ctx.Err()
}

// Who opens a stream while the database is away is in nobody's way.
func TestOpenWhileTheDatabaseIsAway(t *testing.T) {
	db := &hanging{asked: make(chan struct{}, 1)}
	h := New(db, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	opened := async(func() { _ = h.start(ctx) })
	<-db.asked
	inTime(t, "the streams cannot be ended", async(h.Cut))
	cancel()
	<-opened
	h.Close()
}

// HEAD has the head alone.
func TestHeadOfTheLog(t *testing.T) {
	h := New(nowhere{}, Options{})
	defer h.Close()
	r := httptest.NewRequest(http.MethodHead, "/api/changes", nil)
	r.Header.Set("Accept", "text/event-stream")
	w := httptest.NewRecorder()
	inTime(t, "HEAD has no end", async(func() { h.Log(w, r, data.Caller{Operator: true}) }))
	if w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
}

// A cut ends those too that are in no group: operators who follow the log, and those who are being told what there is.
func TestCutEndsAll(t *testing.T) {
	t.Run("log", func(t *testing.T) {
		begun := make(chan struct{})
		h := New(followed{nowhere{}, begun}, Options{})
		defer h.Close()
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		done := async(func() { h.tail(w, r, data.Caller{Operator: true}, data.Position{Epoch: "this"}, true) })
		<-begun
		h.Cut()
		inTime(t, "the log is followed behind a cut", done)
	})
	t.Run("snapshot", func(t *testing.T) {
		begun := make(chan struct{})
		h := New(long{nowhere{}, begun}, Options{})
		defer h.Close()
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		done := async(func() {
			h.answer(w, r, data.Caller{}, &question{form: sse{}, subs: []subscription{alone}, snapshot: true, lists: []*data.WatchQuery{{}}}, nil)
		})
		<-begun
		h.Cut()
		inTime(t, "a snapshot is told behind a cut", done)
	})
}

// A WebSocket is told its snapshot by nobody's handler: a cut reaches it as well.
func TestCutEndsTheBeginningOfAConnection(t *testing.T) {
	begun := make(chan struct{})
	h := New(long{nowhere{}, begun}, Options{})
	defer h.Close()
	c := newClient(newView(frames{}, []*data.Watch{{}}, []subscription{alone}), data.Caller{}, &stuck{make(chan struct{}), make(chan struct{})})
	done := async(func() {
		h.began(t.Context(), c, &question{form: frames{}, subs: []subscription{alone}, snapshot: true, lists: []*data.WatchQuery{{}}})
	})
	<-begun
	h.Cut()
	inTime(t, "a snapshot is told behind a cut", done)
}

// A snapshot may take long: whoever loses his credential meanwhile is told no more of it.
func TestCredentialThatIsLostDuringASnapshot(t *testing.T) {
	begun := make(chan struct{})
	h := New(long{nowhere{}, begun}, Options{Caller: func(*http.Request) (data.Caller, error) {
		return data.Caller{}, fault.New(fault.Unauthenticated, "the credential is not valid")
	}})
	defer h.Close()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer x")
	done := async(func() {
		h.answer(w, r, data.Caller{SignedIn: true, Role: "staff"}, &question{form: sse{}, subs: []subscription{alone}, snapshot: true, lists: []*data.WatchQuery{{}}}, nil)
	})
	<-begun
	inTime(t, "the snapshot goes on", done)
	if !strings.Contains(w.Body.String(), "event: resync\n") {
		t.Errorf("he was told %q, want resync", w.Body)
	}
}

// followed says when the log is followed.
type followed struct {
	Store
	begun chan struct{}
}

func (f followed) Follow(ctx context.Context, _ data.Position, _ func([]*data.Change, data.Position) error) error {
	close(f.begun)
	<-ctx.Done()
	return ctx.Err()
}

// long is a store with a list that is long.
type long struct {
	Store
	begun chan struct{}
}

func (long) Watch(data.Caller, *data.WatchQuery) (*data.Watch, error) { return &data.Watch{}, nil }
func (p long) Present(ctx context.Context, _ data.Caller, _ *data.WatchQuery, _ string) ([][]byte, string, data.Position, error) {
	close(p.begun)
	<-ctx.Done()
	return nil, "", data.Position{}, ctx.Err()
}
