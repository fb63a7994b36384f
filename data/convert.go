package data

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
)

// convert makes a value of one type one of another, when that loses nothing: what is printed of
// both is the same, or the one is the only item of the other. Null stays null.
func convert(v Value, to driver.Column) (Value, bool) {
	switch {
	case v.IsNull():
		return v, true
	case v.Kind() == expr.List && to.Kind == expr.List:
		return convertItems(v.List(), to)
	case to.Kind == expr.List:
		return convertItems([]Value{v}, to)
	case to.Kind == expr.JSON:
		n, err := doc.Parse(AppendJSON(nil, v), doc.Limits{})
		if err != nil {
			return Value{}, false
		}
		text := n.AppendCanonical(nil)
		return expr.JSONOf(string(text)), len(text) <= maxJSON
	case v.Kind() == expr.List:
		if items := v.List(); len(items) == 1 {
			return convert(items[0], to)
		}
		return Value{}, false
	case v.Kind() == to.Kind && to.Kind != expr.Decimal:
		return v, true
	case v.Kind() == expr.JSON:
		return convertJSON(v.Text(), to)
	case v.Kind() == expr.Date && to.Kind == expr.Time:
		t, err := time.Parse(time.DateOnly, v.Text())
		return expr.TimeOf(t.UnixMilli()), err == nil
	case v.Kind() == expr.Time && to.Kind == expr.Date:
		t := time.UnixMilli(v.Int()).UTC()
		return expr.DateOf(t.Format(time.DateOnly)), t.Equal(t.Truncate(24 * time.Hour))
	case v.Kind() == expr.Bool && to.Kind == expr.Int:
		return expr.IntOf(v.Int()), true
	case v.Kind() == expr.Int && to.Kind == expr.Bool:
		return expr.BoolOf(v.Int() == 1), v.Int() == 0 || v.Int() == 1
	}
	return parse(plain(v), to)
}

func convertItems(items []Value, to driver.Column) (Value, bool) {
	one := to
	one.Kind = to.Elem
	out := make([]Value, len(items))
	for i, item := range items {
		var ok bool
		if out[i], ok = convert(item, one); !ok || out[i].IsNull() {
			return Value{}, false
		}
	}
	return expr.ListOf(out...), true
}

func convertJSON(text string, to driver.Column) (Value, bool) {
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		return Value{}, false
	}
	switch n.Kind {
	case doc.String:
		return parse(n.Text, to)
	case doc.Number:
		return parse(n.Text, to)
	case doc.Bool:
		return parse(strconv.FormatBool(n.Bool), to)
	}
	if to.Kind == expr.Text {
		return expr.TextOf(text), true
	}
	return Value{}, false
}

// parse reads a printed value, strictly: spaces around it, excess places and what is out of range do
// not convert.
func parse(s string, to driver.Column) (Value, bool) {
	switch to.Kind {
	case expr.Text:
		return expr.TextOf(s), true
	case expr.Bool:
		return expr.BoolOf(s == "true"), s == "true" || s == "false"
	case expr.Int:
		n, ok := readInt(s)
		return expr.IntOf(n), ok
	case expr.Float:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || strings.ContainsAny(s, "xX_") {
			return Value{}, false
		}
		v := expr.FloatOf(f)
		whole, err := strconv.ParseInt(s, 10, 64)
		return v, err != nil || expr.Equal(v, expr.BigintOf(whole))
	case expr.Decimal:
		s = trimPlaces(s, to.Scale)
	case expr.Bigint:
		s = trimPlaces(s, 0)
	}
	v, err := expr.ParseText(expr.Type{Kind: to.Kind, Scale: uint8(to.Scale)}, s)
	return v, err == nil
}

// trimPlaces drops the zeros behind the point that a scale has no place for.
func trimPlaces(s string, scale int) string {
	whole, places, ok := strings.Cut(s, ".")
	if !ok || strings.ContainsAny(places, "eE") {
		return s
	}
	for len(places) > scale && strings.HasSuffix(places, "0") {
		places = places[:len(places)-1]
	}
	if places == "" {
		return whole
	}
	return whole + "." + places
}

// storedAlike says whether an engine keeps two columns in the same way, as far as an engine that knows
// only numbers, texts and bytes can tell.
func storedAlike(a, b driver.Column) bool { return storage(a.Kind) == storage(b.Kind) }

func storage(k expr.Kind) int {
	switch k {
	case expr.Bool, expr.Int, expr.Bigint, expr.Decimal, expr.Time:
		return 1
	case expr.Float:
		return 2
	case expr.Bytes:
		return 3
	}
	return 4
}
