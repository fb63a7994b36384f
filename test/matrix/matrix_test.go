// Package matrix_test asks an app everything as everybody, over HTTP, and compares each answer with a model
// of a few lines: roles × verbs × records × collections whose rules differ in shape.
package matrix_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/files"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/test/conform"
)

// secrets are the values that not everybody may read.
type secrets struct{ pin, drop, dropped, memo, note string }

// house is the app under test with its records.
type house struct {
	t       *testing.T
	app     *plinth.Plinth
	blobs   *files.Disk
	door    http.Handler            // for keys; its answers are held against its description
	users   map[string]http.Handler // the same for each user: keys have no id
	keys    map[string]string
	s       secrets
	records map[string][]*record // by collection
	cells   int
	log     []said
}

// said is one answer, for comparison with that of another house.
type said struct{ role, what, text string }

type userKey struct{}

func open(t *testing.T, s secrets) *house {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(file(s.pin)), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	on := plinth.On(func(context.Context) (*memory.Engine, error) { return memory.Open(), nil })
	if os.Getenv("PLINTH_TEST_LONG") != "" {
		on = plinth.On(func(context.Context) (*sqlite.Engine, error) {
			return sqlite.Open(filepath.Join(t.TempDir(), "plinth.db"), sqlite.Options{})
		})
	}
	app, err := plinth.Open(context.Background(), dir, on, plinth.WithKey(bytes.Repeat([]byte("k"), 32)), plinth.WithLog(log),
		plinth.WithClock(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	h := &house{t: t, app: app, s: s, keys: map[string]string{}, records: map[string][]*record{}}
	for name, o := range map[string]plinth.KeyOptions{
		"staff": {Role: "staff"}, "admin": {Role: "admin"}, "operator": {Operator: true}, "read-only": {Role: "admin", ReadOnly: true},
	} {
		if _, h.keys[name], err = app.AddKey(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}
	if h.blobs, err = files.Open(filepath.Join(dir, "data", "files")); err != nil {
		t.Fatal(err)
	}
	who := func(r *http.Request) (data.Caller, error) {
		by := r.Context().Value(userKey{}).(role)
		return data.Caller{ID: by.id, SignedIn: true, Role: "member", Scope: "user:" + by.id}, nil
	}
	h.door, h.users = conform.Handler(t, app.Handler()), map[string]http.Handler{}
	for _, r := range roles {
		if r.id != "" {
			h.users[r.id] = conform.Handler(t, web.Guard(rest.New(app.DB(), who, rest.Options{Blobs: h.blobs}), app.App().Server, log))
		}
	}
	h.fill()
	return h
}

// fill makes the records: of ann, of bob and of nobody, drafts and published; one that is deleted again,
// and one that never was.
func (h *house) fill() {
	ctx := context.Background()
	if _, err := h.app.DB().Create(ctx, data.System, "hub", h.node(`{"id":"`+hub+`","name":"hub"}`), data.WriteOptions{}); err != nil {
		h.t.Fatal(err)
	}
	for i, s := range shapes {
		for j, owner := range []string{annID, bobID, ""} {
			for k, status := range []string{"draft", "published"} {
				h.records[s.name] = append(h.records[s.name], h.record(i, 2*j+k, owner, status, true))
			}
		}
		h.records[s.name] = append(h.records[s.name], h.record(i, 6, annID, "published", true), h.record(i, 7, annID, "published", false))
		for _, x := range h.records[s.name][:7] {
			h.make(s, x)
		}
		gone := h.records[s.name][6]
		if _, err := h.app.DB().Delete(ctx, data.System, s.name, gone.id, data.WriteOptions{}); err != nil {
			h.t.Fatal(err)
		}
		gone.there = false
	}
}

func (h *house) record(i, n int, owner, status string, there bool) *record {
	return &record{id: fmt.Sprintf("01900000-0000-7000-8000-0000000%02x0%02x", i+1, n), title: fmt.Sprintf("t%d", n), owner: owner, status: status,
		memo: h.s.memo, note: h.s.note, lock: "l", drop: h.s.drop, code: fmt.Sprintf("code%d", n), n: n, file: true, there: there}
}

func (h *house) node(text string) *doc.Node {
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// make stores a record as the model has it.
func (h *house) make(s shape, x *record) {
	ctx := context.Background()
	o := data.WriteOptions{}
	if x.file {
		key, size, err := h.blobs.Put(ctx, strings.NewReader("hello"), 100)
		if err != nil {
			h.t.Fatal(err)
		}
		o.Uploads = map[string][]data.Upload{"doc": {{Name: "a.txt", Type: "text/plain", Blob: key, Size: size}}}
	}
	body := h.node(fmt.Sprintf(`{"id":"%s","title":"%s","owner":%s,"code":"%s",%s}`, x.id, x.title, text(x.owner), x.code, x.rest()))
	if _, err := h.app.DB().Create(ctx, data.System, s.name, body, o); err != nil {
		h.t.Fatalf("%v %+v", err, problems(err))
	}
}

func problems(err error) []fault.Field {
	var f *fault.Error
	errors.As(err, &f)
	return f.Fields
}

// rest are the fields that cells change.
func (x *record) rest() string {
	return fmt.Sprintf(`"status":"%s","n":%d,"memo":%s,"note":%s,"lock":%s,"drop":%s,"up":"%s"`, x.status, x.n, text(x.memo), text(x.note), text(x.lock), text(x.drop), hub)
}

// restore undoes what a cell has done to a record.
func (h *house) restore(s shape, before record, x *record) {
	db, ctx := h.app.DB(), context.Background()
	var err error
	switch {
	case before.there && !x.there:
		h.make(s, &before)
	case !before.there && x.there:
		_, err = db.Delete(ctx, data.System, s.name, x.id, data.WriteOptions{})
	default:
		_, err = db.Update(ctx, data.System, s.name, x.id, h.node(`{"title":"`+before.title+`",`+before.rest()+`}`), data.WriteOptions{})
	}
	if err != nil {
		h.t.Fatalf("restore %s: %v %+v", s.name, err, problems(err))
	}
	*x = before
}

// ask sends a request.
func (h *house) ask(r role, method, path, body string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	handler := h.door
	if r.id != "" {
		q, handler = q.WithContext(context.WithValue(q.Context(), userKey{}, r)), h.users[r.id]
	} else if r.signed {
		q.Header.Set("Authorization", "Bearer "+h.keys[r.name])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, q)
	return w
}

var changing = regexp.MustCompile(`"(request|rev|created|updated)":("[^"]*"|\d+)`)

// cell is one cell of the matrix: a request and what the model expects.
func (h *house) cell(r role, method, path, body string, want answer) {
	h.t.Helper()
	h.cells++
	got := h.ask(r, method, path, body)
	what := method + " " + path + " " + body
	h.log = append(h.log, said{r.name, what, fmt.Sprint(got.Code, " ", got.Header().Get("Location"), " ", changing.ReplaceAllString(got.Body.String(), ""))})
	fail := func(format string, args ...any) {
		h.t.Helper()
		h.t.Errorf("%s: %s: %s\n%d %s", r.name, what, fmt.Sprintf(format, args...), got.Code, got.Body)
	}
	if got.Code != want.status {
		fail("want %d %s", want.status, want.code)
		return
	}
	if want.code != "" {
		var p struct {
			Errors []struct{ Pointer, Code string }
		}
		if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil || len(p.Errors) != 1 || p.Errors[0].Pointer+" "+p.Errors[0].Code != want.code {
			fail("want %s", want.code)
		}
	}
	switch {
	case want.view != nil:
		if why := differs(got.Body.Bytes(), want.view); why != "" {
			fail("%s", why)
		}
	case want.list != nil:
		if got := ids.FindAllString(got.Body.String(), -1); !slices.Equal(got, want.list) {
			fail("want %q", want.list)
		}
	case want.body != "" && want.body != got.Body.String():
		fail("want %s", want.body)
	}
}

var ids = regexp.MustCompile(`01900000-0000-7000-8000-0000000[0-9a-f]{5}`)

// differs says how a record differs from what the model shows.
func differs(body []byte, want map[string]string) string {
	var got map[string]json.RawMessage
	if err := json.Unmarshal(body, &got); err != nil {
		return err.Error()
	}
	for name, v := range got {
		if w, ok := want[name]; !ok || w != "*" && w != string(v) {
			return fmt.Sprintf("%s is %s, want %q", name, v, w)
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			return name + " is missing"
		}
	}
	return ""
}

// walk asks everything as some.
func (h *house) walk(roles []role) {
	for _, r := range roles {
		for _, s := range shapes {
			h.lists(r, s)
			for _, x := range h.records[s.name] {
				h.read(r, s, x)
				h.write(r, s, x)
			}
		}
	}
}

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}

// lists asks about all records at once.
func (h *house) lists(r role, s shape) {
	path := "/api/" + s.name
	found := func(keep func(x *record) bool) []string {
		all := []string{}
		for _, x := range h.records[s.name] {
			if s.sees(r, x) && keep(x) {
				all = append(all, x.id)
			}
		}
		return all
	}
	all := func(*record) bool { return true }
	list := func(q string, fields bool, keep func(x *record) bool) {
		want := answer{status: 200}
		switch {
		case s.read.before(r) != 0 && s.read == nil:
			want.status = r.refused()
		case !fields:
			want.status = 400
		default:
			want.list = found(keep)
		}
		h.cell(r, "GET", path+q, "", want)
	}
	memo, note := r.op || r.rank >= 2, r.op
	list("?fields=id", true, all)
	list(query("fields", "title", "sort", "title", "count", "exact"), true, all)
	list(query("fields", "title", "filter", `owner == auth.id`), true, func(x *record) bool { return r.owns(x) })
	list(query("fields", "title", "filter", `owner != auth.id && status == "draft"`), true, func(x *record) bool { return !r.owns(x) && x.status == "draft" })
	for _, f := range []struct {
		name string
		may  bool
	}{{"memo", memo}, {"note", note}, {"pin", false}, {"drop", false}, {"nope", false}, {"lock", true}} {
		list(query("fields", "id", "filter", f.name+" != null"), f.may, all)
		list(query("fields", "id", "filter", "up.name == \"hub\" && "+f.name+" == null"), f.may, func(*record) bool { return false })
		list(query("fields", "id", "sort", f.name), f.may, all)
		list(query("fields", "id,"+f.name), f.may || f.name == "note", all)
		want := answer{status: 200}
		switch {
		case s.read == nil && !r.op:
			want.status = r.refused()
		case !f.may:
			want.status = 400
		}
		h.cell(r, "GET", path+query("group", f.name, "aggregate", "count"), "", want)
		h.cell(r, "GET", path+query("aggregate", "max("+f.name+")"), "", want)
	}
	want := answer{status: 200, body: fmt.Sprintf(`{"groups":[{"count":%d}]}`, len(found(all)))}
	if s.read == nil && !r.op {
		want = answer{status: r.refused()}
	}
	h.cell(r, "GET", path+"?aggregate=count", "", want)
	// From outside: what is not his to read is not there, in expansions and in filters.
	inner := append([]string{hub}, found(all)...)
	h.cell(r, "GET", "/api/hub"+query("fields", "id", "expand", s.name+"(fields=id)"), "", h.inside(r, s, answer{status: 200, list: inner}))
	h.cell(r, "GET", "/api/hub"+query("fields", "id", "expand", s.name+"(fields=id,note)"), "", h.inside(r, s, answer{status: 200, list: inner}))
	some := []string{}
	if len(found(all)) > 0 {
		some = append(some, hub)
	}
	h.cell(r, "GET", "/api/hub"+query("fields", "id", "filter", "size("+s.name+") > 0"), "", answer{status: 200, list: some})
	h.cell(r, "GET", "/api/hub"+query("fields", "id", "filter", s.name+`.exists(x, x.title != null)`), "", h.inside(r, s, answer{status: 200, list: some}))
	h.cell(r, "GET", "/api/hub"+query("fields", "id", "filter", s.name+`.exists(x, x.drop != null)`), "", answer{status: 400})
}

// inside is what is expected where the names of a collection are used from outside: one that is closed to the
// caller, whatever the record, has none that he knows.
func (h *house) inside(r role, s shape, want answer) answer {
	if s.read.before(r) != 0 {
		return answer{status: 400}
	}
	return want
}

// read asks about one record.
func (h *house) read(r role, s shape, x *record) {
	path := "/api/" + s.name + "/" + x.id
	want := answer{status: s.reads(r, x)}
	plain := want
	if want.status == 200 {
		want.view = s.view(r, x)
	}
	h.cell(r, "GET", path, "", want)
	h.cell(r, "HEAD", path, "", plain)
	h.cell(r, "GET", "/api/"+s.name+"/by/code/"+x.code, "", want)
	other := answer{status: 404} // title is not unique
	if s.read == nil && !r.op {
		other.status = r.refused()
	}
	h.cell(r, "GET", "/api/"+s.name+"/by/title/"+x.title, "", other)
	part := func(field string, may bool) {
		w := answer{status: want.status}
		switch {
		case s.read == nil && !r.op:
		case !may:
			w.status = 400
		case want.status == 200:
			w.view = map[string]string{"id": want.view["id"]}
			if v, ok := want.view[field]; ok {
				w.view[field] = v
			}
		}
		h.cell(r, "GET", path+"?fields="+field, "", w)
	}
	part("title", true)
	part("memo", r.op || r.rank >= 2)
	part("note", true)
	part("pin", false)
	part("drop", false)
	h.cell(r, "GET", path+"?expand=up", "", plain)
	list := answer{status: 200, list: []string{}}
	if s.read == nil && !r.op {
		list = answer{status: r.refused()}
	} else if plain.status == 200 {
		list.list = []string{x.id}
	}
	h.cell(r, "GET", "/api/"+s.name+query("fields", "title", "filter", `id == "`+x.id+`"`), "", list)
	h.cell(r, "POST", "/api/"+s.name+"/query", `{"fields":"title","filter":"code == param.c","param":{"c":"`+x.code+`"}}`, list)
	got := answer{status: 200, body: "hello"}
	if !s.sees(r, x) {
		got = answer{status: 404}
	}
	h.cell(r, "GET", "/api/files/"+s.name+"/"+x.id+"/doc/a.txt", "", got)
	h.cell(r, "GET", "/api/files/"+s.name+"/"+x.id+"/doc/b.txt", "", answer{status: 404})
}

// write tries to change one record in every way.
func (h *house) write(r role, s shape, x *record) {
	path := "/api/" + s.name + "/" + x.id
	try := func(method, path, body string, expect func() answer) {
		before := *x
		want := expect()
		h.cell(r, method, path, body, want)
		if want.status < 300 {
			h.restore(s, before, x)
		}
	}
	patch := func(body string, edit func(*record), problem string) {
		try("PATCH", path, body, func() answer { return s.changes(r, x, edit, problem) })
		before := *x
		want := s.changes(r, x, edit, problem)
		want.view = nil
		h.cell(r, "POST", "/api/batch", `{"operations":[{"op":"update","collection":"`+s.name+`","id":"`+x.id+`","body":`+body+`}]}`, answer{status: want.status})
		if want.status < 300 {
			h.restore(s, before, x)
		}
	}
	unless := func(ok bool, problem string) string {
		if ok || r.op {
			return ""
		}
		return problem
	}
	patch(`{}`, func(*record) {}, "")
	patch(`{"title":"new"}`, func(x *record) { x.title = "new" }, "")
	patch(`{"status":"draft"}`, func(x *record) { x.status = "draft" }, "")
	patch(`{"status":"published"}`, func(x *record) { x.status = "published" }, "")
	patch(`{"memo":"m2"}`, func(x *record) { x.memo = "m2" }, unless(r.rank >= 2, "/memo unknown"))
	patch(`{"note":"n2"}`, func(x *record) { x.note = "n2" }, "")
	patch(`{"lock":"l2"}`, func(x *record) { x.lock = "l2" }, unless(r.owns(x), "/lock readonly"))
	patch(`{"pin":"p2"}`, nil, "/pin unknown")
	patch(`{"drop":"`+h.s.dropped+`"}`, func(x *record) { x.drop = h.s.dropped }, unless(r.rank >= 3, "/drop unknown"))
	patch(`{"made":"m"}`, nil, "/made readonly")
	patch(`{"owner":"`+bobID[:35]+`c"}`, nil, "/owner readonly")
	patch(`{"n":101}`, nil, "/n max")
	patch(`{"rev":987654}`, nil, "/rev readonly")
	try("POST", path+"/increment", `{"n":3}`, func() answer { return s.changes(r, x, func(x *record) { x.n += 3 }, "") })
	try("POST", path+"/increment", `{"n":200}`, func() answer { return s.changes(r, x, nil, "/n max") })
	try("POST", path+"/increment", `{"drop":1}`, func() answer { return s.changes(r, x, nil, "/drop unknown") })
	try("DELETE", path, "", func() answer { return s.removes(r, x) })
	try("POST", "/api/batch", `{"operations":[{"op":"delete","collection":"`+s.name+`","id":"`+x.id+`"}]}`, func() answer {
		want := s.removes(r, x)
		if want.status == 204 {
			want.status = 200
		}
		return want
	})
	try("POST", "/api/batch", `{"operations":[{"op":"update","collection":"`+s.name+`","id":"`+x.id+`","body":{"title":"b"}},{"op":"update","collection":"`+s.name+`","id":"`+x.id+`","body":{"n":101}}]}`, func() answer {
		copied := *x
		first := s.changes(r, &copied, func(x *record) { x.title = "b" }, "")
		if first.status == 200 {
			first = s.changes(r, &copied, nil, "/n max")
		}
		return answer{status: first.status}
	})
	h.put(r, s, x, path, try)
	h.create(r, s, x, try)
}

func (h *house) put(r role, s shape, x *record, path string, try func(method, path, body string, expect func() answer)) {
	if x.there {
		try("PUT", path, `{"title":"put","code":"`+x.code+`","up":"`+hub+`","doc":{"name":"a.txt"}}`, func() answer {
			if r.ro {
				return answer{status: 403}
			}
			if s.create.before(r) != 0 && s.update.before(r) != 0 {
				return answer{status: r.refused()}
			}
			if s.read != nil && !s.read.holds(r, x, nil) {
				return answer{status: 404}
			}
			return s.changes(r, x, func(x *record) {
				x.title, x.status, x.n, x.note = "put", "draft", 0, ""
				if r.op || r.rank >= 2 {
					x.memo = ""
				}
				if r.op || r.owns(x) {
					x.lock = ""
				}
				if r.op || r.rank >= 3 {
					x.drop = ""
				}
			}, "")
		})
		return
	}
	if s.create.before(r) != 0 && s.update.before(r) == 0 && !r.ro {
		return // see TestPutTellsNothing
	}
	try("PUT", path, `{"title":"put","code":"`+x.code+`","up":"`+hub+`","note":"n"}`, func() answer {
		if r.ro || s.create.before(r) != 0 {
			return answer{status: r.refused()}
		}
		*x = record{id: x.id, title: "put", owner: r.id, status: "draft", note: "n", code: x.code}
		return s.creates(r, x, "")
	})
}

func (h *house) create(r role, s shape, x *record, try func(method, path, body string, expect func() answer)) {
	fresh := func(extra string) string {
		return `{"id":"` + x.id + `","title":"made","code":"` + x.code + `","up":"` + hub + `"` + extra + `}`
	}
	for _, c := range []struct {
		extra, problem string
		edit           func(*record)
	}{
		{"", "", func(*record) {}},
		{`,"owner":"` + bobID + `","status":"published"`, "", func(x *record) { x.owner, x.status = bobID, "published" }},
		{`,"pin":"p"`, "/pin unknown", nil},
		{`,"memo":"m"`, "/memo unknown", func(x *record) { x.memo = "m" }},
		{`,"made":"m"`, "/made readonly", nil},
	} {
		problem := c.problem
		if c.extra == `,"memo":"m"` && (r.op || r.rank >= 2) {
			problem = ""
		}
		expect := func() answer {
			made := &record{id: x.id, title: "made", owner: r.id, status: "draft", code: x.code}
			if c.edit != nil {
				c.edit(made)
			}
			want := s.creates(r, made, problem)
			switch {
			case want.status == 201 && x.there:
				return answer{status: 409}
			case want.status == 201:
				*x = *made
			}
			return want
		}
		try("POST", "/api/"+s.name, fresh(c.extra), expect)
		try("POST", "/api/batch", `{"operations":[{"op":"create","collection":"`+s.name+`","body":`+fresh(c.extra)+`}]}`, func() answer {
			want := expect()
			if want.status == 201 {
				want.status = 200
			}
			return answer{status: want.status}
		})
	}
}

// TestMatrix asks three apps that differ only in values that are kept from callers. Each answer is what the
// model says; and where a caller may not read what differs, the answers are the same bytes, but for rev and
// updated (and ETags, which are no part of what is compared).
func TestMatrix(t *testing.T) {
	t.Parallel()
	base := secrets{pin: "p", drop: "d", dropped: "d2", memo: "m", note: "n"}
	hidden, unread := base, base
	hidden.pin, hidden.drop, hidden.dropped = "another pin", "zzzzzzzzzz", "yy"
	unread.memo, unread.note = "other", "otherwise"
	one, two, three := open(t, base), open(t, hidden), open(t, unread)
	one.walk(roles)
	two.walk(roles)
	three.walk(roles[:1]) // nobody, who reads neither
	if one.cells < 10_000 {
		t.Errorf("only %d cells", one.cells)
	}
	alike(t, one, two)
	alike(t, one, three)
}

// alike compares the answers of two houses as far as both were asked.
func alike(t *testing.T, one, two *house) {
	t.Helper()
	for i, b := range two.log {
		if a := one.log[i]; a.text != b.text {
			t.Errorf("%s: %s\n%s\n%s", a.role, a.what, a.text, b.text)
		}
	}
}

// TestPutTellsNothing: whoever may not create learns nothing by a put about ids of records that he may not
// read: one that is there and one that is not are answered alike, as PATCH and DELETE do.
func TestPutTellsNothing(t *testing.T) {
	t.Parallel()
	h := open(t, secrets{pin: "p", drop: "d", dropped: "d2", memo: "m", note: "n"})
	there, missing := h.records["archive"][0], h.records["archive"][7]
	for _, method := range []string{"GET", "PATCH", "DELETE", "PUT"} {
		body := `{"title":"x"}`
		if method == "GET" || method == "DELETE" {
			body = ""
		}
		one, two := h.ask(roles[2], method, "/api/archive/"+there.id, body), h.ask(roles[2], method, "/api/archive/"+missing.id, body)
		if one.Code != two.Code {
			t.Errorf("%s: %d where there is a record that he may not read, %d where there is none", method, one.Code, two.Code)
		}
	}
}
