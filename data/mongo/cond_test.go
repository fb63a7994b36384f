package mongo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// world is the same rows in an engine and in Go: the oracle is expr.Holds over the latter.
type world struct {
	e    *Engine
	rows map[string][]driver.Record
}

func (w *world) Fetch(collection, id string) ([]expr.Value, error) {
	for _, r := range w.rows[collection] {
		if r[spec.OrdID].Text() == id {
			return r, nil
		}
	}
	return nil, nil
}

func (w *world) Referring(collection string, ord int, id string) ([][]expr.Value, error) {
	var out [][]expr.Value
	for _, r := range w.rows[collection] {
		if v := r[ord]; v.Kind() == expr.List && slices.ContainsFunc(v.List(), func(v expr.Value) bool { return v.Text() == id }) || v.Kind() == expr.Text && v.Text() == id {
			out = append(out, r)
		}
	}
	return out, nil
}

// words share prefixes and suffixes, and have the code points where engines go wrong.
var words = []string{"", "a", "ab", "abc", "b", "aa", "ba", "é", "e", "A", "a%", "a_", "\u00ff", "\ud7ff", "\ue000", "\U0010ffff", "a\U0010ffff", "😀", "😀a", " a", "a ", "\n"}

// some draws a value of a field, null one time in four. Values are few, so that they meet.
func some(r *rand.Rand, f *spec.Field) expr.Value {
	if r.IntN(4) == 0 {
		return expr.Value{}
	}
	switch f.Type {
	case spec.Int:
		return expr.IntOf(int64(r.IntN(5) - 2))
	case spec.Bigint:
		return expr.BigintOf([]int64{-1 << 63, -1, 0, 1, 1<<63 - 1}[r.IntN(5)])
	case spec.Float:
		return expr.FloatOf([]float64{-1.5, 0, 1, 1.5, 1e300}[r.IntN(5)])
	case spec.Decimal:
		return expr.DecimalOf([]int64{-150, -1, 0, 100, 150, 999999999999999999}[r.IntN(6)], uint8(f.Scale))
	case spec.Bool:
		return expr.BoolOf(r.IntN(2) == 0)
	case spec.Time:
		return expr.TimeOf(int64(r.IntN(4)))
	case spec.Date:
		return expr.DateOf([]string{"2026-01-01", "2026-01-02", "2027-01-01"}[r.IntN(3)])
	case spec.Enum:
		return expr.TextOf([]string{"open", "closed", "draft"}[r.IntN(3)])
	case spec.Ref:
		return expr.TextOf(id(r.IntN(8))) // some of these do not exist
	case spec.List:
		items := make([]expr.Value, r.IntN(3))
		for i := range items {
			if f.Elem == spec.Ref {
				items[i] = expr.TextOf(id(r.IntN(8)))
			} else {
				items[i] = expr.TextOf(words[r.IntN(len(words))])
			}
		}
		return expr.ListOf(items...)
	default:
		return expr.TextOf(words[r.IntN(len(words))])
	}
}

func newWorld(t *testing.T, seed uint64, n int) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{e: empty(t), rows: map[string][]driver.Record{}}
	for _, c := range app.Collections {
		size := 6
		if c == posts {
			size = n
		}
		for i := range size {
			rec := blank(c, i)
			for _, f := range c.Fields[spec.OrdFirst:] {
				if f.Kind() != expr.JSON && f.Kind() != expr.Bytes {
					rec[f.Ord] = some(r, f)
				}
			}
			if c == posts { // day and at are unique together
				rec[spec.OrdCreated] = expr.TimeOf(int64(i / 3))
				if r.IntN(2) == 0 {
					rec[postDay] = expr.Value{}
				} else {
					rec[postAt] = expr.TimeOf(int64(i))
				}
			}
			w.rows[c.Name] = append(w.rows[c.Name], rec)
		}
		insert(t, w.e, c, w.rows[c.Name]...)
	}
	return w
}

// holding are the ids of the posts of which where is true, by the oracle.
func (w *world) holding(t interface{ Fatalf(string, ...any) }, where *expr.Node, args []expr.Value) []string {
	var ids []string
	for _, r := range w.rows["posts"] {
		yes, err := expr.Holds(where, &expr.Scope{Rows: [][]expr.Value{r}, Params: args, Fetch: w})
		if err != nil {
			t.Fatalf("oracle: %v", err)
		}
		if yes {
			ids = append(ids, r[spec.OrdID].Text())
		}
	}
	return ids
}

// asked are the same, by the engine.
func (w *world) asked(t testing.TB, where *expr.Node, args []expr.Value) []string {
	var ids []string
	q := &driver.Query{From: posts, Where: where, Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1, Cols: []driver.Col{{Ord: spec.OrdID}}}
	for _, row := range ask(t, w.e, q, args...) {
		ids = append(ids, row[0].Text())
	}
	return ids
}

func (w *world) agree(t testing.TB, where *expr.Node, args ...expr.Value) {
	t.Helper()
	for _, n := range []*expr.Node{where, say(expr.OpNot, where)} {
		want, got := w.holding(t, n, args), w.asked(t, n, args)
		if !slices.Equal(want, got) {
			s, _ := w.e.Prepare(every(posts, n))
			t.Fatalf("%s\nargs %v\nwant %v\ngot  %v\n%s", n, args, want, got, s.Text())
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 7, 60)
	author := func() *expr.Node { return deref(record(), posts, postAuthor, users) }
	team := func() *expr.Node { return deref(author(), users, userTeam, teams) }
	active := func(v int) *expr.Node { return of(users, bindsTo(v), userActive) }
	null := lit(expr.Value{})
	a, ab := lit(expr.TextOf("a")), lit(expr.TextOf("ab"))
	item := &expr.Node{Op: expr.OpRow, Index: 2, Type: expr.Type{Kind: expr.Text}}
	var cases []*expr.Node
	add := func(n ...*expr.Node) { cases = append(cases, n...) }
	for _, o := range []expr.Op{expr.OpEq, expr.OpNe} {
		add(say(o, mine(postTitle), a), say(o, a, mine(postTitle)), say(o, mine(postTitle), null), say(o, null, null), say(o, mine(spec.OrdID), null),
			say(o, mine(postTitle), mine(postStatus)), say(o, mine(postTitle), of(users, author(), userName)), say(o, of(teams, team(), userName), a),
			strict(say(o, mine(postTitle), null)), strict(say(o, mine(postTitle), mine(postStatus))), strict(say(o, mine(postTitle), a)),
			say(o, mine(postLive), lit(expr.BoolOf(false))), say(o, mine(postLive), say(expr.OpEq, mine(postTitle), a)), say(o, mine(postMeta), null), say(o, mine(postSealed), null),
			say(o, mine(postPrice), lit(expr.DecimalOf(1, 0))), say(o, mine(postPrice), lit(expr.DecimalOf(1001, 3))), say(o, mine(postScore), lit(expr.IntOf(1))),
			say(o, mine(postTags), null), say(o, mine(postTags), lit(expr.ListOf(expr.TextOf("a")))))
	}
	for _, o := range []expr.Op{expr.OpLt, expr.OpLe, expr.OpGt, expr.OpGe} {
		add(say(o, mine(postTitle), ab), say(o, ab, mine(postTitle)), say(o, mine(postTitle), null), say(o, mine(spec.OrdCreated), lit(expr.TimeOf(9))),
			say(o, mine(postTitle), mine(postStatus)), say(o, of(users, author(), userName), ab), say(o, mine(postScore), lit(expr.FloatOf(1))),
			say(o, mine(postPrice), lit(expr.DecimalOf(1001, 3))), say(o, lit(expr.DecimalOf(1499, 3)), mine(postPrice)), say(o, mine(postPrice), lit(expr.DecimalOf(-15, 1))),
			say(o, mine(postBig), lit(expr.BigintOf(0))), say(o, mine(postDay), lit(expr.DateOf("2026-01-02"))),
			say(o, size(mine(postTitle)), lit(expr.IntOf(1))), say(o, size(mine(postTags)), lit(expr.IntOf(1))), say(o, size(mine(postTopics)), lit(expr.IntOf(1))),
			say(o, size(inverse(author(), posts, postAuthor)), lit(expr.IntOf(6))))
	}
	for _, s := range words {
		p := lit(expr.TextOf(s))
		for _, o := range []expr.Op{expr.OpStartsWith, expr.OpEndsWith, expr.OpContains} {
			add(say(o, mine(postTitle), p), say(o, of(users, author(), userName), p), say(o, p, mine(postTitle)), say(o, mine(postTitle), of(users, author(), userName)), say(o, mine(postTitle), null))
		}
		add(say(expr.OpIn, p, mine(postTags)))
	}
	list := lit(expr.ListOf(expr.TextOf("a"), expr.TextOf("ab"), expr.TextOf("")))
	add(say(expr.OpIn, mine(postTitle), literals(expr.TextOf("a"), expr.Value{}, expr.TextOf("é"))), say(expr.OpIn, mine(postTitle), list), say(expr.OpIn, null, list),
		say(expr.OpIn, mine(postTitle), null), say(expr.OpIn, mine(postTitle), mine(postTags)), say(expr.OpIn, mine(postAuthor), mine(postTopics)),
		say(expr.OpIn, lit(expr.TextOf(id(3))), mine(postTopics)), say(expr.OpIn, of(users, author(), userName), list),
		say(expr.OpIn, mine(postPrice), literals(expr.DecimalOf(15, 1), expr.DecimalOf(1001, 3))),
		mine(postLive), of(users, author(), userActive), lit(expr.BoolOf(true)),
		say(expr.OpCond, mine(postLive), say(expr.OpEq, mine(postTitle), a), say(expr.OpLt, mine(postStock), lit(expr.IntOf(0)))),
		say(expr.OpEq, say(expr.OpCond, mine(postLive), mine(postTitle), mine(postStatus)), lit(expr.TextOf("open"))),
		say(expr.OpEq, of(users, guarded(author(), 5, active(5)), userName), of(users, author(), userName)),
		say(expr.OpEq, of(users, guarded(author(), 5, active(5)), userName), null))
	for _, o := range []expr.Op{expr.OpExists, expr.OpAll} {
		over := []*expr.Node{inverse(author(), posts, postAuthor), guarded(inverse(author(), posts, postAuthor), 4, of(posts, bindsTo(4), postLive)),
			inverse(deref(record(), posts, postAuthor, topics), posts, postTopics)}
		for _, n := range over {
			add(bound(o, 3, n, say(expr.OpEq, of(posts, bindsTo(3), postTitle), mine(postTitle))), bound(o, 3, n, of(posts, bindsTo(3), postLive)))
		}
		add(bound(o, 2, several(record(), posts, postTopics, topics), say(expr.OpEq, of(topics, bindsTo(2), userName), mine(postTitle))),
			bound(o, 2, mine(postTags), say(expr.OpStartsWith, item, a)), bound(o, 2, mine(postTags), say(expr.OpEq, item, mine(postTitle))))
	}
	for i, n := range cases {
		t.Run(fmt.Sprint(i), func(t *testing.T) { w.agree(t, n) })
	}
	prefix, items := param(0, expr.Text), param(1, expr.List)
	items.Type.Elem = expr.Text
	for _, s := range words {
		w.agree(t, say(expr.OpStartsWith, mine(postTitle), prefix), expr.TextOf(s))
		w.agree(t, say(expr.OpIn, mine(postTitle), items), expr.Value{}, expr.ListOf(expr.TextOf(s), expr.TextOf("b")))
		w.agree(t, say(expr.OpOr, say(expr.OpEq, mine(postTitle), prefix), say(expr.OpGt, of(users, author(), userName), prefix)), expr.TextOf(s))
	}
	w.agree(t, say(expr.OpIn, mine(postTitle), items), expr.Value{}, expr.ListOf())
}

// node draws a condition over posts.
func drawn(t *rapid.T, depth int) *expr.Node {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "values"), 1))
	row, c := record(), posts
	switch rapid.IntRange(0, 5).Draw(t, "row") {
	case 0:
		row, c = deref(record(), posts, postAuthor, users), users
		if rapid.Bool().Draw(t, "guard") {
			row = guarded(row, 9, of(users, bindsTo(9), userActive))
		}
	case 1:
		row, c = deref(deref(record(), posts, postAuthor, users), users, userTeam, teams), teams
	}
	pick := func(kinds ...expr.Kind) *expr.Node {
		var fields []*spec.Field
		for _, f := range c.Fields {
			if slices.Contains(kinds, f.Kind()) {
				fields = append(fields, f)
			}
		}
		if len(fields) == 0 {
			return lit(expr.Value{})
		}
		return of(c, row, rapid.SampledFrom(fields).Draw(t, "field").Ord)
	}
	same := func(f *expr.Node) *expr.Node {
		if f.Op == expr.OpLit || rapid.IntRange(0, 9).Draw(t, "null") == 0 {
			return lit(expr.Value{})
		}
		if rapid.IntRange(0, 3).Draw(t, "field") == 0 && f.Type.Kind != expr.Decimal {
			return pick(f.Type.Kind)
		}
		return lit(some(r, c.Fields[f.Index]))
	}
	deeper := func() *expr.Node { return drawn(t, depth-1) }
	choice := rapid.IntRange(0, 9).Draw(t, "op")
	if depth == 0 {
		choice %= 5
	}
	switch choice {
	case 0, 1:
		f := pick(expr.Text, expr.Int, expr.Bigint, expr.Float, expr.Decimal, expr.Bool, expr.Time, expr.Date)
		n := say(rapid.SampledFrom([]expr.Op{expr.OpEq, expr.OpNe}).Draw(t, "eq"), f, same(f))
		n.Strict = rapid.IntRange(0, 3).Draw(t, "strict") == 0
		return n
	case 2:
		f := pick(expr.Text, expr.Int, expr.Bigint, expr.Float, expr.Decimal, expr.Time, expr.Date)
		return say(rapid.SampledFrom([]expr.Op{expr.OpLt, expr.OpLe, expr.OpGt, expr.OpGe}).Draw(t, "order"), f, same(f))
	case 3:
		f := pick(expr.Text)
		return say(rapid.SampledFrom([]expr.Op{expr.OpStartsWith, expr.OpEndsWith, expr.OpContains}).Draw(t, "text"), f, same(f))
	case 4:
		return say(expr.OpIn, lit(expr.TextOf(words[r.IntN(len(words))])), mine(postTags))
	case 5, 6:
		return say(rapid.SampledFrom([]expr.Op{expr.OpAnd, expr.OpOr}).Draw(t, "junction"), deeper(), deeper())
	case 7:
		return say(expr.OpNot, deeper())
	case 8:
		return say(expr.OpCond, deeper(), deeper(), deeper())
	default:
		over := inverse(deref(record(), posts, postAuthor, users), posts, postAuthor)
		body := say(expr.OpEq, of(posts, bindsTo(3), postTitle), lit(expr.TextOf(words[r.IntN(len(words))])))
		return bound(rapid.SampledFrom([]expr.Op{expr.OpExists, expr.OpAll}).Draw(t, "range"), 3, over, say(expr.OpOr, body, deeper()))
	}
}

func TestRandomConditions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 11, 40)
	rapid.Check(t, func(rt *rapid.T) {
		n := drawn(rt, rapid.IntRange(0, 3).Draw(rt, "depth"))
		for _, n := range []*expr.Node{n, say(expr.OpNot, n)} {
			if want, got := w.holding(rt, n, nil), w.asked(t, n, nil); !slices.Equal(want, got) {
				s, _ := w.e.Prepare(every(posts, n))
				rt.Fatalf("%s\nwant %v\ngot  %v\n%s", n, want, got, s.Text())
			}
		}
	})
}
