package drivertest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// uniques: one of each value, many nulls, spaces and accents count, and a condition is kept through
// every change of the record.
func uniques(s *suite) {
	p := s.pair(`
  things:
    fields:
      name: {type: text, max: 20}
      one: {type: text, max: 20, unique: true}
      number: {type: int, unique: true}
      sealed: {type: text, max: 20, encrypted: true, unique: true}
      a: {type: text, max: 20}
      b: {type: int}
      state: {type: enum, values: [open, shut]}
    indexes:
      - {fields: [a, b], unique: true, name: both}
      - {fields: [a], unique: true, where: 'state == "open"', name: one_open}
    access: {read: true}
  singles: {fields: {n: {type: int, unique: true}}, access: {read: true}}
  plains: {fields: {n: {type: int}}, access: {read: true}}
`)
	p.create("things",
		`"one":"x","number":1,"sealed":"s","a":"p","b":1,"state":"open"`,
		`"one":"x ","number":2,"a":"p","b":2,"state":"shut"`,
		`"one":"X","sealed":"S","a":"p"`,
		`"one":"e","a":"p"`,
		`"one":"é"`, ``, ``)
	create := func(body string) func(*data.DB) error {
		return func(db *data.DB) error {
			_, err := db.Create(s.Context(), operator, "things", parse(p, "{"+body+"}"), data.WriteOptions{})
			return err
		}
	}
	change := func(n int, patch string) func(*data.DB) error {
		return func(db *data.DB) error {
			_, err := db.Update(s.Context(), operator, "things", id(n), parse(p, patch), data.WriteOptions{})
			return err
		}
	}
	for _, c := range []struct {
		name string
		do   func(*data.DB) error
	}{
		{"a text", create(`"one":"x"`)},
		{"a text in another normal form", create(`"one":"e\u0301"`)},
		{"a number", create(`"number":2`)},
		{"an encrypted text", create(`"sealed":"s"`)},
		{"two fields", create(`"a":"p","b":2`)},
		{"where the condition holds", create(`"a":"p","b":3,"state":"open"`)},
		{"an id", create(`"id":"` + id(1) + `"`)},
		{"by an update", change(2, `{"one":"x"}`)},
		{"by an update of the condition", change(2, `{"state":"open"}`)},
		{"by an update of a null", change(6, `{"number":1}`)},
	} {
		p.refuses(c.name, fault.Conflict, "unique", c.do)
	}
	for _, c := range []struct {
		name, want string
		do         func(*data.DB) error
	}{
		{"everything that is taken is named", "/id /one /number /sealed /a /b", create(`"id":"` + id(1) + `","sealed":"s","one":"x","b":1,"a":"p","number":1`)},
		{"only what is taken is named", "/number /a", create(`"sealed":"t","one":"y","b":9,"a":"p","number":1,"state":"open"`)},
		{"everything that a change wants is named", "/one /number", change(3, `{"number":1,"one":"x"}`)},
	} {
		p.expect(c.name, func() error {
			got, err := p.both(func(db *data.DB) (string, error) {
				var e *fault.Error
				if err := c.do(db); !errors.As(err, &e) || e.Kind != fault.Conflict {
					return "", errors.Join(err, errors.New("want a conflict"))
				}
				var names []string
				for _, f := range e.Fields {
					names = append(names, f.Pointer)
				}
				return strings.Join(names, " "), nil
			})
			return want(got, err)(c.want)
		})
	}
	for _, c := range []struct {
		name string
		do   func(*data.DB) error
	}{
		{"nulls are many", create(``)},
		{"a null among two fields", create(`"a":"p"`)},
		{"where the condition does not hold", create(`"a":"p","b":4,"state":"shut"`)},
		{"its own value again", change(1, `{"one":"x","number":1,"state":"open","a":"p"}`)},
		{"a value that was given up", func(db *data.DB) error {
			if err := change(1, `{"state":"shut","one":null,"number":7}`)(db); err != nil {
				return err
			}
			return errors.Join(change(2, `{"state":"open","one":"x","number":1}`)(db), create(`"number":2,"one":"x "`)(db))
		}},
		{"a value of a deleted record", func(db *data.DB) error {
			if _, err := db.Delete(s.Context(), operator, "things", id(2), data.WriteOptions{}); err != nil {
				return err
			}
			return create(`"one":"x","number":1,"a":"p","b":2,"state":"open"`)(db)
		}},
	} {
		p.expect(c.name, func() error {
			_, err := p.both(func(db *data.DB) (string, error) { return "", c.do(db) })
			return err
		})
	}
	p.expect("a refusal leaves nothing behind", func() error {
		_, err := p.both(func(db *data.DB) (string, error) {
			_, _, err := db.Batch(s.Context(), operator, []data.Operation{
				{Op: "create", Collection: "things", Body: parse(p, `{"one":"first"}`)},
				{Op: "create", Collection: "things", Body: parse(p, `{"one":"first"}`)},
			}, true, data.WriteOptions{})
			if fault.Of(err) != fault.Conflict {
				return "", errors.Join(err, errors.New("want a conflict"))
			}
			return list(db, &data.ListQuery{Collection: "things", Filter: `one == "first"`, Fields: "one"})
		})
		return err
	})
	p.create("singles", `"n":1`, `"n":2`, `"n":3`)
	p.create("plains", `"n":1`)
	if p.caps.Transactions {
		p.expect("of two operations of a batch the first is told", func() error {
			got, err := p.both(func(db *data.DB) (string, error) {
				_, _, err := db.Batch(s.Context(), operator, []data.Operation{
					{Op: "update", Collection: "singles", ID: id(2), Body: parse(p, `{"n":1}`)},
					{Op: "create", Collection: "plains", Body: parse(p, `{"id":"`+id(1)+`"}`)},
					{Op: "delete", Collection: "singles", ID: id(3)}, // before it what waits is stored
				}, true, data.WriteOptions{})
				var told *data.BatchError
				var e *fault.Error
				if !errors.As(err, &told) || !errors.As(err, &e) || e.Kind != fault.Conflict {
					return "", errors.Join(err, errors.New("want a conflict"))
				}
				return fmt.Sprint(told.Operation, e.Fields), nil
			})
			if err == nil && !strings.HasPrefix(got, "0 ") {
				err = errors.New(got)
			}
			return err
		})
	}
	p.ask("things", question{filter: `one == "first"`, want: ""})
}
