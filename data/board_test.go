package data_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
)

// Each process reads what the others have posted last, whatever they posted before, and not what it has posted itself.
func TestBoard(t *testing.T) {
	onEach(t, `collections: {posts: {fields: {a: {type: text}}}}`, func(h *house) {
		a, b := boards(h)
		reads(t, a, false)
		for n := range 5 {
			putUp(t, a, fmt.Sprint("a", n))
		}
		putUp(t, b, "b")
		reads(t, a, true, "b")
		reads(t, b, true, "a4")
		if err := b.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		reads(t, a, true)
		reads(t, b, false, "a4")
		putUp(t, b, "again")
		reads(t, a, true, "again")
		if _, err := h.Board("_nothing"); err == nil {
			t.Error("a board without a collection")
		}
		if changes, _, err := h.Records(t.Context(), data.System, &data.ListQuery{Collection: "_changes"}); err != nil || len(changes) > 0 {
			t.Errorf("%d changes are told to who follows the app: %v", len(changes), err)
		}
	})
}

// The row of a process that is gone is removed by whoever looks; one that was asleep has a row again when it posts.
func TestBoardOfTheDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := boards(openOn(t, `collections: {posts: {fields: {a: {type: text}}}}`, memory.Open()))
		putUp(t, a, "a")
		putUp(t, b, "b")
		for range 4 { // as long as it posts it is there, whatever it posts
			reads(t, a, true, "b")
			time.Sleep(data.Reposting)
			putUp(t, b, "b")
		}
		reads(t, a, true, "b")
		time.Sleep(3*data.Reposting + time.Second)
		reads(t, a, true)
		reads(t, b, false, "a")
		putUp(t, b, "b")
		reads(t, a, true, "b")
	})
}

func boards(h *house) (a, b *data.Board) {
	h.t.Helper()
	a, err := h.Board("_rates")
	if err == nil {
		b, err = h.Board("_rates")
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return a, b
}

func putUp(t *testing.T, b *data.Board, text string) {
	t.Helper()
	if err := b.Post(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

func reads(t *testing.T, b *data.Board, there bool, want ...string) {
	t.Helper()
	others, is, err := b.Read(t.Context())
	var texts []string
	for _, o := range others {
		texts = append(texts, o.Text)
	}
	if err != nil || is != there || fmt.Sprint(texts) != fmt.Sprint(want) {
		t.Errorf("%q, %t, %v; want %q, %t", texts, is, err, want, there)
	}
}
