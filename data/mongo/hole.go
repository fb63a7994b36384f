package mongo

import (
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/bluell/plinth/expr"
)

// What is compiled is a template: documents as they are sent, with holes where the arguments decide. Filling
// it makes plain documents, which any implementation of the language can be given.

// hole is a place in a template.
type hole interface{ fill(f *filling) any }

// filling is one use of a template.
type filling struct {
	args  []expr.Value
	shown bool // for people: an argument is shown by its number
	err   error
}

// fill makes documents of a template.
func (f *filling) fill(v any) any {
	switch v := v.(type) {
	case hole:
		return f.fill(v.fill(f))
	case bson.D:
		out := make(bson.D, len(v))
		for i, e := range v {
			out[i] = bson.E{Key: e.Key, Value: f.fill(e.Value)}
		}
		return out
	case bson.A:
		out := make(bson.A, len(v))
		for i, e := range v {
			out[i] = f.fill(e)
		}
		return out
	default:
		return v
	}
}

// documents fills a pipeline.
func (f *filling) documents(stages []any) []bson.D {
	out := make([]bson.D, len(stages))
	for i, s := range stages {
		out[i], _ = f.fill(s).(bson.D)
	}
	return out
}

// value is what a node without record variables is for these arguments.
func (f *filling) value(n *expr.Node) expr.Value {
	switch {
	case n.Op == expr.OpLit:
		return n.Val
	case n.Op == expr.OpParam && f.shown:
		return expr.TextOf("?" + strconv.Itoa(n.Index+1))
	case n.Op == expr.OpParam:
		return f.args[n.Index]
	case f.shown:
		return expr.TextOf("?")
	}
	v, err := expr.Eval(n, &expr.Scope{Params: f.args})
	if err != nil && f.err == nil {
		f.err = err
	}
	return v
}

// values are the items of a list that are not null: a null in a list equals nothing.
func (f *filling) values(list *expr.Node) []expr.Value {
	var items []expr.Value
	if list.Op == expr.OpList {
		for _, n := range list.Args {
			items = append(items, f.value(n))
		}
	} else {
		v := f.value(list)
		if f.shown {
			return []expr.Value{v}
		}
		items = v.List()
	}
	var out []expr.Value
	for _, v := range items {
		if !v.IsNull() {
			out = append(out, v)
		}
	}
	return out
}

// number is an argument that counts: a limit.
type number struct{ arg int }

// MongoDB refuses a limit of nothing: who asks for nothing is not sent (plan.nothing).
func (h number) fill(f *filling) any {
	if f.shown {
		return "?" + strconv.Itoa(h.arg+1)
	}
	return int32(min(f.args[h.arg].Int(), 1<<31-1))
}

// texts is an argument that is a list of texts.
type texts struct{ arg int }

func (h texts) fill(f *filling) any {
	if f.shown {
		return bson.A{"?" + strconv.Itoa(h.arg+1)}
	}
	seen, out := map[string]bool{}, bson.A{}
	for _, v := range f.args[h.arg].List() {
		if !v.IsNull() && !seen[v.Text()] {
			seen[v.Text()] = true
			out = append(out, v.Text())
		}
	}
	return out
}

// after is a value of the row behind which a page begins.
type after struct{ arg int }

func (h after) fill(f *filling) any {
	return encode(f.value(&expr.Node{Op: expr.OpParam, Index: h.arg}))
}

// constant is a filter of everything or of nothing: every document has an _id.
func constant(yes bool) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$exists", Value: yes}}}}
}

// decided is a filter that the arguments alone decide.
type decided struct {
	n    *expr.Node
	want bool
}

func (h decided) fill(f *filling) any {
	if f.shown {
		return constant(true)
	}
	return constant(f.holds(h.n) == h.want)
}

func (f *filling) holds(n *expr.Node) bool {
	ok, err := expr.Holds(n, &expr.Scope{Params: f.args})
	if err != nil && f.err == nil {
		f.err = err
	}
	return ok
}

// truth is a boolean in an expression that the arguments alone decide.
type truth struct{ n *expr.Node }

func (h truth) fill(f *filling) any {
	return literal(!f.shown && f.holds(h.n))
}

// argument is a value in an expression.
type argument struct {
	n *expr.Node
	r round
}

func (h argument) fill(f *filling) any {
	return literal(encode(h.r.fit(f.value(h.n), f.shown)))
}

// items is a list in an expression.
type items struct {
	n *expr.Node
	r round
}

func (h items) fill(f *filling) any {
	out := bson.A{}
	for _, v := range f.values(h.n) {
		out = append(out, encode(h.r.fit(v, f.shown)))
	}
	return literal(out)
}

// literal keeps a text that begins with $ from being read as a path.
func literal(v any) bson.D { return bson.D{{Key: "$literal", Value: v}} }
