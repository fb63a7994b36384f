package plinth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
	"github.com/bluell/plinth/test/conform"
)

const notes = `
auth: {roles: [staff]}
collections:
  notes:
    fields: {text: {type: text, required: true, max: 100}}
    access: {read: true, create: true}
`

func folder(t testing.TB, app string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(app), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func inMemory() plinth.Option {
	return plinth.On(func(context.Context) (*memory.Engine, error) { return memory.Open(), nil })
}

// env is an environment with one PLINTH_KEY.
func env(key string) plinth.Option {
	return plinth.WithEnv(func(name string) (string, bool) { return key, name == "PLINTH_KEY" })
}

func ExampleOpen() {
	dir, _ := os.MkdirTemp("", "plinth-example-")
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(notes), 0o644)

	p, err := plinth.Open(context.Background(), dir,
		plinth.On(func(context.Context) (*memory.Engine, error) { return memory.Open(), nil }),
		plinth.WithKey([]byte("32 random bytes from a safe place")))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	r := httptest.NewRequest(http.MethodPost, "/api/notes", strings.NewReader(`{"text":"hello"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 201
}

func TestKey(t *testing.T) {
	t.Parallel()
	const base64Of32 = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	open := func(dir string, opts ...plinth.Option) error {
		p, err := plinth.Open(t.Context(), dir, append(opts, inMemory())...)
		if err == nil {
			err = p.Close()
		}
		return err
	}
	for name, c := range map[string]struct {
		key, words string
	}{
		"base64":              {base64Of32, ""},
		"base64 without =":    {strings.TrimRight(base64Of32, "="), ""},
		"text":                {"this is a text of more than 32 characters!", ""},
		"too short":           {"brief", "PLINTH_KEY is too short"},
		"base64 of too few":   {"MDEyMzQ1Njc4OTAx", "PLINTH_KEY is too short"},
		"none, and none made": {"", "there is no key"},
	} {
		t.Run(name, func(t *testing.T) {
			err := open(folder(t, notes), env(c.key))
			if c.words == "" && err != nil || c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)) {
				t.Error(err)
			}
			if c.key != "" && err != nil && strings.Contains(err.Error(), c.key) {
				t.Errorf("the key is in the error: %v", err)
			}
		})
	}
	t.Run("made for a developer", func(t *testing.T) {
		dir := folder(t, notes)
		if err := open(dir, env(""), plinth.Dev()); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "data", "key")
		first, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
			t.Errorf("mode %o", info.Mode().Perm())
		}
		if err := open(dir, env("")); err != nil {
			t.Error(err)
		}
		if again, _ := os.ReadFile(name); string(again) != string(first) {
			t.Error("the key was made again")
		}
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := open(dir, env(""), plinth.Dev()); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a key that others can read: %v", err)
		}
	})
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	var wrong *spec.Problems
	if _, err := plinth.Open(t.Context(), folder(t, "collections: 1"), inMemory(), env("")); !errors.As(err, &wrong) {
		t.Errorf("a wrong app file: %v", err)
	}
	if _, err := plinth.Open(t.Context(), folder(t, notes), plinth.WithKey(make([]byte, 32))); !fault.Is(err, fault.Invalid) {
		t.Errorf("no engine: %v", err)
	}
}

// What Plinth keeps for itself cannot be reached over HTTP, by nobody and by no operator.
func TestOwnCollectionsAreOutOfReach(t *testing.T) {
	t.Parallel()
	p, err := plinth.Open(t.Context(), folder(t, notes), inMemory(), plinth.WithKey(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, key, err := p.AddKey(t.Context(), plinth.KeyOptions{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	handler := conform.Handler(t, p.Handler())
	for _, path := range []string{"/api/_keys", "/api/_operators", "/api/_answers", "/api/_migrations"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// A new database has nobody in it, and no secret is there that nobody has made (OWASP ASVS 5.0, 6.3.2 and 13.2.3).
func TestOWASP37NothingByDefault(t *testing.T) {
	t.Parallel()
	dir := folder(t, notes)
	if _, err := plinth.Open(t.Context(), dir, inMemory(), env("")); err == nil {
		t.Error("an app opens without a key")
	}
	p, err := plinth.Open(t.Context(), dir, inMemory(), plinth.WithKey([]byte("32 random bytes from a safe place")))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	keys, err := p.Keys(t.Context())
	if err != nil || len(keys) != 0 {
		t.Error(keys, err)
	}
	operators, err := p.Operators(t.Context())
	if err != nil || len(operators) != 0 {
		t.Error(operators, err)
	}
	users, _, err := p.Users(t.Context(), "", 10)
	if err != nil || len(users) != 0 {
		t.Error(users, err)
	}
}
