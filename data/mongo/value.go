package mongo

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/expr"
)

// truth is an aggregation expression that is true where n holds, and else false. It asks for null before it
// compares: in that language null has a place in every order.
func (c *compiler) truth(n *expr.Node) any {
	c.expressions = true
	if free(n) {
		return truth{n}
	}
	switch n.Op {
	case expr.OpAnd, expr.OpOr:
		terms := make(bson.A, len(n.Args))
		for i, a := range n.Args {
			terms[i] = c.truth(a)
		}
		if n.Op == expr.OpAnd {
			return op("$and", terms)
		}
		return op("$or", terms)
	case expr.OpNot:
		return op("$not", bson.A{c.truth(n.Args[0])})
	case expr.OpCond:
		return op("$cond", bson.A{c.truth(n.Args[0]), c.truth(n.Args[1]), c.truth(n.Args[2])})
	case expr.OpEq:
		return c.equal(n)
	case expr.OpNe:
		return op("$not", bson.A{c.equal(n)})
	case expr.OpLt, expr.OpLe, expr.OpGt, expr.OpGe:
		l, r := c.sides(n.Args[0], n.Args[1], n.Op)
		return c.known(op(orders[n.Op], bson.A{l, r}), n.Args[0], l, n.Args[1], r)
	case expr.OpIn:
		return c.member(n)
	case expr.OpExists:
		return c.quantified(n, true)
	case expr.OpAll:
		return op("$not", bson.A{c.quantified(n, false)})
	case expr.OpStartsWith, expr.OpEndsWith, expr.OpContains:
		return c.search(n)
	case expr.OpField, expr.OpRow:
		return op("$eq", bson.A{c.value(n, round{}), true})
	default:
		c.refuse(n.Op.String())
		return false
	}
}

// known adds to a comparison that those of its two sides are not null that may be.
func (c *compiler) known(holds any, a *expr.Node, l any, b *expr.Node, r any) any {
	terms := bson.A{}
	for _, side := range []struct {
		n *expr.Node
		v any
	}{{a, l}, {b, r}} {
		if nullable(side.n) || free(side.n) {
			terms = append(terms, op("$ne", bson.A{side.v, nil}))
		}
	}
	if len(terms) == 0 {
		return holds
	}
	return op("$and", append(terms, holds))
}

func (c *compiler) equal(n *expr.Node) any {
	l, r := c.sides(n.Args[0], n.Args[1], n.Op)
	same := op("$eq", bson.A{l, r})
	if n.Strict {
		return c.known(same, n.Args[0], l, n.Args[1], r)
	}
	return same
}

// sides are both operands of a comparison. An argument beside a decimal takes its scale.
func (c *compiler) sides(l, r *expr.Node, o expr.Op) (left, right any) {
	a, b := round{}, round{}
	if free(r) {
		b = fitted(l, rounding[o])
	} else if free(l) {
		a = fitted(r, rounding[mirrors[o]])
	}
	return c.value(l, a), c.value(r, b)
}

func (c *compiler) member(n *expr.Node) any {
	item, list := n.Args[0], n.Args[1]
	var in any
	r := fittedItem(list)
	if free(list) {
		in, r = items{list, fitted(item, exact)}, round{}
	} else {
		in = op("$ifNull", bson.A{c.value(list, round{}), bson.A{}})
	}
	v := c.value(item, r)
	return c.known(op("$in", bson.A{v, in}), item, v, list, in)
}

// quantified says whether the body is want for an item of a range.
func (c *compiler) quantified(n *expr.Node, want bool) any {
	over := n.Args[0]
	if over.Op == expr.OpInverse || over.Op == expr.OpDeref {
		return op("$ne", bson.A{op("$size", "$"+c.ranged(over, n.Bind, n.Args[1], want)), int64(0)})
	}
	if walksFrom(n) {
		return op("$ne", bson.A{op("$size", "$"+c.unwound(n, want)), int64(0)})
	}
	list := op("$ifNull", bson.A{c.value(over, round{}), bson.A{}})
	item := c.next("v")
	var body any
	c.bind(n.Bind, variable{item: "$$" + item}, func() { body = c.truth(n.Args[1]) })
	if !want {
		body = op("$not", bson.A{body})
	}
	return op("$anyElementTrue", bson.A{op("$map", bson.D{{Key: "input", Value: list}, {Key: "as", Value: item}, {Key: "in", Value: body}})})
}

func (c *compiler) search(n *expr.Node) any {
	text, part := n.Args[0], n.Args[1]
	t, p := c.value(text, round{}), c.value(part, round{})
	s, q := op("$ifNull", bson.A{t, ""}), op("$ifNull", bson.A{p, ""})
	var found any
	switch n.Op {
	case expr.OpStartsWith:
		found = op("$eq", bson.A{op("$indexOfCP", bson.A{s, q}), int64(0)})
	case expr.OpContains:
		found = op("$gte", bson.A{op("$indexOfCP", bson.A{s, q}), int64(0)})
	default:
		size := op("$strLenCP", q)
		from := op("$max", bson.A{int64(0), op("$subtract", bson.A{op("$strLenCP", s), size})})
		found = op("$eq", bson.A{op("$substrCP", bson.A{s, from, size}), q})
	}
	return c.known(found, text, t, part, p)
}

// value is an aggregation expression of the value of n; null where there is none.
func (c *compiler) value(n *expr.Node, r round) any {
	c.expressions = true
	if free(n) {
		if n.Type.Kind == expr.List {
			return items{n, r}
		}
		return argument{n, r}
	}
	switch n.Op {
	case expr.OpRow:
		switch v := c.vars[n.Index]; {
		case v.item != "":
			return v.item
		case v.field != "":
			return c.path(v.scope, v.field)
		}
		c.refuse("a record as a value")
		return nil
	case expr.OpField:
		s, prefix, of := c.record(n.Args[0])
		path := c.path(s, prefix+stored(c.field(of, n.Index).Name))
		if nullable(n) {
			return op("$ifNull", bson.A{path, nil})
		}
		return path
	case expr.OpSize:
		return c.size(n.Args[0])
	case expr.OpCond:
		return op("$cond", bson.A{c.truth(n.Args[0]), c.value(n.Args[1], r), c.value(n.Args[2], r)})
	default:
		return c.truth(n)
	}
}

func (c *compiler) size(n *expr.Node) any {
	switch {
	case n.Op == expr.OpInverse, n.Op == expr.OpDeref:
		return op("$size", "$"+c.ranged(n, n.Bind, nil, true))
	case n.Type.Kind == expr.List:
		return op("$size", op("$ifNull", bson.A{c.value(n, round{}), bson.A{}}))
	default:
		return op("$strLenCP", op("$ifNull", bson.A{c.value(n, round{}), ""}))
	}
}
