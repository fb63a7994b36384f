package data_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// shelf is a blog with five posts: a, b and c published, d a draft of ann, e a draft of bob.
func shelf(h *house) (ids map[string]string) {
	ids = map[string]string{}
	ids["ann"] = h.create(staff, "authors", `{"name":"Ann","email":"ann@example.com"}`)
	ids["bob"] = h.create(staff, "authors", `{"name":"Bob"}`)
	post := func(by data.Caller, name, rest string) {
		ids[name] = h.create(by, "posts", `{"name":"`+name+`",`+rest+`}`)
	}
	post(ann, "a", `"status":"published","author":"`+ids["ann"]+`","views":3,"price":"1.50","tags":["x","y"]`)
	post(ann, "b", `"status":"published","author":"`+ids["bob"]+`","views":1,"price":"10","tags":[]`)
	post(bob, "c", `"status":"published","views":2,"meta":{"k":null}`)
	post(ann, "d", `"author":"`+ids["ann"]+`","secret":"deep"`)
	post(bob, "e", `"author":"`+ids["bob"]+`"`)
	for i := range 4 {
		h.create(nobody, "comments", fmt.Sprintf(`{"name":"c%d","post":"%s"}`, i, ids["a"]))
	}
	h.create(nobody, "comments", `{"name":"on d","post":"`+ids["d"]+`"}`)
	return ids
}

func TestListFilters(t *testing.T) { onEach(t, blog, testListFilters) }

func testListFilters(h *house) {
	t := h.t
	shelf(h)
	for _, c := range []struct {
		by           data.Caller
		filter, want string
	}{
		{nobody, ``, "a b c"},
		{ann, ``, "a b c d"},
		{staff, ``, "a b c d e"},
		{staff, `status == "draft"`, "d e"},
		{staff, `status != "draft"`, "a b c"},
		{ann, `owner == auth.id`, "a b d"},
		{nobody, `owner == auth.id`, ""},
		{staff, `author == null`, "c"},
		{staff, `author != null && views > 1`, "a"},
		{staff, `price > 1.5`, "b"},
		{staff, `price >= "1.50"`, "a b"},
		{staff, `!(price > 2)`, "a c d e"},
		{staff, `author.name == "Ann"`, "a d"},
		{staff, `author.name != "Ann"`, "b c e"},
		{staff, `author.email == "ANN@EXAMPLE.COM"`, "a d"},
		{staff, `"x" in tags`, "a"},
		{staff, `size(tags) == 0`, "b c d e"},
		{staff, `tags.exists(t, t.startsWith("y"))`, "a"},
		{staff, `name in ["a", "e", "zz"]`, "a e"},
		{staff, `comments.exists(c, c.name == "c2")`, "a"},
		{staff, `comments.exists(c, c.name.startsWith("on"))`, "d"},
		{staff, `size(comments) > 1`, "a"},
		{staff, `secret != null`, "d"},
		{staff, `meta == null`, "a b d e"},
		{staff, `created < now`, "a b c d e"},
		{staff, `created < now - duration("1h")`, ""},
		{staff, `name > "b" && name <= "d"`, "c d"},
		{staff, `views == 3 ? true : name == "e"`, "a e"},
	} {
		if got := h.names(c.by, data.ListQuery{Collection: "posts", Filter: c.filter, Sort: "name"}); got != c.want {
			t.Errorf("%s: got %q, want %q", c.filter, got, c.want)
		}
	}
	// Paths go only through what the caller may read: d is not there for bob's comments.
	if got := h.names(bob, data.ListQuery{Collection: "comments", Filter: `post.name == "d"`}); got != "" {
		t.Errorf("bob sees %q", got)
	}
	if got := h.names(ann, data.ListQuery{Collection: "comments", Filter: `post.name == "d"`}); got != "on d" {
		t.Errorf("ann sees %q", got)
	}
	if got := h.names(bob, data.ListQuery{Collection: "authors", Filter: `posts.exists(p, p.status == "draft")`}); got != "Bob" {
		t.Errorf("bob sees drafts of %q", got)
	}
	// What may not be read may not be asked, and the answer is that of a name that does not exist.
	for _, filter := range []string{`secret != null`, `nope == 1`, `author.email == "ann@example.com"`} {
		_, err := h.List(h.ctx, ann, &data.ListQuery{Collection: "posts", Filter: filter}, nil)
		wantKind(t, err, fault.BadRequest, "unknown")
	}
	_, err := h.List(h.ctx, staff, &data.ListQuery{Collection: "posts", Filter: `secret == "deep"`}, nil)
	if fault.Of(err) != fault.BadRequest {
		t.Errorf("an encrypted field is compared: %v", err)
	}
}

func TestListPages(t *testing.T) { onEach(t, blog, testListPages) }

func testListPages(h *house) {
	t := h.t
	shelf(h)
	for _, sort := range []string{"", "name", "-name", "views", "-views,name", "price", "-price", "author,-name", "-author", "created", "-created", "id", "-id"} {
		whole := h.names(staff, data.ListQuery{Collection: "posts", Sort: sort, Limit: 500})
		if len(strings.Fields(whole)) != 5 {
			t.Fatalf("sort %q: %q", sort, whole)
		}
		for limit := 1; limit < 5; limit++ {
			q := data.ListQuery{Collection: "posts", Sort: sort, Limit: limit}
			var names []string
			for page := 0; ; page++ {
				if page > 5 {
					t.Fatalf("sort %q: the pages do not end", sort)
				}
				n := body(t, h.list(staff, q))
				items, _ := n.Get("items")
				for i := range items.Items {
					name, _ := items.Items[i].Get("name")
					names = append(names, name.Text)
				}
				next, ok := n.Get("next")
				if !ok {
					break
				}
				q.Cursor = next.Text
			}
			if got := strings.Join(names, " "); got != whole {
				t.Errorf("sort %q by %d: got %q, want %q", sort, limit, got, whole)
			}
		}
	}
	next, _ := body(t, h.list(staff, data.ListQuery{Collection: "posts", Limit: 1})).Get("next")
	for _, q := range []data.ListQuery{
		{Collection: "posts", Limit: 1, Cursor: next.Text, Sort: "name"},
		{Collection: "posts", Limit: 1, Cursor: next.Text, Filter: "views > 0"},
		{Collection: "comments", Limit: 1, Cursor: next.Text},
		{Collection: "posts", Cursor: next.Text[:len(next.Text)-1] + "~"},
		{Collection: "posts", Cursor: "AAAA"},
	} {
		_, err := h.List(h.ctx, staff, &q, nil)
		wantKind(t, err, fault.BadRequest, "syntax")
	}
}

func TestListWhole(t *testing.T) { onEach(t, blog, testListWhole) }

func testListWhole(h *house) {
	t, ids := h.t, shelf(h)
	got := h.list(staff, data.ListQuery{Collection: "posts", Filter: `views >= 1`, Fields: "name,views", Sort: "-views", Count: true, Limit: 2})
	want := `{"items":[{"id":"` + ids["a"] + `","name":"a","views":3},{"id":"` + ids["c"] + `","name":"c","views":2}],"next":"`
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `","total":3}`) {
		t.Errorf("got %s", got)
	}
	got = h.list(staff, data.ListQuery{Collection: "posts", Fields: "name", Sort: "name", Limit: 2,
		Expand: "author(fields=name),comments(limit=2,sort=-name,fields=name)"})
	n := body(t, got)
	items, _ := n.Get("items")
	expand, _ := items.Items[0].Get("expand")
	comments, _ := expand.Get("comments")
	if len(comments.Items) != 2 || !strings.Contains(got, `"name":"c3"},`) || !strings.Contains(got, `"author":{"id":"`+ids["ann"]+`","name":"Ann"}`) {
		t.Errorf("got %s", got)
	}
	// what cannot be read is not expanded
	got = h.list(bob, data.ListQuery{Collection: "comments", Filter: `name == "on d"`, Expand: "post"})
	if !strings.Contains(got, `"expand":{}`) {
		t.Errorf("got %s", got)
	}
	got = h.list(bob, data.ListQuery{Collection: "authors", Sort: "name", Fields: "name", Expand: "posts(sort=name,fields=name,expand=author(fields=name))"})
	if strings.Contains(got, `"name":"d"`) || !strings.Contains(got, `"name":"e"`) {
		t.Errorf("bob gets %s", got)
	}
	order := h.list(bob, data.ListQuery{Collection: "authors", Sort: "name", Fields: "name", Expand: "posts(sort=name,expand=author(fields=name),fields=name)"})
	if order != got {
		t.Errorf("options in another order give %s, want %s", order, got)
	}
	for _, q := range []data.ListQuery{{Expand: "nope"}, {Expand: "name"}, {Expand: "comments(limit=0)"}, {Expand: "comments(limit=101)"},
		{Expand: "author("}, {Expand: "author,author"}, {Sort: "nope"}, {Sort: "tags"}, {Sort: "meta"}, {Sort: "name,name"}, {Fields: "nope"},
		{Sort: "secret"}, {Limit: 501}, {Limit: -1}, {Filter: "name"}, {Filter: "name =="}, {Filter: `status == "gone"`}} {
		q.Collection = "posts"
		_, err := h.List(h.ctx, ann, &q, nil)
		if fault.Of(err) != fault.BadRequest {
			t.Errorf("%+v: got %v", q, err)
		}
	}
}

func TestGroups(t *testing.T) { onEach(t, blog, testGroups) }

func testGroups(h *house) {
	t := h.t
	shelf(h)
	for _, c := range []struct {
		by                           data.Caller
		filter, group, agg, expected string
	}{
		{staff, ``, "status", "count", `{"groups":[{"status":"draft","count":2},{"status":"published","count":3}]}`},
		{nobody, ``, "status", "count", `{"groups":[{"status":"published","count":3}]}`},
		{staff, ``, "", "count,sum(views),avg(views),min(price),max(price),sum(price),avg(price)",
			`{"groups":[{"count":5,"sum(views)":6,"avg(views)":"1.2000","min(price)":"1.50","max(price)":"10.00","sum(price)":"11.50","avg(price)":"5.750000"}]}`},
		{staff, `name == "none"`, "", "count,sum(views),avg(price)", `{"groups":[{"count":0,"sum(views)":null,"avg(price)":null}]}`},
		{nobody, `owner == auth.id`, "", "count", `{"groups":[{"count":0}]}`},
		{nobody, `owner == auth.id`, "status", "count", `{"groups":[]}`},
	} {
		got, err := h.Groups(h.ctx, c.by, &data.GroupQuery{Collection: "posts", Filter: c.filter, Group: c.group, Aggregate: c.agg}, nil)
		if err != nil || string(got) != c.expected {
			t.Errorf("%s: got %s %v", c.group+c.agg, got, err)
		}
	}
	for _, q := range []data.GroupQuery{{}, {Group: "secret"}, {Aggregate: "sum(name)"}, {Aggregate: "total(views)"}, {Aggregate: "sum(views"}, {Group: "tags"}} {
		q.Collection = "posts"
		if _, err := h.Groups(h.ctx, ann, &q, nil); fault.Of(err) != fault.BadRequest {
			t.Errorf("%+v: got %v", q, err)
		}
	}
}

// All that is wrong with a question is told at once.
func TestMistakesOfAQuestionAreToldTogether(t *testing.T) {
	onEach(t, blog, func(h *house) {
		_, err := h.List(h.ctx, staff, &data.ListQuery{Collection: "posts", Filter: "nope == 1", Sort: "-nope", Fields: "name,nope", Expand: "nope"}, nil)
		wantKind(h.t, err, fault.BadRequest, "unknown", "unknown", "unknown", "unknown")
		_, _, err = h.Get(h.ctx, staff, data.Target{Collection: "posts", ID: "x"}, data.View{Fields: "nope", Expand: "nope"}, nil)
		wantKind(h.t, err, fault.BadRequest, "unknown", "unknown")
		_, err = h.Groups(h.ctx, staff, &data.GroupQuery{Collection: "posts", Filter: "nope == 1", Group: "nope", Aggregate: "sum(nope)"}, nil)
		wantKind(h.t, err, fault.BadRequest, "unknown", "unknown", "unknown")
	})
}

// A question is not taken for another that differs in what stands between its words.
func TestQuestionsAreNotMixedUp(t *testing.T) {
	onEach(t, blog, func(h *house) {
		h.list(staff, data.ListQuery{Collection: "posts", Expand: "author", Count: true})
		for _, q := range []data.ListQuery{
			{Collection: "posts", Expand: "author\x01"}, {Collection: "posts", Expand: "author\x00"}, {Collection: "posts", Sort: "\x00\x00author"},
		} {
			if got, err := h.List(h.ctx, staff, &q, nil); !fault.Is(err, fault.BadRequest) {
				h.t.Errorf("%+v was answered: %s %v", q, got, err)
			}
		}
	})
}

const nested = `
name: nested
collections:
  people:
    fields:
      boss: {type: ref, to: people}
      life: {type: json}
    access: {read: true, write: true}
  posts:
    fields: {author: {type: ref, to: people}}
    access: {read: true, write: true}
`

// An answer is bounded however deep what is long is expanded.
func TestExpansionsAreBounded(t *testing.T) {
	onEach(t, nested, func(h *house) {
		author := h.create(nobody, "people", `{"life":"`+strings.Repeat("x", 60<<10)+`"}`)
		ops := make([]data.Operation, 500)
		for i := range ops {
			ops[i] = data.Operation{Op: "create", Collection: "posts", Body: body(h.t, `{"author":"`+author+`"}`)}
		}
		if _, _, err := h.Batch(h.ctx, nobody, ops, true, data.WriteOptions{}); err != nil {
			h.t.Fatal(err)
		}
		for _, expand := range []string{"author", "author(expand=boss)"} {
			out, err := h.List(h.ctx, nobody, &data.ListQuery{Collection: "posts", Limit: 500, Expand: expand}, nil)
			if !fault.Is(err, fault.BadRequest) {
				h.t.Errorf("%s: %d bytes, %v", expand, len(out), err)
			}
		}
	})
}

func TestExpandOptionsAreGivenOnce(t *testing.T) {
	onEach(t, blog, func(h *house) {
		_, err := h.List(h.ctx, staff, &data.ListQuery{Collection: "posts", Expand: "comments(limit=1,limit=2)"}, nil)
		wantKind(h.t, err, fault.BadRequest, "syntax")
	})
}

// Whoever asks for more groups than an answer has is told.
func TestMoreGroupsThanAreAnswered(t *testing.T) {
	onEach(t, blog, func(h *house) {
		ops := make([]data.Operation, 500)
		for i := range ops {
			ops[i] = data.Operation{Op: "create", Collection: "authors", Body: body(h.t, `{"name":"n`+strconv.Itoa(i)+`"}`)}
		}
		ask := func() (n int, more bool) {
			out, err := h.Groups(h.ctx, staff, &data.GroupQuery{Collection: "authors", Group: "name", Aggregate: "count"}, nil)
			if err != nil {
				h.t.Fatal(err)
			}
			answer := body(h.t, string(out))
			groups, _ := answer.Get("groups")
			_, more = answer.Get("more")
			return len(groups.Items), more
		}
		if _, _, err := h.Batch(h.ctx, staff, ops, true, data.WriteOptions{}); err != nil {
			h.t.Fatal(err)
		}
		if n, more := ask(); n != 500 || more {
			h.t.Errorf("%d groups, more: %t", n, more)
		}
		h.create(staff, "authors", `{"name":"one more"}`)
		if n, more := ask(); n != 500 || !more {
			h.t.Errorf("%d groups, more: %t", n, more)
		}
	})
}

// TestLongPaths: what a database cannot be asked is refused as the caller's.
func TestLongPaths(t *testing.T) {
	const people = `
name: test
collections:
  people:
    fields: {name: {type: text, max: 9}, boss: {type: ref, to: people}}
    access: {read: 'boss.boss.name != "x"', write: true}
`
	onEach(t, people, func(h *house) {
		ask := func(steps int) error {
			_, err := h.List(h.ctx, nobody, &data.ListQuery{Collection: "people", Filter: strings.Repeat("boss.", steps) + `name == "z"`}, nil)
			return err
		}
		if err := ask(10); err != nil {
			t.Errorf("10 references: %v", err)
		}
		if err := ask(11); fault.Of(err) != fault.BadRequest {
			t.Errorf("11 references: %v", err)
		}
	})
}
