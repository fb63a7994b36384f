package mongo

import (
	"regexp"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/expr"
)

// A test is a filter of one field by an argument, in the query language, which indexes serve. The negation of
// a test includes the documents that lack the field: that is how the language means $ne, $nin and $not, and
// how Plinth means !.

func field(path string, v any) bson.D    { return bson.D{{Key: path, Value: v}} }
func op(name string, v any) bson.D       { return bson.D{{Key: name, Value: v}} }
func is(path, name string, v any) bson.D { return field(path, op(name, v)) }

// not is the opposite of what an operator document says of a field.
func not(path string, v bson.D) bson.D { return is(path, "$not", v) }

// test compares a field with an argument.
type test struct {
	path   string
	op     expr.Op // OpEq, OpLt, OpLe, OpGt, OpGe
	arg    *expr.Node
	r      round
	want   bool
	strict bool
}

var orders = map[expr.Op]string{expr.OpLt: "$lt", expr.OpLe: "$lte", expr.OpGt: "$gt", expr.OpGe: "$gte"}

func (h test) fill(f *filling) any {
	v := f.value(h.arg)
	if v.IsNull() {
		switch {
		case h.op != expr.OpEq || h.strict:
			return constant(!h.want)
		case h.want:
			return field(h.path, nil)
		default:
			return is(h.path, "$ne", nil)
		}
	}
	bound := encode(h.r.fit(v, f.shown))
	switch {
	case h.op == expr.OpEq && h.want:
		return field(h.path, bound)
	case h.op == expr.OpEq:
		return is(h.path, "$ne", bound)
	case h.want:
		return is(h.path, orders[h.op], bound)
	default:
		return not(h.path, op(orders[h.op], bound))
	}
}

// among asks whether a field is one of the items of a list.
type among struct {
	path string
	list *expr.Node
	r    round
	want bool
}

func (h among) fill(f *filling) any {
	items := bson.A{}
	for _, v := range f.values(h.list) {
		items = append(items, encode(h.r.fit(v, f.shown)))
	}
	if h.want {
		return is(h.path, "$in", items)
	}
	return is(h.path, "$nin", items)
}

// has asks whether a list has an item.
type has struct {
	path string
	item *expr.Node
	r    round
	want bool
}

func (h has) fill(f *filling) any {
	v := f.value(h.item)
	switch {
	case v.IsNull():
		return constant(!h.want)
	case h.want:
		return field(h.path, encode(h.r.fit(v, f.shown)))
	default:
		return is(h.path, "$ne", encode(h.r.fit(v, f.shown)))
	}
}

// match looks for a text in a field.
type match struct {
	path string
	op   expr.Op // OpStartsWith, OpEndsWith, OpContains
	part *expr.Node
	want bool
}

func (h match) fill(f *filling) any {
	v := f.value(h.part)
	if v.IsNull() {
		return constant(!h.want)
	}
	if h.want {
		return field(h.path, matching(h.op, v.Text()))
	}
	return not(h.path, matching(h.op, v.Text()))
}

// matching says with operators how a text matches. Texts with a prefix are a range, which an index serves; the
// rest is a pattern in which every character stands for itself, and \z is the end, for $ is also before a last
// line feed.
func matching(o expr.Op, part string) bson.D {
	switch {
	case part == "":
		return op("$gte", "") // every text
	case o == expr.OpStartsWith:
		d := op("$gte", part)
		if end, ok := prefixEnd(part); ok {
			d = append(d, bson.E{Key: "$lt", Value: end})
		}
		return d
	case o == expr.OpEndsWith:
		return op("$regex", regexp.QuoteMeta(part)+`\z`)
	default:
		return op("$regex", regexp.QuoteMeta(part))
	}
}

// length asks how many items a list has; one that is not there has none.
type length struct {
	path string
	op   expr.Op
	arg  *expr.Node
	want bool
}

// longest is more than any list may have.
const longest = 1 << 20

func (h length) fill(f *filling) any {
	if f.shown {
		return is(h.path, "$size", "?")
	}
	v := f.value(h.arg)
	if v.IsNull() {
		return constant(!h.want)
	}
	n, want := min(max(v.Int(), -1), longest), h.want
	switch h.op {
	case expr.OpEq:
		switch {
		case n < 0:
			return constant(!want)
		case n == 0:
			return h.atLeast(1, !want)
		case want:
			return is(h.path, "$size", int32(n))
		default:
			return not(h.path, op("$size", int32(n)))
		}
	case expr.OpGe:
		return h.atLeast(n, want)
	case expr.OpGt:
		return h.atLeast(n+1, want)
	case expr.OpLt:
		return h.atLeast(n, !want)
	default:
		return h.atLeast(n+1, !want)
	}
}

func (h length) atLeast(n int64, want bool) bson.D {
	if n <= 0 {
		return constant(want)
	}
	return is(h.path+"."+strconv.FormatInt(n-1, 10), "$exists", want)
}

// itemTest says with operators what an item of a list of plain values must be; items are never null.
type itemTest struct {
	arg  *expr.Node
	op   expr.Op // OpIn and the texts' with want false only
	r    round
	want bool
}

var negations = map[expr.Op]expr.Op{expr.OpLt: expr.OpGe, expr.OpLe: expr.OpGt, expr.OpGt: expr.OpLe, expr.OpGe: expr.OpLt}

func (h itemTest) fill(f *filling) any {
	name := "$in"
	if !h.want {
		name = "$nin"
	}
	if h.op == expr.OpIn {
		items := bson.A{}
		for _, v := range f.values(h.arg) {
			items = append(items, encode(h.r.fit(v, f.shown)))
		}
		return op(name, items)
	}
	v := f.value(h.arg)
	if v.IsNull() {
		return op(name, bson.A{})
	}
	switch h.op {
	case expr.OpEq:
		return op("$eq", encode(h.r.fit(v, f.shown)))
	case expr.OpStartsWith, expr.OpEndsWith, expr.OpContains:
		d := matching(h.op, v.Text())
		if h.op == expr.OpStartsWith && v.Text() != "" { // two bounds might be met by two items
			d = op("$regex", "^"+regexp.QuoteMeta(v.Text()))
		}
		if h.want {
			return d
		}
		return op("$not", d)
	default:
		return op(orders[h.op], encode(h.r.fit(v, f.shown)))
	}
}
