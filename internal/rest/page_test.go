package rest_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
)

// A ready page is where the app has no file, before the index.html of an app that routes in the browser.
func TestReadyPages(t *testing.T) {
	t.Parallel()
	page := func(path string) web.Act {
		if path != "/auth/sign-in" && path != "/docs/" {
			return nil
		}
		return func(w http.ResponseWriter, r *http.Request) error {
			web.Write(w, r, http.StatusOK, []byte("ready"))
			return nil
		}
	}
	for _, spa := range []string{"false", "true"} {
		dir := public(t)
		s := open(t, agency+"server: {spa: "+spa+"}\n", dir)
		serve := func(dir string) {
			s.http = web.Guard(rest.New(s.db, caller, rest.Options{Public: dir, Page: page}), s.db.App().Server, slog.New(slog.DiscardHandler))
		}
		serve(dir)
		wants := func(target, want string) {
			t.Helper()
			if a := s.ask("GET "+target, "", ""); a.body != want {
				t.Errorf("spa %s: %s: %d %q", spa, target, a.status, a.body)
			}
		}
		wants("/auth/sign-in", "ready")
		wants("/docs/", "<h1>docs</h1>")
		wants("/", "<h1>home</h1>")
		s.ask("POST /auth/sign-in", "", "").want(405)
		if a := s.ask("HEAD /auth/sign-in", "", "").want(200); a.body != "" {
			t.Error("HEAD has a body")
		}
		if err := os.MkdirAll(filepath.Join(dir, "auth", "sign-in"), 0o755); err != nil {
			t.Fatal(err)
		}
		wants("/auth/sign-in", "ready") // a folder without a page
		if err := os.WriteFile(filepath.Join(dir, "auth", "sign-in", "index.html"), []byte("own"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.ask("GET /auth/sign-in", "", "").want(308)
		wants("/auth/sign-in/", "own")
		serve("")
		wants("/auth/sign-in", "ready")
		serve(filepath.Join(dir, "gone"))
		wants("/auth/sign-in", "ready")
	}
}
