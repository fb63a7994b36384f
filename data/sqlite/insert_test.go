package sqlite

import (
	"errors"
	"fmt"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// TestInsertAll: what is stored together is stored, or refused, as if one record came after the other: as many as
// statements take and some more, with ids that want places of their own or all the same one.
func TestInsertAll(t *testing.T) {
	t.Parallel()
	own := func(n int) string { return id(n) }
	same := func(n int) string { return fmt.Sprintf("01900000-0000-7abc-8000-%012d", n) }
	mixed := func(n int) string {
		if n%5 == 0 {
			return same(n)
		}
		return own(n)
	}
	for name, named := range map[string]func(int) string{"own": own, "same": same, "mixed": mixed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testInsertAll(t, named)
		})
	}
}

func testInsertAll(t *testing.T, named func(int) string) {
	e := empty(t)
	record := func(n int) driver.Insertion {
		r := blank(posts, n)
		r[spec.OrdID], r[postTitle] = expr.TextOf(named(n)), expr.TextOf(fmt.Sprint("title ", n))
		r[postTags] = expr.ListOf(expr.TextOf(fmt.Sprint("tag ", n)))
		return driver.Insertion{C: posts, R: r}
	}
	dated := func(i driver.Insertion) driver.Insertion {
		i.R[postDay], i.R[postAt] = expr.DateOf("2026-02-28"), expr.TimeOf(7)
		return i
	}
	referring := func(i driver.Insertion, to string) driver.Insertion {
		i.Refers = []driver.Reference{{C: posts, ID: to}}
		return i
	}
	undo := errors.New("given up")
	store := func(list []driver.Insertion) (at int, err error) {
		failed := e.Write(t.Context(), func(tx driver.Tx) error {
			if at, err = tx.(driver.Inserter).InsertAll(list); err == nil && at < len(list) {
				return undo
			}
			return err
		})
		if failed != nil && failed != undo && failed != err {
			t.Error(failed)
		}
		return at, err
	}
	const taken, first, n = 1, 100, 75 // two statements of 32, one of 8, and three of one record
	if at, err := store([]driver.Insertion{dated(record(taken))}); at != 1 || err != nil {
		t.Fatal(at, err)
	}
	for _, bad := range []int{0, 1, 31, 32, 63, 64, 71, 72, n - 1} {
		for _, c := range []struct {
			name, index string // of the index that refuses; "" when a reference is missing
			make        func(good driver.Insertion) driver.Insertion
		}{
			{"id", "id", func(driver.Insertion) driver.Insertion { return record(taken) }},
			{"unique", "one_day", dated},
			{"missing", "", func(good driver.Insertion) driver.Insertion { return referring(good, named(9)) }},
			{"made too late", "", func(good driver.Insertion) driver.Insertion { return referring(good, named(first+n)) }},
		} {
			var list []driver.Insertion
			for i := range n + 1 {
				list = append(list, record(first+i))
			}
			list[bad] = c.make(list[bad])
			at, err := store(list)
			var f *fault.Error
			switch {
			case at != bad:
				t.Errorf("%s: at %d, want %d: %v", c.name, at, bad, err)
			case c.index == "" && (err != nil || !list[bad].Refers[0].Missing):
				t.Errorf("%s at %d: %v, missing %v", c.name, bad, err, list[bad].Refers[0].Missing)
			case c.index != "" && (!errors.As(err, &f) || f.Kind != fault.Unique || f.Index != c.index):
				t.Errorf("%s at %d: %v, want unique %q", c.name, bad, err, c.index)
			}
		}
	}
	if rows := count(t, e, `SELECT count(*) FROM "posts"`); rows != 1 {
		t.Errorf("%d rows are left, want 1", rows)
	}
	var list []driver.Insertion
	for i := range n {
		to := taken
		if i > 0 {
			to = first + i - 1 // made just before
		}
		list = append(list, referring(record(first+i), named(to)))
	}
	if at, err := store(list); at != n || err != nil {
		t.Fatal(at, err)
	}
	query := all(posts, op(expr.OpEq, mine(spec.OrdID), param(0, expr.Text)))
	title := func(n int) string {
		t.Helper()
		rows := ask(t, e, query, expr.TextOf(named(n)))
		if len(rows) == 0 {
			return ""
		}
		return rows[0][postTitle].Text()
	}
	for i := range n {
		if got, want := title(first+i), fmt.Sprint("title ", first+i); got != want {
			t.Errorf("%s: %q, want %q", named(first+i), got, want)
		}
	}
	err := e.Write(t.Context(), func(tx driver.Tx) error { // each is found by what changes it, too
		for i := range n {
			r := record(first + i).R
			r[postTitle] = expr.TextOf("changed")
			if was, err := tx.Update(posts, named(first+i), 1, r, []int{postTitle}); err != nil || !was {
				return fmt.Errorf("update %d: %v %w", i, was, err)
			}
			if i%2 == 0 {
				if gone, err := tx.Delete(posts, []string{named(first + i)}); err != nil || gone != 1 {
					return fmt.Errorf("delete %d: %d %w", i, gone, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if got, want := title(first+i), []string{"", "changed"}[i%2]; got != want {
			t.Errorf("%s: %q, want %q", named(first+i), got, want)
		}
	}
}
