package sqldb

import (
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// Statement is a query in SQL.
type Statement struct {
	SQL     string
	Binds   []Bind            // what stands for placeholder i+1
	Outputs []Output          // the query's outputs; further columns only serve the order
	Single  bool              // at most one row: the record with one id
	Tables  map[string]string // by alias, for people who read plans
	Endless *Statement        // For
	Halves  *Statement        // the same for sums that overflow: each is two numbers, that of the upper 32 bits and that of the lower
	Near    *Statement        // the same where the row has the number of its id, which is found sooner; no rows otherwise
}

// Output is the kind of one output.
type Output struct {
	Kind, Elem expr.Kind
	Scale      uint8
	Halves     bool // a sum in two numbers
}

const row = "r" // alias of the rows asked for

// Translate makes the statement for a query. It is whole, or fault.Capability says what cannot be asked.
func Translate(d Dialect, collections []*spec.Collection, q *driver.Query) (*Statement, error) {
	s, err := translate(d, collections, q, variant{})
	if err != nil {
		return nil, err
	}
	if !d.EndOfTexts() && slices.ContainsFunc(s.Binds, func(b Bind) bool { return b.As == PrefixEnd }) {
		s.Endless, err = translate(d, collections, q, variant{endless: true})
	}
	if d.Overflows() && err == nil && slices.ContainsFunc(q.Aggregates, func(a driver.Aggregate) bool { return a.Func == "sum" }) {
		s.Halves, err = translate(d, collections, q, variant{halves: true})
	}
	if s.Single && !q.Count && len(q.Aggregates) == 0 && d.RowNumber() != "" && err == nil { // a count is a row in any case
		s.Near, err = translate(d, collections, q, variant{near: true})
	}
	return s, err
}

// variant is which of a query's statements is made: see Statement.
type variant struct{ endless, near, halves bool }

func translate(d Dialect, collections []*spec.Collection, q *driver.Query, v variant) (*Statement, error) {
	t := &translation{d: d, q: q, w: &SQL{d: d}, near: v.near, halves: v.halves}
	t.c = &compiler{from: q.From, tables: collections, vars: map[int]variable{}, named: map[string]string{row: q.From.Name, "k": q.From.Name},
		endless: v.endless}
	for i, j := range q.Joins {
		t.c.named[joined(i)] = j.To.Name
	}
	t.query()
	if t.c.err != nil {
		return nil, t.c.err
	}
	return &Statement{SQL: t.w.text.String(), Binds: t.w.binds, Outputs: t.out,
		Single: own(q.Where) != nil && q.Per == nil, Tables: t.c.named}, nil
}

// For is the statement for these arguments: s, or what is asked where no text is above all with a prefix.
func (s *Statement) For(args []expr.Value) *Statement {
	if s.Endless == nil {
		return s
	}
	for i := range s.Binds {
		if b := &s.Binds[i]; b.As == PrefixEnd && b.Arg < len(args) && expr.Equal(b.Value(args), AfterTexts) {
			return s.Endless
		}
	}
	return s
}

type translation struct {
	d   Dialect
	q   *driver.Query
	w   *SQL
	c   *compiler
	out []Output

	near, halves bool
}

func (t *translation) query() {
	switch q := t.q; {
	case len(q.Joins) > 0 && (q.Per != nil || q.Count || len(q.Group) > 0 || len(q.Aggregates) > 0 || q.Lock != driver.Unlocked):
		t.c.refuse("records beside counts, groups, several parents and locked rows")
	case q.Per != nil && (q.Count || len(q.Group) > 0 || len(q.Aggregates) > 0 || q.After != nil || q.Limit >= 0):
		t.c.refuse("counts, groups and pages of several parents at once")
	case q.Count:
		t.count()
	case len(q.Group) > 0 || len(q.Aggregates) > 0:
		t.groups()
	case q.Per != nil:
		t.per()
	default:
		t.list()
	}
	t.w.Write(t.d.Lock(t.q.Lock))
}

func (t *translation) column(ord int) Piece {
	f := t.c.field(t.q.From, ord)
	return func(w *SQL) { w.Column(row, f.Name) }
}

func (t *translation) from() {
	t.w.Name(t.q.From.Name)
	t.w.Write(" ", row)
}

// where writes the condition on the rows under an alias, after a keyword; nothing when there is none.
func (t *translation) where(keyword, alias string) bool {
	if t.q.Where == nil {
		return false
	}
	t.w.Write(keyword)
	if t.near {
		t.w.Column(alias, t.d.RowNumber())
		t.w.Write(" = ")
		t.w.Bind(number(own(t.q.Where)))
		t.w.Write(" AND ")
	}
	t.c.bind(expr.VarRecord, variable{alias, t.q.From}, func() { t.c.cond(t.w, t.q.Where, true) })
	return true
}

func (t *translation) limit(arg int) {
	if arg >= 0 {
		t.w.Write(" LIMIT ")
		t.d.Limit(t.w, func(w *SQL) { w.Bind(Bind{Arg: arg, Kind: expr.Int}) })
	}
}

func (t *translation) output(f *spec.Field) {
	t.out = append(t.out, Output{Kind: f.Kind(), Elem: f.Elem.Kind(), Scale: uint8(f.Scale)})
}

// cols writes the outputs and remembers their kinds.
func (t *translation) cols(first bool) {
	first = t.colsOf(row, t.q.From, t.q.Cols, first)
	for i, j := range t.q.Joins {
		first = t.colsOf(joined(i), j.To, j.Cols, first)
	}
	if first {
		t.w.Write("1")
	}
}

// colsOf writes outputs of the record under an alias; first says whether they are the first, and comes back so.
func (t *translation) colsOf(alias string, of *spec.Collection, cols []driver.Col, first bool) bool {
	for _, col := range cols {
		if !first {
			t.w.Write(", ")
		}
		first = false
		f := t.c.field(of, col.Ord)
		column := Piece(func(w *SQL) { w.Column(alias, f.Name) })
		if col.If == nil {
			t.w.Write(column)
			t.output(f)
			continue
		}
		t.c.bind(expr.VarRecord, variable{alias, of}, func() {
			t.c.truth(t.w, col.If)
			t.w.Write(", CASE WHEN ")
			t.c.cond(t.w, col.If, true)
			t.w.Write(" THEN ", column, " END")
		})
		t.out = append(t.out, Output{Kind: expr.Bool})
		t.output(f)
	}
	return first
}

// joined is the alias of a joined record.
func joined(i int) string { return "j" + itoa(i) }

// Beside says whether an alias is that of a joined record: it is looked up for rows that are found already, so that
// its index says nothing of how they are found.
func Beside(alias string) bool { return strings.HasPrefix(alias, "j") }

// joins writes what stands beside the rows: after FROM.
func (t *translation) joins() {
	for i, j := range t.q.Joins {
		alias := joined(i)
		t.w.Write(" LEFT JOIN ")
		t.w.Name(j.To.Name)
		t.w.Write(" ", alias, " ON ")
		t.w.Column(alias, "id")
		t.w.Write(" = ", t.column(j.Ord))
		if j.Where != nil {
			t.w.Write(" AND ")
			t.c.bind(expr.VarRecord, variable{alias, j.To}, func() { t.c.cond(t.w, j.Where, true) })
		}
	}
}

func (t *translation) orderBy(alias string, before ...Piece) { t.sorted(alias, t.q.Sort, before...) }

func (t *translation) sorted(alias string, sort []driver.Key, before ...Piece) {
	if len(sort)+len(before) == 0 {
		return
	}
	t.w.Write(" ORDER BY ")
	for i, p := range before {
		if i > 0 {
			t.w.Write(", ")
		}
		t.w.Write(p)
	}
	for i, k := range sort {
		if i+len(before) > 0 {
			t.w.Write(", ")
		}
		t.w.Column(alias, t.c.field(t.q.From, k.Ord).Name)
		t.w.Write(t.direction(k.Ord, k.Desc))
	}
}

func (t *translation) direction(ord int, desc bool) string {
	return t.d.Direction(desc, ord >= spec.OrdFirst)
}

func (t *translation) count() {
	t.out = []Output{{Kind: expr.Int}}
	if t.q.Limit < 0 {
		t.w.Write("SELECT count(*) FROM ")
		t.from()
		t.where(" WHERE ", row)
		return
	}
	t.w.Write("SELECT count(*) FROM (SELECT 1 FROM ")
	t.from()
	t.where(" WHERE ", row)
	t.limit(t.q.Limit)
	t.w.Write(") n")
}

func (t *translation) groups() {
	t.w.Write("SELECT ")
	for i, ord := range t.q.Group {
		if i > 0 {
			t.w.Write(", ")
		}
		t.w.Write(t.column(ord))
		t.output(t.c.field(t.q.From, ord))
	}
	for i, a := range t.q.Aggregates {
		if i+len(t.q.Group) > 0 {
			t.w.Write(", ")
		}
		t.aggregate(a)
	}
	t.w.Write(" FROM ")
	t.from()
	t.where(" WHERE ", row)
	if len(t.q.Group) > 0 {
		for i, ord := range t.q.Group {
			t.w.Write([]string{" GROUP BY ", ", "}[min(i, 1)], t.column(ord))
		}
		for i, ord := range t.q.Group {
			t.w.Write([]string{" ORDER BY ", ", "}[min(i, 1)], t.column(ord), t.direction(ord, false))
		}
	}
	t.limit(t.q.Limit)
}

func (t *translation) aggregate(a driver.Aggregate) {
	switch a.Func {
	case "count":
		if a.Ord < 0 {
			t.w.Write("count(*)")
		} else {
			t.w.Write("count(", t.column(a.Ord), ")")
		}
		t.out = append(t.out, Output{Kind: expr.Int})
	case "sum":
		f := t.c.field(t.q.From, a.Ord)
		if k := f.Kind(); k != expr.Int && k != expr.Bigint && k != expr.Decimal {
			t.c.refuse("the sum of " + f.Name)
		}
		if x := t.column(a.Ord); t.halves {
			t.w.Write("sum(", x, " >> 32) || ' ' || sum(", x, " & 4294967295)")
		} else {
			t.d.Sum(t.w, x)
		}
		t.out = append(t.out, Output{Kind: expr.Text, Halves: t.halves})
	case "min", "max":
		t.w.Write(a.Func, "(", t.column(a.Ord), ")")
		t.output(t.c.field(t.q.From, a.Ord))
	default:
		t.c.refuse("the aggregate " + a.Func)
	}
}

// list writes the query for a page. Where no index gives its order, what is joined waits for the page: it would be
// looked up for every row that holds.
func (t *translation) list() {
	if len(t.q.Joins) == 0 || t.q.Limit < 0 || indexed(t.q) {
		t.page(false)
		return
	}
	t.w.Write("SELECT ")
	t.cols(true)
	t.w.Write(" FROM (")
	t.page(true)
	t.w.Write(") ", row)
	t.joins()
	t.orderBy(row)
}

// page writes the query for a page, alone: of the rows as they are, for what is put out and joined around it.
func (t *translation) page(alone bool) {
	legs := []leg{{}}
	if t.q.After != nil {
		if len(t.q.After.Args) != len(t.q.Sort) || len(t.q.After.Null) != len(t.q.Sort) {
			t.c.refuse("a page without all of its keys")
			return
		}
		p := page{t.d, t.q.From, t.q.Sort, t.q.After.Args, t.q.After.Null, t.column}
		legs = p.behind(0)
	}
	for i, l := range legs {
		if i > 0 {
			t.w.Write(" UNION ALL ")
		}
		if len(legs) == 1 || !t.d.OrderedLegs() {
			t.leg(l, len(legs) > 1, alone)
			continue
		}
		t.w.Write("(")
		t.leg(l, true, alone)
		t.orderLeg(l)
		t.limit(t.q.Limit)
		t.w.Write(")")
	}
	if len(legs) == 1 {
		t.orderBy(row)
	} else {
		for i, k := range t.q.Sort {
			t.w.Write([]string{" ORDER BY ", ", "}[min(i, 1)])
			if alone {
				t.w.Name(t.c.field(t.q.From, k.Ord).Name)
			} else {
				t.w.Write(len(t.out) + i + 1)
			}
			t.w.Write(t.direction(k.Ord, k.Desc))
		}
	}
	t.limit(t.q.Limit)
}

// leg writes one SELECT of a page. With company, its sort keys are put out too: they are what a
// union is ordered by, and each leg then walks its index while the database merges them.
func (t *translation) leg(l leg, company, alone bool) {
	t.w.Write("SELECT ")
	if alone {
		t.w.Write(row, ".*")
	} else {
		t.out = t.out[:0]
		t.cols(true)
	}
	if company && !alone {
		for _, k := range t.q.Sort {
			t.w.Write(", ", t.column(k.Ord))
		}
	}
	t.w.Write(" FROM ")
	t.from()
	if !alone {
		t.joins()
	}
	word := " WHERE "
	if t.where(word, row) {
		word = " AND "
	}
	for _, p := range l.all {
		t.w.Write(word, p)
		word = " AND "
	}
}

// orderLeg orders the rows of one leg.
func (t *translation) orderLeg(l leg) {
	sort := t.q.Sort
	if !t.d.OrdersNulls() {
		sort = slices.DeleteFunc(slices.Clone(sort), func(k driver.Key) bool { return slices.Contains(l.null, k.Ord) })
	}
	t.sorted(row, sort)
}

// per writes the query for many parents. With a limit each parent has a subquery of its own, which
// stops there: a hot parent's other rows are not read.
func (t *translation) per() {
	q, w := t.q, t.w
	if q.Per.Limit >= 0 && q.Per.Ord != spec.OrdID && t.d.Parents() > 0 {
		t.perLegs()
		return
	}
	parent := Piece(func(w *SQL) { w.Column("p", "value") })
	list := Piece(func(w *SQL) { w.Bind(Bind{Arg: q.Per.Arg, Kind: expr.List, Elem: expr.Text}) })
	t.out = append(t.out, Output{Kind: expr.Text})
	w.Write("SELECT ", parent)
	t.cols(false)
	w.Write(" FROM ")
	t.d.Items(w, list, expr.Text, "p")
	switch {
	case q.Per.Ord == spec.OrdID:
		w.Write(" CROSS JOIN ")
		t.from()
		w.Write(" WHERE ", t.column(spec.OrdID), " = ", parent)
		t.where(" AND ", row)
		if q.Per.Limit >= 0 { // there is one row for each parent, or none is wanted
			w.Write(" AND 0 < ")
			w.Bind(Bind{Arg: q.Per.Limit, Kind: expr.Int})
		}
	case q.Per.Limit < 0:
		w.Write(" CROSS JOIN ")
		t.children(row, parent)
	case t.d.Lateral():
		w.Write(" CROSS JOIN LATERAL (SELECT k.* FROM ")
		t.children("k", parent)
		t.orderBy("k")
		t.limit(q.Per.Limit)
		w.Write(") ", row)
	default:
		w.Write(" CROSS JOIN ")
		t.from()
		w.Write(" WHERE ", t.column(spec.OrdID), " IN (SELECT k.", t.d.Quote("id"), " FROM ")
		t.children("k", parent)
		t.orderBy("k")
		t.limit(q.Per.Limit)
		w.Write(")")
	}
	t.orderBy(row, parent)
}

// perLegs writes a leg for each parent. One for which there is no parent has none of the rows. The members of
// a union of all that has no order of its own are answered one after the other, each in its order.
func (t *translation) perLegs() {
	legs := t.d.Parents()
	for i := range legs {
		if i > 0 {
			t.w.Write(" UNION ALL ")
		}
		if legs > 1 {
			t.w.Write("(")
		}
		parent := Piece(func(w *SQL) { w.Bind(Bind{Arg: t.q.Per.Arg, Item: i + 1, Kind: expr.Text}) })
		t.out = append(t.out[:0], Output{Kind: expr.Text})
		t.w.Write("SELECT ", parent)
		t.cols(false)
		t.w.Write(" FROM ")
		t.children(row, parent)
		t.orderBy(row)
		t.limit(t.q.Per.Limit)
		if legs > 1 {
			t.w.Write(")")
		}
	}
}

// children writes the rows that belong to a parent: after FROM.
func (t *translation) children(alias string, parent Piece) {
	f := t.c.field(t.q.From, t.q.Per.Ord)
	if f.Kind() == expr.List {
		t.w.Name(sideTable(t.q.From.Name, f.Name))
		t.w.Write(" s CROSS JOIN ")
	}
	t.w.Name(t.q.From.Name)
	t.w.Write(" ", alias, " WHERE ")
	if f.Kind() == expr.List {
		t.w.Write("s.", t.d.Quote("value"), " = ", parent, " AND ", alias, ".", t.d.Quote("id"), " = s.", t.d.Quote("id"))
	} else {
		t.w.Column(alias, f.Name)
		t.w.Write(" = ", parent)
	}
	t.where(" AND ", alias)
}

// own is the id that a condition demands of its rows, so that there is one at most: an argument or a literal; nil:
// any.
func own(n *expr.Node) *expr.Node {
	if n == nil {
		return nil
	}
	switch n.Op {
	case expr.OpAnd:
		for _, a := range n.Args {
			if id := own(a); id != nil {
				return id
			}
		}
	case expr.OpEq:
		switch l, r := n.Args[0], n.Args[1]; {
		case ownID(l) && isArg(r):
			return r
		case ownID(r) && isArg(l):
			return l
		}
	}
	return nil
}

func ownID(n *expr.Node) bool {
	return n.Op == expr.OpField && n.Index == spec.OrdID && n.Args[0].Op == expr.OpRow && n.Args[0].Index == expr.VarRecord
}

// indexed says that an index gives the rows in their order, and none but those that hold: of a condition that demands
// what its first fields are, and a sort by the others.
func indexed(q *driver.Query) bool {
	equal, ok := demanded(q.Where)
	if !ok {
		return false
	}
	sort := q.Sort[:len(q.Sort)-1] // id, which is at the end of the index too
	for _, k := range sort {
		if k.Desc != q.Sort[len(sort)].Desc {
			return false
		}
	}
	gives := func(fields ...*spec.Field) bool {
		if len(fields) != len(equal)+len(sort) {
			return false
		}
		for i, f := range fields {
			if i < len(equal) && !slices.Contains(equal, f.Ord) || i >= len(equal) && sort[i-len(equal)].Ord != f.Ord {
				return false
			}
		}
		return true
	}
	return gives() ||
		slices.ContainsFunc(q.From.Indexes, func(x *spec.Index) bool { return !x.Unique && gives(x.Fields...) }) ||
		slices.ContainsFunc(q.From.Fields, func(f *spec.Field) bool { return f.Type == spec.Ref && gives(f) })
}

// demanded are the fields that must equal an argument; ok says that nothing else is demanded.
func demanded(n *expr.Node) (equal []int, ok bool) {
	switch {
	case n == nil:
		return nil, true
	case n.Op == expr.OpAnd:
		for _, a := range n.Args {
			more, ok := demanded(a)
			if !ok {
				return nil, false
			}
			equal = append(equal, more...)
		}
		return equal, true
	case n.Op != expr.OpEq:
		return nil, false
	}
	f, arg := n.Args[0], n.Args[1]
	if isArg(f) {
		f, arg = arg, f
	}
	if !isArg(arg) || isNull(arg) || f.Op != expr.OpField || f.Args[0].Op != expr.OpRow || f.Args[0].Index != expr.VarRecord {
		return nil, false
	}
	return []int{f.Index}, true
}
