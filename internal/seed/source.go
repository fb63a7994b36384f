package seed

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// source reads records out of a JSON file that was made for something else. path leads to the list in
// it, key by key; map says which of its keys make which field.
func (l *loader) source(s *set, f members) error {
	name := f.text("source")
	if !filepath.IsAbs(name) {
		name = filepath.Join(l.dir, name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return fault.New(fault.Invalid, "the source %s cannot be read", f.text("source"))
	}
	if b, err = utf8Of(b); err != nil {
		return fault.New(fault.Invalid, "the source %s: %s", f.text("source"), err)
	}
	n, err := doc.Parse(b, doc.Limits{})
	if err != nil {
		return fault.New(fault.Invalid, "the source %s: %s", f.text("source"), err)
	}
	if p := f.text("path"); p != "" {
		for key := range strings.SplitSeq(p, "/") {
			inner, ok := n.Get(key)
			if !ok {
				return fault.New(fault.Invalid, "the source %s has no %q", f.text("source"), p)
			}
			n = inner
		}
	}
	if n.Kind != doc.Array {
		return fault.New(fault.Invalid, "the source %s has no list there: name its place with path", f.text("source"))
	}
	if f["map"] == nil {
		return s.take(n.Items)
	}
	rules, err := l.mapping(s.of, f["map"])
	if err != nil {
		return err
	}
	for i := range n.Items {
		r := record{n: i + 1, body: doc.NewObject()}
		for _, m := range rules {
			m.apply(&n.Items[i], &r)
		}
		if err := s.part(&r); err == nil {
			s.records = append(s.records, r)
		} else if err := s.fail(&r, err); err != nil {
			return err
		}
	}
	s.identify()
	return nil
}

// rule makes one field of a source's record.
type rule struct {
	field *spec.Field
	value *doc.Node  // the same for all
	from  []template // the first that is complete counts; of a reference, the first that is there
	by    string     // a reference: by this field of the record it refers to
}

// mapping reads {field: key, field: {value: V}, field: {from: …, ref: {by: FIELD}}}.
func (l *loader) mapping(c *spec.Collection, n *doc.Node) ([]rule, error) {
	if n.Kind != doc.Object {
		return nil, fault.New(fault.Invalid, "map is not an object")
	}
	var rules []rule
	for i, name := range n.Keys {
		f, ok := c.Field(name)
		if name == passwordField.Name && l.peopleOf(c) != nil {
			f, ok = passwordField, true
		}
		if !ok {
			return nil, fault.New(fault.Invalid, "map: %s has no field %q", c.Name, name)
		}
		r, err := readRule(f, &n.Items[i])
		if err != nil {
			return nil, fault.New(fault.Invalid, "map: %s: %s", name, words(err))
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func readRule(f *spec.Field, n *doc.Node) (rule, error) {
	r := rule{field: f}
	if n.Kind != doc.Object {
		t, err := parseTemplate(n.Text)
		r.from = []template{t}
		return r, err
	}
	m, err := fields(n, "value", "from", "ref")
	if err != nil {
		return r, err
	}
	from := m["from"]
	if (from == nil) == (m["value"] == nil) {
		return r, fault.New(fault.Invalid, "has either from or value")
	}
	if from == nil {
		r.value = m["value"]
		return r, nil
	}
	texts := []doc.Node{*from}
	if from.Kind == doc.Array {
		texts = from.Items
	}
	for i := range texts {
		t, err := parseTemplate(texts[i].Text)
		if err != nil {
			return r, err
		}
		r.from = append(r.from, t)
	}
	if ref := m["ref"]; ref != nil {
		by, err := fields(ref, "by")
		if err != nil {
			return r, err
		}
		if r.by = by.text("by"); r.by == "" || f.Type != spec.Ref {
			return r, fault.New(fault.Invalid, "ref: {by: FIELD} is for a reference")
		}
	}
	return r, nil
}

func (m rule) apply(from *doc.Node, r *record) {
	if m.value != nil {
		r.body.Set(m.field.Name, suit(m.field, m.value))
		return
	}
	var values []string
	for _, t := range m.from {
		v := t.fill(from)
		if v == nil {
			continue
		}
		if m.by == "" {
			r.body.Set(m.field.Name, suit(m.field, v))
			return
		}
		values = append(values, v.Text)
	}
	if len(values) > 0 {
		r.refs = append(r.refs, reference{m.field, m.by, values})
	}
}

// template is the name of a key, or text with {key} and {key before X} in it.
type template struct {
	key   string // alone: the value is taken as it is
	parts []part
}

// part is text, or what stands in a key (before the first X).
type part struct{ text, key, before string }

func parseTemplate(text string) (template, error) {
	if !strings.Contains(text, "{") {
		if text == "" {
			return template{}, fault.New(fault.Invalid, "names no key of the source")
		}
		return template{key: text}, nil
	}
	var t template
	for text != "" {
		before, rest, ok := strings.Cut(text, "{")
		if before != "" {
			t.parts = append(t.parts, part{text: before})
		}
		if !ok {
			break
		}
		inner, after, ok := strings.Cut(rest, "}")
		if !ok {
			return t, fault.New(fault.Invalid, "a { is not closed")
		}
		key, sep, _ := strings.Cut(inner, " before ")
		t.parts = append(t.parts, part{key: key, before: sep})
		text = after
	}
	return t, nil
}

// fill makes the value for a record of the source; nil when a key is missing.
func (t template) fill(from *doc.Node) *doc.Node {
	if t.key != "" {
		v, ok := from.Get(t.key)
		if !ok || v.IsNull() {
			return nil
		}
		return v
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.key == "" {
			b.WriteString(p.text)
			continue
		}
		v, ok := from.Get(p.key)
		if !ok || v.Text == "" {
			return nil
		}
		text := v.Text
		if p.before != "" {
			text, _, _ = strings.Cut(text, p.before)
		}
		b.WriteString(text)
	}
	return doc.NewString(b.String())
}
