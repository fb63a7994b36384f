package same_test

import (
	"net/url"
	"testing"
)

// fixed are the stories in which engines once disagreed.
var fixed = []struct {
	name  string
	story story
}{
	{"a sum beyond 64 bits is refused in the same words", story{`
auth: {roles: [member, staff, admin]}
collections:
  cats:
    fields: {n: {type: bigint}}
    access: {read: true, create: true}
`, []request{
		{method: "POST", path: "/api/cats", body: `{"id":"01900000-0000-7000-8000-000000000101","n":"9223372036854775807"}`},
		{method: "POST", path: "/api/cats", body: `{"id":"01900000-0000-7000-8000-000000000102","n":"9223372036854775807"}`},
		{method: "GET", path: "/api/cats?aggregate=sum(n)"},
		{method: "GET", path: "/api/cats?group=id&aggregate=avg(n)"},
	}}},
	{"everything that is taken is named, in the order of the app file", story{`
auth: {roles: [member, staff, admin]}
collections:
  cats:
    fields: {a: {type: text, max: 9, ci: true, unique: true}, b: {type: int, unique: true}}
    access: {read: true, create: true}
`, []request{
		{method: "POST", path: "/api/cats", body: `{"id":"01900000-0000-7000-8000-000000000101","a":"x","b":1}`},
		{method: "POST", path: "/api/cats", body: `{"id":"01900000-0000-7000-8000-000000000101","b":1,"a":"X"}`},
		{method: "POST", path: "/api/cats", body: `{"id":"01900000-0000-7000-8000-000000000102","b":1,"a":"X"}`},
		{by: "operator", method: "POST", path: "/api/batch", body: `{"operations":[{"op":"create","collection":"cats","body":{"id":"01900000-0000-7000-8000-000000000103","a":"y","b":2}},` +
			`{"op":"create","collection":"cats","body":{"id":"01900000-0000-7000-8000-000000000103","a":"Y","b":2}}]}`},
	}}},
	{"of several that still refer to a record the first in the app file is named", story{`
auth: {roles: [member, staff, admin]}
collections:
  tags: {fields: {n: {type: int}}, access: {read: true, create: true, delete: true}}
` + referring("ants", "bees", "cats", "dogs", "elks", "flies"), []request{
		{method: "POST", path: "/api/tags", body: `{"id":"01900000-0000-7000-8000-000000000101"}`},
		{method: "POST", path: "/api/ants", body: `{"id":"01900000-0000-7000-8000-000000000201","tag":"01900000-0000-7000-8000-000000000101"}`},
		{method: "POST", path: "/api/bees", body: `{"id":"01900000-0000-7000-8000-000000000202","tag":"01900000-0000-7000-8000-000000000101"}`},
		{method: "POST", path: "/api/cats", body: `{"id":"01900000-0000-7000-8000-000000000203","tag":"01900000-0000-7000-8000-000000000101"}`},
		{method: "POST", path: "/api/dogs", body: `{"id":"01900000-0000-7000-8000-000000000204","tag":"01900000-0000-7000-8000-000000000101"}`},
		{method: "POST", path: "/api/elks", body: `{"id":"01900000-0000-7000-8000-000000000205","tag":"01900000-0000-7000-8000-000000000101"}`},
		{method: "POST", path: "/api/flies", body: `{"id":"01900000-0000-7000-8000-000000000206","tag":"01900000-0000-7000-8000-000000000101"}`},
		{method: "DELETE", path: "/api/tags/01900000-0000-7000-8000-000000000101"},
	}}},
	{"records of an inverse are compared with what a path leads to, and a list is read as it was answered", story{`
auth: {roles: [member, staff, admin]}
collections:
  cats:
    fields: {n: {type: int}, up: {type: ref, to: cats, inverse: kittens}, names: {type: list, of: text}}
    access: {read: true, create: true}
`, []request{
		{method: "POST", path: "/api/cats", body: `{"id":"01900000-0000-7000-8000-000000000101","n":1,"names":["\u2028\b"]}`},
		{method: "POST", path: "/api/cats", body: `{"id":"01900000-0000-7000-8000-000000000102","n":1,"up":"01900000-0000-7000-8000-000000000101"}`},
		{method: "GET", path: "/api/cats/01900000-0000-7000-8000-000000000101"},
		{method: "GET", path: "/api/cats?filter=" + url.QueryEscape("up.kittens.exists(k, k.id == id)")},
		{method: "GET", path: "/api/cats?filter=" + url.QueryEscape("kittens.exists(k, k.n == up.n && k.names == null)")},
		{method: "GET", path: "/api/cats?filter=" + url.QueryEscape("id in up.kittens")},
	}}},
}

// referring are collections, in the app file, that refer to tags.
func referring(names ...string) (text string) {
	for _, name := range names {
		text += "  " + name + ": {fields: {tag: {type: ref, to: tags}}, access: {read: true, create: true}}\n"
	}
	return text
}

func TestFixed(t *testing.T) {
	t.Parallel()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range fixed {
				t.Run(c.name, func(t *testing.T) {
					same, n, got, want, err := c.story.tell(t, e)
					if err != nil {
						t.Fatal(err)
					}
					if !same {
						t.Errorf("%s\n%s says %s\nmemory says %s", c.story.asked[n-1], e.name, got, want)
					}
				})
			}
		})
	}
}
