package attack_test

import (
	"fmt"
	"math"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestCostOfErrors: section 1, hostile input. A body full of mistakes is refused shortly, and at a price that
// grows with its length, as that of a good one does, and not with its square.
func TestCostOfErrors(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	ids := make([]string, 20000)
	for i := range ids {
		ids[i] = fmt.Sprintf(`"01a20405-9198-7f08-9d1c-%012x"`, i)
	}
	keys := make([]string, 100000)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"%x":1`, i)
	}
	good := time.Duration(math.MaxInt64) // what a body of this length costs: the best of three
	for range 3 {
		start := time.Now()
		a.made("", "papers", `{"title":"`+strings.Repeat("a", 900_000)+`"}`)
		good = min(good, time.Since(start))
	}
	for what, body := range map[string]string{
		"references to nothing": `{"tags":[` + strings.Join(ids, ",") + `]}`,
		"nulls in a list":       `{"words":[` + strings.Repeat("null,", 190000) + `null]}`,
		"unknown fields":        `{` + strings.Join(keys, ",") + `}`,
	} {
		start := time.Now()
		got := a.ask("", "POST", "/api/papers", body)
		a.expect(got, what, 400, 413, 422)
		if len(got.body) > 256<<10 {
			t.Errorf("%s: %d bytes are answered with %d", what, len(body), len(got.body))
		}
		if took := time.Since(start); took > 100*good {
			t.Errorf("%s: it took %s, and a good body of this length %s", what, took, good)
		}
	}
}

// TestMemoryOfFilters: section 1. What is kept of questions is bounded in bytes, not only in number.
func TestMemoryOfFilters(t *testing.T) {
	a := open(t, app)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	r := rand.New(rand.NewSource(1))
	const many = 150
	for range many {
		words := make([]string, 700)
		for i := range words {
			words[i] = "title" + []string{"==", "!=", "<", "<=", ">", ">="}[r.Intn(6)] + `""`
		}
		a.expect(a.ask("", "POST", "/api/papers/query", `{"filter":"`+strings.ReplaceAll(strings.Join(words, "||"), `"`, `\"`)+`"}`), "a long filter", 200, 400)
	}
	if grown := int64(heap()-before) >> 20; grown > 64 {
		t.Errorf("%d filters are remembered in %d MB; the cache takes 4096 of them", many, grown)
	}
}

// bomb is a filter whose cost multiplies with each level.
func bomb(levels int) string {
	s := fmt.Sprintf(`x%d.name == "zz"`, levels-1)
	for i := levels - 1; i >= 0; i-- {
		list := "team"
		if i > 0 {
			list = fmt.Sprintf("x%d.boss.team", i-1)
		}
		s = fmt.Sprintf("%s.exists(x%d, %s)", list, i, s)
	}
	return s
}

// family makes one person who is his own boss, and a team.
func (a *target) family(n int) string {
	id := a.made("", "people", `{"name":"boss"}`)
	ops := make([]string, n)
	for i := range ops {
		ops[i] = `{"op":"create","collection":"people","body":{"name":"m","boss":"` + id + `"}}`
	}
	a.expect(a.ask("", "POST", "/api/batch", `{"operations":[`+strings.Join(ops, ",")+`]}`), "family", 200)
	a.expect(a.ask("", "PATCH", "/api/people/"+id, `{"boss":"`+id+`"}`), "family", 200)
	return id
}

// TestFilterBombsAreRefused: OWASP 11. A filter whose cost multiplies with its levels is refused before it runs.
func TestFilterBombsAreRefused(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	a.family(60)
	a.expect(a.ask("", "POST", "/api/people/query", `{"filter":"`+strings.ReplaceAll(bomb(9), `"`, `\"`)+`"}`), "nine levels of exists", 400)
}

// TestExpansionIsBounded: OWASP 11. An answer does not grow with the product of what is expanded.
func TestExpansionIsBounded(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	a.family(400)
	got := a.ask("", "GET", "/api/people"+query("limit", "500", "expand", "boss(expand=team(limit=100,expand=boss))"), "")
	a.expect(got, "expansion of expansions", 200, 400)
	if len(got.body) > 8<<20 {
		t.Errorf("401 small records are answered with %d MB", len(got.body)>>20)
	}
}

// TestLongRecordsDoNotMakeLongPages: OWASP 11. A page ends before it is as long as limit × the longest record.
func TestLongRecordsDoNotMakeLongPages(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	long := strings.Repeat("a", 900_000)
	for range 40 {
		a.made("", "papers", `{"title":"`+long+`"}`)
	}
	if got := a.ask("", "GET", "/api/papers?limit=500", ""); len(got.body) > 17<<20 {
		t.Errorf("40 records make a page of %d MB", len(got.body)>>20)
	}
}

// TestCursorsOfLongKeys: the cursor that a list gives is one that it takes.
func TestCursorsOfLongKeys(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	for _, c := range "abc" {
		a.made("", "papers", `{"title":"`+string(c)+strings.Repeat("z", 5000)+`"}`)
	}
	next := a.ask("", "GET", "/api/papers?sort=title&limit=1", "").text("next")
	if next == "" {
		t.Fatal("there is no next page")
	}
	if len(next) > 6000 {
		t.Errorf("the cursor has %d characters: it fits no address", len(next))
	}
	a.expect(a.ask("", "GET", "/api/papers"+query("sort", "title", "limit", "1", "cursor", next), ""), "the next page", 200)
}

// TestMutatedCursors: lesson 8. Cursors are signed and bound to their list.
func TestMutatedCursors(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	for range 3 {
		a.made("", "people", `{"name":"x","stock":1}`)
		a.made("", "papers", `{"title":"x"}`)
	}
	next := a.ask("", "GET", "/api/people"+query("sort", "name", "limit", "1", "filter", "stock > 0"), "").text("next")
	good := []string{"sort", "name", "limit", "1", "filter", "stock > 0", "cursor", next}
	a.expect(a.ask("", "GET", "/api/people"+query(good...), ""), "the cursor itself", 200)
	for _, other := range [][]string{{"sort", "-name"}, {"sort", "stock"}, {"filter", "stock > 1"}, {"filter", ""}} {
		a.expect(a.ask("", "GET", "/api/people"+query(append(good[:len(good):len(good)], other...)...), ""), "in another list", 400)
	}
	a.expect(a.ask("", "GET", "/api/papers"+query("cursor", next), ""), "in another collection", 400)
	for i := range next {
		c := byte('A')
		if next[i] == 'A' {
			c = 'B'
		}
		a.expect(a.ask("", "GET", "/api/people"+query(append(good[:6:6], "cursor", next[:i]+string(c)+next[i+1:])...), ""), "mutated", 400)
	}
	for _, c := range []string{next + "A", next[:len(next)-1], next + "=", strings.Repeat("A", 100000)[:20000], "%00", "null"} {
		a.expect(a.ask("", "GET", "/api/people"+query(append(good[:6:6], "cursor", c)...), ""), "another form", 400)
	}
}

// TestHostileFilters: lesson 12, OWASP 20. Injection, extremes and what cannot be computed are a 400, never a 500.
func TestHostileFilters(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	a.made("", "papers", `{"title":"x","words":["a"],"price":"1.00","count":"5"}`)
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") }
	for _, f := range []string{"1/0 == 1", "1 % 0 == 1", "count > 9223372036854775807 + 1", "count == 9223372036854775808", "9007199254740991 * 9007199254740991 > count", "price > 1/0",
		`now + duration("2562047h") > created`, "1.0 / 0.0 > 1.0", "-(-9223372036854775808) == count", "count > 99999999999999999999999999", `price == "1e999999999"`, `price == "0.00000000001"`,
		`title == '' OR 1=1 --`, `title"; DROP TABLE papers; --`, `"title" == "x") OR (1=1`, `title == "x" && rowid > 0`, "sqlite_version() == ''", "title.matches('(a+)+$')", `title == "\u0000"`, `title == "\ud800"`,
		strings.Repeat("(", 60) + `title == "a"` + strings.Repeat(")", 60), strings.Repeat("!", 3000) + "true", "title in [" + many(1001) + "]", strings.Repeat("a", 9000), "", " ", "//", "true", "null", "param.x == param.y", "title == param.x",
		`title in [[["a"]]]`, `{"a":1} == {"a":1}`, `words.map(x, x)`, `words.exists(words, words == "a")`, `words.exists(auth, true)`, `dyn(title)`, "type(title) == string", "created.getFullYear() > 1",
		strings.Repeat("true?", 40) + "true" + strings.Repeat(":false", 40)} {
		a.expect(a.ask("", "POST", "/api/papers/query", `{"filter":`+quoted(f)+`}`), "filter "+f[:min(len(f), 60)], 200, 400)
	}
	for _, p := range []string{"sort", "fields", "expand", "group", "aggregate", "count", "cursor", "limit"} {
		for _, v := range []string{"title; DROP TABLE papers", `title"`, "title'--", "id,id", "-", ",", "title,", "(", "sum(", "sum(title))", "1e3", "-1", "+1", "0", "501", "9999999999999999999", "rowid", "*"} {
			a.expect(a.ask("", "GET", "/api/papers"+query(p, v), ""), p+"="+v, 400)
		}
	}
	list := strings.TrimSuffix(strings.Repeat(`"a",`, 1001), ",")
	a.expect(a.ask("", "POST", "/api/papers/query", `{"filter":"title in param.s","param":{"s":[`+list+`]}}`), "in with more than 1,000 values", 400)
	a.expect(a.ask("", "GET", "/api/papers?limit=1&limit=2", ""), "a parameter twice", 400)
	a.expect(a.ask("", "GET", "/api/papers?limit=1&%6cimit=2", ""), "a parameter twice, encoded", 400)
	a.expect(a.ask("", "GET", "/api/papers?Limit=1", ""), "a parameter in another case", 400)
	a.expect(a.ask("", "GET", "/api/papers?offset=1", ""), "an unknown parameter", 400)
	a.expect(a.ask("", "GET", "/api/papers?"+strings.Repeat("param.a=1&", 1000)+"filter=true", ""), "a thousand parameters", 400)
}

// TestBodyIsReadForWhoMayAsk: rules that need only the caller are decided before the body is read.
func TestBodyIsReadForWhoMayAsk(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	for path, by := range map[string]string{"/api/closed": "", "/api/people": "readonly", "/api/nowhere": "", "/api/nowhere/query": ""} {
		body := &watched{}
		r := httptest.NewRequest("POST", path, body)
		r.ContentLength = 1000
		r.Header.Set("Content-Type", "application/json")
		if by != "" {
			r.Header.Set("Authorization", "Bearer "+a.keys[by])
		}
		w := httptest.NewRecorder()
		a.http.ServeHTTP(w, r)
		if w.Code == http.StatusBadRequest || body.read {
			t.Errorf("POST %s by %q: %d, the body was read: %t", path, by, w.Code, body.read)
		}
	}
}

// watched is a body that notes that it is read.
type watched struct{ read bool }

func (w *watched) Read(b []byte) (int, error) {
	w.read = true
	return 0, fmt.Errorf("gone")
}
