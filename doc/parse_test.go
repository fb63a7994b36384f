package doc

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, canonical string }{
		{` null `, `null`},
		{`true`, `true`},
		{"\t\r\n false", `false`},
		{`0`, `0`}, {`-0`, `-0`}, {`1.50`, `1.50`}, {`1E+2`, `1E+2`}, {`12345678901234567890123`, `12345678901234567890123`},
		{`""`, `""`},
		{`"\u0041\/\"\\\b\f\n\r\t"`, `"A/\"\\\b\f\n\r\t"`},
		{`"\u0000\u001f"`, `"\u0000\u001f"`},
		{`"\ud83d\ude00 é"`, `"😀 é"`},
		{"\"\u2028\x7f\"", "\"\u2028\x7f\""},
		{`[]`, `[]`}, {`[ 1 , [ ] , {} ]`, `[1,[],{}]`},
		{`{"b":1,"a":{"d":[true],"c":null}}`, `{"a":{"c":null,"d":[true]},"b":1}`},
		{`{"":1}`, `{"":1}`},
		{`{"\ufb33":1,"\ud83d\ude00":2,"z":3}`, "{\"z\":3,\"\ufb33\":1,\"😀\":2}"}, // by code point, not by UTF-16 unit
	} {
		n, err := Parse([]byte(c.in), Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got := string(n.AppendCanonical(nil)); got != c.canonical {
			t.Errorf("%s: %s, want %s", c.in, got, c.canonical)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want Error // Msg is not compared
	}{
		{``, Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{"\ufeff1", Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{`{"a":1} x`, Error{At: 9, Line: 1, Column: 9, Code: "syntax"}},
		{`1 2`, Error{At: 3, Line: 1, Column: 3, Code: "syntax"}},
		{`tru`, Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{`True`, Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{`NaN`, Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{`01`, Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{`-`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{`+1`, Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{`.5`, Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{`5.`, Error{At: 3, Line: 1, Column: 3, Code: "syntax"}},
		{`1e`, Error{At: 3, Line: 1, Column: 3, Code: "syntax"}},
		{`0x1`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{`'a'`, Error{At: 1, Line: 1, Column: 1, Code: "syntax"}},
		{`"a`, Error{At: 3, Line: 1, Column: 3, Code: "syntax"}},
		{`"\`, Error{At: 3, Line: 1, Column: 3, Code: "syntax"}},
		{`"\x"`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{`"\u12g4"`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{`"\ud800"`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{`"\ud800\u0041"`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{`"\udc00\ud800"`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{"\"a\nb\"", Error{At: 3, Line: 1, Column: 3, Code: "syntax"}},
		{"\"é\xff\"", Error{At: 4, Line: 1, Column: 3, Code: "syntax"}},
		{"\"\\n\xed\xa0\x80\"", Error{At: 4, Line: 1, Column: 4, Code: "syntax"}},
		{"[\"a\",\n 1 2]", Error{At: 10, Line: 2, Column: 4, Code: "syntax"}},
		{`[1,]`, Error{At: 4, Line: 1, Column: 4, Pointer: "/1", Code: "syntax"}},
		{`[1`, Error{At: 3, Line: 1, Column: 3, Code: "syntax"}},
		{`{"a":1,}`, Error{At: 8, Line: 1, Column: 8, Code: "syntax"}},
		{`{a:1}`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{`{"a" 1}`, Error{At: 6, Line: 1, Column: 6, Pointer: "/a", Code: "syntax"}},
		{`{"a":{"b/~":[0,x]}}`, Error{At: 16, Line: 1, Column: 16, Pointer: "/a/b~1~0/1", Code: "syntax"}},
		{`{"a\u0000":1}`, Error{At: 2, Line: 1, Column: 2, Code: "syntax"}},
		{`{"b":[{"k":1},{"k":1,"k":2}]}`, Error{At: 22, Line: 1, Column: 22, Pointer: "/b/1/k", Code: "duplicate"}},
		{`[{"a":{}},{"a":1,"b":tru}]`, Error{At: 22, Line: 1, Column: 22, Pointer: "/1/b", Code: "syntax"}},
		{`{"a":1,"a":2}`, Error{At: 8, Line: 1, Column: 8, Pointer: "/a", Code: "duplicate"}},
		{`{"role":1,"Role":2}`, Error{At: 11, Line: 1, Column: 11, Pointer: "/Role", Code: "duplicate"}},
		{`{"k":1,"\u212a":2}`, Error{At: 8, Line: 1, Column: 8, Pointer: "/\u212a", Code: "duplicate"}}, // the Kelvin sign
		{`{"x":{"ς":1,"Σ":2}}`, Error{At: 14, Line: 1, Column: 13, Pointer: "/x/Σ", Code: "duplicate"}},
		{`{"a":1,"\u0061":2}`, Error{At: 8, Line: 1, Column: 8, Pointer: "/a", Code: "duplicate"}},
		{"{\"a\":\x00}", Error{At: 6, Line: 1, Column: 6, Pointer: "/a", Code: "syntax"}},
	} {
		n, err := Parse([]byte(c.in), Limits{})
		var got *Error
		if !errors.As(err, &got) {
			t.Errorf("%q: took it as %v (%v)", c.in, n, err)
			continue
		}
		if got.Msg == "" {
			t.Errorf("%q: no message", c.in)
		}
		have := *got
		have.Msg = ""
		if d := cmp.Diff(c.want, have); d != "" {
			t.Errorf("%q: %v\n%s", c.in, err, d)
		}
	}
}

func TestParseDuplicatesAmongMany(t *testing.T) {
	t.Parallel()
	for size := few - 2; size < few+4; size++ {
		for twin := range size {
			var b strings.Builder
			b.WriteByte('{')
			for i := range size {
				b.WriteString(`"key` + strconv.Itoa(i) + `":1,`)
			}
			whole := b.String()[:b.Len()-1] + "}"
			if _, err := Parse([]byte(whole), Limits{}); err != nil {
				t.Fatal(err)
			}
			_, err := Parse([]byte(b.String()+`"\u212aEY`+strconv.Itoa(twin)+`":2}`), Limits{})
			var e *Error
			if !errors.As(err, &e) || e.Code != "duplicate" {
				t.Errorf("%d keys, twin of %d: %v", size, twin, err)
			}
		}
	}
}

func TestParseDepth(t *testing.T) {
	t.Parallel()
	nest := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	for _, c := range []struct {
		in    []byte
		limit int
		ok    bool
	}{
		{nest(64), 0, true}, {nest(65), 0, false},
		{nest(3), 3, true}, {nest(4), 3, false},
		{[]byte(`[[],[],[],{},{}]`), 2, true}, // beside each other is not inside
		{bytes.Repeat([]byte("["), 1<<20), 0, false},
	} {
		if _, err := Parse(c.in, Limits{Depth: c.limit}); (err == nil) != c.ok {
			t.Errorf("%.40s with limit %d: %v", c.in, c.limit, err)
		}
	}
}

func TestParseKeepsNothingOfItsInput(t *testing.T) {
	t.Parallel()
	in := []byte(`{"name":"value","n":12}`)
	n, err := Parse(in, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range in {
		in[i] = 'x'
	}
	if got := string(n.AppendCanonical(nil)); got != `{"n":12,"name":"value"}` {
		t.Error(got)
	}
}

func TestParsePlaces(t *testing.T) {
	t.Parallel()
	src := `{"a": [1, "x"], "b" :true}`
	n, err := Parse([]byte(src), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := n.Get("a")
	b, _ := n.Get("b")
	for want, got := range map[string]int{"{": n.At, "[": a.At, "1": a.Items[0].At, `"x"`: a.Items[1].At, "true": b.At} {
		if !strings.HasPrefix(src[got:], want) {
			t.Errorf("%s is said to be at %d", want, got)
		}
	}
	if _, there := n.Get("c"); there {
		t.Error("c is there")
	}
	if _, there := (*Node)(nil).Get("c"); there {
		t.Error("nothing has a key")
	}
}

// FuzzParse compares with encoding/json: what we take, it takes with the same meaning; what it
// takes, we take unless it is one of the things that we refuse on purpose.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e-3,"x\u00e9\ud83d\ude00\\"],"b":{"c":null,"d":true}}`, `[[[[]]]]`, `"\ud800"`, `{"k":1,"K":2}`,
		"\"\xff\"", `{"k":1,"\u212a":2}`, ` 1 `, `-0.0E+00`, `{"a":1}}`, "\ufeff{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n, err := Parse(in, Limits{Depth: 100})
		d := json.NewDecoder(bytes.NewReader(in))
		d.UseNumber()
		var theirs any
		theirErr := d.Decode(&theirs)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.At < 1 || e.At > len(in)+1 || e.Line < 1 || e.Column < 1 || e.Msg == "" {
				t.Fatalf("not a proper error: %#v", err)
			}
			return
		}
		if theirErr != nil {
			t.Fatalf("only we take %q: %v", in, theirErr)
		}
		if ours := plain(n); !reflect.DeepEqual(ours, theirs) {
			t.Fatalf("%q: %v, encoding/json %v", in, ours, theirs)
		}
		canonical := n.AppendCanonical(nil)
		again, err := Parse(canonical, Limits{Depth: 100})
		if err != nil {
			t.Fatalf("canonical %q: %v", canonical, err)
		}
		if twice := again.AppendCanonical(nil); !bytes.Equal(canonical, twice) {
			t.Fatalf("canonical is not: %q, %q", canonical, twice)
		}
		if !json.Valid(canonical) {
			t.Fatalf("canonical %q is not JSON", canonical)
		}
	})
}

// TestParseTakesWhatJSONTakes is the other direction, on documents without the things that we
// refuse on purpose.
func TestParseTakesWhatJSONTakes(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		map[string]any{"a": "<>&\u2028\u0001", "b": []any{1e300, -1e-300, 0.1, nil, true}, "": map[string]any{}},
		[]any{[]any{}, "", "\x7f", "日本語", strings.Repeat("x", 1000) + "\n"},
	} {
		b, err := json.MarshalIndent(v, " ", "\t")
		if err != nil {
			t.Fatal(err)
		}
		n, err := Parse(b, Limits{})
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, plain(n)); diff != "" {
			t.Error(diff)
		}
	}
}

func plain(n *Node) any {
	switch n.Kind {
	case Bool:
		return n.Bool
	case Number:
		return json.Number(n.Text)
	case String:
		return n.Text
	case Array:
		out := []any{}
		for i := range n.Items {
			out = append(out, plain(&n.Items[i]))
		}
		return out
	case Object:
		out := map[string]any{}
		for i, k := range n.Keys {
			out[k] = plain(&n.Items[i])
		}
		return out
	}
	return nil
}

var post = []byte(`{"title":"A title of usual length","body":"` + strings.Repeat("Some words of a text. ", 20) +
	`","author":"0198c0de-0000-7000-8000-000000000001","views":12,"published":true,"tags":["a","b","c"],"meta":{"x":1.5}}`)

func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(post)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(post, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendText(b *testing.B) {
	b.SetBytes(int64(len(post)))
	b.ReportAllocs()
	text := bytes.ReplaceAll(post, []byte(`"`), []byte("'"))
	var dst []byte
	for b.Loop() {
		dst = AppendText(dst[:0], text)
	}
}
