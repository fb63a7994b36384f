package drivertest

import (
	"fmt"

	"github.com/bluell/plinth/data"
)

// lists: items are asked with in, exists and all; null is a list without items that is not empty;
// with an index and without the answers are the same.
func lists(s *suite) {
	p := s.pair(`
  things:
    fields:
      name: {type: text, required: true, max: 9}
      tags: {type: list, of: text, max: 10}
      fast: {type: list, of: text, max: 10}
      nums: {type: list, of: int, max: 10}
      floats: {type: list, of: float, max: 10}
      kinds: {type: list, of: enum, values: [one, two, three], max: 10}
      friends: {type: list, of: ref, to: things, inverse: friend_of, max: 10}
    indexes: [[fast], [nums]]
    access: {read: true}
`)
	p.create("things",
		`"name":"a","tags":["x","y"],"fast":["x","y"],"nums":[1,2],"floats":[1.5],"kinds":["one"]`,
		`"name":"b","tags":[],"fast":[],"nums":[],"floats":[],"kinds":[],"friends":[]`,
		`"name":"c"`,
		`"name":"d","tags":["y","y","é"],"fast":["y","y","é"],"nums":[-1,2,9007199254740991],"floats":[-0.5,1e300],"kinds":["two","three"],"friends":["`+id(1)+`"]`,
		`"name":"e","tags":["","\"[,]"],"fast":["","\"[,]"],"nums":[0],"friends":["`+id(1)+`","`+id(4)+`"]`)
	for _, tags := range []string{"tags", "fast"} {
		p.ask("things",
			question{filter: `"y" in ` + tags, want: "a d"},
			question{filter: `!("y" in ` + tags + `)`, want: "b c e"},
			question{filter: `"Y" in ` + tags, want: ""},
			question{filter: `"" in ` + tags, want: "e"},
			question{filter: `"\"[,]" in ` + tags, want: "e"},
			question{filter: `"e\u0301" in ` + tags, want: "d"},
			question{filter: tags + `.exists(t, t.startsWith("x"))`, want: "a"},
			question{filter: tags + `.exists(t, t > "x")`, want: "a d"},
			question{filter: tags + `.exists(t, t == name)`, want: ""},
			question{filter: tags + `.all(t, t >= "y")`, want: "b c d"},
			question{filter: `!` + tags + `.all(t, t >= "y")`, want: "a e"},
			question{filter: `size(` + tags + `) == 0`, want: "b c"},
			question{filter: `size(` + tags + `) == 3`, want: "d"},
			question{filter: `size(` + tags + `) > 1`, want: "a d e"},
			question{filter: tags + ` == null`, want: "c"},
			question{filter: tags + ` != null`, want: "a b d e"},
			question{filter: `name in ` + tags, want: ""},
		)
	}
	p.ask("things",
		question{filter: `2 in nums`, want: "a d"},
		question{filter: `9007199254740991 in nums`, want: "d"},
		question{filter: `nums.exists(n, n < 1)`, want: "d e"},
		question{filter: `nums.all(n, n > 0)`, want: "a b c"},
		question{filter: `1.5 in floats`, want: "a"},
		question{filter: `floats.exists(f, f < 0)`, want: "d"},
		question{filter: `floats.all(f, f > 1)`, want: "a b c e"},
		question{filter: `"two" in kinds`, want: "d"},
		question{filter: `kinds.exists(k, k != "one")`, want: "d"},
		question{filter: `"` + id(1) + `" in friends`, want: "d e"},
		question{filter: `friends.exists(f, f.name == "d")`, want: "e"},
		question{filter: `friends.all(f, f.name == "a")`, want: "a b c d"},
		question{filter: `friends.exists(f, f.friends.exists(g, g.name == "a"))`, want: "e"},
		question{filter: `friend_of.exists(f, f.name == "e")`, want: "a d"},
		question{filter: `size(friend_of) == 2`, want: "a"},
		question{filter: `size(friends) == 1`, want: "d"},
		question{filter: `tags.exists(t, friend_of.exists(f, t in f.tags))`, want: "a"},
		question{filter: `tags.all(t, friends.exists(f, t in f.tags))`, want: "b c"},
		question{filter: `friends.exists(f, f.friend_of.exists(g, g.name == name))`, want: "d e"},
		question{filter: `friends.exists(f, friend_of.exists(g, f.name in g.tags || g.name > f.name && g.name != name))`, want: "d"},
		question{filter: `kinds.exists(k, k != "one" && k != "two")`, want: "d"},
		question{filter: `kinds.exists(k, !(k in ["one", "two"]))`, want: "d"},
		question{filter: `kinds.all(k, k != "one")`, want: "b c d e"},
		question{filter: `tags.exists(t, !t.startsWith("x") && !t.contains("é"))`, want: "a d e"},
		question{filter: `tags.exists(t, t != null)`, want: "a d e"},
		question{filter: `nums.exists(n, n > 0 && n < 2)`, want: "a"},
		question{filter: `nums.exists(n, n > 1 && n < 9007199254740991)`, want: "a d"},
	)
	p.expect("order and repetition are kept", func() error { return want(p.value("things", id(4), "tags"))(`["y","y","é"]`) })
	p.expect("an empty list is not null", func() error { return want(p.value("things", id(2), "fast"))(`[]`) })
	p.expect("a new list replaces the old one", func() error {
		return p.update("things", id(1), `{"fast":["new"],"nums":null,"friends":["`+id(2)+`"]}`)
	})
	p.ask("things",
		question{filter: `"x" in fast`, want: ""},
		question{filter: `"new" in fast`, want: "a"},
		question{filter: `1 in nums`, want: ""},
		question{filter: `friend_of.exists(f, f.name == "a")`, want: "b"},
	)
	p.expect("a deleted record is in no list", func() error { return p.delete("things", id(5)) })
	p.ask("things",
		question{filter: `size(friend_of) == 1`, want: "a b"},
		question{filter: `"" in fast || "" in tags`, want: ""},
	)
	p.expect("a list is read as it was answered when it was written", func() error {
		const tags = `["\b\f\n\u0001","\u2028<>&\u007f","\\\"/"]`
		const floats = `[1e+21,0.1,-5e-324,123456789]`
		_, err := p.both(func(db *data.DB) (string, error) {
			r, err := db.Create(s.Context(), operator, "things", parse(p, `{"id":"`+id(9)+`","name":"f","tags":`+tags+`,"fast":`+tags+`,"floats":`+floats+`}`), data.WriteOptions{})
			if err != nil {
				return "", err
			}
			b, _, err := db.Get(s.Context(), operator, data.Target{Collection: "things", ID: id(9)}, data.View{}, nil)
			if err == nil && string(b) != string(r.Body) {
				err = fmt.Errorf("it is read as %s, and was answered as %s", b, r.Body)
			}
			return string(b), err
		})
		return err
	})
}
