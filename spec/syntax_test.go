package spec

import (
	"strings"
	"testing"
)

// What YAML cannot read is told in words that name the place to mend.
func TestSyntax(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, want string }{
		{"collections:\n\tposts: {}\n", "2:1: a tab stands here: YAML is indented with spaces"},
		{"collections:\n  posts:\n  \tfields: {}\n", "3:3: a tab stands here: YAML is indented with spaces"},
		{"auth:\n  expose: [role]\n\troles: [a]\n", "3:1: a tab stands here: YAML is indented with spaces"},
		{"name: [x\n", "1:7: this [ is not closed: a ], or a comma between two values, is missing"},
		{"name: {x: 1\nb: 2\n", "1:7: this { is not closed: a }, or a comma between two values, is missing"},
		{"name: [", "1:7: this [ is not closed: a ], or a comma between two values, is missing"},
		{"name: [x,\n\n", "1:7: this [ is not closed: a ], or a comma between two values, is missing"},
		{"name: {\n", "1:7: this { is not closed: a }, or a comma between two values, is missing"},
		{"name: {x:\n", "1:7: this { is not closed: a }, or a comma between two values, is missing"},
		{"name: {a: b}\nauth: {x: [\n", "2:11: this [ is not closed: a ], or a comma between two values, is missing"},
		{"name:\n  - [\n  - b\n", "2:5: this [ is not closed: a ], or a comma between two values, is missing"},
		{"name: {a: 'it''s {', \"b\\\"[\": [1], # [\n c: [d], e: {\n", "2:13: this { is not closed: a }, or a comma between two values, is missing"},
		{"name: a[1\nmail: |\n  - {\n\nauth: {\n", "5:7: this { is not closed: a }, or a comma between two values, is missing"},
		{"name: {type: text max: 3}\n", "1:19: a comma or } is missing before this: { opens in column 7"},
		{"name: \"x\nb: 2\n", "1:7: this text is not closed: its second \" is missing"},
		{"name: 'x\n", "1:7: this text is not closed: its second ' is missing"},
		{"name: \"\\q\"\n", "1:8: this is no escape of YAML: write \\\\ for the character itself, or put the text in '…'"},
		{"name: a\nauth\n  roles: [a]\n", "2:1: a colon is missing behind \"auth\""},
		{"auth\n  roles: [a]\n", "1:1: a colon is missing behind \"auth\""},
		{"auth\nname: a\n", "1:1: a colon is missing behind \"auth\""},
		{"spa: true\nname:a\nauth: {}\n", "2:1: a space is missing behind the colon"},
		{"name:a\n", "1:1: a space is missing behind the colon"},
		{"name: a\n  spa: true\n", "2:3: this line is deeper than the one above it, which has its value already: indent both alike"},
		{"name: a: b\n", "1:8: a second colon stands in this value: quote the value, or begin a new line"},
		{"auth:\n  roles: [a]\n expose: [role]\n", "3:2: this line begins in a column of its own: indent it like the keys beside it"},
		{"include:\n  - a\n  b: c\n", "3:3: a key stands here among the items of a list: indent it below its item, or begin it with -"},
		{"include: - a\n", "1:10: a list with - begins on a line of its own: or write [a, b]"},
		{"name: @a\n", "1:7: a value cannot begin with @: quote it"},
		{"name: {x: 1}}\n", "1:13: nothing can stand behind this value: remove it, or quote the whole"},
		{"collections:\n  posts:\n    fields:\n      a {type: text}\n", "4:7: a colon is missing behind \"a\""},
		{"collections: {posts: {fields: {a: {type int}}}}\n", "1:36: a colon is missing behind \"type\""},
	} {
		_, err := load(c.file)
		if err == nil || !strings.HasPrefix(err.Error(), FileName+":"+c.want) {
			t.Errorf("%s: %v, want\n%s", c.file, err, c.want)
		}
	}
}

// A misspelt key is not the last that is told: what stands in it is checked.
func TestMisspeltKeyInside(t *testing.T) {
	t.Parallel()
	_, err := load("collection:\n  posts:\n    field: {a: {tpye: int}}\n    access: {read: other}\n")
	want := `plinth.yaml:1:1: unknown key "collection" in the app file (did you mean "collections"?)
plinth.yaml:3:5: unknown key "field" in a collection (did you mean "fields"?)
plinth.yaml:3:17: unknown key "tpye" in a field (did you mean "type"?)
plinth.yaml:4:20: the name other does not exist`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want\n%s", err, want)
	}
}
