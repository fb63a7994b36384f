package data

import (
	"context"
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
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
	x.Advice = p.advice(&x.Engine)
	return x, nil
}

// advice is what would have the engine do less than it says it does.
func (p *page) advice(x *driver.Explanation) []string {
	if len(x.Scans) == 0 && !x.Sorts {
		return nil
	}
	return advise(p.draft.k, p.v.query)
}

// indexed says whether an index begins with these fields, as one does with each reference.
func (k *kind) indexed(names []string) bool {
	if f, ok := k.Field(names[0]); ok && len(names) == 1 && f.Type == spec.Ref {
		return true
	}
	return slices.ContainsFunc(k.Indexes, func(x *spec.Index) bool {
		if x.Where != nil || len(x.Fields) < len(names) {
			return false
		}
		for i, name := range names {
			if x.Fields[i].Name != name {
				return false
			}
		}
		return true
	})
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
	if k.indexed(names) {
		return nil
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
	if op == Create && rule.Record && id == "" {
		return nil, fault.New(fault.BadRequest, "it depends on the record that would be made: %s", rule.Source)
	}
	return v, db.judge(ctx, by, v, k, rule, id)
}

// WhyCreate judges a rule for a caller on the record that would be made of a body: the create rule, or with a field that for
// writing it. What is wrong with the body besides is an error, as of Create.
func (db *DB) WhyCreate(ctx context.Context, by Caller, collection, field string, body *doc.Node) (*Verdict, error) {
	k, err := db.collection(by, collection)
	if err != nil {
		return nil, err
	}
	what, rule := opWords[Create]+" "+k.Name, k.Access.Create
	if f, ok := k.Field(field); ok {
		what, rule = "write "+k.Name+"."+field, f.Write
	}
	switch {
	case rule != nil && rule.Record:
	case field != "":
		return db.WhyField(ctx, by, collection, field, true, "")
	default:
		return db.Why(ctx, by, Create, collection, "")
	}
	c, err := db.planCreate(&by, k, body, nil, "")
	if err != nil {
		return nil, err
	}
	v := &Verdict{Operation: what, Rule: rule.Source}
	err = db.eng.Read(ctx, func(rd driver.Reader) error {
		fetch := &fetcher{db, ctx, rd}
		if k.walks {
			if err := db.finish(&by, k, c.rec, c.given, db.now(), fetch, &problems{}); err != nil {
				return err
			}
		}
		holds, err := v.judge(rule, rule.Root, db.scope(&by, fetch, c.rec, c.rec), 0)
		v.Holds = holds || by.Operator
		return err
	})
	return v, err
}

// WhyField judges the rule of a field by itself: that for reading it, or for writing it. A field without such a rule is
// allowed; id may be "" where the rule does not look at the record.
func (db *DB) WhyField(ctx context.Context, by Caller, collection, field string, write bool, id string) (*Verdict, error) {
	k, err := db.collection(by, collection)
	if err != nil {
		return nil, err
	}
	f, ok := k.Field(field)
	if !ok || !visible(f, &by) && !(write && writable(f, &by)) {
		return nil, fault.New(fault.NotFound, "%s has no field %s that is shown", k.Name, field)
	}
	v := &Verdict{Operation: "read " + k.Name + "." + field, Holds: true}
	rule := f.Read
	if write {
		v.Operation, rule = "write "+k.Name+"."+field, f.Write
		if !writable(f, &by) {
			return nil, fault.New(fault.Denied, "%s.%s is made by the server", k.Name, field)
		}
	}
	if rule == nil {
		return v, nil
	}
	return v, db.judge(ctx, by, v, k, rule, id)
}

// judge fills in what a rule says about a record.
func (db *DB) judge(ctx context.Context, by Caller, v *Verdict, k *kind, rule *expr.Expr, id string) error {
	v.Rule = rule.Source
	return db.eng.Read(ctx, func(rd driver.Reader) error {
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
		} else if rule.Record {
			return fault.New(fault.BadRequest, "this rule looks at the record: name its id")
		}
		s := db.scope(&by, fetcher{db, ctx, rd}, rec, rec)
		holds, err := v.judge(rule, rule.Root, s, 0)
		v.Holds = holds || by.Operator
		return err
	})
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

// Lines are the verdict as people read it: what was decided, by which rule, and of the parts of the rule those that decided.
func (v *Verdict) Lines() []string {
	answer := "denied"
	if v.Holds {
		answer = "allowed"
	}
	if v.Rule == "" && v.Holds {
		return []string{v.Operation + ": " + answer, "rule   none"}
	}
	if v.Rule == "" {
		return []string{v.Operation + ": " + answer, "rule   none: it is closed to everyone but operators"}
	}
	out := []string{v.Operation + ": " + answer, "rule   " + v.Rule}
	for _, p := range v.Decisive() {
		out = append(out, map[bool]string{true: "true   ", false: "false  "}[p.Holds]+p.Text)
	}
	return out
}

// Decisive are the parts without which the answer would be another: of a conjunction that does not hold those that do not,
// of a disjunction that holds those that do, else all; down to parts that have no parts.
func (v *Verdict) Decisive() []Part {
	if len(v.Parts) == 0 {
		return nil
	}
	out, _ := decisive(v.Parts)
	return out
}

// decisive looks at the first part, with what is below it, and returns what stands behind that.
func decisive(parts []Part) (out, rest []Part) {
	at := parts[0]
	rest = parts[1:]
	var below [][]Part
	var holds []bool
	for len(rest) > 0 && rest[0].Depth > at.Depth {
		child := rest[0].Holds
		var found []Part
		found, rest = decisive(rest)
		below, holds = append(below, found), append(holds, child)
	}
	if len(below) == 0 {
		return []Part{at}, rest
	}
	for i, found := range below {
		if len(below) == 1 || holds[i] == at.Holds { // one part alone is what is negated
			out = append(out, found...)
		}
	}
	return out, rest
}
