package expr

import "testing"

func TestWords(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`author == auth.id`:              `author is the caller`,
		`auth.id == author`:              `author is the caller`,
		`author != auth.id`:              `author is not the caller`,
		`!(author == auth.id)`:           `author is not the caller`,
		`status != "draft"`:              `status is not "draft"`,
		`ok`:                             `ok is true`,
		`!ok`:                            `ok is not true`,
		`title == null`:                  `title is not set`,
		`has(title)`:                     `title is set`,
		`auth.id == null`:                `the caller is no user`,
		`auth.id != null`:                `the caller is a user`,
		`auth.signedIn`:                  `the caller is signed in`,
		`!auth.signedIn`:                 `the caller is not signed in`,
		`auth.has("staff")`:              `the caller has the role staff or a later one`,
		`n < 3`:                          `n is below 3`,
		`n >= auth.limit`:                `n is at least the caller's limit`,
		`at <= now`:                      `at is at or before now`,
		`now > at`:                       `now is after at`,
		`status in ["draft", "live"]`:    `status is one of "draft", "live"`,
		`!(status in ["draft", "live"])`: `status is none of "draft", "live"`,
		`"a" in tags`:                    `"a" is among tags`,
		`!(title in auth.teams)`:         `title is not among the caller's teams`,
		`title in auth.teams`:            `title is among the caller's teams`,
		`title in auth.teamsAs("owner")`: `title is among the teams in which the caller has the role owner or a later one`,
		`title.startsWith("a")`:          `title starts with "a"`,
		`author.boss == auth.id`:         `author.boss is the caller`,
		`size(tags) > 2`:                 `the number of tags is above 2`,
		`size(title) > 2`:                `the length of title is above 2`,
		`tags.exists(x, x == "a")`:       `for one of tags, it is "a"`,
		`author.posts.exists(p, p.editor == auth.id)`:            `for one of author.posts, its editor is the caller`,
		`author.posts.all(p, p.ok && p.n > 1)`:                   `for each of author.posts, (its ok is true and its n is above 1)`,
		`ok || author == auth.id && n > 1`:                       `ok is true or (author is the caller and n is above 1)`,
		`(ok || author == auth.id) && n > 1`:                     `(ok is true or author is the caller) and n is above 1`,
		`ok && tags.exists(x, x == "a")`:                         `ok is true and (for one of tags, it is "a")`,
		`title < "b"`:                                            "`title < \"b\"`",
		`!(n < 3)`:                                               "`!(n < 3)`",
		`(ok ? n : m) == 5`:                                      "`(ok ? n : m) == 5`",
		`n + 1 > 5 && ok`:                                        "`n + 1 > 5` and ok is true",
		`at > now - duration("2h")`:                              "`at > now - duration(\"2h0m0s\")`",
		`author.posts.exists(p, p.n + 1 > 2)`:                    "`author.posts.exists(x, x.n + 1 > 2)`",
		`author.posts.exists(p, p.ok || p.title < "b")`:          "`author.posts.exists(x, x.ok || x.title < \"b\")`",
		`author.posts.exists(p, p.tags.exists(t, t == p.title))`: "`author.posts.exists(x, x.tags.exists(y, y == x.title))`",
	} {
		e, err := Compile(src, env, "posts", InWrite)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := e.Words(e.Root); got != want {
			t.Errorf("%s is %s, want %s", src, got, want)
		}
	}
	e, err := Compile(`input.author == author && input.n > n`, env, "posts", InUpdate)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Words(e.Root); got != `the new author is author and the new n is above n` {
		t.Error(got)
	}
}

// somebody is a kind of callers of the tests: users with a role, whose id and record are not known.
type somebody struct {
	role string
	user bool
}

func (s somebody) Field(name string) (v Value, known, set bool) {
	switch {
	case name == "role" && s.role != "":
		return TextOf(s.role), true, false
	case name == "signedIn":
		return BoolOf(s.user || s.role != ""), true, false
	case s.user && name != "role":
		return Value{}, false, name == "id"
	}
	return Value{}, true, false
}

func (s somebody) Has(role string) bool { return s.role == role || s.role == "staff" }

func TestSuppose(t *testing.T) {
	t.Parallel()
	nobody, member, key := somebody{}, somebody{"member", true}, somebody{"member", false}
	for _, c := range []struct {
		src  string
		who  somebody
		want string
	}{
		{`auth.has("staff") || author == auth.id`, nobody, `false`},
		{`auth.has("staff") || author == auth.id`, member, `author == auth.id`},
		{`auth.has("staff") || author == auth.id`, somebody{"staff", true}, `true`},
		{`auth.has("staff") || author == auth.id`, key, `false`},
		{`author != auth.id`, key, `true`},
		{`auth.id != null`, member, `true`},
		{`auth.id == null || n > 1`, member, `n > 1`},
		{`auth.id == null`, key, `true`},
		{`auth.name == null`, member, `auth.name == null`},
		{`auth.name == null`, key, `true`},
		{`auth.role == "member" && n > 1`, member, `n > 1`},
		{`auth.signedIn && auth.has("staff")`, member, `false`},
		{`author.posts.exists(p, p.editor == auth.id)`, key, `false`},
		{`author.posts.exists(p, p.editor == auth.id)`, member, `author.posts.exists(x, x.editor == auth.id)`},
		{`auth.signedIn ? n > 1 : true`, member, `n > 1`},
	} {
		e, err := Compile(c.src, env, "posts", InWrite)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		if got := e.Written(Suppose(e.Root, c.who)); got != c.want {
			t.Errorf("%s for %+v is %s, want %s", c.src, c.who, got, c.want)
		}
	}
}

func TestTidy(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`ok && n > 1 && ok`:               `ok && n > 1`,
		`(ok || n > 1) && n > 1`:          `n > 1`,
		`(ok || n > 1) && m > 1`:          `(ok || n > 1) && m > 1`,
		`n > 1 && (ok || m > 2) && n > 1`: `n > 1 && (ok || m > 2)`,
	} {
		e, err := Compile(src, env, "posts", InRule)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Written(Tidy(e.Root)); got != want {
			t.Errorf("%s is %s, want %s", src, got, want)
		}
	}
}
