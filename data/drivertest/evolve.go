package drivertest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
)

// evolution is what becomes of a collection when its declaration changes while records are there.
type evolution struct {
	name          string
	before, after string // what stands in braces behind the collection's name
	records       []string
}

var evolutions = []evolution{
	{"a ci text that was not, under an index", `fields: {s: {type: text, max: 255}}, indexes: [[s]]`, `fields: {s: {type: text, max: 255, ci: true}}, indexes: [[s]]`,
		[]string{`"s":"É"`, `"s":"e\u0301"`, `"s":"ß"`, ``}},
	{"a text that was ci, and unique", `fields: {s: {type: text, max: 90, ci: true, unique: true}}`, `fields: {s: {type: text, max: 255}}`, []string{`"s":"A"`, `"s":"b"`, ``}},
	{"a longer ci text under an index", `fields: {s: {type: text, max: 10, ci: true}, o: {type: text, max: 10, ci: true, unique: true}}, indexes: [[s]]`, `fields: {s: {type: text, max: 255, ci: true}, o: {type: text, max: 255, ci: true, unique: true}}, indexes: [[s]]`,
		[]string{`"s":"É","o":"É"`, `"s":"é"`}},
	{"a longer text under an index", `fields: {s: {type: text, max: 10}, n: {type: int}}, indexes: [[s, n]]`, `fields: {s: {type: text, max: 200}, n: {type: int}}, indexes: [[s, n]]`,
		[]string{`"s":"0123456789","n":1`, `"n":2`}},
	{"names that change places with an index", `fields: {a: {type: int}, b: {type: text, max: 9}}, indexes: [{fields: [a], name: x}, {fields: [b], unique: true, name: y}]`,
		`fields: {c: {type: int, was: a}, d: {type: text, max: 9, was: b}}, indexes: [{fields: [d], name: x}, {fields: [c], unique: true, name: y}]`, []string{`"a":1,"b":"x"`, `"a":2`, `"b":"y"`}},
	{"numbers of other kinds", `fields: {i: {type: int}, b: {type: bigint}, f: {type: float}, d: {type: decimal, precision: 18, scale: 2}}, indexes: [[i], [b], [f], [d]]`,
		`fields: {i: {type: bigint}, b: {type: int}, f: {type: decimal, precision: 18, scale: 4}, d: {type: float}}, indexes: [[i], [b], [f], [d]]`,
		[]string{`"i":9007199254740991,"b":"9007199254740992","f":0.12345,"d":"9999999999999999.99"`, `"i":-1,"b":"-9007199254740991","f":1e300,"d":"-0.01"`, `"f":-0.5,"b":"7"`}},
	{"numbers that were texts", `fields: {i: {type: text}, d: {type: text}, b: {type: text}, t: {type: text}}`, `fields: {i: {type: int}, d: {type: decimal, precision: 9, scale: 3}, b: {type: bool}, t: {type: time}}, indexes: [[i], [d], [t]]`,
		[]string{`"i":"12","d":"1.5","b":"true","t":"2026-03-01T12:00:00Z"`, `"i":" 12","d":"1.0005","b":"yes","t":"yesterday"`, `"i":"1e3","d":"-0","b":"false","t":"1969-12-31T23:59:59.999Z"`, ``}},
	{"texts that were numbers and times", `fields: {i: {type: int}, f: {type: float}, d: {type: decimal, precision: 9, scale: 3}, b: {type: bool}, t: {type: time}, y: {type: date}}, indexes: [[t], [y]]`,
		`fields: {i: {type: text, max: 40}, f: {type: text, max: 40}, d: {type: text, max: 40}, b: {type: text, max: 40}, t: {type: text, max: 40}, y: {type: text, max: 40, unique: true}}, indexes: [[i], [t]]`,
		[]string{`"i":-5,"f":1e21,"d":"0.5","b":true,"t":"1000-01-01T00:00:00Z","y":"9999-12-31"`, `"f":5e-324,"b":false`}},
	{"a day that was a time", `fields: {t: {type: time}, y: {type: date}}, indexes: [[t], [y]]`, `fields: {t: {type: date}, y: {type: time}}, indexes: [[t], [y]]`,
		[]string{`"t":"1969-12-31T23:59:59.999Z","y":"1582-10-10"`, `"t":"9999-12-31T23:59:59Z","y":"2024-02-29"`, ``}},
	{"lists that an index is made for", `fields: {l: {type: list, of: text}, n: {type: list, of: int}, f: {type: list, of: float}}`, `fields: {l: {type: list, of: text}, n: {type: list, of: int}, f: {type: list, of: float}}, indexes: [[l], [n], [f]]`,
		[]string{`"l":["é","é","\u2028\"\\"],"n":[1,1,-9007199254740991],"f":[0.1,0.1,1e23]`, `"l":[],"n":[]`, ``}},
	{"lists that lose their index", `fields: {l: {type: list, of: text}, n: {type: list, of: int}}, indexes: [[l], [n]]`, `fields: {l: {type: list, of: text}, m: {type: list, of: int, was: n}}`, []string{`"l":["a"],"n":[1]`, ``}},
	{"lists of other kinds", `fields: {l: {type: list, of: text}, n: {type: list, of: int}}, indexes: [[n]]`, `fields: {l: {type: list, of: int}, n: {type: list, of: text}}, indexes: [[l]]`,
		[]string{`"l":["1","2"],"n":[3]`, `"l":["x"],"n":[]`, ``}},
	{"a reference that was a text, and the other way round", `fields: {r: {type: text, max: 40}, o: {type: ref, to: things, inverse: os}}`, `fields: {r: {type: ref, to: things, inverse: rs}, o: {type: text, max: 40}}`,
		[]string{`"r":"` + id(1) + `"`, `"r":"` + id(9) + `","o":"` + id(1) + `"`, `"r":"x"`}},
	{"an enum, and a default", `fields: {e: {type: text, max: 20}, n: {type: int}}, indexes: [[e]]`, `fields: {e: {type: enum, values: [one, two], default: two}, n: {type: int, default: 7}, x: {type: text, max: 9, default: "é", unique: false}}, indexes: [[e, n], [x]]`,
		[]string{`"e":"one"`, `"e":"ONE","n":1`, ``}},
	{"an encrypted text that was not, and the other way round", `fields: {s: {type: text, max: 30}, t: {type: text, max: 30, encrypted: true, searchable: true}}, indexes: [[s]]`, `fields: {s: {type: text, max: 30, encrypted: true, unique: true}, t: {type: text, max: 30}}, indexes: [[t]]`,
		[]string{`"s":"a","t":"b"`, `"s":"b"`, ``}},
	{"a unique index over some records", `fields: {s: {type: text, max: 255}, n: {type: int}}`, `fields: {s: {type: text, max: 255, ci: true}, n: {type: int}}, indexes: [{fields: [s], unique: true, where: 'n > 1', name: few}]`,
		[]string{`"s":"A","n":1`, `"s":"a","n":2`, `"n":3`, `"n":4`}},
	{"another condition of a unique index", `fields: {s: {type: text, max: 25}, n: {type: int}}, indexes: [{fields: [s], unique: true, where: 'n > 1', name: few}]`, `fields: {s: {type: text, max: 25}, n: {type: int}}, indexes: [{fields: [s], unique: true, where: 'n > 2', name: few}]`,
		[]string{`"s":"A","n":1`, `"s":"A","n":2`}},
}

// evolve: a collection that is turned into another, with its records, by the same plan as on the oracle, and the records are then
// the same.
func evolve(s *suite) {
	for _, e := range evolutions {
		s.expect(e.name, func() error {
			of := func(body string) string { return "  things: {" + body + ", access: {read: true}}\n" }
			p := s.pair(of(e.before))
			p.create("things", e.records...)
			now := app(s, of(e.after))
			steps := map[driver.Engine]string{}
			for _, eng := range []driver.Engine{p.eng, p.oracle} {
				plan, err := data.Plan(context.Background(), now, eng, secret)
				if err == nil {
					for _, step := range plan.Steps {
						steps[eng] += step.Text + "\n"
					}
					err = plan.Apply(context.Background(), eng, data.ApplyOptions{AllowLoss: true})
				}
				if err == nil {
					err = sameTables(eng, data.Tables(now))
				}
				if err != nil {
					return fmt.Errorf("%s: %w", eng.Name(), err)
				}
			}
			if steps[p.eng] != steps[p.oracle] {
				return fmt.Errorf("the plan is\n%s\nthat of the oracle\n%s", steps[p.eng], steps[p.oracle])
			}
			q := &pair{suite: s, app: now, eng: p.eng, oracle: p.oracle}
			for _, eng := range []driver.Engine{p.eng, p.oracle} {
				if err := eng.Use(now); err != nil {
					return err
				}
			}
			q.openData()
			return q.alike("things", len(e.records))
		})
	}
}

// alike compares all records of a collection, sorted by each of its fields, and whether a change of each is taken.
func (p *pair) alike(collection string, n int) error {
	c, _ := p.app.Collection(collection)
	for _, f := range c.Fields {
		sort := f.Name
		if strings.Contains(sort, "$") || f.Encrypted || strings.Contains("list json file", f.Type.String()) {
			sort = "id"
		}
		for _, sort := range []string{sort, "-" + sort} {
			got, err := p.both(func(db *data.DB) (string, error) {
				return list(db, &data.ListQuery{Collection: collection, Sort: sort, Limit: 500, Count: true})
			})
			if err == nil && strings.Count(got, `"rev"`) != n {
				err = fmt.Errorf("%d records were there, and now: %s", n, got)
			}
			if err != nil {
				return fmt.Errorf("sorted by %s: %w", sort, err)
			}
		}
	}
	var changed error
	for i := range n {
		for _, f := range c.Fields {
			if f.Name == "s" && !f.Encrypted {
				changed = errors.Join(changed, p.update(collection, id(i+1), fmt.Sprintf(`{"s":%q}`, strings.Repeat("ß", f.MaxLen-3)+fmt.Sprint(100+i))))
			}
		}
	}
	return changed
}
