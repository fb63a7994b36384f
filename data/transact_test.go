package data_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

func TestTransact(t *testing.T) { onEach(t, blog, testTransact) }

func testTransact(h *house) {
	t, ids := h.t, shelf(h)
	before := h.names(root, data.ListQuery{Collection: "posts"})
	boom := errors.New("boom")
	err := h.Transact(h.ctx, ann, func(tx *data.Tx) error {
		if _, err := tx.Create("posts", body(t, `{"name":"new"}`)); err != nil {
			return err
		}
		if _, err := tx.Update("posts", ids["a"], body(t, `{"name":"other"}`)); err != nil {
			return err
		}
		return boom
	})
	if err != boom || h.names(root, data.ListQuery{Collection: "posts"}) != before {
		t.Errorf("%v, there is %q", err, h.names(root, data.ListQuery{Collection: "posts"}))
	}
	err = h.Transact(h.ctx, ann, func(tx *data.Tx) error {
		_, _ = tx.Create("posts", body(t, `{"name":"kept"}`))
		_, _ = tx.Update("posts", ids["a"], body(t, `{"nope":1}`)) // nobody looks at its error
		_, _ = tx.Create("posts", body(t, `{"name":"late"}`))
		return nil
	})
	wantKind(t, err, fault.Invalid, "/nope unknown")
	if after := h.names(root, data.ListQuery{Collection: "posts"}); after != before {
		t.Errorf("a refused write left %q", after)
	}
	err = h.Transact(h.ctx, bob, func(tx *data.Tx) error { _, err := tx.Update("posts", ids["a"], body(t, `{"views":1}`)); return err })
	wantKind(t, err, fault.Denied) // the rules are asked as of any write
	var kept *data.Tx
	err = h.Transact(h.ctx, ann, func(tx *data.Tx) error {
		kept = tx
		rec, err := tx.Record("posts", ids["a"])
		if err != nil || rec == nil {
			t.Errorf("%v %v", rec, err)
		}
		_, err = tx.Create("posts", body(t, `{"name":"one"}`))
		if err == nil {
			_, err = tx.Update("posts", ids["a"], body(t, `{"views":9}`))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if after := h.names(root, data.ListQuery{Collection: "posts", Filter: `name == "one" || views == 9`, Sort: "name"}); after != "a one" {
		t.Errorf("there is %q", after)
	}
	rec, _, err := h.Records(h.ctx, root, &data.ListQuery{Collection: "posts", Filter: `views == 9`})
	if err != nil || len(rec) != 1 {
		t.Fatal(rec, err)
	}
	rev := rec[0][spec.OrdRev].Int()
	for i := range 2 { // the first makes it another revision
		err = h.Transact(h.ctx, ann, func(tx *data.Tx) error {
			_, err := tx.UpdateAt("posts", ids["a"], rev, body(t, `{"views":`+strconv.Itoa(10+i)+`}`))
			return err
		})
		if i == 0 && err != nil || i > 0 && !fault.Is(err, fault.Precondition) {
			t.Errorf("the update at revision %d: %v", rev, err)
		}
	}
	if _, err := kept.Create("posts", body(t, `{"name":"x"}`)); err == nil {
		t.Error("it may be used after its end")
	}
}

// Of all who found a record at a revision one changes it.
func TestUpdateAt(t *testing.T) {
	onEach(t, blog, func(h *house) {
		t, ids := h.t, shelf(h)
		found, _, err := h.Records(h.ctx, root, &data.ListQuery{Collection: "posts", Filter: `name == "a"`})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		rev := found[0][spec.OrdRev].Int()
		var all sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 20 {
			all.Go(func() {
				write := h.Transact
				if i%2 == 1 {
					write = h.Series
				}
				err := write(h.ctx, root, func(tx *data.Tx) error {
					_, err := tx.UpdateAt("posts", ids["a"], rev, body(t, fmt.Sprintf(`{"views":%d}`, 100+i)))
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !fault.Is(err, fault.Precondition) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won != 1 {
			t.Errorf("%d have changed it", won)
		}
	})
}
