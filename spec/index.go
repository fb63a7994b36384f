package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Bounds of indexes, so that each can be made on every database.
const (
	maxIndexBytes  = 2600 // of a composite one: PostgreSQL takes 2704 bytes, MariaDB 3072
	maxIndexFields = 15   // MySQL takes 16 columns, with the id at the end
	maxAllIndexes  = 63   // of a collection, those of unique fields and of references too: MySQL takes 64, with that of the ids
)

// indexes makes the index of each unique field and the declared ones.
func (l *loader) indexes(d *draft) {
	c := d.c
	for _, f := range c.Fields[OrdFirst:] {
		if f.Unique {
			c.Indexes = append(c.Indexes, &Index{Name: derived(f.Name, "unique"), Fields: []*Field{f}, Unique: true, Pos: f.Pos})
		}
	}
	if n := d.s.values["indexes"]; n != nil {
		l.declared(d, n)
	}
	all := 0
	for _, i := range c.Indexes {
		if i.Fields[0].Type != List {
			all++
		}
	}
	for _, f := range c.Fields {
		if f.Type == Ref {
			all++
		}
	}
	if all > maxAllIndexes {
		l.reportAt(c.Pos, "limit", "", fmt.Sprintf("a collection has at most %d indexes, with those of its unique fields and its references; %s has %d", maxAllIndexes, c.Name, all))
	}
}

// declared makes the declared indexes.
func (l *loader) declared(d *draft, n *node) {
	c := d.c
	if len(n.items) > maxIndexes {
		l.report(n, "limit", "a collection has at most %d indexes", maxIndexes)
		return
	}
	for _, item := range n.items {
		s := section{node: item}
		if item.kind == list {
			if !l.words(item, &key{name: "an index"}) {
				continue
			}
			s.values = map[string]*node{"fields": item}
		} else if s = l.section(item, indexShape); s.values["fields"] == nil {
			continue
		}
		if i := l.index(d, s); i != nil {
			c.Indexes = append(c.Indexes, i)
			if where := s.values["where"]; where != nil {
				d.where = append(d.where, indexWhere{i, where})
			}
		}
	}
}

// indexWhere is an index's condition before it is compiled.
type indexWhere struct {
	index *Index
	where *node
}

func (l *loader) index(d *draft, s section) *Index {
	c := d.c
	i := &Index{Unique: s.bool("unique"), Pos: s.pos()}
	names, bytes, ok := []string{}, 0, true
	for _, n := range s.values["fields"].list() {
		f, found := c.byName[n.text]
		switch {
		case !found:
			if !l.broken[member{c.Name, n.text}] {
				l.suggest(n, c.names(), "unknown", "%s has no field %s to index", c.Name, n.show())
			}
			ok = false
			continue
		case slices.Contains(names, n.text):
			l.report(n, "duplicate", "%s stands twice in this index", n.show())
			ok = false
			continue
		}
		ok = l.indexable(n, c, f, s) && ok
		names, i.Fields = append(names, f.Name), append(i.Fields, f)
		bytes += f.indexBytes()
	}
	if len(names) == 0 {
		if ok {
			l.report(s.node, "value", "an index has at least one field")
		}
		return nil
	}
	if len(names) > maxIndexFields {
		l.report(s.node, "limit", "an index has at most %d fields", maxIndexFields)
	}
	if ok && len(names) > 1 && bytes > maxIndexBytes {
		l.report(s.node, "limit", "this index may take %d bytes a record, and databases take %d: give its texts a smaller max", bytes, maxIndexBytes)
	}
	if n := s.values["where"]; n != nil && !i.Unique {
		l.report(n, "option", "where is for unique indexes: add unique: true or remove it")
	}
	i.Name = derived(strings.Join(names, "_"), map[bool]string{true: "unique", false: "index"}[i.Unique])
	at := s.node
	if n := s.values["name"]; n != nil {
		if !l.name(n, "an index") {
			return nil
		}
		i.Name, at = n.text, n
	}
	if slices.ContainsFunc(c.Indexes, func(o *Index) bool { return o.Name == i.Name }) {
		l.report(at, "duplicate", "%s has an index %s already: give this one another name", c.Name, quoted(i.Name))
		return nil
	}
	return i
}

// indexable says whether an index may hold a field, and bounds what it leaves unbounded.
func (l *loader) indexable(n *node, c *Collection, f *Field, s section) bool {
	fields, unique := len(s.values["fields"].list()), s.bool("unique")
	switch {
	case f.Type == JSON || f.Type == File:
		l.report(n, "option", "%s cannot be indexed: it is %s", n.show(), f.trait())
	case f.Encrypted && !f.Searchable && !f.Unique:
		l.report(n, "option", "%s cannot be indexed: it is encrypted; add searchable: true to ask for equality", n.show())
	case f.Type == List && (fields > 1 || unique):
		l.report(n, "option", "%s is a list: index it alone, and not as unique", n.show())
	case f.Type == Text && !f.Encrypted && f.MaxLen == 0 && f.Ord >= OrdFirst:
		if !l.broken[member{c.Name, f.Name}] {
			l.report(n, "option", "an indexed text is bounded: add max: %d or less to the field %s", indexedLen, n.show())
		}
	case f.Type == Text && !f.Encrypted && f.MaxLen > indexedLen:
		l.report(n, "option", "an indexed text has max: %d at most; the field %s has %d", indexedLen, n.show(), f.MaxLen)
	default:
		if f.Type == URL {
			f.MaxLen = indexedLen
		}
		if f.Type == List && f.Elem == Text {
			f.ItemMax = indexedLen
		}
		return true
	}
	return false
}

// indexBytes is what a value may take in an index, as MariaDB counts: four bytes for each character that there may be, of
// which the fold makes up to three. That of an address of mail is no longer than an address may be.
func (f *Field) indexBytes() int {
	switch {
	case f.Encrypted:
		return keyLen
	case f.CI && f.Type != Email:
		return 12 * f.MaxLen
	case f.Type == Ref:
		return 4 * 36
	case f.Kind().String() == "text":
		return 4 * f.MaxLen
	}
	return 16
}

// derived makes a name of at most 40 characters: long ones keep their head and end in a hash.
func derived(name, suffix string) string {
	name += "_" + suffix
	if len(name) <= 40 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:31] + "_" + hex.EncodeToString(sum[:4])
}
