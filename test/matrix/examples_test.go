package matrix_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"go.yaml.in/yaml/v4"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/spec"
	"github.com/bluell/plinth/test/conform"
)

// example is one of the examples, with people who sign in: its staff must have a second factor.
type example struct {
	name          string
	member, staff string              // its roles
	records       map[string][]string // bodies by collection; % is a number that differs, # two letters and ~ three digits that do, $ what nobody but staff may read
	order         []string            // in which they are made: what is referred to first
}

var examples = []example{
	{"agency", "member", "staff", map[string][]string{
		"services": {`{"slug":"s%","name":"Web","summary":"Sites","price":"10.00","weeks":5}`, `{"slug":"t%","name":"Apps","summary":"Apps"}`},
		"cases":    {`{"slug":"c%","title":"Boat","client":"Ines","year":2020,"summary":"It floats","service":"services"}`},
		"team":     {`{"slug":"a%","name":"Ada","role":"Founder"}`},
		"contacts": {`{"name":"Bob $","email":"b$@example.com","message":"Please call $ back.","status":"new"}`, `{"name":"Eve $","email":"e$@example.com","message":"Please call $ too.","status":"closed"}`},
		"calls": {`{"day":"%-01-05","slot":"09:00","name":"Ada $","email":"a$@example.com","status":"requested"}`, `{"day":"%-01-06","slot":"09:30","name":"Bob $","email":"b$@example.com","about":"$","status":"confirmed"}`,
			`{"day":"%-01-07","slot":"10:00","name":"Eve $","email":"e$@example.com","status":"cancelled"}`},
		"feedback": {`{"rating":3,"message":"It works on a boat.","author":"Ines","published":true}`, `{"rating":2,"message":"It does $ not float.","author":"Olaf $"}`},
	}, []string{"services", "cases", "team", "contacts", "calls", "feedback"}},
	{"iso", "reader", "editor", map[string][]string{
		"countries":    {`{"alpha2":"#","alpha3":"A#","numeric":"~","name":"Atlantis","flag":"A"}`, `{"alpha2":"#","alpha3":"B#","numeric":"~","name":"Borduria"}`},
		"subdivisions": {`{"code":"A-%","name":"North","kind":"Part","country":"countries"}`, `{"code":"B-%","name":"South","kind":"Part","country":"countries","parent":"subdivisions"}`},
		"languages":    {`{"alpha3":"A#","name":"Atlantean","scope":"I","status":"L"}`, `{"alpha3":"B#","alpha2":"#","name":"Bordurian","scope":"M","status":"H"}`},
		"currencies":   {`{"alpha3":"C#","numeric":"~","name":"Crown"}`},
	}, []string{"countries", "subdivisions", "languages", "currencies"}},
}

// caller is who asks, as the oracle knows him: rank is the place of his role, -1 of who has none.
type caller struct {
	name           string
	rank           int
	signed, op, ro bool
	dead           bool // his credential is good for nothing
	held           bool // he lacks the second factor that his role must have
	token          string
}

// refused is the status of what he may not do.
func (c *caller) refused() int {
	if c.signed {
		return 403
	}
	return 401
}

// law is what the app file says of a collection: read as text, and judged by a few lines that the server does not have.
type law struct {
	Access map[string]any
	Fields map[string]struct {
		Type                                       string
		Read, Write, Set, Init                     any
		Required, Fixed, Hidden, Encrypted, Unique bool
	}
}

// rule is the text of a rule; none is "".
func (l *law) rule(op string) string {
	r, ok := l.Access[op]
	if !ok && op != "read" {
		r, ok = l.Access["write"]
	}
	if !ok {
		return ""
	}
	return fmt.Sprint(r)
}

// verdict is what a rule says to a caller about a record: yes, no, or (without a record) that it depends on one.
func verdict(roles []string, rule string, c *caller, rec map[string]any) (yes, depends bool) {
	if c.op || rule == "" {
		return c.op, false
	}
	for term := range strings.SplitSeq(rule, " || ") {
		role, has := strings.CutPrefix(term, `auth.has("`)
		name, value, differs := strings.Cut(term, " != ")
		switch {
		case term == "true":
			return true, false
		case has:
			if c.rank >= slices.Index(roles, strings.TrimSuffix(role, `")`)) {
				return true, false
			}
		case rec == nil:
			depends = true
		case differs:
			if fmt.Sprint(rec[name]) != strings.Trim(value, `"`) {
				return true, false
			}
		case rec[term] == true:
			return true, false
		}
	}
	return false, depends
}

// lodge is an example under test.
type lodge struct {
	t       *testing.T
	app     *plinth.Plinth
	door    http.Handler // its answers are held against the description
	bare    http.Handler // for HEAD, of which the description does not speak
	of      example
	laws    map[string]*law
	roles   []string
	callers []*caller
	kept    map[string][]map[string]any // the records, by collection
	secret  string
	number  int
	cells   int
	log     []said
}

const missing = "01900000-0000-7000-8000-0000000fffff"

func openExample(t *testing.T, of example, secret string) *lodge {
	t.Helper()
	h := &lodge{t: t, of: of, roles: []string{of.member, of.staff}, laws: map[string]*law{}, kept: map[string][]map[string]any{}, secret: secret, number: 3000}
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", of.name, spec.FileName))
	if err != nil {
		t.Fatal(err)
	}
	roles, between := "roles: ["+of.member+", "+of.staff+"]", ", "
	if strings.Contains(string(text), "\n  "+roles+"\n") {
		between = "\n  "
	} else if !strings.Contains(string(text), "auth: {"+roles+"}") {
		t.Fatalf("%s has no auth with %s", of.name, roles)
	}
	more := []string{roles, "register: open", "verify: optional"}
	if mfa := "mfa: {required: [" + of.staff + "]}"; !strings.Contains(string(text), mfa) {
		more = append(more, mfa)
	}
	file := strings.Replace(string(text), roles, strings.Join(more, between), 1)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	h.read(file)
	var moved atomic.Int64
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h.app, err = plinth.Open(context.Background(), dir, plinth.On(func(context.Context) (*memory.Engine, error) { return memory.Open(), nil }),
		plinth.WithKey(bytes.Repeat([]byte("k"), 32)), plinth.WithLog(slog.New(slog.NewTextHandler(io.Discard, nil))),
		plinth.WithClock(func() time.Time { return start.Add(time.Duration(moved.Load())) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.app.Close() })
	h.bare = h.app.Handler()
	h.door = conform.Handler(t, h.bare)
	for _, name := range of.order {
		for _, body := range of.records[name] {
			h.kept[name] = append(h.kept[name], h.make(name, body))
		}
	}
	h.people(func(d time.Duration) time.Time { return start.Add(time.Duration(moved.Add(int64(d)))) })
	return h
}

// people make the callers: everybody who could ask.
func (h *lodge) people(move func(time.Duration) time.Time) {
	h.callers = append(h.callers, &caller{name: "nobody", rank: -1})
	for _, c := range []caller{{name: "member", rank: 0}, {name: "staff without a factor", rank: 1, held: true}, {name: "staff with a factor", rank: 1}, {name: "disabled", dead: true}} {
		c.signed = true
		email := strings.ReplaceAll(c.name, " ", ".") + "@example.com"
		credentials := `{"email":"` + email + `","password":"a horse that is correct"}`
		id := h.json("POST", "/api/auth/register", credentials, "", 201)["user"].(map[string]any)["id"].(string)
		h.change("users", id, `{"role":"`+h.roles[c.rank]+`"}`)
		c.token = h.json("POST", "/api/auth/login", credentials, "", 200)["token"].(string)
		switch {
		case c.rank == 1 && !c.held:
			secret := h.json("POST", "/api/auth/mfa/totp", "", c.token, 200)["secret"].(string)
			code, err := totp.GenerateCode(secret, move(0))
			if err != nil {
				h.t.Fatal(err)
			}
			c.token = h.json("POST", "/api/auth/mfa/totp/confirm", `{"code":"`+code+`"}`, c.token, 200)["token"].(string)
		case c.dead:
			h.change("users", id, `{"disabled":true}`)
		}
		h.callers = append(h.callers, &c)
	}
	move(6 * time.Second) // what is remembered of a session is looked up again
	for _, k := range []struct {
		caller
		o plinth.KeyOptions
	}{
		{caller{name: "key of a member", rank: 0}, plinth.KeyOptions{Role: h.roles[0]}},
		{caller{name: "key of staff", rank: 1}, plinth.KeyOptions{Role: h.roles[1]}},
		{caller{name: "read-only key of staff", rank: 1, ro: true}, plinth.KeyOptions{Role: h.roles[1], ReadOnly: true}},
		{caller{name: "operator", op: true}, plinth.KeyOptions{Operator: true}},
		{caller{name: "read-only operator", op: true, ro: true}, plinth.KeyOptions{Operator: true, ReadOnly: true}},
	} {
		k.signed = true
		var err error
		if _, k.token, err = h.app.AddKey(context.Background(), k.o); err != nil {
			h.t.Fatal(err)
		}
		h.callers = append(h.callers, &k.caller)
	}
	h.callers = append(h.callers, &caller{name: "a false token", dead: true, signed: true, token: "ps_false"})
}

// read reads the laws out of the app file. YAML is read as a tree; what it means is told by nobody else.
func (h *lodge) read(file string) {
	var root struct{ Collections map[string]*law }
	if err := yaml.Unmarshal([]byte(file), &root); err != nil {
		h.t.Fatal(err)
	}
	h.laws = root.Collections
	h.laws["users"] = &law{}
}

func (h *lodge) change(collection, id, body string) {
	h.t.Helper()
	n, err := doc.Parse([]byte(body), doc.Limits{})
	if err == nil {
		_, err = h.app.DB().Update(context.Background(), data.System, collection, id, n, data.WriteOptions{})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// body is what a record is made of: numbers that differ, and references to what is there.
func (h *lodge) body(collection, text string) map[string]any {
	h.number++
	letters := string([]byte{byte('A' + h.number/26%26), byte('A' + h.number%26)})
	text = strings.NewReplacer("%", fmt.Sprint(h.number), "#", letters, "~", fmt.Sprintf("%03d", h.number%1000), "$", h.secret).Replace(text)
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		h.t.Fatal(err)
	}
	for name, v := range m {
		if there := h.kept[fmt.Sprint(v)]; len(there) > 0 {
			m[name] = there[0]["id"]
		}
	}
	return m
}

// make stores a record, and gives it as the server has it.
func (h *lodge) make(collection, text string) map[string]any {
	h.t.Helper()
	m := h.body(collection, text)
	m["id"] = fmt.Sprintf("01900000-0000-7000-8000-0000000%05x", h.number)
	r, err := h.app.DB().Create(context.Background(), data.System, collection, doc.FromAny(m), data.WriteOptions{})
	if err != nil {
		h.t.Fatalf("%s %v: %v %+v", collection, m, err, problems(err))
	}
	var made map[string]any
	if err := json.Unmarshal(r.Body, &made); err != nil {
		h.t.Fatal(err)
	}
	return made
}

func (h *lodge) ask(method, path, body, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	if method == http.MethodHead {
		h.bare.ServeHTTP(w, r)
	} else {
		h.door.ServeHTTP(w, r)
	}
	return w
}

func (h *lodge) json(method, path, body, token string, status int) (m map[string]any) {
	h.t.Helper()
	w := h.ask(method, path, body, token)
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != status {
		h.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return m
}

// cell asks something, and compares the status with the oracle's. What a credential is worth comes before all.
func (h *lodge) cell(c *caller, method, path, body string, want int) *httptest.ResponseRecorder {
	h.t.Helper()
	h.cells++
	if c.dead {
		want = 401
	} else if c.held {
		want = 403
	}
	w := h.ask(method, path, body, c.token)
	h.log = append(h.log, said{c.name, method + " " + path, fmt.Sprint(w.Code, changing.ReplaceAllString(w.Body.String(), ""))})
	if w.Code != want {
		h.t.Errorf("%s, %s: %s %s %s: %d, want %d: %.300s", h.of.name, c.name, method, path, body, w.Code, want, w.Body)
	}
	if method == "GET" { // the same, without the body
		h.cells++
		if w := h.ask("HEAD", path, "", c.token); w.Code != want || w.Body.Len() > 0 {
			h.t.Errorf("%s, %s: HEAD %s: %d and %d bytes, want %d", h.of.name, c.name, path, w.Code, w.Body.Len(), want)
		}
	}
	return w
}

// may is what the oracle says before a record is looked at.
func (h *lodge) may(c *caller, collection, op string) (yes, depends bool) {
	return verdict(h.roles, h.laws[collection].rule(op), c, nil)
}

func (h *lodge) sees(c *caller, collection string, rec map[string]any) bool {
	yes, _ := verdict(h.roles, h.laws[collection].rule("read"), c, rec)
	return rec != nil && yes
}

// field says whether somebody may read and write a field, whatever the record.
func (h *lodge) field(c *caller, collection, name string) (read, write bool) {
	f := h.laws[collection].Fields[name]
	rule := func(r any) bool {
		yes, _ := verdict(h.roles, fmt.Sprint(r), c, nil)
		return r == nil || yes
	}
	return !f.Hidden && rule(f.Read), rule(f.Write) && f.Set == nil
}

// walk asks every operation of a description, as everybody, about everything.
func (h *lodge) walk() {
	h.t.Helper()
	operator := slices.IndexFunc(h.callers, func(c *caller) bool { return c.name == "operator" })
	paths := h.described(h.callers[operator])
	if len(paths) < 30 {
		h.t.Fatalf("the description has %d operations", len(paths))
	}
	for _, c := range h.callers {
		if !c.dead && !c.held {
			h.compare(c, paths)
		}
		for _, op := range slices.Sorted(maps.Keys(paths)) {
			method, path, _ := strings.Cut(op, " ")
			name, rest, _ := strings.Cut(strings.TrimPrefix(path, "/api/"), "/")
			if l := h.laws[name]; l != nil && name != "users" {
				h.operation(c, l, method, name, rest)
			} else if name == "users" && rest == "" {
				h.closed(c, method)
			}
		}
	}
}

// described are the operations that somebody is told of, but for those under /api/auth.
func (h *lodge) described(c *caller) map[string]bool {
	h.t.Helper()
	paths := map[string]bool{}
	for path, item := range h.json("GET", "/api/openapi.json", "", c.token, 200)["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" && !strings.HasPrefix(path, "/api/auth/") {
				paths[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	return paths
}

// compare holds what somebody is told of against what the oracle says that he could do.
func (h *lodge) compare(c *caller, all map[string]bool) {
	h.t.Helper()
	told := h.described(c)
	for op := range all {
		method, path, _ := strings.Cut(op, " ")
		name, rest, _ := strings.Cut(strings.TrimPrefix(path, "/api/"), "/")
		if h.laws[name] == nil {
			continue
		}
		could := func(what string) bool {
			yes, depends := h.may(c, name, what)
			return (yes || depends) && (what == "read" || !c.ro)
		}
		want := could("read")
		switch {
		case method == "POST" && rest == "":
			want = could("create")
		case method == "PATCH", strings.HasSuffix(rest, "increment"):
			want = could("update")
		case method == "PUT":
			want = could("create") || could("update")
		case method == "DELETE":
			want = could("delete")
		}
		h.cells++
		if told[op] != want {
			h.t.Errorf("%s, %s: %s is described: %t, want %t", h.of.name, c.name, op, told[op], want)
		}
	}
}

// closed: a collection without rules is operators' alone.
func (h *lodge) closed(c *caller, method string) {
	want := c.refused()
	if c.op {
		want = map[string]int{"GET": 200, "POST": 201}[method]
	}
	if c.ro && method == "POST" {
		want = 403
	}
	body := ""
	if method == "POST" {
		body = "{}"
	}
	h.cell(c, method, "/api/users", body, want)
}

// operation asks one operation of a collection.
func (h *lodge) operation(c *caller, l *law, method, name, rest string) {
	h.t.Helper()
	base := "/api/" + name
	switch {
	case rest == "" && method == "GET":
		h.list(c, l, name)
	case rest == "query":
		h.ids(c, name, h.cell(c, "POST", base+"/query", `{"sort":"id"}`, h.listed(c, name)), func(map[string]any) bool { return true })
	case rest == "" && method == "POST":
		h.creates(c, l, name)
	case strings.HasPrefix(rest, "by/"):
		field := strings.Split(rest, "/")[1]
		for _, rec := range h.kept[name] {
			want := h.reads(c, name, rec)
			if rec[field] == nil {
				continue
			}
			h.cell(c, "GET", base+"/by/"+field+"/"+url.PathEscape(fmt.Sprint(rec[field])), "", want)
		}
	default:
		for _, rec := range append(slices.Clone(h.kept[name]), nil) {
			h.one(c, l, method, name, rest, rec)
		}
	}
}

// listed is the status of a list.
func (h *lodge) listed(c *caller, name string) int {
	if h.laws[name].rule("read") == "" && !c.op {
		return c.refused()
	}
	return 200
}

func (h *lodge) reads(c *caller, name string, rec map[string]any) int {
	switch {
	case h.listed(c, name) != 200:
		return c.refused()
	case !h.sees(c, name, rec):
		return 404
	}
	return 200
}

// ids holds the ids of a list against the records that somebody may read, and that it asks for.
func (h *lodge) ids(c *caller, name string, w *httptest.ResponseRecorder, asks func(map[string]any) bool) {
	h.t.Helper()
	if w.Code != 200 {
		return
	}
	var page struct{ Items []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		h.t.Fatal(err)
	}
	var got, want []string
	for _, item := range page.Items {
		got = append(got, item["id"].(string))
	}
	for _, rec := range h.kept[name] {
		if h.sees(c, name, rec) && asks(rec) {
			want = append(want, rec["id"].(string))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		h.t.Errorf("%s, %s: a list of %s has %q, want %q", h.of.name, c.name, name, got, want)
	}
}

func (h *lodge) list(c *caller, l *law, name string) {
	base, status := "/api/"+name, h.listed(c, name)
	h.ids(c, name, h.cell(c, "GET", base, "", status), func(map[string]any) bool { return true })
	if yes, depends := h.may(c, name, "read"); yes || depends {
		h.cell(c, "HEAD", base, "", status)
	}
	for _, field := range slices.Sorted(maps.Keys(l.Fields)) {
		f := l.Fields[field]
		plain := func(query string, ok bool) *httptest.ResponseRecorder {
			want := status
			if may, _ := h.field(c, name, field); status == 200 && (!may || !ok) {
				want = 400
			}
			return h.cell(c, "GET", base+query, "", want)
		}
		h.ids(c, name, plain(query("filter", field+" == null"), true), func(rec map[string]any) bool { return rec[field] == nil })
		h.ids(c, name, plain(query("filter", field+" != null"), true), func(rec map[string]any) bool { return rec[field] != nil })
		plain(query("sort", "-"+field), !f.Encrypted)
		plain(query("fields", field), true)
		plain(query("group", field, "aggregate", "count"), !f.Encrypted)
	}
}

func (h *lodge) creates(c *caller, l *law, name string) {
	base := "/api/" + name
	yes, _ := h.may(c, name, "create")
	want := func(status int) int {
		switch {
		case c.ro:
			return 403
		case !yes:
			return c.refused()
		}
		return status
	}
	h.cell(c, "POST", base, `{}`, want(422))
	h.cell(c, "POST", base, `{"no_such_field":1}`, want(422))
	h.cell(c, "POST", "/api/batch", `{"operations":[{"op":"create","collection":"`+name+`","body":{}}]}`, want(422))
	for _, text := range h.of.records[name] {
		m := h.body(name, text)
		status := 201
		for field := range m {
			if _, write := h.field(c, name, field); !write {
				status = 422
			}
		}
		b, _ := json.Marshal(m)
		w := h.cell(c, "POST", base, string(b), want(status))
		var made struct{ ID string }
		if w.Code == 201 && json.Unmarshal(w.Body.Bytes(), &made) == nil {
			if _, err := h.app.DB().Delete(context.Background(), data.System, name, made.ID, data.WriteOptions{}); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// one asks about one record, or about one that is not there.
func (h *lodge) one(c *caller, l *law, method, name, rest string, rec map[string]any) {
	h.t.Helper()
	id := missing
	if rec != nil {
		id = rec["id"].(string)
	}
	path := "/api/" + name + "/" + id
	changes := func(op string, status int) int {
		yes, depends := h.may(c, name, op)
		switch {
		case c.ro:
			return 403
		case !yes && !depends:
			return c.refused()
		case !h.sees(c, name, rec):
			return 404
		}
		if yes, _ := verdict(h.roles, l.rule(op), c, rec); !yes {
			return c.refused()
		}
		return status
	}
	switch {
	case method == "GET" && rest == "{id}":
		w := h.cell(c, "GET", path, "", h.reads(c, name, rec))
		h.cell(c, "HEAD", path, "", h.reads(c, name, rec))
		if w.Code == 200 {
			h.shows(c, l, name, w.Body.Bytes(), rec)
		}
	case method == "PATCH":
		h.cell(c, "PATCH", path, `{}`, changes("update", 200))
		h.cell(c, "PATCH", path, `{"no_such_field":1}`, changes("update", 422))
		h.cell(c, "POST", "/api/batch", `{"operations":[{"op":"update","collection":"`+name+`","id":"`+id+`","body":{}}]}`, changes("update", 200))
		for _, field := range slices.Sorted(maps.Keys(l.Fields)) {
			if rec == nil || l.Fields[field].Fixed {
				continue
			}
			b, _ := json.Marshal(map[string]any{field: rec[field]})
			status := 200
			if _, write := h.field(c, name, field); !write {
				status = 422
			}
			h.cell(c, "PATCH", path, string(b), changes("update", status))
		}
	case method == "PUT":
		create, _ := h.may(c, name, "create")
		want := changes("update", 422)
		if update, _ := h.may(c, name, "update"); !c.ro && !update && create && !h.sees(c, name, rec) {
			if want = 404; rec == nil {
				want = 422 // it would be made, were it whole
			}
		} else if create && rec == nil && !c.ro {
			want = 422
		} else if !c.ro && create && h.sees(c, name, rec) && !update {
			want = c.refused()
		}
		h.cell(c, "PUT", path, `{}`, want)
	case strings.HasSuffix(rest, "increment"):
		h.cell(c, "POST", path+"/increment", `{"no_such_field":1}`, changes("update", 422))
	case method == "DELETE":
		if rec == nil {
			h.cell(c, "DELETE", path, "", changes("delete", 404))
			return
		}
		text := h.of.records[name][slices.IndexFunc(h.kept[name], func(r map[string]any) bool { return r["id"] == rec["id"] })]
		rec = h.make(name, text) // which nothing refers to
		w := h.cell(c, "DELETE", "/api/"+name+"/"+rec["id"].(string), "", changes("delete", 204))
		if w.Code != 204 {
			if _, err := h.app.DB().Delete(context.Background(), data.System, name, rec["id"].(string), data.WriteOptions{}); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// shows holds a record that was read against what the oracle says that is shown of it.
func (h *lodge) shows(c *caller, l *law, name string, body []byte, rec map[string]any) {
	h.t.Helper()
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		h.t.Fatal(err)
	}
	want := map[string]any{}
	for field, v := range rec {
		if _, declared := l.Fields[field]; declared {
			if read, _ := h.field(c, name, field); !read {
				continue
			}
		}
		want[field] = v
	}
	delete(got, "updated")
	delete(want, "updated")
	if a, b := fmt.Sprint(got), fmt.Sprint(want); a != b {
		h.t.Errorf("%s, %s: one of %s is %s, want %s", h.of.name, c.name, name, a, b)
	}
}

// TestExamplesMatrix: SAFETY 1, who may see what. Every operation that an operator is told of in the description of an example is asked as
// everybody, about every kind of record, and field by field; each answer is what the app file says, as a few lines read it that the
// server does not have. Then everything again, of an app in which what is staff's to read has other words: nobody and members are
// answered the same bytes.
func TestExamplesMatrix(t *testing.T) {
	t.Parallel()
	cells := 0
	for _, of := range examples {
		one, two := openExample(t, of, "apple"), openExample(t, of, "pears")
		one.walk()
		two.walk()
		cells += one.cells
		t.Logf("%s: %d cells", of.name, one.cells)
		for i, a := range one.log {
			if b := two.log[i]; (a.role == "nobody" || a.role == "member") && a.text != b.text && !strings.HasPrefix(a.what, "POST") {
				t.Errorf("%s: %s\n%s\n%s", a.role, a.what, a.text, b.text)
			}
		}
	}
	if cells < leastCells {
		t.Errorf("only %d cells", cells)
	}
}
