package spec

import (
	"slices"
	"strings"
)

// section is a map whose keys and the forms of whose values have been checked: what is wrong
// has been reported and is left out, so that whoever builds from it needs not ask again.
type section struct {
	*node
	shape  *shape
	values map[string]*node
}

// section checks a node against a shape. It is never nil-valued: of a wrong node it is empty.
func (l *loader) section(n *node, s *shape) section {
	out := section{node: n, shape: s, values: map[string]*node{}}
	if n == nil {
		return out
	}
	if n.kind != object {
		if n.kind == scalar && n.style == plain && spaceMissing().MatchString(n.text) {
			l.report(n, "syntax", "a space is missing behind the colon")
		} else if !n.null() {
			l.report(n, "type", "%s is a map with keys like %s, not %s", s.name, s.keys[0].name, n.show())
		} else if s != appShape {
			l.report(n, "type", "%s is empty: give it a value or remove it", s.name)
		}
		return out
	}
	var strays []int
	for i, k := range n.keys {
		known := s.key(k.text)
		if known == nil && s == collectionShape && stray(n, n.items[i]) && k.env == "" {
			l.report(k, "unknown", "%s stands beside the keys of a collection: a field stands under fields, so indent it below them", k.show())
			strays = append(strays, i)
			continue
		}
		if known == nil || k.env != "" {
			l.adopt(n, i, l.unknown(k, s), out)
			continue
		}
		if l.fits(n.items[i], known) {
			out.values[k.text] = n.items[i]
			l.note(k, s, known)
		}
	}
	if len(strays) > 0 {
		out.values["fields"] = withFields(n, out.values["fields"], strays)
	}
	for _, k := range s.keys {
		if k.required && n.get(k.name) == nil {
			message := k.name + " is missing in " + s.name
			if k.remedy != "" {
				message += ": " + k.remedy
			}
			l.report(n, "required", "%s", message)
		}
	}
	return out
}

// stray says whether a value that stands in a collection is a field, which belongs one level deeper.
func stray(n, value *node) bool {
	if value.kind == object {
		return value.get("type") != nil
	}
	fields := n.get("fields")
	_, ok := typeOf(value.text)
	return ok && value.kind == scalar && (fields == nil || fields.null())
}

// withFields is the map of fields with those that were written beside it, lest what names them is blamed.
func withFields(n, fields *node, strays []int) *node {
	all := *n
	all.kind, all.keys, all.items = object, nil, nil
	if fields != nil {
		all.keys, all.items = slices.Clone(fields.keys), slices.Clone(fields.items)
	}
	for _, i := range strays {
		if all.get(n.keys[i].text) == nil {
			all.keys, all.items = append(all.keys, n.keys[i]), append(all.items, n.items[i])
		}
	}
	return &all
}

// note tells of a key that has no effect yet.
func (l *loader) note(k *node, s *shape, known *key) {
	if !known.idle {
		return
	}
	name := k.text
	if s != appShape {
		name = s.name + "." + name
	}
	p := k.pos()
	l.app.Notes = append(l.app.Notes, Problem{p.File, p.Line, p.Column, "idle", name + " has no effect yet", ""})
}

// unknown reports a key that a shape does not have, and returns the one that was probably meant. Where it is
// the key of one other shape, and not the beginning of one of this, that is said.
func (l *loader) unknown(k *node, s *shape) (meant string) {
	if first, _, ok := strings.Cut(k.text, " "); ok && s.key(first) != nil {
		l.report(k, "syntax", "a colon is missing behind %s", quoted(first))
		k.text = first
		return ""
	}
	if f, ok := instead(k.text, s); ok {
		l.reportAt(k.pos(), "unknown", f.ours, "unknown key "+k.show()+" in "+s.name+": "+f.say)
		return ""
	}
	home := ""
	for _, other := range shapes {
		if other.key(k.text) == nil || other == teamsShape { // whose keys are others' too
			continue
		}
		if home != "" {
			home = ""
			break
		}
		home = other.name
	}
	begins := slices.ContainsFunc(s.names(), func(name string) bool { return strings.HasPrefix(name, k.text) })
	if home != "" && !begins && translate(bare(k.text), s.names()).ours == "" {
		l.report(k, "unknown", "unknown key %s in %s: it stands in %s", k.show(), s.name, home)
		return ""
	}
	l.suggest(k, s.names(), "unknown", "unknown key %s in %s", k.show(), s.name)
	return Nearest(k.text, s.names())
}

// adopt takes the i-th value, that of a misspelt key, for that of the one that was probably meant, if it fits:
// what is wrong inside is told at once, and the key is not missed.
func (l *loader) adopt(n *node, i int, meant string, s section) {
	k := n.keys[i]
	known := s.shape.key(meant)
	if known == nil || k.env != "" || n.get(known.name) != nil {
		return
	}
	before := len(l.problems)
	if !l.fits(n.items[i], known) {
		l.problems = l.problems[:before]
		return
	}
	k.text = known.name
	s.values[known.name] = n.items[i]
}

// fits checks the form of one value.
func (l *loader) fits(n *node, k *key) bool {
	if n.bad {
		return false
	}
	if n.null() && k.form != asMap && k.form != asValue {
		remedy := "give it a value or remove it"
		if n.empty() && strings.HasPrefix(strings.TrimLeft(n.src.rest(n.offset), " \t"), "#") {
			remedy = "to YAML what follows the # is a comment, so quote it"
		}
		l.report(n, "type", "%s is empty: %s", k.name, remedy)
		return false
	}
	switch k.form {
	case asObject, asMap, asPairs:
		if n.kind != object && !n.null() {
			l.report(n, "type", "%s is a map, not %s", k.name, n.show())
			return false
		}
		return true
	case asList, asIndexes:
		if n.kind != list {
			l.report(n, "type", "%s is a list, not %s", k.name, n.show())
			return false
		}
		return true
	case asShort:
		if n.kind == list {
			l.report(n, "type", "%s is a word or a map, not %s", k.name, n.show())
		}
		return n.kind != list
	case asSwitch:
		if n.kind == object {
			return true
		}
		if n.kind == list {
			l.report(n, "type", "%s is true, false or a map with keys like %s, not %s", k.name, k.shape.keys[0].name, n.show())
			return false
		}
		return l.scalarFits(n, &key{name: k.name, form: asBool})
	case asTexts, asNames:
		return l.words(n, k)
	case asValues, asValue:
		return true
	case asExpr:
		return l.expression(n, k)
	}
	if n.kind != scalar {
		l.report(n, "type", "%s is %s, not %s", k.name, forms[k.form], n.kind)
		return false
	}
	return l.scalarFits(n, k)
}

var forms = map[form]string{
	asText: "a text", asWord: "a word", asName: "a name", asBool: "true or false", asInt: "a whole number",
	asSize: "a size like 500KB or 1MB", asDuration: "a time like 30s or 5m", asRate: "a rate like 100/s", asExpr: "an expression",
}

func (l *loader) scalarFits(n *node, k *key) bool {
	ok, words := true, []string(nil)
	switch k.form {
	case asWord:
		if !slices.Contains(k.words, n.text) {
			message := k.name + " is one of " + strings.Join(k.words, " ") + ", not " + n.show()
			if t, why := sizedType(n.text, k.words); t != "" && n.env == "" {
				l.reportAt(n.pos(), "value", t, strings.TrimSuffix(message+": "+why, ": "))
				return false
			}
			l.suggest(n, k.words, "value", "%s", message)
			return false
		}
	case asBool:
		_, ok = boolOf(n.text)
		words = []string{"true", "false"}
		if w := yesNo[strings.ToLower(n.text)]; !ok && w != "" && n.env == "" {
			l.reportAt(n.pos(), "type", w, k.name+" is true or false, not "+n.show())
			return false
		}
	case asInt:
		_, ok = intOf(n.text)
	case asSize:
		_, ok = sizeOf(n.text)
	case asDuration:
		_, ok = durationOf(n.text)
	case asRate:
		_, ok = rateOf(n.text)
	}
	if !ok {
		l.suggest(n, words, "type", "%s is %s, not %s", k.name, forms[k.form], n.show())
	}
	return ok
}

// yesNo are the words of YAML 1.1, which are texts in 1.2.
var yesNo = map[string]string{"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}

// words checks a list of texts, or a single one.
func (l *loader) words(n *node, k *key) bool {
	if n.kind == scalar {
		return true
	}
	if n.kind != list {
		l.report(n, "type", "%s is a list, not %s", k.name, n.kind)
		return false
	}
	for _, i := range n.items {
		if i.kind != scalar || i.empty() {
			l.report(i, "type", "%s is a list of texts; %s is none", k.name, i.show())
			return false
		}
	}
	return true
}

// expression checks that YAML left an expression as it was written.
func (l *loader) expression(n *node, k *key) bool {
	if n.kind != scalar {
		l.report(n, "quote", "%s is an expression, not %s: quote it", k.name, n.kind)
		return false
	}
	if why := cut(n); why != "" {
		l.report(n, "quote", "%s", why)
		return false
	}
	if strings.TrimSpace(n.text) == "" {
		l.report(n, "type", "%s is empty: give it an expression or remove it", k.name)
		return false
	}
	return true
}

// list gives the items of a list of texts, or the single one.
func (n *node) list() []*node {
	if n == nil {
		return nil
	}
	if n.kind == scalar {
		return []*node{n}
	}
	return n.items
}

func (s section) text(name string) string {
	if n := s.values[name]; n != nil {
		return n.text
	}
	return ""
}

// where is the place of a value; zero where there is none.
func (s section) where(name string) (p Pos) {
	if n := s.values[name]; n != nil {
		p = n.pos()
	}
	return p
}

// shown is a value as it may stand in a message.
func (s section) shown(name string) string {
	if n := s.values[name]; n != nil {
		return n.show()
	}
	return ""
}

func (s section) bool(name string) bool {
	b, _ := boolOf(s.text(name))
	return b
}

// int reads a whole number, or other when it is absent.
func (s section) int(name string, other int) int {
	if n := s.values[name]; n != nil {
		i, _ := intOf(n.text)
		return int(i)
	}
	return other
}

func (s section) size(name string, other int64) int64 {
	if n := s.values[name]; n != nil {
		i, _ := sizeOf(n.text)
		return i
	}
	return other
}
