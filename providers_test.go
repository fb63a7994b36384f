package plinth

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/spec"
)

// A provider that is away, and that never was there, keeps nobody from being served; it is a 503 for who goes there.
func TestProviderAway(t *testing.T) {
	t.Parallel()
	_, url, _ := mailing(t, `
auth: {register: closed, providers: {company: {kind: oidc, label: Example Inc., issuer: "http://127.0.0.1:1", clientId: a, clientSecret: b}}}
server: {url: "https://app.example.com"}
`)
	for path, want := range map[string]int{"/api/auth/providers": 200, "/readyz": 200, "/api/auth/oauth/company": 503} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != want || want == 503 && !strings.Contains(string(body), "Example Inc. cannot be reached") {
			t.Error(path, res.Status, string(body), err)
		}
	}
}

// Without its address an app with providers is not served: they would not know the way back.
func TestProvidersNeedAddress(t *testing.T) {
	t.Parallel()
	const app = "name: x\nauth: {register: closed, providers: {google: {clientId: a, clientSecret: b}}}\n"
	open := func(yaml string, opts ...Option) error {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Open(t.Context(), dir, append(opts, WithKey(make([]byte, 32)), OnFile("", func(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) }))...)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		return p.returns()
	}
	var wrong *spec.Problems
	if err := open(app); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "plinth.yaml:1:1: auth.providers send browsers back to the app") {
		t.Error(err)
	}
	if err := open(app + "server: {url: https://app.example.com}\n"); err != nil {
		t.Error(err)
	}
	if err := open(app, Dev()); err != nil {
		t.Error(err)
	}
}
