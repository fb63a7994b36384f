package sqldb

import (
	"strconv"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

func itoa(n int) string { return strconv.Itoa(n) }

// cond writes a condition that is true exactly where n is want, and false or null elsewhere.
func (c *compiler) cond(w *SQL, n *expr.Node, want bool) {
	switch n.Op {
	case expr.OpAnd:
		c.junction(w, n.Args, want, " AND ", " OR ")
	case expr.OpOr:
		c.junction(w, n.Args, want, " OR ", " AND ")
	case expr.OpNot:
		c.cond(w, n.Args[0], !want)
	case expr.OpCond:
		w.Write("CASE WHEN ")
		c.cond(w, n.Args[0], true)
		w.Write(" THEN ")
		c.cond(w, n.Args[1], want)
		w.Write(" ELSE ")
		c.cond(w, n.Args[2], want)
		w.Write(" END")
	case expr.OpEq:
		c.equal(w, n, want)
	case expr.OpNe:
		c.equal(w, n, !want)
	case expr.OpLt, expr.OpLe, expr.OpGt, expr.OpGe:
		c.order(w, n, want)
	case expr.OpIn:
		c.in(w, n, want)
	case expr.OpExists:
		c.exists(w, n, true, want)
	case expr.OpAll:
		c.exists(w, n, false, !want)
	case expr.OpStartsWith:
		c.startsWith(w, n, want)
	case expr.OpEndsWith:
		c.search(w, n, want, w.d.EndsWith)
	case expr.OpContains:
		c.search(w, n, want, w.d.Contains)
	case expr.OpLit:
		c.constant(w, n.Val.Bool() == want)
	case expr.OpParam, expr.OpField, expr.OpRow:
		c.flag(w, n, want)
	default:
		c.refuse(opNames[n.Op])
	}
}

func (c *compiler) constant(w *SQL, yes bool) {
	if yes {
		w.Write("TRUE")
	} else {
		w.Write("FALSE")
	}
}

// together is how many conditions are joined one after the other. More are joined in groups: SQLite bounds how deep an
// expression is, and each word between two in a row is one level.
const together = 100

func (c *compiler) junction(w *SQL, args []*expr.Node, want bool, same, negated string) {
	word := same
	if !want {
		word = negated
	}
	parts := len(args)
	if parts > together {
		parts = (len(args) + together - 1) / together
	}
	w.Write("(")
	for i := range parts {
		if i > 0 {
			w.Write(word)
		}
		if parts == len(args) {
			c.cond(w, args[i], want)
		} else {
			c.junction(w, args[i*together:min((i+1)*together, len(args))], want, same, negated)
		}
	}
	w.Write(")")
}

// flag is a bare boolean: it holds only when it is true.
func (c *compiler) flag(w *SQL, n *expr.Node, want bool) {
	plain := Piece(func(w *SQL) { c.value(w, n, round{}) })
	switch {
	case want:
		w.Write(plain, " = TRUE")
	case nullable(n):
		w.Write("(", plain, " = FALSE OR ", plain, " IS NULL)")
	default:
		w.Write(plain, " = FALSE")
	}
}

// equal compares for equality. Where one side cannot be null, = is true exactly where the values
// are equal and an index serves it; only two nullable sides need the operator by which nulls are equal.
func (c *compiler) equal(w *SQL, n *expr.Node, want bool) {
	l, r := n.Args[0], n.Args[1]
	if isArg(l) && !isArg(r) {
		l, r = r, l
	}
	if isNull(l) || isNull(r) {
		c.equalNull(w, l, r, n.Strict, want)
		return
	}
	left, right := c.sides(l, r, Exact)
	switch {
	case want && (n.Strict || !nullable(l) || !nullable(r)):
		w.Write(left, " = ", right)
	case want:
		w.Write(left, " ", w.d.Same(), " ", right)
	case !nullable(l) && !nullable(r):
		w.Write(left, " <> ", right)
	case n.Strict || !nullable(l) || !nullable(r):
		w.Write("(", left, " <> ", right)
		c.orNull(w, l, left)
		c.orNull(w, r, right)
		w.Write(")")
	default:
		w.Write("NOT (", left, " ", w.d.Same(), " ", right, ")")
	}
}

func (c *compiler) equalNull(w *SQL, l, r *expr.Node, strict, want bool) {
	switch {
	case strict:
		c.constant(w, !want)
	case isNull(l) && isNull(r):
		c.constant(w, want)
	default:
		if isNull(l) {
			l = r
		}
		if !nullable(l) {
			c.constant(w, !want)
			return
		}
		c.value(w, l, round{})
		if want {
			w.Write(" IS NULL")
		} else {
			w.Write(" IS NOT NULL")
		}
	}
}

func (c *compiler) orNull(w *SQL, n *expr.Node, p Piece) {
	if nullable(n) {
		w.Write(" OR ", p, " IS NULL")
	}
}

// sides are both operands of a comparison, at one scale where a decimal is among them.
func (c *compiler) sides(l, r *expr.Node, as Derive) (left, right Piece) {
	var at round
	if l.Type.Kind == expr.Decimal || r.Type.Kind == expr.Decimal {
		at = round{to: true, as: as}
		both := isArg(l) && isArg(r)
		for _, n := range []*expr.Node{l, r} {
			if !isArg(n) || both {
				at.scale = max(at.scale, scaleOf(n))
			}
		}
	}
	return func(w *SQL) { c.value(w, l, at) }, func(w *SQL) { c.value(w, r, at) }
}

// comparison is an order operator with what mirrors and negates it, and how an argument on its
// right with too many digits is rounded so that the answer stays the same.
type comparison struct {
	sql    string
	mirror expr.Op
	negate expr.Op
	as     Derive
}

var comparisons = map[expr.Op]comparison{
	expr.OpLt: {" < ", expr.OpGt, expr.OpGe, Ceil},
	expr.OpLe: {" <= ", expr.OpGe, expr.OpGt, Floor},
	expr.OpGt: {" > ", expr.OpLt, expr.OpLe, Floor},
	expr.OpGe: {" >= ", expr.OpLe, expr.OpLt, Ceil},
}

func (c *compiler) order(w *SQL, n *expr.Node, want bool) {
	l, r, op := n.Args[0], n.Args[1], n.Op
	if isNull(l) || isNull(r) {
		c.constant(w, !want)
		return
	}
	if l.Type.Kind == expr.List {
		c.refuse("an order of lists")
		return
	}
	if isArg(l) && !isArg(r) {
		l, r, op = r, l, comparisons[op].mirror
	}
	if !want {
		op = comparisons[op].negate
	}
	cmp := comparisons[op]
	left, right := c.sides(l, r, cmp.as)
	if want || !nullable(l) && !nullable(r) {
		w.Write(left, cmp.sql, right)
		return
	}
	w.Write("(", left, cmp.sql, right)
	c.orNull(w, l, left)
	c.orNull(w, r, right)
	w.Write(")")
}

func (c *compiler) in(w *SQL, n *expr.Node, want bool) {
	item, list := n.Args[0], n.Args[1]
	if isNull(item) || isNull(list) {
		c.constant(w, !want)
		return
	}
	switch {
	case list.Op == expr.OpList:
		c.inItems(w, item, list.Args, want)
	case list.Op == expr.OpLit:
		items := make([]*expr.Node, len(list.Val.List()))
		for i, v := range list.Val.List() {
			items[i] = &expr.Node{Op: expr.OpLit, Val: v, Type: expr.Type{Kind: v.Kind(), Scale: v.Scale()}}
		}
		c.inItems(w, item, items, want)
	case list.Op == expr.OpParam:
		c.inArgument(w, item, list, want)
	default:
		c.inField(w, item, list, want)
	}
}

// inItems: a null in the list equals nothing, so = and OR (<> and AND) need no null case but the item's own.
func (c *compiler) inItems(w *SQL, item *expr.Node, items []*expr.Node, want bool) {
	var args, others []*expr.Node
	for _, it := range items {
		switch {
		case isNull(it):
		case nullable(it), isArg(item): // two arguments meet at a scale of their own
			others = append(others, it)
		default:
			args = append(args, it)
		}
	}
	if len(args)+len(others) == 0 {
		c.constant(w, !want)
		return
	}
	join, op, in := " OR ", " = ", " IN ("
	if !want {
		join, op, in = " AND ", " <> ", " NOT IN ("
	}
	left, _ := c.sides(item, item, Exact)
	w.Write("(")
	if !want && nullable(item) {
		w.Write(left, " IS NULL OR ")
	}
	w.Write("(")
	if len(args) > 0 {
		w.Write(left, in)
		for i, it := range args {
			if i > 0 {
				w.Write(", ")
			}
			_, right := c.sides(item, it, Exact)
			right(w)
		}
		w.Write(")")
	}
	for i, it := range others {
		if i > 0 || len(args) > 0 {
			w.Write(join)
		}
		l, r := c.sides(item, it, Exact)
		if want {
			w.Write(l, op, r)
		} else {
			w.Write("(", l, op, r, " OR ", r, " IS NULL)")
		}
	}
	w.Write("))")
}

// inArgument asks a list that comes with the query: one placeholder for any number of items.
func (c *compiler) inArgument(w *SQL, item, list *expr.Node, want bool) {
	var at round
	if item.Type.Kind == expr.Decimal {
		at = round{to: true, scale: item.Type.Scale, as: Exact}
	}
	left := Piece(func(w *SQL) { c.value(w, item, at) })
	w.Write("(")
	w.d.In(w, left, func(w *SQL) { c.value(w, list, at) }, item.Type.Kind, c.alias(), want)
	if !want {
		c.orNull(w, item, left)
	}
	w.Write(")")
}

// inField asks a list of a record: in its side table where it has one, which an index serves.
func (c *compiler) inField(w *SQL, item, list *expr.Node, want bool) {
	a := c.alias()
	if !want {
		w.Write("NOT ")
	}
	w.Write("EXISTS (SELECT 1 FROM ")
	if f, of, ok := c.sided(list); ok {
		w.Name(sideTable(of.Name, f.Name))
		w.Write(" ", a, " WHERE ")
		w.Column(a, "id")
		w.Write(" = ")
		c.column(w, list.Args[0], spec.OrdID)
		w.Write(" AND ")
	} else {
		w.d.Items(w, func(w *SQL) { c.value(w, list, round{}) }, list.Type.Elem, a)
		w.Write(" WHERE ")
	}
	w.Column(a, "value")
	w.Write(" = ")
	c.value(w, item, round{})
	w.Write(")")
}

func (c *compiler) sided(list *expr.Node) (*spec.Field, *spec.Collection, bool) {
	if list.Op != expr.OpField || list.Args[0].Op != expr.OpRow {
		return nil, nil, false
	}
	of := c.collection(list.Args[0])
	f := c.field(of, list.Index)
	return f, of, HasSide(of, f)
}

// exists asks whether an item of a range makes the body body; want says whether there should be one.
func (c *compiler) exists(w *SQL, n *expr.Node, body, want bool) {
	if isNull(n.Args[0]) {
		c.constant(w, !want)
		return
	}
	if !want {
		w.Write("NOT ")
	}
	w.Write("EXISTS (SELECT 1 FROM ")
	c.each(w, n.Args[0], n.Bind, func(w *SQL) { c.cond(w, n.Args[1], body) })
	w.Write(")")
}

// search is a function of two texts.
func (c *compiler) search(w *SQL, n *expr.Node, want bool, write func(w *SQL, text, part Piece)) {
	text, part := n.Args[0], n.Args[1]
	if isNull(text) || isNull(part) {
		c.constant(w, !want)
		return
	}
	t, p := Piece(func(w *SQL) { c.value(w, text, round{}) }), Piece(func(w *SQL) { c.value(w, part, round{}) })
	if want {
		write(w, t, p)
		return
	}
	w.Write("(NOT (")
	write(w, t, p)
	w.Write(")")
	c.orNull(w, text, t)
	c.orNull(w, part, p)
	w.Write(")")
}

// startsWith is a range of code points where the prefix comes with the query, so that an index serves it.
func (c *compiler) startsWith(w *SQL, n *expr.Node, want bool) {
	text, part := n.Args[0], n.Args[1]
	if !isArg(part) || isNull(part) || text.Op != expr.OpField || c.endless {
		c.search(w, n, want, w.d.StartsWith)
		return
	}
	end := Bind{Arg: -1, Val: part.Val, As: PrefixEnd, Kind: expr.Text}
	if part.Op == expr.OpParam {
		end.Arg, end.Val = part.Index, expr.Value{}
	}
	t, p := Piece(func(w *SQL) { c.value(w, text, round{}) }), Piece(func(w *SQL) { c.value(w, part, round{}) })
	if want {
		w.Write("(", t, " >= ", p, " AND ", t, " < ")
		w.Bind(end)
		w.Write(")")
		return
	}
	w.Write("(", t, " < ", p, " OR ", t, " >= ")
	w.Bind(end)
	c.orNull(w, text, t)
	w.Write(")")
}
