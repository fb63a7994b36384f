package same_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// model is a random app.
type model struct {
	collections []*collection
}

type collection struct {
	n        int
	name     string
	fields   []*field
	inverses []*field // kind "inverse": of the records of to that refer to these
	indexes  []string
	access   []string
	validate string
	rows     int
}

type field struct {
	name, kind       string
	to               *collection
	unique, required bool
	more             string // of its line in the app file
	read             string
}

var kinds = []string{"text", "text", "text", "fold", "email", "int", "int", "bigint", "float", "decimal", "bool", "time", "date", "enum",
	"ref", "ref", "ref", "texts", "ints", "enums", "refs", "json", "sealed", "keyed"}

var typeOf = map[string]string{
	"text": "text, max: 40", "fold": "text, max: 40, ci: true", "email": "email, ci: true", "int": "int", "bigint": "bigint", "float": "float",
	"decimal": "decimal, precision: 12, scale: 2", "bool": "bool", "time": "time", "date": "date", "enum": "enum, values: [one, two, three]",
	"texts": "list, of: text, max: 5", "ints": "list, of: int, max: 5", "enums": "list, of: enum, values: [one, two, three]", "json": "json",
	"sealed": "text, max: 40, encrypted: true", "keyed": "text, max: 40, encrypted: true, searchable: true",
}

var (
	mayBeUnique = []string{"text", "fold", "email", "int", "bigint", "decimal", "time", "date", "keyed"}
	sortable    = []string{"text", "fold", "email", "int", "bigint", "float", "decimal", "bool", "time", "date", "enum", "ref"}
)

func isUnique(f *field) bool   { return f.unique }
func isSortable(f *field) bool { return slices.Contains(sortable, f.kind) }

func pick[T any](t *rapid.T, from ...T) T { return rapid.SampledFrom(from).Draw(t, "pick") }

// often is true in so many of a hundred; false is what rapid finds simpler.
func often(t *rapid.T, percent int) bool { return upTo(t, 100) >= 100-percent }

// upTo is a number from 0 to n-1, all alike: rapid's own ranges prefer small ones.
func upTo(t *rapid.T, n int) int {
	v := 0
	for range 9 {
		v *= 2
		if rapid.Bool().Draw(t, "bit") {
			v++
		}
	}
	return v % n
}

func drawModel(t *rapid.T) *model {
	m := &model{}
	for i, name := range []string{"cats", "dogs", "elks"}[:rapid.IntRange(1, 3).Draw(t, "collections")] {
		m.collections = append(m.collections, &collection{n: i, name: name})
	}
	for _, c := range m.collections {
		for j := range rapid.IntRange(1, 7).Draw(t, "fields") {
			m.drawField(t, c, j)
		}
	}
	for _, c := range m.collections {
		m.drawRules(t, c)
	}
	return m
}

func (m *model) drawField(t *rapid.T, c *collection, n int) {
	f := &field{kind: pick(t, kinds...)}
	f.name = fmt.Sprintf("%s%d", f.kind, n)
	f.more = typeOf[f.kind]
	if f.kind == "ref" || f.kind == "refs" {
		f.to = pick(t, m.collections...)
		in := &field{name: "of_" + c.name + "_" + f.name, kind: "inverse", to: c}
		f.to.inverses = append(f.to.inverses, in)
		f.more = "list, of: ref, to: " + f.to.name + ", inverse: " + in.name
		if f.kind == "ref" {
			f.more = "ref, to: " + f.to.name + ", inverse: " + in.name + ", onDelete: " + pick(t, "clear", "cascade", "restrict")
		}
	}
	if slices.Contains(mayBeUnique, f.kind) && often(t, 20) {
		f.unique = true
		f.more += ", unique: true"
	}
	switch {
	case f.kind == "text" && often(t, 15):
		f.more += ", init: " + pick(t, "auth.id", "slug(name)", "auth.role")
	case f.kind == "text" && !f.unique && often(t, 10):
		f.more += ", set: " + pick(t, "slug(name)", "auth.id", `name + "-x"`)
	case f.kind == "time" && often(t, 25):
		f.more += ", " + pick(t, "init", "set") + ": now"
	case f.kind == "int" && often(t, 15):
		f.more += ", min: -2, max: 5"
	case f.kind == "enum" && often(t, 30):
		f.more += ", default: two"
	case f.kind != "ref" && f.kind != "refs" && often(t, 10):
		f.more, f.required = f.more+", required: true", true
	case !strings.Contains(f.more, "clear") && often(t, 6):
		f.more += ", fixed: true"
	}
	c.fields = append(c.fields, f)
}

// drawRules draws what says who may do what, the indexes and the validation of a collection.
func (m *model) drawRules(t *rapid.T, c *collection) {
	for _, f := range c.fields {
		if often(t, 8) {
			f.read = pick(t, `auth.has("staff")`, "auth.signedIn", "name != null", `name == "a"`)
			f.more += ", read: '" + f.read + "'"
		}
		if often(t, 6) && !strings.Contains(f.more, " set:") {
			f.more += `, write: 'auth.has("staff")'`
		}
	}
	g := &asking{model: m, rule: true}
	for _, op := range []string{"read", "create", "update", "delete"} {
		switch upTo(t, 10) {
		case 0, 1, 2, 3, 4:
			c.access = append(c.access, op+": true")
		case 5:
			c.access = append(c.access, op+": auth.signedIn")
		case 6:
			c.access = append(c.access, op+`: 'auth.has("staff")'`)
		case 7, 8:
			c.access = append(c.access, op+": '"+pick(t, "", `auth.has("staff") || `, "owner == auth.id || ")+g.condition(t, c, "", 1, 0)+"'")
		}
	}
	if often(t, 15) {
		c.validate = g.leaf(t, c, "", 0)
		if strings.Contains(c.validate, "auth.") {
			c.validate = ""
		}
	}
	var one, list []string
	for _, f := range c.fields {
		switch {
		case f.kind == "texts" || f.kind == "ints":
			list = append(list, f.name)
		case isSortable(f) && f.kind != "email":
			one = append(one, f.name)
		}
	}
	if len(one) > 0 && often(t, 40) {
		width := rapid.IntRange(1, min(2, len(one))).Draw(t, "width")
		names := strings.Join(rapid.Permutation(one).Draw(t, "columns")[:width], ", ")
		if often(t, 30) {
			where := ""
			if often(t, 50) {
				where = `, where: '` + pick(t, `name != "a"`, "name == null", `name >= "b"`) + `'`
			}
			c.indexes = append(c.indexes, "{fields: ["+names+"], unique: true"+where+", name: only}")
		} else {
			c.indexes = append(c.indexes, "["+names+"]")
		}
	}
	for _, name := range list {
		if often(t, 40) {
			c.indexes = append(c.indexes, "["+name+"]")
		}
	}
}

// file is the app file.
func (m *model) file() string {
	var b strings.Builder
	b.WriteString("name: same\nauth: {roles: [member, staff, admin]}\ncollections:\n")
	for _, c := range m.collections {
		fmt.Fprintf(&b, "  %s:\n    fields:\n      name: {type: text, max: 9}\n      owner: {type: text, max: 40}\n", c.name)
		for _, f := range c.fields {
			fmt.Fprintf(&b, "      %s: {type: %s}\n", f.name, f.more)
		}
		if len(c.indexes) > 0 {
			fmt.Fprintf(&b, "    indexes: [%s]\n", strings.Join(c.indexes, ", "))
		}
		if c.validate != "" {
			fmt.Fprintf(&b, "    validate: [{rule: '%s', field: name, message: must hold}]\n", c.validate)
		}
		if len(c.access) > 0 {
			fmt.Fprintf(&b, "    access:\n      %s\n", strings.Join(c.access, "\n      "))
		}
	}
	return b.String()
}
