package expr

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func mistyped(msg string) *Error { return &Error{Code: "type", Msg: msg} }

// Item is the type of the items of a list.
func (t Type) Item() Type {
	t.Kind, t.Elem = t.Elem, Null
	return t
}

// ParseText reads a string as a value of a type, as it stands in a query string, a filter or
// a path. Text becomes NFC, or its fold when the type is CI. A list is written as a JSON array
// of strings, numbers or booleans.
func ParseText(t Type, s string) (Value, error) {
	switch t.Kind {
	case Bool:
		switch s {
		case "true":
			return BoolOf(true), nil
		case "false":
			return BoolOf(false), nil
		}
		return Value{}, mistyped("must be true or false")
	case Int:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n > MaxInt || n < -MaxInt || s[0] == '+' {
			return Value{}, mistyped("must be a whole number of at most 2^53-1")
		}
		return IntOf(n), nil
	case Bigint:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || s[0] == '+' {
			return Value{}, mistyped("must be a whole number of 64 bits")
		}
		return BigintOf(n), nil
	case Float:
		return parseFloat(s)
	case Decimal:
		return parseDecimal(s, t.Scale)
	case Text:
		return parseText(t, s)
	case Time:
		ms, ok := parseTime(s)
		if !ok {
			return Value{}, mistyped("must be a time like 2026-01-31T12:00:00Z")
		}
		return TimeOf(ms), nil
	case Date:
		if !isDate(s) {
			return Value{}, mistyped("must be a date like 2026-01-31")
		}
		return DateOf(s), nil
	case Duration:
		return parseDuration(s)
	case List:
		return parseList(t, s)
	}
	return Value{}, mistyped("a " + t.Kind.String() + " cannot be written here")
}

// ParseValue makes a value that is not written as text fit a type: what ParseText would make of it.
func ParseValue(t Type, v Value) (Value, error) {
	switch {
	case v.kind == Null:
		return v, nil
	case v.kind == Text && t.Kind != List:
		return ParseText(t, v.s)
	case v.kind == Int && (t.Kind == Bigint || t.Kind == Float || t.Kind == Decimal):
		return As(t, v)
	case v.kind == List && t.Kind == List:
		items := make([]Value, len(v.List()))
		for i, item := range v.List() {
			made, err := ParseValue(t.Item(), item)
			if err != nil {
				return Value{}, err
			}
			items[i] = made
		}
		return ListOf(items...), nil
	case v.kind == t.Kind && v.kind != Decimal:
		return v, nil
	case v.kind == Decimal && t.Kind == Decimal:
		return parseDecimal(formatDecimal(v.n, v.scale), t.Scale)
	}
	return Value{}, mistyped("must be " + describe(t) + ", not " + v.kind.String())
}

func parseText(t Type, s string) (Value, error) {
	if !utf8.ValidString(s) {
		return Value{}, mistyped("must be valid UTF-8")
	}
	if strings.IndexByte(s, 0) >= 0 {
		return Value{}, mistyped("must not contain U+0000")
	}
	if t.CI {
		return TextOf(Fold(s)), nil
	}
	s = NFC(s)
	if len(t.Enum) == 0 {
		return TextOf(s), nil
	}
	for _, e := range t.Enum {
		if e == s {
			return TextOf(s), nil
		}
	}
	err := mistyped(strconv.Quote(s) + " is not one of " + quoteSome(t.Enum))
	err.Suggest = Nearest(s, t.Enum)
	return Value{}, err
}

func parseFloat(s string) (Value, error) {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isDigit(c) && c != '.' && c != '-' && c != '+' && c|0x20 != 'e' {
			return Value{}, mistyped("must be a number")
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return Value{}, mistyped("must be a number")
	}
	return FloatOf(f), nil
}

// parseDecimal reads a decimal exactly. An exponent is refused; zeros behind the scale are not.
func parseDecimal(s string, scale uint8) (Value, error) {
	whole, frac, dot := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if whole == "" || !allDigits(whole) || dot && (frac == "" || !allDigits(frac)) {
		return Value{}, mistyped("must be a decimal number like 9.99")
	}
	frac = strings.TrimRight(frac, "0")
	if len(frac) > int(scale) {
		return Value{}, mistyped("has more than " + strconv.Itoa(int(scale)) + " decimal places")
	}
	var n int64
	for i := range len(whole) + int(scale) {
		d := byte('0')
		if i < len(whole) {
			d = whole[i]
		} else if i-len(whole) < len(frac) {
			d = frac[i-len(whole)]
		}
		if n > MaxDecimal/10 {
			return Value{}, mistyped("has more than 18 digits")
		}
		n = n*10 + int64(d-'0')
	}
	if s[0] == '-' {
		n = -n
	}
	return DecimalOf(n, scale), nil
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// isDate says whether s is YYYY-MM-DD, a day that is, in the years 1000-9999.
func isDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' || s[0] == '0' {
		return false
	}
	y, m, d := number(s[0:4]), number(s[5:7]), number(s[8:10])
	return y >= 1000 && m >= 1 && m <= 12 && d >= 1 && d <= daysOf(y, m)
}

func daysOf(y, m int) int {
	return time.Date(y, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// number reads digits; −1: they are not.
func number(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// parseTime reads RFC 3339 (section 5.6), truncates to milliseconds and refuses what is
// outside the years 1000-9999. A leap second has no millisecond of its own and is refused.
func parseTime(s string) (int64, bool) {
	if len(s) < 20 || !isDate(s[:10]) || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	hour, minute, second := number(s[11:13]), number(s[14:16]), number(s[17:19])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, false
	}
	rest, ms := s[19:], 0
	if rest[0] == '.' {
		i := 1
		for i < len(rest) && isDigit(rest[i]) {
			if i <= 3 {
				ms = ms*10 + int(rest[i]-'0')
			}
			i++
		}
		if i == 1 {
			return 0, false
		}
		for n := i; n <= 3; n++ {
			ms *= 10
		}
		rest = rest[i:]
	}
	offset := 0 // minutes
	switch {
	case rest == "Z" || rest == "z":
	case len(rest) == 6 && rest[3] == ':' && (rest[0] == '+' || rest[0] == '-'):
		h, m := number(rest[1:3]), number(rest[4:6])
		if h < 0 || h > 23 || m < 0 || m > 59 {
			return 0, false
		}
		if offset = h*60 + m; rest[0] == '-' {
			offset = -offset
		}
	default:
		return 0, false
	}
	day := time.Date(number(s[0:4]), time.Month(number(s[5:7])), number(s[8:10]), hour, minute-offset, second, 0, time.UTC)
	if day.Year() < 1000 || day.Year() > 9999 {
		return 0, false
	}
	return day.UnixMilli() + int64(ms), true
}

func parseDuration(s string) (Value, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return Value{}, mistyped("must be a duration like 90s, 24h or 1h30m")
	}
	return DurationOf(d.Milliseconds()), nil
}

func parseList(t Type, s string) (Value, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(s), &raw); err != nil || raw == nil {
		return Value{}, mistyped(`must be a list like ["a","b"]`)
	}
	if len(raw) > MaxItems {
		return Value{}, mistyped("has more than " + strconv.Itoa(MaxItems) + " items")
	}
	items := make([]Value, 0, len(raw))
	for _, r := range raw {
		item := string(r)
		switch r[0] {
		case 'n':
			items = append(items, Value{})
			continue
		case '[', '{':
			return Value{}, mistyped("a list holds single values")
		case '"':
			if err := json.Unmarshal(r, &item); err != nil {
				return Value{}, mistyped(`must be a list like ["a","b"]`)
			}
		}
		v, err := ParseText(t.Item(), item)
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
	}
	return ListOf(items...), nil
}

// literalFits says whether a literal of a kind may stand where a type is wanted; what it
// contains is looked at when it is read.
func literalFits(k LiteralKind, t Type) bool {
	switch k {
	case LitString:
		return t.Kind == Text || t.Kind == Date || t.Kind == Time || t.Kind == Decimal || t.Kind == Bigint
	case LitInt:
		return t.Kind == Int || t.Kind == Bigint || t.Kind == Float || t.Kind == Decimal
	default:
		return t.Kind == Float || t.Kind == Decimal
	}
}

// readLiteral reads a literal as the type that was found for it.
func readLiteral(l Literal, neg bool, t Type) (Value, error) {
	text := l.Text
	if l.Kind == LitString {
		return ParseText(t, text)
	}
	if len(text) > 2 && text[1]|0x20 == 'x' {
		n, err := strconv.ParseUint(text[2:], 16, 64)
		if err != nil {
			return Value{}, mistyped("must be a whole number of 64 bits")
		}
		text = strconv.FormatUint(n, 10)
	}
	if l.Kind == LitFloat && t.Kind == Decimal && text[0] == '.' {
		text = "0" + text
	}
	if neg {
		text = "-" + text
	}
	return ParseText(t, text)
}

// As makes a value fit a type exactly: numbers change their kind where nothing is lost,
// decimals are rounded half to even, a time becomes its day in UTC. Null stays null.
func As(t Type, v Value) (Value, error) {
	if v.kind == Null || v.kind == t.Kind && v.kind != Decimal {
		return v, nil
	}
	switch {
	case t.Kind == Date && v.kind == Time:
		return DateOf(time.UnixMilli(v.n).UTC().Format(time.DateOnly)), nil
	case t.Kind == Float && isNumber(v.kind):
		f, _ := rat(v).Float64()
		return FloatOf(f), nil
	case t.Kind == Decimal && (v.kind == Int || v.kind == Bigint || v.kind == Decimal):
		return decimalOfRat(rat(v), t.Scale)
	case (t.Kind == Int || t.Kind == Bigint) && isNumber(v.kind):
		r := rat(v)
		if !r.IsInt() || !r.Num().IsInt64() || t.Kind == Int && (r.Num().Int64() > MaxInt || r.Num().Int64() < -MaxInt) {
			return Value{}, mistyped("the result is not a whole number that fits")
		}
		return Value{kind: t.Kind, n: r.Num().Int64()}, nil
	}
	return Value{}, mistyped("the result is " + v.kind.String() + ", not " + t.Kind.String())
}
