package spec

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const tested = `auth: {roles: [member, staff]}
collections:
  users: {fields: {team: {type: text, write: 'false'}}}
  posts:
    fields: {title: {type: text, required: true, max: 9}, author: {type: ref, to: users}, n: {type: int}, price: {type: decimal, scale: 2}}
    access: {read: true, update: author == auth.id}
tests:
  - name: an author changes what is hers
    given:
      users: {anna: {email: anna@example.com, team: red}}
      posts:
        first: {title: "007", author: $anna, n: 5, price: 1.50}
        odd:   {title: $$5}
    as: anna
    now: 2026-02-03T04:05:06+01:00
    do: update posts $first
    body: {title: New, author: $anna}
    expect: {records: [first], record: {author: $anna, price: 1.50}, fields: [title, author, n, price], lacks: [created]}
  - name: a member writes nothing
    as: {role: member, with: {team: blue}}
    do: POST /api/posts
    body: {title: A, author: $me, n: many}
    expect: denied
  - {name: a list, do: list posts, query: {filter: 'title == "a"', sort: -n}, expect: 200}
  - {name: a key, as: {key: staff, readOnly: true}, do: 'GET /api/posts?filter=n == 1', expect: {errors: [n]}}
`

func TestTests(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, tested)
	if len(app.Tests) != 4 {
		t.Fatalf("%d tests", len(app.Tests))
	}
	x := app.Tests[0]
	anna, first := testID(1), testID(2)
	if len(x.Given) != 3 || x.Given[1].ID != first || x.Given[1].Name != "first" {
		t.Fatalf("%+v", x.Given)
	}
	for i, want := range []string{`{"email":"anna@example.com","id":"` + anna + `","team":"red"}`,
		`{"author":"` + anna + `","id":"` + first + `","n":5,"price":"1.50","title":"007"}`, `{"id":"` + testID(3) + `","title":"$5"}`} {
		if got := string(x.Given[i].Body.AppendCanonical(nil)); got != want {
			t.Errorf("record %d is %s, want %s", i, got, want)
		}
	}
	if x.As.User != anna || x.Method != "PATCH" || x.Path != "/api/posts/"+first || x.Asks != (TestTarget{"update", "posts", first}) {
		t.Errorf("%+v %s %s", x.As, x.Method, x.Path)
	}
	if !x.Now.Equal(time.Date(2026, 2, 3, 3, 5, 6, 0, time.UTC)) || x.Pos.Line != 8 || x.At.Line != 16 || x.Expect.Pos.Line != 18 {
		t.Errorf("%v %v %v %v", x.Now, x.Pos, x.At, x.Expect.Pos)
	}
	if got := string(x.Body.AppendCanonical(nil)); got != `{"author":"`+anna+`","title":"New"}` {
		t.Error(got)
	}
	if got := string(x.Expect.Record.AppendCanonical(nil)); got != `{"author":"`+anna+`","price":"1.50"}` || x.Expect.Outcome != "allowed" || x.Expect.Records[0] != first {
		t.Error(got)
	}
	me := app.Tests[1]
	if got := string(me.Body.AppendCanonical(nil)); me.As.Role != "member" || me.Asks.Operation != "create" || got != `{"author":"`+MeID+`","n":"many","title":"A"}` {
		t.Errorf("%+v %s", me, got)
	}
	if got := app.Tests[2].Path; got != "/api/posts?filter=title+%3D%3D+%22a%22&sort=-n" || app.Tests[2].Expect.Status != 200 {
		t.Error(got)
	}
	k := app.Tests[3]
	if k.As.Key != "staff" || !k.As.ReadOnly || k.Path != "/api/posts?filter=n%20==%201" || k.Expect.Status != 422 || !k.Now.Equal(TestNow) {
		t.Errorf("%+v", k)
	}
}

// Tests may stand in files of their own, beside those of the app file.
func TestTestsIncluded(t *testing.T) {
	t.Parallel()
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	app, err := LoadFS(fstest.MapFS{
		"plinth.yaml":  file("include: [tests/*.yaml]\ncollections: {posts: {fields: {a: {type: text}}}}\n" + "tests:\n  - {name: one, do: list posts, expect: allowed}\n"),
		"tests/b.yaml": file("tests:\n  - {name: two, do: list posts, expect: allowed}\n"),
		"tests/c.yaml": file("tests:\n  - {name: three, do: list posts, expect: allowed}\n"),
	}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if len(app.Tests) != 3 || app.Tests[2].Pos.File != "tests/c.yaml" {
		t.Errorf("%+v", app.Tests)
	}
}

func TestTestsMistaken(t *testing.T) {
	t.Parallel()
	const file = `auth: {roles: [member]}
collections: {posts: {fields: {title: {type: text, required: true}, n: {type: int}}}}
tests:
  - {do: list posts, expect: allowed}
  - {name: a, do: list post, expect: allowed}
  - {name: a, do: list posts, expect: allowed}
  - {name: b, do: update posts, expect: allowed}
  - {name: c, do: updte posts $x, expect: allowed}
  - {name: d, do: GET /posts, expect: allowed}
  - {name: e, do: POST /api/auth/login, expect: allowed}
  - {name: f, do: list posts, expect: alowed}
  - {name: g, do: list posts, expect: 20}
  - {name: h, do: list posts}
  - {name: i, as: membr, do: list posts, expect: allowed}
  - {name: j, as: {role: member, key: member}, do: list posts, expect: allowed}
  - {name: k, as: {role: member, readOnly: true}, do: list posts, expect: allowed}
  - {name: l, given: {posts: {one: {titel: A}}}, do: read posts $one, expect: allowed}
  - {name: m, given: {posts: {one: {title: A}}}, do: read posts $on, expect: {fields: [titel], records: [two]}}
  - {name: n, given: {posts: {me: {title: A}, Two: {title: B}}}, do: list posts, expect: allowed}
  - {name: o, do: read posts $me, expect: hidden}
  - {name: p, do: list posts, body: {a: 1}, now: yesterday, expect: {}}
  - {name: q, do: list posts, expect: [allowed]}
  - {name: r, given: {posts: {one: {title: A, n: x}}}, do: list posts, expect: {record: 1}}
  - {name: s, as: {key: member, mfa: true}, do: list posts, expect: allowed}
`
	_, err := load(file)
	want := `plinth.yaml:4:5: name is missing in a test
plinth.yaml:5:19: there is no collection "post" (did you mean "posts"?)
plinth.yaml:6:12: a test of this name is there already, in plinth.yaml on line 5
plinth.yaml:7:19: update takes a collection and a record: update posts $name
plinth.yaml:8:19: do begins with one of list read create update put delete, or GET POST PATCH PUT DELETE and an address, not "updte" (did you mean "update"?)
plinth.yaml:9:19: behind GET stands the address of a route under /api/, not "/posts"
plinth.yaml:10:19: tests ask for records: what is under /api/auth needs a running server
plinth.yaml:11:39: what is expected is allowed, denied, hidden or a status like 422, not "alowed" (did you mean "allowed"?)
plinth.yaml:12:39: what is expected is allowed, denied, hidden or a status like 422, not "20"
plinth.yaml:13:5: expect is missing in a test: write allowed, denied, hidden or a status
plinth.yaml:14:19: as is nobody, a role, operator, or the name of a user under given, not "membr" (did you mean "member"?)
plinth.yaml:15:19: a caller has one of user, role and key
plinth.yaml:16:44: readOnly is for key: people sign in to read and write
plinth.yaml:17:36: title is missing in given: posts requires it
plinth.yaml:17:37: posts has no field "titel" (did you mean "title"?)
plinth.yaml:18:54: no record under given is called "on" (did you mean "$one"?)
plinth.yaml:18:88: posts has no field "titel" (did you mean "title"?)
plinth.yaml:18:106: no record under given is called "two"
plinth.yaml:19:31: "me" is reserved: give a record another name
plinth.yaml:19:47: "Two" is not a name for a record: lower-case letters, digits and _, a letter first, at most 40 (did you mean "two"?)
plinth.yaml:20:19: $me is the user whom as: {role: …} makes; this caller has a name of his own, or no id
plinth.yaml:21:37: a GET has no body
plinth.yaml:21:50: now is a time like 2026-01-31T12:00:00Z, not "yesterday"
plinth.yaml:21:69: expect is empty: write allowed, denied, hidden or a status
plinth.yaml:22:39: expect is a word or a map, not a list
plinth.yaml:23:50: n is a whole number within ±(2^53−1), not "x"
plinth.yaml:23:89: record is a map of fields and values, not "1"
plinth.yaml:24:38: mfa is for user and role: a key has no second factor`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// What comes from the environment is not told, nor are its parts.
func TestTestsKeepTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, do := range []string{"${SAYS}", "list ${SAYS}", "GET ${SAYS}", "GET /api/${SAYS}", "read posts ${NAME}"} {
		file := "collections: {posts: {fields: {a: {type: text}}}}\ntests:\n  - {name: a, do: '" + do + "', expect: allowed}\n"
		_, err := LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(file)}}, func(name string) (string, bool) {
			return map[string]string{"SAYS": "hunter2", "NAME": "$hunter2"}[name], true
		})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", do, err)
		}
	}
}
