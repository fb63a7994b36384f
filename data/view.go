package data

import (
	"strconv"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// out is one output of a query as it is printed.
type out struct {
	field  *spec.Field
	prefix []byte // `"name":`
	at     int    // index of the value among the outputs
	test   int    // index of the output that says whether the caller may read it; -1: he may
}

// newOut prepares the printing of a field.
func newOut(f *spec.Field, at, test int) out {
	return out{field: f, prefix: append(doc.AppendString(nil, f.Name), ':'), at: at, test: test}
}

// appendRow prints a row as an object, without its closing brace: an expansion may follow.
func (db *DB) appendRow(dst []byte, c *spec.Collection, v *variant, cols driver.Columns) ([]byte, error) {
	dst = append(dst, '{')
	first := true
	var err error
	for i := range v.outs {
		o := &v.outs[i]
		if o.test >= 0 && cols.Int(o.test) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, o.prefix...)
		if o.field.Ord >= spec.OrdFirst && cols.Null(o.at) {
			dst = append(dst, "null"...)
			continue
		}
		if o.field.Encrypted {
			var plain []byte
			if plain, err = db.keys.Unseal(c, o.field, idOf(v, cols), cols.Text(o.at)); err != nil {
				return dst, err
			}
			dst = append(dst, plain...)
			continue
		}
		switch o.field.Type {
		case spec.Int:
			dst = strconv.AppendInt(dst, cols.Int(o.at), 10)
		case spec.Bigint:
			dst = append(dst, '"')
			dst = strconv.AppendInt(dst, cols.Int(o.at), 10)
			dst = append(dst, '"')
		case spec.Bool:
			dst = strconv.AppendBool(dst, cols.Int(o.at) != 0)
		case spec.Float:
			dst = doc.AppendFloat(dst, cols.Float(o.at))
		case spec.Decimal:
			dst = append(dst, '"')
			dst = appendDecimal(dst, cols.Int(o.at), o.field.Scale)
			dst = append(dst, '"')
		case spec.Time:
			dst = append(dst, '"')
			dst = appendTime(dst, cols.Int(o.at))
			dst = append(dst, '"')
		case spec.List, spec.JSON:
			dst = append(dst, cols.Text(o.at)...)
		case spec.File:
			if dst, err = appendFile(dst, c, o.field, idOf(v, cols), string(cols.Text(o.at))); err != nil {
				return dst, err
			}
		default:
			dst = doc.AppendText(dst, cols.Text(o.at))
		}
	}
	return dst, nil
}

func idOf(v *variant, cols driver.Columns) string { return string(cols.Text(v.id)) }

// appendValue prints a value of a field as JSON.
func (db *DB) appendValue(dst []byte, c *spec.Collection, f *spec.Field, id string, v Value) ([]byte, error) {
	switch {
	case v.IsNull():
		return append(dst, "null"...), nil
	case v.Kind() == expr.Bytes:
		plain, err := db.keys.Unseal(c, f, id, []byte(v.Text()))
		return append(dst, plain...), err
	case f.Type == spec.File:
		return appendFile(dst, c, f, id, v.Text())
	}
	return AppendJSON(dst, v), nil
}

// AppendJSON prints a value as clients see it: bigints, decimals, times and dates as strings.
func AppendJSON(dst []byte, v Value) []byte {
	switch v.Kind() {
	case expr.Null:
		return append(dst, "null"...)
	case expr.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case expr.Int:
		return strconv.AppendInt(dst, v.Int(), 10)
	case expr.Float:
		return doc.AppendFloat(dst, v.Float())
	case expr.JSON:
		return append(dst, v.Text()...)
	case expr.Bigint:
		dst = strconv.AppendInt(append(dst, '"'), v.Int(), 10)
		return append(dst, '"')
	case expr.Decimal:
		dst = appendDecimal(append(dst, '"'), v.Int(), int(v.Scale()))
		return append(dst, '"')
	case expr.Time:
		dst = appendTime(append(dst, '"'), v.Int())
		return append(dst, '"')
	case expr.List:
		dst = append(dst, '[')
		for i, item := range v.List() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, item)
		}
		return append(dst, ']')
	default:
		return doc.AppendString(dst, v.Text())
	}
}

// appendDecimal prints unscaled × 10^−scale with all its places.
func appendDecimal(dst []byte, unscaled int64, scale int) []byte {
	u := uint64(unscaled)
	if unscaled < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var buf [24]byte
	digits := strconv.AppendUint(buf[:0], u, 10)
	for i := len(digits); i <= scale; i++ {
		if i == len(digits) {
			dst = append(dst, '0')
			if scale > 0 {
				dst = append(dst, '.')
			}
			continue
		}
		dst = append(dst, '0')
	}
	if len(digits) > scale {
		dst = append(dst, digits[:len(digits)-scale]...)
		if scale > 0 {
			dst = append(dst, '.')
		}
		digits = digits[len(digits)-scale:]
		if scale == 0 {
			return dst
		}
	}
	return append(dst, digits...)
}

// appendTime prints milliseconds since 1970 as RFC 3339 in UTC with three places.
func appendTime(dst []byte, ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	milli := t.Nanosecond() / 1e6
	return append(dst,
		digit(year/1000), digit(year/100), digit(year/10), digit(year), '-',
		digit(int(month)/10), digit(int(month)), '-', digit(day/10), digit(day), 'T',
		digit(hour/10), digit(hour), ':', digit(minute/10), digit(minute), ':',
		digit(second/10), digit(second), '.', digit(milli/100), digit(milli/10), digit(milli), 'Z')
}

func digit(n int) byte { return '0' + byte(n%10) }
