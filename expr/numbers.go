package expr

import (
	"cmp"
	"math"
	"math/big"
	"math/bits"
)

// Bounds of what a record can hold.
const (
	MaxInt     = 1<<53 - 1               // of Int; the least is −MaxInt
	MaxDecimal = 999_999_999_999_999_999 // of an unscaled Decimal, 18 digits
	MaxScale   = 18
)

// compareNumbers compares numbers of different kinds, and decimals of different scales, by
// their mathematical value.
func compareNumbers(a, b Value) int {
	if a.kind == Float {
		return -compareToFloat(b, a.Float())
	}
	if b.kind == Float {
		return compareToFloat(a, b.Float())
	}
	if a.scale == b.scale || sign(a.n) != sign(b.n) {
		return cmp.Compare(a.n, b.n)
	}
	// The same sign, different scales: |a|·10^scale(b) against |b|·10^scale(a) in 128 bits.
	aHi, aLo := bits.Mul64(magnitude(a.n), uint64(pow10[b.scale]))
	bHi, bLo := bits.Mul64(magnitude(b.n), uint64(pow10[a.scale]))
	c := cmp.Compare(aHi, bHi)
	if c == 0 {
		c = cmp.Compare(aLo, bLo)
	}
	if a.n < 0 {
		return -c
	}
	return c
}

// compareToFloat compares an exact number with a finite float.
func compareToFloat(a Value, f float64) int {
	if a.scale == 0 && a.n >= -MaxInt && a.n <= MaxInt {
		return cmp.Compare(float64(a.n), f) // both exact
	}
	if math.IsNaN(f) {
		return 1 // never stored; any order will do
	}
	if math.IsInf(f, 0) {
		return -int(math.Copysign(1, f))
	}
	exact := new(big.Rat).SetFrac(big.NewInt(a.n), big.NewInt(pow10[a.scale]))
	return exact.Cmp(new(big.Rat).SetFloat64(f))
}

func sign(n int64) int { return cmp.Compare(n, 0) }

// magnitude is |n|, also of the smallest int64.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// rat is a number's exact value.
func rat(v Value) *big.Rat {
	if v.kind == Float {
		return new(big.Rat).SetFloat64(v.Float())
	}
	return new(big.Rat).SetFrac(big.NewInt(v.n), big.NewInt(pow10[v.scale]))
}

// decimalOfRat rounds half to even to a scale.
func decimalOfRat(r *big.Rat, scale uint8) (Value, error) {
	num := new(big.Int).Mul(r.Num(), big.NewInt(pow10[scale]))
	quo, rem := new(big.Int).QuoRem(num, r.Denom(), new(big.Int))
	switch c := rem.Abs(rem).Lsh(rem, 1).Cmp(r.Denom()); {
	case c > 0, c == 0 && quo.Bit(0) == 1:
		quo.Add(quo, big.NewInt(int64(num.Sign())))
	}
	if !quo.IsInt64() || quo.Int64() > MaxDecimal || quo.Int64() < -MaxDecimal {
		return Value{}, overflow(Decimal)
	}
	return DecimalOf(quo.Int64(), scale), nil
}

func overflow(k Kind) *Error {
	return mistyped("the result is too large for " + k.String())
}

// arithmetic computes op on two numbers of the kinds that kindOf allows.
func arithmetic(op Op, t Type, a, b Value) (Value, error) {
	switch t.Kind {
	case Int, Bigint, Duration:
		return integers(op, t.Kind, a.n, b.n)
	case Time:
		n, ok := addInt(op, a.n, b.n)
		if !ok || n < firstMilli || n > lastMilli {
			return Value{}, mistyped("the result is outside the years 1000-9999")
		}
		return TimeOf(n), nil
	case Float:
		return floats(op, toFloat(a), toFloat(b))
	case Decimal:
		return decimals(op, t.Scale, a, b)
	}
	return Value{}, mistyped("cannot compute with " + a.kind.String())
}

// The years 1000-9999, in ms.
const (
	firstMilli = -30610224000000
	lastMilli  = 253402300799999
)

func integers(op Op, kind Kind, a, b int64) (Value, error) {
	var n int64
	ok := true
	switch op {
	case OpAdd, OpSub:
		n, ok = addInt(op, a, b)
	case OpMul:
		hi, lo := bits.Mul64(magnitude(a), magnitude(b))
		n = a * b
		ok = hi == 0 && (lo <= math.MaxInt64 || lo == 1<<63 && (a < 0) != (b < 0))
	case OpDiv, OpMod:
		switch {
		case b == 0:
			return Value{}, mistyped("division by zero")
		case a == math.MinInt64 && b == -1:
			ok = false
		case op == OpDiv:
			n = a / b
		default:
			n = a % b
		}
	}
	if !ok || kind == Int && (n > MaxInt || n < -MaxInt) {
		return Value{}, overflow(kind)
	}
	return Value{kind: kind, n: n}, nil
}

func addInt(op Op, a, b int64) (int64, bool) {
	if op == OpSub {
		n := a - b
		return n, (n < a) == (b > 0)
	}
	n := a + b
	return n, (n > a) == (b > 0)
}

func toFloat(v Value) float64 {
	switch {
	case v.kind == Float:
		return v.Float()
	case v.scale == 0:
		return float64(v.n)
	}
	f, _ := rat(v).Float64()
	return f
}

func floats(op Op, a, b float64) (Value, error) {
	var f float64
	switch op {
	case OpAdd:
		f = a + b
	case OpSub:
		f = a - b
	case OpMul:
		f = a * b
	case OpDiv:
		if b == 0 {
			return Value{}, mistyped("division by zero")
		}
		f = a / b
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return Value{}, overflow(Float)
	}
	return FloatOf(f), nil
}

// decimals computes exactly; only a quotient is rounded, half to even.
func decimals(op Op, scale uint8, a, b Value) (Value, error) {
	if a.scale == scale && b.scale == scale && (op == OpAdd || op == OpSub) {
		n, ok := addInt(op, a.n, b.n)
		if !ok || n > MaxDecimal || n < -MaxDecimal {
			return Value{}, overflow(Decimal)
		}
		return DecimalOf(n, scale), nil
	}
	x, y := rat(a), rat(b)
	if (op == OpDiv || op == OpMod) && y.Sign() == 0 {
		return Value{}, mistyped("division by zero")
	}
	switch op {
	case OpAdd:
		x.Add(x, y)
	case OpSub:
		x.Sub(x, y)
	case OpMul:
		x.Mul(x, y)
	case OpDiv:
		x.Quo(x, y)
	case OpMod:
		q := new(big.Rat).Quo(x, y)
		whole := new(big.Int).Quo(q.Num(), q.Denom())
		x.Sub(x, y.Mul(y, new(big.Rat).SetInt(whole)))
	}
	return decimalOfRat(x, scale)
}

// computed is the type of an arithmetic operation; ok is false where there is none.
// A decimal's scale is that of the exact result, a quotient's is four places more.
func computed(op Op, a, b Type) (t Type, ok bool) {
	switch {
	case op == OpAdd && a.Kind == Text && b.Kind == Text:
		return Type{Kind: Text}, true
	case op == OpAdd && (a.Kind == Time && b.Kind == Duration || a.Kind == Duration && b.Kind == Time):
		return Type{Kind: Time}, true
	case op == OpSub && a.Kind == Time && b.Kind == Duration:
		return Type{Kind: Time}, true
	case op == OpSub && a.Kind == Time && b.Kind == Time:
		return Type{Kind: Duration}, true
	case (op == OpAdd || op == OpSub) && a.Kind == Duration && b.Kind == Duration:
		return Type{Kind: Duration}, true
	case !isNumber(a.Kind) || !isNumber(b.Kind):
		return Type{}, false
	case a.Kind == Float || b.Kind == Float:
		return Type{Kind: Float}, op != OpMod
	case a.Kind == Decimal || b.Kind == Decimal:
		scale := max(a.Scale, b.Scale)
		switch op {
		case OpMul:
			scale = a.Scale + b.Scale
		case OpDiv:
			scale += 4
		}
		return Type{Kind: Decimal, Scale: min(scale, MaxScale)}, true
	case a.Kind == Bigint || b.Kind == Bigint:
		return Type{Kind: Bigint}, true
	default:
		return Type{Kind: Int}, true
	}
}
