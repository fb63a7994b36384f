package data

import (
	"errors"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// maxJSON bounds a json field, in bytes of its canonical text.
const maxJSON = 64 << 10

// maxProblems bounds what is told about one body.
const maxProblems = 100

// maxItemsOfList bounds a list whose field has no max.
const maxItemsOfList = 1000

// problems collects everything that is wrong with a body, so that a form can show it at once.
type problems []fault.Field

func (p *problems) add(pointer, code, message string) {
	if len(*p) < maxProblems {
		*p = append(*p, fault.Field{Pointer: pointer, Code: code, Message: message})
	}
}

// full says that looking for more would not be told.
func (p problems) full() bool { return len(p) >= maxProblems }

// err is the 422 for what was collected, or nil.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Fields: p}
}

// spot is a place in a body: a field, or an item of its list. It becomes a pointer only when something is
// wrong there.
type spot struct {
	f    *spec.Field
	item int // −1: the field itself
}

func (s spot) pointer() string {
	if s.item < 0 {
		return fault.Pointer(s.f.Name)
	}
	return fault.Pointer(s.f.Name) + "/" + strconv.Itoa(s.item)
}

// value reads a JSON value as a field's, normalised and within its limits. A null gives null: whether
// that is allowed is asked of the whole record.
func (p *problems) value(f *spec.Field, n *doc.Node) Value {
	if n.Kind == doc.Null {
		return Value{}
	}
	if f.Type == spec.List {
		return p.list(f, n)
	}
	return p.scalar(f, f.Type, n, spot{f, -1})
}

func (p *problems) list(f *spec.Field, n *doc.Node) Value {
	if n.Kind != doc.Array {
		p.add(fault.Pointer(f.Name), "type", "must be a list")
		return Value{}
	}
	return p.items(f, len(n.Items), func(i int, at spot) Value {
		if n.Items[i].Kind == doc.Null {
			p.add(at.pointer(), "type", "must not be null")
			return Value{}
		}
		return p.scalar(f, f.Elem, &n.Items[i], at)
	})
}

// items makes a list of n items, sent or computed. One that is null has something wrong with it, which is
// told.
func (p *problems) items(f *spec.Field, n int, item func(i int, at spot) Value) Value {
	most := f.MaxLen
	if most == 0 {
		most = maxItemsOfList
	}
	if n > most {
		p.add(fault.Pointer(f.Name), "max", "must have at most "+strconv.Itoa(most)+" items")
		return Value{}
	}
	items := make([]Value, 0, n)
	for i := range n {
		if p.full() {
			return Value{}
		}
		at := spot{f, i}
		v := item(i, at)
		if v.IsNull() {
			continue
		}
		if f.Elem == spec.Ref && contains(items, v) {
			p.add(at.pointer(), "unique", "is in the list twice")
			continue
		}
		items = append(items, v)
	}
	return expr.ListOf(items...)
}

func contains(items []Value, v Value) bool {
	for _, item := range items {
		if expr.Equal(item, v) {
			return true
		}
	}
	return false
}

// scalar reads one value of type t; f gives its limits.
func (p *problems) scalar(f *spec.Field, t spec.FieldType, n *doc.Node, at spot) Value {
	switch t {
	case spec.Text, spec.Email, spec.URL, spec.Enum, spec.Ref, spec.Bigint, spec.Decimal, spec.Time, spec.Date:
		if n.Kind != doc.String {
			p.add(at.pointer(), "type", "must be "+wants(t))
			return Value{}
		}
	case spec.Int, spec.Float:
		if n.Kind != doc.Number {
			p.add(at.pointer(), "type", "must be "+wants(t))
			return Value{}
		}
	case spec.Bool:
		if n.Kind != doc.Bool {
			p.add(at.pointer(), "type", "must be true or false")
			return Value{}
		}
		return expr.BoolOf(n.Bool)
	case spec.JSON:
		return p.limits(f, t, expr.JSONOf(string(n.AppendCanonical(nil))), at)
	default: // a file comes as a part of a multipart body
		p.add(at.pointer(), "type", "is a file: send it as a part of multipart/form-data")
		return Value{}
	}
	switch t {
	case spec.Int:
		v, ok := readInt(n.Text)
		if !ok {
			p.add(at.pointer(), "type", "must be a whole number between −(2^53−1) and 2^53−1")
			return Value{}
		}
		return p.limits(f, t, expr.IntOf(v), at)
	case spec.Float:
		v, err := strconv.ParseFloat(n.Text, 64)
		if err != nil || math.IsInf(v, 0) {
			p.add(at.pointer(), "type", "must be a number that fits 64 bits")
			return Value{}
		}
		return p.limits(f, t, expr.FloatOf(v), at)
	case spec.Decimal:
		v, err := expr.ParseText(f.ExprType(), n.Text)
		if err != nil {
			if scale := decimals(n.Text); scale > f.Scale {
				p.add(at.pointer(), "scale", "must have at most "+strconv.Itoa(f.Scale)+" decimal places")
			} else {
				p.add(at.pointer(), "type", "must be a decimal number as a string")
			}
			return Value{}
		}
		return p.limits(f, t, v, at)
	case spec.Bigint, spec.Time, spec.Date:
		v, err := expr.ParseText(expr.Type{Kind: t.Kind()}, n.Text)
		if err != nil {
			p.add(at.pointer(), "type", "must be "+wants(t))
			return Value{}
		}
		return p.limits(f, t, v, at)
	}
	return p.limits(f, t, expr.TextOf(n.Text), at)
}

// limits holds a value, sent or computed, to what type t and the field's own limits allow.
func (p *problems) limits(f *spec.Field, t spec.FieldType, v Value, at spot) Value {
	wrong := func(code, message string) Value {
		p.add(at.pointer(), code, message)
		return Value{}
	}
	if !utf8.ValidString(v.Text()) { // only Go code can send such a text
		return wrong("type", "must be UTF-8")
	}
	switch t {
	case spec.Text:
		return p.text(f, v.Text(), at, f.Type == spec.List)
	case spec.Email:
		s := expr.NFC(v.Text())
		if !ValidEmail(s) {
			return wrong("type", "must be an e-mail address")
		}
		return p.short(f, s, at)
	case spec.URL:
		s := expr.NFC(v.Text())
		if !validURL(s) {
			return wrong("type", "must be an http or https address")
		}
		return p.short(f, s, at)
	case spec.Enum:
		if !slices.ContainsFunc(f.Values, func(one spec.EnumValue) bool { return one.Value == v.Text() }) {
			return wrong("enum", "must be one of "+enumWords(f))
		}
	case spec.Ref:
		if !ValidID(v.Text()) {
			return wrong("ref", "must be the id of a record of "+f.To)
		}
	case spec.JSON:
		if len(v.Text()) > maxJSON {
			return wrong("max", "must have at most 64 KiB")
		}
	case spec.Decimal:
		if digitsOf(v.Int()) > f.Precision {
			return wrong("max", "must have at most "+strconv.Itoa(f.Precision)+" digits")
		}
		return p.within(f, v, at)
	case spec.Int, spec.Float, spec.Bigint, spec.Time, spec.Date:
		return p.within(f, v, at)
	}
	return v
}

func (p *problems) text(f *spec.Field, s string, at spot, inList bool) Value {
	if strings.IndexByte(s, 0) >= 0 {
		p.add(at.pointer(), "type", "must not contain U+0000")
		return Value{}
	}
	s = expr.NFC(s)
	least, most := f.MinLen, f.MaxLen
	if inList { // min and max of a list are on the number of its items
		least, most = 0, f.ItemMax
	}
	if n := utf8.RuneCountInString(s); most > 0 && n > most {
		p.add(at.pointer(), "max", "must have at most "+strconv.Itoa(most)+" characters")
		return Value{}
	} else if n < least {
		p.add(at.pointer(), "min", "must have at least "+strconv.Itoa(least)+" characters")
		return Value{}
	}
	if f.Pattern != nil && !f.Pattern.MatchString(s) {
		p.add(at.pointer(), "pattern", "does not have the form that is asked for")
		return Value{}
	}
	return p.folds(f, s, at)
}

// folds checks the length of the fold of a text that may be in an index.
func (p *problems) folds(f *spec.Field, s string, at spot) Value {
	if !f.CI || f.MaxLen == 0 || f.MaxLen > lenIndex {
		return expr.TextOf(s)
	}
	if most := foldLen(f); utf8.RuneCountInString(s) > most/3 && utf8.RuneCountInString(expr.Fold(s)) > most {
		p.add(at.pointer(), "max", "must have at most "+strconv.Itoa(most)+" characters when its case is folded")
		return Value{}
	}
	return expr.TextOf(s)
}

// short checks the length of an address.
func (p *problems) short(f *spec.Field, s string, at spot) Value {
	if f.MaxLen > 0 && utf8.RuneCountInString(s) > f.MaxLen {
		p.add(at.pointer(), "max", "must have at most "+strconv.Itoa(f.MaxLen)+" characters")
		return Value{}
	}
	return p.folds(f, s, at)
}

// within checks min and max.
func (p *problems) within(f *spec.Field, v Value, at spot) Value {
	if f.Min != nil && expr.Compare(v, *f.Min) < 0 {
		p.add(at.pointer(), "min", "must be at least "+plain(*f.Min))
		return Value{}
	}
	if f.Max != nil && expr.Compare(v, *f.Max) > 0 {
		p.add(at.pointer(), "max", "must be at most "+plain(*f.Max))
		return Value{}
	}
	return v
}

// plain prints a value for a message.
func plain(v Value) string { return strings.Trim(string(AppendJSON(nil, v)), `"`) }

func wants(t spec.FieldType) string {
	switch t {
	case spec.Int:
		return "a whole number"
	case spec.Float:
		return "a number"
	case spec.Bigint:
		return "a whole number of at most 64 bits as a string of digits"
	case spec.Decimal:
		return "a decimal number as a string"
	case spec.Time:
		return "a time such as 2026-01-31T09:30:00Z, in the years 1000 to 9999"
	case spec.Date:
		return "a date such as 2026-01-31"
	default:
		return "a text"
	}
}

func enumWords(f *spec.Field) string {
	words := make([]string, len(f.Values))
	for i, v := range f.Values {
		words[i] = v.Value
	}
	return strings.Join(words, ", ")
}

// readInt reads a JSON number that is a whole number within ±(2^53−1), however it is written: 2.0, 1e3 and
// 10000e-3 are. Nothing is rounded, and the work does not grow with the exponent.
func readInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		digits, whole := wholeDigits(s)
		if n, err = strconv.ParseInt(digits, 10, 64); err != nil || !whole {
			return 0, false
		}
	}
	return n, n >= -expr.MaxInt && n <= expr.MaxInt
}

// wholeDigits writes a whole number of at most 16 digits without point and exponent; false for another.
func wholeDigits(s string) (string, bool) {
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		var err error
		if exponent, err = strconv.Atoi(s[i+1:]); err != nil && !errors.Is(err, strconv.ErrRange) {
			return "", false
		} // out of range it is the nearest int
	}
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return "", false
	}
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "0", true
	}
	short := strings.TrimRight(digits, "0")
	zeros := len(digits) - len(short) - len(fraction) // behind the digits, before the exponent moves the point
	if exponent < -zeros || exponent > 16-len(short)-zeros {
		return "", false
	}
	digits = short + strings.Repeat("0", exponent+zeros)
	if negative {
		digits = "-" + digits
	}
	return digits, true
}

// decimals counts the places behind the point.
func decimals(s string) int {
	if i := strings.IndexByte(s, '.'); i >= 0 {
		return len(s) - i - 1
	}
	return 0
}

func digitsOf(n int64) int {
	if n < 0 {
		n = -n
	}
	return len(strconv.FormatInt(n, 10))
}

// ValidEmail says whether a text can be the value of a field of type email: the rule of HTML's <input type=email>, with
// the lengths of RFC 5321, but for that of the whole.
func ValidEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(local) > 64 || domain == "" || len(domain) > 253 {
		return false
	}
	for _, r := range local {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`()<>[]:;@\,"`, r) {
			return false
		}
	}
	for _, label := range strings.Split(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && r < 0x80 && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return false
			}
		}
	}
	return true
}

func validURL(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

func wholeOrZero(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
