package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ask compiles a filter by way of its shape, binds it and says whom it holds for, both as it is
// and specialised for the caller.
func ask(src string, params map[string]string) (string, error) {
	_, lits, err := Shape(src)
	if err != nil {
		return "", err
	}
	e, err := Compile(src, env, "posts", InFilter)
	if err != nil {
		return "", err
	}
	args, err := e.Args(nil, lits, func(name string, t Type) (Value, error) {
		s, ok := params[name]
		if !ok {
			return Value{}, nil
		}
		return ParseText(t, s)
	}, func(keyed, text string) (string, error) {
		if keyed != "posts.phone" {
			return "", fmt.Errorf("hash of %s", keyed)
		}
		return "hash:" + text, nil
	})
	if err != nil {
		return "", err
	}
	slots := Slots(e.Root)
	held := ""
	for _, c := range observers {
		s := scope(c.row, c.who)
		s.Params = args
		ok, err := Holds(e.Root, s)
		if err != nil {
			return "", err
		}
		key, bound, err := Ask(slots, s, nil, nil)
		if err != nil {
			return "", err
		}
		known, err := Specialise(e.Root, key, 0)
		if err != nil {
			return "", err
		}
		again, err := Holds(known, &Scope{Rows: [][]Value{c.row}, Params: bound, Fetch: world})
		if again != ok || err != nil {
			return "", fmt.Errorf("%s holds %t, specialised %s %t (%v)", e.Root, ok, known, again, err)
		}
		if ok {
			held += c.name
		}
	}
	return held, nil
}

func TestFilters(t *testing.T) {
	t.Parallel()
	long := `n in [` + strings.Repeat("9, ", 40) + `5]`
	for _, f := range []struct {
		src    string
		params map[string]string
		held   string
	}{
		{`n == 5`, nil, "fF"},
		{`m == -3`, nil, "fF"},
		{`m == - 3 || m == -0x3`, nil, "fF"},
		{`price == "10.50"`, nil, "fF"},
		{`price == 10.5`, nil, "fF"},
		{`email == "STRASSE@X.de"`, nil, "fF"},
		{`email == param.e`, map[string]string{"e": "STRASSE@X.de"}, "fF"},
		{`email in param.e`, map[string]string{"e": `["x","STRASSE@X.de"]`}, "fF"},
		{`email in [param.e, "y"]`, map[string]string{"e": "STRASSE@X.de"}, "fF"},
		{`email.contains(param.e)`, map[string]string{"e": "SSE@"}, "fF"},
		{`title == param.t`, map[string]string{"t": "Cre\u0300me"}, "fF"},
		{`title == param.t`, nil, "eE"},
		{`title != param.t`, nil, "fF"},
		{`title < param.t`, nil, ""},
		{`!(title < param.t)`, nil, "feFE"},
		{`title in [param.t]`, nil, ""},
		{`!(title in [param.t, "x"])`, nil, "feFE"},
		{`title in param.t`, nil, ""},
		{`n in param.n`, map[string]string{"n": "[4, 5]"}, "fF"},
		{`n in param.n`, map[string]string{"n": "[]"}, ""},
		{`status in ["draft", param.s]`, map[string]string{"s": "live"}, "fF"},
		{`param.t in tags`, map[string]string{"t": "red"}, "fF"},
		{`param.b`, map[string]string{"b": "true"}, "feFE"},
		{`param.b && ok`, nil, ""},
		{`ok == param.b`, map[string]string{"b": "false"}, ""},
		{`ok == param.b`, nil, "eE"},
		{`at >= timestamp("2026-01-01T00:00:00Z")`, nil, "fF"},
		{`at >= timestamp(param.a)`, map[string]string{"a": "2026-01-01T00:00:00Z"}, "fF"},
		{`created > now - duration("2h")`, nil, "fF"},
		{`created > now - duration(param.d)`, map[string]string{"d": "2h"}, "fF"},
		{`day == "2026-01-01" && big > "5"`, nil, "fF"},
		{`phone == "123"`, nil, "fF"},
		{`phone != param.p`, map[string]string{"p": "123"}, "eE"},
		{`phone in ["1", "123"]`, nil, "fF"},
		{`phone == null`, nil, "eE"},
		{`notes != null`, nil, "fF"},
		{`author == auth.id`, nil, "f"},
		{`author != auth.id`, nil, "eFE"},
		{`auth.id in [author, "x"]`, nil, "f"},
		{`author.posts.exists(p, p.title.startsWith(param.t))`, map[string]string{"t": "Cr"}, "fF"},
		{`n + 0 == 5 || true`, nil, "!"},
		{`n == 2 + 3`, nil, "fF"},
		{`n == param.n + 1`, map[string]string{"n": "4"}, "fF"},
		{`n == (param.b ? 5 : 6)`, map[string]string{"b": "true"}, "fF"},
		{`ok || n == 1 / 0`, nil, "!"},
		{`false && n == 1 / 0`, nil, ""},
		{long, nil, "fF"},
	} {
		held, err := ask(f.src, f.params)
		if f.held == "!" {
			if err == nil {
				t.Errorf("%s: not refused", f.src)
			}
			continue
		}
		if err != nil || held != f.held {
			t.Errorf("%.60s %v holds for %q (%v), want %q", f.src, f.params, held, err, f.held)
		}
	}
}

func TestArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		src string
		at  int
	}{
		{`n == 5 && status == "gone"`, 20},
		{`day == "2026-02-30"`, 7},
		{`price == "1.005"`, 9},
		{`m == -9007199254740993`, 6},
		{`status == param.s`, 16},
		{"title == \"\\u0000\"", 9},
		{`at == "2026-01-01"`, 6},
		{`at > timestamp("x")`, 15},
	} {
		_, err := ask(f.src, map[string]string{"s": "gone"})
		var e *Error
		if !errors.As(err, &e) || e.Code != "type" {
			t.Errorf("%s: %v", f.src, err)
		} else if f.src != `status == param.s` && e.At != f.at {
			t.Errorf("%s: at %d, want %d", f.src, e.At, f.at)
		}
	}
}

// Two filters of one shape share one compiled tree: the second's literals bind to the first's.
func TestOneShapeOneTree(t *testing.T) {
	t.Parallel()
	first, second := `n == 5   && title != "x"`, "n==-7&&title!='''a\nb'''"
	a, _, err := Shape(first)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := Shape(second)
	if err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Errorf("a sign is part of the shape: %q", a)
	}
	for _, same := range [][2]string{
		{`n == 5 && title != "x"`, "n==7&&title!='''a\nb'''"},
		{`tags.exists( t , t == 'a')`, `tags . exists(t,t==r"b\")`},
		{`title == "a" // why`, "title\n==\n\"\""},
		{`f == 1.5`, `f == .5e-3`},
		{`n == 1`, `n == 0xFF`},
	} {
		a, _, err := Shape(same[0])
		if err != nil {
			t.Fatal(err)
		}
		b, lits, err := Shape(same[1])
		if err != nil {
			t.Fatal(err)
		}
		if a != b {
			t.Errorf("%q and %q are one shape", a, b)
		}
		e, err := Compile(same[0], env, "posts", InFilter)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Args(nil, lits, nil, nil); err != nil {
			t.Errorf("%s: %v", same[1], err)
		}
	}
	for _, differ := range [][2]string{
		{`n == 5`, `n == 5.0`}, {`n == 5`, `n == "5"`}, {`n - -5 == n`, `n --5 == n1`}, {`a in [1]`, `a in [1, 2]`},
		{`ok == true`, `ok == false`}, {`a.b`, `ab`}, {`! ok`, `ok`}, {`a in b`, `ainb`}, {`n == null`, `n == 1`},
	} {
		a, _, _ := Shape(differ[0])
		b, _, _ := Shape(differ[1])
		if a == b {
			t.Errorf("%q and %q share the shape %q", differ[0], differ[1], a)
		}
	}
}

func TestLiterals(t *testing.T) {
	t.Parallel()
	_, lits, err := Shape(`"a\n\u00e9\101" 'b"' r"\n" """x"y""" '''''' 12 0x1f 1.5 .5 1e9`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lits {
		got = append(got, fmt.Sprintf("%d %d %s", l.Pos, l.Kind, l.Text))
	}
	want := []string{"0 0 a\né" + "A", "16 0 b\"", "21 0 \\n", "27 0 x\"y", "37 0 ", "44 1 12", "47 1 0x1f", "52 2 1.5", "56 2 .5", "59 2 1e9"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestUnusedAndUnknownParameters(t *testing.T) {
	t.Parallel()
	e, err := Compile(`title == param.t`, env, "posts", InFilter)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Takes("t") || e.Takes("u") || e.Takes("") {
		t.Error("Takes")
	}
}

func TestSpecialise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src  string
		who  caller
		want string
	}{
		{`auth.has("staff") || author == auth.id`, ann, `true:bool`},
		{`auth.has("staff") || author == auth.id`, nobody, `false:bool`},
		{`auth.has("staff") || author == auth.id`, caller{"id": TextOf("x")}, `(==' (field author#15 (row 0):record@posts):text@people (param 0):text@people)`},
		{`auth.signedIn && ok`, ann, `(field ok#11 (row 0):record@posts):bool`},
		{`auth.signedIn && ok`, nobody, `false:bool`},
		{`title == auth.name`, nobody, `false:bool`},
		{`title != auth.name`, nobody, `true:bool`},
		{`auth.limit > n`, nobody, `false:bool`},
		{`author.posts.exists(p, p.author == auth.id)`, nobody, `false:bool`},
		{`author.posts.all(p, p.author != auth.id)`, nobody, `true:bool`},
		{`auth.id == null || author == auth.id`, nobody, `true:bool`},
		{`auth.active`, nobody, `false:bool`},
		{`!auth.active`, nobody, `true:bool`},
		{`title in auth.teams`, nobody, `false:bool`},
		{`auth.limit == 10 ? ok : on`, ann, `(field ok#11 (row 0):record@posts):bool`},
	} {
		e, err := Compile(c.src, env, "posts", InRule)
		if err != nil {
			t.Fatal(err)
		}
		key, _, err := Ask(Slots(e.Root), scope(nil, c.who), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := Specialise(e.Root, key, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n.String() != c.want {
			t.Errorf("%s: %s, want %s", c.src, n, c.want)
		}
	}
}

// A guard closes a path where it does not hold.
func TestGuard(t *testing.T) {
	t.Parallel()
	rule, err := Compile(`name == "Ann" && boss.name == "Bob"`, env, "people", InRule)
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]*Node{"people": rule.Root, "posts": True()}
	for _, c := range []struct{ src, held string }{
		{`author.name == "Ann"`, "fF"},
		{`editor.name == "Bob"`, ""},
		{`editor.name == null`, "feFE"},
		{`editor.id == null`, "feFE"},
		{`editor == "bob"`, "fF"},
		{`author.posts.exists(p, p.n == n)`, "fF"},
		{`author.posts.exists(p, p.editor.name == "Bob")`, ""},
		{`editor.edits.exists(p, true)`, ""},
		{`topics.exists(t, true)`, ""},
		{`topics.all(t, false)`, "feFE"},
		{`size(topics) == 2`, "fF"},
	} {
		e, err := Compile(c.src, env, "posts", InFilter)
		if err != nil {
			t.Fatal(err)
		}
		_, lits, _ := Shape(c.src)
		args, err := e.Args(nil, lits, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		fresh := MaxVar(e.Root) + 1
		n := Guard(e.Root, &fresh, func(collection string) *Node { return rules[collection] })
		held := ""
		for _, o := range observers {
			s := scope(o.row, o.who)
			s.Params = args
			ok, err := Holds(n, s)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				held += o.name
			}
		}
		if held != c.held {
			t.Errorf("%s holds for %q, want %q: %s", c.src, held, c.held, n)
		}
		if fresh <= MaxVar(n) {
			t.Errorf("%s: variable %d is not free", c.src, fresh)
		}
	}
}

func TestRebase(t *testing.T) {
	t.Parallel()
	e, err := Compile(`author.posts.exists(p, p.n == n) && tags.all(t, t == title)`, env, "posts", InRule)
	if err != nil {
		t.Fatal(err)
	}
	fresh := 10
	n := rebase(e.Root, map[int]int{VarRecord: 7}, &fresh)
	if fresh != 12 {
		t.Errorf("fresh is %d", fresh)
	}
	Walk(n, func(n *Node) bool {
		if n.Op == OpRow && n.Index != 7 && n.Index < 10 {
			t.Errorf("variable %d is left in %s", n.Index, n)
		}
		return true
	})
	rows := make([][]Value, 8)
	rows[7] = full
	ok, err := Holds(n, &Scope{Rows: rows, Fetch: world})
	want, err2 := Holds(e.Root, scope(full, nil))
	if ok != want || err != nil || err2 != nil {
		t.Errorf("%t, want %t (%v, %v)", ok, want, err, err2)
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	e, err := Compile(`email == "x" && author.boss.name == "y" || author.posts.exists(p, p.title == title) || topics.exists(t, true) || has(phone)`, env, "posts", InFilter)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range e.Reads {
		got = append(got, fmt.Sprintf("%s.%s %d %t %s", r.Collection, r.Name, r.Ord, r.Inverse, r.To))
	}
	want := []string{
		"posts.email 20 false ", "posts.author 15 false people", "people.boss 7 false people", "people.name 4 false ",
		"posts.author 15 false people", "people.posts 15 true posts", "posts.title 4 false ", "posts.title 4 false ",
		"posts.topics 18 false topics", "posts.phone 22 false ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCompileValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src  string
		want Type
		val  string
	}{
		{`auth.id`, Type{Kind: Text}, `"ann"`},
		{`now`, Type{Kind: Time}, `1767225600000`},
		{`now`, Type{Kind: Date}, `"2026-01-01"`},
		{`slug(title)`, Type{Kind: Text}, `"creme"`},
		{`slug("  Ça va -- bien? ")`, Type{Kind: Text}, `"ca-va-bien"`},
		{`price * n`, Type{Kind: Decimal, Scale: 2}, `52.50`},
		{`n`, Type{Kind: Decimal, Scale: 2}, `5.00`},
		{`5`, Type{Kind: Decimal, Scale: 2}, `5.00`},
		{`"live"`, Type{Kind: Text, Enum: statuses}, `"live"`},
		{`ok ? "live" : "old"`, Type{Kind: Text, Enum: statuses}, `"live"`},
		{`email`, Type{Kind: Text, CI: true}, `"Straße@X.de"`},
		{`ok ? email : "None"`, Type{Kind: Text, CI: true}, `"Straße@X.de"`},
		{`email + "!"`, Type{Kind: Text}, `"Straße@X.de!"`},
		{`n == 5`, Type{Kind: Bool}, `true`},
		{`size(tags)`, Type{Kind: Int}, `2`},
		{`null`, Type{Kind: Int}, `null`},
		{`tags`, Type{Kind: List, Elem: Text}, `["red" "blue"]`},
		{`now + duration("24h")`, Type{Kind: Time}, `1767312000000`},
		{`f`, Type{Kind: Int}, `!`},
		{`big + big`, Type{Kind: Bigint}, `!`},
		{`n / (n - 5)`, Type{Kind: Int}, `!`},
		{`n / 0`, Type{Kind: Int}, `?`},
		{`n % (n - 5)`, Type{Kind: Int}, `!`},
		{`title`, Type{Kind: Int}, `?`},
		{`"gone"`, Type{Kind: Text, Enum: statuses}, `?`},
	} {
		e, err := CompileValue(c.src, env, "posts", InInit, c.want)
		if c.val == "?" {
			if err == nil {
				t.Errorf("%s: not refused", c.src)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		v, err := e.Value(scope(full, ann))
		if c.val == "!" {
			if err == nil {
				t.Errorf("%s: %s", c.src, v)
			}
			continue
		}
		if err != nil || v.String() != c.val {
			t.Errorf("%s: %s (%v), want %s", c.src, v, err, c.val)
		}
	}
}
