package seed

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/spec"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	from, err := doc.Parse([]byte(`{"code":"AZ-BAB","parent":"NX","n":7,"none":null}`), doc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"code":                     `"AZ-BAB"`,
		"n":                        `7`,
		"none":                     ``,
		"other":                    ``,
		"{code before -}":          `"AZ"`,
		"{code before -}-{parent}": `"AZ-NX"`,
		"x{parent}y":               `"xNXy"`,
		"{code before -}-{other}":  ``,
		"{n}":                      `"7"`,
		"{code before not there}":  `"AZ-BAB"`,
	} {
		tpl, err := parseTemplate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := ""
		if n := tpl.fill(from); n != nil {
			got = string(n.Append(nil))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "{code", "x{"} {
		if _, err := parseTemplate(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestSuit(t *testing.T) {
	t.Parallel()
	n, err := spec.ReadYAML([]byte("[01234, 12.50, true, ~, '5', \"true\", 1815-12-10, 0x10, [a, b], 'a; b', '[\"a\"]']"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field *spec.Field
		want  string
	}{
		{&spec.Field{Type: spec.Text}, `"01234" "12.50" "true" null "5" "true" "1815-12-10" "0x10" ["a","b"] "a; b" "[\"a\"]"`},
		{&spec.Field{Type: spec.Decimal}, `"01234" "12.50" "true" null "5" "true" "1815-12-10" "0x10" ["a","b"] "a; b" "[\"a\"]"`},
		{&spec.Field{Type: spec.Int}, `"01234" 12.50 true null 5 "true" "1815-12-10" "0x10" ["a","b"] "a; b" "[\"a\"]"`},
		{&spec.Field{Type: spec.Bool}, `"01234" 12.50 true null "5" true "1815-12-10" "0x10" ["a","b"] "a; b" "[\"a\"]"`},
		{&spec.Field{Type: spec.JSON}, `"01234" 12.50 true null "5" "true" "1815-12-10" "0x10" ["a","b"] "a; b" "[\"a\"]"`},
		{&spec.Field{Type: spec.List, Elem: spec.Text}, `["01234"] 12.50 true null ["5"] ["true"] ["1815-12-10"] ["0x10"] ["a","b"] ["a","b"] ["a"]`},
	} {
		var got []string
		for i := range n.Items {
			got = append(got, string(suit(c.field, &n.Items[i]).Append(nil)))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.field.Type, diff)
		}
	}
}

func TestCollectionName(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{"posts.csv": "posts", "1-posts.json": "posts", "02-blog_posts.ndjson": "blog_posts", "a-b.csv": "a-b", "-x.csv": "-x"} {
		if got := collectionName(file); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	from, _ := doc.Parse([]byte(`{"a":"x-y","b":"z"}`), doc.Limits{})
	f.Add("{a before -}-{b}")
	f.Fuzz(func(t *testing.T, text string) {
		if tpl, err := parseTemplate(text); err == nil {
			tpl.fill(from)
		}
	})
}
