package drivertest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
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

// beside: what a reference leads to is shown where a rule lets the caller read it, and of it what he may.
func beside(s *suite) {
	p := s.pair(`
  people:
    fields:
      name: {type: text, required: true, max: 20}
      open: {type: bool, required: true}
      age: {type: int, read: name != "bob"}
      mail: {type: text, max: 20, read: auth.role == "never"}
      friend: {type: ref, to: people}
      long: {type: text}
    access: {read: open}
  posts:
    fields:
      name: {type: text, required: true, max: 20}
      author: {type: ref, to: people}
      editor: {type: ref, to: people}
      first: {type: ref, to: posts}
      score: {type: int}
    indexes: [[score]]
    access: {read: true}
`)
	ref := func(field string, n int) string { return `,"` + field + `":"` + id(n) + `"` }
	p.create("people", `"name":"ann","open":true,"age":3,"mail":"a","long":"a"`, `"name":"bob","open":true,"age":4`+ref("friend", 1), `"name":"cid","open":false,"age":5`, `"name":"dan","open":true`+ref("friend", 3))
	p.create("posts", `"name":"p","score":1`+ref("author", 1)+ref("editor", 2), `"name":"q"`+ref("author", 2)+ref("first", 1), `"name":"r","score":3`+ref("author", 3)+ref("first", 3),
		`"name":"s","score":1`+ref("author", 4)+ref("editor", 4)+ref("first", 3), `"name":"t"`)
	ask := func(name string, q data.ListQuery, want string) {
		p.expect(name, func() error {
			q.Collection = "posts"
			text, err := p.both(func(db *data.DB) (string, error) {
				b, err := db.List(context.Background(), data.Caller{}, &q, nil)
				return string(b), err
			})
			if err != nil {
				return err
			}
			if got := p.shown(text); got != want {
				return fmt.Errorf("it is\n%s, want\n%s", got, want)
			}
			return nil
		})
	}
	const short = "(fields=name,age)"
	ask("a rule of the record and of its fields", data.ListQuery{Fields: "name", Expand: "author" + short, Sort: "name"},
		`p{author{"age":3,"name":"ann"}} q{author{"name":"bob"}} r s{author{"age":null,"name":"dan"}} t`)
	ask("two of one collection", data.ListQuery{Fields: "name", Expand: "editor" + short + ",author(fields=name)", Sort: "name"},
		`p{author{"name":"ann"} editor{"name":"bob"}} q{author{"name":"bob"}} r s{author{"name":"dan"} editor{"age":null,"name":"dan"}} t`)
	ask("a long one beside a short one", data.ListQuery{Fields: "name", Expand: "author(fields=name,long),editor(fields=name)", Sort: "name"},
		`p{author{"long":"a","name":"ann"} editor{"name":"bob"}} q{author{"long":null,"name":"bob"}} r s{author{"long":null,"name":"dan"} editor{"name":"dan"}} t`)
	ask("further ones behind it", data.ListQuery{Fields: "name", Expand: "author(fields=name,expand=friend(fields=name))", Sort: "-name"},
		`t s{author{"name":"dan"}} r q{author{"name":"bob"}{friend{"name":"ann"}}} p{author{"name":"ann"}}`)
	ask("of the collection itself", data.ListQuery{Fields: "name", Expand: "first(fields=name,score)", Filter: `score != null`, Sort: "-score,name"},
		`r{first{"name":"r","score":3}} p s{first{"name":"r","score":3}}`)
	ask("with a filter along the same reference", data.ListQuery{Fields: "name", Expand: "author" + short, Filter: `author.name < "d"`, Sort: "name", Count: true},
		`p{author{"age":3,"name":"ann"}} q{author{"name":"bob"}}`)
	p.expect("page by page", func() error {
		_, err := p.both(func(db *data.DB) (string, error) {
			all := ""
			_, err := walk(db, data.ListQuery{Collection: "posts", Fields: "name,score", Expand: "author" + short + ",first", Sort: "score,-name", Limit: 2},
				func(n *doc.Node) { all += string(n.AppendCanonical(nil)) })
			return all, err
		})
		return err
	})
	p.expect("one record", func() error {
		_, err := p.both(func(db *data.DB) (string, error) {
			b, _, err := db.Get(context.Background(), data.Caller{}, data.Target{Collection: "posts", ID: id(1)}, data.View{Expand: "author,editor,first"}, nil)
			return string(b), err
		})
		return err
	})
}

// shown writes a list with what is expanded in it, without ids: in the order of names.
func (p *pair) shown(text string) string {
	items, _ := parse(p, text).Get("items")
	var record func(n *doc.Node, top bool) string
	record = func(n *doc.Node, top bool) string {
		var own, more []string
		for i, key := range n.Keys {
			switch v := &n.Items[i]; key {
			case "id", "created", "updated", "rev":
			case "expand":
				for j := range v.Items {
					more = append(more, v.Keys[j]+record(&v.Items[j], false))
				}
			default:
				own = append(own, `"`+key+`":`+string(v.AppendCanonical(nil)))
			}
		}
		slices.Sort(own)
		slices.Sort(more)
		text := "{" + strings.Join(own, ",") + "}"
		if name, ok := n.Get("name"); top && ok {
			text = name.Text
		}
		if len(more) > 0 {
			text += "{" + strings.Join(more, " ") + "}"
		}
		return text
	}
	var rows []string
	for i := range items.Items {
		rows = append(rows, record(&items.Items[i], true))
	}
	return strings.Join(rows, " ")
}
