package drivertest

import (
	"fmt"
	"strings"

	"github.com/bluell/plinth/data"
)

// per: expansions give each parent its own children, in their order and within their limit, however
// many the parents and however hot one of them is.
func per(s *suite) {
	p := s.library()
	for _, c := range []struct{ collection, fields, expand, want string }{
		{"posts", "name", "author", `[{"name":"p","author":"ann"},{"name":"q","author":"ann"},{"name":"r","author":"bob"},{"name":"s"},{"name":"t","author":"dan"}]`},
		{"users", "name", "posts(sort=-name,limit=1)", `[{"name":"ann","posts":"q"},{"name":"bob","posts":"r"},{"name":"cid","posts":""},{"name":"dan","posts":"t"}]`},
		{"users", "name", "posts(sort=score)", `[{"name":"ann","posts":"p q"},{"name":"bob","posts":"r"},{"name":"cid","posts":""},{"name":"dan","posts":"t"}]`},
		{"users", "name", "liked(sort=-name)", `[{"name":"ann","liked":"s r"},{"name":"bob","liked":"s p"},{"name":"cid","liked":"p"},{"name":"dan","liked":"s"}]`},
		{"users", "name", "boss,staff", `[{"name":"ann","staff":"bob"},{"name":"bob","boss":"ann","staff":"cid"},{"name":"cid","boss":"bob","staff":""},{"name":"dan","staff":""}]`},
		{"posts", "name", "likers", `[{"name":"p","likers":"bob cid"},{"name":"q","likers":""},{"name":"r","likers":"ann"},{"name":"s","likers":"dan ann bob"},{"name":"t","likers":""}]`},
		{"notes", "name", "post(expand=author(expand=team))", `[{"name":"n1","post":"p"},{"name":"n2","post":"p"},{"name":"n3","post":"s"},{"name":"n4"}]`},
	} {
		p.expect(c.collection+" with "+c.expand, func() error {
			text, err := p.both(func(db *data.DB) (string, error) {
				return list(db, &data.ListQuery{Collection: c.collection, Fields: c.fields, Expand: c.expand, Sort: "name"})
			})
			if err != nil {
				return err
			}
			return want(p.expanded(text), nil)(c.want)
		})
	}
	p.expect("one parent alone, by what is shown", func() error {
		text, err := p.both(func(db *data.DB) (string, error) {
			return list(db, &data.ListQuery{Collection: "users", Fields: "name", Filter: `name == "ann"`, Expand: "posts(sort=-name,limit=2,fields=name)"})
		})
		if err != nil {
			return err
		}
		return want(p.expanded(text), nil)(`[{"name":"ann","posts":"q p"}]`)
	})
	var bodies []string
	for i := range 300 { // one parent has most of the children
		parent := 4
		if i%50 == 0 {
			parent = 3
		}
		bodies = append(bodies, fmt.Sprintf(`"name":"h%d","score":%d,"author":"%s"`, i, (i*7)%300, id(parent)))
	}
	hot := s.pair(library)
	hot.create("users", `"name":"a"`, `"name":"b"`, `"name":"c"`, `"name":"d"`)
	hot.create("posts", bodies...)
	hot.expect("a hot parent", func() error {
		text, err := hot.both(func(db *data.DB) (string, error) {
			return list(db, &data.ListQuery{Collection: "users", Fields: "name", Expand: "posts(sort=-score,limit=3)", Sort: "name"})
		})
		if err != nil {
			return err
		}
		return want(hot.expanded(text), nil)(`[{"name":"a","posts":""},{"name":"b","posts":""},{"name":"c","posts":"h250 h200 h150"},{"name":"d","posts":"h257 h214 h171"}]`)
	})
	many := s.pair(library)
	var users, posts []string
	for i := range 75 {
		users = append(users, fmt.Sprintf(`"name":"u%02d"`, i))
		for j := range i % 4 {
			posts = append(posts, fmt.Sprintf(`"name":"%02d.%d","score":%d,"author":"%s"`, i, j, j%2, id(i+1)))
		}
	}
	many.create("users", users...)
	many.create("posts", posts...)
	many.expect("many parents", func() error {
		text, err := many.both(func(db *data.DB) (string, error) {
			return list(db, &data.ListQuery{Collection: "users", Fields: "name", Expand: "posts(sort=-score,limit=2)", Sort: "name", Limit: 75})
		})
		if err != nil {
			return err
		}
		if got := many.expanded(text); !strings.Contains(got, `{"name":"u74","posts":"74.1 74.0"}`) || strings.Count(got, `"posts":""`) != 19 {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

// expanded writes a list with the names of what is expanded.
func (p *pair) expanded(text string) string {
	items, _ := parse(p, text).Get("items")
	var rows []string
	for i := range items.Items {
		name, _ := items.Items[i].Get("name")
		row := `{"name":"` + name.Text + `"`
		if more, ok := items.Items[i].Get("expand"); ok {
			for j, key := range more.Keys {
				found := []string{}
				nodes := more.Items[j].Items
				if n, ok := more.Items[j].Get("name"); ok {
					found = append(found, n.Text)
					nodes = nil
				}
				for k := range nodes {
					if n, ok := nodes[k].Get("name"); ok {
						found = append(found, n.Text)
					}
				}
				row += `,"` + key + `":"` + strings.Join(found, " ") + `"`
			}
		}
		rows = append(rows, row+"}")
	}
	return "[" + strings.Join(rows, ",") + "]"
}
