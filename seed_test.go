package plinth_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
)

// Of a file with bad records nothing is loaded, however many transactions it takes, and all of them are told.
func TestSeedTellsAll(t *testing.T) {
	t.Parallel()
	dir := folder(t, notes)
	if err := os.Mkdir(filepath.Join(dir, "seed"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := plinth.Open(t.Context(), dir, inMemory(), env(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	seed := func(records int, bad ...int) (plinth.Seeded, error) {
		lines := make([]string, records)
		for i := range lines {
			lines[i] = fmt.Sprintf(`{"text":"note %d"}`, i)
		}
		for _, n := range bad {
			lines[n-1] = `{}`
		}
		if err := os.WriteFile(filepath.Join(dir, "seed", "notes.ndjson"), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		return p.Seed(t.Context(), nil)
	}
	for _, c := range []struct {
		records int
		bad     []int
	}{{3, []int{1, 3}}, {1200, []int{3, 499, 500, 1200}}} {
		_, err := seed(c.records, c.bad...)
		var want []string
		for _, n := range c.bad {
			want = append(want, fmt.Sprintf("seed/notes.ndjson: line %d: text is required", n))
		}
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("%d records: %v, want\n%s", c.records, err, strings.Join(want, "\n"))
		}
		list, _, err := p.DB().Records(t.Context(), data.System, &data.ListQuery{Collection: "notes"})
		if err != nil || len(list) > 0 {
			t.Errorf("%d records: %d are there, %v", c.records, len(list), err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "seed", "notes.ndjson"), []byte("{\n\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Seed(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "line 1: ") || !strings.Contains(err.Error(), "line 3: text is required") {
		t.Errorf("a line that is no JSON: %v", err)
	}
	many := make([]int, 150)
	for i := range many {
		many[i] = i + 1
	}
	if _, err := seed(200, many...); err == nil || strings.Count(err.Error(), "\n") != 100 || !strings.HasSuffix(err.Error(), "and more") {
		t.Errorf("150 bad records: %v", err)
	}
	if s, err := seed(1200); err != nil || s.Created != 1200 {
		t.Errorf("%+v %v", s, err)
	}
}
