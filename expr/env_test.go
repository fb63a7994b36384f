package expr

import (
	"slices"
	"sort"
)

// The app of these tests: people with posts, a post with an author, an editor who may be
// missing, and topics.
type testEnv map[string][]Member

func (e testEnv) Member(collection, name string) (Member, bool) {
	for _, m := range e[collection] {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

func (e testEnv) Members(collection string) []string {
	var names []string
	for _, m := range e[collection] {
		names = append(names, m.Name)
	}
	sort.Strings(names)
	return names
}

func (e testEnv) Auth(name string) (Type, bool) {
	switch name {
	case "id":
		return Type{Kind: Text, Ref: "people"}, true
	case "role":
		return Type{Kind: Text}, true
	case "signedIn":
		return Type{Kind: Bool}, true
	case TeamsAs + "owner":
		return Type{Kind: List, Elem: Text}, true
	}
	m, ok := e.Member("people", name)
	return m.Type, ok && !m.Inverse
}

func (e testEnv) Roles() []string { return []string{"member", "staff"} }

func (e testEnv) TeamRoles() []string { return []string{"owner"} }

func text(name string, ord int) Member {
	return Member{Name: name, Ord: ord, Type: Type{Kind: Text}, Fold: -1, Key: -1}
}

func kind(name string, ord int, t Type) Member {
	return Member{Name: name, Ord: ord, Type: t, Fold: -1, Key: -1}
}

var statuses = []string{"draft", "live", "old"}

var env = testEnv{
	"posts": {
		text("id", 0),
		kind("created", 1, Type{Kind: Time}),
		kind("updated", 2, Type{Kind: Time}),
		kind("rev", 3, Type{Kind: Int}),
		text("title", 4),
		text("body", 5),
		kind("n", 6, Type{Kind: Int}),
		kind("big", 7, Type{Kind: Bigint}),
		kind("f", 8, Type{Kind: Float}),
		kind("price", 9, Type{Kind: Decimal, Scale: 2}),
		kind("rate", 10, Type{Kind: Decimal, Scale: 4}),
		kind("ok", 11, Type{Kind: Bool}),
		kind("day", 12, Type{Kind: Date}),
		kind("at", 13, Type{Kind: Time}),
		kind("status", 14, Type{Kind: Text, Enum: statuses}),
		kind("author", 15, Type{Kind: Text, Ref: "people"}),
		kind("editor", 16, Type{Kind: Text, Ref: "people"}),
		kind("tags", 17, Type{Kind: List, Elem: Text}),
		kind("topics", 18, Type{Kind: List, Elem: Text, Ref: "topics"}),
		{Name: "meta", Ord: 19, Type: Type{Kind: JSON}, Fold: -1, Key: -1, JSON: true},
		{Name: "email", Ord: 20, Type: Type{Kind: Text, CI: true}, Fold: 21, Key: -1},
		{Name: "phone", Ord: 22, Type: Type{Kind: Text}, Fold: -1, Key: 23, Encrypted: true},
		{Name: "notes", Ord: 24, Type: Type{Kind: Text}, Fold: -1, Key: -1, Encrypted: true},
		{Name: "secret", Ord: 25, Type: Type{Kind: Text}, Fold: -1, Key: -1, Hidden: true},
		kind("m", 26, Type{Kind: Int}),
		kind("on", 27, Type{Kind: Bool}),
		kind("grades", 28, Type{Kind: List, Elem: Int}),
		{Name: "alias", Ord: 29, Type: Type{Kind: Text, CI: true}, Fold: 30, Key: -1},
	},
	"people": {
		text("id", 0),
		kind("created", 1, Type{Kind: Time}),
		kind("updated", 2, Type{Kind: Time}),
		kind("rev", 3, Type{Kind: Int}),
		text("name", 4),
		{Name: "email", Ord: 5, Type: Type{Kind: Text, CI: true}, Fold: 6, Key: -1},
		kind("boss", 7, Type{Kind: Text, Ref: "people"}),
		kind("limit", 8, Type{Kind: Int}),
		kind("active", 9, Type{Kind: Bool}),
		kind("teams", 10, Type{Kind: List, Elem: Text}),
		{Name: "posts", Ord: 15, Type: Type{Kind: List, Elem: Row, Ref: "posts"}, Inverse: true, Fold: -1, Key: -1, RefName: "author"},
		{Name: "edits", Ord: 16, Type: Type{Kind: List, Elem: Row, Ref: "posts"}, Inverse: true, Fold: -1, Key: -1, RefName: "editor"},
	},
	"topics": {
		text("id", 0),
		text("name", 4),
		{Name: "posts", Ord: 18, Type: Type{Kind: List, Elem: Row, Ref: "posts"}, Inverse: true, Fold: -1, Key: -1, RefName: "topics"},
	},
}

// record makes a row of a collection from its fields by name; the folds are made here.
func record(collection string, fields map[string]Value) []Value {
	r := make([]Value, 32)
	for name, v := range fields {
		m, ok := env.Member(collection, name)
		if !ok {
			panic("no field " + name)
		}
		r[m.Ord] = v
		if m.Fold >= 0 && !v.IsNull() {
			r[m.Fold] = TextOf(Fold(v.Text()))
		}
		if m.Key >= 0 && !v.IsNull() {
			r[m.Key] = TextOf("hash:" + v.Text())
		}
	}
	return r
}

type store map[string][][]Value

func (s store) Fetch(collection, id string) ([]Value, error) {
	for _, r := range s[collection] {
		if r[0].Text() == id {
			return r, nil
		}
	}
	return nil, nil
}

func (s store) Referring(collection string, ord int, id string) ([][]Value, error) {
	var found [][]Value
	for _, r := range s[collection] {
		if v := r[ord]; v.Kind() == List && slices.ContainsFunc(v.List(), func(i Value) bool { return i.Text() == id }) || v.Kind() == Text && v.Text() == id {
			found = append(found, r)
		}
	}
	return found, nil
}

type caller map[string]Value

func (c caller) Field(name string) Value {
	if name == "signedIn" {
		return BoolOf(!c["id"].IsNull())
	}
	return c[name]
}

func (c caller) Has(role string) bool {
	return role == "member" && !c["role"].IsNull() || role == c["role"].Text() && role != ""
}

const nowMs = 1_767_225_600_000 // 2026-01-01T00:00:00Z

var people = [][]Value{
	record("people", map[string]Value{"id": TextOf("ann"), "name": TextOf("Ann"), "email": TextOf("Ann@Example.com"), "limit": IntOf(10), "active": BoolOf(true), "boss": TextOf("bob"), "teams": ListOf(TextOf("a"), TextOf("b"))}),
	record("people", map[string]Value{"id": TextOf("bob"), "name": TextOf("Bob"), "email": TextOf("STRASSE@x.de"), "limit": IntOf(3)}),
}

// full has every field; empty has none but its id.
var (
	full = record("posts", map[string]Value{
		"id": TextOf("p1"), "created": TimeOf(nowMs - 3_600_000), "updated": TimeOf(nowMs), "rev": IntOf(2),
		"title": TextOf("Crème"), "body": TextOf("hello world"), "n": IntOf(5), "m": IntOf(-3), "big": BigintOf(1 << 62), "f": FloatOf(2.5),
		"price": DecimalOf(1050, 2), "rate": DecimalOf(105000, 4), "ok": BoolOf(true), "on": BoolOf(false), "day": DateOf("2026-01-01"), "at": TimeOf(nowMs),
		"status": TextOf("live"), "author": TextOf("ann"), "editor": TextOf("bob"), "tags": ListOf(TextOf("red"), TextOf("blue")),
		"topics": ListOf(TextOf("t1"), TextOf("t2")), "meta": JSONOf(`{"a":1}`), "email": TextOf("Straße@X.de"), "alias": TextOf("STRASSE@x.de"),
		"phone": TextOf("123"), "notes": TextOf("x"), "secret": TextOf("s"), "grades": ListOf(IntOf(1), IntOf(2)),
	})
	empty = record("posts", map[string]Value{"id": TextOf("p2")})

	world = store{
		"people": people,
		"posts":  {full, empty},
		"topics": {
			record("topics", map[string]Value{"id": TextOf("t1"), "name": TextOf("go")}),
			record("topics", map[string]Value{"id": TextOf("t2"), "name": TextOf("sql")}),
		},
	}

	ann    = caller{"id": TextOf("ann"), "role": TextOf("staff"), "name": TextOf("Ann"), "email": TextOf("strasse@X.DE"), "limit": IntOf(10), "active": BoolOf(true), "teams": ListOf(TextOf("red"))}
	nobody = caller{}
)

func scope(r []Value, who Auth) *Scope {
	return &Scope{Rows: [][]Value{r, r}, Now: nowMs, Auth: who, Fetch: world}
}
