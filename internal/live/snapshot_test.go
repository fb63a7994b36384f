package live_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/spec"
)

func TestSnapshotIsWholeAndGoesOn(t *testing.T) {
	onEach(t, shop, func(h *house) {
		const many = 1203 // more than two pages
		for from := 0; from < many; from += 400 {
			var ops []data.Operation
			for n := from; n < min(many, from+400); n++ {
				ops = append(ops, data.Operation{Op: "create", Collection: "posts", Body: h.node(with(n, `{"name":"x","n":1}`))})
			}
			h.batch(ops...)
		}
		l := h.listen("", "/api/posts?start=snapshot", "")
		seen := map[string]bool{}
		for range many {
			e, err := l.next()
			if err != nil || e.kind != "snapshot" || e.id != "" {
				h.t.Fatal(e, err)
			}
			one, _ := h.node(e.data).Get("id")
			seen[one.Text] = true
		}
		if len(seen) != many {
			h.t.Fatalf("%d records, want %d", len(seen), many)
		}
		l.want("ready")
		h.create("posts", `{"name":"last"}`)
		l.want("create last")
	})
}

// A snapshot is of one moment, whatever is written while it is shown: behind it each record goes on from what was shown of it.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	onEach(t, shop, func(h *house) {
		const records = 620 // more than a page
		for n := range records {
			h.create("posts", with(n, fmt.Sprintf(`{"name":"x","public":%t}`, n%2 == 0)))
		}
		ctx, cancel := context.WithCancel(h.t.Context())
		var writing sync.WaitGroup
		defer writing.Wait()
		defer cancel()
		for w := range 2 {
			writing.Go(func() {
				for i := w; ctx.Err() == nil; i += 2 {
					n := i * 7 % records
					if n%10 == 0 {
						_, _ = h.Delete(ctx, system, "posts", id(n), data.WriteOptions{})
						_, _ = h.Create(ctx, system, "posts", h.node(with(n, `{"name":"again","public":true}`)), data.WriteOptions{})
						continue
					}
					_, _ = h.Update(ctx, system, "posts", id(n), h.node(fmt.Sprintf(`{"name":"%d","public":%t}`, i, i%3 > 0)), data.WriteOptions{})
				}
			})
		}
		const rounds = 5
		for round := range rounds {
			l := h.listen("", "/api/posts?start=snapshot&fields=rev&filter=public%20%3D%3D%20true", "")
			known, ready, told, last := map[string]string{}, false, 0, ""
			for told < 20 || last != "" {
				e, err := l.next()
				if err != nil {
					h.t.Fatal(err)
				}
				n := h.node(e.data)
				text := func(name string) (text string) {
					if v, ok := n.Get(name); ok {
						text = v.Text
					}
					return text
				}
				own := text("id")
				switch was, there := known[own]; {
				case e.kind == "ready":
					ready = true
					continue
				case ready && (e.kind == "snapshot" || (e.kind == "create" || e.kind == "enter") == there && e.kind != "leave" && e.kind != "delete"):
					h.t.Fatalf("%s of %s, which is known: %t", e.kind, own, there)
				case ready && e.kind == "update" && text("rev") != next(was):
					h.t.Fatalf("revision %s of %s follows %s", text("rev"), own, was)
				}
				if known[own] = text("rev"); e.kind == "delete" || e.kind == "leave" {
					delete(known, own)
				}
				if own == last {
					break
				}
				if ready {
					told++
				}
				if told == 20 && round == rounds-1 { // what is known when all is told is what is there
					cancel()
					writing.Wait()
					last = h.create("posts", `{"name":"end","public":true}`)
				}
			}
			l.cancel()
			if last == "" {
				continue
			}
			q := &data.ListQuery{Collection: "posts", Filter: "public == true", Limit: 500}
			for more := true; more; more = q.Cursor != "" {
				list, next, err := h.Records(h.t.Context(), system, q)
				if err != nil {
					h.t.Fatal(err)
				}
				for _, rec := range list {
					own := rec[spec.OrdID].Text()
					if rev := strconv.FormatInt(rec[spec.OrdRev].Int(), 10); known[own] != rev {
						h.t.Errorf("%s is known in revision %q, and has %s", own, known[own], rev)
					}
					delete(known, own)
				}
				q.Cursor = next
			}
			if len(known) > 0 {
				h.t.Errorf("%d records are known that are not in the list", len(known))
			}
		}
	})
}

// next is the revision behind another.
func next(rev string) string {
	n, err := strconv.Atoi(rev)
	if err != nil {
		return "none"
	}
	return strconv.Itoa(n + 1)
}
