package data

import (
	"context"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// maxGroups bounds the groups of one answer.
const maxGroups = 500

// avgPlaces is how many decimal places an average has beyond its field's.
const avgPlaces = 4

// aggregate is one aggregate of an answer. An average is printed from two outputs: sum and count.
type aggregate struct {
	prefix []byte // `"sum(price)":`
	fn     string
	field  *spec.Field
	at     int // its output; the count of an avg stands behind it
}

// Groups appends {"groups":[…]}, with "more":true when there are others behind the last: what the records
// that the caller may read amount to, by group.
func (db *DB) Groups(ctx context.Context, by Caller, q *GroupQuery, dst []byte) ([]byte, error) {
	k, err := db.collection(by, q.Collection)
	if err != nil {
		return dst, err
	}
	if k.Access.Read == nil && !by.Operator {
		return dst, denied(&by, "read "+k.Name)
	}
	var buf [256]byte
	var litBuf [8]expr.Literal
	key := appendWords(draftKey(buf[:0], 'a', k, &by), q.Group, q.Aggregate)
	key, lits, err := appendFilterShape(key, q.Filter, litBuf[:0])
	if err != nil {
		return dst, err
	}
	d, ok := db.drafts.find(key)
	if !ok {
		if d, err = db.makeGroups(k, &by, q); err != nil {
			return dst, err
		}
		db.drafts.keep(key, d)
	}
	if ok, err := db.pass(&by, d.gates); err != nil {
		return dst, err
	} else if !ok {
		return dst, refused(db.makeGroups(k, &by, q))
	}
	s := db.scope(&by, nil)
	if s.Params, err = db.filterArgs(d.filter, lits, q.Params); err != nil {
		return dst, err
	}
	v, args, err := d.variant(db, s, nil, []Value{expr.IntOf(maxGroups + 1)})
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"groups":[`...)
	if v.none && len(d.group) > 0 {
		return append(dst, "]}"...), nil
	}
	if v.none { // the aggregates of nothing
		dst, err = d.appendGroup(dst, nothing{})
		return append(dst, "]}"...), err
	}
	n := 0
	ctx, done, err := db.patience(ctx, &by, d)
	if err != nil {
		return dst, err
	}
	defer done()
	p := &page{draft: d, v: v, args: args}
	if db.slow > 0 {
		defer db.slowly(ctx, &by, asking{q.Filter, "", "", q.Group}, p, time.Now())
	}
	err = db.eng.Rows(ctx, v.stmt, args, func(cols driver.Columns) error {
		if n++; n > maxGroups {
			return errEnough
		}
		p.rows = n
		if n > 1 {
			dst = append(dst, ',')
		}
		dst, err = d.appendGroup(dst, cols)
		return err
	})
	if err == errEnough {
		return append(dst, `],"more":true}`...), nil
	}
	return append(dst, "]}"...), err
}

func (db *DB) makeGroups(k *kind, by *Caller, q *GroupQuery) (*draft, error) {
	d := &draft{k: k, first: 1, letters: len(q.Filter)}
	a := &asker{db: db, by: by, root: k.Collection}
	filter, wrong := d.filtered(a, q.Filter)
	ords, badGroup := a.groups(d, q.Group)
	asked, badAggregate := a.aggregates(d, q.Aggregate, len(ords))
	if err := fault.Join(wrong, badGroup, badAggregate); err != nil {
		return nil, err
	}
	if len(d.group)+len(d.aggregates) == 0 {
		return nil, fault.At("aggregate", 1, "required", "name a group or an aggregate, such as count")
	}
	d.where = access(k, by, filter)
	d.gates = a.gates
	d.shape = func(_ *variant, q *driver.Query, _ []byte) {
		q.Group, q.Aggregates, q.Sort = ords, asked, nil
		if len(ords) > 0 {
			q.Limit = 0
		}
	}
	return d.ready(), nil
}

// groups reads the fields to group by, and gives their ordinals.
func (a *asker) groups(d *draft, text string) (ords []int, err error) {
	at := 0
	for _, name := range split(text) {
		if len(ords) == mostOrdered {
			return nil, tooMany("group", at)
		}
		f, err := a.field(d.k.Collection, "group", at, name, true)
		if err != nil {
			return nil, err
		}
		ord, err := orderBy(f, "group", at)
		if err != nil {
			return nil, err
		}
		if slices.Contains(ords, ord) {
			return nil, fault.At("group", at+1, "syntax", "%q is named twice", name)
		}
		d.group = append(d.group, newOut(f, len(ords), -1))
		ords = append(ords, ord)
		at += len(name) + 1
	}
	return ords, nil
}

// aggregates reads what is asked of each group; its outputs stand behind the first ones.
func (a *asker) aggregates(d *draft, text string, first int) (asked []driver.Aggregate, err error) {
	at := 0
	words := split(text)
	for i, word := range words {
		if slices.Contains(words[:i], word) {
			return nil, fault.At("aggregate", at+1, "syntax", "%q is named twice", word)
		}
		g, needs, err := a.aggregate(d.k.Collection, word, at)
		if err != nil {
			return nil, err
		}
		g.at = first + len(asked)
		asked = append(asked, needs...)
		d.aggregates = append(d.aggregates, g)
		at += len(word) + 1
	}
	return asked, nil
}

// aggregate reads "count" or "sum(price)".
func (a *asker) aggregate(c *spec.Collection, word string, at int) (aggregate, []driver.Aggregate, error) {
	g := aggregate{fn: word, prefix: append(doc.AppendString(nil, word), ':')}
	if word == "count" {
		return g, []driver.Aggregate{{Func: "count", Ord: -1}}, nil
	}
	fn, rest, ok := strings.Cut(word, "(")
	name, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed {
		return g, nil, fault.At("aggregate", at+1, "syntax", "%q is not count, sum(field), avg(field), min(field) or max(field)", word)
	}
	at += len(fn) + 1
	f, err := a.field(c, "aggregate", at, name, true)
	if err != nil {
		return g, nil, err
	}
	ord, err := orderBy(f, "aggregate", at)
	if err != nil {
		return g, nil, err
	}
	g.fn, g.field = fn, f
	exact := f.Type == spec.Int || f.Type == spec.Bigint || f.Type == spec.Decimal
	switch fn {
	case "sum", "avg":
		if !exact {
			return g, nil, fault.At("aggregate", at+1, "type", "%s needs an int, bigint or decimal; %q is none", fn, name)
		}
		if fn == "sum" {
			return g, []driver.Aggregate{{Func: "sum", Ord: ord}}, nil
		}
		return g, []driver.Aggregate{{Func: "sum", Ord: ord}, {Func: "count", Ord: ord}}, nil
	case "min", "max":
		if f.Type == spec.Bool {
			return g, nil, fault.At("aggregate", at+1, "type", "%q has no smallest value", name)
		}
		return g, []driver.Aggregate{{Func: fn, Ord: ord}}, nil
	}
	return g, nil, fault.At("aggregate", at-len(fn), "unknown", "there is no aggregate %q: count, sum, avg, min, max", fn)
}

func (d *draft) appendGroup(dst []byte, cols driver.Columns) ([]byte, error) {
	dst = append(dst, '{')
	n := 0
	name := func(prefix []byte) {
		if n > 0 {
			dst = append(dst, ',')
		}
		n++
		dst = append(dst, prefix...)
	}
	for _, o := range d.group {
		name(o.prefix)
		dst = AppendJSON(dst, cols.Value(o.at))
	}
	for _, g := range d.aggregates {
		name(g.prefix)
		switch {
		case g.fn == "count":
			dst = strconv.AppendInt(dst, cols.Int(g.at), 10)
		case cols.Null(g.at):
			dst = append(dst, "null"...)
		case g.fn == "avg":
			sum, ok := new(big.Int).SetString(string(cols.Text(g.at)), 10)
			if !ok {
				return dst, fault.New(fault.Internal, "a sum is no number")
			}
			dst = append(dst, '"')
			dst = appendAverage(dst, sum, cols.Int(g.at+1), g.field.Scale)
			dst = append(dst, '"')
		case g.fn == "sum":
			sum, err := strconv.ParseInt(string(cols.Text(g.at)), 10, 64)
			if err != nil {
				return dst, fault.New(fault.BadRequest, "the sum does not fit into 64 bits")
			}
			dst = AppendJSON(dst, numberOf(g.field, sum))
		default:
			dst = AppendJSON(dst, cols.Value(g.at))
		}
	}
	return append(dst, '}'), nil
}

// numberOf is a whole number as a value of a field; of a decimal it is the unscaled one.
func numberOf(f *spec.Field, n int64) Value {
	switch f.Type {
	case spec.Bigint:
		return expr.BigintOf(n)
	case spec.Decimal:
		return expr.DecimalOf(n, uint8(f.Scale))
	}
	return expr.IntOf(n)
}

// appendAverage prints sum/n with avgPlaces more places than the field has, rounded half to even.
func appendAverage(dst []byte, sum *big.Int, n int64, scale int) []byte {
	q := new(big.Int).Mul(sum, new(big.Int).Exp(big.NewInt(10), big.NewInt(avgPlaces), nil))
	negative := q.Sign() < 0
	q.Abs(q)
	r := new(big.Int)
	q.QuoRem(q, big.NewInt(n), r)
	switch r.Lsh(r, 1).Cmp(big.NewInt(n)) {
	case 1:
		q.Add(q, big.NewInt(1))
	case 0:
		if q.Bit(0) == 1 {
			q.Add(q, big.NewInt(1))
		}
	}
	text := q.String()
	places := scale + avgPlaces
	for len(text) <= places {
		text = "0" + text
	}
	if negative && q.Sign() != 0 {
		dst = append(dst, '-')
	}
	dst = append(dst, text[:len(text)-places]...)
	dst = append(dst, '.')
	return append(dst, text[len(text)-places:]...)
}

// nothing is the row of aggregates when no record can be read: a count of 0, the rest null.
type nothing struct{}

func (nothing) Null(int) bool     { return true }
func (nothing) Int(int) int64     { return 0 }
func (nothing) Float(int) float64 { return 0 }
func (nothing) Text(int) []byte   { return nil }
func (nothing) Value(int) Value   { return Value{} }
func (nothing) Record(Record)     {}
