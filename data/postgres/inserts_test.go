package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// TestInsertAll: what is stored together is stored, or refused, as if one record came after the other.
func TestInsertAll(t *testing.T) {
	t.Parallel()
	e, _ := empty(t)
	undo := errors.New("given up")
	all := func(list ...driver.Insertion) (at int, err error) {
		failed := e.Write(context.Background(), func(tx driver.Tx) error {
			if at, err = tx.(driver.Inserter).InsertAll(list); err != nil {
				return err
			}
			if at < len(list) {
				return undo
			}
			return nil
		})
		if failed != nil && failed != undo && failed != err {
			t.Error(failed)
		}
		return at, err
	}
	record := func(n int, refers ...int) driver.Insertion {
		i := driver.Insertion{C: posts, R: post(n)}
		i.R[postTags] = expr.Value{}
		for _, to := range refers {
			i.Refers = append(i.Refers, driver.Reference{C: posts, ID: id(to)})
		}
		return i
	}
	dated := func(n int, refers ...int) driver.Insertion {
		i := record(n, refers...)
		i.R[postDay] = expr.DateOf("2024-02-29")
		return i
	}
	refused := func(want int, list ...driver.Insertion) {
		t.Helper()
		at, err := all(list...)
		var f *fault.Error
		if at != want || !errors.As(err, &f) || f.Kind != fault.Unique {
			t.Errorf("at %d: %v; want a unique index to refuse %d", at, err, want)
		}
	}
	missing := func(want, to int, list ...driver.Insertion) {
		t.Helper()
		at, err := all(list...)
		if at != want || err != nil {
			t.Fatalf("at %d: %v, want %d", at, err, want)
		}
		for _, r := range list[at].Refers {
			if r.Missing != (r.ID == id(to)) {
				t.Errorf("%s: missing is %v", r.ID, r.Missing)
			}
		}
	}
	if at, err := all(record(1)); at != 1 || err != nil {
		t.Fatal(at, err)
	}
	// what an earlier one has made is there, and so is what was there
	if at, err := all(record(2, 1), record(3, 2, 1), record(4, 3), record(5, 5-1), dated(6, 1)); at != 5 || err != nil {
		t.Fatal(at, err)
	}
	has(t, e, 1, 2, 3, 4, 5, 6)
	missing(0, 99, record(7, 99))
	missing(1, 99, record(7, 1), record(8, 1, 99), record(9))
	missing(1, 9, record(7), record(8, 9), record(9)) // made too late
	refused(2, record(7), record(8), record(3), record(9))
	refused(3, record(7), record(8), record(9), dated(10))
	refused(1, record(7), record(2), record(8, 99))
	missing(1, 99, record(7), record(8, 99), record(2))
	missing(0, 99, record(2, 99), record(7))
	has(t, e, 1, 2, 3, 4, 5, 6)

	var many []driver.Insertion
	for n := 100; n < 300; n++ {
		many = append(many, record(n, n-1, 1)) // 100 refers to 99, which is not there
	}
	missing(0, 99, many...)
	many[0] = record(100)
	if at, err := all(many...); at != len(many) || err != nil {
		t.Fatal(at, err)
	}
	many = many[:0]
	for n := 400; n < 500; n++ {
		many = append(many, record(n))
	}
	many[77] = record(299)
	refused(77, many...)
}
