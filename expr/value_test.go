package expr

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		t    Type
		s    string
		want string // "!": refused
	}{
		{Type{Kind: Int}, "-9007199254740991", "-9007199254740991"},
		{Type{Kind: Int}, "9007199254740992", "!"},
		{Type{Kind: Int}, "+1", "!"},
		{Type{Kind: Int}, "", "!"},
		{Type{Kind: Int}, "1.0", "!"},
		{Type{Kind: Bigint}, "-9223372036854775808", "-9223372036854775808"},
		{Type{Kind: Bigint}, "9223372036854775808", "!"},
		{Type{Kind: Float}, "1e3", "1000"},
		{Type{Kind: Float}, "-0", "0"},
		{Type{Kind: Float}, "Inf", "!"},
		{Type{Kind: Float}, "1e999", "!"},
		{Type{Kind: Float}, "0x1p3", "!"},
		{Type{Kind: Decimal, Scale: 2}, "-0.05", "-0.05"},
		{Type{Kind: Decimal, Scale: 2}, "1.5000", "1.50"},
		{Type{Kind: Decimal, Scale: 2}, "1.501", "!"},
		{Type{Kind: Decimal, Scale: 2}, "9999999999999999.99", "9999999999999999.99"},
		{Type{Kind: Decimal, Scale: 2}, "10000000000000000.00", "!"},
		{Type{Kind: Decimal, Scale: 0}, "999999999999999999", "999999999999999999"},
		{Type{Kind: Decimal, Scale: 0}, "1000000000000000000", "!"},
		{Type{Kind: Decimal, Scale: 2}, "00000000000000000000001", "1.00"},
		{Type{Kind: Decimal, Scale: 2}, ".5", "!"},
		{Type{Kind: Decimal, Scale: 2}, "-", "!"},
		{Type{Kind: Decimal, Scale: 2}, "1.", "!"},
		{Type{Kind: Bool}, "true", "true"},
		{Type{Kind: Bool}, "1", "!"},
		{Type{Kind: Date}, "2024-02-29", `"2024-02-29"`},
		{Type{Kind: Date}, "2023-02-29", "!"},
		{Type{Kind: Date}, "0999-01-01", "!"},
		{Type{Kind: Time}, "1970-01-01T00:00:00Z", "0"},
		{Type{Kind: Time}, "1970-01-01t00:00:00.1239z", "123"},
		{Type{Kind: Time}, "1970-01-01T00:00:00.5-00:01", "60500"},
		{Type{Kind: Time}, "1969-12-31T23:59:59.999Z", "-1"},
		{Type{Kind: Time}, "9999-12-31T23:59:59-00:01", "!"},
		{Type{Kind: Time}, "1000-01-01T00:00:00Z", "-30610224000000"},
		{Type{Kind: Time}, "2026-01-01T24:00:00Z", "!"},
		{Type{Kind: Time}, "2026-01-01T00:00:60Z", "!"},
		{Type{Kind: Time}, "2026-01-01 00:00:00Z", "!"},
		{Type{Kind: Time}, "2026-01-01T00:00:00,5Z", "!"},
		{Type{Kind: Time}, "2026-01-01T00:00:00", "!"},
		{Type{Kind: Text}, "e\u0301", `"é"`},
		{Type{Kind: Text}, "a\x00", "!"},
		{Type{Kind: Text}, "\xff", "!"},
		{Type{Kind: Text, CI: true}, "Straße İ", `"strasse i̇"`},
		{Type{Kind: Text, Enum: statuses}, "live", `"live"`},
		{Type{Kind: Text, Enum: statuses}, "Live", "!"},
		{Type{Kind: List, Elem: Int}, "[1, 2]", "[1 2]"},
		{Type{Kind: List, Elem: Text}, `["a", null]`, `["a" null]`},
		{Type{Kind: List, Elem: Text}, `a`, "!"},
		{Type{Kind: List, Elem: Text}, `null`, "!"},
		{Type{Kind: List, Elem: Text}, `[` + strings.Repeat(`"a",`, 1000) + `"a"]`, "!"},
		{Type{Kind: Duration}, "1h30m", "5400000"},
		{Type{Kind: JSON}, "{}", "!"},
	} {
		v, err := ParseText(c.t, c.s)
		if err != nil {
			if c.want != "!" {
				t.Errorf("%v %.40q: %v", c.t.Kind, c.s, err)
			}
			continue
		}
		if v.String() != c.want {
			t.Errorf("%v %.40q: %s, want %s", c.t.Kind, c.s, v, c.want)
		}
	}
}

// Numbers compare and compute as rational numbers do.
func TestNumbers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	interesting := []int64{0, 1, -1, 5, -5, 10, 1e9, MaxInt, -MaxInt, MaxDecimal, -MaxDecimal, math.MaxInt64, math.MinInt64, 1<<53 + 1}
	number := func() Value {
		n := interesting[r.IntN(len(interesting))]
		if r.IntN(2) == 0 {
			n = r.Int64N(2000) - 1000
		}
		switch r.IntN(4) {
		case 0:
			return IntOf(max(min(n, MaxInt), -MaxInt))
		case 1:
			return BigintOf(n)
		case 2:
			return FloatOf(float64(n) / float64(int64(1)<<r.IntN(8)))
		}
		return DecimalOf(max(min(n, MaxDecimal), -MaxDecimal), uint8(r.IntN(19)))
	}
	for range 20000 {
		a, b := number(), number()
		want := rat(a).Cmp(rat(b))
		if got := Compare(a, b); got != want {
			t.Fatalf("%s %s: %d, want %d", a, b, got, want)
		}
		if a.kind == Float || b.kind == Float {
			continue
		}
		for _, op := range []Op{OpAdd, OpSub, OpMul} {
			ty, ok := computed(op, Type{Kind: a.kind, Scale: a.scale}, Type{Kind: b.kind, Scale: b.scale})
			if !ok {
				t.Fatalf("%s %s %s", a, op, b)
			}
			exact := new(big.Rat)
			switch op {
			case OpAdd:
				exact.Add(rat(a), rat(b))
			case OpSub:
				exact.Sub(rat(a), rat(b))
			case OpMul:
				exact.Mul(rat(a), rat(b))
			}
			got, err := arithmetic(op, ty, a, b)
			if err == nil && rat(got).Cmp(exact) != 0 && int(a.scale)+int(b.scale) <= MaxScale {
				t.Fatalf("%s %s %s: %s, want %s", a, op, b, got, exact)
			}
			limit := map[Kind]int64{Int: MaxInt, Bigint: math.MaxInt64, Decimal: MaxDecimal}[ty.Kind]
			scaled := new(big.Rat).Mul(exact, new(big.Rat).SetInt64(pow10[ty.Scale]))
			if err != nil && scaled.Abs(scaled).Cmp(new(big.Rat).SetInt64(limit)) <= 0 {
				t.Fatalf("%s %s %s: %v", a, op, b, err)
			}
		}
	}
}

func TestHalfEven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"0.125", "0.12"}, {"0.135", "0.14"}, {"-0.125", "-0.12"}, {"-0.135", "-0.14"}, {"0.1251", "0.13"}, {"1", "1.00"},
	} {
		r, _ := new(big.Rat).SetString(c.in)
		v, err := decimalOfRat(r, 2)
		if err != nil || v.String() != c.want {
			t.Errorf("%s: %s (%v), want %s", c.in, v, err, c.want)
		}
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"ABC", "abc"}, {"Straße", "STRASSE"}, {"É", "e\u0301"}, {"Σ", "ς"}, {"K", "k"}, {"ﬁ", "FI"},
	} {
		if Fold(pair[0]) != Fold(pair[1]) {
			t.Errorf("%q and %q differ: %q, %q", pair[0], pair[1], Fold(pair[0]), Fold(pair[1]))
		}
	}
	for _, s := range []string{"İ", "ΐ", "ǰ", "ẞ", "e\u0301"} {
		if Fold(Fold(s)) != Fold(s) {
			t.Errorf("%q folds further", s)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"titel": "title", "Status": "status", "xyz": "", "n": "", "satus": "status"} {
		if got := Nearest(name, []string{"title", "status", "created"}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
