package data

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/expr"
)

// watched is an engine that tells how many rows each query has given.
type watched struct {
	driver.Engine
	answered func(rows int)
}

func (e *watched) Read(ctx context.Context, fn func(driver.Reader) error) error {
	return e.Engine.Read(ctx, func(r driver.Reader) error { return fn(&watchedReader{r, e}) })
}

type watchedReader struct {
	driver.Reader
	e *watched
}

func (r *watchedReader) Rows(ctx context.Context, s driver.Stmt, args []Value, yield func(driver.Columns) error) error {
	n := 0
	err := r.Reader.Rows(ctx, s, args, func(cols driver.Columns) error { n++; return yield(cols) })
	r.e.answered(n)
	return err
}

// A plan looks at the values that a conversion changes a batch at a time, whatever they become.
func TestASurveyReadsInBatches(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"{type: int}", "{type: ref, to: posts}"} {
		most := 0
		eng := &watched{memory.Open(), func(rows int) { most = max(most, rows) }}
		before := appOf(t, "  posts: {fields: {a: {type: text}}, access: {read: true}}\n")
		after := appOf(t, "  posts: {fields: {a: "+to+"}, access: {read: true}}\n")
		migrate(t, before, eng, ApplyOptions{})
		records := make([]map[string]Value, 2*batchRows+1)
		for i := range records {
			records[i] = map[string]Value{"a": expr.TextOf("nobody")}
		}
		records[0]["a"] = Value{}
		put(t, before, eng, "posts", records...)
		most = 0
		m, err := Plan(t.Context(), after, eng, migrateKey)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%d of %[1]d values would be lost", 2*batchRows); len(m.Steps) < 2 || !strings.Contains(m.Steps[1].Text, want) {
			t.Errorf("planned %q, want %q", texts(m), want)
		}
		if most == 0 || most > batchRows {
			t.Errorf("to %s: one query gives %d rows, want at most %d", to, most, batchRows)
		}
	}
}

// However few keys are held at once, as many duplicates are found.
func TestDuplicatesAreCountedInParts(t *testing.T) {
	t.Parallel()
	eng := memory.Open()
	before := appOf(t, "  posts: {fields: {a: {type: text, max: 9}}, access: {read: true}}\n")
	after := appOf(t, "  posts: {fields: {a: {type: text, max: 9, ci: true, unique: true}}, access: {read: true}}\n")
	migrate(t, before, eng, ApplyOptions{})
	const keys, records = 300, 1000
	rows := make([]map[string]Value, records)
	for i := range rows {
		rows[i] = map[string]Value{"a": expr.TextOf(fmt.Sprintf("%c%d", "xX"[i/keys%2], i%keys))}
	}
	put(t, before, eng, "posts", rows...)
	ring, err := NewKeyring(migrateKey)
	if err != nil {
		t.Fatal(err)
	}
	now := shapeOf(before).clone()
	sv := &surveyor{app: after, eng: eng, keys: ring, now: now}
	for _, parts := range []uint64{1, 2, 10} {
		d, err := sv.keysOf(now.table("posts"), driver.TableIndex{Name: "a_unique"})
		if err != nil || d == nil {
			t.Fatalf("the keys cannot be told: %v", err)
		}
		held := 0
		if err := d.count(t.Context(), &watched{eng, func(int) { held = max(held, len(d.seen)) }}, parts); err != nil {
			t.Fatal(err)
		}
		if d.twice != records-keys {
			t.Errorf("in %d parts %d records are not the only one, want %d", parts, d.twice, records-keys)
		}
		if held == 0 || held > 2*keys/int(parts) {
			t.Errorf("in %d parts %d keys are held at once", parts, held)
		}
	}
}
