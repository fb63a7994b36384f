package data_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/spec"
)

// A hook may change or delete what goes with a record: the log tells of each what there was, and once.
func TestHookOnWhatGoesWithARecord(t *testing.T) {
	t.Parallel()
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var first, second, third string
			hook := data.Hook{Collection: "notes", Op: data.Delete, Before: func(_ context.Context, c *data.Writing) error {
				if c.ID() != first {
					return nil
				}
				if _, err := c.Tx.Update("notes", second, body(t, `{"n":7}`)); err != nil {
					return err
				}
				return c.Tx.Delete("notes", third)
			}}
			h := openOn(t, hooked, open(t), hook)
			ann := h.create(root, "people", `{"name":"ann"}`)
			first = h.create(root, "notes", `{"name":"a","owner":"`+ann+`"}`)
			second = h.create(root, "notes", `{"name":"b","owner":"`+ann+`"}`)
			third = h.create(root, "notes", `{"name":"c","owner":"`+ann+`"}`)
			at, err := h.Head(h.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Delete(h.ctx, root, "people", ann, data.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			all, _, err := h.Changes(h.ctx, at)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range all {
				if c.Collection == "notes" {
					rec := c.Old
					if c.New != nil {
						rec = c.New
					}
					got = append(got, fmt.Sprint(c.Op, " ", rec[spec.OrdFirst].Text(), " ", c.Rev))
				}
			}
			want := []string{"update b 2", "delete c 1", "delete a 1", "delete b 2"}
			if !slices.Equal(got, want) {
				t.Errorf("the log says %q, want %q", got, want)
			}
		})
	}
}
