package same_test

import "testing"

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
