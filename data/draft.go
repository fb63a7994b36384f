package data

import (
	"sync"
	"sync/atomic"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// draft is a question compiled once for every caller: names are resolved, rules are joined. What
// depends on the caller and on literals stands in it as slots. For each combination of what the
// slots turn out to be (true or false, null or not) there is one variant, with a prepared statement.
type draft struct {
	k      *kind
	gates  []*expr.Expr
	filter *expr.Expr // nil: none
	where  *expr.Node // access rule and filter; nil: all
	cols   []draftCol
	sort   []driver.Key
	more   []*expansion
	// shape puts in what is particular to the question; own is what was in the key before the slots.
	shape   func(v *variant, q *driver.Query, own []byte)
	letters int    // length of its filter
	heavy   bool   // its filter goes through lists of records
	counter *draft // of a list: counts its rows, when that is asked for

	group      []out // of groups
	aggregates []aggregate

	first int // arguments below this are the question's own (limit, cursor, parents); then come the slots'
	asked []asked

	mu       sync.RWMutex
	variants map[string]*variant

	told atomic.Int64 // when the log was told last that it is slow, ms
}

// draftCol is a field of the answer, and the rule that says who may read it (nil: everybody).
type draftCol struct {
	field *spec.Field
	rule  *expr.Node
}

// asked is one expression of a draft and its slots.
type asked struct {
	node  *expr.Node
	slots []*expr.Node
}

// variant is a draft for one combination of slots.
type variant struct {
	stmt  driver.Stmt
	query *driver.Query
	none  bool // the access rule or the filter is false whatever the rows: nothing is asked
	outs  []out
	id    int   // output of the id
	rev   int   // output of the revision; -1 when it is not asked for
	keys  []int // outputs of the sort keys
	links []int // outputs that the expansions follow; -1: of one that is joined
	per   int   // 1 when the first output is the parent

	joined []*variant // by expansion: what comes of it in the row; nil of one that is not joined
}

// ready finds the slots once the draft is complete.
func (d *draft) ready() *draft {
	d.asked = append(d.asked, asked{d.where, slots(d.where)})
	for _, c := range d.cols {
		if c.rule != nil {
			d.asked = append(d.asked, asked{c.rule, expr.Slots(c.rule)})
		}
	}
	for _, e := range d.more {
		if e.joined {
			d.asked = append(d.asked, e.child.asked...)
		}
	}
	return d
}

// alone says that the draft's own query finds all that is expanded too.
func (d *draft) alone() bool {
	for _, e := range d.more {
		if !e.joined || len(e.child.more) > 0 {
			return false
		}
	}
	return true
}

func slots(n *expr.Node) []*expr.Node {
	if n == nil {
		return nil
	}
	return expr.Slots(n)
}

// variant evaluates the slots and finds or makes the variant for them. args holds the question's own
// d.first arguments and comes back with the slots' behind them. key is scratch and may begin with what
// else belongs to the shape.
func (d *draft) variant(db *DB, s *expr.Scope, key []byte, args []Value) (*variant, []Value, error) {
	var cuts [16]int
	own := len(key)
	var err error
	cut := cuts[:0]
	for _, a := range d.asked {
		if key, args, err = expr.Ask(a.slots, s, key, args); err != nil {
			return nil, nil, filterError(err)
		}
		cut = append(cut, len(args))
	}
	d.mu.RLock()
	v, ok := d.variants[string(key)]
	d.mu.RUnlock()
	if ok {
		return v, args, nil
	}
	if v, err = d.make(db, key, own, cut); err != nil {
		return nil, nil, filterError(err)
	}
	d.mu.Lock()
	if d.variants == nil || len(d.variants) >= mostShapes {
		d.variants = map[string]*variant{}
	}
	d.variants[string(key)] = v
	d.mu.Unlock()
	if d.letters > 0 {
		db.drafts.charge(letterCost * d.letters)
	}
	return v, args, nil
}

// make compiles a variant. key[own:] says what the slots are, cut where each expression's arguments end.
func (d *draft) make(db *DB, key []byte, own int, cut []int) (*variant, error) {
	v := &variant{rev: -1, id: -1}
	q := &driver.Query{From: d.k.Collection, Sort: d.sort, Limit: -1}
	v.query = q
	if d.shape != nil {
		d.shape(v, q, key[:own])
	}
	rules := &special{asked: d.asked, slots: key[own:], at: d.first, cut: cut}
	var err error
	if q.Where, v.none, err = rules.rows(); err != nil || v.none {
		return v, err
	}
	at := v.per
	if q.Cols, at, err = v.show(d, at, rules); err != nil {
		return nil, err
	}
	for i, e := range d.more {
		if !e.joined {
			continue
		}
		child := &variant{rev: -1, id: -1}
		j := driver.Join{To: e.child.k.Collection, Ord: e.link}
		if j.Where, child.none, err = rules.rows(); err != nil {
			return nil, err
		}
		end := at
		if j.Cols, end, err = child.show(e.child, at, rules); err != nil {
			return nil, err
		}
		v.joined[i] = child
		if !child.none {
			q.Joins, at = append(q.Joins, j), end
		}
	}
	v.stmt, err = db.eng.Prepare(q)
	return v, err
}

// special makes the expressions of a draft, one after the other, what they are where its slots are known.
type special struct {
	asked []asked
	slots []byte // what the slots of those that are left are
	at    int    // the argument at which those of the next begin
	cut   []int  // where they end
}

func (s *special) take() (*expr.Node, error) {
	a, at := s.asked[0], s.at
	part := s.slots[:len(a.slots)]
	s.asked, s.slots, s.at, s.cut = s.asked[1:], s.slots[len(a.slots):], s.cut[0], s.cut[1:]
	if a.node == nil {
		return nil, nil
	}
	return expr.Specialise(a.node, part, at)
}

// rows makes the next expression the condition of the rows that are asked for; none says that it holds of no row.
func (s *special) rows() (where *expr.Node, none bool, err error) {
	where, err = s.take()
	if where != nil && where.Op == expr.OpLit {
		return nil, !where.Val.Bool(), err
	}
	return where, false, err
}

// show selects the fields of a draft's answer, its first output being at, and tells at which the next is.
func (v *variant) show(d *draft, at int, rules *special) (cols []driver.Col, end int, err error) {
	for _, c := range d.cols {
		test := (*expr.Node)(nil)
		if c.rule != nil {
			if test, err = rules.take(); err != nil {
				return nil, 0, err
			}
			if test.Op == expr.OpLit {
				if !test.Val.Bool() {
					continue // never selected for him
				}
				test = nil
			}
		}
		cols = append(cols, driver.Col{Ord: c.field.Ord, If: test})
		o := newOut(c.field, at, -1)
		if test != nil {
			o.test, o.at = at, at+1
			at++
		}
		v.outs = append(v.outs, o)
		at++
	}
	if len(d.cols) == 0 {
		return cols, at, nil
	}
	output := func(ord int) int { // of a field that is needed beside the answer
		for _, o := range v.outs {
			if o.field.Ord == ord && o.test < 0 {
				return o.at
			}
		}
		at++
		cols = append(cols, driver.Col{Ord: ord})
		return at - 1
	}
	v.id = output(spec.OrdID)
	for _, o := range v.outs {
		if o.field.Ord == spec.OrdRev {
			v.rev = o.at
		}
	}
	for _, k := range d.sort {
		v.keys = append(v.keys, output(k.Ord))
	}
	v.joined = make([]*variant, len(d.more))
	for _, e := range d.more {
		link := -1
		if !e.joined {
			link = output(e.link)
		}
		v.links = append(v.links, link)
	}
	return cols, at, nil
}

// columns are the fields of an answer with their rules.
func (d *draft) columns(by *Caller, fields []*spec.Field) {
	for _, f := range fields {
		c := draftCol{field: f}
		if f.Read != nil && !by.Operator {
			c.rule = f.Read.Root
		}
		d.cols = append(d.cols, c)
	}
}

// access joins the read rule of a collection with a filter.
func access(k *kind, by *Caller, filter *expr.Node) *expr.Node {
	switch {
	case by.Operator:
		return filter
	case k.Access.Read == nil:
		return expr.False()
	case filter == nil:
		if r := k.Access.Read.Root; r.Op != expr.OpLit || !r.Val.Bool() {
			return r
		}
		return nil
	}
	return expr.And(k.Access.Read.Root, filter)
}
