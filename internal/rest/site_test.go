package rest_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/files"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
	"github.com/bluell/plinth/test/conform"
)

const agency = `
name: agency
auth: {roles: [member, staff, admin]}
collections:
  posts:
    label: title
    fields:
      title:  {type: text, required: true, min: 2, max: 40, pattern: '^[^#]*$'}
      slug:   {type: text, unique: true}
      status: {type: enum, values: [draft, open, done], default: draft}
      stars:  {type: int, min: 0, max: 10}
      price:  {type: decimal, precision: 10, scale: 2}
      due:    {type: date}
      tags:   {type: list, of: text, max: 5}
      meta:   {type: json}
      secret: {type: text, read: 'auth.has("staff")', write: 'auth.has("staff")'}
      author: {type: ref, to: people}
      cover:  {type: file, accept: [image/*], maxSize: 1KB}
      papers: {type: file, max: 3, maxSize: 1KB}
    access: {read: true, create: true, update: true, delete: 'auth.has("staff")'}
  people:
    fields: {name: {type: text, required: true}}
    access: {read: true, create: 'auth.has("staff")'}
  vault:
    fields: {word: {type: text}}
    access: {read: 'auth.has("staff")'}
  locked:
    fields: {word: {type: text}}
`

// site is an app behind the door, on the memory engine.
type site struct {
	t     *testing.T
	db    *data.DB
	http  http.Handler
	blobs *files.Disk
}

var callers = map[string]data.Caller{
	"":                {Scope: "address:192.0.2.1"},
	"Bearer member":   {SignedIn: true, Role: "member", Scope: "user:member"},
	"Bearer staff":    {SignedIn: true, Role: "staff", Scope: "user:staff"},
	"Bearer readonly": {SignedIn: true, Role: "admin", ReadOnly: true, Scope: "key:readonly"},
	"Bearer operator": {SignedIn: true, Operator: true, Scope: "operator"},
}

func caller(r *http.Request) (data.Caller, error) {
	by, ok := callers[r.Header.Get("Authorization")]
	if !ok {
		return by, fault.New(fault.Unauthenticated, "the credential is invalid")
	}
	return by, nil
}

var secret = []byte("0123456789abcdef0123456789abcdef")

// database opens the data of an app on an engine, with what Plinth keeps for itself.
func database(t testing.TB, yaml string, eng driver.Engine, blobs data.Blobs) *data.DB {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(yaml)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{data.Collections, auth.Collections(app)} {
		if err := app.Extend("test", []byte(own)); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := data.Plan(t.Context(), app, eng, secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(t.Context(), eng, data.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	db, err := data.Open(t.Context(), app, eng, data.Options{Key: secret, Blobs: blobs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func open(t testing.TB, yaml string, public string) *site {
	t.Helper()
	blobs, err := files.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	db := database(t, yaml, memory.Open(), blobs)
	quiet := slog.New(slog.DiscardHandler)
	s := &site{db: db, blobs: blobs}
	s.t, _ = t.(*testing.T)
	s.http = web.Guard(rest.New(db, caller, rest.Options{Blobs: blobs, Public: public, Version: "test"}), db.App().Server, quiet)
	if s.t != nil {
		s.http = conform.Handler(t, s.http)
	}
	return s
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// ask sends a request: "METHOD /path", headers as "Name: value" lines, and a body.
func (s *site) ask(line, headers, body string) answer {
	s.t.Helper()
	method, target, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	for h := range strings.SplitSeq(headers, "\n") {
		if name, value, ok := strings.Cut(h, ": "); ok {
			r.Header.Set(strings.TrimSpace(name), value)
		}
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	b, _ := io.ReadAll(w.Result().Body)
	a := answer{s.t, w.Code, w.Result().Header, string(b)}
	if a.status >= 400 && method != "HEAD" && !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		a.problem()
	}
	return a
}

// problem checks what every problem has to be.
func (a answer) problem() map[string]any {
	a.t.Helper()
	p := map[string]any{}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Fatalf("%d is no problem: %s %q", a.status, a.header.Get("Content-Type"), a.body)
	}
	for _, member := range []string{"type", "title", "status", "detail", "instance", "request"} {
		if p[member] == nil || p[member] == "" {
			a.t.Errorf("the problem has no %s: %s", member, a.body)
		}
	}
	if int(p["status"].(float64)) != a.status {
		a.t.Errorf("the problem says %v, the answer %d", p["status"], a.status)
	}
	return p
}

// want checks the status and returns the answer.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// fields are the errors of a problem as "pointer code".
func (a answer) fields() string {
	a.t.Helper()
	var out []string
	list, _ := a.problem()["errors"].([]any)
	for _, e := range list {
		m := e.(map[string]any)
		place, ok := m["pointer"].(string)
		if !ok {
			place, _ = m["parameter"].(string)
		}
		out = append(out, place+" "+m["code"].(string))
	}
	return strings.Join(out, ", ")
}

func (a answer) json() map[string]any {
	a.t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		a.t.Fatalf("not JSON: %q", a.body)
	}
	return m
}

// create makes a post and returns its id.
func (s *site) create(body string) string {
	s.t.Helper()
	return s.ask("POST /api/posts", "Authorization: Bearer staff", body).want(201).json()["id"].(string)
}
