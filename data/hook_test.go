package data_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

const hooked = `collections:
  people:
    fields: {name: {type: text, required: true, max: 20}}
    access: {read: true, write: true}
  notes:
    fields:
      name:  {type: text, required: true, max: 20}
      loud:  {type: text, max: 20}
      n:     {type: int, default: 0}
      owner: {type: ref, to: people, onDelete: cascade}
      other: {type: ref, to: people, onDelete: clear}
    access: {read: true, create: loud != "FORBIDDEN", update: true, delete: true}
  audit:
    fields: {name: {type: text, required: true, max: 60}}
`

// Hooks stand in every way in which a record is written, and what they write themselves stands or falls with it.
func TestHooks(t *testing.T) {
	t.Parallel()
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testHooks(t, open(t))
		})
	}
}

func testHooks(t *testing.T, eng driver.Engine) {
	opNames := map[data.Op]string{data.Create: "create", data.Update: "update", data.Delete: "delete"}
	var told []string
	note := func(c *data.Writing) error {
		_, err := c.Tx.Create("audit", body(t, fmt.Sprintf(`{"name":%q}`, fmt.Sprint(opNames[c.Op], " ", c.Old("name").Text(), ">", c.New("name").Text()))))
		return err
	}
	before := func(_ context.Context, c *data.Writing) error {
		switch c.New("name").Text() {
		case "refused":
			return fault.New(fault.Invalid, "not this one")
		case "panic":
			panic("a mistake")
		case "invalid":
			return c.Set("loud", strings.Repeat("x", 21))
		case "swallowed":
			_, _ = c.Tx.Create("audit", body(t, `{"nope":1}`))
			return nil
		}
		if c.Op != data.Delete {
			if err := c.Set("loud", strings.ToUpper(c.New("name").Text())); err != nil {
				return err
			}
		}
		return note(c)
	}
	after := func(_ context.Context, c *data.Writing) {
		told = append(told, opNames[c.Op]+" "+c.Old("name").Text()+">"+c.New("name").Text())
		if c.New("name").Text() == "last" {
			panic("nobody hears it")
		}
	}
	var hooks []data.Hook
	for _, op := range []data.Op{data.Create, data.Update, data.Delete} {
		hooks = append(hooks, data.Hook{Collection: "notes", Op: op, Before: before}, data.Hook{Collection: "notes", Op: op, After: after})
	}
	h := openOn(t, hooked, eng, hooks...)
	want := func(notes string, events ...string) {
		t.Helper()
		if got := h.names(root, data.ListQuery{Collection: "notes", Filter: "loud != null", Sort: "name"}); got != notes {
			t.Errorf("there is %q, want %q", got, notes)
		}
		if !slices.Equal(told, events) {
			t.Errorf("told is %q, want %q", told, events)
		}
		told = nil
		records, _, err := h.Records(h.ctx, root, &data.ListQuery{Collection: "audit", Sort: "id", Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		var audit []string
		for _, r := range records {
			audit = append(audit, r[spec.OrdFirst].Text())
			if _, err := h.Delete(h.ctx, root, "audit", r[spec.OrdID].Text(), data.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(audit, events) {
			t.Errorf("the audit is %q, want %q", audit, events)
		}
	}
	ann := h.create(root, "people", `{"name":"ann"}`)
	bob := h.create(root, "people", `{"name":"bob"}`)
	id := h.create(nobody, "notes", `{"name":"a","owner":"`+ann+`","other":"`+bob+`"}`)
	want("a", "create >a")
	for name, kind := range map[string]fault.Kind{"refused": fault.Invalid, "panic": fault.Internal, "invalid": fault.Invalid, "swallowed": fault.Invalid, "forbidden": fault.Unauthenticated} {
		_, err := h.Create(h.ctx, nobody, "notes", body(t, `{"name":"`+name+`"}`), data.WriteOptions{})
		if !fault.Is(err, kind) {
			t.Errorf("%s: %v, want %s", name, err, kind)
		}
	}
	want("a")
	if _, err := h.update(nobody, "notes", id, `{"name":"b"}`, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	want("b", "update a>b")
	if _, err := h.update(nobody, "notes", id, `{"name":"b"}`, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	want("b") // nothing is written
	if _, err := h.Increment(h.ctx, nobody, "notes", id, body(t, `{"n":1}`), data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	want("b", "update b>b")
	if _, err := h.Put(h.ctx, nobody, "notes", id, body(t, `{"name":"c","owner":"`+ann+`","other":"`+bob+`"}`), data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	want("c", "update b>c")
	ops := []data.Operation{{Op: "create", Collection: "notes", Body: body(t, `{"name":"d"}`)}, {Op: "update", Collection: "notes", ID: id, Body: body(t, `{"name":"e"}`)}}
	if _, _, err := h.Batch(h.ctx, nobody, ops, true, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	want("d e", "create >d", "update c>e")
	ops[1].Body = body(t, `{"name":"refused"}`)
	_, _, err := h.Batch(h.ctx, nobody, ops, true, data.WriteOptions{})
	var failed *data.BatchError
	if !errors.As(err, &failed) || failed.Operation != 1 {
		t.Errorf("%v", err)
	}
	want("d e")
	if _, err := h.Delete(h.ctx, nobody, "people", bob, data.WriteOptions{}); err != nil { // which clears other
		t.Fatal(err)
	}
	want("d e", "update e>e")
	if _, err := h.Delete(h.ctx, nobody, "people", ann, data.WriteOptions{}); err != nil { // with which e goes
		t.Fatal(err)
	}
	want("d", "delete e>")
	h.create(nobody, "notes", `{"name":"last"}`) // the panic of its after-hook is contained
	want("d last", "create >last")
}
