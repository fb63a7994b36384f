package data_test

import (
	"fmt"
	"testing"

	"github.com/bluell/plinth/data"
)

// What one process sends to another is read once, in the order in which it was sent, and by nobody else.
func TestProcesses(t *testing.T) {
	onEach(t, `collections: {posts: {fields: {a: {type: text}}}}`, func(h *house) {
		t := h.t
		ctx := t.Context()
		all := make([]*data.Process, 3)
		for i := range all {
			p, err := h.Process()
			if err == nil && i < 2 {
				err = p.Join(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
			all[i] = p
		}
		a, b, stranger := all[0], all[1], all[2] // one that only sends has no name
		others, err := a.Others(ctx)
		if err != nil || len(others) != 1 || others[0] != b.ID() {
			t.Fatal(others, err)
		}
		both, err := stranger.Others(ctx)
		if err != nil || len(both) != 2 || stranger.ID() != "" {
			t.Fatal(both, err)
		}
		const many = 700 // more than are read at once
		for n := range many {
			if err := a.Send(ctx, others, fmt.Sprint("a", n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := stranger.Send(ctx, both, "s"); err != nil {
			t.Fatal(err)
		}
		read := func(p *data.Process) (got []string) {
			for {
				n, err := p.Receive(ctx, func(from, body string) { got = append(got, from+" "+body) })
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					return got
				}
			}
		}
		got := read(b)
		if len(got) != many+1 || got[many] != " s" {
			t.Fatalf("%d messages, the last is %q", len(got), got[len(got)-1])
		}
		for n := range many {
			if want := a.ID() + fmt.Sprint(" a", n); got[n] != want {
				t.Fatalf("message %d is %q, want %q", n, got[n], want)
			}
		}
		if got := read(a); len(got) != 1 || got[0] != " s" {
			t.Errorf("%q", got)
		}
		if got := read(b); len(got) != 0 {
			t.Errorf("they are read again: %q", got)
		}
		if err := b.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		if err := a.Send(ctx, others, "late"); err != nil {
			t.Fatal(err)
		}
		living, there, err := a.Renew(ctx) // which sweeps what nobody will read
		if err != nil || !there || len(living) != 0 {
			t.Fatal(living, there, err)
		}
		if err := b.Leave(ctx); err != nil || b.ID() != "" {
			t.Error(err)
		}
		list, _, err := h.Records(ctx, data.System, &data.ListQuery{Collection: "_messages"})
		if err != nil || len(list) != 0 {
			t.Errorf("%d messages are left: %v", len(list), err)
		}
	})
}

// A key that is written otherwise than in an address, or not that of a record where it should be, finds nothing.
func TestChannelKeys(t *testing.T) {
	onEach(t, `
collections: {posts: {fields: {a: {type: text}}}}
channels: {any: {read: true, write: true}, of: {to: posts, read: key.a == "x", write: 'false'}}
`, func(h *house) {
		t := h.t
		for key, want := range map[string][2]bool{"": {true, false}, "a": {true, false}, "A-z_0.9~": {true, false}, ".": {}, "..": {}, "presence": {}, "a/b": {}, "a b": {}, "é": {}, "a\n": {}, "%41": {},
			"01900000-0000-7000-8000-000000000001": {true, true}, "01900000-0000-4000-8000-000000000001": {true, false}} {
			for i, name := range []string{"any", "of"} {
				c, err := h.Channel(data.Caller{}, name, key)
				if (err == nil) != want[i] {
					t.Errorf("%s/%q: %v", name, key, err)
				}
				if err == nil && name == "of" && c.MayListen(t.Context()) == nil {
					t.Error("a record that is not there lets people in")
				}
			}
		}
	})
}
