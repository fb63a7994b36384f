package sqldb

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// plain is a dialect without numbered placeholders and comparisons of rows.
type plain struct{}

func (plain) Quote(name string) string                  { return "`" + name + "`" }
func (plain) Placeholder(int) string                    { return "?" }
func (plain) Numbered() bool                            { return false }
func (plain) Argument(int, expr.Kind, expr.Kind) string { return "?" }
func (plain) Direction(desc, _ bool) string {
	return map[bool]string{false: " ASC", true: " DESC"}[desc]
}
func (plain) Lateral() bool            { return false }
func (plain) OrderedLegs() bool        { return false }
func (plain) Parents() int             { return 0 }
func (plain) OrdersNulls() bool        { return false }
func (plain) EndOfTexts() bool         { return true }
func (plain) Sum(w *SQL, column Piece) { w.Write("sum(", column, ")") }
func (plain) Overflows() bool          { return false }
func (plain) Same() string             { return "<=>" }
func (plain) RowValues() bool          { return false }
func (plain) RowNumber() string        { return "" }
func (plain) Lock(l driver.Lock) string {
	return []string{"", " FOR KEY SHARE", " FOR NO KEY UPDATE", " FOR UPDATE"}[l]
}
func (plain) Limit(w *SQL, n Piece)               { w.Write(n) }
func (plain) Length(w *SQL, text Piece)           { w.Write("char_length(", text, ")") }
func (plain) Contains(w *SQL, text, part Piece)   { w.Write("locate(", part, ", ", text, ") > 0") }
func (plain) StartsWith(w *SQL, text, part Piece) { w.Write("starts(", text, ", ", part, ")") }
func (plain) EndsWith(w *SQL, text, part Piece)   { w.Write("ends(", text, ", ", part, ")") }
func (plain) In(w *SQL, item, list Piece, _ expr.Kind, _ string, want bool) {
	w.Write(item, map[bool]string{false: " not", true: ""}[want], " in(", list, ")")
}
func (plain) ListLength(w *SQL, list Piece)                { w.Write("json_length(", list, ")") }
func (plain) Items(w *SQL, l Piece, _ expr.Kind, a string) { w.Write("items(", l, ") ", a) }

var things = &spec.Collection{Name: "things", Fields: []*spec.Field{
	{Name: "id"}, {Name: "created", Ord: 1, Type: spec.Time}, {Name: "updated", Ord: 2, Type: spec.Time}, {Name: "rev", Ord: 3, Type: spec.Int},
	{Name: "name", Ord: 4}, {Name: "cost", Ord: 5, Type: spec.Decimal, Scale: 2}}}

func field(ord int) *expr.Node {
	return &expr.Node{Op: expr.OpField, Index: ord, Type: things.Fields[ord].ExprType(),
		Args: []*expr.Node{{Op: expr.OpRow, Type: expr.Type{Kind: expr.Row}}}}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	name := &expr.Node{Op: expr.OpContains, Args: []*expr.Node{field(4), {Op: expr.OpParam, Index: 0, Type: expr.Type{Kind: expr.Text}}}}
	itself := []driver.Join{{To: things, Ord: 4, Cols: []driver.Col{{Ord: 4}}}}
	for _, c := range []struct {
		name string
		q    driver.Query
		sql  string
		args []int
	}{
		{"placeholders stand in order", driver.Query{Where: name, Sort: []driver.Key{{Ord: 1, Desc: true}, {Ord: 0, Desc: true}}, Limit: 3,
			After: &driver.After{Args: []int{1, 2}, Null: []bool{false, false}}},
			"SELECT r.`id` FROM `things` r WHERE locate(?, r.`name`) > 0 AND (r.`created` <= ? AND (r.`created` < ? OR (r.`created` = ? AND r.`id` < ?))) ORDER BY r.`created` DESC, r.`id` DESC LIMIT ?",
			[]int{0, 1, 1, 1, 2, 3}},
		{"nulls have a leg", driver.Query{Sort: []driver.Key{{Ord: 4, Desc: true}, {Ord: 0, Desc: true}}, Limit: -1,
			After: &driver.After{Args: []int{0, 1}, Null: []bool{false, false}}},
			"SELECT r.`id`, r.`name`, r.`id` FROM `things` r WHERE r.`name` IS NULL UNION ALL " +
				"SELECT r.`id`, r.`name`, r.`id` FROM `things` r WHERE (r.`name` <= ? AND (r.`name` < ? OR (r.`name` = ? AND r.`id` < ?))) ORDER BY 2 DESC, 3 DESC",
			[]int{0, 0, 0, 1}},
		{"what is joined is looked up as the rows come, where an index gives their order", driver.Query{Sort: []driver.Key{{Ord: 0}}, Limit: 0, Joins: itself},
			"SELECT r.`id`, j0.`name` FROM `things` r LEFT JOIN `things` j0 ON j0.`id` = r.`name` ORDER BY r.`id` ASC LIMIT ?", []int{0}},
		{"and for the page alone, where none does", driver.Query{Sort: []driver.Key{{Ord: 1}, {Ord: 0}}, Limit: 0, Joins: itself},
			"SELECT r.`id`, j0.`name` FROM (SELECT r.* FROM `things` r ORDER BY r.`created` ASC, r.`id` ASC LIMIT ?) r " +
				"LEFT JOIN `things` j0 ON j0.`id` = r.`name` ORDER BY r.`created` ASC, r.`id` ASC", []int{0}},
		{"nor finds those that hold", driver.Query{Where: name, Sort: []driver.Key{{Ord: 0}}, Limit: 1, Joins: itself},
			"SELECT r.`id`, j0.`name` FROM (SELECT r.* FROM `things` r WHERE locate(?, r.`name`) > 0 ORDER BY r.`id` ASC LIMIT ?) r " +
				"LEFT JOIN `things` j0 ON j0.`id` = r.`name` ORDER BY r.`id` ASC", []int{0, 1}},
		{"lock", driver.Query{Lock: driver.LockGone, Limit: -1}, "SELECT r.`id` FROM `things` r FOR UPDATE", nil},
	} {
		c.q.From, c.q.Cols = things, []driver.Col{{Ord: 0}}
		s, err := Translate(plain{}, nil, &c.q)
		if err != nil {
			t.Fatal(err)
		}
		var args []int
		for _, b := range s.Binds {
			args = append(args, b.Arg)
		}
		if s.SQL != c.sql || !slices.Equal(args, c.args) {
			t.Errorf("%s:\n%s %v\nwant\n%s %v", c.name, s.SQL, args, c.sql, c.args)
		}
	}
}

// other is a dialect with what plain lacks.
type other struct{ plain }

func (other) Placeholder(n int) string { return "$" + itoa(n) }
func (other) Numbered() bool           { return true }
func (other) Lateral() bool            { return true }
func (other) OrderedLegs() bool        { return true }
func (other) OrdersNulls() bool        { return true }
func (other) EndOfTexts() bool         { return false }
func (other) Argument(n int, kind, elem expr.Kind) string {
	if kind == expr.List {
		return "$" + itoa(n) + ":" + elem.String() + "s"
	}
	return "$" + itoa(n) + ":" + kind.String()
}
func (other) Direction(desc, nullable bool) string {
	return plain{}.Direction(desc, nullable) + map[bool]string{true: " NULLS SMALLEST"}[nullable]
}

// TestArguments: each argument says of what kind it is, and one that stands twice is one.
func TestArguments(t *testing.T) {
	t.Parallel()
	in := func(op expr.Op, ord int, k, elem expr.Kind) *expr.Node {
		return &expr.Node{Op: op, Args: []*expr.Node{field(ord), {Op: expr.OpParam, Index: 0, Type: expr.Type{Kind: k, Elem: elem}}}}
	}
	for _, c := range []struct {
		name string
		q    driver.Query
		sql  string
	}{
		{"a page", driver.Query{Sort: []driver.Key{{Ord: 4}, {Ord: 0}}, Limit: 2, After: &driver.After{Args: []int{0, 1}, Null: []bool{false, false}}},
			"SELECT r.`id` FROM `things` r WHERE (r.`name` >= $1:text AND (r.`name` > $1:text OR (r.`name` = $1:text AND r.`id` > $2:text))) ORDER BY r.`name` ASC NULLS SMALLEST, r.`id` ASC LIMIT $3:int"},
		{"a page with nulls behind it", driver.Query{Sort: []driver.Key{{Ord: 4, Desc: true}}, Limit: 1, After: &driver.After{Args: []int{0}, Null: []bool{false}}},
			"(SELECT r.`id`, r.`name` FROM `things` r WHERE r.`name` IS NULL ORDER BY r.`name` DESC NULLS SMALLEST LIMIT $1:int) UNION ALL " +
				"(SELECT r.`id`, r.`name` FROM `things` r WHERE r.`name` < $2:text ORDER BY r.`name` DESC NULLS SMALLEST LIMIT $1:int) ORDER BY 2 DESC NULLS SMALLEST LIMIT $1:int"},
		{"a list of decimals", driver.Query{Where: in(expr.OpIn, 5, expr.List, expr.Decimal), Limit: -1}, "SELECT r.`id` FROM `things` r WHERE (r.`cost` in($1:decimals))"},
		{"the last of each", driver.Query{Sort: []driver.Key{{Ord: 0}}, Limit: -1, Per: &driver.Per{Arg: 0, Ord: 4, Limit: 1}},
			"SELECT p.`value`, r.`id` FROM items($1:texts) p CROSS JOIN LATERAL (SELECT k.* FROM `things` k WHERE k.`name` = p.`value` ORDER BY k.`id` ASC LIMIT $2:int) r ORDER BY p.`value`, r.`id` ASC"},
	} {
		c.q.From, c.q.Cols = things, []driver.Col{{Ord: 0}}
		s, err := Translate(other{}, nil, &c.q)
		if err != nil {
			t.Fatal(err)
		}
		if s.SQL != c.sql {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, s.SQL, c.sql)
		}
	}
}

// legged is a dialect in which each parent has a leg, and what is null orders nothing.
type legged struct{ plain }

func (legged) OrderedLegs() bool { return true }
func (legged) Parents() int      { return 2 }

// TestLegs: each parent's rows come from a query of their own, and keys that are null in a leg do not order it.
func TestLegs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		q    driver.Query
		sql  string
		args [][2]int // argument and item
	}{
		{"the last of each", driver.Query{Sort: []driver.Key{{Ord: 1, Desc: true}, {Ord: 0}}, Limit: -1, Per: &driver.Per{Arg: 0, Ord: 4, Limit: 1}},
			"(SELECT ?, r.`id` FROM `things` r WHERE r.`name` = ? ORDER BY r.`created` DESC, r.`id` ASC LIMIT ?) UNION ALL " +
				"(SELECT ?, r.`id` FROM `things` r WHERE r.`name` = ? ORDER BY r.`created` DESC, r.`id` ASC LIMIT ?)",
			[][2]int{{0, 1}, {0, 1}, {1, 0}, {0, 2}, {0, 2}, {1, 0}}},
		{"a page with nulls behind it", driver.Query{Sort: []driver.Key{{Ord: 4, Desc: true}, {Ord: 0, Desc: true}}, Limit: 2, After: &driver.After{Args: []int{0, 1}, Null: []bool{false, false}}},
			"(SELECT r.`id`, r.`name`, r.`id` FROM `things` r WHERE r.`name` IS NULL ORDER BY r.`id` DESC LIMIT ?) UNION ALL " +
				"(SELECT r.`id`, r.`name`, r.`id` FROM `things` r WHERE (r.`name` <= ? AND (r.`name` < ? OR (r.`name` = ? AND r.`id` < ?))) ORDER BY r.`name` DESC, r.`id` DESC LIMIT ?) " +
				"ORDER BY 2 DESC, 3 DESC LIMIT ?",
			[][2]int{{2, 0}, {0, 0}, {0, 0}, {0, 0}, {1, 0}, {2, 0}, {2, 0}}},
	} {
		c.q.From, c.q.Cols = things, []driver.Col{{Ord: 0}}
		s, err := Translate(legged{}, nil, &c.q)
		if err != nil {
			t.Fatal(err)
		}
		var args [][2]int
		for _, b := range s.Binds {
			args = append(args, [2]int{b.Arg, b.Item})
		}
		if s.SQL != c.sql || !slices.Equal(args, c.args) {
			t.Errorf("%s:\n%s %v\nwant\n%s %v", c.name, s.SQL, args, c.sql, c.args)
		}
	}
	b := Bind{Item: 2}
	if v := b.Value([]expr.Value{expr.ListOf(expr.TextOf("a"), expr.TextOf("b"))}); v.Text() != "b" {
		t.Errorf("the second item is %v", v)
	}
	if v := b.Value([]expr.Value{expr.ListOf(expr.TextOf("a"))}); !v.IsNull() {
		t.Errorf("an item that is not there is %v", v)
	}
}

// TestEndless: a prefix that no text is above is asked for in another way, where that cannot be bound.
func TestEndless(t *testing.T) {
	t.Parallel()
	starts := &expr.Node{Op: expr.OpStartsWith, Args: []*expr.Node{field(4), {Op: expr.OpParam, Index: 0, Type: expr.Type{Kind: expr.Text}}}}
	q := &driver.Query{From: things, Where: starts, Cols: []driver.Col{{Ord: 0}}, Limit: -1}
	for text, want := range map[string]string{
		"a":          "SELECT r.`id` FROM `things` r WHERE (r.`name` >= $1:text AND r.`name` < $2:text)",
		"":           "SELECT r.`id` FROM `things` r WHERE starts(r.`name`, $1:text)",
		"\U0010ffff": "SELECT r.`id` FROM `things` r WHERE starts(r.`name`, $1:text)",
	} {
		s, err := Translate(other{}, nil, q)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.For([]expr.Value{expr.TextOf(text)}).SQL; got != want {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
	if s, err := Translate(plain{}, nil, q); err != nil || s.For([]expr.Value{expr.TextOf("")}) != s {
		t.Errorf("an end can be bound, and is not (%v)", err)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	got := []string{insertion(plain{}, "a", []string{"id", "x"}, 1, bound(plain{})), change(plain{}, "a", []string{"x", "y"}, "id", "rev"), Delete(plain{}, "a", "id")}
	want := []string{"INSERT INTO `a` (`id`, `x`) VALUES (?, ?)", "UPDATE `a` SET `x` = ?, `y` = ? WHERE `id` = ? AND `rev` = ?", "DELETE FROM `a` WHERE `id` = ?"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestRowNumber(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]int64{
		"00000000-0000-7000-8000-000000000000": 0,
		"01234567-89ab-7cde-bfff-ffffffffffff": 0x0123456789abcde,
		"ffffffff-ffff-7fff-bfff-ffffffffffff": 1<<60 - 1,
	} {
		if n := RowNumber(id); n != want {
			t.Errorf("%s: %#x, want %#x", id, n, want)
		}
	}
	for _, text := range []string{"", "short", "\xff\xff né", strings.Repeat("z", 40)} { // no id can be asked for, too
		if n := RowNumber(text); n < 0 || n >= 1<<60 {
			t.Errorf("%q: %#x", text, n)
		}
	}
}

func TestDerived(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40)
	seen := map[string]bool{}
	for _, parts := range [][]string{{"a", "b"}, {"a", "b", "items"}, {long, long, "items"}, {long, long, "ref"}, {long, long + "y", "ref"}} {
		name := Derived(parts...)
		if len(name) > maxName || seen[name] || name != Derived(parts...) {
			t.Errorf("%q is %q", parts, name)
		}
		seen[name] = true
	}
}

func TestPrefixEnd(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a": "b", "az": "a{", "\u007f": "\u0080", "\ud7ff": "\ue000", "a\U0010ffff": "b", "\U0010ffff": "\xff", "": "\xff", "é": "ê"} {
		b := Bind{Arg: -1, Val: expr.TextOf(in), As: PrefixEnd}
		if got := b.Value(nil); got.Text() != want {
			t.Errorf("%q ends at %q, want %q", in, got.Text(), want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p, s := rapid.String().Draw(t, "prefix"), rapid.String().Draw(t, "text")
		if rapid.Bool().Draw(t, "begins") {
			s = p + s
		}
		b := Bind{Arg: 0, As: PrefixEnd}
		end := b.Value([]expr.Value{expr.TextOf(p)}).Text()
		if in := s >= p && s < end; in != strings.HasPrefix(s, p) {
			t.Fatalf("%q in [%q, %q): %v", s, p, end, in)
		}
	})
}

func TestScaled(t *testing.T) {
	t.Parallel()
	const most = beyond
	for _, c := range []struct {
		in                 expr.Value
		exact, floor, ceil int64
	}{
		{expr.DecimalOf(150, 2), 150, 150, 150},
		{expr.DecimalOf(15, 1), 150, 150, 150},
		{expr.DecimalOf(1005, 3), most, 100, 101},
		{expr.DecimalOf(-1005, 3), most, -101, -100},
		{expr.IntOf(-3), -300, -300, -300},
		{expr.FloatOf(0.5), 50, 50, 50},
		{expr.FloatOf(1e300), most, most, most},
		{expr.BigintOf(-1 << 63), -most, -most, -most},
	} {
		for as, want := range map[Derive]int64{Exact: c.exact, Floor: c.floor, Ceil: c.ceil} {
			b := Bind{Arg: -1, Val: c.in, As: as, Scale: 2}
			if got := b.Value(nil); got.Int() != want {
				t.Errorf("%v as %d: %d, want %d", c.in, as, got.Int(), want)
			}
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var items []expr.Value
		elem := rapid.SampledFrom([]expr.Kind{expr.Text, expr.Int, expr.Float}).Draw(t, "kind")
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			switch elem {
			case expr.Text:
				items = append(items, expr.TextOf(strings.ToValidUTF8(rapid.String().Draw(t, "s"), "")))
			case expr.Int:
				items = append(items, expr.IntOf(rapid.Int64().Draw(t, "i")))
			default:
				items = append(items, expr.FloatOf(rapid.Float64Range(-1e308, 1e308).Draw(t, "f")))
			}
		}
		text := AppendList(nil, items)
		got, err := ReadList(text, elem)
		if err != nil || !expr.Equal(got, expr.ListOf(items...)) {
			t.Fatalf("%s: %v, %v", text, got, err)
		}
	})
}

// FuzzReadList: whatever a file holds, reading it ends in a list or an error, and a list reads back the same.
func FuzzReadList(f *testing.F) {
	f.Add([]byte(`["a","b\"\n"]`), uint8(expr.Text))
	f.Add([]byte(`[1,-2,null]`), uint8(expr.Int))
	f.Add([]byte(`[1.5e300]`), uint8(expr.Float))
	f.Fuzz(func(t *testing.T, text []byte, kind uint8) {
		elem := expr.Kind(kind)
		v, err := ReadList(text, elem)
		if err != nil {
			return
		}
		again, err := ReadList(AppendList(nil, v.List()), elem)
		if err != nil || !expr.Equal(v, again) {
			t.Fatalf("%q: %v then %v, %v", text, v, again, err)
		}
	})
}
