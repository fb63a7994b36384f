package drivertest

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// condition draws a filter over a collection. prefix is "" for the record's own names, or "x1." inside a
// macro; inside counts the macros around it, of which a filter may have two.
func (m *model) condition(t *rapid.T, c *modelCollection, prefix string, depth, inside int) string {
	roll := rapid.IntRange(0, 9).Draw(t, "shape")
	if depth < 3 {
		sub := func() string { return m.condition(t, c, prefix, depth+1, inside) }
		switch roll {
		case 0:
			return "(" + sub() + " && " + sub() + ")"
		case 1:
			return "(" + sub() + " || " + sub() + ")"
		case 2:
			return "!(" + sub() + ")"
		case 3:
			return "(" + sub() + " ? " + sub() + " : " + sub() + ")"
		case 4:
			if inside < 2 {
				return m.macro(t, c, prefix, depth, inside)
			}
		}
	}
	return m.leaf(t, c, prefix)
}

// macro draws exists, all or size over an inverse or a list.
func (m *model) macro(t *rapid.T, c *modelCollection, prefix string, depth, inside int) string {
	var over []modelField
	for _, f := range c.fields {
		if f.kind == "refs" || f.kind == "texts" || f.kind == "ints" {
			over = append(over, f)
		}
	}
	over = append(over, c.inverses...)
	if len(over) == 0 {
		return m.leaf(t, c, prefix)
	}
	f := rapid.SampledFrom(over).Draw(t, "over")
	name := prefix + f.name
	if rapid.IntRange(0, 4).Draw(t, "size") == 0 {
		return fmt.Sprintf("size(%s) %s %d", name, pick(t, []string{"==", "!=", "<", ">="}), rapid.IntRange(0, 2).Draw(t, "n"))
	}
	x := fmt.Sprintf("x%d", depth)
	macro := pick(t, []string{"exists", "all"})
	var body string
	switch f.kind {
	case "texts":
		body = compared(t, x, "text")
	case "ints":
		body = compared(t, x, "int")
	default:
		body = m.condition(t, m.collections[f.to], x+".", depth+1, inside+1)
	}
	return fmt.Sprintf("%s.%s(%s, %s)", name, macro, x, body)
}

// leaf draws a comparison of a field, which a path may lead to.
func (m *model) leaf(t *rapid.T, c *modelCollection, prefix string) string {
	f := rapid.SampledFrom(c.fields).Draw(t, "field")
	path := prefix + f.name
	for hops := 0; f.kind == "ref" && hops < 3 && rapid.Bool().Draw(t, "walk"); hops++ {
		f = rapid.SampledFrom(m.collections[f.to].fields).Draw(t, "next")
		path += "." + f.name
	}
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return path + pick(t, []string{" == null", " != null"})
	}
	switch f.kind {
	case "json":
		return path + pick(t, []string{" == null", " != null"})
	case "sealed":
		return path + pick(t, []string{" == ", " != "}) + literal(t, "text")
	case "ref":
		return path + pick(t, []string{" == ", " != "}) + `"` + id(rapid.IntRange(1, 9).Draw(t, "id")) + `"`
	case "refs":
		return `"` + id(rapid.IntRange(1, 9).Draw(t, "id")) + `" in ` + path
	case "texts":
		return literal(t, "text") + " in " + path
	case "ints":
		return literal(t, "int") + " in " + path
	case "bool":
		return pick(t, []string{path, "!" + path, path + " == true", path + " != false"})
	}
	if same := m.likewise(c, f); len(same) > 0 && rapid.IntRange(0, 4).Draw(t, "beside") == 0 {
		return path + pick(t, []string{" == ", " != ", " < ", " >= "}) + prefix + pick(t, same)
	}
	return compared(t, path, f.kind)
}

// likewise are the fields of a collection that a field may be compared with.
func (m *model) likewise(c *modelCollection, f modelField) []string {
	var names []string
	for _, o := range c.fields {
		if o.kind == f.kind && o.ci == f.ci {
			names = append(names, o.name)
		}
	}
	return names
}

// compared draws a comparison with literals.
func compared(t *rapid.T, path, kind string) string {
	switch rapid.IntRange(0, 4).Draw(t, "compare") {
	case 0:
		var items []string
		for range rapid.IntRange(1, 3).Draw(t, "items") {
			items = append(items, literal(t, kind))
		}
		return path + " in [" + strings.Join(items, ", ") + "]"
	case 1:
		if kind == "text" {
			return path + "." + pick(t, []string{"startsWith", "endsWith", "contains"}) + "(" + literal(t, kind) + ")"
		}
	case 2:
		if kind == "text" {
			return fmt.Sprintf("size(%s) %s %d", path, pick(t, []string{"==", "<"}), rapid.IntRange(0, 3).Draw(t, "n"))
		}
	}
	return path + pick(t, []string{" == ", " != ", " < ", " <= ", " > ", " >= "}) + literal(t, kind)
}
