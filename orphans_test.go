package plinth

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
)

func TestOrphans(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	app := "collections: {papers: {fields: {one: {type: file}, more: {type: file, max: 5}}}}"
	if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(app), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Open(t.Context(), dir, On(func(context.Context) (*memory.Engine, error) { return memory.Open(), nil }), WithKey(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	store := func(text string, old bool) string {
		t.Helper()
		key, _, err := p.files.Put(t.Context(), strings.NewReader(text), 100)
		if err != nil {
			t.Fatal(err)
		}
		if old {
			then := time.Now().Add(-25 * time.Hour)
			if err := os.Chtimes(filepath.Join(dir, "data", "files", key[:2], key[2:4], key), then, then); err != nil {
				t.Fatal(err)
			}
		}
		return key
	}
	kept := []string{store("a", true), store("b", true), store("c", true), store("d", false)}
	orphan := store("e", true)
	upload := func(name, blob string) data.Upload {
		return data.Upload{Name: name, Type: "text/plain", Blob: blob, Size: 1}
	}
	_, err = p.DB().Create(t.Context(), data.System, "papers", doc.NewObject(), data.WriteOptions{Uploads: map[string][]data.Upload{
		"one": {upload("a", kept[0])}, "more": {upload("b", kept[1]), upload("c", kept[2])}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.orphans(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, key := range kept {
		f, err := p.files.Open(t.Context(), key)
		if err != nil {
			t.Errorf("a file that is in use, or young: %v", err)
			continue
		}
		f.Close()
	}
	if f, err := p.files.Open(t.Context(), orphan); err == nil {
		f.Close()
		t.Error("the orphan is there")
	}
}

// TestSteady: what is uploaded when the clock is put forward by a day is not old.
func TestSteady(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		ago  time.Duration
		now  string
		want string
	}{
		"as it should be": {time.Hour, "2026-03-01T13:00:00Z", "2026-03-01T13:00:00Z"},
		"put forward":     {time.Hour, "2026-03-02T14:00:00Z", "2026-03-01T13:00:00Z"},
		"put back":        {time.Hour, "2026-02-01T13:00:00Z", "2026-02-01T13:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := steady(began, c.ago, now).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: it is %s, want %s", name, got, c.want)
		}
	}
}
