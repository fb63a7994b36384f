package drivertest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
)

// random: models, records, filters, sorts and pages that nobody thought of. What it finds becomes a
// fixed case. There are 2,000 questions, to apps that are asked forty each; a night has as many questions as
// PLINTH_TEST_RANDOM says, and more of them for an app, since making one is what takes a server longest.
func random(s *suite) {
	least, rounds := night(s), 10
	if least == 0 {
		least, rounds = 2000, 2
	}
	asked := func() int64 { return s.passed.Load() + s.refused.Load() }
	failing := false
	for asked() < least && !s.Failed() {
		rapid.Check(s, func(t *rapid.T) {
			if asked() >= least && !failing {
				return
			}
			defer func() {
				if p := recover(); p != nil { // so does rapid end a test
					failing = true
					panic(p)
				}
			}()
			s.strangers(t, rounds)
		})
	}
}

// night is how many random questions are asked at least; 0 where nobody says so.
func night(t testing.TB) int64 {
	text := os.Getenv("PLINTH_TEST_RANDOM")
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		t.Fatalf("PLINTH_TEST_RANDOM=%q is no number of questions", text)
	}
	return n
}

// strangers asks a random app.
func (s *suite) strangers(t *rapid.T, rounds int) {
	m := drawModel(t)
	p := s.pairOf(app(s, m.yaml()))
	defer closing(s, p.eng, p.oracle)
	m.fill(t, p)
	for range rounds {
		for range 12 {
			m.question(t, p)
		}
		m.change(t, p)
		for range 6 {
			m.question(t, p)
		}
		m.grouping(t, p)
	}
}

// drawn counts what became of a question or change: it says whether the engine refused it.
func (p *pair) drawn(err error) (refused bool) {
	if _, refused = p.refusal(err); refused {
		p.refused.Add(1)
	} else if err == nil {
		p.passed.Add(1)
	}
	return refused
}

func closing(s *suite, engines ...driver.Engine) {
	for _, e := range engines {
		if err := e.Close(); err != nil {
			s.Errorf("close: %v", err)
		}
	}
}

// model is a random app: two collections that refer to each other and to themselves.
type model struct {
	collections []*modelCollection
}

type modelCollection struct {
	name     string
	fields   []modelField
	inverses []modelField // kind "inverse"; to is the collection that refers
	indexes  []string
	rows     int
}

type modelField struct {
	name, kind string
	to         int // of a ref, a list of refs or an inverse
	ci         bool
}

var fieldKinds = []string{"text", "text", "int", "bigint", "float", "decimal", "bool", "time", "date", "enum", "ref", "texts", "ints", "refs", "json", "sealed"}

var typeOf = map[string]string{
	"text": "text, max: 40", "int": "int", "bigint": "bigint", "float": "float", "decimal": "decimal, precision: 12, scale: 2", "bool": "bool",
	"time": "time", "date": "date", "enum": "enum, values: [one, two, three]", "texts": "list, of: text, max: 5", "ints": "list, of: int, max: 5",
	"json": "json", "sealed": "text, max: 40, encrypted: true, searchable: true",
}

func drawModel(t *rapid.T) *model {
	m := &model{collections: []*modelCollection{{name: "cats"}, {name: "dogs"}}}
	for i, c := range m.collections {
		for j := range rapid.IntRange(2, 6).Draw(t, "fields") {
			f := modelField{name: fmt.Sprintf("f%d", j), kind: rapid.SampledFrom(fieldKinds).Draw(t, "kind"), to: rapid.IntRange(0, 1).Draw(t, "to")}
			f.ci = f.kind == "text" && rapid.Bool().Draw(t, "ci")
			c.fields = append(c.fields, f)
			if f.kind == "ref" || f.kind == "refs" {
				to := m.collections[f.to]
				to.inverses = append(to.inverses, modelField{name: fmt.Sprintf("from_%s_%s", c.name, f.name), kind: "inverse", to: i})
			}
		}
		c.index(t)
	}
	return m
}

// index declares indexes over fields that may have one.
func (c *modelCollection) index(t *rapid.T) {
	var scalar, list []string
	for _, f := range c.fields {
		switch f.kind {
		case "texts", "ints":
			list = append(list, f.name)
		case "json", "sealed", "refs":
		default:
			scalar = append(scalar, f.name)
		}
	}
	if len(scalar) > 0 && rapid.Bool().Draw(t, "index") {
		c.indexes = append(c.indexes, strings.Join(rapid.Permutation(scalar).Draw(t, "columns")[:rapid.IntRange(1, min(2, len(scalar))).Draw(t, "width")], ", "))
	}
	for _, name := range list {
		if rapid.Bool().Draw(t, "side") {
			c.indexes = append(c.indexes, name)
		}
	}
}

func (m *model) yaml() string {
	var b strings.Builder
	for _, c := range m.collections {
		fmt.Fprintf(&b, "  %s:\n    fields:\n      name: {type: text, required: true, max: 9}\n", c.name)
		for _, f := range c.fields {
			text := typeOf[f.kind]
			inverse := fmt.Sprintf("from_%s_%s", c.name, f.name)
			switch f.kind {
			case "ref":
				text = fmt.Sprintf("ref, to: %s, inverse: %s, onDelete: clear", m.collections[f.to].name, inverse)
			case "refs":
				text = fmt.Sprintf("list, of: ref, to: %s, inverse: %s", m.collections[f.to].name, inverse)
			}
			if f.ci {
				text += ", ci: true"
			}
			fmt.Fprintf(&b, "      %s: {type: %s}\n", f.name, text)
		}
		if len(c.indexes) > 0 {
			fmt.Fprintf(&b, "    indexes: [[%s]]\n", strings.Join(c.indexes, "], ["))
		}
		b.WriteString("    access: {read: true}\n")
	}
	return b.String()
}

// pools of values as JSON; they are literals of the filter language too.
var pools = map[string][]string{
	"text":    {`""`, `"a"`, `"A"`, `"b"`, `"é"`, `"e\u0301"`, `"É"`, `"ß"`, `"ss"`, `"SS"`, `" a"`, `"a "`, `"%"`, `"_"`, `"a_b"`, `"\\"`, `"\""`, `"😀"`, `"\uffee"`, `"ab"`, `"aé"`, `"ﬃ"`, `"İ"`, `"\u0001"`},
	"int":     {"0", "1", "-1", "2", "9007199254740991", "-9007199254740991"},
	"bigint":  {`"0"`, `"1"`, `"-1"`, `"9223372036854775807"`, `"-9223372036854775808"`, `"9007199254740993"`},
	"float":   {"0.0", "0.5", "-1.5", "1e300", "-1e300", "2.0", "16777217.0"},
	"decimal": {`"0"`, `"1.50"`, `"-0.01"`, `"9999999999.99"`, `"2"`},
	"bool":    {"true", "false"},
	"time":    {`"1000-01-01T00:00:00Z"`, `"1969-12-31T23:59:59.999Z"`, `"2024-02-29T12:00:00.001Z"`, `"9999-12-31T23:59:59.999Z"`},
	"date":    {`"1000-01-01"`, `"2024-02-29"`, `"9999-12-31"`},
	"enum":    {`"one"`, `"two"`, `"three"`},
	"json":    {`{"a":1}`, `[]`, `"x"`, `0`},
}

func pick(t *rapid.T, from []string) string { return rapid.SampledFrom(from).Draw(t, "pick") }

// literal is a value of a kind for a filter.
func literal(t *rapid.T, kind string) string {
	v := pick(t, pools[kind])
	if kind == "time" {
		return "timestamp(" + v + ")"
	}
	return v
}

// jsonOf is a random value of a field for a record; "" leaves it out. rows bounds the records it may
// refer to.
func (m *model) jsonOf(t *rapid.T, f modelField) string {
	if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		return ""
	}
	ref := func() string {
		return `"` + id(rapid.IntRange(1, m.collections[f.to].rows).Draw(t, "ref")) + `"`
	}
	items := func(item func() string) string {
		seen, out := map[string]bool{}, []string{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			if v := item(); f.kind != "refs" || !seen[v] {
				seen[v] = true
				out = append(out, v)
			}
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	switch f.kind {
	case "ref", "refs":
		if m.collections[f.to].rows == 0 {
			return ""
		}
		if f.kind == "ref" {
			return ref()
		}
		return items(ref)
	case "texts":
		return items(func() string { return pick(t, pools["text"]) })
	case "ints":
		return items(func() string { return pick(t, pools["int"]) })
	}
	if f.kind == "sealed" {
		return pick(t, pools["text"])
	}
	return pick(t, pools[f.kind])
}

// fill makes records, each of which may refer to those before it.
func (m *model) fill(t *rapid.T, p *pair) {
	for range 2 {
		for _, c := range m.collections {
			var ops []data.Operation
			from := c.rows
			for i := range rapid.IntRange(0, 7).Draw(t, "rows") {
				body := fmt.Sprintf(`{"id":"%s","name":"%d"`, id(from+i+1), from+i+1)
				for _, f := range c.fields {
					if v := m.jsonOf(t, f); v != "" {
						body += `,"` + f.name + `":` + v
					}
				}
				ops = append(ops, data.Operation{Op: "create", Collection: c.name, Body: parse(p, body+"}")})
			}
			_, err := p.both(func(db *data.DB) (string, error) {
				return "", p.batch(db, ops)
			})
			if err != nil {
				t.Fatalf("fill %s: %v", c.name, err)
			}
			c.rows += len(ops)
		}
	}
}

// change updates and deletes records.
func (m *model) change(t *rapid.T, p *pair) {
	for range rapid.IntRange(0, 5).Draw(t, "changes") {
		c := rapid.SampledFrom(m.collections).Draw(t, "collection")
		if c.rows == 0 {
			continue
		}
		n := id(rapid.IntRange(1, c.rows).Draw(t, "record"))
		var err error
		what := "delete " + c.name + " " + n
		if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
			err = p.delete(c.name, n)
		} else {
			f := rapid.SampledFrom(c.fields).Draw(t, "field")
			v := m.jsonOf(t, f)
			if v == "" {
				v = "null"
			}
			what = "update " + c.name + " " + n + " " + f.name + ": " + v
			err = p.update(c.name, n, `{"`+f.name+`":`+v+`}`)
		}
		// Both sides may refuse it in the same way: it is gone, or referred to.
		if k := fault.Of(err); err != nil && k != fault.NotFound && k != fault.Conflict && k != fault.Invalid && !p.drawn(err) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// question asks a list, whole and by pages.
func (m *model) question(t *rapid.T, p *pair) {
	c := rapid.SampledFrom(m.collections).Draw(t, "collection")
	q := data.ListQuery{Collection: c.name, Limit: 500, Count: true}
	if rapid.IntRange(0, 9).Draw(t, "filtered") > 0 {
		q.Filter = m.condition(t, c, "", 0, 0)
	}
	q.Sort = m.order(t, c)
	if rapid.IntRange(0, 4).Draw(t, "expanded") == 0 {
		q.Expand = m.expansion(t, c)
	}
	if _, err := p.both(func(db *data.DB) (string, error) { return list(db, &q) }); p.drawn(err) {
		return
	} else if err != nil {
		t.Fatalf("%s filter %s sort %s expand %s: %v", c.name, q.Filter, q.Sort, q.Expand, err)
	}
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
	_, err := p.both(func(db *data.DB) (string, error) {
		var whole, paged []string
		if _, err := walk(db, q, collect(&whole)); err != nil {
			return "", err
		}
		small := q
		small.Limit, small.Count = limit, false
		if _, err := walk(db, small, collect(&paged)); err != nil {
			return "", err
		}
		if a, b := strings.Join(whole, " "), strings.Join(paged, " "); a != b {
			return "", fmt.Errorf("whole %q, by pages %q", a, b)
		}
		return strings.Join(paged, " "), nil
	})
	if err != nil {
		t.Fatalf("%s filter %s sort %s, %d at a time: %v", c.name, q.Filter, q.Sort, limit, err)
	}
}

func (m *model) order(t *rapid.T, c *modelCollection) string {
	var keys []string
	for _, f := range rapid.Permutation(c.fields).Draw(t, "keys") {
		switch f.kind {
		case "json", "sealed", "texts", "ints", "refs":
			continue
		}
		if len(keys) < 3 && rapid.Bool().Draw(t, "key") {
			keys = append(keys, pick(t, []string{"", "-"})+f.name)
		}
	}
	return strings.Join(keys, ",")
}

func (m *model) expansion(t *rapid.T, c *modelCollection) string {
	var names []string
	for _, f := range c.fields {
		if f.kind == "ref" || f.kind == "refs" {
			names = append(names, f.name)
		}
	}
	for _, f := range c.inverses {
		names = append(names, fmt.Sprintf("%s(limit=%d,sort=%sname)", f.name, rapid.IntRange(1, 3).Draw(t, "limit"), pick(t, []string{"", "-"})))
	}
	if len(names) == 0 {
		return ""
	}
	return rapid.SampledFrom(names).Draw(t, "expand")
}

// grouping asks for groups and aggregates.
func (m *model) grouping(t *rapid.T, p *pair) {
	for _, c := range m.collections {
		group, aggregates := []string{}, []string{"count"}
		for _, f := range c.fields {
			switch f.kind {
			case "int", "decimal":
				aggregates = append(aggregates, "sum("+f.name+")", "avg("+f.name+")", "min("+f.name+")")
			case "float", "time", "date", "bigint":
				aggregates = append(aggregates, "min("+f.name+")", "max("+f.name+")")
			}
			switch f.kind {
			case "text", "int", "bool", "enum", "date", "ref", "decimal", "time":
				if rapid.IntRange(0, 2).Draw(t, "group") == 0 {
					group = append(group, f.name)
				}
			}
		}
		filter := m.condition(t, c, "", 1, 0)
		if _, err := p.group(c.name, filter, strings.Join(group, ","), strings.Join(aggregates, ",")); !p.drawn(err) && err != nil {
			t.Fatalf("%s filter %s group %s aggregate %s: %v", c.name, filter, group, aggregates, err)
		}
	}
}
