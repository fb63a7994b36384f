package spec

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/bluell/plinth/expr"
)

// Limits of values that the app file need not give.
const (
	indexedLen  = 255      // characters of a text in an index
	emailLen    = 254      // RFC 5321, 4.5.3.1.3
	urlLen      = 2000     // characters
	enumLen     = 100      // characters of an enum's value
	maxDigits   = 18       // of a decimal
	defaultSize = 10 << 20 // bytes of a file
	maxFields   = 250      // of a collection
	maxIndexes  = 60       // of a collection, beside those of unique fields
	maxValues   = 1000     // of an enum
	manyFiles   = 100      // files of one field
)

// field reads one field, but for what needs other fields or collections. It is false when the
// field's type is not known, so that nothing more can be said about it.
func (l *loader) field(fd *fieldDraft) bool {
	f, s := fd.f, fd.s
	t, ok := typeOf(s.text("type"))
	if !ok {
		return false
	}
	f.Type = t
	if f.Type == List && !l.items(fd) {
		return false
	}
	for _, k := range s.keys {
		known := fieldShape.key(k.text)
		if known == nil || s.values[k.text] == nil || l.takes(f, known) {
			continue
		}
		if f.Type == List && List.in(known.types) {
			l.report(k, "option", "%s does not fit a list of %s", k.text, f.Elem)
		} else {
			l.report(k, "option", "%s does not fit type %s; it fits %s", k.text, f.Type, strings.Join(wordsOf(known.types), " "))
		}
		delete(s.values, k.text)
	}
	f.Required, f.Unique, f.Hidden = s.bool("required"), s.bool("unique"), s.bool("hidden")
	f.Fixed, f.CI, f.Personal = s.bool("fixed"), s.bool("ci"), s.bool("personal")
	f.Encrypted, f.Searchable = s.bool("encrypted"), s.bool("searchable")
	f.Was, f.Label = s.text("was"), s.text("label")
	f.To, f.Inverse = s.text("to"), s.text("inverse")
	f.OnDelete = OnDelete(max(0, slices.Index(onDeleteNames[:], s.text("onDelete"))))
	l.decimal(fd)
	l.enum(fd)
	l.file(fd)
	l.pattern(fd)
	l.bounds(fd)
	l.together(fd)
	if n := s.values["default"]; n != nil && !n.null() {
		if v, ok := l.value(f, f.Type, n, "default"); ok && l.within(f, v, n, "default") {
			f.Default = &v
		}
	}
	return true
}

// takes says whether a key fits a field's type. What a list takes for its items depends on them.
func (l *loader) takes(f *Field, k *key) bool {
	if k.types == nil {
		return true
	}
	if f.Type == List {
		switch k.name {
		case "values":
			return f.Elem == Enum
		case "to", "inverse":
			return f.Elem == Ref
		}
	}
	return f.Type.in(k.types)
}

func (l *loader) items(fd *fieldDraft) bool {
	n := fd.s.values["of"]
	if n == nil {
		if fd.s.get("of") == nil {
			l.report(fd.s.node, "required", "of is missing: a list is of %s", strings.Join(wordsOf(itemTypes), " "))
		}
		return false
	}
	fd.f.Elem, _ = typeOf(n.text)
	return true
}

func (l *loader) decimal(fd *fieldDraft) {
	f, s := fd.f, fd.s
	if f.Type != Decimal {
		return
	}
	f.Precision, f.Scale = s.int("precision", maxDigits), s.int("scale", 0)
	if f.Precision < 1 || f.Precision > maxDigits {
		l.report(s.values["precision"], "value", "precision is from 1 to %d", maxDigits)
		f.Precision = maxDigits
	}
	if f.Scale < 0 || f.Scale > f.Precision {
		l.report(s.values["scale"], "value", "scale is from 0 to the precision, %d", f.Precision)
		f.Scale = 0
	}
}

// enum reads [a, b], {a: Label} or [a, {b: Label}].
func (l *loader) enum(fd *fieldDraft) {
	f, n := fd.f, fd.s.values["values"]
	if f.Type != Enum && f.Elem != Enum {
		return
	}
	if n == nil {
		if fd.s.get("values") == nil {
			l.report(fd.s.node, "required", "values is missing: an enum has values")
		}
		return
	}
	if len(n.items) > maxValues {
		l.report(n, "limit", "an enum has at most %d values", maxValues)
		return
	}
	none := &node{tag: "null"}
	switch n.kind {
	case list:
		for _, i := range n.items {
			if i.kind == object && len(i.keys) == 1 {
				l.enumValue(f, i.keys[0], i.items[0])
				continue
			}
			l.enumValue(f, i, none)
		}
	case object:
		for i, k := range n.keys {
			l.enumValue(f, k, n.items[i])
		}
	default:
		l.report(n, "type", "values is a list or a map of value: label, not %s", n.show())
		return
	}
	if len(n.items) == 0 {
		l.report(n, "value", "values is empty: an enum has values")
	}
	for _, v := range f.Values {
		if f.Type == Enum {
			f.MaxLen = max(f.MaxLen, len([]rune(v.Value)))
		}
	}
}

// enumValue adds one value, with its label or null.
func (l *loader) enumValue(f *Field, value, label *node) {
	switch {
	case value.kind != scalar || label.kind != scalar:
		l.report(value, "type", "a value is a text, or value: label")
		return
	case value.empty() || value.text == "":
		l.report(value, "value", "a value is not empty")
		return
	case len([]rune(value.text)) > enumLen:
		l.report(value, "value", "a value has at most %d characters", enumLen)
		return
	}
	v := expr.NFC(value.text)
	if f.allows(v) {
		l.report(value, "duplicate", "the value %s stands twice", value.show())
		return
	}
	text := label.text
	if label.null() {
		text = ""
	}
	f.Values = append(f.Values, EnumValue{Value: v, Label: text})
}

// allows says whether an enum has a value.
func (f *Field) allows(value string) bool {
	return slices.ContainsFunc(f.Values, func(v EnumValue) bool { return v.Value == value })
}

var mediaType = pattern(`^[a-z0-9][a-z0-9!#$&^_.+-]*/(\*|[a-z0-9][a-z0-9!#$&^_.+-]*)$`)

func (l *loader) file(fd *fieldDraft) {
	f, s := fd.f, fd.s
	if f.Type != File {
		return
	}
	f.MaxFiles, f.MaxSize = 1, s.size("maxSize", defaultSize)
	for _, n := range s.values["accept"].list() {
		if !mediaType().MatchString(n.text) {
			l.report(n, "value", "%s is not a media type like image/png or image/*", n.show())
			continue
		}
		f.Accept = append(f.Accept, n.text)
	}
}

func (l *loader) pattern(fd *fieldDraft) {
	n := fd.s.values["pattern"]
	if n == nil {
		return
	}
	re, err := regexp.Compile(n.text)
	if err == nil {
		fd.f.Pattern = re
		return
	}
	why := ""
	if e, ok := err.(*syntax.Error); ok && n.env == "" {
		why = ": " + string(e.Code)
	}
	l.report(n, "value", "pattern is not a regular expression (RE2)%s", why)
}

// bounds reads min and max: a number of characters or items, or a value of the field's type.
func (l *loader) bounds(fd *fieldDraft) {
	f := fd.f
	lo, hi := fd.s.values["min"], fd.s.values["max"]
	switch f.Type {
	case Text, List, File:
		most := 1 << 30
		if f.Type == File {
			most = manyFiles
		}
		f.MinLen = l.count(lo, "min", 0, most)
		n := l.count(hi, "max", 1, most)
		if f.Type == File {
			f.MaxFiles = max(1, n)
			return
		}
		if f.MaxLen = n; n > 0 && f.MinLen > n {
			l.report(lo, "conflict", "min is larger than max")
		}
	case Email:
		f.MaxLen = emailLen
	case URL:
		f.MaxLen = urlLen
	default:
		f.Min, f.Max = l.bound(f, lo, "min"), l.bound(f, hi, "max")
		if f.Min != nil && f.Max != nil && expr.Compare(*f.Min, *f.Max) > 0 {
			l.report(lo, "conflict", "min is larger than max")
		}
	}
	if f.Unique && (f.Type == Text || f.Type == URL) && !f.Encrypted {
		switch {
		case f.Type == URL || f.MaxLen == 0:
			f.MaxLen = indexedLen
		case f.MaxLen > indexedLen:
			l.report(hi, "option", "a unique text has max: %d at most", indexedLen)
		}
	}
}

func (l *loader) count(n *node, name string, least, most int) int {
	if n == nil {
		return 0
	}
	i, ok := int64(0), false
	if n.kind == scalar {
		i, ok = intOf(n.text)
	}
	if !ok || i < int64(least) || i > int64(most) {
		l.report(n, "value", "%s is a whole number from %d to %d, not %s", name, least, most, n.show())
		return 0
	}
	return int(i)
}

func (l *loader) bound(f *Field, n *node, name string) *expr.Value {
	if n == nil {
		return nil
	}
	v, ok := l.value(f, f.Type, n, name)
	if !ok {
		return nil
	}
	return &v
}

// together refuses options that contradict each other.
func (l *loader) together(fd *fieldDraft) {
	f, s := fd.f, fd.s
	both := func(a, b, why string) {
		if n := s.values[b]; n != nil && s.values[a] != nil && (n.kind != scalar || n.text != "false") && s.text(a) != "false" {
			l.report(n, "conflict", "%s does not go with %s: %s", b, a, why)
		}
	}
	both("set", "init", "set decides on every write")
	both("set", "default", "set decides on every write")
	both("set", "write", "nobody writes it")
	both("set", "fixed", "it is set on every write")
	if f.Searchable && !f.Encrypted {
		l.report(s.values["searchable"], "option", "searchable is for encrypted fields; others can always be searched")
	}
	if f.OnDelete == Clear && f.Required {
		l.report(s.values["onDelete"], "conflict", "onDelete: clear does not go with required: it cannot become null; use restrict or cascade")
	}
	if f.OnDelete == Clear && f.Fixed {
		l.report(s.values["onDelete"], "conflict", "onDelete: clear does not go with fixed: it never changes; use restrict or cascade")
	}
	if (f.Type == Ref || f.Elem == Ref && f.Type == List) && f.To == "" && s.get("to") == nil {
		l.report(s.node, "required", "to is missing: a reference names its collection")
	}
}
