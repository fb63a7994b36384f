package expr

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
)

// Where nothing is null, Eval means what CEL means: random expressions are evaluated by both.
func TestAgreesWithCEL(t *testing.T) {
	t.Parallel()
	celEnv, err := cel.NewEnv(
		cel.Variable("n", cel.IntType), cel.Variable("m", cel.IntType), cel.Variable("f", cel.DoubleType),
		cel.Variable("title", cel.StringType), cel.Variable("body", cel.StringType),
		cel.Variable("ok", cel.BoolType), cel.Variable("on", cel.BoolType),
		cel.Variable("tags", cel.ListType(cel.StringType)), cel.Variable("grades", cel.ListType(cel.IntType)),
		cel.Variable("at", cel.TimestampType), cel.Variable("created", cel.TimestampType), cel.Variable("now", cel.TimestampType),
	)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	held := 0
	const rounds = 1500
	for range rounds {
		src := randomCondition(r, 4)
		row, vars := randomRow(r)
		ast, issues := celEnv.Compile(src)
		if issues.Err() != nil {
			t.Fatalf("%s: %v", src, issues.Err())
		}
		program, err := celEnv.Program(ast)
		if err != nil {
			t.Fatal(err)
		}
		answer, _, err := program.Eval(vars)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		want := answer.Value().(bool)
		e, err := Compile(src, env, "posts", InWrite)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		got, err := Holds(e.Root, scope(row, nobody))
		if err != nil || got != want {
			t.Fatalf("%s: %t (%v), CEL says %t: %v", src, got, err, want, vars)
		}
		if want {
			held++
		}
	}
	if held < rounds/5 || held > rounds*4/5 {
		t.Errorf("%d of %d held: the expressions say little", held, rounds)
	}
}

var words = []string{"", "a", "b", "ab", "aé", "é", "b c", "\U0001F600"}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomRow(r *rand.Rand) ([]Value, map[string]any) {
	n, m, f := int64(r.IntN(9)-4), int64(r.IntN(9)-4), float64(r.IntN(9)-4)/2
	title, body := pick(r, words...), pick(r, words...)
	ok, on := r.IntN(2) == 0, r.IntN(2) == 0
	at, created := nowMs+int64(r.IntN(5)-2)*3_600_000, nowMs+int64(r.IntN(5)-2)*3_600_000
	tags, tagValues := []string{}, []Value{}
	grades, gradeValues := []int64{}, []Value{}
	for range r.IntN(4) {
		tags = append(tags, pick(r, words...))
		tagValues = append(tagValues, TextOf(tags[len(tags)-1]))
		grades = append(grades, int64(r.IntN(9)-4))
		gradeValues = append(gradeValues, IntOf(grades[len(grades)-1]))
	}
	row := record("posts", map[string]Value{
		"id": TextOf("x"), "n": IntOf(n), "m": IntOf(m), "f": FloatOf(f), "title": TextOf(title), "body": TextOf(body),
		"ok": BoolOf(ok), "on": BoolOf(on), "at": TimeOf(at), "created": TimeOf(created),
		"tags": ListOf(tagValues...), "grades": ListOf(gradeValues...),
	})
	return row, map[string]any{
		"n": n, "m": m, "f": f, "title": title, "body": body, "ok": ok, "on": on,
		"at": time.UnixMilli(at), "created": time.UnixMilli(created), "now": time.UnixMilli(nowMs), "tags": tags, "grades": grades,
	}
}

func randomCondition(r *rand.Rand, depth int) string {
	less := func() string { return randomCondition(r, depth-1) }
	op := pick(r, "==", "!=", "<", "<=", ">", ">=")
	if depth > 0 {
		switch r.IntN(8) {
		case 0:
			return fmt.Sprintf("(%s && %s)", less(), less())
		case 1:
			return fmt.Sprintf("(%s || %s)", less(), less())
		case 2:
			return "!(" + less() + ")"
		case 3:
			return fmt.Sprintf("(%s ? %s : %s)", less(), less(), less())
		case 4:
			return fmt.Sprintf("(%s) %s (%s)", less(), pick(r, "==", "!="), less())
		case 5:
			return fmt.Sprintf("tags.%s(x, x %s %s || %s)", pick(r, "exists", "all"), op, randomText(r, 1), less())
		}
	}
	switch r.IntN(9) {
	case 0:
		return pick(r, "ok", "on", "true", "!ok", "ok == on", "on != true", "false == ok")
	case 1:
		return fmt.Sprintf("%s %s %s", randomText(r, 2), op, randomText(r, 2))
	case 2:
		return fmt.Sprintf("%s.%s(%s)", pick(r, "title", "body"), pick(r, "startsWith", "endsWith", "contains"), randomText(r, 1))
	case 3:
		return fmt.Sprintf("%s in %s", randomText(r, 1), pick(r, "tags", `["a", body, "é"]`, `["a", "b"]`))
	case 4:
		return fmt.Sprintf("%s in %s", randomInt(r, 1), pick(r, "grades", "[1, n, 3]", "[-1, 2]"))
	case 5:
		return fmt.Sprintf("f %s %s", op, pick(r, "1.5", "-0.5", "f * 2.0", "f + 0.5", "f / 2.0"))
	case 6:
		return fmt.Sprintf("%s %s %s", pick(r, "at", `created + duration("1h")`, `timestamp("2026-01-01T01:00:00Z")`), op, pick(r, "now", "created", `now - duration("90m")`))
	case 7:
		return fmt.Sprintf(`at - created %s duration("%s")`, op, pick(r, "0s", "1h", "-1h30m"))
	}
	return fmt.Sprintf("%s %s %s", randomInt(r, 2), op, randomInt(r, 2))
}

func randomInt(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(2) == 0 {
		return fmt.Sprintf("(%s %s %s)", randomInt(r, depth-1), pick(r, "+", "-", "*"), randomInt(r, depth-1))
	}
	return pick(r, "n", "m", "1", "-2", "0", "-n", "size(tags)", "size(title)", "body.size()", "n / 3", "m % 3", "(ok ? n : m)")
}

func randomText(r *rand.Rand, depth int) string {
	if depth > 1 && r.IntN(3) == 0 {
		return fmt.Sprintf("(%s + %s)", randomText(r, 1), randomText(r, 1))
	}
	return pick(r, "title", "body", `"a"`, `'é'`, `""`, `r"b c"`, `"\U0001F600"`, `(on ? title : "ab")`)
}

// The lexer and CEL's own agree on what a source is: what CEL can parse has a shape, but for
// what is not part of the language.
func FuzzCompile(f *testing.F) {
	for _, m := range meanings {
		f.Add(m.src)
	}
	for _, r := range refusals {
		f.Add(r.src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		for _, use := range []Use{InRule, InUpdate, InFilter} {
			start := time.Now()
			e, err := Compile(src, env, "posts", use)
			if took := time.Since(start); took > 30*time.Second {
				t.Fatalf("%q took %v", src, took)
			}
			if err != nil {
				var ours *Error
				if !asError(err, &ours) || ours.At < 0 || ours.At > len(src) {
					t.Fatalf("%q: %v", src, err)
				}
				continue
			}
			checkCompiled(t, src, use, e)
		}
	})
}

func asError(err error, to **Error) bool {
	e, ok := err.(*Error)
	*to = e
	return ok
}

func checkCompiled(t *testing.T, src string, use Use, e *Expr) {
	_, lits, err := Shape(src)
	if err != nil {
		t.Fatalf("%q compiles and has no shape: %v", src, err)
	}
	var args []Value
	if use == InFilter {
		args, err = e.Args(nil, lits, func(string, Type) (Value, error) { return Value{}, nil }, func(_, s string) (string, error) { return s, nil })
		if err != nil {
			return
		}
	}
	slots := Slots(e.Root)
	for _, o := range observers {
		s := scope(o.row, o.who)
		s.Params = args
		want, err := Holds(e.Root, s)
		key, bound, err2 := Ask(slots, s, nil, nil)
		if err != nil || err2 != nil {
			continue
		}
		known, err := Specialise(e.Root, key, 0)
		if err != nil {
			continue
		}
		got, err := Holds(known, &Scope{Rows: [][]Value{o.row, o.row}, Params: bound, Fetch: world})
		if err == nil && got != want {
			t.Fatalf("%q for %s: %t, specialised %t\n%s\n%s", src, o.name, want, got, e.Root, known)
		}
	}
}

func FuzzShape(f *testing.F) {
	for _, m := range meanings {
		f.Add(m.src)
	}
	f.Add("'''\\'''''' r'\\' \"\"\"\"\"\"")
	f.Fuzz(func(t *testing.T, src string) {
		shape, lits, err := Shape(src)
		if err != nil {
			return
		}
		for _, l := range lits {
			if l.Pos < 0 || l.Pos >= len(src) {
				t.Fatalf("%q: literal at %d", src, l.Pos)
			}
		}
		if n := strings.Count(shape, `"`) + strings.Count(shape, "#") + strings.Count(shape, "~"); n != len(lits) {
			t.Fatalf("%q: %d literals, shape %q", src, len(lits), shape)
		}
		// White space and the content of literals are no part of the shape.
		again, _, err := Shape(strings.NewReplacer("#", " 7 ", "~", " 7.5 ", `"`, ` "x" `).Replace(shape))
		if err != nil || again != shape {
			t.Fatalf("%q: shape %q, again %q (%v)", src, shape, again, err)
		}
	})
}

func BenchmarkShape(b *testing.B) {
	const src = `status == "open" && starts > timestamp("2026-01-01T00:00:00Z") && (n > 5 || title.startsWith("abc"))`
	dst, lits := make([]byte, 0, 256), make([]Literal, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := AppendShape(dst[:0], src, lits[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(`status == "live" && at > timestamp("2026-01-01T00:00:00Z") && n > 5`, env, "posts", InFilter); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	for _, src := range []string{`status == "live"`, `n > 5 && title != "x" || auth.id == author`, `author.name == "Ann"`, `price >= "10.00"`} {
		e, err := Compile(src, env, "posts", InRule)
		if err != nil {
			b.Fatal(err)
		}
		s := scope(full, ann)
		b.Run(src, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Holds(e.Root, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAsk(b *testing.B) {
	e, err := Compile(`auth.has("staff") || author == auth.id`, env, "posts", InRule)
	if err != nil {
		b.Fatal(err)
	}
	slots, s := Slots(e.Root), scope(full, ann)
	key, args := make([]byte, 0, 8), make([]Value, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Ask(slots, s, key[:0], args[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

// A comparison of a field with a literal allocates nothing.
func TestEvalDoesNotAllocate(t *testing.T) {
	for _, src := range []string{`status == "live"`, `n > 5 && title != "x"`, `price >= "10.00"`, `n in [1, 2, 5]`} {
		e, err := Compile(src, env, "posts", InRule)
		if err != nil {
			t.Fatal(err)
		}
		s := scope(full, ann)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := Holds(e.Root, s); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", src, n)
		}
	}
}
