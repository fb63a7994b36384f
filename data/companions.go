package data

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Create, update and backfills make what is stored with the functions of this file alone, so that
// a row that was there before a companion was declared is found as any other. A record goes
// through them in this order: companions, then (after rules and validations, which read plain
// values) seal. open is the way back.

// companions computes the hidden columns of a record whose own fields are plain, in place.
func (k *Keyring) companions(c *spec.Collection, rec Record) error {
	for _, f := range c.Fields {
		if f.Companion == spec.Own || f.Companion == spec.Partial {
			continue
		}
		rec[f.Ord] = k.companion(c, f, rec)
	}
	for _, f := range c.Fields { // a condition compares by folds and hashes: they come first
		if f.Companion != spec.Partial {
			continue
		}
		v, err := partial(f.Index, rec)
		if err != nil {
			return err
		}
		rec[f.Ord] = v
	}
	return nil
}

// companion is a fold, or the keyed hash of a text.
func (k *Keyring) companion(c *spec.Collection, f *spec.Field, rec Record) Value {
	plain := rec[f.Of.Ord]
	switch {
	case plain.IsNull():
		return Value{}
	case f.Companion == spec.Fold:
		return expr.TextOf(expr.Fold(plain.Text()))
	}
	return expr.TextOf(k.Lookup(c, f.Of, canonicalText(f.Of, plain)))
}

// canonicalText is the text by which a value of a searchable encrypted field is asked.
func canonicalText(f *spec.Field, v Value) string {
	switch {
	case f.CI:
		return expr.Fold(v.Text())
	case v.Kind() == expr.Text || v.Kind() == expr.Date || v.Kind() == expr.JSON:
		return v.Text()
	}
	return plain(v)
}

// partial is the key of a partial unique index: null where its condition does not hold or one of its
// fields is null, else a hash of what the fields compare by.
func partial(x *spec.Index, rec Record) (Value, error) {
	yes, err := expr.Holds(x.Where.Root, &expr.Scope{Rows: [][]Value{rec}})
	if err != nil || !yes {
		return Value{}, err
	}
	h := sha256.New()
	for _, f := range x.Fields {
		v := rec[comparedBy(f)]
		if v.IsNull() {
			return Value{}, nil
		}
		text := AppendJSON(nil, v)
		h.Write(strconv.AppendInt(nil, int64(len(text)), 10))
		h.Write([]byte{':'})
		h.Write(text)
	}
	return expr.TextOf(base64.RawURLEncoding.EncodeToString(h.Sum(nil))), nil
}

// comparedBy is the ordinal of the column in which a field's values are compared and indexed.
func comparedBy(f *spec.Field) int {
	switch {
	case f.KeyOrd >= 0:
		return f.KeyOrd
	case f.FoldOrd >= 0:
		return f.FoldOrd
	}
	return f.Ord
}

// seal encrypts the encrypted fields of a plain record, in place. Fields that are sealed already
// (an update carries over those it does not touch) stay as they are.
func (k *Keyring) seal(c *spec.Collection, rec Record) error {
	id := rec[spec.OrdID].Text()
	for _, f := range c.Fields {
		v := rec[f.Ord]
		if !f.Encrypted || v.IsNull() || v.Kind() == expr.Bytes {
			continue
		}
		sealed, err := k.Seal(c, f, id, string(AppendJSON(nil, v)))
		if err != nil {
			return err
		}
		rec[f.Ord] = expr.BytesOf(sealed)
	}
	return nil
}

// open decrypts the encrypted fields of a stored record, in place.
func (k *Keyring) open(c *spec.Collection, rec Record) error {
	id := rec[spec.OrdID].Text()
	for _, f := range c.Fields {
		if rec[f.Ord].Kind() != expr.Bytes {
			continue
		}
		text, err := k.Unseal(c, f, id, []byte(rec[f.Ord].Text()))
		if err != nil {
			return err
		}
		if rec[f.Ord], err = sealedValue(f, text); err != nil {
			return err
		}
	}
	return nil
}

// sealedValue reads the JSON text that Seal was given. Limits are not asked again: they may have
// changed since.
func sealedValue(f *spec.Field, text []byte) (Value, error) {
	n, err := doc.Parse(text, doc.Limits{})
	if err != nil {
		return Value{}, fault.Wrap(fault.Internal, "open "+f.Name, err)
	}
	return printedValue(f, n)
}

// printedValue reads a value of a field as AppendJSON prints it.
func printedValue(f *spec.Field, n *doc.Node) (v Value, err error) {
	t := f.ExprType()
	if t.Kind != expr.List || n.Kind == doc.Null {
		return storedValue(t, n)
	}
	items := make([]Value, len(n.Items))
	t.Kind = t.Elem
	for i := range n.Items {
		if items[i], err = storedValue(t, &n.Items[i]); err != nil {
			return Value{}, err
		}
	}
	return expr.ListOf(items...), nil
}

// storedValue reads one value as AppendJSON prints it.
func storedValue(t expr.Type, n *doc.Node) (Value, error) {
	switch {
	case n.Kind == doc.Null:
		return Value{}, nil
	case t.Kind == expr.JSON:
		return expr.JSONOf(string(n.AppendCanonical(nil))), nil
	case t.Kind == expr.Bool:
		return expr.BoolOf(n.Bool), nil
	case t.Kind == expr.Text:
		return expr.TextOf(n.Text), nil
	case t.Kind == expr.Float:
		v, err := strconv.ParseFloat(n.Text, 64)
		return expr.FloatOf(v), err
	case t.Kind == expr.Int:
		v, err := strconv.ParseInt(n.Text, 10, 64)
		return expr.IntOf(v), err
	}
	return expr.ParseText(t, n.Text)
}
