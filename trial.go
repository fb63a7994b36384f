package plinth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/files"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Trial is what became of one test of the app file.
type Trial struct {
	Name     string        `json:"name"`
	File     string        `json:"file"`
	Line     int           `json:"line"` // of what failed; of the test where it passed
	Column   int           `json:"column"`
	Passed   bool          `json:"passed"`
	Caller   string        `json:"caller"`
	Request  string        `json:"request"`
	Expected string        `json:"expected,omitempty"` // where it failed
	Got      string        `json:"got,omitempty"`
	Why      []string      `json:"why,omitempty"` // which rule decided, part by part
	Took     time.Duration `json:"-"`
}

// TestOptions say which tests run, and on what.
type TestOptions struct {
	Run  *regexp.Regexp // those whose name fits; nil: all
	Keep bool           // the database is one for all tests: it must be without records, and is so again after each. Else each Open makes a new one
}

// Test runs the tests of the app file in a folder: each on records of its own, asked through the doors that requests go through,
// as a caller like those that sign-in makes. It fails only where tests cannot be run; whether they passed is said of each.
func Test(ctx context.Context, dir string, t TestOptions, opts ...Option) ([]Trial, error) {
	o := choose(opts)
	o.log = slog.New(slog.DiscardHandler)
	app, err := load(dir, &o)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "plinth-test-")
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "make a folder for uploads", err)
	}
	defer os.RemoveAll(folder)
	blobs, err := files.Open(folder)
	if err != nil {
		return nil, err
	}
	l := &laboratory{o: &o, app: app, blobs: blobs, dir: dir, key: []byte(testKey)}
	var eng driver.Engine
	if t.Keep {
		if eng, err = o.engine(ctx, o.place(dir)); err != nil {
			return nil, err
		}
		defer eng.Close()
	}
	out := []Trial{}
	for i, test := range app.Tested(t.Run) {
		done, err := l.run(ctx, eng, i == 0, test)
		if err != nil {
			return out, fmt.Errorf("%s:%d: %s: %w", test.Pos.File, test.Pos.Line, test.Name, err)
		}
		out = append(out, *done)
	}
	return out, nil
}

// testKey is the key of databases on which tests run: what it seals is removed after them, and the next run opens the same.
const testKey = "the key of plinth test, which keeps nothing secret"

// laboratory is where tests are run.
type laboratory struct {
	o     *options
	app   *spec.App
	blobs data.Blobs
	dir   string
	key   []byte
}

// run runs one test. eng is a database that is kept, nil: a new one.
func (l *laboratory) run(ctx context.Context, eng driver.Engine, first bool, t *spec.Test) (r *Trial, err error) {
	began, kept := time.Now(), eng != nil
	if !kept {
		if eng, err = l.o.engine(ctx, l.o.place(l.dir)); err != nil {
			return nil, err
		}
		defer eng.Close()
	}
	if !kept || first {
		m, err := data.Plan(ctx, l.app, eng, l.key)
		if fault.Is(err, fault.Invalid) && kept {
			return nil, fault.New(fault.Conflict, "this database is used with another key: tests run on one of their own, without records, so that they remove only what they have made")
		}
		if err != nil {
			return nil, err
		}
		if !m.Fresh && len(m.Steps) > 0 {
			return nil, fault.New(fault.Conflict, "this database is another app's, or another version's: tests run on one that is empty")
		}
		if err := m.Apply(ctx, eng, data.ApplyOptions{}); err != nil {
			return nil, err
		}
	}
	db, err := data.Open(ctx, l.app, eng, data.Options{Key: l.key, Clock: func() time.Time { return t.Now }, Log: l.o.log, Blobs: l.blobs, Hooks: l.o.hooks})
	if err != nil {
		return nil, err
	}
	if kept && first {
		if err := empty(ctx, db); err != nil {
			return nil, err
		}
	}
	if kept {
		defer func() { err = errors.Join(err, clean(context.WithoutCancel(ctx), db)) }()
	}
	r = &Trial{Name: t.Name, File: t.Pos.File, Line: t.Pos.Line, Column: t.Pos.Column, Caller: called(t), Request: requested(t)}
	err = l.ask(ctx, db, t, r)
	r.Took = time.Since(began)
	return r, err
}

// failed notes where a test failed.
func (r *Trial) failed(at spec.Pos, expected, got string) {
	r.File, r.Line, r.Column, r.Expected, r.Got = at.File, at.Line, at.Column, expected, got
}

// ask puts the records there, asks, and compares.
func (l *laboratory) ask(ctx context.Context, db *data.DB, t *spec.Test, r *Trial) error {
	if t.As.Role != "" {
		if err := l.me(ctx, db, t); err != nil {
			r.failed(t.As.Pos, "a user with the role "+t.As.Role+" can be made: give what "+l.app.Auth.Collection+" requires by as: {role, with}", because(err))
			return nil
		}
	}
	later := slices.Clone(t.Given)
	for len(later) > 0 { // records may refer to each other in any order
		var waiting []spec.Fixture
		var first error
		for _, f := range later {
			_, err := db.Create(ctx, data.System, f.Collection, f.Body, data.WriteOptions{Minimal: true})
			if err != nil {
				if first == nil {
					first = err
				}
				waiting = append(waiting, f)
			}
		}
		if len(waiting) == len(later) {
			r.failed(waiting[0].Pos, "the record "+waiting[0].Name+" can be created in "+waiting[0].Collection, because(first))
			return nil
		}
		later = waiting
	}
	by, err := l.by(ctx, db, t)
	if err != nil {
		return err
	}
	door := web.Guard(rest.New(db, func(*http.Request) (data.Caller, error) { return by, nil }, rest.Options{Blobs: l.blobs, Version: Version()}), l.app.Server, l.o.log)
	var body io.Reader
	if t.Body != nil {
		body = bytes.NewReader(t.Body.Append(nil))
	}
	q, err := http.NewRequestWithContext(ctx, t.Method, t.Path, body)
	if err != nil {
		return fault.Wrap(fault.Internal, "make the request of a test", err)
	}
	q.RemoteAddr, q.Host, q.RequestURI = "192.0.2.1:1", "localhost", t.Path // an address of documentation (RFC 5737)
	if body != nil {
		kind := "application/json"
		if t.Method == http.MethodPatch {
			kind = "application/merge-patch+json"
		}
		q.Header.Set("Content-Type", kind)
	}
	w := &page{header: http.Header{}, status: http.StatusOK}
	door.ServeHTTP(w, q)
	var b blame
	if expected, got := l.differs(t, w, &b); expected != "" {
		r.failed(t.Expect.Pos, expected, got)
		r.Why = l.why(ctx, db, by, t, &b)
		return nil
	}
	r.Passed = true
	return nil
}

// me makes the user whom a role alone asks for.
func (l *laboratory) me(ctx context.Context, db *data.DB, t *spec.Test) error {
	body := doc.NewObject()
	body.Set("id", doc.NewString(spec.MeID))
	body.Set("email", doc.NewString("me@example.com"))
	body.Set("verified", doc.NewBool(true))
	if t.As.With != nil {
		for i, name := range t.As.With.Keys {
			body.Set(name, &t.As.With.Items[i])
		}
	}
	body.Set("role", doc.NewString(t.As.Role))
	_, err := db.Create(ctx, data.System, l.app.Auth.Collection, body, data.WriteOptions{Minimal: true})
	return err
}

// by is the caller, as the gate makes one of a session or of a key.
func (l *laboratory) by(ctx context.Context, db *data.DB, t *spec.Test) (data.Caller, error) {
	as := t.As
	id := as.User
	if as.Role != "" {
		id = spec.MeID
	}
	switch {
	case id != "":
		records, _, err := db.Records(ctx, data.System, &data.ListQuery{Collection: l.app.Auth.Collection, Filter: "id == param.a",
			Params: map[string]*doc.Node{"a": doc.NewString(id)}, Limit: 1})
		if err != nil || len(records) == 0 {
			return data.Caller{}, errors.Join(err, fault.New(fault.Internal, "the user of a test is not there"))
		}
		users, _ := l.app.Collection(l.app.Auth.Collection)
		role, _ := users.Field("role")
		has := records[0][role.Ord].Text()
		mfa := as.MFA || slices.Contains(l.app.Auth.MFA.Required, has)
		teams, err := db.TeamsOf(ctx, id)
		return data.Caller{ID: id, SignedIn: true, MFA: mfa, Role: has, User: records[0], Teams: teams, Scope: "user:" + id}, err
	case as.Operator:
		return data.Caller{SignedIn: true, Operator: true, ReadOnly: as.ReadOnly, Scope: "key:test"}, nil
	case as.Key != "":
		return data.Caller{SignedIn: true, Role: as.Key, ReadOnly: as.ReadOnly, Scope: "key:test"}, nil
	}
	return data.Caller{Scope: "address:192.0.2.1"}, nil
}

// because is what people are told of an error, with the fields that are wrong.
func because(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err.Error()
	}
	text := f.Msg
	for _, x := range f.Fields {
		text += "; " + strings.TrimPrefix(x.Pointer, "/") + " " + x.Message
	}
	return strings.TrimPrefix(text, "; ")
}

// blame is what is to be explained of an answer that was not expected.
type blame struct {
	records []string // ids: some are there and should not be, or the other way round
	record  string   // the id of the one whose fields are not as expected
	fields  []string
	write   bool // the fields were to be written
}

// apart are those that are in one of two lists alone.
func apart(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			out = append(out, s)
		}
	}
	return out
}

// differs says what was expected and what came instead; "" where it is as expected. b learns what is to be explained.
func (l *laboratory) differs(t *spec.Test, w *page, b *blame) (expected, got string) {
	e := &t.Expect
	answer := answered(w)
	var body struct {
		Items  *[]map[string]json.RawMessage
		Errors []struct{ Pointer, Param string }
	}
	var one map[string]json.RawMessage
	_ = json.Unmarshal(w.Bytes(), &body) // of no JSON nothing is found
	_ = json.Unmarshal(w.Bytes(), &one)
	blamed := []string{}
	for _, x := range body.Errors {
		name := strings.TrimPrefix(x.Pointer, "/") + x.Param
		if !slices.Contains(blamed, name) {
			blamed = append(blamed, name)
		}
	}
	if !fits(e, w.status) {
		b.fields, b.write = blamed, t.Method != http.MethodGet
		return wanted(e), answer
	}
	records := []map[string]json.RawMessage{one}
	switch {
	case body.Items != nil:
		records = *body.Items
	case len(one) == 0 || w.status >= 300:
		records = nil
	}
	if e.Errors != nil {
		if !same(blamed, e.Errors) {
			b.fields, b.write = apart(blamed, e.Errors), true
			return "errors at " + named(e.Errors), "errors at " + named(blamed) + ": " + answer
		}
	}
	if e.Records != nil {
		var ids []string
		for _, r := range records {
			var id string
			_ = json.Unmarshal(r["id"], &id)
			ids = append(ids, id)
		}
		if !same(ids, e.Records) {
			b.records = apart(ids, e.Records)
			return "the records " + named(l.namesOf(t, e.Records)), "the records " + named(l.namesOf(t, ids))
		}
	}
	if (e.Fields != nil || e.Lacks != nil || e.Record != nil) && len(records) == 0 {
		return "at least one record comes back", answer
	}
	for _, r := range records {
		var id string
		_ = json.Unmarshal(r["id"], &id)
		which := named(l.namesOf(t, []string{id}))
		var fields []string
		for name := range r {
			if !slices.Contains([]string{"id", "created", "updated", "rev", "expand"}, name) {
				fields = append(fields, name)
			}
		}
		slices.Sort(fields)
		b.record = id
		if e.Fields != nil && !same(fields, e.Fields) {
			b.fields = apart(fields, e.Fields)
			return which + " shows the fields " + named(e.Fields), "the fields " + named(fields)
		}
		for _, name := range e.Lacks {
			if _, there := r[name]; there {
				b.fields = []string{name}
				return which + " does not show " + name, name + " is " + string(r[name])
			}
		}
	}
	if e.Record != nil {
		if len(records) != 1 {
			return "one record comes back", fmt.Sprintf("%d records", len(records))
		}
		for i, name := range e.Record.Keys {
			value, there := records[0][name]
			n, err := doc.Parse(value, doc.Limits{})
			switch {
			case !there:
				b.fields = []string{name}
				return name + " is " + string(e.Record.Items[i].AppendCanonical(nil)), name + " is not shown"
			case err != nil || !bytes.Equal(n.AppendCanonical(nil), e.Record.Items[i].AppendCanonical(nil)):
				return name + " is " + string(e.Record.Items[i].AppendCanonical(nil)), name + " is " + string(value)
			}
		}
	}
	return "", ""
}

func fits(e *spec.Expectation, status int) bool {
	switch e.Outcome {
	case "allowed":
		return status >= 200 && status < 300
	case "denied":
		return status == 401 || status == 403
	case "hidden":
		return status == 404
	}
	return status == e.Status
}

func wanted(e *spec.Expectation) string {
	words := map[string]string{"allowed": "allowed (2xx)", "denied": "denied (401 or 403)", "hidden": "hidden (404)"}
	if e.Outcome != "" {
		return words[e.Outcome]
	}
	return fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
}

// answered is an answer in a line.
func answered(w *page) string {
	text := fmt.Sprintf("%d %s", w.status, http.StatusText(w.status))
	var p struct {
		Detail string
		Errors []struct{ Pointer, Param, Message string }
	}
	if w.status < 400 || json.Unmarshal(w.Bytes(), &p) != nil {
		return text
	}
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for _, x := range p.Errors {
		text += "; " + strings.TrimPrefix(x.Pointer, "/") + x.Param + " " + x.Message
	}
	return text
}

// same compares without order.
func same(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func named(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}

// namesOf are the names of records in a test; a record without one is told by its id.
func (l *laboratory) namesOf(t *spec.Test, ids []string) []string {
	out := slices.Clone(ids)
	for i, id := range ids {
		if id == spec.MeID {
			out[i] = "me"
		}
		for _, f := range t.Given {
			if f.ID == id {
				out[i] = f.Name
			}
		}
	}
	return out
}

// called says who asks, for people.
func called(t *spec.Test) string {
	as := t.As
	readOnly := map[bool]string{true: " that is read-only"}[as.ReadOnly]
	switch {
	case as.User != "":
		for _, f := range t.Given {
			if f.ID == as.User {
				return f.Name
			}
		}
	case as.Role != "":
		return "a user with the role " + as.Role
	case as.Key != "":
		return "a key of " + as.Key + readOnly
	case as.Operator:
		return "operator" + map[bool]string{true: " with a key that is read-only"}[as.ReadOnly]
	}
	return "nobody"
}

// requested is the request with names in the place of ids.
func requested(t *spec.Test) string {
	text := t.Method + " " + t.Path
	if t.Body != nil {
		text += " " + string(t.Body.Append(nil))
	}
	for _, f := range t.Given {
		text = strings.ReplaceAll(text, f.ID, "$"+f.Name)
	}
	return strings.ReplaceAll(text, spec.MeID, "$me")
}

// why says which rules decided: of the fields and records that were not expected, else that by which the record is found, and
// that of the operation.
func (l *laboratory) why(ctx context.Context, db *data.DB, by data.Caller, t *spec.Test, b *blame) []string {
	a := t.Asks
	ops := map[string]data.Op{"read": data.Read, "create": data.Create, "update": data.Update, "delete": data.Delete}
	op, ok := ops[a.Operation]
	if !ok {
		return nil
	}
	var out []string
	judge := func(op data.Op) {
		v, err := db.Why(ctx, by, op, a.Collection, a.ID)
		if op == data.Create {
			v, err = db.WhyCreate(ctx, by, a.Collection, "", t.Body)
		}
		if err != nil {
			out = append(out, op.String()+" "+a.Collection+": "+because(err))
			return
		}
		out = append(out, v.Lines()...)
	}
	for _, id := range b.records {
		lines := []string{"it is none of " + a.Collection}
		if v, err := db.Why(ctx, by, data.Read, a.Collection, id); err == nil {
			lines = v.Lines()
		}
		lines[0] = named(l.namesOf(t, []string{id})) + ": " + lines[0]
		out = append(out, lines...)
	}
	for _, field := range b.fields {
		id := b.record
		if b.write && op != data.Create {
			id = a.ID
		}
		v, err := db.WhyField(ctx, by, a.Collection, field, b.write, id)
		if b.write && op == data.Create {
			v, err = db.WhyCreate(ctx, by, a.Collection, field, t.Body)
		}
		switch {
		case err == nil && v.Rule != "":
			out = append(out, v.Lines()...)
		case fault.Is(err, fault.Denied):
			out = append(out, because(err))
		}
	}
	if len(out) > 0 {
		return out
	}
	if op != data.Read && op != data.Create && a.ID != "" {
		if v, err := db.Why(ctx, by, data.Read, a.Collection, a.ID); err == nil && v.Rule != "" && !v.Holds {
			return append(v.Lines(), "what may not be read is not found, whatever the "+op.String()+" rule says")
		}
	}
	judge(op)
	return out
}

// empty refuses a database that has records of the app.
func empty(ctx context.Context, db *data.DB) error {
	for _, c := range db.App().Collections {
		if c.System {
			continue
		}
		found, _, err := db.Records(ctx, data.System, &data.ListQuery{Collection: c.Name, Fields: "id", Limit: 1})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fault.New(fault.Conflict, "%s has records: tests run on a database without any, so that they remove only what they have made", c.Name)
		}
	}
	return nil
}

// clean removes the records of a test. Those that others refer to go in a later round.
func clean(ctx context.Context, db *data.DB) error {
	for {
		removed, left := 0, 0
		for _, c := range db.App().Collections {
			if c.System {
				continue
			}
			found, _, err := db.Records(ctx, data.System, &data.ListQuery{Collection: c.Name, Fields: "id", Limit: 500})
			if err != nil {
				return err
			}
			for _, r := range found {
				if _, err := db.Delete(ctx, data.System, c.Name, r[spec.OrdID].Text(), data.WriteOptions{Minimal: true}); err != nil {
					left++
					continue
				}
				removed++
			}
		}
		if left == 0 && removed == 0 {
			return nil
		}
		if removed == 0 {
			return fault.New(fault.Conflict, "records of a test cannot be removed")
		}
	}
}
