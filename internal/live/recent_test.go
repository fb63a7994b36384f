package live

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
)

func TestRecent(t *testing.T) {
	t.Parallel()
	change := func(at int64) *data.Change { return &data.Change{Position: at, ID: strings.Repeat("x", 36)} }
	one := change(1).Size()
	r := recent{most: 10 * one}
	r.begin(7)
	if all := r.behind(7); len(all) != 0 {
		t.Errorf("behind the begin there is %v", all)
	}
	for at := int64(8); at < 200; at++ {
		if at%5 != 0 { // of a collection that is none of the app's
			r.add([]*data.Change{change(at)})
		}
		if r.size > r.most || r.size != len(r.all)*one {
			t.Fatalf("%d bytes of %d changes", r.size, len(r.all))
		}
		for from := r.since; from <= at; from++ {
			want := from + 1
			for _, c := range r.behind(from) {
				if want%5 == 0 {
					want++
				}
				if c.Position != want {
					t.Fatalf("behind %d comes %d, not %d", from, c.Position, want)
				}
				want++
			}
			if want <= at && at%5 != 0 {
				t.Fatalf("behind %d of %d it ends at %d", from, at, want)
			}
		}
		if at > 30 && r.since < at-13 || at > 30 && r.since > at-3 {
			t.Fatalf("at %d it goes back to %d", at, r.since)
		}
	}
}

func TestRecall(t *testing.T) {
	t.Parallel()
	change := func(at int64) *data.Change { return &data.Change{Position: at} }
	one := change(1).Size()
	r := recent{most: 6 * one}
	r.begin(10)
	r.add([]*data.Change{change(11), change(12)})
	r.recall(7, []*data.Change{change(8), change(10)})
	if all := r.behind(7); r.since != 7 || r.size != 4*one || len(all) != 4 || all[0].Position != 8 || all[3].Position != 12 {
		t.Errorf("since %d, %d bytes, %v", r.since, r.size, all)
	}
	r.recall(3, []*data.Change{change(4), change(5), change(6)}) // too much
	if r.since != 7 || len(r.all) != 4 {
		t.Errorf("since %d, %v", r.since, r.all)
	}
}

// counted is a store that counts how often it is asked for changes.
type counted struct {
	*data.DB
	asked atomic.Int64
}

func (c *counted) Changes(ctx context.Context, after data.Position) ([]*data.Change, data.Position, error) {
	c.asked.Add(1)
	return c.DB.Changes(ctx, after)
}

// Whoever comes back after a moment costs the database nothing, and is told the same as from the database.
func TestWhatWasMissedIsRemembered(t *testing.T) {
	t.Parallel()
	db := &counted{DB: posts(t, memory.Open())}
	h := New(db, Options{})
	defer h.Close()
	if err := h.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin := h.position()
	write := func(n int) data.Position {
		for range n {
			rec, err := doc.Parse([]byte(`{"name":"x"}`), doc.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Create(t.Context(), data.System, "posts", rec, data.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		at, err := db.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := h.reached(ctx, at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	w, err := db.Watch(data.Caller{}, &data.WatchQuery{Collection: "posts"})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(newView(sse{}, []*data.Watch{w}, []subscription{alone}), data.Caller{}, nil)
	missed := func(from data.Position) (text string) {
		for {
			b, next, err := h.missed(t.Context(), c, place{Position: from})
			if err != nil {
				t.Fatal(err)
			}
			if text += string(b); next == from {
				return text
			}
			if from = next; from == h.position() {
				return text
			}
		}
	}
	write(5)
	middle := write(5)
	write(5)
	db.asked.Store(0)
	known := []string{missed(begin), missed(middle)}
	if n := db.asked.Load(); n != 0 {
		t.Errorf("the database was asked %d times", n)
	}
	h.mu.Lock()
	h.recent.begin(h.at.Number)
	h.mu.Unlock()
	asked := []string{missed(begin), missed(middle)}
	if n := db.asked.Load(); n != 1 {
		t.Errorf("the database was asked %d times for what is forgotten, and then remembered", n)
	}
	// What would be too much to remember is not read again and again.
	h.mu.Lock()
	h.recent.begin(h.at.Number)
	h.recent.most = 7 * h.recent.most / mostRecent
	h.mu.Unlock()
	db.asked.Store(0)
	for range 3 {
		if text := missed(begin); text != known[0] {
			t.Errorf("%s\nis not\n%s", text, known[0])
		}
	}
	if n := db.asked.Load(); n != 3 {
		t.Errorf("the database was asked %d times for what is too much", n)
	}
	for i, want := range []int{15, 5} {
		if n := strings.Count(known[i], "event: create"); n != want || known[i] != asked[i] {
			t.Errorf("%d events of %d:\n%s\nand from the database\n%s", n, want, known[i], asked[i])
		}
	}
}
