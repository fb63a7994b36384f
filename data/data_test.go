package data_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// house is a database under test and who asks it.
type house struct {
	*data.DB
	t   *testing.T
	ctx context.Context
	now atomic.Int64 // ms: each look at the clock is a moment later
}

var secret = []byte("0123456789abcdef0123456789abcdef")

// engines are the databases that every test of this package runs on.
var engines = map[string]func(t *testing.T) driver.Engine{
	"memory": func(*testing.T) driver.Engine { return memory.Open() },
	"sqlite": func(t *testing.T) driver.Engine {
		e, err := sqlite.Open(filepath.Join(t.TempDir(), "plinth.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	},
}

// onEach runs a test with the database of an app file on each engine.
func onEach(t *testing.T, yaml string, test func(h *house)) {
	t.Parallel()
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(openOn(t, yaml, open(t)))
		})
	}
}

func openOn(t *testing.T, yaml string, eng driver.Engine, hooks ...data.Hook) *house {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(yaml)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Extend("data", []byte(data.Collections)); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	plan, err := data.Plan(ctx, app, eng, secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(ctx, eng, data.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, ctx: ctx}
	h.now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	h.DB, err = data.Open(ctx, app, eng, data.Options{Key: secret, Hooks: hooks, Log: slog.New(slog.DiscardHandler), Clock: func() time.Time {
		return time.UnixMilli(h.now.Add(1)).UTC()
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

var (
	nobody = data.Caller{}
	staff  = data.Caller{SignedIn: true, Role: "staff", Scope: "key:staff"}
	admin  = data.Caller{SignedIn: true, Role: "admin", Scope: "key:admin"}
	ann    = data.Caller{SignedIn: true, Role: "member", ID: "01900000-0000-7000-8000-00000000000a", Scope: "user:ann"}
	bob    = data.Caller{SignedIn: true, Role: "member", ID: "01900000-0000-7000-8000-00000000000b", Scope: "user:bob"}
	root   = data.Caller{SignedIn: true, Operator: true, Scope: "operator"}
)

func body(t *testing.T, text string) *doc.Node {
	t.Helper()
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// create makes a record and returns its id.
func (h *house) create(by data.Caller, collection, text string) string {
	h.t.Helper()
	r, err := h.Create(h.ctx, by, collection, body(h.t, text), data.WriteOptions{})
	if err != nil {
		h.t.Fatalf("create %s %s: %v", collection, text, err)
	}
	return r.ID
}

// list answers a list as text.
func (h *house) list(by data.Caller, q data.ListQuery) string {
	h.t.Helper()
	out, err := h.List(h.ctx, by, &q, nil)
	if err != nil {
		h.t.Fatalf("list %+v: %v", q, err)
	}
	return string(out)
}

// names are the names of the records in a list, in order.
func (h *house) names(by data.Caller, q data.ListQuery) string {
	h.t.Helper()
	n := body(h.t, h.list(by, q))
	items, _ := n.Get("items")
	var names []string
	for i := range items.Items {
		name, _ := items.Items[i].Get("name")
		names = append(names, name.Text)
	}
	return strings.Join(names, " ")
}

func wantKind(t *testing.T, err error, kind fault.Kind, codes ...string) {
	t.Helper()
	if fault.Of(err) != kind || err == nil {
		t.Fatalf("got %v (%v), want %v", err, fault.Of(err), kind)
	}
	var e *fault.Error
	errors.As(err, &e)
	var got []string
	for _, f := range e.Fields {
		got = append(got, strings.TrimSpace(f.Pointer+" "+f.Code))
	}
	if strings.Join(got, ", ") != strings.Join(codes, ", ") {
		t.Fatalf("got fields %v, want %v", got, codes)
	}
}

const blog = `
name: blog
auth: {roles: [member, staff, admin]}
collections:
  authors:
    label: name
    fields:
      name: {type: text, required: true, max: 80}
      email: {type: email, ci: true, unique: true, read: 'auth.has("staff")', write: 'auth.has("staff")'}
    access: {read: true, write: 'auth.has("staff")'}
  posts:
    fields:
      name: {type: text, required: true, max: 200}
      author: {type: ref, to: authors, inverse: posts, onDelete: restrict}
      owner: {type: text, init: auth.id, fixed: true, max: 40}
      status: {type: enum, values: [draft, published], default: draft}
      views: {type: int, min: 0, default: 0}
      price: {type: decimal, precision: 8, scale: 2}
      secret: {type: text, encrypted: true, read: 'auth.has("staff")'}
      tags: {type: list, of: text, max: 3}
      meta: {type: json}
      slug: {type: text, max: 200, unique: true, init: slug(name)}
    indexes:
      - [status, created]
    validate:
      - {rule: '!name.startsWith("!")', field: name, message: must not shout}
    access:
      read: 'status == "published" || owner == auth.id || auth.has("staff")'
      create: auth.signedIn
      update: owner == auth.id
      delete: auth.has("admin")
  comments:
    fields:
      name: {type: text, required: true, max: 200}
      post: {type: ref, to: posts, required: true, onDelete: cascade, inverse: comments}
    access: {read: true, write: true}
`

func TestCreateAndRead(t *testing.T) { onEach(t, blog, testCreateAndRead) }

func testCreateAndRead(h *house) {
	t := h.t
	author := h.create(staff, "authors", `{"name":"Ann","email":"Ann@Example.com"}`)
	id := h.create(ann, "posts", `{"name":"Hello World","author":"`+author+`","price":"12.5","secret":"s3","tags":["a","b"],"meta":{"b":1,"a":[2]}}`)
	got, rev, err := h.Get(h.ctx, ann, data.Target{Collection: "posts", ID: id}, data.View{Expand: "author"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := body(t, string(got))
	for field, want := range map[string]string{"name": `"Hello World"`, "status": `"draft"`, "views": "0", "price": `"12.50"`,
		"tags": `["a","b"]`, "meta": `{"a":[2],"b":1}`, "slug": `"hello-world"`, "owner": `"` + ann.ID + `"`, "rev": "1"} {
		v, ok := n.Get(field)
		if !ok || string(v.AppendCanonical(nil)) != want {
			t.Errorf("%s: got %v, want %s in %s", field, v, want, got)
		}
	}
	if _, ok := n.Get("secret"); ok {
		t.Errorf("the secret is shown to a member: %s", got)
	}
	if !strings.Contains(string(got), `"expand":{"author":{"id":"`+author+`"`) || strings.Contains(string(got), "xample.com") {
		t.Errorf("expansion: %s", got)
	}
	_ = rev
	got, rev, err = h.Get(h.ctx, staff, data.Target{Collection: "posts", By: "slug", Value: "hello-world"}, data.View{}, nil)
	if err != nil || rev != 1 || !strings.Contains(string(got), `"secret":"s3"`) {
		t.Errorf("got %s rev %d %v", got, rev, err)
	}
	_, _, err = h.Get(h.ctx, bob, data.Target{Collection: "posts", ID: id}, data.View{}, nil)
	wantKind(t, err, fault.NotFound)
	_, _, err = h.Get(h.ctx, staff, data.Target{Collection: "authors", By: "email", Value: "ANN@example.COM"}, data.View{}, nil)
	if err != nil {
		t.Error(err)
	}
	_, _, err = h.Get(h.ctx, ann, data.Target{Collection: "authors", By: "email", Value: "ANN@example.COM"}, data.View{}, nil)
	wantKind(t, err, fault.NotFound)
}
