package mongo

import (
	"math/big"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/expr"
)

// encode is a value as it is stored and asked for. Whole numbers are 64 bits always, decimals are whole
// numbers at the scale of their field, and null is absence: nil stands for it in expressions only.
func encode(v expr.Value) any {
	switch v.Kind() {
	case expr.Null:
		return nil
	case expr.Bool:
		return v.Bool()
	case expr.Float:
		return v.Float()
	case expr.Time:
		return bson.DateTime(v.Int())
	case expr.Bytes:
		return bson.Binary{Data: []byte(v.Text())}
	case expr.List:
		out := make(bson.A, len(v.List()))
		for i, item := range v.List() {
			out[i] = encode(item)
		}
		return out
	case expr.Text, expr.Date, expr.JSON:
		return v.Text()
	default:
		return v.Int()
	}
}

// derive says how an argument with more digits than a decimal field has becomes a number of its scale.
type derive uint8

const (
	exact derive = iota // a number that no field can hold
	floor
	ceil
)

// round says how an argument fits the number it is compared with.
type round struct {
	float bool // a float is wanted
	to    bool // a decimal's scale is wanted
	scale uint8
	as    derive
}

// beyond is more than any decimal: those have 18 digits at most.
const beyond = 1<<63 - 1

// fit brings a number to the scale. What does not fit becomes the nearest end of the range, which compares
// with every stored decimal as the number itself does.
func (r round) fit(v expr.Value, shown bool) expr.Value {
	if r.float && v.Kind() == expr.Int {
		return expr.FloatOf(float64(v.Int())) // of 53 bits
	}
	if !r.to || shown || v.IsNull() || v.Kind() == expr.Decimal && v.Scale() == r.scale {
		return v
	}
	x := new(big.Rat)
	switch v.Kind() {
	case expr.Float:
		x.SetFloat64(v.Float())
	case expr.Decimal:
		x.SetFrac(big.NewInt(v.Int()), power(v.Scale()))
	default:
		x.SetInt64(v.Int())
	}
	x.Mul(x, new(big.Rat).SetInt(power(r.scale)))
	n, rest := new(big.Int).DivMod(x.Num(), x.Denom(), new(big.Int)) // rounds down: the denominator is positive
	if rest.Sign() != 0 {
		switch r.as {
		case exact:
			return expr.DecimalOf(beyond, r.scale)
		case ceil:
			n.Add(n, big.NewInt(1))
		}
	}
	switch {
	case n.IsInt64():
		return expr.DecimalOf(n.Int64(), r.scale)
	case n.Sign() > 0:
		return expr.DecimalOf(beyond, r.scale)
	default:
		return expr.DecimalOf(-beyond, r.scale)
	}
}

func power(scale uint8) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
}

// prefixEnd is the next text, by code points, after all texts with a prefix: its last code point that can
// grow does, without what follows it. ok is false when no text comes after them.
func prefixEnd(s string) (end string, ok bool) {
	for len(s) > 0 {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		switch r {
		case utf8.MaxRune:
			continue
		case 0xD7FF:
			r = 0xE000
		default:
			r++
		}
		return s + string(r), true
	}
	return "", false
}
