package drivertest

import (
	"fmt"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// pages: a walk by cursor sees every record once, whatever the sort, the filter and the size of a
// page; a cursor of another question is refused.
func pages(s *suite) {
	p := s.pair(`
  rows:
    fields:
      name: {type: text, required: true, max: 20}
      a: {type: int}
      b: {type: text, max: 20, ci: true}
      c: {type: float}
    indexes: [[a, b], [c]]
    access: {read: true}
`)
	var bodies []string
	for i := range 47 {
		body := fmt.Sprintf(`"name":"r%d"`, i)
		if i%5 != 0 {
			body += fmt.Sprintf(`,"a":%d`, i%3)
		}
		if i%7 != 0 {
			body += fmt.Sprintf(`,"b":"%s"`, []string{"É", "é", "z", "A", ""}[i%5])
		}
		if i%4 != 0 {
			body += fmt.Sprintf(`,"c":%d.5`, i%6-3)
		}
		bodies = append(bodies, body)
	}
	p.create("rows", bodies...)
	for _, sort := range []string{"", "id", "-id", "-created", "a", "-a", "a,b", "a,-b", "-a,b", "-a,-b", "b,c", "c,-a,b", "-c,a,-b", "a,id", "a,-id", "rev,a"} {
		for filter, n := range map[string]int{"": 47, "a == 1": 13, "a != 1": 34, "c < 0 || c == null": 28, "a == 7": 0} {
			for _, limit := range []int{1, 7, 46, 47, 48} {
				p.expect(fmt.Sprintf("%s where %s, %d at a time", sort, filter, limit), func() error {
					return p.sameByPages("rows", filter, sort, limit, n)
				})
			}
		}
	}
	first := ""
	p.expect("a first page", func() error {
		text, err := list(p.it, &data.ListQuery{Collection: "rows", Sort: "a", Limit: 2})
		if err != nil {
			return err
		}
		next, ok := parse(p, text).Get("next")
		if !ok {
			return fmt.Errorf("no next in %s", text)
		}
		first = next.Text
		return nil
	})
	p.refuses("a cursor of another sort", fault.BadRequest, "", func(db *data.DB) error {
		_, err := list(db, &data.ListQuery{Collection: "rows", Sort: "-a", Cursor: first})
		return err
	})
	p.refuses("a cursor of another filter", fault.BadRequest, "", func(db *data.DB) error {
		_, err := list(db, &data.ListQuery{Collection: "rows", Sort: "a", Filter: "a == 1", Cursor: first})
		return err
	})
	p.refuses("a page of none", fault.BadRequest, "", func(db *data.DB) error {
		_, err := list(db, &data.ListQuery{Collection: "rows", Limit: 501})
		return err
	})
}
