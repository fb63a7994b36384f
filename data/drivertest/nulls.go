package drivertest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

const nullable = `
  things:
    fields:
      name: {type: text, required: true, max: 20}
      n: {type: int}
      s: {type: text, max: 20}
      f: {type: float}
      d: {type: decimal, precision: 10, scale: 2}
      t: {type: time}
      b: {type: bool}
      e: {type: enum, values: [one, two]}
    indexes: [[n], [s, n]]
    access: {read: true}
`

// nulls: null is smallest, in either direction and under every kind, and pages go through it.
func nulls(s *suite) {
	p := s.pair(nullable)
	p.create("things",
		`"name":"a","n":2,"s":"x","f":1.5,"d":"1.00","t":"2024-01-01T00:00:00Z","b":true,"e":"two"`,
		`"name":"b"`,
		`"name":"c","n":-1,"s":"","f":-0.5,"d":"-1.00","t":"1500-01-01T00:00:00Z","b":false,"e":"one"`,
		`"name":"d","n":2,"s":"x"`,
		`"name":"e","n":0,"b":false`)
	p.ask("things",
		question{sort: "n", want: "b c e a d"},
		question{sort: "-n", want: "d a e c b"},
		question{sort: "n,-name", want: "b c e d a"},
		question{sort: "-n,name", want: "a d e c b"},
		question{sort: "s", want: "b e c a d"},
		question{sort: "-s", want: "d a c e b"},
		question{sort: "-s,n", want: "a d c b e"},
		question{sort: "f", want: "b d e c a"},
		question{sort: "-f", want: "a c e d b"},
		question{sort: "d", want: "b d e c a"},
		question{sort: "t", want: "b d e c a"},
		question{sort: "-t", want: "a c e d b"},
		question{sort: "b", want: "b d c e a"},
		question{sort: "-b", want: "a e c d b"},
		question{sort: "e", want: "b d e c a"},
		question{filter: "n == null", sort: "name", want: "b"},
		question{filter: "n != null", sort: "name", want: "a c d e"},
		question{filter: `s == null`, sort: "-n", want: "e b"},
		question{filter: `s == ""`, want: "c"},
		question{filter: "n == null && s != null", want: ""},
	)
	for _, sort := range []string{"n", "-n", "s,n", "-s,n", "s,-n", "-s,-n", "n,s,name", "b,-n", "-f,n", "t,-d"} {
		for _, limit := range []int{1, 2, 3} {
			p.expect(fmt.Sprintf("pages of %d by %s", limit, sort), func() error {
				return p.sameByPages("things", "", sort, limit, 5)
			})
		}
	}
}

// sameByPages checks that pages put together are the whole list, which has n records, on both sides.
func (p *pair) sameByPages(collection, filter, sort string, limit, n int) error {
	whole, err := p.both(func(db *data.DB) (string, error) {
		var names []string
		_, err := walk(db, data.ListQuery{Collection: collection, Filter: filter, Sort: sort, Limit: 500}, collect(&names))
		return strings.Join(names, " "), err
	})
	if err != nil {
		return err
	}
	paged, err := p.both(func(db *data.DB) (string, error) {
		var names []string
		pages, err := walk(db, data.ListQuery{Collection: collection, Filter: filter, Sort: sort, Limit: limit}, collect(&names))
		if want := max(1, (n+limit-1)/limit); err == nil && pages != want {
			err = fmt.Errorf("%d pages, want %d", pages, want)
		}
		return strings.Join(names, " "), err
	})
	switch {
	case err != nil:
		return err
	case len(strings.Fields(whole)) != n:
		return fmt.Errorf("the list has %q, want %d records", whole, n)
	case whole != paged:
		return fmt.Errorf("pages have %q, the whole list %q", paged, whole)
	}
	return nil
}

func collect(names *[]string) func(*doc.Node) {
	return func(n *doc.Node) {
		if page := namesOf(n); page != "" {
			*names = slices.Concat(*names, strings.Split(page, " "))
		}
	}
}
