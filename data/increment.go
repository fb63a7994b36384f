package data

import (
	"context"
	"math"
	"math/big"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Increment adds to number fields atomically: {"stock":-1}. Null counts as 0; min and max hold.
func (db *DB) Increment(ctx context.Context, by Caller, collection, id string, body *doc.Node, o WriteOptions) (Reply, error) {
	if err := db.Allow(by, collection, Update); err != nil {
		return Reply{}, err
	}
	k, err := db.collection(by, collection)
	if err != nil {
		return Reply{}, err
	}
	if body == nil || body.Kind != doc.Object || len(body.Keys) == 0 {
		return Reply{}, fault.New(fault.BadRequest, "the body must be a JSON object of fields and numbers")
	}
	u := &update{k: k, id: id, often: true, match: o.IfMatch, noneMatch: o.IfNoneMatch, edit: func(w *work, old, rec Record, p *problems) error {
		return w.increment(k, old, rec, body, p)
	}}
	return db.once(ctx, &by, o, u.apply)
}

func (w *work) increment(k *kind, old, rec Record, body *doc.Node, p *problems) error {
	for i, name := range body.Keys {
		f, err := w.db.writableField(w.by, k, name, w, p, old, rec)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		pointer := fault.Pointer(name)
		readable, err := w.reads(f, old)
		if err != nil {
			return err
		}
		if !readable { // the limits would tell what the value is
			p.add(pointer, "unknown", "there is no such field")
			continue
		}
		switch f.Type {
		case spec.Int, spec.Bigint, spec.Float, spec.Decimal:
		default:
			p.add(pointer, "type", "is not a number field")
			continue
		}
		if f.Encrypted {
			p.add(pointer, "type", "is encrypted and cannot be counted")
			continue
		}
		bare := *f // the limits are on the sum, not on what is added
		bare.Min, bare.Max = nil, nil
		n := &body.Items[i]
		if n.Kind == doc.Number && (f.Type == spec.Bigint || f.Type == spec.Decimal) {
			n = &doc.Node{Kind: doc.String, Text: n.Text, At: n.At}
		}
		before := len(*p)
		delta := p.value(&bare, n)
		if len(*p) > before {
			continue
		}
		if delta.IsNull() {
			p.add(pointer, "type", "must be a number")
			continue
		}
		sum, ok := add(f, rec[f.Ord], delta)
		if !ok {
			p.add(pointer, "max", "would not fit the field")
			continue
		}
		if err := w.change(f, old, rec, p.within(f, sum, spot{f, -1}), p); err != nil {
			return err
		}
	}
	return nil
}

// add adds two numbers of a field; a null counts as 0. False when the sum does not fit the field.
func add(f *spec.Field, a, b Value) (Value, bool) {
	if a.IsNull() {
		return b, true
	}
	if f.Type == spec.Float {
		sum := a.Float() + b.Float()
		return expr.FloatOf(sum), !math.IsInf(sum, 0)
	}
	sum := new(big.Int).Add(big.NewInt(a.Int()), big.NewInt(b.Int()))
	if !sum.IsInt64() {
		return Value{}, false
	}
	n := sum.Int64()
	switch f.Type {
	case spec.Int:
		return expr.IntOf(n), n >= -(1<<53-1) && n <= 1<<53-1
	case spec.Bigint:
		return expr.BigintOf(n), true
	default:
		return expr.DecimalOf(n, uint8(f.Scale)), digitsOf(n) <= f.Precision
	}
}
