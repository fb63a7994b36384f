package drivertest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

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
	ask("the first of those that an index has in order", data.ListQuery{Fields: "name", Expand: "author" + short, Filter: `score == 1`, Limit: 1},
		`p{author{"age":3,"name":"ann"}}`)
	ask("the last of them", data.ListQuery{Fields: "name", Expand: "author" + short, Sort: "-score", Filter: `score != null`, Limit: 1},
		`r`)
	ask("of one author", data.ListQuery{Fields: "name", Expand: "author" + short, Filter: `author == "` + id(2) + `"`, Limit: 1},
		`q{author{"name":"bob"}}`)
	p.expect("one record", func() error {
		_, err := p.both(func(db *data.DB) (string, error) {
			b, _, err := db.Get(context.Background(), data.Caller{}, data.Target{Collection: "posts", ID: id(1)}, data.View{Expand: "author,editor,first"}, nil)
			return string(b), err
		})
		return err
	})
	fields, names := "", []string{}
	for i := range 120 {
		fields += fmt.Sprintf("      f%d: {type: int, read: name != \"x\"}\n", i)
	}
	for i := range 20 {
		names = append(names, fmt.Sprintf("r%d", i))
		fields += fmt.Sprintf("      r%d: {type: ref, to: things}\n", i)
	}
	many := s.pair("\n  things:\n    fields:\n      name: {type: text, required: true, max: 9}\n" + fields + "    access: {read: true}\n")
	many.create("things", `"name":"a","f7":7`, `"name":"b","r0":"`+id(1)+`","r19":"`+id(1)+`"`)
	many.expect("as many as can be expanded, of nearly as many fields as there may be", func() error {
		_, err := many.both(func(db *data.DB) (string, error) {
			b, err := db.List(context.Background(), data.Caller{}, &data.ListQuery{Collection: "things", Expand: strings.Join(names, ","), Sort: "-name"}, nil)
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
