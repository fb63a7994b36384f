package seed

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// set is the records of one file.
type set struct {
	file    string
	of      *spec.Collection
	by      string // the field by which a record is found; "" for none
	records []record
	people  People                     // of a file of users
	known   bool                       // it would be skipped: its records are only looked at
	lines   []int                      // of the records, in order; none where they have no lines of their own
	bad     map[int]string             // what is wrong with records, by their places
	values  map[string]map[string]bool // of unique fields by which records of the file refer to each other
}

// record is one record of a file: what is known of it, and what it refers to.
type record struct {
	n    int // its place in the file, from 1
	body *doc.Node
	refs []reference

	password string // of a user: what another system has stored of it
}

// read reads a file of the folder seed.
func (l *loader) read(name string) (*set, error) {
	b, err := os.ReadFile(filepath.Join(l.dir, "seed", name))
	if err != nil {
		return nil, fault.New(fault.Invalid, "cannot be read")
	}
	if b, err = utf8Of(b); err != nil {
		return nil, err
	}
	switch ext := filepath.Ext(name); ext {
	case ".csv":
		return l.table(name, b)
	case ".ndjson":
		return l.eachLine(name, b)
	case ".json":
		n, err := doc.Parse(b, doc.Limits{})
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s", err)
		}
		if n.Kind == doc.Array {
			return l.plain(name, n.Items, nil)
		}
		return l.form(name, n)
	default:
		n, err := spec.ReadYAML(b)
		if err != nil {
			return nil, err
		}
		return l.form(name, n)
	}
}

// utf8Of is the text of a file without a byte order mark, if it is UTF-8.
func utf8Of(b []byte) ([]byte, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	line, column := 1, 1
	for rest := b; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return nil, fault.New(fault.Invalid, "line %d, column %d: this is not UTF-8: save the file as UTF-8", line, column)
		case r == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		rest = rest[size:]
	}
	return b, nil
}

// form reads {collection, by, records} or {collection, by, source, path, map}.
func (l *loader) form(name string, n *doc.Node) (*set, error) {
	if n.Kind != doc.Object {
		return nil, fault.New(fault.Invalid, "is not an object with collection and records")
	}
	f, err := fields(n, "collection", "by", "records", "source", "path", "map")
	if err != nil {
		return nil, err
	}
	s := &set{file: name}
	if s.of, err = l.collection(f.text("collection")); err != nil {
		return nil, err
	}
	s.people = l.peopleOf(s.of)
	if s.by = f.text("by"); s.by != "" {
		if err := findable(s.of, s.by); err != nil {
			return nil, err
		}
	}
	items, from := f["records"], f["source"]
	switch {
	case (items == nil) == (from == nil):
		return nil, fault.New(fault.Invalid, "has either records or a source")
	case items != nil && (f["path"] != nil || f["map"] != nil):
		return nil, fault.New(fault.Invalid, "path and map go with source")
	case items != nil && items.Kind != doc.Array:
		return nil, fault.New(fault.Invalid, "records is not a list")
	case from != nil:
		err = l.source(s, f)
	default:
		err = s.take(items.Items)
	}
	return s, err
}

// take reads records as they stand.
func (s *set) take(items []doc.Node) error {
	s.records = make([]record, 0, len(items))
	for i := range items {
		r, err := s.record(i+1, &items[i])
		if err == nil {
			s.records = append(s.records, r)
		} else if err := s.fail(&r, err); err != nil {
			return err
		}
	}
	s.identify()
	return nil
}

// record reads one record; references are taken out of it.
func (s *set) record(n int, v *doc.Node) (record, error) {
	r := record{n: n, body: doc.NewObject()}
	if v.Kind != doc.Object {
		return r, fault.New(fault.Invalid, "is not an object")
	}
	for i, name := range v.Keys {
		f, ok := s.of.Field(name)
		if !ok {
			r.body.Set(name, &v.Items[i]) // the database says what is wrong with it
			continue
		}
		refs, value, err := references(f, &v.Items[i])
		if err != nil {
			return r, err
		}
		r.refs = append(r.refs, refs...)
		if value != nil {
			r.body.Set(name, suit(f, value))
		}
	}
	return r, s.part(&r)
}

// identify finds the field by which the records can be found, where the file names none: the id, else a unique
// field that each of them has, else one that each of them needs. Two records that have the same would be one in
// the database, so they are bad.
func (s *set) identify() {
	if s.by == "" {
		s.by = s.key()
	}
	if s.by == "" {
		return
	}
	f, _ := s.of.Field(s.by)
	seen := map[string]int{}
	for _, r := range s.records {
		v, ok := r.body.Get(s.by)
		if !ok || v.IsNull() {
			continue
		}
		value := expr.NFC(v.Text)
		if f.CI {
			value = expr.Fold(value)
		}
		if first, there := seen[value]; there {
			s.note(r.n, fmt.Sprintf("%s: %s %q is that of %s too, and records are found by it", s.where(r.n), s.by, v.Text, s.where(first)))
			continue
		}
		seen[value] = r.n
	}
}

func (s *set) key() string {
	needed := ""
	for _, f := range s.of.Fields {
		if findable(s.of, f.Name) != nil {
			continue
		}
		have := 0
		for _, r := range s.records {
			if v, ok := r.body.Get(f.Name); ok && !v.IsNull() {
				have++
			}
		}
		if have > 0 && have == len(s.records) {
			return f.Name
		}
		if have > 0 && needed == "" && f.Ord != spec.OrdID && f.Required && f.Default == nil && f.Init == nil {
			needed = f.Name
		}
	}
	return needed
}

// plain reads a JSON array, lines or a table: the collection is the name of the file, without a
// number before it.
func (l *loader) plain(name string, items []doc.Node, lines []int) (*set, error) {
	of, err := l.collection(collectionName(name))
	if err != nil {
		return nil, err
	}
	s := &set{file: name, of: of, people: l.peopleOf(of), lines: lines}
	return s, s.take(items)
}

func collectionName(file string) string {
	name := strings.TrimSuffix(file, filepath.Ext(file))
	if number, rest, ok := strings.Cut(name, "-"); ok && number != "" && strings.Trim(number, "0123456789") == "" {
		return rest
	}
	return name
}

// eachLine reads NDJSON.
func (l *loader) eachLine(name string, b []byte) (*set, error) {
	s, err := l.plain(name, nil, nil)
	if err != nil {
		return nil, err
	}
	var items []doc.Node
	number := 0
	for line := range bytes.Lines(b) {
		number++
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		s.lines = append(s.lines, number)
		n, err := doc.Parse(line, doc.Limits{})
		if err != nil {
			n = doc.NewNull()
			var e *doc.Error
			errors.As(err, &e)
			s.note(len(s.lines), fmt.Sprintf("line %d: column %d: %s", number, e.Column, e.Msg))
		}
		items = append(items, *n)
	}
	return s, s.take(items)
}

// table reads CSV (RFC 4180) with the names of fields in its first line. A column FIELD.KEY refers to
// the record whose KEY it holds, and of a list of references to those whose keys it lists. An empty cell is
// absent.
func (l *loader) table(name string, b []byte) (*set, error) {
	r := csv.NewReader(bytes.NewReader(b))
	first, err := r.Read()
	if errors.Is(err, io.EOF) {
		return l.plain(name, nil, nil)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s", err)
	}
	of, err := l.collection(collectionName(name))
	if err != nil {
		return nil, err
	}
	columns, err := l.header(of, first)
	if err != nil {
		return nil, err
	}
	var items []doc.Node
	var lines []int
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return l.plain(name, items, lines)
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s", err)
		}
		n := doc.NewObject()
		for i, cell := range row {
			if cell != "" {
				n.Set(columns[i].field.Name, columns[i].value(cell))
			}
		}
		line, _ := r.FieldPos(0)
		items, lines = append(items, *n), append(lines, line)
	}
}

// column is a column of a table.
type column struct {
	field *spec.Field
	by    string // of a reference: the field of the record referred to; "" for its id
}

// value reads a cell.
func (c column) value(cell string) *doc.Node {
	if c.by == "" {
		return doc.NewString(cell)
	}
	refer := func(value string) *doc.Node {
		v := doc.NewObject()
		v.Set("by", doc.NewString(c.by))
		v.Set("value", doc.NewString(value))
		return v
	}
	if c.field.Type == spec.Ref {
		return refer(cell)
	}
	var refs []*doc.Node
	for _, item := range itemsOf(cell) {
		refs = append(refs, refer(item.Text))
	}
	return doc.NewArray(refs...)
}

// header refuses columns that name no field: all their cells would be lost, or be refused one by one.
func (l *loader) header(of *spec.Collection, names []string) ([]column, error) {
	seen := map[string]bool{}
	columns := make([]column, len(names))
	for i, text := range names {
		text = strings.TrimSpace(text)
		name, by, refers := strings.Cut(text, ".")
		f, err := l.field(of, name)
		if err != nil {
			return nil, err
		}
		if seen[f.Name] {
			return nil, fault.New(fault.Invalid, "the column %q stands there twice", name)
		}
		seen[f.Name] = true
		columns[i] = column{f, by}
		if !refers {
			continue
		}
		to, ok := l.db.App().Collection(f.To)
		if !ok {
			return nil, fault.New(fault.Invalid, "the column %q: %s is not a reference", text, name)
		}
		if err := findable(to, by); err != nil {
			return nil, err
		}
	}
	return columns, nil
}

// field finds a field by the name of a column.
func (l *loader) field(of *spec.Collection, name string) (*spec.Field, error) {
	if name == passwordField.Name && l.peopleOf(of) != nil {
		return passwordField, nil
	}
	if f, ok := of.Field(name); ok && f.Companion == spec.Own {
		return f, nil
	}
	var names []string
	for _, f := range of.Fields {
		if f.Companion == spec.Own {
			names = append(names, f.Name)
		}
	}
	return nil, fault.New(fault.Invalid, "the first line names fields: %s has no field %q%s", of.Name, name, meant(name, names))
}

// meant asks for the one of words that was probably meant, if there is one.
func meant(word string, words []string) string {
	if near := spec.Nearest(word, words); near != "" {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

func (l *loader) collection(name string) (*spec.Collection, error) {
	var names []string
	for _, c := range l.db.App().Collections {
		if c.System {
			continue
		}
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return nil, fault.New(fault.Invalid, "there is no collection %q%s", name, meant(name, names))
}

// findable says whether a record can be found by a field.
func findable(c *spec.Collection, name string) error {
	f, ok := c.Field(name)
	if !ok || f.Ord != spec.OrdID && !f.Unique {
		return fault.New(fault.Invalid, "%s.%s is not a unique field: records cannot be found by it", c.Name, name)
	}
	return nil
}

// members are the members of an object that may have these and no others.
type members map[string]*doc.Node

func fields(n *doc.Node, names ...string) (members, error) {
	m := members{}
	for i, key := range n.Keys {
		if !slices.Contains(names, key) {
			return nil, fault.New(fault.Invalid, "%q is not one of %s%s", key, strings.Join(names, ", "), meant(key, names))
		}
		m[key] = &n.Items[i]
	}
	return m, nil
}

func (m members) text(name string) string {
	if n := m[name]; n != nil {
		return n.Text
	}
	return ""
}
