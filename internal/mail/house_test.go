package mail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/spec"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// noon is when these tests are.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	jobID = "019c1f0a-5c00-7a10-8b01-5d1f0c2e0001"
	plain = "name: Agency\nserver: {url: https://app.example.com}\nmail: {from: 'Agency <hello@example.com>'}\n"
)

// load reads an app with these files in its folder.
func load(t testing.TB, yaml string, files map[string]string) *spec.App {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := spec.Load(dir, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// open makes the room of an app, at noon.
func open(t testing.TB, yaml string, files map[string]string, o Options) *Room {
	t.Helper()
	app := load(t, yaml, files)
	o.Secret = secret
	if o.Clock == nil {
		o.Clock = func() time.Time { return noon }
	}
	if o.Folder == "" {
		o.Folder = filepath.Join(app.Dir, "data", "mail")
	}
	r, err := New(app, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// example is a message of a template that is whole.
func example(of Template, lang string) Message {
	m := Message{Template: of, To: "anna@example.org", Lang: lang}
	f := forms[of]
	if f.token {
		m.Token = "s3cret-token_9"
	}
	if f.code {
		m.Code = "493817"
	}
	if f.token || f.code {
		m.Valid = 24 * time.Hour
	}
	return m
}

// composed is the message of a letter, read as its receiver reads it.
func composed(t testing.TB, r *Room, m Message) (*letter, *kept) {
	t.Helper()
	if err := m.check(); err != nil {
		t.Fatal(err)
	}
	l, err := r.compose(&m, r.base(), jobID, noon)
	if err != nil {
		t.Fatal(err)
	}
	k, err := readKept(l.message)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.message)
	}
	return l, k
}

// lines are those of a message, each within the limits of RFC 5322, 2.1.1.
func lines(t testing.TB, message []byte) []string {
	t.Helper()
	all := strings.Split(string(message), "\r\n")
	for _, line := range all {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("a line that no server takes: %q", line)
		}
	}
	return all
}
