package spec

import (
	"fmt"
	"slices"

	"github.com/bluell/plinth/expr"
)

// draft is a collection in the making, with the nodes its parts were read from.
type draft struct {
	c      *Collection
	s      section
	fields []*fieldDraft
	where  []indexWhere
}

type fieldDraft struct {
	f *Field
	s section
}

// declare makes the collections of one map, and their fields as far as they stand alone.
func (l *loader) declare(n *node) {
	if n == nil || n.null() {
		return
	}
	if n.kind != object {
		l.report(n, "type", "collections is a map of names to collections, not %s", n.show())
		return
	}
	for i, k := range n.keys {
		named := l.collectionName(k)
		c := &Collection{Name: k.text, System: l.system, Pos: k.pos(), byName: map[string]*Field{}}
		d := &draft{c: c, s: l.section(n.items[i], collectionShape)}
		if l.system && d.s.values["access"] != nil {
			l.report(d.s.values["access"], "conflict", "a collection that Plinth keeps has no access rules")
		}
		c.Label, c.Was = d.s.text("label"), d.s.text("was")
		addBase(c)
		l.fields(d)
		if !named {
			continue // its fields have been looked at, and nothing can refer to it
		}
		l.app.Collections = append(l.app.Collections, c)
		l.app.byName[c.Name] = c
		l.drafts = append(l.drafts, d)
	}
}

func (l *loader) collectionName(k *node) bool {
	if l.system {
		if !systemPattern().MatchString(k.text) {
			l.report(k, "name", "%s is not a name for a collection that Plinth keeps: it begins with _", k.show())
			return false
		}
	} else if !l.name(k, "a collection", slices.Concat(reservedCollections, reservedWords)...) {
		return false
	}
	if other, ok := l.app.byName[k.text]; ok {
		l.report(k, "duplicate", "the collection %s is there already, in %s on line %d", k.show(), other.Pos.File, other.Pos.Line)
		return false
	}
	return true
}

// addBase gives a collection the fields that every record has, at their ordinals.
func addBase(c *Collection) {
	for _, f := range []*Field{
		{Name: "id", Type: Text, Unique: true, MaxLen: 36, Fixed: true},
		{Name: "created", Type: Time, Fixed: true},
		{Name: "updated", Type: Time},
		{Name: "rev", Type: Int},
	} {
		f.Required = true
		c.add(f)
	}
}

func (c *Collection) add(f *Field) {
	f.Ord, f.FoldOrd, f.KeyOrd, f.Pos = len(c.Fields), -1, -1, c.Pos
	c.Fields = append(c.Fields, f)
	if f.Companion == Own {
		c.byName[f.Name] = f
	}
}

func (l *loader) fields(d *draft) {
	n := d.s.values["fields"]
	if n == nil || n.kind != object {
		return
	}
	if len(n.keys) > maxFields {
		l.report(n.keys[maxFields], "limit", "a collection has at most %d fields", maxFields)
		return
	}
	for i, k := range n.keys {
		if !l.name(k, "a field", slices.Concat(reservedFields, reservedWords)...) {
			continue
		}
		fd := &fieldDraft{f: &Field{Name: k.text}, s: l.section(n.items[i], fieldShape)}
		d.c.add(fd.f)
		fd.f.Pos = k.pos()
		d.fields = append(d.fields, fd)
		if before := len(l.problems); !l.field(fd) || len(l.problems) > before {
			l.broken[member{d.c.Name, k.text}] = true
		}
	}
}

// finish does what needs all collections to be there: references, names, indexes, companions,
// and last the expressions, for which everything must have its place.
func (l *loader) finish() {
	for _, d := range l.drafts {
		l.references(d)
	}
	for _, d := range l.drafts {
		l.names(d)
		l.indexes(d)
		companions(d)
		l.width(d)
	}
	for _, d := range l.drafts {
		l.rules(d)
		l.impossible(d)
	}
	l.userRules()
	l.teamRules()
	l.channels()
	l.authRules()
}

// names checks what a collection and its fields are, and were, called.
func (l *loader) names(d *draft) {
	c := d.c
	if n := d.s.values["label"]; n != nil {
		f, ok := c.byName[n.text]
		switch {
		case !ok:
			l.suggest(n, c.names(), "unknown", "%s has no field %s", c.Name, n.show())
		case f.Hidden || f.Type == JSON || f.Type == File || f.Type == List:
			l.report(n, "option", "the field %s cannot name a record to people: it is %s", n.show(), f.trait())
		}
	}
	if n := d.s.values["was"]; n != nil {
		l.was(n, "collection", func(name string) bool { return l.app.byName[name] != nil }, func(name string) bool {
			return slices.ContainsFunc(l.app.Collections, func(o *Collection) bool { return o != c && o.Was == name })
		})
	}
	for _, fd := range d.fields {
		if n := fd.s.values["was"]; n != nil {
			l.was(n, "field", func(name string) bool { return c.byName[name] != nil }, func(name string) bool {
				return slices.ContainsFunc(c.Fields, func(o *Field) bool { return o != fd.f && o.Was == name })
			})
		}
	}
}

// trait says in a word what keeps a field from being used like others.
func (f *Field) trait() string {
	switch {
	case f.Encrypted:
		return "encrypted"
	case f.Hidden:
		return "hidden"
	default:
		return "of type " + f.Type.String()
	}
}

func (l *loader) was(n *node, what string, exists, taken func(string) bool) {
	switch {
	case !namePattern().MatchString(n.text) && !(l.system && systemPattern().MatchString(n.text)):
		l.report(n, "name", "%s was never the name of a %s", n.show(), what)
	case exists(n.text):
		l.report(n, "conflict", "was: %s is still there: remove one of the two", n.text)
	case taken(n.text):
		l.report(n, "conflict", "was: %s stands twice", n.text)
	}
}

// names lists the collection's fields and inverses as expressions see them.
func (c *Collection) names() []string {
	var out []string
	for _, f := range c.Fields {
		if f.Companion == Own {
			out = append(out, f.Name)
		}
	}
	for _, i := range c.Inverses {
		out = append(out, i.Name)
	}
	return out
}

// companions adds the hidden columns, behind the app's own fields: the fold of what compares
// without regard to case, the keyed hash of what is encrypted and asked for, the key of what is
// unique under a condition. An encrypted ci field has no fold, which would show its text: its
// hash is that of the fold.
func companions(d *draft) {
	c := d.c
	for _, f := range slices.Clone(c.Fields) {
		if f.CI && !f.Encrypted {
			fold := &Field{Name: f.Name + "$fold", Type: Text, Companion: Fold, Of: f, Hidden: true, MaxLen: 3 * f.MaxLen}
			c.add(fold)
			f.FoldOrd = fold.Ord
		}
		if f.Encrypted && (f.Searchable || f.Unique) {
			key := &Field{Name: f.Name + "$key", Type: Text, Companion: Key, Of: f, Hidden: true, MaxLen: keyLen}
			c.add(key)
			f.KeyOrd = key.Ord
		}
	}
	for _, w := range d.where {
		w.index.Key = &Field{Name: w.index.Name + "$index", Type: Text, Companion: Partial, Index: w.index, Hidden: true, MaxLen: partialLen}
		c.add(w.index.Key)
	}
}

// maxRow bounds what a record may take of a page: InnoDB's are half full with one (8,126 bytes), and those of PostgreSQL full (8,160).
// What is long lies elsewhere, but not what is shorter than 40 bytes.
const maxRow = 8000

// width refuses a collection of more fields than every database has room for in one row.
func (l *loader) width(d *draft) {
	row := 200 // the id, the times, the revision, and what a row begins with
	for _, f := range d.c.Fields[OrdFirst:] {
		switch {
		case f.Type == Ref && !f.Encrypted:
			row += 4*36 + 2
		case f.Encrypted || f.Kind() == expr.Text || f.Kind() == expr.List || f.Kind() == expr.JSON:
			row += 42
		default:
			row += 9
		}
	}
	if row > maxRow {
		l.reportAt(d.c.Pos, "limit", "", fmt.Sprintf("%s has too many fields for one row: they may take %d bytes, and databases take %d. A reference takes 146, a text, list, json or file 42, a ci text 84, others 9",
			d.c.Name, row, maxRow))
	}
}

// Lengths of companions, in characters.
const (
	keyLen     = 64
	partialLen = 64
)
