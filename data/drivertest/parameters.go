package drivertest

import (
	"fmt"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

// parameters: a question takes as many values as the contract allows, and a value is never part of
// the statement.
func parameters(s *suite) {
	p := s.pair(`
  things:
    fields: {name: {type: text, required: true, max: 40}, n: {type: int}}
    indexes: [[n]]
    access: {read: true}
`)
	var bodies []string
	for i := range 500 {
		bodies = append(bodies, fmt.Sprintf(`"name":"t%d","n":%d`, i, i))
	}
	p.create("things", bodies...)
	many := func(from, n int, format string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(format, from+i)
		}
		return strings.Join(items, ", ")
	}
	count := func(filter string, params map[string]*doc.Node) (string, error) {
		return p.both(func(db *data.DB) (string, error) {
			text, err := list(db, &data.ListQuery{Collection: "things", Filter: filter, Params: params, Fields: "id", Limit: 1, Count: true})
			return text[max(0, strings.LastIndex(text, `"total"`)):], err
		})
	}
	items := make([]*doc.Node, 1000)
	for i := range items {
		items[i] = doc.NewInt(int64(i + 499))
	}
	for _, c := range []struct {
		name, filter string
		params       map[string]*doc.Node
		want         string
	}{
		{"900 numbers", `n in [` + many(0, 900, "%d") + `]`, nil, `"total":500}`},
		{"none of 900", `n in [` + many(500, 900, "%d") + `]`, nil, `"total":0}`},
		{"500 texts", `name in [` + many(400, 500, `"t%d"`) + `]`, nil, `"total":100}`},
		{"a list of 1000", `n in param.list`, map[string]*doc.Node{"list": doc.NewArray(items...)}, `"total":1}`},
		{"200 terms", `n == ` + strings.ReplaceAll(many(0, 200, "%d"), ", ", " || n == "), nil, `"total":200}`},
		{"1000 terms", `n==` + strings.ReplaceAll(many(0, 1000, "%d"), ", ", "||n=="), nil, `"total":500}`},
		{"none of 1000 terms", `!(n==` + strings.ReplaceAll(many(0, 1000, "%d"), ", ", "||n==") + ")", nil, `"total":0}`},
		{"a value with quotes", `name == param.x || name == "'; drop table things; --"`, map[string]*doc.Node{"x": doc.NewString(`" or 1=1`)}, `"total":0}`},
	} {
		p.expect(c.name, func() error { return want(count(c.filter, c.params))(c.want) })
	}
	p.expect("the same question with null and without", func() error {
		for _, c := range []struct {
			value *doc.Node
			want  string
		}{{doc.NewInt(7), `"total":1}`}, {doc.NewNull(), `"total":0}`}, {doc.NewInt(8), `"total":1}`}} {
			if err := want(count(`n == param.x`, map[string]*doc.Node{"x": c.value}))(c.want); err != nil {
				return err
			}
		}
		return nil
	})
	ops := make([]data.Operation, 500)
	for i := range ops {
		ops[i] = data.Operation{Op: "update", Collection: "things", ID: id(i + 1), Body: parse(p, fmt.Sprintf(`{"n":%d}`, -i))}
	}
	if p.expect("500 records in one batch", func() error {
		_, err := p.both(func(db *data.DB) (string, error) {
			_, _, err := db.Batch(s.Context(), operator, ops, true, data.WriteOptions{})
			return "", err
		})
		return err
	}) {
		p.oneByOne(p.batch(p.it, ops), p.batch(p.want, ops))
	}
	p.ask("things", question{filter: "n == -499", want: "t499"})
}
