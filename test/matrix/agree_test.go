package matrix_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
)

// leastCells is how many cells that say always or never are held against answers.
const leastCells = 10_000

// TestMatrixAgrees makes apps with random rules and asks each cell of their matrix that says always or never over HTTP, as
// several callers of its kind and of several records: none is denied what is always allowed, none is given what never is.
// Of a cell that depends on something, the rule that stands in it is asked of each caller and record, and agrees.
func TestMatrixAgrees(t *testing.T) {
	t.Parallel()
	var sum tally
	seed := uint64(1)
	for ; sum.always+sum.never < leastCells; seed++ {
		if seed > 400 {
			t.Fatalf("after %d apps only %+v", seed-1, sum)
		}
		randomApp(t, seed).judge(&sum)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d apps: %+v", seed-1, sum)
	if sum.always < leastCells/10 || sum.never < leastCells/10 || sum.where < leastCells/10 || sum.judged < leastCells/10 || sum.channels < 100 {
		t.Errorf("too little of a kind: %+v", sum)
	}
	if sum.yes < sum.judged/20 || sum.no < sum.judged/20 {
		t.Errorf("the conditions are all alike: %+v", sum)
	}
}

// tally counts cells by what they say, requests, and how often a condition was asked of one caller and record.
type tally struct{ always, never, where, requests, judged, yes, no, channels int }

var (
	callerRules = []string{"true", "false", "auth.signedIn", `auth.has("staff")`, `auth.has("admin")`, `auth.has("member")`, `auth.role == "member"`,
		`auth.role != "staff"`, `auth.role in ["staff", "admin"]`, "auth.id != null", "auth.id == null", `auth.team == "red"`, "auth.team == null", "auth.level > 1", "auth.role == null"}
	recordRules = []string{"owner == auth.id", "owner != auth.id", `state == "public"`, "n > 3", "flag", "title == auth.team", "auth.id in tags", `"a" in tags`,
		"now > at", "owner == null", "up.owner == auth.id", "up.flag", "tags.exists(x, x == auth.team)", "n + 1 > 5", "(flag ? n : 1) == 1", "downs.exists(d, d.owner == auth.id)"}
	inputRules = []string{"input.state == state", "input.owner == owner", "input.n > 2"}
)

// rule is a random rule. use is what it is for: update rules may name input, read rules may not compute.
func randomRule(r *rand.Rand, use string, depth int) string {
	if depth > 0 && r.IntN(3) > 0 {
		a, b := randomRule(r, use, depth-1), randomRule(r, use, depth-1)
		switch r.IntN(5) {
		case 0, 1:
			return "(" + a + " || " + b + ")"
		case 2, 3:
			return "(" + a + " && " + b + ")"
		default:
			return "!(" + a + ")"
		}
	}
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	switch n := r.IntN(12); {
	case use == "channel" && n < 5:
		return pick([]string{`key == "a"`, "key == auth.id", "key == null", "key != auth.team"})
	case n < 7 || use == "channel":
		return pick(callerRules)
	case n == 7 && use == "update":
		return pick(inputRules)
	default:
		for {
			if s := pick(recordRules); use != "read" || !strings.Contains(s, "+") {
				return s
			}
		}
	}
}

const (
	agreeAnn = "01900000-0000-7000-8000-0000000a0001"
	agreeBob = "01900000-0000-7000-8000-0000000a0002"
)

// agreeHouse is one random app with its records.
type agreeHouse struct {
	t     *testing.T
	r     *rand.Rand
	yaml  string
	p     *plinth.Plinth
	now   time.Time
	door  http.Handler
	by    data.Caller // who asks next
	names []string    // of collections
	ids   map[string][]string
	made  int
}

func randomApp(t *testing.T, seed uint64) *agreeHouse {
	t.Helper()
	h := &agreeHouse{t: t, r: rand.New(rand.NewPCG(seed, 17)), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), ids: map[string][]string{}}
	var b strings.Builder
	b.WriteString("auth: {roles: [member, staff, admin]}\ncollections:\n  users:\n    fields: {team: {type: text, write: 'false'}, level: {type: int, write: 'false'}}\n")
	access := func(name string) {
		uses := []string{"read", "create", "update", "delete"}
		var rules []string
		for _, use := range uses {
			if h.r.IntN(12) > 0 {
				rules = append(rules, use+": '"+randomRule(h.r, use, 2)+"'")
			}
		}
		if len(rules) > 0 {
			fmt.Fprintf(&b, "    access: {%s}\n", strings.Join(rules, ", "))
		}
	}
	for i := range 4 {
		name := fmt.Sprintf("c%d", i)
		h.names = append(h.names, name)
		fmt.Fprintf(&b, `  %s:
    fields:
      title: {type: text, max: 40}
      owner: {type: text, max: 40}
      state: {type: enum, values: [draft, public]}
      n: {type: int}
      at: {type: time}
      tags: {type: list, of: text}
      flag: {type: bool}
      up: {type: ref, to: %s, inverse: downs, onDelete: clear}
      plain: {type: text}
`, name, name)
		for j := range 2 {
			options := "type: text"
			for _, use := range []string{"read", "write"} {
				if h.r.IntN(4) > 0 {
					options += ", " + use + ": '" + randomRule(h.r, use, 1) + "'"
				}
			}
			if h.r.IntN(6) == 0 {
				options += ", fixed: true"
			}
			fmt.Fprintf(&b, "      s%d: {%s}\n", j, options)
		}
		access(name)
	}
	b.WriteString("channels:\n")
	for i := range 3 {
		fmt.Fprintf(&b, "  room%d: {read: '%s', write: '%s'}\n", i, randomRule(h.r, "channel", 1), randomRule(h.r, "channel", 1))
	}
	h.yaml = b.String()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(h.yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	h.p, err = plinth.Open(context.Background(), dir, plinth.On(func(context.Context) (*memory.Engine, error) { return memory.Open(), nil }),
		plinth.WithKey(bytes.Repeat([]byte("k"), 32)), plinth.WithLog(log), plinth.WithClock(func() time.Time { return h.now }))
	if err != nil {
		t.Fatalf("seed %d: %v\n%s", seed, err, h.yaml)
	}
	t.Cleanup(func() { h.p.Close() })
	h.door = web.Guard(rest.New(h.p.DB(), func(*http.Request) (data.Caller, error) { return h.by, nil }, rest.Options{}), h.p.App().Server, log)
	for id, more := range map[string]string{agreeAnn: `"team":"red","level":2`, agreeBob: `"level":1`} {
		h.create("users", `{"id":"`+id+`","email":"`+id[30:]+`@example.com",`+more+`}`)
	}
	for _, name := range h.names {
		for range 5 {
			h.make(name)
		}
	}
	return h
}

func (h *agreeHouse) create(collection, body string) string {
	h.t.Helper()
	n, err := doc.Parse([]byte(body), doc.Limits{})
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := h.p.DB().Create(context.Background(), data.System, collection, n, data.WriteOptions{})
	if err != nil {
		h.t.Fatalf("%v\n%s\n%s", err, body, h.yaml)
	}
	return r.ID
}

// make stores a random record.
func (h *agreeHouse) make(name string) {
	up := ""
	if ids := h.ids[name]; len(ids) > 0 && h.r.IntN(2) == 0 {
		up = `,"up":"` + ids[h.r.IntN(len(ids))] + `"`
	}
	h.ids[name] = append(h.ids[name], h.create(name, "{"+h.fields()+up+`,"s0":"x","s1":"y"}`))
}

// fields are random values of the fields that have no rules.
func (h *agreeHouse) fields() string {
	of := func(from ...string) string { return from[h.r.IntN(len(from))] }
	return fmt.Sprintf(`"title":%s,"owner":%s,"state":%s,"n":%d,"at":%s,"tags":%s,"flag":%s`, of(`"red"`, `"b"`, "null"),
		of(`"`+agreeAnn+`"`, `"`+agreeBob+`"`, "null"), of(`"draft"`, `"public"`, "null"), h.r.IntN(7),
		of(`"2020-01-01T00:00:00Z"`, `"2030-01-01T00:00:00Z"`, "null"), of(`[]`, `["a"]`, `["red","`+agreeAnn+`"]`, "null"), of("true", "false", "null"))
}

// callers are some of a kind, by its name in the matrix.
func (h *agreeHouse) callers(kind string) []data.Caller {
	h.t.Helper()
	if role, ok := strings.CutPrefix(kind, "key of "); ok {
		return []data.Caller{{SignedIn: true, Role: role, Scope: "key:k"}}
	}
	switch kind {
	case "nobody":
		return []data.Caller{{Scope: "address:1"}}
	case "operator":
		return []data.Caller{{SignedIn: true, Operator: true, Scope: "key:o"}}
	case "no role":
		kind = ""
	}
	var out []data.Caller
	for _, id := range []string{agreeAnn, agreeBob} {
		records, _, err := h.p.DB().Records(context.Background(), data.System, &data.ListQuery{Collection: "users", Filter: "id == param.a",
			Params: map[string]*doc.Node{"a": doc.NewString(id)}})
		if err != nil || len(records) != 1 {
			h.t.Fatal(err, len(records))
		}
		out = append(out, data.Caller{ID: id, SignedIn: true, Role: kind, User: records[0], Scope: "user:" + id})
	}
	return out
}

func (h *agreeHouse) ask(sum *tally, method, path, body string) *httptest.ResponseRecorder {
	sum.requests++
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.door.ServeHTTP(w, q)
	return w
}

// judge asks every cell of the app's matrix.
func (h *agreeHouse) judge(sum *tally) {
	m := h.p.DB().Matrix()
	for _, t := range m.Tables {
		for i, kind := range m.Callers {
			for j, op := range t.Operations {
				if t.Name == "users" && op != "read" {
					continue // who is created and changed there asks
				}
				cell := t.Cells[i][j]
				switch cell.Answer {
				case data.Always:
					sum.always++
				case data.Never:
					sum.never++
				default:
					sum.where++
				}
				for _, by := range h.callers(kind) {
					h.by = by
					if t.Channel {
						h.channel(sum, t.Name, op, cell)
					} else {
						h.cell(sum, &t, op, kind, cell)
					}
				}
			}
		}
	}
}

// cell asks one cell as h.by, of every record.
func (h *agreeHouse) cell(sum *tally, t *data.Table, op, kind string, cell data.Cell) {
	h.t.Helper()
	ids := slices.Clone(h.ids[t.Name])
	if t.Name == "users" {
		ids = []string{agreeAnn, agreeBob}
	}
	if op == "create" {
		ids = []string{""}
	}
	field := ""
	if len(t.Fields) > 0 {
		field = t.Fields[h.r.IntN(len(t.Fields))]
	}
	for _, id := range ids {
		path := "/api/" + t.Name
		if id != "" {
			path += "/" + id
		}
		holds, known := h.condition(t, op, id, cell)
		var w *httptest.ResponseRecorder
		var allowed bool
		switch op {
		case "read":
			w = h.ask(sum, "GET", path, "")
			allowed = w.Code == 200
			if field != "" {
				var record map[string]json.RawMessage
				if allowed && json.Unmarshal(w.Body.Bytes(), &record) != nil {
					h.t.Errorf("%s is no record: %s", path, w.Body)
				}
				_, allowed = record[field]
			}
		case "create":
			body := h.fields()
			if field != "" {
				body += `,"` + field + `":"z"`
			}
			w = h.ask(sum, "POST", path, "{"+body+"}")
			if allowed = w.Code == 201; allowed {
				var made struct{ ID string }
				if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
					h.t.Fatal(err)
				}
				h.drop(t.Name, made.ID)
			}
		case "update":
			h.made++
			body := fmt.Sprintf(`"plain":"p%d"`, h.made)
			if field != "" {
				body += fmt.Sprintf(`,"%s":"v%d"`, field, h.made)
			}
			w = h.ask(sum, "PATCH", path, "{"+body+"}")
			allowed = w.Code == 200
		case "delete":
			w = h.ask(sum, "DELETE", path, "")
			if allowed = w.Code == 204; allowed {
				h.ids[t.Name] = slices.DeleteFunc(h.ids[t.Name], func(have string) bool { return have == id })
				h.make(t.Name)
			}
		}
		if !allowed && !refusal(w.Code, field != "") {
			h.t.Fatalf("%s %s as %s: %d %s\n%s", op, path, kind, w.Code, w.Body, h.yaml)
		}
		wrong := cell.Answer == data.Always && !allowed || cell.Answer == data.Never && allowed
		if known {
			sum.judged++
			if holds {
				sum.yes++
			} else {
				sum.no++
			}
			wrong = wrong || holds != allowed
		}
		if wrong {
			h.t.Fatalf("%s of %s %v as %s %s: the matrix says %q %s, the answer is %d %s (the condition holds: %v)\n%s", op, t.Name, t.Fields, kind, h.by.ID,
				cell.Answer, cell.Rule, w.Code, w.Body, holds, h.yaml)
		}
	}
}

// refusal says whether a status is that of a rule that said no; of a field it may be that of the field.
func refusal(status int, field bool) bool {
	return status == 401 || status == 403 || status == 404 || field && (status == 200 || status == 422)
}

// drop removes what a cell has created.
func (h *agreeHouse) drop(collection, id string) {
	if _, err := h.p.DB().Delete(context.Background(), data.System, collection, id, data.WriteOptions{}); err != nil {
		h.t.Fatal(err)
	}
}

// condition asks what stands in a cell of one record and the caller, by compiling its text again. It is not known of what is
// created, of what an update changes, and of what a rule of a field stays silent about.
func (h *agreeHouse) condition(t *data.Table, op, id string, cell data.Cell) (holds, known bool) {
	if cell.Answer != data.Where || op == "create" || strings.Contains(cell.Rule, "input.") {
		return false, false
	}
	app := h.p.App()
	e, err := expr.Compile(cell.Rule, app.Env(), t.Name, expr.InWrite)
	if err != nil {
		h.t.Fatalf("the condition of a cell is no rule: %s: %v\n%s", cell.Rule, err, h.yaml)
	}
	if cell.Where == "" {
		h.t.Fatalf("there are no words for %s", cell.Rule)
	}
	f := fetched{h}
	rec, err := f.Fetch(t.Name, id)
	if err != nil || rec == nil {
		h.t.Fatal(err, "a record is gone")
	}
	holds, err = expr.Holds(e.Root, &expr.Scope{Rows: [][]expr.Value{rec, rec}, Now: h.now.UnixMilli(), Auth: asking{h}, Fetch: f})
	if err != nil {
		h.t.Fatal(err)
	}
	return holds, true
}

// fetched finds records for the model, through data as everybody.
type fetched struct{ h *agreeHouse }

func (f fetched) Fetch(collection, id string) ([]expr.Value, error) {
	return first(f.find(collection, "id == param.a", id))
}

func (f fetched) Referring(collection string, ord int, id string) ([][]expr.Value, error) {
	c, _ := f.h.p.App().Collection(collection)
	return f.find(collection, c.Fields[ord].Name+" == param.a", id)
}

func (f fetched) find(collection, filter, a string) ([][]expr.Value, error) {
	records, _, err := f.h.p.DB().Records(context.Background(), data.System, &data.ListQuery{Collection: collection, Filter: filter,
		Params: map[string]*doc.Node{"a": doc.NewString(a)}, Limit: 500})
	var rows [][]expr.Value
	for _, r := range records {
		rows = append(rows, r)
	}
	return rows, err
}

func first(rows [][]expr.Value, err error) ([]expr.Value, error) {
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// asking is the caller as the model sees him.
type asking struct{ h *agreeHouse }

func (a asking) Field(name string) expr.Value {
	by := a.h.by
	text := func(s string) expr.Value {
		if s == "" {
			return expr.Value{}
		}
		return expr.TextOf(s)
	}
	switch name {
	case "id":
		return text(by.ID)
	case "role":
		return text(by.Role)
	case "signedIn":
		return expr.BoolOf(by.SignedIn)
	}
	if by.User == nil {
		return expr.Value{}
	}
	users, _ := a.h.p.App().Collection("users")
	f, _ := users.Field(name)
	return by.User[f.Ord]
}

func (a asking) Has(role string) bool {
	roles := a.h.p.App().Roles
	return a.h.by.Role != "" && slices.Index(roles, a.h.by.Role) >= slices.Index(roles, role)
}

// channel asks a cell of a channel, with several keys.
func (h *agreeHouse) channel(sum *tally, name, op string, cell data.Cell) {
	h.t.Helper()
	for _, key := range []string{"", "a", agreeAnn} {
		c, err := h.p.DB().Channel(h.by, name, key)
		if err != nil {
			h.t.Fatal(err)
		}
		sum.channels++
		if op == "listen" {
			err = c.MayListen(context.Background())
		} else {
			err = c.MaySend(context.Background())
		}
		if cell.Answer == data.Always && err != nil || cell.Answer == data.Never && err == nil {
			h.t.Fatalf("%s to %s/%s: the matrix says %s, the answer is %v\n%s", op, name, key, cell.Answer, err, h.yaml)
		}
	}
}
