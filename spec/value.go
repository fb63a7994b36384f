package spec

import (
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
)

var idPattern = pattern(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// kinds say what a value of a type looks like.
var kinds = [...]string{
	Text: "a text", Email: "an e-mail address", URL: "an http or https address", Int: "a whole number within ±(2^53−1)",
	Bigint: "a whole number of 64 bits", Float: "a number", Bool: "true or false",
	Time: "a time like 2026-01-31T12:00:00Z", Date: "a date like 2026-01-31", Ref: "an id",
}

// value reads a node as a value of a type: the field's, or its items'.
func (l *loader) value(f *Field, t FieldType, n *node, key string) (expr.Value, bool) {
	switch t {
	case List:
		if n.kind != list {
			l.report(n, "type", "%s is a list, not %s", key, n.show())
			return expr.Value{}, false
		}
		var items []expr.Value
		for _, i := range n.items {
			v, ok := l.value(f, f.Elem, i, key)
			if !ok {
				return expr.Value{}, false
			}
			items = append(items, v)
		}
		return expr.ListOf(items...), true
	case JSON:
		d, ok := l.json(n)
		if !ok {
			return expr.Value{}, false
		}
		text := d.AppendCanonical(nil)
		if len(text) > 64<<10 {
			l.report(n, "value", "%s is larger than 64 KiB", key)
			return expr.Value{}, false
		}
		return expr.JSONOf(string(text)), true
	}
	if n.kind != scalar {
		l.report(n, "type", "%s is %s, not %s", key, f.kindOf(t), n.kind)
		return expr.Value{}, false
	}
	v, ok := f.scalar(t, n.text)
	if !ok && t == Enum {
		var words []string
		for _, w := range f.Values {
			words = append(words, w.Value)
		}
		if len(words) > 0 {
			l.suggest(n, words, "value", "%s is %s, not %s", key, f.kindOf(t), n.show())
		}
	} else if !ok {
		l.report(n, "value", "%s is %s, not %s", key, f.kindOf(t), n.show())
	}
	return v, ok
}

func (f *Field) kindOf(t FieldType) string {
	switch t {
	case Decimal:
		return "a decimal with at most " + plural(f.Precision, "digit") + ", " + plural(f.Scale, "digit") + " behind the point"
	case Enum:
		var words []string
		for _, w := range f.Values {
			words = append(words, w.Value)
		}
		return "one of " + strings.Join(words, " ")
	}
	return kinds[t]
}

// scalar reads a text as a value of a type.
func (f *Field) scalar(t FieldType, s string) (expr.Value, bool) {
	switch t {
	case Text:
		return expr.TextOf(expr.NFC(s)), true
	case Email:
		a, err := mail.ParseAddress(s)
		return expr.TextOf(expr.NFC(s)), err == nil && a.Address == s && len(s) <= emailLen
	case URL:
		u, err := url.Parse(s)
		return expr.TextOf(expr.NFC(s)), err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	case Enum:
		v := expr.NFC(s)
		return expr.TextOf(v), f.allows(v)
	case Ref:
		return expr.TextOf(s), idPattern().MatchString(s)
	case Bool:
		b, ok := boolOf(s)
		return expr.BoolOf(b), ok
	}
	v, err := expr.ParseText(expr.Type{Kind: t.Kind(), Scale: uint8(f.Scale)}, s)
	if err != nil || v.Kind() != t.Kind() {
		return expr.Value{}, false
	}
	if t == Decimal && digits(v.Int()) > f.Precision {
		return expr.Value{}, false
	}
	return v, true
}

func digits(n int64) int {
	count := 0
	for ; n != 0; n /= 10 {
		count++
	}
	return count
}

// within says whether a value keeps the field's own bounds, and reports the first it does not keep.
func (l *loader) within(f *Field, v expr.Value, n *node, key string) bool {
	why := ""
	size, what := utf8.RuneCountInString(v.Text()), "character"
	if f.Type == List {
		size, what = len(v.List()), "item"
	}
	counted := f.Type.textual() || f.Type == List
	switch {
	case f.Min != nil && expr.Compare(v, *f.Min) < 0:
		why = "is below min"
	case f.Max != nil && expr.Compare(v, *f.Max) > 0:
		why = "is above max"
	case counted && size < f.MinLen:
		why = "has fewer than " + plural(f.MinLen, what)
	case counted && f.MaxLen > 0 && size > f.MaxLen:
		why = "has more than " + plural(f.MaxLen, what)
	case f.Pattern != nil && !f.Pattern.MatchString(v.Text()):
		why = "does not match the pattern"
	}
	if why != "" {
		l.report(n, "value", "%s %s", key, why)
	}
	return why == ""
}

// json reads a node as JSON, with plain scalars taken for what YAML 1.2 takes them for.
func (l *loader) json(n *node) (*doc.Node, bool) {
	switch n.kind {
	case list:
		var items []*doc.Node
		for _, i := range n.items {
			d, ok := l.json(i)
			if !ok {
				return nil, false
			}
			items = append(items, d)
		}
		return doc.NewArray(items...), true
	case object:
		out := doc.NewObject()
		for i, k := range n.keys {
			d, ok := l.json(n.items[i])
			if !ok {
				return nil, false
			}
			out.Set(k.text, d)
		}
		return out, true
	}
	if n.style != plain || n.env != "" {
		return doc.NewString(n.text), true
	}
	switch n.tag {
	case "null":
		return doc.NewNull(), true
	case "bool":
		b, _ := boolOf(n.text)
		return doc.NewBool(b), true
	case "int", "float":
		if d, err := doc.Parse([]byte(n.text), doc.Limits{}); err == nil && d.Kind == doc.Number {
			return d, true
		}
		l.report(n, "value", "%s is not a number as JSON writes it: quote it if it is a text", n.show())
		return nil, false
	}
	return doc.NewString(n.text), true
}

func plural(n int, what string) string {
	s := strconv.Itoa(n) + " " + what
	if n == 1 {
		return s
	}
	return s + "s"
}
