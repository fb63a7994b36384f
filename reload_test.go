package plinth_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
	"github.com/bluell/plinth/test/conform"
)

// Without Dev too a handler that was asked for before answers by the app file that was read again; steps of
// the schema are nobody's but apply's.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := folder(t, notes)
	p, err := plinth.Open(t.Context(), dir, inMemory(), env(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	handler := conform.Handler(t, p.Handler())
	status := func() int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/notes", nil))
		return w.Code
	}
	save := func(old, new string) {
		if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(strings.Replace(notes, old, new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := status(); got != http.StatusOK {
		t.Fatal(got)
	}
	save("read: true, ", "")
	if _, err := p.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != http.StatusUnauthorized {
		t.Errorf("after the reload: %d", got)
	}
	save("text: {type", "more: {type: int}, text: {type")
	if _, err := p.Reload(t.Context()); !fault.Is(err, fault.Conflict) {
		t.Errorf("a step of the schema: %v", err)
	}
	if got := status(); got != http.StatusUnauthorized {
		t.Errorf("after a refused reload: %d", got)
	}
}
