package drivertest

import (
	"fmt"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

const library = `
  teams:
    fields: {name: {type: text, required: true, max: 20}, city: {type: text, max: 20}}
    access: {read: true}
  users:
    fields:
      name: {type: text, required: true, max: 20}
      team: {type: ref, to: teams, inverse: users, onDelete: clear}
      boss: {type: ref, to: users, inverse: staff, onDelete: restrict}
      age: {type: int}
    access: {read: true}
  posts:
    fields:
      name: {type: text, required: true, max: 20}
      author: {type: ref, to: users, inverse: posts, onDelete: cascade}
      likers: {type: list, of: ref, to: users, inverse: liked}
      score: {type: int}
    access: {read: true}
  notes:
    fields:
      name: {type: text, required: true, max: 20}
      post: {type: ref, to: posts, inverse: notes, onDelete: cascade}
    access: {read: true}
`

// library: two teams; ann leads bob, who leads cid; dan is nobody's.
func (s *suite) library() *pair {
	p := s.pair(library)
	ref := func(field string, n int) string { return `,"` + field + `":"` + id(n) + `"` }
	p.create("teams", `"name":"red","city":"Rome"`, `"name":"blue"`)
	p.create("users", `"name":"ann","age":40`+ref("team", 1), `"name":"bob","age":30`+ref("team", 1)+ref("boss", 1),
		`"name":"cid"`+ref("team", 2)+ref("boss", 2), `"name":"dan","age":20`)
	likers := func(ns ...int) string {
		var ids []string
		for _, n := range ns {
			ids = append(ids, `"`+id(n)+`"`)
		}
		return `,"likers":[` + strings.Join(ids, ",") + `]`
	}
	p.create("posts", `"name":"p","score":1`+ref("author", 1)+likers(2, 3), `"name":"q","score":5`+ref("author", 1)+likers(), `"name":"r"`+ref("author", 2)+likers(1),
		`"name":"s","score":3`+likers(4, 1, 2), `"name":"t"`+ref("author", 4))
	p.create("notes", `"name":"n1"`+ref("post", 1), `"name":"n2"`+ref("post", 1), `"name":"n3"`+ref("post", 4), `"name":"n4"`)
	return p
}

// refs: a path goes through references, inverses and lists of references; null leads to null; what
// a record's deletion does to those that refer to it is done in the same transaction.
func refs(s *suite) {
	p := s.library()
	p.ask("posts",
		question{filter: `author == "` + id(1) + `"`, want: "p q"},
		question{filter: `author != "` + id(1) + `"`, want: "r s t"},
		question{filter: `author == null`, want: "s"},
		question{filter: `author.name == "ann"`, want: "p q"},
		question{filter: `author.name != "ann"`, want: "r s t"},
		question{filter: `author.age > 35`, want: "p q"},
		question{filter: `!(author.age > 35)`, want: "r s t"},
		question{filter: `author.team.name == "red"`, want: "p q r"},
		question{filter: `author.team.city == null`, want: "s t"},
		question{filter: `author.team == null`, want: "s t"},
		question{filter: `author.boss.boss.name == "ann"`, want: ""},
		question{filter: `author.boss.name == "ann"`, want: "r"},
		question{filter: `author.name.startsWith("a") && author.team.city == "Rome"`, want: "p q"},
		question{filter: `author.name in ["bob", "dan"]`, want: "r t"},
		question{filter: `author in ["` + id(1) + `", "` + id(9) + `"]`, want: "p q"},
		question{filter: `notes.exists(n, n.name == "n2")`, want: "p"},
		question{filter: `notes.exists(n, true)`, want: "p s"},
		question{filter: `notes.all(n, n.name == "n3")`, want: "q r s t"},
		question{filter: `size(notes) == 2`, want: "p"},
		question{filter: `size(notes) == 0`, want: "q r t"},
		question{filter: `author.posts.exists(x, x.score > 4)`, want: "p q"},
		question{filter: `author.posts.all(x, x.score > 0)`, want: "p q s"},
		question{filter: `author.posts.exists(x, x.id == id)`, want: "p q r t"},
		question{filter: `id in author.posts`, want: "p q r t"},
		question{filter: `!(id in author.posts)`, want: "s"},
		question{filter: `author.posts.exists(x, x.author == author && x.id != id)`, want: "p q"},
	)
	p.ask("users",
		question{filter: `posts.exists(p, p.score > 4)`, want: "ann"},
		question{filter: `posts.exists(p, p.score == null)`, want: "bob dan"},
		question{filter: `posts.all(p, p.score != null)`, want: "ann cid"},
		question{filter: `posts.exists(p, p.notes.exists(n, n.name == "n1"))`, want: "ann"},
		question{filter: `staff.exists(u, u.age < 35)`, want: "ann"},
		question{filter: `boss.staff.exists(u, u.team == boss.team)`, want: "bob"},
		question{filter: `staff.exists(u, u.staff.exists(v, v.name == "cid"))`, want: "ann"},
		question{filter: `staff.all(u, u.age < 35)`, want: "ann cid dan"},
		question{filter: `size(staff) > 0`, want: "ann bob"},
		question{filter: `liked.exists(p, p.name == "s")`, want: "ann bob dan"},
		question{filter: `size(liked) == 2`, want: "ann bob"},
		question{filter: `liked.all(p, p.score > 2)`, want: "dan"},
		question{filter: `boss.name == "ann" || team.name == "blue"`, want: "bob cid"},
		question{filter: `boss == null && team == null`, want: "dan"},
	)
	p.refuses("a reference to nothing", fault.Invalid, "ref", func(db *data.DB) error {
		_, err := db.Create(s.Context(), operator, "posts", parse(p, `{"name":"z","author":"`+id(99)+`"}`), data.WriteOptions{})
		return err
	})
	p.refuses("a record that is referred to", fault.Conflict, "", func(db *data.DB) error {
		_, err := db.Delete(s.Context(), operator, "users", id(1), data.WriteOptions{})
		return err
	})
	if p.expect("clear", func() error {
		if err := p.delete("teams", id(1)); err != nil {
			return err
		}
		return want(p.value("users", id(1), "team"))("null")
	}) {
		p.oneByOne(p.update("users", id(1), `{"team":null}`), p.update("users", id(2), `{"team":null}`), p.delete("teams", id(1)))
	}
	if p.expect("cascade", func() error {
		if err := p.update("users", id(2), `{"boss":null}`); err != nil {
			return err
		}
		for n := range 3 { // they are referred to in lists, which restrict
			if err := p.update("posts", id([]int{1, 3, 4}[n]), `{"likers":[]}`); err != nil {
				return err
			}
		}
		return p.delete("users", id(1))
	}) {
		p.oneByOne(p.delete("notes", id(1)), p.delete("notes", id(2)), p.delete("posts", id(1)), p.delete("posts", id(2)), p.delete("users", id(1)))
	}
	p.ask("posts", question{want: "r s t"})
	p.ask("notes", question{want: "n3 n4"})
	p.ask("users", question{want: "bob cid dan"})
	p.expect("nothing is left of it", func() error {
		_, err := p.record("posts", id(1))
		if fault.Of(err) != fault.NotFound {
			return fmt.Errorf("%v, want not found", err)
		}
		return nil
	})
}
