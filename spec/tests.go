package spec

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bluell/plinth/doc"
)

// Test is one entry of tests (docs/tests.md): who asks what of which records, and what he is to be answered.
type Test struct {
	Name   string
	Given  []Fixture // in the order of the file
	As     TestCaller
	Now    time.Time // when it is asked
	Method string
	Path   string     // with its query, as it is sent
	Body   *doc.Node  // nil: none
	Asks   TestTarget // what the request is about, as far as one operation decides it
	Expect Expectation
	Pos    Pos // of its name
	At     Pos // of what is asked
}

// Fixture is a record that is there before a test asks. Its name stands for its id.
type Fixture struct {
	Collection, Name, ID string
	Body                 *doc.Node
	Pos                  Pos
}

// TestCaller is who asks in a test. At most one of User, Role, Key and Operator is set: none is nobody.
type TestCaller struct {
	User     string    // the id of a fixture among the users
	Role     string    // a user with this role is made for the test; his id is MeID
	With     *doc.Node // Role: more fields of his record
	Key      string    // an API key of this role
	Operator bool
	ReadOnly bool // Key and Operator
	MFA      bool // User and Role: signed in with a second factor
	Pos      Pos
}

// TestTarget is what a test asks for: the rule of this operation decides. Operation is "" where none does alone, as of a batch.
type TestTarget struct{ Operation, Collection, ID string }

// Expectation is what a test expects of an answer.
type Expectation struct {
	Status  int      // 0: by Outcome
	Outcome string   // allowed: 2xx; denied: 401 or 403; hidden: 404, as if the record was not there
	Records []string // the ids of exactly the records in the answer, in any order; nil: not compared
	Fields  []string // exactly the fields of each record beside id, created, updated and rev, in any order; nil: not compared
	Lacks   []string // fields that no record shows
	Record  *doc.Node
	Errors  []string // the fields that a 422 or 409 blames, each
	Pos     Pos
}

const (
	maxTests    = 2000
	maxFixtures = 500
)

// TestNow is the moment in which tests ask that name none: each run has the same.
var TestNow = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// MeID is the id of a user who is made for a test, written $me.
var MeID = testID(0)

// testID is the id of the n-th record of a test: a UUIDv7 (RFC 9562), in the order of the file.
func testID(n int) string { return fmt.Sprintf("0193f000-0000-7000-8000-%012x", n) }

var (
	testName = pattern(`\$[a-z][a-z0-9_]*`)
	wholeRef = pattern(`^\$[a-z][a-z0-9_]*$`)
)

var (
	testMethods = []string{"GET", "POST", "PATCH", "PUT", "DELETE"}
	testWords   = []string{"list", "read", "create", "update", "put", "delete"}
	outcomes    = []string{"allowed", "denied", "hidden"}
)

// tests reads a tests section, when all collections are there. Files may have one each.
func (l *loader) tests(n *node) {
	if n == nil || n.kind != list {
		return
	}
	for _, item := range n.items {
		if len(l.app.Tests) >= maxTests {
			l.report(item, "limit", "an app has at most %d tests", maxTests)
			return
		}
		s := l.section(item, testShape)
		name := s.values["name"]
		if name == nil {
			continue
		}
		v := &Test{Name: strings.TrimSpace(name.text), Now: TestNow, Pos: name.pos(), At: name.pos()}
		if v.Name == "" {
			l.report(name, "value", "name is empty: say what holds, like: nobody reads a draft")
		}
		for _, other := range l.app.Tests {
			if other.Name == v.Name {
				l.report(name, "duplicate", "a test of this name is there already, in %s on line %d", other.Pos.File, other.Pos.Line)
			}
		}
		t := &tester{loader: l, t: v, ids: map[string]string{}}
		t.read(s)
		l.app.Tests = append(l.app.Tests, v) // one that is wrong is told, and the app not loaded
	}
}

// tester is the reading of one test.
type tester struct {
	*loader
	t     *Test
	ids   map[string]string // of records by their names
	users []string          // the names of fixtures among the users
	about *Collection       // what is asked for; nil: something else
}

func (l *tester) read(s section) {
	names := l.declared(s.values["given"]) // of all fixtures first: they may refer to each other
	l.caller(s.values["as"])
	for _, f := range names {
		l.fixture(f)
	}
	if n := s.values["now"]; n != nil {
		at, err := time.Parse(time.RFC3339, n.text)
		if err != nil {
			l.report(n, "value", "now is a time like 2026-01-31T12:00:00Z, not %s", n.show())
		}
		l.t.Now = at.UTC()
	}
	l.request(s)
	l.expect(s.values["expect"])
}

// given is a fixture with its place.
type given struct {
	of         *Collection
	name, body *node
}

// declared finds the fixtures and gives them ids.
func (l *tester) declared(n *node) []given {
	if n == nil || n.null() {
		return nil
	}
	if n.kind != object {
		l.report(n, "type", "given is a map of collections to records by name, not %s", n.show())
		return nil
	}
	var out []given
	for i, k := range n.keys {
		c := l.target(k)
		if c == nil {
			continue
		}
		if n.items[i].kind != object {
			l.report(n.items[i], "type", "the records of %s are a map of names to fields, not %s", c.Name, n.items[i].show())
			continue
		}
		for j, name := range n.items[i].keys {
			reserved := append([]string{"me", "nobody", "operator"}, l.app.Roles...)
			switch {
			case !l.name(name, "a record", reserved...):
				continue
			case l.ids[name.text] != "":
				l.report(name, "duplicate", "a record is called %s already: names count in the whole test", name.show())
				continue
			case len(out) >= maxFixtures:
				l.report(name, "limit", "a test has at most %d records", maxFixtures)
				return out
			}
			l.ids[name.text] = testID(len(out) + 1)
			out = append(out, given{c, name, n.items[i].items[j]})
			if c.Users {
				l.users = append(l.users, name.text)
			}
		}
	}
	return out
}

// fixture reads the fields of a record.
func (l *tester) fixture(g given) {
	body := l.newRecord(g.of, l.filled(g.body), g.name, "given")
	if body == nil {
		return
	}
	id := l.ids[g.name.text]
	body.Set("id", doc.NewString(id))
	l.t.Given = append(l.t.Given, Fixture{g.of.Name, g.name.text, id, body, g.name.pos()})
}

// id is what $name stands for.
func (l *tester) id(name string) (string, bool) {
	if name == "$me" {
		return MeID, l.t.As.Role != ""
	}
	id, ok := l.ids[name[1:]]
	return id, ok
}

// piece is a part of a text, which is shown no more than the whole where that came from the environment.
func piece(n *node, text string) *node {
	return &node{text: text, style: n.style, env: n.env, src: n.src, line: n.line, column: n.column, offset: n.offset}
}

// noName reports a name that stands for nothing.
func (l *tester) noName(n *node, name string) {
	if name == "$me" {
		l.report(n, "unknown", "$me is the user whom as: {role: …} makes; this caller has a name of his own, or no id")
		return
	}
	var known []string
	for k := range l.ids {
		known = append(known, "$"+k)
	}
	slices.Sort(known)
	near := ""
	if n.env == "" {
		near = Nearest(name, known)
	}
	l.reportAt(n.pos(), "unknown", near, "no record under given is called "+piece(n, name[1:]).show())
}

// filled is a value with ids in the place of names: a text that is one. $$ at its beginning is a $ that stays.
func (l *tester) filled(n *node) *node {
	m := *n
	switch {
	case n.kind != scalar:
		m.items = make([]*node, len(n.items))
		for i, item := range n.items {
			m.items[i] = l.filled(item)
		}
	case n.env != "" || n.bad:
	case strings.HasPrefix(n.text, "$$"):
		m.text, m.style = n.text[1:], doubleQuoted
	case wholeRef().MatchString(n.text):
		id, ok := l.id(n.text)
		if !ok {
			l.noName(n, n.text)
			id = testID(0) // what is wrong is said
		}
		m.text, m.style = id, doubleQuoted
	}
	return &m
}

// inside puts ids in the place of names inside a text.
func (l *tester) inside(n *node, text string) string {
	return testName().ReplaceAllStringFunc(text, func(name string) string {
		id, ok := l.id(name)
		if !ok {
			l.noName(n, name)
		}
		return id
	})
}

// caller reads who asks.
func (l *tester) caller(n *node) {
	as := &l.t.As
	as.Pos = l.t.Pos
	if n == nil {
		return
	}
	as.Pos = n.pos()
	role := func(n *node) string {
		if !slices.Contains(l.app.Roles, n.text) {
			l.suggest(n, l.app.Roles, "unknown", "there is no role %s", n.show())
		}
		return n.text
	}
	if n.kind == scalar {
		switch {
		case n.text == "nobody":
		case n.text == "operator":
			as.Operator = true
		case slices.Contains(l.users, n.text):
			as.User = l.ids[n.text]
		case slices.Contains(l.app.Roles, n.text):
			as.Role = n.text
		default:
			l.suggest(n, slices.Concat([]string{"nobody", "operator"}, l.app.Roles, l.users), "unknown",
				"as is nobody, a role, operator, or the name of a user under given, not %s", n.show())
		}
		return
	}
	s := l.section(n, callerShape)
	var said []string
	if u := s.values["user"]; u != nil {
		said = append(said, "user")
		if name := strings.TrimPrefix(u.text, "$"); slices.Contains(l.users, name) {
			as.User = l.ids[name]
		} else {
			l.suggest(u, l.users, "unknown", "no user under given is called %s", u.show())
		}
	}
	if r := s.values["role"]; r != nil {
		said = append(said, "role")
		as.Role = role(r)
	}
	if k := s.values["key"]; k != nil {
		said = append(said, "key")
		if k.text == "operator" {
			as.Operator = true
		} else {
			as.Key = role(k)
		}
	}
	if len(said) != 1 {
		l.report(n, "conflict", "a caller has one of user, role and key")
		return
	}
	as.ReadOnly = s.bool("readOnly")
	if r := s.values["readOnly"]; r != nil && said[0] != "key" {
		l.report(r, "option", "readOnly is for key: people sign in to read and write")
	}
	as.MFA = s.bool("mfa")
	if m := s.values["mfa"]; m != nil && said[0] == "key" {
		l.report(m, "option", "mfa is for user and role: a key has no second factor")
	}
	if w := s.values["with"]; w != nil {
		users, ok := l.app.Collection(l.app.Auth.Collection)
		switch {
		case said[0] != "role" || !ok:
			l.report(w, "option", "with is for role: it is the record of the user who is made")
		case w.kind != object:
			l.report(w, "type", "with is a map of fields of %s, not %s", users.Name, w.show())
		default:
			as.With = l.wire(users, l.filled(w))
		}
	}
}

// wire is a body as a client would send it: scalars are read by the type of the field, and what does not suit it stays as
// it is written, for a test may try that.
func (l *tester) wire(c *Collection, n *node) *doc.Node {
	if n.kind != object || c == nil {
		d, _ := l.json(n)
		return d
	}
	out := doc.NewObject()
	for i, k := range n.keys {
		f, item := c.byName[k.text], n.items[i]
		if f == nil || item.kind != scalar || item.null() || f.Type == JSON || f.Type == List || f.Type == File {
			if d, ok := l.json(item); ok {
				out.Set(k.text, d)
			}
			continue
		}
		_, number := doc.Parse([]byte(item.text), doc.Limits{})
		_, truth := boolOf(item.text)
		switch {
		case (f.Type == Int || f.Type == Float) && number == nil && item.tag != "str" && item.style == plain:
			out.Set(k.text, doc.NewNumber(item.text))
		case f.Type == Bool && truth && item.style == plain:
			b, _ := boolOf(item.text)
			out.Set(k.text, doc.NewBool(b))
		default:
			out.Set(k.text, doc.NewString(item.text))
		}
	}
	return out
}

// request reads what is asked.
func (l *tester) request(s section) {
	n := s.values["do"]
	if n == nil {
		return
	}
	l.t.At = n.pos()
	text := strings.TrimSpace(n.text)
	first, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	path := ""
	switch {
	case slices.Contains(testMethods, first):
		l.t.Method = first
		path = rest
		if !strings.HasPrefix(path, "/api/") {
			l.report(n, "value", "behind %s stands the address of a route under /api/, not %s", first, piece(n, path).show())
			return
		}
	case slices.Contains(testWords, first):
		name, id, _ := strings.Cut(rest, " ")
		c := l.target(piece(n, name))
		id = strings.TrimSpace(id)
		if c == nil {
			return
		}
		alone := first == "list" || first == "create"
		switch {
		case alone && id != "":
			l.report(n, "value", "%s takes a collection: %s %s", first, first, c.Name)
			return
		case !alone && id == "":
			l.report(n, "value", "%s takes a collection and a record: %s %s $name", first, first, c.Name)
			return
		}
		l.t.Method = map[string]string{"list": "GET", "read": "GET", "create": "POST", "update": "PATCH", "put": "PUT", "delete": "DELETE"}[first]
		path = "/api/" + c.Name
		if id != "" {
			path += "/" + id
		}
	default:
		l.suggest(piece(n, first), slices.Concat(testWords, testMethods), "value",
			"do begins with one of %s, or %s and an address, not %s", strings.Join(testWords, " "), strings.Join(testMethods, " "), piece(n, first).show())
		return
	}
	path = strings.NewReplacer(" ", "%20", `"`, "%22").Replace(l.inside(n, path))
	q := url.Values{}
	if v := s.values["query"]; v != nil {
		l.query(v, q)
	}
	if len(q) > 0 {
		path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + q.Encode()
	}
	if _, err := url.ParseRequestURI(path); err != nil {
		l.report(n, "value", "%s is no address", piece(n, path).show())
		return
	}
	l.t.Path = path
	l.route(n)
	if b := s.values["body"]; b != nil {
		if l.t.Method == "GET" || l.t.Method == "DELETE" {
			l.report(b, "option", "a %s has no body", l.t.Method)
		}
		l.t.Body = l.wire(l.about, l.filled(b))
	} else if l.t.Method != "GET" && l.t.Method != "DELETE" {
		l.t.Body = doc.NewObject()
	}
}

func (l *tester) query(n *node, q url.Values) {
	if n.kind != object {
		l.report(n, "type", "query is a map of parameters: {filter: …, sort: …}, not %s", n.show())
		return
	}
	for i, k := range n.keys {
		v := n.items[i]
		if v.kind != scalar {
			l.report(v, "type", "%s is a text, not %s", k.text, v.kind)
			continue
		}
		q.Set(k.text, l.inside(v, v.text))
	}
}

// route finds what an address is about.
func (l *tester) route(n *node) {
	path, _, _ := strings.Cut(l.t.Path, "?")
	steps := strings.Split(strings.TrimPrefix(path, "/api/"), "/")
	switch steps[0] {
	case "auth", "live", "changes":
		l.report(n, "value", "tests ask for records: what is under /api/%s needs a running server", steps[0])
		return
	case "batch", "openapi.json":
		return
	case "files":
		if len(steps) < 3 {
			return
		}
		steps = steps[1:3]
	}
	c := l.target(piece(n, steps[0]))
	if c == nil {
		return
	}
	l.about = c
	t := TestTarget{Collection: c.Name}
	if len(steps) > 1 && idPattern().MatchString(steps[1]) {
		t.ID = steps[1]
	}
	switch {
	case l.t.Method == "GET":
		t.Operation = "read"
	case l.t.Method == "DELETE":
		t.Operation = "delete"
	case l.t.Method == "POST" && len(steps) == 1:
		t.Operation = "create"
	case l.t.Method == "POST" && steps[len(steps)-1] == "query":
		t.Operation = "read"
	case l.t.Method == "PUT" && !l.has(t.ID):
		t.Operation = "create"
	default:
		t.Operation = "update"
	}
	l.t.Asks = t
}

// has says whether a record of the test has an id.
func (l *tester) has(id string) bool {
	for _, have := range l.ids {
		if have == id {
			return true
		}
	}
	return id == MeID
}

// expect reads what is to be answered.
func (l *tester) expect(n *node) {
	if n == nil {
		return
	}
	e := &l.t.Expect
	e.Pos, e.Outcome = n.pos(), "allowed"
	if n.kind == scalar {
		l.status(n)
		return
	}
	s := l.section(n, expectShape)
	if v := s.values["status"]; v != nil {
		l.status(v)
	} else if s.values["errors"] != nil {
		e.Status, e.Outcome = 422, ""
	}
	if v := s.values["records"]; v != nil {
		e.Records = []string{}
		for _, r := range v.list() {
			if id, ok := l.id("$" + strings.TrimPrefix(r.text, "$")); ok {
				e.Records = append(e.Records, id)
			} else {
				l.noName(r, "$"+strings.TrimPrefix(r.text, "$"))
			}
		}
	}
	e.Fields, e.Lacks, e.Errors = l.listed(s.values["fields"]), l.listed(s.values["lacks"]), l.listed(s.values["errors"])
	if v := s.values["record"]; v != nil {
		if v.kind != object {
			l.report(v, "type", "record is a map of fields and values, not %s", v.show())
			return
		}
		for _, k := range v.keys {
			l.shown(k)
		}
		e.Record = l.wire(l.about, l.filled(v))
	}
	if len(s.values) == 0 && len(n.keys) == 0 {
		l.report(n, "value", "expect is empty: write allowed, denied, hidden or a status")
	}
}

func (l *tester) status(n *node) {
	e := &l.t.Expect
	if slices.Contains(outcomes, n.text) {
		e.Outcome = n.text
		return
	}
	status, err := strconv.Atoi(n.text)
	if err != nil || status < 200 || status > 599 {
		l.suggest(n, outcomes, "value", "what is expected is allowed, denied, hidden or a status like 422, not %s", n.show())
	}
	e.Status, e.Outcome = status, ""
}

// listed reads names of fields of what is asked for; nil where there is no list.
func (l *tester) listed(n *node) []string {
	if n == nil {
		return nil
	}
	out := []string{}
	for _, k := range n.list() {
		l.shown(k)
		out = append(out, k.text)
	}
	return out
}

// shown checks the name of a field, or of an inverse that is expanded.
func (l *tester) shown(k *node) {
	if l.about != nil && !slices.Contains(l.about.names(), k.text) && k.text != "expand" && !l.broken[member{l.about.Name, k.text}] {
		l.suggest(k, l.about.names(), "unknown", "%s has no field %s", l.about.Name, k.show())
	}
}

// Tested are the tests whose name fits; nil fits all.
func (a *App) Tested(fits *regexp.Regexp) []*Test {
	var out []*Test
	for _, t := range a.Tests {
		if fits == nil || fits.MatchString(t.Name) {
			out = append(out, t)
		}
	}
	return out
}
