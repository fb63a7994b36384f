package doc

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The cases of RFC 7396, Appendix A, in its order.
func TestMergeAppendixA(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		target, patch := must(t, c[0]), must(t, c[1])
		if got := string(Merge(target, patch).AppendCanonical(nil)); got != c[2] {
			t.Errorf("%s under %s: %s, want %s", c[0], c[1], got, c[2])
		}
		if string(target.AppendCanonical(nil)) != c[0] || string(patch.AppendCanonical(nil)) != c[1] {
			t.Errorf("%s under %s: changed what it read", c[0], c[1])
		}
	}
	if got := string(Merge(nil, must(t, `{"a":{"b":null}}`)).AppendCanonical(nil)); got != `{"a":{}}` {
		t.Errorf("onto nothing: %s", got)
	}
}

func must(t *testing.T, s string) *Node {
	t.Helper()
	n, err := Parse([]byte(s), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A patch done twice does what it does once; and merging onto what has nothing of the patch's
// leaves no null behind.
func TestMergeProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		target, patch := anyNode(3).Draw(t, "target"), anyNode(3).Draw(t, "patch")
		once := Merge(target, patch)
		twice := Merge(once, patch)
		a, b := once.AppendCanonical(nil), twice.AppendCanonical(nil)
		if string(a) != string(b) {
			t.Fatalf("%s and then %s", a, b)
		}
	})
}

func anyNode(depth int) *rapid.Generator[*Node] {
	return rapid.Custom(func(t *rapid.T) *Node {
		kinds := 4
		if depth > 0 {
			kinds = 6
		}
		switch Kind(rapid.IntRange(0, kinds-1).Draw(t, "kind")) {
		case Bool:
			return NewBool(rapid.Bool().Draw(t, "bool"))
		case Number:
			return NewInt(rapid.Int64().Draw(t, "int"))
		case String:
			return NewString(rapid.String().Draw(t, "string"))
		case Array:
			return NewArray(rapid.SliceOfN(anyNode(depth-1), 0, 3).Draw(t, "items")...)
		case Object:
			n := NewObject()
			for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4, rapid.ID[string]).Draw(t, "keys") {
				n.Set(k, anyNode(depth-1).Draw(t, k))
			}
			return n
		}
		return NewNull()
	})
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	// every byte at every place of a word, alone and beside another special one
	for c := range 128 {
		for at := range 20 {
			for _, second := range []string{"", "\"", "\x00", "é"} {
				s := strings.Repeat("x", at) + string(rune(c)) + second + "tail"
				var back string
				b := AppendString([]byte("before "), s)[len("before "):]
				if err := json.Unmarshal(b, &back); err != nil || back != s {
					t.Fatalf("%q: %s, %v", s, b, err)
				}
			}
		}
	}
	if got := string(AppendString(nil, "")); got != `""` {
		t.Error(got)
	}
	if got := string(AppendText(nil, []byte("</é\u2028\x1f"))); got != "\"</é\u2028\\u001f\"" {
		t.Error(got)
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("\x00\x1f\"\\\u2028é")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		n, err := Parse(AppendString(nil, s), Limits{})
		if err != nil || n.Text != s {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func TestFrom(t *testing.T) {
	t.Parallel()
	type point struct {
		X int `json:"x"`
	}
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, `null`}, {(*Node)(nil), `null`}, {true, `true`}, {7, `7`}, {int64(-1) << 62, `-4611686018427387904`}, {uint8(3), `3`},
		{1.5, `1.5`}, {1e21, `1e+21`}, {1e-7, `1e-07`}, {"a\"", `"a\""`}, {json.Number("1.10"), `1.10`},
		{[]any{1, "x", nil}, `[1,"x",null]`}, {[]string{"a"}, `["a"]`}, {map[string]any{"b": 1, "a": []any{}}, `{"a":[],"b":1}`},
		{map[string]int{"z": 1}, `{"z":1}`}, {point{4}, `{"x":4}`}, {NewInt(3), `3`}, {*NewString("s"), `"s"`},
		{map[string]any{"n": NewObject()}, `{"n":{}}`},
	} {
		n, err := From(c.in)
		if err != nil {
			t.Errorf("%v: %v", c.in, err)
			continue
		}
		got := string(n.AppendCanonical(nil))
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.in, got, c.want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%v: %s is not JSON", c.in, got)
		}
	}
	for _, v := range []any{math.NaN(), math.Inf(1), make(chan int), "\xff", []any{map[string]any{"a": math.NaN()}}, map[string]any{"\xff": 1}} {
		if n, err := From(v); err == nil {
			t.Errorf("took %v as %v", v, n)
		}
	}
}
