package data

import (
	"math/big"
	"strconv"
	"strings"
	"testing"
)

func TestReadInt(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 400)
	for s, want := range map[string]string{
		"0": "0", "-0": "0", "-0.0": "0", "0e-9999999999999999999": "0", "0e9999999999999999999": "0", "0.0e5": "0",
		"2.0": "2", "1e3": "1000", "1E+3": "1000", "10000e-3": "10", "1.5e1": "15", "-1.5E1": "-15", "0.001e3": "1", "100.0e-2": "1",
		"9007199254740991": "9007199254740991", "-9007199254740991.0": "-9007199254740991", "9007199254740991000e-3": "9007199254740991",
		"1" + zeros + "e-400": "1", "0." + zeros + "1e401": "1", "1." + zeros: "1",
		"9007199254740992": "", "9007199254740991.5": "", "1.0000000000000001": "", "0." + zeros + "1": "", "1e-10": "", "15e-1": "",
		"1e16": "", "1e400": "", "1e9999999999999999999": "", "1e-9999999999999999999": "", "9223372036854775808": "", "1" + zeros: "",
		// no numbers of JSON: a text that is to become an int
		"": "", "-": "", ".": "", "e5": "", "1e": "", "0x10": "", "1_0": "", "0.-5e2": "", "--1.0": "", "1e5e5": "", "Inf": "", " 1": "",
	} {
		got := ""
		if n, ok := readInt(s); ok {
			got = strconv.FormatInt(n, 10)
		}
		if got != want {
			t.Errorf("%.30s: %q, want %q", s, got, want)
		}
	}
}

// A number is an int exactly when the fraction that it stands for is.
func FuzzReadInt(f *testing.F) {
	for _, s := range []string{"1.0000000000000001", "10000e-3", "-1.50e1", "9007199254740992", "0.001e3"} {
		f.Add(s)
	}
	most := big.NewInt(1<<53 - 1)
	f.Fuzz(func(t *testing.T, s string) {
		_, exponent, _ := strings.Cut(strings.ToLower(s), "e")
		if len(exponent) > 4 || strings.ContainsAny(s, "/_xXpPbBoO+") { // what a Rat reads besides
			return
		}
		n, ok := readInt(s)
		r, valid := new(big.Rat).SetString(s)
		whole := valid && r.IsInt() && r.Num().CmpAbs(most) <= 0 && !strings.HasPrefix(strings.TrimPrefix(s, "-"), ".")
		if ok != whole || ok && r.Num().Int64() != n {
			t.Errorf("%q: %d %v, want %v %v", s, n, ok, r, whole)
		}
	})
}
