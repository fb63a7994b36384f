package spec

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// What is too much is refused, before it costs much: the test's own time limit would show it.
func TestBounds(t *testing.T) {
	t.Parallel()
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	fields := "collections: {posts: {fields: {"
	for i := range 300 {
		fields += fmt.Sprintf("\nf%d: {type: int},", i)
	}
	refs, index := "collections: {posts: {fields: {", "]]}}"
	for i := range 50 {
		refs += fmt.Sprintf("\nr%d: {type: ref, to: posts}, u%d: {type: int, unique: true},", i, i)
	}
	texts := "collections: {posts: {fields: {"
	for i := range 200 {
		texts += fmt.Sprintf("\nt%d: {type: text},", i)
	}
	for i := range 16 {
		index = fmt.Sprintf(", u%d%s", i, index)
	}
	for name, c := range map[string]struct{ file, want string }{
		"indexes":  {refs + "}}}", "1:15: a collection has at most 63 indexes, with those of its unique fields and its references; posts has 100"},
		"an index": {refs + "}, indexes: [[" + index[2:], "an index has at most 15 fields"},
		"a row":    {texts + "}}}", "1:15: posts has too many fields for one row: they may take 8600 bytes, and databases take 8000"},
		"aliases":  {laughs, "holds too much: more than 200000 values"},
		"depth":    {"name: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "nested too deeply"},
		"a cycle":  {"name: &a [*a]", "1:"},
		"a line":   {"name: " + strings.Repeat("x", 1<<17), "this line is longer than 64 KB"},
		"a file":   {strings.Repeat("# a comment\n", 1<<17), "is larger than 1 MB"},
		"fields":   {fields + "}}}", "a collection has at most 250 fields"},
		"latin1":   {"name: caf\xe9", "plinth.yaml:1:10: is not UTF-8"},
		"utf16":    {"\xff\xfen\x00a\x00", "is not UTF-8"},
		"control":  {"name: a\x01b", "plinth.yaml:1:8: a control character stands here"},
		"line end": {"name: a\u2028b", "plinth.yaml:1:8: an unusual end of line stands here"},
		"empty":    {"# nothing\n", "is empty"},
		"keys":     {strings.Repeat("x: 1\n", 100_000), "is there already"},
	} {
		_, err := load(c.file)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.200v, want %s", name, err, c.want)
		}
		if err != nil && strings.Count(err.Error(), "\n") >= maxProblems {
			t.Errorf("%s: too many problems", name)
		}
	}
}

// What comes from the environment is in no message, wherever it was put.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	var places []string
	for _, s := range shapes {
		for _, k := range s.keys {
			places = append(places, k.name)
		}
	}
	for _, value := range []string{`"${GOOGLE_SECRET}"`, `["${GOOGLE_SECRET}"]`, `{a: "${GOOGLE_SECRET}"}`, `${GOOGLE_SECRET}`, `"x == '${GOOGLE_SECRET}' && ${GOOGLE_SECRET}"`} {
		for _, key := range places {
			for _, file := range []string{
				key + ": " + value,
				"auth:\n  " + key + ": " + value,
				"auth: {providers: {google: {\n" + key + ": " + value + "}}}",
				"auth: {password: {\n" + key + ": " + value + "}}",
				"server:\n  " + key + ": " + value,
				"server: {limits: {\n" + key + ": " + value + "}}",
				"server: {cors: {\n" + key + ": " + value + "}, tls: {\n" + key + ": " + value + "}, acme: {\n" + key + ": " + value + "}}",
				"mail:\n  " + key + ": " + value,
				"files: {\n" + key + ": " + value + ", s3: {\n" + key + ": " + value + "}}",
				"collections: {a: {\n" + key + ": " + value + "}}",
				"collections: {a: {fields: {b: {type: text,\n" + key + ": " + value + "}}}}",
				"collections: {a: {fields: {b: {type: enum, values: [c],\n" + key + ": " + value + "}}}}",
				"collections: {a: {fields: {b: {type: list, of: ref,\n" + key + ": " + value + "}}}}",
				"collections: {a: {fields: {b: {type: decimal,\n" + key + ": " + value + "}}}}",
				"collections: {a: {fields: {b: {type: int}}, access: {\n" + key + ": " + value + "}}}",
				"collections: {a: {fields: {b: {type: int}}, validate: [{rule: 'true',\n" + key + ": " + value + "}]}}",
				"collections: {a: {fields: {b: {type: int}}, indexes: [{fields: [b],\n" + key + ": " + value + "}, " + value + "]}}",
			} {
				if _, err := load(file); err != nil && strings.Contains(err.Error(), secret) {
					t.Fatalf("%s\n%v", file, err)
				}
			}
		}
	}
}

// The environment is put in where it stands, and only there.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"${GOOGLE_ID}": "gid", "a ${GOOGLE_ID}-${PORT} b": "a gid-8080 b", "${NONE:-x y}": "x y", "${EMPTY:-x}": "x", "x${EMPTY}": "x",
		"$${GOOGLE_ID}": "${GOOGLE_ID}", "$GOOGLE_ID {}": "$GOOGLE_ID {}", "a$${b} ${GOOGLE_ID}": "a${b} gid",
	} {
		if app := mustLoad(t, "name: '"+text+"'"); app.Name != want {
			t.Errorf("%s is %q, want %q", text, app.Name, want)
		}
	}
}

// A place inside a scalar is found again, however the scalar is written.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file         string
		at           string // in the value
		line, column int
	}{
		{"a: one two", "two", 1, 8},
		{"a: 'it''s two'", "two", 1, 11},
		{`a: "\u00e9\t\"x\" two"`, "two", 1, 19},
		{"a: \"one \\\n    two\"", "two", 2, 5},
		{"a: one\n  and two", "two", 2, 7},
		{"a: 'one\n\n\n  two'", "two", 4, 3},
		{"a: |\n  one\n  two", "two", 3, 3},
		{"a: |-2\n    one\n    two", "two", 3, 5},
		{"a: >-\n\n  one\n  two", "two", 4, 3},
		{"a: > # folded\n    é two", "two", 2, 7},
		{"a: &b one two", "two", 1, 11},
		{"a: é two", "two", 1, 6},
		{"{a: one two}", "two", 1, 9},
		{"a: one\r\n  two\r\n", "two", 2, 3},
		{"\ufeffa: one two", "two", 1, 8},
	} {
		l := newLoader(fstest.MapFS{}, testEnv)
		n := l.parse("x", []byte(c.file))
		if n == nil {
			t.Fatal(l.problems)
		}
		v := n.items[0]
		line, column := v.src.place(v.src.find(v, strings.Index(v.text, c.at)))
		if line != c.line || column != c.column {
			t.Errorf("%q: %s is at %d:%d, want %d:%d", c.file, c.at, line, column, c.line, c.column)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"required", "read", "unique", "of", "a"}
	for word, want := range map[string]string{"requierd": "required", "REQUIRED": "required", "red": "read", "uniqe": "unique", "b": "", "fo": "of", "something": "", "raed": "read"} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(contract)
	f.Add(everything)
	for _, m := range mistakes {
		f.Add(m.file)
	}
	f.Fuzz(func(t *testing.T, file string) {
		app, err := load(file)
		if err != nil {
			p, ok := err.(*Problems)
			if !ok || app != nil || len(p.List) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			for _, x := range p.List {
				if x.Line < 1 || x.Column < 1 || x.Message == "" || x.Code == "" || x.File != FileName {
					t.Errorf("%#v", x)
				}
			}
			return
		}
		// What loads is whole: every companion belongs to something.
		for _, c := range app.Collections {
			for i, x := range c.Fields {
				if x.Ord != i || x.Companion == Own && x.Of != nil || x.Companion != Own && x.Of == nil && x.Index == nil {
					t.Errorf("%s.%s", c.Name, x.Name)
				}
			}
		}
	})
}
