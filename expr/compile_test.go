package expr

import (
	"errors"
	"strings"
	"testing"
)

// held says for whom an expression holds: f, e: ann on the full and on the empty record;
// F, E: nobody on them.
var meanings = []struct {
	src  string
	use  Use
	held string
}{
	// comparisons and nulls
	{`n == 5`, InRule, "fF"},
	{`n != 5`, InRule, "eE"},
	{`n == 6`, InRule, ""},
	{`n < 6`, InRule, "fF"},
	{`!(n < 6)`, InRule, "eE"},
	{`n >= 6`, InRule, ""},
	{`!(n >= 6)`, InRule, "feFE"},
	{`n <= 5 && n > 4`, InRule, "fF"},
	{`n == null`, InRule, "eE"},
	{`null == n`, InRule, "eE"},
	{`n != null`, InRule, "fF"},
	{`n < null`, InRule, ""},
	{`!(n < null)`, InRule, "feFE"},
	{`null == null`, InRule, "feFE"},
	{`null != null`, InRule, ""},
	{`n == m`, InRule, "eE"},
	{`n != m`, InRule, "fF"},
	{`n > m`, InRule, "fF"},
	{`!(n == m)`, InRule, "fF"},
	{`m == -3`, InRule, "fF"},
	{`m == - 3`, InRule, "fF"},
	{`-3 == m`, InRule, "fF"},
	{`n == 0x5`, InRule, "fF"},
	{`m < -0x2`, InRule, "fF"},
	{`true`, InRule, "feFE"},
	{`false`, InRule, ""},
	{`!false`, InRule, "feFE"},
	{`has(n)`, InRule, "fF"},
	{`!has(n)`, InRule, "eE"},
	{`has(author.name)`, InRule, "fF"},
	{`has(meta)`, InRule, "fF"},
	{`has(notes)`, InRule, "fF"},

	// booleans
	{`ok`, InRule, "fF"},
	{`!ok`, InRule, "eE"},
	{`!!ok`, InRule, "fF"},
	{`on`, InRule, ""},
	{`ok == true`, InRule, "fF"},
	{`ok == false`, InRule, ""},
	{`ok != false`, InRule, "feFE"},
	{`on == false`, InRule, "fF"},
	{`ok == null`, InRule, "eE"},
	{`ok == on`, InRule, "eE"},
	{`ok == (n == 5)`, InRule, "fF"},
	{`(n == 5) == on`, InRule, ""},
	{`on == (n == 6)`, InRule, "fF"},
	{`on != (n == 6)`, InRule, "eE"},
	{`(n == 5) == (m == -3)`, InRule, "feFE"},
	{`(n == 5) != (m == -3)`, InRule, ""},
	{`(n == 5) == true`, InRule, "fF"},
	{`(n == 5) == false`, InRule, "eE"},
	{`(n == 5) == null`, InRule, ""},
	{`(n == 5) != null`, InRule, "feFE"},
	{`ok ? n == 5 : true`, InRule, "feFE"},
	{`ok ? n == 6 : true`, InRule, "eE"},
	{`(ok ? n : m) == 5`, InRule, "fF"},
	{`(on ? n : m) == -3`, InRule, "fF"},
	{`(ok ? n : 7) == 7`, InRule, "eE"},
	{`(ok ? null : 7) == null`, InRule, "fF"},
	{`(ok ? title : "x") == "x"`, InRule, "eE"},
	{`(ok ? ok : n == 1) == false`, InRule, "eE"},
	{`true || n == 5`, InRule, "feFE"},
	{`n == 5 || n == null && m == null`, InRule, "feFE"},

	// numbers
	{`f == 2.5`, InRule, "fF"},
	{`f < 3`, InRule, "fF"},
	{`f > -1e3`, InRule, "fF"},
	{`f == 25e-1`, InRule, "fF"},
	{`big == "4611686018427387904"`, InRule, "fF"},
	{`big == 4611686018427387904`, InRule, "fF"},
	{`big > 5`, InRule, "fF"},
	{`big > n`, InRule, "fF"},
	{`price == "10.50"`, InRule, "fF"},
	{`price == "10.5"`, InRule, "fF"},
	{`price == 10.5`, InRule, "fF"},
	{`price > 10`, InRule, "fF"},
	{`price < 11`, InRule, "fF"},
	{`price < -11`, InRule, ""},
	{`price in ["10.50", 3]`, InRule, "fF"},
	{`rate == 10.5`, InRule, "fF"},
	{`price == rate`, InWrite, "feFE"},
	{`price > n`, InWrite, "fF"},
	{`f < n`, InWrite, "fF"},
	{`n in [1, 5]`, InRule, "fF"},
	{`n in [1, null]`, InRule, ""},
	{`!(n in [1, null])`, InRule, "feFE"},
	{`n in []`, InRule, ""},
	{`1 < 2`, InRule, "feFE"},
	{`1 == 1.0`, InRule, "feFE"},

	// text, enum, date, time
	{`title == "Crème"`, InRule, "fF"},
	{"title == \"Cre\u0300me\"", InRule, "fF"},
	{`title == 'Cr\u00e8me'`, InRule, "fF"},
	{`title == r'Crème'`, InRule, "fF"},
	{`title == """Crème"""`, InRule, "fF"},
	{`title < "D"`, InRule, "fF"},
	{`title.startsWith("Cr")`, InRule, "fF"},
	{`title.startsWith("cr")`, InRule, ""},
	{`!title.startsWith("cr")`, InRule, "feFE"},
	{`title.endsWith("me")`, InRule, "fF"},
	{`title.contains("è")`, InRule, "fF"},
	{`title.contains("")`, InRule, "fF"},
	{`title.contains(null)`, InRule, ""},
	{`"Crème brûlée".startsWith(title)`, InRule, "fF"},
	{`title == body`, InRule, "eE"},
	{`size(title) == 5`, InRule, "fF"},
	{`title.size() > 0`, InRule, "fF"},
	{`size(title) == 0`, InRule, "eE"},
	{`status == "live"`, InRule, "fF"},
	{`status < "old"`, InRule, "fF"},
	{`status in ["draft", "live"]`, InRule, "fF"},
	{`status.startsWith("li")`, InRule, "fF"},
	{`status != "old"`, InRule, "feFE"},
	{`day == "2026-01-01"`, InRule, "fF"},
	{`day < "2026-01-02"`, InRule, "fF"},
	{`at == "2026-01-01T00:00:00Z"`, InRule, "fF"},
	{`at == "2026-01-01T01:00:00.0009+01:00"`, InRule, "fF"},
	{`at == timestamp("2026-01-01T00:00:00.000Z")`, InRule, "fF"},
	{`at <= now`, InRule, "fF"},
	{`created > now - duration("2h")`, InRule, "fF"},
	{`created > now - duration("30m")`, InRule, ""},
	{`now + duration("1h") > at`, InRule, "fF"},
	{`at - created == duration("1h")`, InValidate, "fF"},
	{`at - created < duration("1h")`, InValidate, ""},
	{`created + duration("60m") == at`, InWrite, "feFE"},

	// ci
	{`email == "STRASSE@x.DE"`, InRule, "fF"},
	{`email == alias`, InRule, "feFE"},
	{`email != "other"`, InRule, "feFE"},
	{`email.contains("SSE@")`, InRule, "fF"},
	{`email.startsWith("STRA")`, InRule, "fF"},
	{`email in ["x", "StraSSe@x.de"]`, InRule, "fF"},
	{`email == editor.email`, InRule, "feFE"},
	{`email == auth.email`, InRule, "f"},
	{`size(email) == 11`, InRule, "fF"},
	{`(ok ? email : "X") == "x"`, InRule, "eE"},
	{`email == null`, InRule, "eE"},
	{`email > "A"`, InRule, "fF"},

	// paths
	{`author == "ann"`, InRule, "fF"},
	{`author.id == "ann"`, InRule, "fF"},
	{`author.name == "Ann"`, InRule, "fF"},
	{`author.name == null`, InRule, "eE"},
	{`author.boss.name == "Bob"`, InRule, "fF"},
	{`author.boss.boss.name == null`, InRule, "feFE"},
	{`author.boss == editor`, InRule, "feFE"},
	{`author.active`, InRule, "fF"},
	{`editor.active`, InRule, ""},
	{`author.posts.exists(p, p.id == "p1")`, InRule, "fF"},
	{`author.posts.exists(p, p == id)`, InRule, "fF"},
	{`author.posts.all(p, p.n > 4)`, InRule, "feFE"},
	{`author.posts.all(p, p.n > 5)`, InRule, "eE"},
	{`author.posts.exists(p, p.editor.posts.exists(q, q.n == p.n))`, InRule, ""},
	{`author.posts.exists(p, p.editor.edits.exists(q, q.n == p.n))`, InRule, "fF"},
	{`size(author.posts) == 1`, InRule, "fF"},
	{`size(author.posts) == 0`, InRule, "eE"},
	{`author.posts.size() == 1`, InRule, "fF"},
	{`"p1" in author.posts`, InRule, "fF"},
	{`id in author.posts`, InRule, "fF"},

	// lists
	{`"red" in tags`, InRule, "fF"},
	{`"green" in tags`, InRule, ""},
	{`!("green" in tags)`, InRule, "feFE"},
	{`null in tags`, InRule, ""},
	{`size(tags) == 2`, InRule, "fF"},
	{`tags.exists(t, t.startsWith("b"))`, InRule, "fF"},
	{`tags.all(t, t.size() > 3)`, InRule, "eE"},
	{`tags.all(t, t != "x")`, InRule, "feFE"},
	{`tags == null`, InRule, "eE"},
	{`tags == tags`, InWrite, "feFE"},
	{`"t1" in topics`, InRule, "fF"},
	{`topics.exists(t, t.name == "sql")`, InRule, "fF"},
	{`topics.all(t, t.name == "sql")`, InRule, "eE"},
	{`topics.exists(t, t == "t2")`, InRule, "fF"},
	{`topics.exists(t, t.posts.exists(p, p.author == "ann"))`, InRule, "fF"},
	{`size(topics) == 2`, InRule, "fF"},
	{`2 in grades`, InRule, "fF"},
	{`n in grades`, InRule, ""},
	{`grades.exists(g, g + 4 == n)`, InWrite, "fF"},
	{`["red", "x"].exists(x, x in tags)`, InRule, "fF"},
	{`["red", "x"].all(x, x in tags)`, InRule, ""},
	{`[n, 7].exists(x, x == 5)`, InRule, "fF"},
	{`[].exists(x, true)`, InRule, ""},
	{`auth.teams.exists(t, t in tags)`, InRule, "f"},

	// the caller
	{`auth.id == author`, InRule, "f"},
	{`author == auth.id`, InRule, "f"},
	{`author != auth.id`, InRule, "eFE"},
	{`!(author == auth.id)`, InRule, "eFE"},
	{`auth.id == null`, InRule, "FE"},
	{`auth.id != null`, InRule, "fe"},
	{`auth.id == auth.id`, InRule, "fe"},
	{`auth.signedIn`, InRule, "fe"},
	{`!auth.signedIn`, InRule, "FE"},
	{`auth.has("staff")`, InRule, "fe"},
	{`auth.has("staff") || ok`, InRule, "feF"},
	{`auth.role == "staff"`, InRule, "fe"},
	{`auth.active`, InRule, "fe"},
	{`auth.id in [author, editor]`, InRule, "f"},
	{`editor in [auth.id, "bob"]`, InRule, "fF"},
	{`body in [auth.name, null]`, InRule, ""},
	{`auth.limit * 2 > n`, InRule, "f"},
	{`auth.name + "!" == "Ann!"`, InRule, "fe"},
	{`author in auth.teams`, InRule, ""},
	{`(ok ? auth.id : editor) == author`, InRule, "f"},
	{`auth.teams.size() == 1`, InRule, "fe"},

	// arithmetic in Go
	{`n + 1 == 6`, InWrite, "fF"},
	{`n * m == -15`, InWrite, "fF"},
	{`n / 2 == 2`, InWrite, "fF"},
	{`m / 2 == -1`, InWrite, "fF"},
	{`m % 2 == -1`, InWrite, "fF"},
	{`-n == -5`, InWrite, "fF"},
	{`n + m == null`, InWrite, "eE"},
	{`price * 2 == 21`, InWrite, "fF"},
	{`price * n == "52.50"`, InWrite, "fF"},
	{`price + 0.01 == "10.51"`, InWrite, "fF"},
	{`price / 3 == "3.5"`, InWrite, "fF"},
	{`price - rate == 0`, InWrite, "fF"},
	{`price % 3 == 1.5`, InWrite, "fF"},
	{`f * 2 == 5`, InWrite, "fF"},
	{`f / 2 == 1.25`, InWrite, "fF"},
	{`title + body == "Crèmehello world"`, InWrite, "fF"},
	{`big - 1 < big`, InWrite, "fF"},
	{`input.n == n`, InUpdate, "feFE"},
	{`input.author == auth.id && input.title == title`, InUpdate, "f"},
	{`input.author.name == "Ann"`, InUpdate, "fF"},
	{`input.phone == phone`, InUpdate, "feFE"},

	// comments and white space
	{"n // the number\n == 5", InRule, "fF"},
	{" \t\nn==5\r\n", InRule, "fF"},
}

func TestMeaning(t *testing.T) {
	t.Parallel()
	if len(meanings) < 150 {
		t.Fatalf("%d expressions", len(meanings))
	}
	for _, m := range meanings {
		e, err := Compile(m.src, env, "posts", m.use)
		if err != nil {
			t.Errorf("%s: %v", m.src, err)
			continue
		}
		held := holders(t, m.src, e.Root)
		if held != m.held {
			t.Errorf("%s holds for %q, want %q: %s", m.src, held, m.held, e.Root)
		}
		not, err := Compile("!("+m.src+"\n)", env, "posts", m.use)
		if err != nil {
			t.Errorf("!(%s): %v", m.src, err)
		} else if got := holders(t, m.src, not.Root); len(got)+len(held) != 4 || strings.ContainsAny(got, held) {
			t.Errorf("!(%s) holds for %q as well as %q", m.src, got, held)
		}
		specialised(t, m.src, e.Root, held)
	}
}

func holders(t *testing.T, src string, n *Node) string {
	t.Helper()
	held := ""
	for _, c := range observers {
		ok, err := Holds(n, scope(c.row, c.who))
		if err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if ok {
			held += c.name
		}
	}
	return held
}

var observers = []struct {
	name string
	row  []Value
	who  caller
}{{"f", full, ann}, {"e", empty, ann}, {"F", full, nobody}, {"E", empty, nobody}}

// specialised checks that what is left of a rule for a caller means the same, and asks nothing
// of the caller.
func specialised(t *testing.T, src string, n *Node, held string) {
	t.Helper()
	slots := Slots(n)
	got := ""
	for _, c := range observers {
		s := scope(c.row, c.who)
		key, args, err := Ask(slots, s, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		known, err := Specialise(n, key, 0)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		Walk(known, func(n *Node) bool {
			if n.Op == OpAuth || n.Op == OpHas || n.Op == OpNow {
				t.Errorf("%s: %s still asks for the caller", src, known)
			}
			return true
		})
		ok, err := Holds(known, &Scope{Rows: [][]Value{c.row, c.row}, Params: args, Fetch: world})
		if err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if ok {
			got += c.name
		}
	}
	if got != held {
		t.Errorf("%s specialised holds for %q, want %q: %s", src, got, held, n)
	}
}

var refusals = []struct {
	src     string
	use     Use
	at      int
	code    string
	suggest string
}{
	{`titel == "x"`, InRule, 0, "unknown", "title"},
	{`n == 5 && satus == "live"`, InRule, 10, "unknown", "status"},
	{`author.nmae == "x"`, InRule, 7, "unknown", "name"},
	{`"é" == title && author . nmae == "x"`, InRule, 26, "unknown", "name"},
	{`author.posts.exists(p, p.titel == "x")`, InRule, 25, "unknown", "title"},
	{`size(titl) > 1`, InRule, 5, "unknown", "title"},
	{`sise(title) > 1`, InRule, 0, "unknown", "size"},
	{`title.startWith("a")`, InRule, 6, "unknown", "startsWith"},
	{`auth.has("stuff")`, InRule, 9, "unknown", "staff"},
	{`auth.nam == "x"`, InRule, 5, "unknown", "name"},
	{`secret == "x"`, InFilter, 0, "unknown", ""},
	{`param.x == 5`, InRule, 0, "unknown", ""},
	{`auth.role == "x"`, InFilter, 5, "unknown", ""},
	{`auth.has("staff")`, InFilter, 5, "unknown", ""},
	{`n == "5"`, InRule, 5, "type", ""},
	{`n == 1.5`, InRule, 5, "type", ""},
	{`n == title`, InRule, 2, "type", ""},
	{`title == 5`, InRule, 9, "type", ""},
	{`status == "gone"`, InRule, 10, "type", ""},
	{`status == "lve"`, InRule, 10, "type", "live"},
	{`day == "2026-02-30"`, InRule, 7, "type", ""},
	{`day == at`, InRule, 4, "type", ""},
	{`at == "yesterday"`, InRule, 6, "type", ""},
	{`price == "1.005"`, InRule, 9, "type", ""},
	{`price == 1e3`, InRule, 9, "type", ""},
	{`price == rate`, InRule, 6, "type", ""},
	{`price == n`, InRule, 6, "type", ""},
	{`big == "x"`, InRule, 7, "type", ""},
	{`n == 9007199254740992`, InRule, 5, "type", ""},
	{`n`, InRule, 0, "type", ""},
	{`n == 5 && title`, InRule, 10, "type", ""},
	{`null`, InRule, 0, "type", ""},
	{`!n`, InRule, 1, "type", ""},
	{`email == title`, InRule, 6, "type", ""},
	{`author == topics`, InRule, 7, "type", ""},
	{`topics.exists(t, t == author)`, InRule, 19, "type", ""},
	{`meta == "x"`, InRule, 0, "type", ""},
	{`meta.a == "x"`, InRule, 0, "type", ""},
	{`notes == "x"`, InRule, 0, "type", ""},
	{`phone < "x"`, InFilter, 0, "type", ""},
	{`notes.contains("x")`, InRule, 0, "type", ""},
	{`size(notes) == 1`, InRule, 5, "type", ""},
	{`notes == "x"`, InFilter, 0, "type", ""},
	{`ok < on`, InRule, 3, "type", ""},
	{`n + 1 == 2`, InRule, 2, "type", ""},
	{`-n == 2`, InFilter, 0, "type", ""},
	{`title + "x" == "y"`, InFilter, 6, "type", ""},
	{`tags == tags`, InRule, 5, "type", ""},
	{`author.posts == "x"`, InRule, 7, "type", ""},
	{`author.posts.title == "x"`, InRule, 7, "type", ""},
	{`title.x == "x"`, InRule, 0, "type", ""},
	{`input.n == 1`, InRule, 0, "type", ""},
	{`auth.id == author`, InValidate, 5, "type", ""},
	{`now > at`, InWhere, 0, "type", ""},
	{`slug(title) == "x"`, InRule, 0, "type", ""},
	{`duration("x") == duration("1h")`, InRule, 9, "type", ""},
	{`param.x == param.y`, InFilter, 5, "type", ""},
	{`param.x == null`, InFilter, 5, "type", ""},
	{`1 / 0 == n`, InRule, 2, "type", ""},
	{`n / 0 == 1`, InWrite, 2, "type", ""},
	{`n == 1 && price % (1 - 1) == 1`, InValidate, 16, "type", ""},
	{`input.f / 0.0 > 1`, InUpdate, 8, "type", ""},
	{`n in title`, InRule, 2, "type", ""},
	{`n in [1, "x"]`, InRule, 9, "type", ""},
	{`n.exists(x, true)`, InRule, 2, "type", ""},
	{`tags.exists(now, true)`, InRule, 12, "type", ""},
	{`tags.exists(t.x, true)`, InRule, 13, "type", ""},
	{`[1, 2] == tags`, InRule, 0, "type", ""},
	{`n = 5`, InRule, 2, "syntax", ""},
	{`n == 5 & ok`, InRule, 7, "syntax", ""},
	{`n == `, InRule, 5, "syntax", ""},
	{`n == 5)`, InRule, 6, "syntax", ""},
	{`(n == 5`, InRule, 7, "syntax", ""},
	{`title == "x`, InRule, 9, "syntax", ""},
	{`title == "\q"`, InRule, 10, "syntax", ""},
	{`title == b"x"`, InRule, 9, "syntax", ""},
	{`n == 5u`, InRule, 5, "syntax", ""},
	{`n ~ 5`, InRule, 2, "syntax", ""},
	{`tags[0] == "x"`, InRule, 4, "syntax", ""},
	{`{"a": 1} == meta`, InRule, 0, "syntax", ""},
	{``, InRule, 0, "syntax", ""},
	{"`n` == 5", InRule, 0, "syntax", ""},
	{strings.Repeat("(", 51) + "ok" + strings.Repeat(")", 51), InRule, 50, "syntax", ""},
	{"ok" + strings.Repeat(" ", 8191), InRule, 8192, "syntax", ""},
	{"title == \"\xff\"", InRule, 10, "syntax", ""},
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, r := range refusals {
		e, err := Compile(r.src, env, "posts", r.use)
		if err == nil {
			t.Errorf("%.60s: not refused: %s", r.src, e.Root)
			continue
		}
		var got *Error
		if !errors.As(err, &got) || got.At != r.at || got.Code != r.code || got.Suggest != r.suggest {
			t.Errorf("%.60s: at %d %s %q (%s), want at %d %s %q", r.src, got.At, got.Code, got.Suggest, got.Msg, r.at, r.code, r.suggest)
		}
	}
}
