package expr

import "testing"

func TestWritten(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`auth.has('staff')`:                       `auth.has("staff")`,
		`title in auth.teamsAs('owner')`:          `title in auth.teamsAs("owner")`,
		`size(auth.teamsAs('owner')) > 1`:         `size(auth.teamsAs("owner")) > 1`,
		`status=="draft"`:                         `status == "draft"`,
		`n==5||n==null&&(m==null||ok)`:            `n == 5 || n == null && (m == null || ok)`,
		`!(n < 6)`:                                `!(n < 6)`,
		`email == "STRASSE@x.DE"`:                 `email == "strasse@x.de"`,
		`author.boss.name == "Bob"`:               `author.boss.name == "Bob"`,
		`author.posts.exists(p, p.n > 4)`:         `author.posts.exists(x, x.n > 4)`,
		`tags.all(t, t.size() > 3)`:               `tags.all(x, size(x) > 3)`,
		`at <= now`:                               `at <= now`,
		`status in ["draft", "live"]`:             `status in ["draft", "live"]`,
		`title.startsWith("Cr")`:                  `title.startsWith("Cr")`,
		`(ok ? n : m) == 5`:                       `(ok ? n : m) == 5`,
		`created > now - duration("2h")`:          `created > now - duration("2h0m0s")`,
		`auth.id == author && n == 5 && !(m < 1)`: `auth.id == author && n == 5 && !(m < 1)`,
	} {
		e, err := Compile(src, env, "posts", InWrite)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := e.Written(e.Root); got != want {
			t.Errorf("%s is written %s, want %s", src, got, want)
		}
	}
	e, err := Compile(`n == 5`, env, "posts", InFilter)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Written(e.Root); got != `n == ?` {
		t.Error(got)
	}
	e, err = Compile(`input.n > n`, env, "posts", InUpdate)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Written(e.Root); got != `input.n > n` {
		t.Error(got)
	}
}

// What is written means what it was made of.
func TestWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, m := range meanings {
		e, err := Compile(m.src, env, "posts", m.use)
		if err != nil {
			t.Errorf("%s: %v", m.src, err)
			continue
		}
		written := e.Written(e.Root)
		again, err := Compile(written, env, "posts", max(m.use, InWrite)) // a path that is compared may be arithmetic now
		if err != nil {
			t.Errorf("%s is written %s: %v", m.src, written, err)
			continue
		}
		if got := holders(t, written, again.Root); got != m.held {
			t.Errorf("%s is written %s, which holds for %q, not %q", m.src, written, got, m.held)
		}
	}
}
