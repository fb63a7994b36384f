package same_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// asking draws a rule, or a filter with its bound values.
type asking struct {
	*model
	rule   bool
	params []string // name=value
	around []around // the records around a macro's, the outermost first
}

// around is a record that is in sight beside the innermost one.
type around struct {
	prefix string
	c      *collection
}

// condition draws a condition over a collection. prefix is "" for the record's own names, or "x1." inside a
// macro; inside counts the macros around it, of which a filter may have two.
func (g *asking) condition(t *rapid.T, c *collection, prefix string, depth, inside int) string {
	roll := upTo(t, 10)
	if depth < 3 {
		sub := func() string { return g.condition(t, c, prefix, depth+1, inside) }
		switch roll {
		case 9:
			return "(" + sub() + " && " + sub() + ")"
		case 8:
			return "(" + sub() + " || " + sub() + ")"
		case 7:
			return "!(" + sub() + ")"
		case 6:
			return "(" + sub() + " ? " + sub() + " : " + sub() + ")"
		case 5, 4:
			if inside < 2 {
				return g.macro(t, c, prefix, depth, inside)
			}
		}
	}
	return g.leaf(t, c, prefix, inside)
}

// ranges are the inverses and the lists of a collection.
func (c *collection) ranges() []*field {
	over := slices.Clone(c.inverses)
	for _, f := range c.fields {
		if slices.Contains([]string{"refs", "texts", "ints", "enums"}, f.kind) {
			over = append(over, f)
		}
	}
	return over
}

func (c *collection) refs() (refs []*field) {
	for _, f := range c.fields {
		if f.kind == "ref" {
			refs = append(refs, f)
		}
	}
	return refs
}

// macro draws exists, all or size over an inverse or a list, which a reference may lead to.
func (g *asking) macro(t *rapid.T, c *collection, prefix string, depth, inside int) string {
	over, through := c.ranges(), ""
	if refs := c.refs(); len(refs) > 0 && often(t, 30) {
		r := pick(t, refs...)
		over, through = r.to.ranges(), r.name+"."
	}
	if len(over) == 0 {
		return g.leaf(t, c, prefix, inside)
	}
	f := pick(t, over...)
	name := prefix + through + f.name
	if often(t, 25) {
		return fmt.Sprintf("size(%s) %s %d", name, pick(t, "==", "!=", "<", ">="), rapid.IntRange(0, 2).Draw(t, "n"))
	}
	x := fmt.Sprintf("x%d", depth)
	body := ""
	g.around = append(g.around, around{prefix, c})
	switch other := g.outer(t, poolOf(f.kind), nil); {
	case f.to != nil:
		body = g.condition(t, f.to, x+".", depth+1, inside+1)
	case other != "" && often(t, 30):
		body = x + pick(t, " == ", " != ") + other
	default:
		body = g.compared(t, x, poolOf(f.kind))
	}
	g.around = g.around[:len(g.around)-1]
	return name + "." + pick(t, "exists", "all") + "(" + x + ", " + body + ")"
}

// outer is a value of the kind of a record around, which a reference may lead to; "" where there is none.
func (g *asking) outer(t *rapid.T, kind string, to *collection) string {
	if len(g.around) == 0 {
		return ""
	}
	o := pick(t, g.around...)
	prefix, c := o.prefix, o.c
	if refs := c.refs(); len(refs) > 0 && often(t, 50) {
		r := pick(t, refs...)
		prefix, c = prefix+r.name+".", r.to
	}
	var names []string
	if kind == "ref" && c == to {
		names = append(names, "id")
	}
	for _, f := range c.fields {
		if f.kind == kind && f.to == to {
			names = append(names, f.name)
		}
	}
	if kind == "text" {
		names = append(names, "name")
	}
	if len(names) == 0 {
		return ""
	}
	return prefix + pick(t, names...)
}

// leaf draws a comparison of a field, which a path may lead to.
func (g *asking) leaf(t *rapid.T, c *collection, prefix string, inside int) string {
	own := append([]*field{{name: "name", kind: "text"}, {name: "owner", kind: "text"}}, c.fields...)
	if len(g.around) > 0 && often(t, 10) {
		if other := g.outer(t, "ref", c); other != "" {
			return prefix + "id" + pick(t, " == ", " != ") + other
		}
	}
	f := pick(t, own...)
	path, at := prefix+f.name, c
	for hops := 0; f.kind == "ref" && hops < 3 && often(t, 60); hops++ {
		at = f.to
		f = pick(t, append([]*field{{name: "name", kind: "text"}}, at.fields...)...)
		path += "." + f.name
	}
	if f.name == "owner" && often(t, 60) {
		return path + pick(t, " == auth.id", " != auth.id", ` in [auth.id, "bob"]`)
	}
	if often(t, 15) {
		return pick(t, path+" == null", path+" != null", "has("+path+")")
	}
	if !slices.Contains([]string{"json", "sealed", "keyed", "refs", "texts", "ints", "enums"}, f.kind) && often(t, 30) {
		if other := g.outer(t, f.kind, f.to); other != "" {
			return path + pick(t, " == ", " != ") + other
		}
	}
	switch f.kind {
	case "json", "sealed":
		return path + pick(t, " == null", " != null")
	case "keyed":
		if g.rule {
			return path + " == null"
		}
		return pick(t, path+" == "+literal(t, "text"), path+" != "+literal(t, "text"), path+" in ["+literal(t, "text")+", "+literal(t, "text")+"]")
	case "ref":
		return path + pick(t, " == ", " != ") + `"` + anyID(t, f.to) + `"`
	case "refs":
		if inside < 2 && often(t, 30) {
			return path + `.exists(y, y.name == ` + literal(t, "text") + `)`
		}
		return `"` + anyID(t, f.to) + `" in ` + path
	case "texts", "ints", "enums":
		return literal(t, poolOf(f.kind)) + " in " + path
	case "bool":
		return pick(t, path, "!"+path, path+" == true", path+" != false")
	}
	if at == c && often(t, 20) {
		for _, o := range own {
			if o.kind == f.kind && o.name != f.name {
				return path + pick(t, " == ", " != ", " < ", " >= ") + prefix + o.name
			}
		}
	}
	return g.compared(t, path, f.kind)
}

// compared draws a comparison with literals or, in a filter, bound values.
func (g *asking) compared(t *rapid.T, path, kind string) string {
	if kind == "bool" {
		return path
	}
	isText := poolOf(kind) == "text" || kind == "email"
	switch upTo(t, 7) {
	case 4:
		var items []string
		for range rapid.IntRange(1, 3).Draw(t, "items") {
			items = append(items, literal(t, kind))
		}
		return path + " in [" + strings.Join(items, ", ") + "]"
	case 5:
		if isText {
			return path + "." + pick(t, "startsWith", "endsWith", "contains") + "(" + literal(t, kind) + ")"
		}
	case 6:
		if isText {
			return fmt.Sprintf("size(%s) %s %d", path, pick(t, "==", "<"), rapid.IntRange(0, 3).Draw(t, "n"))
		}
	case 3:
		if v := pick(t, pools[poolOf(kind)]...); !g.rule && !strings.ContainsAny(v, `\`) {
			name := fmt.Sprintf("p%d", len(g.params))
			g.params = append(g.params, "param."+name+"="+strings.Trim(v, `"`))
			return path + pick(t, " == ", " != ", " < ", " >= ") + "param." + name
		}
	}
	return path + pick(t, " == ", " != ", " < ", " <= ", " > ", " >= ") + literal(t, kind)
}
