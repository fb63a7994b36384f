package expr

import (
	"cmp"
	"math"
	"strings"
)

// Kind is the kind of a value.
type Kind uint8

const (
	Null     Kind = iota
	Bool          // JSON true, false
	Int           // ±(2^53−1), a JSON number
	Bigint        // signed 64 bits, a JSON string of digits
	Float         // IEEE double, finite, no −0
	Decimal       // scaled 64-bit integer, at most 18 digits; a JSON string
	Text          // UTF-8, NFC, without U+0000; also enums, references, e-mail, url, id
	Time          // milliseconds since 1970 UTC, years 1000-9999
	Date          // YYYY-MM-DD as text, which orders as dates do
	Duration      // milliseconds; only inside expressions
	JSON          // canonical JSON text (package doc)
	Bytes         // sealed bytes of an encrypted field; never seen by clients
	List          // of values of one kind
	Row           // a record; only inside expressions, never a value
)

var kindNames = [...]string{"null", "bool", "int", "bigint", "float", "decimal", "text", "time", "date", "duration", "json", "bytes", "list", "record"}

func (k Kind) String() string { return kindNames[k] }

// Value is one value of a record: a small tagged union, compared and copied by value.
// The zero Value is null.
type Value struct {
	kind  Kind
	scale uint8
	n     int64
	s     string
	list  *[]Value // a pointer, for most values are no lists and all are copied
}

func BoolOf(b bool) Value {
	if b {
		return Value{kind: Bool, n: 1}
	}
	return Value{kind: Bool}
}
func IntOf(n int64) Value      { return Value{kind: Int, n: n} }
func BigintOf(n int64) Value   { return Value{kind: Bigint, n: n} }
func TextOf(s string) Value    { return Value{kind: Text, s: s} }
func DateOf(s string) Value    { return Value{kind: Date, s: s} }
func TimeOf(ms int64) Value    { return Value{kind: Time, n: ms} }
func JSONOf(s string) Value    { return Value{kind: JSON, s: s} }
func BytesOf(b string) Value   { return Value{kind: Bytes, s: b} }
func DurationOf(m int64) Value { return Value{kind: Duration, n: m} }
func ListOf(v ...Value) Value  { return Value{kind: List, list: &v} }

// FloatOf makes a float; −0 becomes 0.
func FloatOf(f float64) Value {
	if f == 0 {
		f = 0
	}
	return Value{kind: Float, n: int64(math.Float64bits(f))}
}

// DecimalOf makes unscaled × 10^−scale.
func DecimalOf(unscaled int64, scale uint8) Value {
	return Value{kind: Decimal, n: unscaled, scale: scale}
}

func (v Value) Kind() Kind     { return v.kind }
func (v Value) IsNull() bool   { return v.kind == Null }
func (v Value) Bool() bool     { return v.kind == Bool && v.n != 0 }
func (v Value) Int() int64     { return v.n } // Int, Bigint, Time and Duration in ms, Decimal unscaled
func (v Value) Scale() uint8   { return v.scale }
func (v Value) Text() string   { return v.s } // Text, Date, JSON, Bytes
func (v Value) Float() float64 { return math.Float64frombits(uint64(v.n)) }

// List is the items of a List, else nil.
func (v Value) List() []Value {
	if v.list == nil {
		return nil
	}
	return *v.list
}

// Compare orders two values of one kind; null is smallest. Text and dates order by
// code point (which bytewise order of UTF-8 is), lists by their items, false before true.
// Numbers of different kinds compare by their mathematical value.
func Compare(a, b Value) int {
	if a.kind == Null || b.kind == Null {
		return cmp.Compare(min(a.kind, 1), min(b.kind, 1))
	}
	switch {
	case a.kind == Float && b.kind == Float:
		return cmp.Compare(a.Float(), b.Float())
	case isNumber(a.kind) && isNumber(b.kind):
		return compareNumbers(a, b)
	case a.kind == List && b.kind == List:
		x, y := a.List(), b.List()
		for i := range x {
			if i >= len(y) {
				return 1
			}
			if c := Compare(x[i], y[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(x), len(y))
	case a.kind == Bool || a.kind == Time || a.kind == Duration:
		return cmp.Compare(a.n, b.n)
	default:
		return strings.Compare(a.s, b.s)
	}
}

// Equal says whether two values are the same; null equals null.
func Equal(a, b Value) bool {
	if a.kind == Null || b.kind == Null {
		return a.kind == b.kind
	}
	return Compare(a, b) == 0
}

func isNumber(k Kind) bool { return k >= Int && k <= Decimal }

var pow10 = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}
