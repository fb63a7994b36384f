package data_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// TestRandomRules makes small apps with random fields, references, rules and records, asks them random
// questions as several callers, and compares the answers of both engines with each other, byte for byte,
// and with a model that looks at every record by itself.
//
// PLINTH_TEST_LONG=1 tries many more.
func TestRandomRules(t *testing.T) {
	t.Parallel()
	rounds, limit := 1, 30
	if os.Getenv("PLINTH_TEST_LONG") != "" {
		rounds, limit = 40, 100
	} else if testing.Short() {
		t.Log("LEFT OUT with -short: 25 of 30 apps")
		limit = 5
	}
	for round := range rounds {
		passed, failing := 0, false
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				if passed == limit && !failing {
					return
				}
				defer func() {
					if p := recover(); p != nil { // so does rapid end a test
						failing = true
						panic(p)
					}
				}()
				dir, err := os.MkdirTemp("", "rules")
				if err != nil {
					rt.Fatal(err)
				}
				defer os.RemoveAll(dir)
				w := newWorld(rt, dir)
				defer w.close()
				w.fill()
				w.interrogate()
				passed++
			})
		})
	}
}

// unjoined is an engine that puts no record beside another: what the other joins to its rows, it is asked for by itself.
type unjoined struct{ driver.Engine }

func (e unjoined) Caps() driver.Caps {
	caps := e.Engine.Caps()
	caps.Joins = false
	return caps
}

// sample is a value as JSON and as rules see it.
type sample struct {
	json string
	v    expr.Value
}

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func texts(all ...string) (s []sample) {
	for _, x := range all {
		s = append(s, sample{string(doc.AppendString(nil, x)), expr.TextOf(x)})
	}
	return s
}

func listOf(items ...string) sample {
	s := sample{json: "["}
	var v []expr.Value
	for i, x := range texts(items...) {
		if i > 0 {
			s.json += ","
		}
		s.json += x.json
		v = append(v, x.v)
	}
	return sample{s.json + "]", expr.ListOf(v...)}
}

// samples are the values of each type; null is added to all of them.
var samples = map[string][]sample{
	"text":    texts("a", "b", "ab", "B", "é", "", ann.ID, bob.ID),
	"ci":      texts("a", "A", "ß", "SS", "b", "Éa"),
	"enum":    texts("low", "mid", "top"),
	"int":     {{"-1", expr.IntOf(-1)}, {"0", expr.IntOf(0)}, {"1", expr.IntOf(1)}, {"7", expr.IntOf(7)}},
	"bigint":  {{`"-1"`, expr.BigintOf(-1)}, {`"0"`, expr.BigintOf(0)}, {`"9007199254740993"`, expr.BigintOf(9007199254740993)}},
	"float":   {{"-1.5", expr.FloatOf(-1.5)}, {"0", expr.FloatOf(0)}, {"0.1", expr.FloatOf(0.1)}, {"2", expr.FloatOf(2)}},
	"decimal": {{`"-1.00"`, expr.DecimalOf(-100, 2)}, {`"0.00"`, expr.DecimalOf(0, 2)}, {`"1.50"`, expr.DecimalOf(150, 2)}, {`"2.00"`, expr.DecimalOf(200, 2)}},
	"bool":    {{"true", expr.BoolOf(true)}, {"false", expr.BoolOf(false)}},
	"time": {{`"2026-03-01T12:00:00.000Z"`, expr.TimeOf(moment.UnixMilli())}, {`"2020-01-01T00:00:00.000Z"`, expr.TimeOf(1577836800000)},
		{`"2030-01-01T00:00:00.000Z"`, expr.TimeOf(1893456000000)}},
	"date":  {{`"2026-01-01"`, expr.DateOf("2026-01-01")}, {`"1999-12-31"`, expr.DateOf("1999-12-31")}},
	"texts": {listOf(), listOf("a"), listOf("a", "b"), listOf(ann.ID, "b")},
	"json":  {{`{"k":1}`, expr.JSONOf(`{"k":1}`)}, {`[]`, expr.JSONOf(`[]`)}},
	"enc":   texts("a", "b"),
	"sea":   texts("a", "b"),
}

var kinds = []string{"text", "text", "text", "ci", "enum", "int", "bigint", "float", "decimal", "bool", "time", "date", "texts", "json", "enc", "sea", "ref", "ref", "refs"}

var options = map[string]string{
	"text": "type: text", "ci": "type: text, ci: true", "enum": "type: enum, values: [low, mid, top]", "int": "type: int", "bigint": "type: bigint",
	"float": "type: float", "decimal": "type: decimal, precision: 8, scale: 2", "bool": "type: bool", "time": "type: time", "date": "type: date",
	"texts": "type: list, of: text", "json": "type: json", "enc": "type: text, encrypted: true", "sea": "type: text, encrypted: true, searchable: true",
	"ref": "type: ref", "refs": "type: list, of: ref",
}

// atoms are conditions on a value P of a type, in rules and in filters.
var atoms = map[string][]string{
	"text": {`P == "a"`, `P != "a"`, `P < "b"`, `P >= "a"`, `!(P < "b")`, `P.startsWith("a")`, `!P.endsWith("b")`, `P.contains("b")`, `P in ["a", "ab"]`, `!(P in ["a", "B"])`,
		`P == null`, `P != null`, `has(P)`, `size(P) > 1`, `P == auth.id`, `P != auth.id`, `!(P == auth.id)`, `P in [auth.id, "b"]`, `!(P in [auth.id])`, `(P == null ? "a" : P) == "a"`},
	"ci":      {`P == "A"`, `P != "ss"`, `P < "B"`, `P in ["SS", "b"]`, `P.startsWith("é")`, `P == null`, `P.contains("S")`},
	"enum":    {`P == "low"`, `P != "top"`, `P in ["low", "mid"]`, `P < "mid"`, `P == null`},
	"int":     {`P == 1`, `P != 0`, `P < 1`, `!(P >= 1)`, `P in [1, 7]`, `P == null`, `P > -1`},
	"bigint":  {`P == 0`, `P > "0"`, `P != 9007199254740993`, `P <= -1`, `P == null`, `P in ["0"]`},
	"float":   {`P < 1`, `P == 0.1`, `P >= -1.5`, `P != 2`, `P == null`, `P in [0.1, 2]`},
	"decimal": {`P > 1`, `P == "1.50"`, `P != 2`, `P <= 1.5`, `P == null`, `P in [1.5, 2]`},
	"bool":    {`P`, `!P`, `P == true`, `P != false`, `P == null`, `(P ? true : false)`},
	"time":    {`P < now`, `P >= timestamp("2026-01-01T00:00:00Z")`, `P > now - duration("24h")`, `P == null`, `P != "2020-01-01T00:00:00Z"`, `P == now`},
	"date":    {`P > "2000-01-01"`, `P == "1999-12-31"`, `P == null`, `P != "2026-01-01"`},
	"texts":   {`"a" in P`, `!("b" in P)`, `auth.id in P`, `!(auth.id in P)`, `size(P) > 0`, `P.exists(w, w == "a")`, `P.all(w, w != "a")`, `P.exists(w, w == auth.id)`, `P == null`},
	"json":    {`P == null`, `P != null`},
	"enc":     {`P == null`, `P != null`},
	"sea":     {`P == null`, `P != null`},
	"ref":     {`P == null`, `P != null`},
	"refs":    {`size(P) > 1`, `size(P) == 0`, `P == null`},
}

// ruleAtoms are conditions that only rules may ask, filterAtoms such that only filters may.
var (
	ruleAtoms = map[string][]string{
		"text": {`P == auth.team`, `P != auth.team`, `P in [auth.team]`, `P < auth.team`, `(auth.signedIn ? auth.id : auth.team) == P`, `[auth.id, "zz"].exists(m, m == P)`, `P == (auth.has("staff") ? "a" : auth.team)`},
		"int":  {`P <= auth.level`, `P == auth.level`, `!(P > auth.level)`},
		"bool": {`P == auth.signedIn`, `P != auth.mfa`},
	}
	filterAtoms = map[string][]string{
		"text": {`P == param.t`, `P != param.t`, `P in [param.t, "a"]`, `P.startsWith(param.t)`},
		"int":  {`P == param.n`, `P < param.n`},
		"sea":  {`P == "a"`, `P != "b"`, `P in ["a"]`},
	}
	callerAtoms = []string{`true`, `false`, `auth.signedIn`, `auth.mfa`, `auth.has("staff")`, `auth.role == "member"`, `auth.role != "staff"`, `auth.id != null`, `auth.id == null`, `auth.team == "a"`, `auth.level > 1`, `auth.team == null`}
)

type randomField struct {
	name, kind string
	to         *randomCollection
	inverse    string
	hidden     bool
	read       string
}

type randomInverse struct {
	name string
	of   *randomCollection
	by   *randomField
}

type randomCollection struct {
	name     string
	fields   []*randomField
	inverses []randomInverse
	read     string
}

// row is a record of the model.
type row struct {
	id   string
	vals []expr.Value
	json map[string]string
}

// world is one random app on both engines, and all that is known of it.
type world struct {
	t           *rapid.T
	cols        []*randomCollection
	yaml        string
	app         *spec.App
	now         time.Time
	sqlite, mem *data.DB
	rows        map[string][]*row
	byID        map[string]*row
	seen        map[string]bool
	callers     []data.Caller
	vars        int // that conditions have bound
	names       int // that the question being made expands
}

// upTo is a number from 0 to n-1, all alike: rapid's own ranges prefer small ones.
func upTo(t *rapid.T, n int) int {
	v := 0
	for range 10 {
		v *= 2
		if rapid.Bool().Draw(t, "bit") {
			v++
		}
	}
	return v % n
}

// one picks one of several.
func one[T any](t *rapid.T, from []T) T { return from[upTo(t, len(from))] }

// often is true in so many of a hundred.
func often(t *rapid.T, percent int) bool { return upTo(t, 100) >= 100-percent }

func newWorld(t *rapid.T, dir string) *world {
	w := &world{t: t, now: moment.Add(-time.Hour), rows: map[string][]*row{}, byID: map[string]*row{}, seen: map[string]bool{}}
	for i := range 2 + upTo(t, 3) {
		w.cols = append(w.cols, &randomCollection{name: fmt.Sprintf("c%d", i)})
	}
	for _, c := range w.cols {
		for i := range 2 + upTo(t, 5) {
			f := &randomField{kind: one(t, kinds), hidden: often(t, 5)}
			f.name = fmt.Sprintf("%s%d", f.kind, i)
			if f.kind == "ref" || f.kind == "refs" {
				f.to = one(t, w.cols)
				if often(t, 80) {
					f.inverse = c.name + f.name + "s"
					f.to.inverses = append(f.to.inverses, randomInverse{f.inverse, c, f})
				}
			}
			c.fields = append(c.fields, f)
		}
	}
	for _, c := range w.cols {
		if often(t, 95) {
			c.read = w.condition([]*randomCollection{c}, []string{""}, 1+upTo(t, 2), nil)
		}
		for _, f := range c.fields {
			if often(t, 20) {
				f.read = w.condition([]*randomCollection{c}, []string{""}, upTo(t, 3), nil)
			}
		}
	}
	w.yaml = w.file()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(w.yaml)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatalf("%v\n%s", err, w.yaml)
	}
	if err := app.Extend("data", []byte(data.Collections)); err != nil {
		t.Fatal(err)
	}
	w.app = app
	eng, err := sqlite.Open(filepath.Join(dir, "plinth.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.sqlite, w.mem = w.open(eng), w.open(unjoined{memory.Open()})
	users, _ := app.Collection("users")
	record := func(set map[string]expr.Value) data.Record {
		r := make(data.Record, len(users.Fields))
		for name, v := range set {
			f, _ := users.Field(name)
			r[f.Ord] = v
		}
		return r
	}
	ann, bob := ann, bob
	ann.User = record(map[string]expr.Value{"id": expr.TextOf(ann.ID), "team": expr.TextOf("a"), "level": expr.IntOf(1)})
	bob.User = record(map[string]expr.Value{"id": expr.TextOf(bob.ID)})
	w.callers = []data.Caller{nobody, ann, bob, staff, {SignedIn: true, Role: "member", Scope: "key:member"}, {SignedIn: true, MFA: true, Role: "member", Scope: "key:mfa"}, root}
	return w
}

func (w *world) open(eng driver.Engine) *data.DB {
	ctx := context.Background()
	plan, err := data.Plan(ctx, w.app, eng, secret)
	if err == nil {
		err = plan.Apply(ctx, eng, data.ApplyOptions{})
	}
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w.yaml)
	}
	db, err := data.Open(ctx, w.app, eng, data.Options{Key: secret, Clock: func() time.Time { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
	return db
}

func (w *world) close() {
	for _, db := range []*data.DB{w.sqlite, w.mem} {
		if err := db.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// file prints the app file.
func (w *world) file() string {
	var b strings.Builder
	b.WriteString("name: random\nauth: {roles: [member, staff, admin]}\ncollections:\n  users:\n    fields:\n" +
		"      team: {type: text, write: 'false'}\n      level: {type: int, write: 'false'}\n    access: {read: false}\n")
	for _, c := range w.cols {
		fmt.Fprintf(&b, "  %s:\n    fields:\n", c.name)
		for _, f := range c.fields {
			fmt.Fprintf(&b, "      %s: {%s", f.name, options[f.kind])
			if f.to != nil {
				fmt.Fprintf(&b, ", to: %s", f.to.name)
			}
			if f.inverse != "" {
				fmt.Fprintf(&b, ", inverse: %s", f.inverse)
			}
			if f.hidden {
				b.WriteString(`, hidden: true, write: 'auth.has("admin")'`)
			}
			if f.read != "" {
				fmt.Fprintf(&b, ", read: '%s'", f.read)
			}
			b.WriteString("}\n")
		}
		b.WriteString("    access:\n      create: true\n")
		if c.read != "" {
			fmt.Fprintf(&b, "      read: '%s'\n", c.read)
		}
	}
	return b.String()
}

// mention is a name that a question uses: a field, or an inverse by the field of other records that it
// stands for.
type mention struct {
	in *randomCollection // whose name it is
	of *randomCollection // whose field
	f  *randomField
}

// condition makes a condition on the record at the last of paths; those before are around it. With named
// it is a filter, and named collects what it mentions; else it is a rule.
func (w *world) condition(cols []*randomCollection, paths []string, depth int, named *[]mention) string {
	t := w.t
	if depth > 0 {
		sub := func() string { return w.condition(cols, paths, depth-1, named) }
		switch upTo(t, 10) {
		case 0, 1:
			return "(" + sub() + " && " + sub() + ")"
		case 2, 3:
			return "(" + sub() + " || " + sub() + ")"
		case 4:
			return "!(" + sub() + ")"
		case 5:
			return "(" + sub() + " ? " + sub() + " : " + sub() + ")"
		}
	}
	c, path := cols[len(cols)-1], paths[len(paths)-1]
	if named == nil && often(t, 20) {
		return one(t, callerAtoms)
	}
	members := len(c.fields)
	if named == nil || nesting(paths) < 2 {
		members += len(c.inverses)
	}
	at := upTo(t, members)
	if at < len(c.fields) {
		return w.atom(cols, paths, c.fields[at], depth, named)
	}
	i := c.inverses[at-len(c.fields)]
	if named != nil {
		*named = append(*named, mention{c, i.of, i.by})
	}
	return w.quantified(cols, paths, i.of, path+i.name, depth, named)
}

// nesting is how many lists of records are gone through, one in another. A filter may go through two.
func nesting(paths []string) int {
	n, last := 0, ""
	for _, p := range paths {
		if v, _, _ := strings.Cut(p, "."); strings.HasPrefix(v, "v") && v != last {
			n, last = n+1, v
		}
	}
	return n
}

func (w *world) atom(cols []*randomCollection, paths []string, f *randomField, depth int, named *[]mention) string {
	c, path := cols[len(cols)-1], paths[len(paths)-1]
	use := func(c *randomCollection, f *randomField) {
		if named != nil {
			*named = append(*named, mention{c, c, f})
		}
	}
	use(c, f)
	if f.kind == "ref" && often(w.t, 70) && depth > 0 {
		return w.condition(append(slices.Clip(cols), f.to), append(slices.Clip(paths), path+f.name+"."), depth-1, named)
	}
	if f.kind == "refs" && often(w.t, 70) && depth > 0 && (named == nil || nesting(paths) < 2) {
		return w.quantified(cols, paths, f.to, path+f.name, depth, named)
	}
	if f.to == nil && often(w.t, 15) { // two fields of one type, perhaps of the record around
		n := upTo(w.t, len(cols))
		for _, g := range cols[n].fields {
			if g != f && g.kind == f.kind && f.kind != "json" && f.kind != "enc" && f.kind != "sea" && f.kind != "texts" {
				use(cols[n], g)
				op := []string{" == ", " != ", " < "}
				if f.kind == "bool" {
					op = op[:2]
				}
				return path + f.name + one(w.t, op) + paths[n] + g.name
			}
		}
	}
	from := slices.Clone(atoms[f.kind])
	if named == nil {
		from = append(from, ruleAtoms[f.kind]...)
	} else {
		from = append(from, filterAtoms[f.kind]...)
		if nesting(paths) > 1 {
			from = slices.DeleteFunc(from, func(a string) bool { return strings.Contains(a, "P.exists") || strings.Contains(a, "P.all") })
		}
	}
	return "(" + strings.ReplaceAll(one(w.t, from), "P", path+f.name) + ")"
}

func (w *world) quantified(cols []*randomCollection, paths []string, of *randomCollection, path string, depth int, named *[]mention) string {
	w.vars++
	v := fmt.Sprintf("v%d", w.vars)
	macro := upTo(w.t, 4)
	if depth == 0 || macro == 0 {
		return "size(" + path + ")" + one(w.t, []string{" > 0", " == 0", " > 1", " != 2"})
	}
	inner := w.condition(append(slices.Clip(cols), of), append(slices.Clip(paths), v+"."), depth-1, named)
	return path + one(w.t, []string{".exists(", ".all("}) + v + ", " + inner + ")"
}

// fill makes the records of every collection, on both engines and in the model.
func (w *world) fill() {
	for i := range 3 + upTo(w.t, 5) {
		for at, c := range w.cols {
			w.now = w.now.Add(time.Second)
			w.add(c, fmt.Sprintf("01900000-0000-7000-8000-0000000%02x0%02x", at, i))
		}
	}
	w.now = moment
}

func (w *world) add(c *randomCollection, id string) {
	sc, _ := w.app.Collection(c.name)
	r := &row{id: id, vals: make([]expr.Value, len(sc.Fields)), json: map[string]string{}}
	at := w.now.UTC().Format("2006-01-02T15:04:05.000Z")
	r.json["id"], r.json["created"], r.json["updated"], r.json["rev"] = `"`+id+`"`, `"`+at+`"`, `"`+at+`"`, "1"
	r.vals[spec.OrdID], r.vals[spec.OrdRev] = expr.TextOf(id), expr.IntOf(1)
	r.vals[spec.OrdCreated], r.vals[spec.OrdUpdated] = expr.TimeOf(w.now.UnixMilli()), expr.TimeOf(w.now.UnixMilli())
	text := `{"id":"` + id + `"`
	for _, f := range c.fields {
		s := sample{json: "null"}
		if often(w.t, 75) {
			switch f.kind {
			case "ref":
				if all := w.rows[f.to.name]; len(all) > 0 {
					s = texts(one(w.t, all).id)[0]
				}
			case "refs":
				var ids []string
				for _, o := range w.rows[f.to.name] {
					if often(w.t, 50) {
						ids = append(ids, o.id)
					}
				}
				s = listOf(ids...)
			default:
				s = one(w.t, samples[f.kind])
			}
		}
		sf, _ := sc.Field(f.name)
		r.vals[sf.Ord], r.json[f.name] = s.v, s.json
		if sf.FoldOrd >= 0 && !s.v.IsNull() {
			r.vals[sf.FoldOrd] = expr.TextOf(expr.Fold(s.v.Text()))
		}
		if sf.KeyOrd >= 0 && !s.v.IsNull() {
			r.vals[sf.KeyOrd] = expr.TextOf("key of " + s.v.Text())
		}
		text += `,"` + f.name + `":` + s.json
	}
	n, err := doc.Parse([]byte(text+"}"), doc.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, db := range []*data.DB{w.sqlite, w.mem} {
		if _, err := db.Create(context.Background(), root, c.name, n, data.WriteOptions{}); err != nil {
			var e *fault.Error
			errors.As(err, &e)
			w.t.Fatalf("create %s %s: %v %+v\n%s", c.name, text, err, e, w.yaml)
		}
	}
	w.rows[c.name] = append(w.rows[c.name], r)
	w.byID[id] = r
}
