package mongo

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// cond is the filter of the documents of the current scope for which n is want. It is said in the query
// language where a field meets an argument, and else with $expr.
func (c *compiler) cond(n *expr.Node, want bool) any {
	if free(n) {
		return decided{n, want}
	}
	switch n.Op {
	case expr.OpAnd:
		return c.junction(n.Args, want, want)
	case expr.OpOr:
		return c.junction(n.Args, want, !want)
	case expr.OpNot:
		return c.cond(n.Args[0], !want)
	case expr.OpCond:
		return bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: "$and", Value: bson.A{c.cond(n.Args[0], true), c.cond(n.Args[1], want)}}},
			bson.D{{Key: "$and", Value: bson.A{c.cond(n.Args[0], false), c.cond(n.Args[2], want)}}},
		}}}
	}
	if f := c.test(n, want); f != nil {
		return f
	}
	c.expressions = true
	holds := c.truth(n)
	if !want {
		holds = op("$not", bson.A{holds})
	}
	return op("$expr", holds)
}

func (c *compiler) junction(args []*expr.Node, want, all bool) bson.D {
	terms := make(bson.A, len(args))
	for i, a := range args {
		terms[i] = c.cond(a, want)
	}
	if all {
		return op("$and", terms)
	}
	return op("$or", terms)
}

// test is n in the query language; nil where that cannot say it.
func (c *compiler) test(n *expr.Node, want bool) any {
	switch n.Op {
	case expr.OpEq, expr.OpNe, expr.OpLt, expr.OpLe, expr.OpGt, expr.OpGe:
		return c.compared(n, want)
	case expr.OpIn:
		item, list := n.Args[0], n.Args[1]
		if free(list) {
			if path, ok := c.plain(item); ok {
				return among{path, list, fitted(item, exact), want}
			}
		}
		if free(item) {
			if path, ok := c.plain(list); ok {
				return has{path, item, fittedItem(list), want}
			}
		}
	case expr.OpStartsWith, expr.OpEndsWith, expr.OpContains:
		if free(n.Args[1]) {
			if path, ok := c.plain(n.Args[0]); ok {
				return match{path, n.Op, n.Args[1], want}
			}
		}
	case expr.OpField:
		if path, ok := c.plain(n); ok {
			if want {
				return field(path, true)
			}
			return is(path, "$ne", true)
		}
	case expr.OpExists:
		return c.some(n, true, want)
	case expr.OpAll:
		return c.some(n, false, !want)
	}
	return nil
}

// compared is a comparison of a field, or of the size of a list, with an argument.
func (c *compiler) compared(n *expr.Node, want bool) any {
	l, r, o := n.Args[0], n.Args[1], n.Op
	if free(l) {
		l, r, o = r, l, mirrors[o]
	}
	if !free(r) {
		return nil
	}
	if o == expr.OpNe {
		o, want = expr.OpEq, !want
	}
	if l.Op == expr.OpSize && l.Args[0].Type.Kind == expr.List {
		of := l.Args[0]
		if of.Op == expr.OpInverse || of.Op == expr.OpDeref {
			return length{c.ranged(of, of.Bind, nil, true), o, r, want}
		}
		if path, ok := c.plain(of); ok {
			return length{path, o, r, want}
		}
		return nil
	}
	if path, ok := c.plain(l); ok {
		return test{path: path, op: o, arg: r, r: fitted(l, rounding[o]), want: want, strict: n.Strict}
	}
	return nil
}

var mirrors = map[expr.Op]expr.Op{expr.OpEq: expr.OpEq, expr.OpNe: expr.OpNe, expr.OpLt: expr.OpGt, expr.OpLe: expr.OpGe, expr.OpGt: expr.OpLt, expr.OpGe: expr.OpLe}

// rounding says how an argument on the right with too many digits is rounded so that the answer stays the same.
var rounding = map[expr.Op]derive{expr.OpEq: exact, expr.OpNe: exact, expr.OpLt: ceil, expr.OpLe: floor, expr.OpGt: floor, expr.OpGe: ceil}

// fitted says how an argument fits what it is compared with.
func fitted(n *expr.Node, as derive) round {
	return round{float: n.Type.Kind == expr.Float, to: n.Type.Kind == expr.Decimal, scale: n.Type.Scale, as: as}
}

func fittedItem(list *expr.Node) round {
	return round{float: list.Type.Elem == expr.Float, to: list.Type.Elem == expr.Decimal, scale: list.Type.Scale, as: exact}
}

// plain is the path of a field in the documents of the current scope.
func (c *compiler) plain(n *expr.Node) (path string, ok bool) {
	if n.Op != expr.OpField || !c.here(n.Args[0]) {
		return "", false
	}
	_, prefix, of := c.record(n.Args[0])
	return prefix + stored(c.field(of, n.Index).Name), true
}

// here says whether a row is, or is reached from, a document of the current scope.
func (c *compiler) here(row *expr.Node) bool {
	for row.Op == expr.OpDeref {
		row = row.Args[0]
	}
	v, ok := c.vars[row.Index]
	return row.Op == expr.OpRow && ok && v.record() && v.scope == c.cur
}

// some says that an item of a range makes the body body; want says whether there should be one.
func (c *compiler) some(n *expr.Node, body, want bool) any {
	over := n.Args[0]
	if over.Op == expr.OpInverse || over.Op == expr.OpDeref {
		if c.itemInside(over, n.Args[1]) {
			return nil
		}
		as := c.ranged(over, n.Bind, n.Args[1], body)
		return is(as+".0", "$exists", want)
	}
	if walksFrom(n) {
		return is(c.unwound(n, body)+".0", "$exists", want)
	}
	path, ok := c.plain(over)
	if !ok {
		return nil
	}
	var found bson.A
	if !c.items(n.Args[1], n.Bind, body, func(t itemTest) { found = append(found, c.item(path, t)...) }) {
		return nil
	}
	if want {
		return op("$or", found)
	}
	return op("$nor", found)
}

// items says in operators which items make a body want, as alternatives; false where operators cannot say it.
func (c *compiler) items(n *expr.Node, bind int, want bool, add func(itemTest)) bool {
	switch {
	case n.Op == expr.OpNot:
		return c.items(n.Args[0], bind, !want, add)
	case n.Op == expr.OpOr && want, n.Op == expr.OpAnd && !want:
		for _, a := range n.Args {
			if !c.items(a, bind, want, add) {
				return false
			}
		}
		return true
	case len(n.Args) != 2:
		return false
	}
	l, r, o := n.Args[0], n.Args[1], n.Op
	if _, compares := mirrors[o]; compares && free(l) {
		l, r, o = r, l, mirrors[o]
	}
	if l.Op != expr.OpRow || l.Index != bind || !free(r) || nullable(r) {
		return false
	}
	switch o {
	case expr.OpNe:
		o, want = expr.OpEq, !want
	case expr.OpEq, expr.OpLt, expr.OpLe, expr.OpGt, expr.OpGe, expr.OpIn, expr.OpStartsWith, expr.OpEndsWith, expr.OpContains:
	default:
		return false
	}
	if negated, ok := negations[o]; ok && !want {
		o, want = negated, true
	}
	add(itemTest{arg: r, op: o, r: fitted(l, rounding[o]), want: want})
	return true
}

// item says that a list has an item that passes a test. Of a list an operator asks whether any item fits, and
// so does the negation of one ask of all of them: only $elemMatch means one item, and servers that lack $expr
// do not mean it so. An item that is not a value is one that is less or more.
func (c *compiler) item(path string, t itemTest) bson.A {
	switch {
	case t.want:
		return bson.A{field(path, t)}
	case t.op == expr.OpEq:
		less, more := t, t
		less.op, less.r.as, less.want = expr.OpLt, ceil, true
		more.op, more.r.as, more.want = expr.OpGt, floor, true
		return bson.A{field(path, less), field(path, more)}
	default:
		c.expressions = true
		return bson.A{is(path, "$elemMatch", t)}
	}
}

// free says that nothing of a record is in a node: the arguments decide it.
func free(n *expr.Node) bool {
	found := false
	expr.Walk(n, func(n *expr.Node) bool {
		found = found || n.Op == expr.OpRow
		return !found
	})
	return !found
}

// nullable says whether an expression may be null. Fields of the app may be null even where they are
// required now, because a version of the app that did not require them may still be writing.
func nullable(n *expr.Node) bool {
	switch n.Op {
	case expr.OpLit:
		return n.Val.IsNull()
	case expr.OpField:
		return n.Args[0].Op != expr.OpRow || n.Index >= spec.OrdFirst
	case expr.OpCond:
		return nullable(n.Args[1]) || nullable(n.Args[2])
	default:
		return false
	}
}
