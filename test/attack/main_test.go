// Package attack_test attacks a whole app from outside, as somebody who knows the source. There is one
// test for each class of attack; its comment names the point of the safety list that it is about.
package attack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/mysql/mysqltest"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/test/conform"
)

// target is an app under attack.
type target struct {
	t    testing.TB
	app  *plinth.Plinth
	http http.Handler      // of the app; its answers are held against its description
	keys map[string]string // token by name: member, staff, admin, readonly, operator
}

const app = `
name: target
auth: {roles: [member, staff, admin]}
collections:
  people:
    label: name
    fields:
      name:   {type: text, required: true, max: 100}
      pin:    {type: text, max: 10, read: 'auth.has("staff")', fixed: true}
      boss:   {type: ref, to: people, inverse: team, onDelete: clear}
      salary: {type: int, read: 'auth.has("staff")', min: 0, max: 1000000}
      score:  {type: int, read: 'auth.has("staff")'}
      stock:  {type: int, min: 0}
      diary:  {type: json, read: 'auth.has("staff")', write: 'auth.has("staff")'}
      vault:  {type: ref, to: vaults, read: 'auth.has("staff")', write: 'auth.has("staff")', inverse: keepers}
      mood:   {type: text, read: 'boss == null'}
      secret: {type: text, hidden: true, default: "s3cret"}
    access: {read: true, create: true, update: true, delete: true}
  vaults:
    fields:
      word: {type: text, max: 100}
      code: {type: text, max: 30, unique: true}
    access: {read: 'auth.has("staff")', create: true}
  closed:
    fields:
      about: {type: ref, to: people, required: true, inverse: dossiers}
      owner: {type: text}
    access: {read: 'auth.has("admin")', create: 'auth.has("admin")'}
  papers:
    fields:
      title: {type: text}
      state: {type: text, default: open}
      meta:  {type: json, fixed: true}
      lock:  {type: json}
      body:  {type: text, write: 'lock == null'}
      scan:  {type: file, maxSize: 1MB, write: 'state == "open"'}
      pics:  {type: file, max: 3, maxSize: 64KB}
      slip:  {type: file, read: 'auth.has("staff")', maxSize: 64KB}
      tags:  {type: list, of: ref, to: people}
      words: {type: list, of: text}
      price: {type: decimal, precision: 12, scale: 2}
      count: {type: bigint}
    access: {read: true, create: true, update: true, delete: true}
  owned:
    fields: {owner: {type: text}, a: {type: text}}
    access: {read: 'owner == auth.id', create: true, update: 'owner == auth.id', delete: 'owner == auth.id'}
  owned_chosen:
    fields: {owner: {type: text}}
    access: {read: '(auth.signedIn ? auth.id : auth.id) == owner', create: true}
  owned_in:
    fields: {owner: {type: text}}
    access: {read: 'owner in [auth.id]', create: true}
  owned_not:
    fields: {owner: {type: text}}
    access: {read: '!(owner != auth.id)', create: true}
  owned_some:
    fields: {owner: {type: text}, who: {type: list, of: text}}
    access: {read: 'auth.id in who || [auth.id, "zz"].exists(m, m == owner)', create: true}
  guarded:
    fields: {owner: {type: text}, note: {type: text, fixed: true}}
    access: {read: true, create: true, update: 'owner == "me" && input.owner == owner'}
  sealed:
    fields: {code: {type: text, max: 30, unique: true}, place: {type: text}}
    access: {read: true, create: true, update: 'place == "here"', delete: 'place == "here"'}
`

// open opens the app in a folder of its own, or another.
func open(t testing.TB, yaml string, more ...plinth.Option) *target {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "plinth.yaml", yaml)
	put(t, dir, ".env", "outside")
	put(t, dir, "public/index.html", "<h1>front</h1>")
	put(t, dir, "public/.hidden", "hidden")
	put(t, dir, "public/docs/index.html", "<h1>docs</h1>")
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	p, err := plinth.Open(context.Background(), dir, append(more, plinth.WithKey(bytes.Repeat([]byte("k"), 32)), plinth.WithLog(log), on(t, dir))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	a := &target{t: t, app: p, http: conform.Handler(t, p.Handler()), keys: map[string]string{"": ""}}
	for name, o := range map[string]plinth.KeyOptions{
		"member": {Role: "member"}, "staff": {Role: "staff"}, "admin": {Role: "admin"},
		"readonly": {Role: "admin", ReadOnly: true}, "readonly operator": {Operator: true, ReadOnly: true}, "operator": {Operator: true},
	} {
		if _, a.keys[name], err = p.AddKey(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// on is the database that is attacked: SQLite, or what PLINTH_TEST_ENGINE says.
func on(t testing.TB, dir string) plinth.Option {
	switch engine := os.Getenv("PLINTH_TEST_ENGINE"); engine {
	case "postgres":
		address := pgtest.Database(t)
		return plinth.On(func(ctx context.Context) (*postgres.Engine, error) {
			return postgres.Open(ctx, address, postgres.Options{})
		})
	case "mysql":
		address := mysqltest.Database(t)
		return plinth.On(func(ctx context.Context) (*mysql.Engine, error) { return mysql.Open(ctx, address, mysql.Options{}) })
	case "", "sqlite":
		return plinth.On(func(context.Context) (*sqlite.Engine, error) {
			if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
				return nil, err
			}
			return sqlite.Open(filepath.Join(dir, "data", "plinth.db"), sqlite.Options{})
		})
	default:
		t.Fatalf("PLINTH_TEST_ENGINE=%s: there is no such engine", engine)
		return nil
	}
}

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(running(func() int { return mysqltest.Main(m) })))
}

type running func() int

func (r running) Run() int { return r() }

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// text is a member of the answer that is a string.
func (a answer) text(key string) string {
	s, _ := a.json()[key].(string)
	return s
}

func (a answer) json() map[string]any {
	var m map[string]any
	_ = json.Unmarshal(a.body, &m)
	return m
}

// essence is the answer without what differs each time.
func (a answer) essence() string {
	m := a.json()
	delete(m, "request")
	delete(m, "instance")
	b, _ := json.Marshal(m)
	return string(b)
}

// ask sends a request; headers are pairs of names and values.
func (a *target) ask(by, method, path, body string, headers ...string) answer {
	a.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key := a.keys[by]; key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.http.ServeHTTP(w, r)
	got := answer{w.Code, w.Result().Header, w.Body.Bytes()}
	if got.status >= 400 && method != http.MethodHead {
		if !strings.HasPrefix(got.header.Get("Content-Type"), "application/problem+json") {
			a.t.Errorf("%s %s: %d is no problem: %s", method, path, got.status, got.header.Get("Content-Type"))
		}
		if got.header.Get("Cache-Control") != "no-store" {
			a.t.Errorf("%s %s: %d may be kept by a cache", method, path, got.status)
		}
	}
	if got.status == 500 {
		a.t.Errorf("%s %s: 500 %s", method, path, got.body)
	}
	return got
}

// made creates a record and gives its id.
func (a *target) made(by, collection, body string) string {
	a.t.Helper()
	got := a.ask(by, "POST", "/api/"+collection, body)
	if got.status != 201 {
		a.t.Fatalf("create in %s: %d %s", collection, got.status, got.body)
	}
	return got.text("id")
}

// expect checks a status.
func (a *target) expect(got answer, what string, status ...int) {
	a.t.Helper()
	for _, s := range status {
		if got.status == s {
			return
		}
	}
	a.t.Errorf("%s: %d, want %v: %.300s", what, got.status, status, got.body)
}

func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "?" + q.Encode()
}
