package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mongo/mongotest"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

var operator = data.Caller{Operator: true, SignedIn: true, Scope: "operator"}

// notes is an app of one collection.
func notes(t testing.TB) *spec.App {
	t.Helper()
	return notesWith(t, "{type: int}")
}

// notesWith is notes with another field n, and more behind it.
func notesWith(t testing.TB, n string) *spec.App {
	t.Helper()
	text := `
name: notes
collections:
  notes: {fields: {name: {type: text, max: 20, unique: true}, n: ` + n + `}, access: {read: true, write: true}}
`
	a, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(text)}}, func(string) (string, bool) { return "", false })
	if err == nil {
		err = a.Extend("data", []byte(data.Collections))
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fate stands between an engine and its server. At a call it is what the test says.
type fate struct {
	server
	mu    sync.Mutex
	calls int
	at    int                                // the number of the call; 0: none
	when  func(what, collection string) bool // or the first call of which this is true
	after bool                               // the server does it, but the answer is not heard
	meets func() error
	dead  error
}

// call counts a call. What meets returns is the end of the process: nothing is asked of the server any more.
func (s *fate) call(what, collection string, do func() error) error {
	s.mu.Lock()
	if s.dead != nil {
		defer s.mu.Unlock()
		return s.dead
	}
	s.calls++
	hit := s.calls == s.at || s.when != nil && s.when(what, collection)
	after, meets := s.after, s.meets
	if hit {
		s.when = nil
	}
	s.mu.Unlock()
	var err error
	if hit && !after {
		err = meets()
	}
	if err == nil {
		err = do()
		if hit && after {
			err = meets()
		}
	}
	if hit && err != nil {
		s.mu.Lock()
		s.dead = err
		s.mu.Unlock()
	}
	return err
}

func (s *fate) rows(ctx context.Context, a asked, yield func(bson.Raw) error) error {
	return s.call("rows", a.from, func() error { return s.server.rows(ctx, a, yield) })
}

func (s *fate) insert(ctx context.Context, collection string, d bson.D) error {
	return s.call("insert", collection, func() error { return s.server.insert(ctx, collection, d) })
}

// insertAll inserts them one by one, for a server may end between any two.
func (s *fate) insertAll(ctx context.Context, collection string, docs []bson.D) (int, error) {
	for i, d := range docs {
		if err := s.insert(ctx, collection, d); err != nil {
			return i, err
		}
	}
	return len(docs), nil
}

func (s *fate) update(ctx context.Context, collection string, filter, change bson.D, how updating) (n int64, err error) {
	err = s.call("update", collection, func() error { n, err = s.server.update(ctx, collection, filter, change, how); return err })
	return n, err
}

func (s *fate) delete(ctx context.Context, collection string, filter bson.D) (n int64, err error) {
	err = s.call("delete", collection, func() error { n, err = s.server.delete(ctx, collection, filter); return err })
	return n, err
}

// process is a database as one process has it.
type process struct {
	*data.DB
	e *Engine
	s *fate
}

func begin(t testing.TB, a *spec.App, address string) *process {
	t.Helper()
	e := openAt(t, address)
	p := &process{e: e, s: &fate{server: e.server}}
	tables, err := e.Inspect(t.Context())
	if err == nil && len(tables) == 0 {
		var plan *data.Migration
		if plan, err = data.Plan(t.Context(), a, e, nil); err == nil {
			err = plan.Apply(t.Context(), e, data.ApplyOptions{})
		}
	}
	if err == nil {
		p.DB, err = data.Open(t.Context(), a, e, data.Options{Key: []byte(strings.Repeat("k", 32))})
	}
	if err != nil {
		t.Fatal(err)
	}
	e.server = p.s
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func body(t testing.TB, text string) *doc.Node {
	t.Helper()
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// write is one write of a record, and what the log has to say of it.
type write struct{ op, id, name string }

func (p *process) write(t testing.TB, w write) (err error) {
	t.Helper()
	switch w.op {
	case "create":
		_, err = p.Create(t.Context(), operator, "notes", body(t, `{"id":"`+w.id+`","name":"`+w.name+`"}`), data.WriteOptions{})
	case "update":
		_, err = p.Update(t.Context(), operator, "notes", w.id, body(t, `{"name":"`+w.name+`"}`), data.WriteOptions{})
	default:
		_, err = p.Delete(t.Context(), operator, "notes", w.id, data.WriteOptions{})
	}
	return err
}

// story has what a record may go through. Names are unique: one that a deleted record had is free at once.
var story = []write{
	{"create", id(1), "a"}, {"create", id(2), "b"}, {"update", id(1), "c"}, {"delete", id(1), ""},
	{"create", id(1), "c"}, {"update", id(2), "a"}, {"update", id(2), "d"}, {"delete", id(1), ""}, {"create", id(3), "c"},
}

// told reads all changes behind a position, and checks that there is no gap.
func (p *process) told(t testing.TB, at *data.Position) (all []string) {
	t.Helper()
	for {
		changes, next, err := p.Changes(t.Context(), *at)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range changes {
			if c.Position != at.Number+1+int64(i) {
				t.Fatalf("change %d behind %v has the position %d", i, *at, c.Position)
			}
			name := ""
			if c.New != nil {
				name = c.New[spec.OrdFirst].Text()
			}
			all = append(all, fmt.Sprintf("%s %s %s", c.Op, c.ID, name))
		}
		if next == *at {
			return all
		}
		*at = next
	}
}

// clean says that no document has anything that no reader sees.
func (p *process) clean(t testing.TB) {
	t.Helper()
	err := p.e.server.rows(t.Context(), asked{from: "notes", filter: bson.D{}, project: bson.D{}}, func(d bson.Raw) error {
		for _, name := range []string{rowsField, waiting, emptied} {
			if _, err := d.LookupErr(name); err == nil {
				t.Errorf("%s is left in %s", name, d)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var errEnd = fault.New(fault.Unavailable, "the process has ended")

// anywhere runs a test for each call at which a process may meet its end, before it and behind it, on a database of its own
// in which the app's tables are: once more after the last, which the test tells by over.
func anywhere(t *testing.T, a *spec.App, pass func(t *testing.T, address string, at int, after bool) (over bool)) {
	made := mongotest.Alone(t)
	begin(t, a, made)
	for _, after := range []bool{false, true} {
		for at, over := 1, false; !over; at++ {
			name := fmt.Sprintf("before %d", at)
			if after {
				name = fmt.Sprintf("behind %d", at)
			}
			if !t.Run(name, func(t *testing.T) { over = pass(t, mongotest.Copy(t, made), at, after) }) {
				return
			}
			if at > 1000 {
				t.Fatal("it does not come to its end")
			}
		}
	}
}

// TestEndAnywhere: a process that writes, reads the log and sweeps it ends before, or behind, each thing that it asks of
// the server. What it was told is stored is in the log once; what it was not told is there once if it is stored, and else
// not at all; and nothing is left over.
func TestEndAnywhere(t *testing.T) {
	t.Parallel()
	a := notes(t)
	anywhere(t, a, func(t *testing.T, address string, at int, after bool) (over bool) {
		p := begin(t, a, address)
		reader := begin(t, a, address)
		pos, err := reader.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.s.at, p.s.after, p.s.meets = at, after, func() error { return errEnd }
		var sure []string
		unsure := ""
		for _, w := range story {
			line := fmt.Sprintf("%s %s %s", w.op, w.id, w.name)
			if err := p.write(t, w); err != nil {
				if !fault.Is(err, fault.Unavailable) {
					t.Fatalf("%s: %v", line, err)
				}
				unsure = line
				break
			}
			sure = append(sure, line)
			if len(sure)%3 == 0 {
				if _, err := p.Head(t.Context()); err != nil {
					break
				}
			}
		}
		got := reader.told(t, &pos)
		if err := p.SweepChanges(t.Context(), -time.Hour, 1); err == nil {
			_, err = p.Head(t.Context())
			over = err == nil && p.s.done()
		}
		again := begin(t, a, address) // somebody who knows nothing yet
		got = append(got, again.told(t, &pos)...)
		inOrder(t, got)
		slices.Sort(got)
		want := slices.Clone(sure)
		slices.Sort(want)
		if with := append(slices.Clone(sure), unsure); unsure != "" && len(got) == len(with) {
			slices.Sort(with)
			want = with
		}
		if !slices.Equal(got, want) {
			t.Fatalf("the log has\n%q\nwant\n%q, unsure of %q", got, want, unsure)
		}
		again.same(t, sure, unsure, len(got) > len(sure))
		again.clean(t)
		if err := again.SweepChanges(t.Context(), -time.Hour, 1); err != nil {
			t.Fatal(err)
		}
		return over
	})
}

// done says that the call that was waited for has not come.
func (s *fate) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls < s.at
}

// inOrder: of one record the changes come as they were made.
func inOrder(t testing.TB, got []string) {
	t.Helper()
	by := map[string][]string{}
	for _, line := range got {
		of := strings.Fields(line)[1]
		by[of] = append(by[of], line)
	}
	for of, lines := range by {
		var made []string
		for _, w := range story {
			if w.id == of {
				made = append(made, fmt.Sprintf("%s %s %s", w.op, w.id, w.name))
			}
		}
		if len(lines) > len(made) || !slices.Equal(lines, made[:len(lines)]) {
			t.Fatalf("of %s the log has %q, want %q", of, lines, made)
		}
	}
}

// same: what is stored is what the writes have left.
func (p *process) same(t testing.TB, sure []string, unsure string, too bool) {
	t.Helper()
	if too {
		sure = append(slices.Clone(sure), unsure)
	}
	want := map[string]string{}
	for _, line := range sure {
		op, rest, _ := strings.Cut(line, " ")
		of, name, _ := strings.Cut(rest, " ")
		if want[of] = name; op == "delete" {
			delete(want, of)
		}
	}
	text, err := p.List(t.Context(), operator, &data.ListQuery{Collection: "notes", Fields: "id,name", Limit: 50, Count: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := body(t, string(text))
	items, _ := n.Get("items")
	got := map[string]string{}
	for i := range items.Items {
		of, _ := items.Items[i].Get("id")
		name, _ := items.Items[i].Get("name")
		got[of.Text] = name.Text
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("stored are %v, want %v", got, want)
	}
	if total, ok := n.Get("total"); ok && total.Text != fmt.Sprint(len(want)) {
		t.Fatalf("%s are counted, want %d", total.Text, len(want))
	}
}

// TestStopAnywhere: a process that moves what waits into the log is stopped before each thing that it asks of the server,
// as long as others need to move the same, write and move more, and sweep the log; then it goes on. Nothing is in the log
// twice, nothing is missing, and there is no gap.
func TestStopAnywhere(t *testing.T) {
	t.Parallel()
	a := notes(t)
	anywhere(t, a, func(t *testing.T, address string, at int, after bool) (over bool) {
		slow, quick, reader := begin(t, a, address), begin(t, a, address), begin(t, a, address)
		if _, err := slow.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
		pos, err := reader.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		do := func(w write) {
			t.Helper()
			if err := quick.write(t, w); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("%s %s %s", w.op, w.id, w.name))
		}
		// What slow finds is left by one who has ended: quick's own do not wait long.
		ended := begin(t, a, address)
		for _, w := range story[:4] {
			ended.s.mu.Lock()
			ended.s.dead = nil
			ended.s.mu.Unlock()
			leave(t, ended, w)
			want = append(want, fmt.Sprintf("%s %s %s", w.op, w.id, w.name))
		}
		slow.s.mu.Lock()
		slow.s.calls, slow.s.at, slow.s.after = 0, at, after
		slow.s.meets = func() error {
			got = append(got, reader.told(t, &pos)...)
			for _, w := range story[4:] {
				do(w)
				got = append(got, reader.told(t, &pos)...)
			}
			return quick.SweepChanges(t.Context(), -time.Hour, 1)
		}
		slow.s.mu.Unlock()
		if _, err := slow.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
		over = slow.s.done()
		got = append(got, reader.told(t, &pos)...)
		if over {
			want, got = nil, nil // it was not stopped
		}
		inOrder(t, got)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("the log has\n%q\nwant\n%q", got, want)
		}
		reader.clean(t)
		if _, err := reader.Oldest(t.Context()); err != nil {
			t.Fatal(err)
		}
		return over
	})
}

// on has a process meet something at the first call that is one of these.
func (s *fate) on(what, collection string, after bool, meets func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.when = func(w, c string) bool { return w == what && c == collection }
	s.after, s.meets = after, meets
}

// TestSweptBeforeItIsNamed: rows are in the log and still wait, for who has moved them ended in between. Another has seen
// that they wait; before it asks for their names they are taken away, and the log is swept. They do not land again.
func TestSweptBeforeItIsNamed(t *testing.T) {
	t.Parallel()
	a, address := notes(t), mongotest.Alone(t)
	slow, quick, reader, ended := begin(t, a, address), begin(t, a, address), begin(t, a, address), begin(t, a, address)
	pos, err := reader.Head(t.Context())
	if err == nil {
		_, err = slow.Head(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		leave(t, ended, write{"create", id(n + 1), fmt.Sprint(n)})
	}
	mover := begin(t, a, address)
	mover.s.on("update", "notes", false, func() error { return errEnd })
	if _, err := mover.Head(t.Context()); !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
	var got []string
	slow.s.on("rows", "notes", true, func() error {
		got = reader.told(t, &pos)
		return quick.SweepChanges(t.Context(), -time.Hour, 1)
	})
	if _, err := slow.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got = append(got, reader.told(t, &pos)...); len(got) != 3 {
		t.Errorf("the log has %q", got)
	}
	reader.clean(t)
}

// TestPositionThatWasSwept: between a mover's look at the last position and its row the next one is taken and swept. The
// row that it stores there is behind nobody: it lands once more.
func TestPositionThatWasSwept(t *testing.T) {
	t.Parallel()
	a, address := notes(t), mongotest.Alone(t)
	slow, sweeper, reader, ended := begin(t, a, address), begin(t, a, address), begin(t, a, address), begin(t, a, address)
	late := begin(t, a, address)
	leave(t, ended, write{"create", id(1), "first"})
	start, err := reader.Head(t.Context())
	if err == nil {
		_, err = slow.Head(t.Context())
	}
	if err == nil {
		_, err = late.Head(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	pos := start
	raising, raise, swept := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	sweeper.s.on("update", "_log", false, func() error {
		close(raising)
		<-raise
		return nil
	})
	var got []string
	slow.s.on("rows", "_changes", true, func() error {
		leave(t, ended, write{"create", id(2), "second"})
		leave(t, ended, write{"create", id(3), "third"})
		got = reader.told(t, &pos)
		go func() { swept <- sweeper.SweepChanges(context.Background(), -time.Hour, 1) }()
		select {
		case <-raising:
		case err := <-swept:
			t.Errorf("it has swept without raising the floor: %v", err)
			return errEnd
		}
		leave(t, ended, write{"create", id(4), "fourth"}) // sweeper has not seen it, and slow will
		slow.s.on("insert", "_changes", false, func() error {
			close(raise)
			slow.s.on("rows", "_log", false, func() error { // the row is stored, where another was
				var old *data.TooOld
				if all, to, err := late.Changes(t.Context(), start); !errors.As(err, &old) {
					t.Errorf("who comes late is told %d changes up to %v, %v", len(all), to, err)
				}
				err := late.WithHistory(t.Context(), start, true, func(h *data.History) error {
					all, to := h.Changes()
					t.Errorf("who comes late has a history of %d changes up to %d", len(all), to)
					return nil
				})
				if !errors.As(err, &old) {
					t.Error(err)
				}
				return nil
			})
			return <-swept
		})
		return nil
	})
	if _, err := slow.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	got = append(got, reader.told(t, &pos)...)
	want := []string{"create " + id(2) + " second", "create " + id(3) + " third", "create " + id(4) + " fourth"}
	if !slices.Equal(got, want) || pos.Number != start.Number+3 {
		t.Errorf("the log has, up to %v behind %v,\n%q\nwant\n%q", pos, start, got, want)
	}
	if oldest, err := reader.Oldest(t.Context()); err != nil || oldest.Number < start.Number+1 {
		t.Errorf("the log begins behind %v: %v", oldest, err)
	}
	reader.clean(t)
}

// TestFloorNeverFalls: while a process with other fields is about to begin the log anew, behind what it has seen of it,
// another sweeps more than that.
func TestFloorNeverFalls(t *testing.T) {
	t.Parallel()
	address := mongotest.Alone(t)
	other := begin(t, notes(t), address)
	if err := other.write(t, write{"create", id(1), "first"}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	floor := func() (f int64) {
		err := other.e.server.rows(t.Context(), asked{from: "_log", filter: bson.D{}, project: bson.D{}}, func(d bson.Raw) error {
			f = number64(d.Lookup("floor"))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var swept int64
	anew := begin(t, notesWith(t, "{type: int}, more: {type: text, max: 20}"), address)
	anew.s.on("rows", "notes", true, func() error {
		for n := range 3 {
			if err := other.write(t, write{"create", id(n + 2), fmt.Sprint(n)}); err != nil {
				return err
			}
		}
		if err := other.SweepChanges(t.Context(), -time.Hour, 1); err != nil {
			return err
		}
		swept = floor()
		return nil
	})
	if _, err := anew.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if is := floor(); swept != 3 || is < swept {
		t.Errorf("the floor was %d and is %d", swept, is)
	}
}

// TestTwoMakeClean: one has taken away what waited in a record, and is about to make its document clean. Meanwhile the
// record is deleted, and another has just taken away the row of that. The document is still the other's to remove.
func TestTwoMakeClean(t *testing.T) {
	t.Parallel()
	a, address := notes(t), mongotest.Alone(t)
	one, other, reader, ended := begin(t, a, address), begin(t, a, address), begin(t, a, address), begin(t, a, address)
	pos, err := reader.Head(t.Context())
	if err == nil {
		_, err = other.Head(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	leave(t, ended, write{"create", id(1), "a"})
	removes, remove, removed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	other.s.on("delete", "notes", false, func() error {
		close(removes)
		<-remove
		return nil
	})
	one.s.on("delete", "notes", true, func() error {
		leave(t, ended, write{"delete", id(1), ""})
		go func() {
			_, err := other.Head(context.Background())
			removed <- err
		}()
		select {
		case <-removes:
			return nil
		case err := <-removed:
			t.Errorf("nothing was to be removed: %v", err)
			return errEnd
		}
	})
	_, err = one.Head(t.Context())
	close(remove)
	if err = errors.Join(err, <-removed); err != nil {
		t.Fatal(err)
	}
	if got := reader.told(t, &pos); len(got) != 2 {
		t.Errorf("the log has %q", got)
	}
	reader.clean(t)
}

// TestWhatIsLeftIsNoRecord: a deleted record whose rows wait has left a document, which its id finds, and which is none.
func TestWhatIsLeftIsNoRecord(t *testing.T) {
	t.Parallel()
	a, address := notes(t), mongotest.Alone(t)
	p, ended := begin(t, a, address), begin(t, a, address)
	leave(t, ended, write{"create", id(1), "a"})
	leave(t, ended, write{"delete", id(1), ""})
	left := 0
	if err := p.e.server.rows(t.Context(), asked{from: "notes", filter: field("_id", id(1)), project: bson.D{}}, func(bson.Raw) error { left++; return nil }); err != nil || left != 1 {
		t.Fatalf("%d documents are left: %v", left, err)
	}
	if _, _, err := p.Get(t.Context(), operator, data.Target{Collection: "notes", ID: id(1)}, data.View{}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("it is read: %v", err)
	}
	for _, op := range []string{"update", "delete"} {
		if err := p.write(t, write{op, id(1), "b"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", op, err)
		}
	}
	err := p.e.Write(t.Context(), func(tx driver.Tx) error {
		c, _ := a.Collection("notes")
		n, err := tx.Delete(c, []string{id(1)})
		if err == nil && n != 0 {
			t.Errorf("%d records are deleted once more", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// leave writes as one who ends as soon as his write is stored.
func leave(t testing.TB, p *process, w write) {
	t.Helper()
	errGone := errors.New("gone")
	p.s.mu.Lock()
	p.s.calls, p.s.at, p.s.dead, p.s.when = 0, 0, nil, nil
	p.s.mu.Unlock()
	stored := p.e.server
	p.e.server = &lastWrite{server: stored, end: errGone}
	defer func() { p.e.server = stored }()
	if err := p.write(t, w); err == nil {
		t.Fatal("it has not ended")
	}
}

// lastWrite ends the process behind the first document that is changed.
type lastWrite struct {
	server
	mu  sync.Mutex
	end error
	off bool
}

func (s *lastWrite) ended(do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		return s.end
	}
	s.off = true
	if err := do(); err != nil {
		return err
	}
	return s.end
}

func (s *lastWrite) insert(ctx context.Context, c string, d bson.D) error {
	return s.ended(func() error { return s.server.insert(ctx, c, d) })
}

func (s *lastWrite) update(ctx context.Context, c string, filter, change bson.D, how updating) (int64, error) {
	return 0, s.ended(func() error { _, err := s.server.update(ctx, c, filter, change, how); return err })
}
