package sqlite

import (
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
)

// TestHeldSnapshot: when nobody writes, the log is worked in and a snapshot is held; commits of others, of which
// the engine is not told, are found nevertheless, and so is its own next one.
func TestHeldSnapshot(t *testing.T) {
	t.Parallel()
	e := empty(t)
	other, err := connect(e.path, sqlite.OpenReadWrite, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	within := func(what string, holds func() bool) {
		t.Helper()
		for until := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatal(what)
			}
		}
	}
	left := func(mode string) int64 {
		t.Helper()
		pages, err := other.log(mode)
		if err != nil {
			t.Fatal(err)
		}
		return pages
	}
	write := func() {
		t.Helper()
		if err := other.run(`UPDATE "users" SET "rev" = "rev" + 1`); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2 {
		insert(t, e, users, blank(users, n))
		within("a write is not worked in", func() bool { return left("NOOP") == 0 })
		within("no snapshot is held", e.logs.holds.Load)
		write()
		if e.logs.holds.Load() && left("PASSIVE") == 0 && e.logs.holds.Load() {
			t.Error("others work in what they write while a snapshot is held")
		}
		within("what another wrote is not worked in", func() bool { return left("NOOP") == 0 })
	}
	for until, n := time.Now().Add(3*hold), 0; time.Now().Before(until); n++ { // without a pause: the log could not begin anew
		write()
		if e.logs.holds.Load() && time.Until(until) < hold/2 {
			t.Fatalf("a snapshot is held while another writes, after %d writes", n)
		}
	}
}
