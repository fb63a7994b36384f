package sqlite

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// lines prints rows to compare them.
func lines(rows [][]expr.Value) []string {
	var out []string
	for _, row := range rows {
		line := ""
		for _, v := range row {
			switch v.Kind() {
			case expr.Null:
				line += "null "
			case expr.Text, expr.Date:
				line += v.Text() + " "
			default:
				line += fmt.Sprint(v.Int(), " ")
			}
		}
		out = append(out, line)
	}
	return out
}

func TestPer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5, 60)
	sort := []driver.Key{{Ord: postTitle, Desc: true}, {Ord: spec.OrdID, Desc: true}}
	ordered := sorted(w.rows["posts"], sort)
	where := op(expr.OpNe, mine(postStatus), lit(expr.TextOf("draft")))
	var parents []expr.Value
	for i := range 10 {
		parents = append(parents, expr.TextOf(id(i)))
	}
	belongs := func(ord int, r driver.Record, parent expr.Value) bool {
		if r[ord].Kind() == expr.List {
			return slices.ContainsFunc(r[ord].List(), func(v expr.Value) bool { return expr.Equal(v, parent) })
		}
		return expr.Equal(r[ord], parent)
	}
	for _, ord := range []int{spec.OrdID, postAuthor, postTopics} {
		for _, limit := range []int{-1, 0, 1, 2, 100} {
			var want [][]expr.Value
			for _, p := range parents {
				n := 0
				for _, r := range ordered {
					if !belongs(ord, r, p) || r[postStatus].Text() == "draft" || limit >= 0 && n >= limit {
						continue
					}
					n++
					want = append(want, []expr.Value{p, r[spec.OrdID], r[postTitle]})
				}
			}
			q := &driver.Query{From: posts, Where: where, Sort: sort, Limit: -1, Per: &driver.Per{Arg: 0, Ord: ord, Limit: -1},
				Cols: []driver.Col{{Ord: spec.OrdID}, {Ord: postTitle}}}
			if limit >= 0 {
				q.Per.Limit = 1
			}
			got := ask(t, w.e, q, expr.ListOf(parents...), expr.IntOf(int64(limit)))
			slices.SortStableFunc(got, func(a, b []expr.Value) int { return cmp.Compare(a[0].Text(), b[0].Text()) })
			if !slices.Equal(lines(want), lines(got)) {
				t.Errorf("field %d limit %d\nwant %q\ngot  %q", ord, limit, lines(want), lines(got))
			}
		}
	}
}

// TestCountOfOne: a record is counted wherever its row lies.
func TestCountOfOne(t *testing.T) {
	t.Parallel()
	e := empty(t)
	var rows []driver.Record
	for n := range 3 {
		r := blank(posts, n)
		r[spec.OrdID] = expr.TextOf(fmt.Sprintf("01900000-0000-7abc-8000-%012d", n)) // one place for all
		rows = append(rows, r)
	}
	insert(t, e, posts, rows...)
	one := op(expr.OpEq, mine(spec.OrdID), param(0, expr.Text))
	for n, r := range rows {
		for _, q := range []*driver.Query{
			{From: posts, Where: one, Count: true, Limit: -1},
			{From: posts, Where: one, Aggregates: []driver.Aggregate{{Func: "count", Ord: -1}}, Limit: -1},
			{From: posts, Where: one, Group: []int{postStatus}, Aggregates: []driver.Aggregate{{Func: "count", Ord: -1}}, Limit: -1},
		} {
			got := lines(ask(t, e, q, r[spec.OrdID]))
			if len(got) != 1 || !strings.HasSuffix(got[0], "1 ") {
				t.Errorf("record %d: %q, want 1", n, got)
			}
		}
	}
}

// TestPerStops: with a limit, the rows of a parent are found by the index of the reference.
func TestPerStops(t *testing.T) {
	t.Parallel()
	e := empty(t)
	for ord, table := range map[int]string{postAuthor: "posts", postTopics: "posts", spec.OrdID: "posts"} {
		q := &driver.Query{From: posts, Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1, Per: &driver.Per{Arg: 0, Ord: ord, Limit: 1},
			Cols: []driver.Col{{Ord: postTitle}}}
		s, err := e.Prepare(q)
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.Explain(t.Context(), nil)
		if err != nil || slices.Contains(x.Scans, table) {
			t.Errorf("field %d: %q, %v\n%s", ord, x.Steps, err, s.Text())
		}
	}
}

func TestCountsAndGroups(t *testing.T) {
	t.Parallel()
	e := empty(t)
	var rows []driver.Record
	for i := range 7 {
		r := blank(posts, i)
		if i > 0 {
			r[postStatus] = expr.TextOf([]string{"open", "closed"}[i%2])
			r[postPrice] = expr.DecimalOf(int64(i)*10, 2)
			r[postStock] = expr.IntOf(int64(i))
			r[postBig] = expr.BigintOf(1 << 62)
		}
		rows = append(rows, r)
	}
	insert(t, e, posts, rows...)
	open := op(expr.OpEq, mine(postStatus), lit(expr.TextOf("open")))
	for _, c := range []struct {
		name string
		q    driver.Query
		args []expr.Value
		want []string
	}{
		{"count", driver.Query{Count: true, Limit: -1}, nil, []string{"7 "}},
		{"count some", driver.Query{Count: true, Limit: -1, Where: open}, nil, []string{"3 "}},
		{"count at most", driver.Query{Count: true, Limit: 0}, []expr.Value{expr.IntOf(5)}, []string{"5 "}},
		{"groups", driver.Query{Group: []int{postStatus}, Limit: -1, Aggregates: []driver.Aggregate{{Func: "count"}, {Func: "sum", Ord: postPrice}, {Func: "min", Ord: postStock}, {Func: "max", Ord: postStock}}},
			nil, []string{"null 1 null null null ", "closed 3 90 1 5 ", "open 3 120 2 6 "}},
		{"groups at most", driver.Query{Group: []int{postStatus}, Limit: 0, Aggregates: []driver.Aggregate{{Func: "count"}}}, []expr.Value{expr.IntOf(1)}, []string{"null 1 "}},
		{"one row", driver.Query{Limit: -1, Aggregates: []driver.Aggregate{{Func: "count"}, {Func: "sum", Ord: postStock}}}, nil, []string{"7 21 "}},
		{"of none", driver.Query{Limit: -1, Where: lit(expr.BoolOf(false)), Aggregates: []driver.Aggregate{{Func: "count"}, {Func: "sum", Ord: postStock}}}, nil, []string{"0 null "}},
		{"beyond 64 bits", driver.Query{Limit: -1, Aggregates: []driver.Aggregate{{Func: "sum", Ord: postBig}}}, nil, []string{"27670116110564327424 "}},
	} {
		c.q.From = posts
		if got := lines(ask(t, e, &c.q, c.args...)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestSumsThatOverflow: groups whose sums overflow half-way, also of numbers with 53 bits, are as exact as the others.
func TestSumsThatOverflow(t *testing.T) {
	t.Parallel()
	e := empty(t)
	const most = 1<<53 - 1
	rows := make([]driver.Record, 2052)
	for i := range rows {
		r := blank(posts, i)
		r[postStatus], r[postStock], r[postBig] = expr.TextOf("b"), expr.IntOf(most), expr.BigintOf(-1<<63)
		switch {
		case i == 0:
			r[postStatus], r[postStock], r[postBig] = expr.TextOf("a"), expr.IntOf(7), expr.Value{}
		case i > 1026:
			r[postStock] = expr.IntOf(-most)
		}
		rows[i] = r
	}
	insert(t, e, posts, rows...)
	for _, sum := range []struct {
		ord  int
		want []string
	}{{postStock, []string{"a 7 ", "b 9007199254740991 "}}, {postBig, []string{"a null ", "b -18917136047589145182208 "}}} {
		q := &driver.Query{From: posts, Group: []int{postStatus}, Limit: -1, Aggregates: []driver.Aggregate{{Func: "sum", Ord: sum.ord}}}
		if got := lines(ask(t, e, q)); !slices.Equal(got, sum.want) {
			t.Errorf("%q, want %q", got, sum.want)
		}
	}
}

// TestRefused: what cannot be translated whole is refused by its name.
func TestRefused(t *testing.T) {
	t.Parallel()
	e := empty(t)
	sum := &expr.Node{Op: expr.OpAdd, Args: []*expr.Node{mine(postStock), lit(expr.IntOf(1))}, Type: expr.Type{Kind: expr.Int}}
	for _, q := range []driver.Query{
		{Where: op(expr.OpEq, sum, lit(expr.IntOf(2)))},
		{Where: op(expr.OpAnd, mine(postLive), &expr.Node{Op: expr.OpHas, Name: "staff"})},
		{Where: op(expr.OpLt, &expr.Node{Op: expr.OpNow}, mine(postAt))},
		{Where: op(expr.OpLt, mine(postTags), mine(postTags))},
		{Where: of(posts, variable(8), postLive)},
		{Where: of(users, deref(record(), posts, postAuthor, &spec.Collection{Name: "nowhere"}), userActive)},
		{Aggregates: []driver.Aggregate{{Func: "sum", Ord: postScore}}},
		{Aggregates: []driver.Aggregate{{Func: "median", Ord: postStock}}},
		{Count: true, Per: &driver.Per{Ord: postAuthor, Limit: -1}},
	} {
		q.From, q.Limit = posts, -1
		_, err := e.Prepare(&q)
		var f *fault.Error
		if !fault.Is(err, fault.Capability) {
			t.Errorf("%v: %v", q.Where, err)
		} else if f = err.(*fault.Error); f.Op == "" {
			t.Errorf("%v: the capability has no name", q.Where)
		}
	}
}
