package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

func sorted(rows []driver.Record, sort []driver.Key) []driver.Record {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b driver.Record) int {
		for _, k := range sort {
			c := expr.Compare(a[k.Ord], b[k.Ord])
			if k.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return rows
}

// behind makes the After of a row, its arguments beginning with first.
func behind(sort []driver.Key, r driver.Record, args []expr.Value) (*driver.After, []expr.Value) {
	a := &driver.After{}
	for _, k := range sort {
		a.Args = append(a.Args, len(args))
		a.Null = append(a.Null, r[k.Ord].IsNull())
		args = append(args, r[k.Ord])
	}
	return a, args
}

func TestRandomPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, 50)
	where := op(expr.OpOr, op(expr.OpNe, mine(postStatus), lit(expr.TextOf("draft"))), mine(postLive))
	held := slices.Clone(w.rows["posts"])
	ids := w.holding(t, where, nil)
	held = slices.DeleteFunc(held, func(r driver.Record) bool { return !slices.Contains(ids, r[spec.OrdID].Text()) })
	fields := []int{postTitle, postStatus, postStock, postBig, postScore, postPrice, postLive, postDay, postAt, postAuthor, spec.OrdCreated}
	rapid.Check(t, func(rt *rapid.T) {
		var sort []driver.Key
		for _, ord := range rapid.SliceOfNDistinct(rapid.SampledFrom(fields), 0, 3, rapid.ID).Draw(rt, "keys") {
			sort = append(sort, driver.Key{Ord: ord, Desc: rapid.Bool().Draw(rt, "desc")})
		}
		last := rapid.Bool().Draw(rt, "desc")
		if len(sort) > 0 {
			last = sort[len(sort)-1].Desc
		}
		sort = append(sort, driver.Key{Ord: spec.OrdID, Desc: last})
		limit := rapid.IntRange(1, 20).Draw(rt, "limit")
		q := &driver.Query{From: posts, Where: where, Sort: sort, Limit: 0, Cols: []driver.Col{{Ord: spec.OrdID}, {Ord: postTitle, If: mine(postLive)}}}
		rest := sorted(held, sort)
		for len(rest) > 0 {
			args := []expr.Value{expr.IntOf(int64(limit))}
			if len(rest) < len(held) {
				q.After, args = behind(sort, sorted(held, sort)[len(held)-len(rest)-1], args)
			}
			n := min(limit, len(rest))
			var want, got []string
			for _, r := range rest[:n] {
				line := r[spec.OrdID].Text() + " false"
				if r[postLive].Bool() {
					line = r[spec.OrdID].Text() + " true " + r[postTitle].Text()
				}
				want = append(want, line)
			}
			for _, row := range ask(t, w.e, q, args...) {
				line := fmt.Sprint(row[0].Text(), " ", row[1].Bool())
				if row[1].Bool() {
					line += " " + row[2].Text()
				}
				got = append(got, line)
			}
			if !slices.Equal(want, got) {
				s, _ := w.e.Prepare(q)
				rt.Fatalf("sort %v after %v\nwant %v\ngot  %v\n%s", sort, args, want, got, s.Text())
			}
			rest = rest[n:]
		}
	})
}

// TestPagesWalkIndexes: the figures of a deep page depend on these plans.
func TestPagesWalkIndexes(t *testing.T) {
	t.Parallel()
	e := empty(t)
	status := op(expr.OpEq, mine(postStatus), param(0, expr.Text))
	newest := []driver.Key{{Ord: spec.OrdCreated, Desc: true}, {Ord: spec.OrdID, Desc: true}}
	title := []driver.Key{{Ord: postTitle}, {Ord: spec.OrdID}}
	down := []driver.Key{{Ord: postTitle, Desc: true}, {Ord: spec.OrdID, Desc: true}}
	author := op(expr.OpEq, mine(postAuthor), param(0, expr.Text))
	after := func(null bool) *driver.After {
		return &driver.After{Args: []int{2, 3}, Null: []bool{null, false}}
	}
	for _, c := range []struct {
		name  string
		q     driver.Query
		index string
	}{
		{"first page", driver.Query{Where: status, Sort: newest}, "by_status"},
		{"deep page", driver.Query{Where: status, Sort: newest, After: after(false)}, "by_status"},
		{"by title", driver.Query{Sort: title, After: after(false)}, "by_title"},
		{"by title behind null", driver.Query{Sort: title, After: after(true)}, "by_title"},
		{"by title down", driver.Query{Sort: down, After: after(false)}, "by_title"},
		{"by title down behind null", driver.Query{Sort: down, After: after(true)}, "by_title"},
		{"by reference", driver.Query{Where: author, Sort: []driver.Key{{Ord: spec.OrdID}}}, "author$ref"},
		{"prefix", driver.Query{Where: op(expr.OpStartsWith, mine(postTitle), param(0, expr.Text)), Sort: title}, "by_title"},
		{"one", driver.Query{Where: op(expr.OpEq, mine(spec.OrdID), param(0, expr.Text)), Sort: []driver.Key{{Ord: spec.OrdID}}}, "id"},
	} {
		c.q.From, c.q.Limit, c.q.Cols = posts, 1, []driver.Col{{Ord: postTitle}, {Ord: postStatus}}
		s, err := e.Prepare(&c.q)
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.Explain(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if x.Sorts || len(x.Scans) > 0 || !slices.Equal(x.Indexes, []string{c.index}) {
			t.Errorf("%s: %s\n%s\n%+v", c.name, s.Text(), strings.Join(x.Steps, "\n"), x)
		}
	}
}

// TestExplainScans: what an index would save is told.
func TestExplainScans(t *testing.T) {
	t.Parallel()
	e := empty(t)
	s, err := e.Prepare(&driver.Query{From: posts, Where: op(expr.OpEq, mine(postStock), lit(expr.IntOf(1))),
		Sort: []driver.Key{{Ord: postScore}, {Ord: spec.OrdID}}, Limit: -1, Cols: []driver.Col{{Ord: spec.OrdID}}})
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.Explain(t.Context(), nil)
	if err != nil || !x.Sorts || !slices.Equal(x.Scans, []string{"posts"}) {
		t.Errorf("%+v, %v", x, err)
	}
}

// An index that is read whole, because nothing in it is asked for, is a scan where there is a filter.
func TestExplainScansOfIndexes(t *testing.T) {
	t.Parallel()
	e := empty(t)
	byID := []driver.Key{{Ord: spec.OrdID}}
	asked := op(expr.OpEq, mine(postStock), param(0, expr.Int))
	for _, c := range []struct {
		name  string
		q     driver.Query
		scans []string
	}{
		{"in order", driver.Query{Sort: byID}, nil},
		{"in order, some", driver.Query{Sort: byID, Where: asked}, []string{"posts"}},
		{"by an index, some", driver.Query{Sort: []driver.Key{{Ord: postTitle}, {Ord: spec.OrdID}}, Where: asked}, []string{"posts"}},
	} {
		c.q.From, c.q.Limit, c.q.Cols = posts, 1, []driver.Col{{Ord: postTitle}}
		s, err := e.Prepare(&c.q)
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.Explain(t.Context(), nil)
		if err != nil || !slices.Equal(x.Scans, c.scans) {
			t.Errorf("%s: scans %q, want %q: %q %v", c.name, x.Scans, c.scans, x.Steps, err)
		}
	}
}
