package data

import (
	"context"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Explanation says how a list is answered.
type Explanation struct {
	Statement string             // what the engine is asked
	Engine    driver.Explanation // how it answers
	Rule      string             // the read rule, as written; "" for operators
	Nothing   string             // why no row can ever be in the answer; else ""
	Advice    []string           // the index that is missing, in the words of the app file
}

// Explain says how a list would be answered for a caller: the statement, the index that serves it or the
// one that is missing.
func (db *DB) Explain(ctx context.Context, by Caller, q *ListQuery) (*Explanation, error) {
	p, err := db.page(ctx, &by, q)
	if err != nil {
		return nil, err
	}
	x := &Explanation{}
	k := p.draft.k
	if !by.Operator {
		x.Rule = k.Access.Read.Source
	}
	if p.v.none {
		x.Nothing = "the read rule or the filter is false for this caller, whatever the records: the database is not asked"
		return x, nil
	}
	x.Statement = p.v.stmt.Text()
	if x.Engine, err = p.v.stmt.Explain(ctx, p.args); err != nil {
		return nil, err
	}
	if len(x.Engine.Scans) > 0 || x.Engine.Sorts {
		x.Advice = advise(k, p.v.query)
	}
	return x, nil
}

// advise names the index that would serve a query: what is asked for equality first, then the order.
func advise(k *kind, q *driver.Query) []string {
	var names []string
	take := func(ord int) {
		f := k.Fields[ord]
		if f.Of != nil {
			f = f.Of
		}
		if f.Ord == spec.OrdID || f.Type == spec.JSON || f.Type == spec.File || f.Encrypted && !f.Searchable {
			return
		}
		for _, n := range names {
			if n == f.Name {
				return
			}
		}
		names = append(names, f.Name)
	}
	equal, ordered := compared(q.Where)
	for _, ord := range equal {
		take(ord)
	}
	if len(q.Sort) > 0 && q.Sort[0].Ord != spec.OrdID {
		for _, s := range q.Sort {
			take(s.Ord)
		}
	} else if len(ordered) > 0 {
		take(ordered[0])
	}
	if len(names) == 0 {
		if q.Where == nil {
			return nil
		}
		return []string{"no index of " + k.Name + " can find what is asked: one serves ==, in, <, <=, >, >= and startsWith on a field of its own"}
	}
	return []string{"add to " + k.Name + ": indexes: - [" + strings.Join(names, ", ") + "]"}
}

// compared are the own fields that must equal something, and those that must lie in a range, for a row to hold.
func compared(n *expr.Node) (equal, ordered []int) {
	if n == nil {
		return nil, nil
	}
	own := func(a *expr.Node) bool {
		return a.Op == expr.OpField && a.Args[0].Op == expr.OpRow && a.Args[0].Index == expr.VarRecord
	}
	switch n.Op {
	case expr.OpAnd:
		for _, a := range n.Args {
			e, o := compared(a)
			equal, ordered = append(equal, e...), append(ordered, o...)
		}
	case expr.OpEq, expr.OpIn:
		for _, a := range n.Args {
			if own(a) {
				equal = append(equal, a.Index)
			}
		}
	case expr.OpField:
		if own(n) {
			equal = append(equal, n.Index)
		}
	case expr.OpLt, expr.OpLe, expr.OpGt, expr.OpGe, expr.OpStartsWith:
		for _, a := range n.Args {
			if own(a) {
				ordered = append(ordered, a.Index)
			}
		}
	}
	return equal, ordered
}

// Verdict says what a rule answers for a caller and a record, part by part.
type Verdict struct {
	Operation string
	Rule      string // as written; "" where there is none
	Holds     bool
	Parts     []Part
}

// Part is one term of a rule.
type Part struct {
	Text  string
	Holds bool
	Depth int
}

// Why judges an operation on a record (id "" for create, or for what needs only the caller) and says
// which part of the rule decided.
func (db *DB) Why(ctx context.Context, by Caller, op Op, collection, id string) (*Verdict, error) {
	k, err := db.collection(by, collection)
	if err != nil {
		return nil, err
	}
	rule := ruleOf(k.Collection, op)
	v := &Verdict{Operation: opWords[op] + " " + k.Name, Holds: by.Operator}
	if rule == nil {
		return v, nil
	}
	v.Rule = rule.Source
	err = db.eng.Read(ctx, func(rd driver.Reader) error {
		rec := make(Record, len(k.Fields))
		if id != "" {
			found, err := k.record(ctx, rd, k.whole, id)
			if err != nil {
				return err
			}
			if found == nil {
				return noRecord(k)
			}
			rec = found
			if err := db.keys.open(k.Collection, rec); err != nil {
				return err
			}
		} else if rule.Record && op == Create {
			return fault.New(fault.BadRequest, "it depends on the record that would be made: %s", rule.Source)
		} else if rule.Record {
			return fault.New(fault.BadRequest, "this rule looks at the record: name its id")
		}
		s := db.scope(&by, fetcher{db, ctx, rd}, rec, rec)
		holds, err := v.judge(rule, rule.Root, s, 0)
		v.Holds = holds || by.Operator
		return err
	})
	return v, err
}

func (v *Verdict) judge(rule *expr.Expr, n *expr.Node, s *expr.Scope, depth int) (bool, error) {
	holds, err := expr.Holds(n, s)
	if err != nil {
		return false, err
	}
	v.Parts = append(v.Parts, Part{Text: rule.Written(n), Holds: holds, Depth: depth})
	if n.Op == expr.OpAnd || n.Op == expr.OpOr || n.Op == expr.OpNot {
		for _, a := range n.Args {
			if _, err := v.judge(rule, a, s, depth+1); err != nil {
				return false, err
			}
		}
	}
	return holds, nil
}
