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

// A reload that leaves the limit of requests as it is leaves what callers have used.
func TestReloadKeepsCounts(t *testing.T) {
	t.Parallel()
	app := notes + "server: {limits: {requests: 3/1h}}\n"
	dir := folder(t, app)
	p, err := plinth.Open(t.Context(), dir, inMemory(), env(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i, step := range []struct {
		app    string
		status int
	}{{app, 200}, {app, 200}, {strings.Replace(app, "staff", "team", 1), 200}, {app, 429}, {strings.Replace(app, "3/1h", "4/1h", 1), 200}} {
		if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(step.app), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/notes", nil))
		if w.Code != step.status {
			t.Errorf("%d: %d %s", i, w.Code, w.Body)
		}
	}
}
