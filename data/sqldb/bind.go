package sqldb

import (
	"math"
	"math/big"
	"unicode/utf8"

	"github.com/bluell/plinth/expr"
)

// Derive says how an argument becomes the value that is bound.
type Derive uint8

const (
	Plain     Derive = iota
	Exact            // the number at the statement's scale; a number no field can hold where it has more digits
	Floor            // the number at the statement's scale, rounded down
	Ceil             // and up
	PrefixEnd        // the smallest text above every text with this prefix
	Number           // RowNumber of an id
)

// Bind is what one placeholder stands for.
type Bind struct {
	Arg   int        // index of the argument; -1: Val
	Item  int        // from 1: that item of the argument, a list; null where there are not as many
	Val   expr.Value // a literal
	As    Derive
	Scale uint8 // Exact, Floor, Ceil

	Kind, Elem expr.Kind // of the value that is bound; Elem of a List
}

// AfterTexts is what PrefixEnd gives when no text is above all texts with the prefix: bytes,
// which the engine must bind as something that sorts after every text.
var AfterTexts = expr.BytesOf("\xff")

// Value is the value to bind.
func (b *Bind) Value(args []expr.Value) expr.Value {
	v := b.Val
	if b.Arg >= 0 {
		v = args[b.Arg]
	}
	if b.Item > 0 {
		v = item(v, b.Item)
	}
	switch b.As {
	case Exact, Floor, Ceil:
		return scaled(v, b.Scale, b.As)
	case PrefixEnd:
		return prefixEnd(v)
	case Number:
		if v.IsNull() {
			return v
		}
		return expr.IntOf(RowNumber(v.Text()))
	default:
		return v
	}
}

func item(list expr.Value, n int) expr.Value {
	if items := list.List(); n <= len(items) {
		return items[n-1]
	}
	return expr.Value{}
}

// prefixEnd finds the next text by code points: the last one that can grow does, without what follows it.
func prefixEnd(v expr.Value) expr.Value {
	if v.IsNull() {
		return v
	}
	s := v.Text()
	for len(s) > 0 {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		switch {
		case r == utf8.MaxRune:
			continue
		case r == 0xD7FF:
			r = 0xE000
		default:
			r++
		}
		return expr.TextOf(s + string(r))
	}
	return AfterTexts
}

// beyond is more than any decimal: those have 18 digits at most.
const beyond = math.MaxInt64

// scaled brings a number, or each of a list, to a scale, as an integer. What does not fit becomes
// the nearest end of the range, which compares with every stored decimal as the number itself does.
func scaled(v expr.Value, scale uint8, as Derive) expr.Value {
	switch v.Kind() {
	case expr.Null:
		return v
	case expr.List:
		items := make([]expr.Value, len(v.List()))
		for i, item := range v.List() {
			items[i] = scaled(item, scale, as)
		}
		return expr.ListOf(items...)
	case expr.Decimal:
		if v.Scale() == scale {
			return v
		}
	}
	r := new(big.Rat)
	switch v.Kind() {
	case expr.Float:
		r.SetFloat64(v.Float())
	case expr.Decimal:
		r.SetFrac(big.NewInt(v.Int()), power(v.Scale()))
	default:
		r.SetInt64(v.Int())
	}
	r.Mul(r, new(big.Rat).SetInt(power(scale)))
	n, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int)) // rounds down: the denominator is positive
	if rest.Sign() != 0 {
		switch as {
		case Exact:
			return expr.DecimalOf(beyond, scale)
		case Ceil:
			n.Add(n, big.NewInt(1))
		}
	}
	switch {
	case n.IsInt64():
		return expr.DecimalOf(n.Int64(), scale)
	case n.Sign() > 0:
		return expr.DecimalOf(beyond, scale)
	default:
		return expr.DecimalOf(-beyond, scale)
	}
}

func power(scale uint8) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
}
