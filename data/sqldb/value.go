package sqldb

import (
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// variable is what a row variable of the IR stands for: the rows of a collection under an alias,
// or the items of a list of plain values.
type variable struct {
	alias string
	of    *spec.Collection // nil: items
}

// compiler translates the expressions of one query. The first thing it cannot translate ends up in err.
type compiler struct {
	from    *spec.Collection   // the query's
	tables  []*spec.Collection // of the app
	vars    map[int]variable
	aliases int
	named   map[string]string // tables by alias
	endless bool              // prefixes are not ranges
	err     error
}

func (c *compiler) refuse(what string) {
	if c.err == nil {
		c.err = &fault.Error{Kind: fault.Capability, Op: what, Msg: "this database cannot be asked for " + what}
	}
}

func (c *compiler) alias() string {
	c.aliases++
	return "t" + itoa(c.aliases)
}

// bind makes a variable known while inside runs.
func (c *compiler) bind(index int, v variable, inside func()) {
	if v.of != nil {
		c.named[v.alias] = v.of.Name
	}
	had, was := c.vars[index]
	c.vars[index] = v
	inside()
	if was {
		c.vars[index] = had
	} else {
		delete(c.vars, index)
	}
}

func (c *compiler) table(name string) *spec.Collection {
	if name == c.from.Name {
		return c.from
	}
	for _, t := range c.tables {
		if t.Name == name {
			return t
		}
	}
	c.refuse("the collection " + name)
	return &spec.Collection{Name: name}
}

// collection is what a row node's records belong to.
func (c *compiler) collection(row *expr.Node) *spec.Collection {
	switch row.Op {
	case expr.OpRow:
		if v, ok := c.vars[row.Index]; ok && v.of != nil {
			return v.of
		}
	case expr.OpDeref:
		return c.table(row.Type.Ref)
	}
	c.refuse("this record variable")
	return &spec.Collection{}
}

func (c *compiler) field(of *spec.Collection, ord int) *spec.Field {
	if ord < 0 || ord >= len(of.Fields) {
		c.refuse("an unknown field of " + of.Name)
		return &spec.Field{}
	}
	return of.Fields[ord]
}

// column writes a field of a row: a column of an alias, or of the one record a reference leads to.
func (c *compiler) column(w *SQL, row *expr.Node, ord int) {
	of := c.collection(row)
	name := c.field(of, ord).Name
	if row.Op == expr.OpRow {
		w.Column(c.vars[row.Index].alias, name)
		return
	}
	if row.Op != expr.OpDeref {
		return
	}
	a := c.alias()
	c.named[a] = of.Name
	w.Write("(SELECT ")
	w.Column(a, name)
	w.Write(" FROM ")
	w.Name(of.Name)
	w.Write(" ", a, " WHERE ")
	w.Column(a, "id")
	w.Write(" = ")
	c.column(w, row.Args[0], row.Index)
	c.guard(w, row, a, of)
	w.Write(")")
}

// guard adds the condition under which a record may be reached.
func (c *compiler) guard(w *SQL, n *expr.Node, alias string, of *spec.Collection) {
	if n.Guard == nil {
		return
	}
	c.bind(n.Bind, variable{alias, of}, func() {
		w.Write(" AND ")
		c.cond(w, n.Guard, true)
	})
}

// round says how an argument that is compared with a decimal fits its scale.
type round struct {
	to    bool // a decimal's scale is wanted
	scale uint8
	as    Derive
}

// value writes the value of an expression.
func (c *compiler) value(w *SQL, n *expr.Node, r round) {
	switch n.Op {
	case expr.OpLit:
		if n.Val.IsNull() {
			w.Write("NULL")
			return
		}
		w.Bind(c.argument(Bind{Arg: -1, Val: n.Val, Kind: n.Val.Kind(), Elem: n.Type.Elem}, r))
	case expr.OpParam:
		w.Bind(c.argument(Bind{Arg: n.Index, Kind: n.Type.Kind, Elem: n.Type.Elem}, r))
	case expr.OpRow:
		v, ok := c.vars[n.Index]
		if !ok || v.of != nil {
			c.refuse("a record as a value")
			return
		}
		w.Column(v.alias, "value")
	case expr.OpField:
		c.rescaled(w, n, r, func(w *SQL) { c.column(w, n.Args[0], n.Index) })
	case expr.OpSize:
		c.size(w, n.Args[0])
	case expr.OpCond:
		w.Write("CASE WHEN ")
		c.cond(w, n.Args[0], true)
		w.Write(" THEN ")
		c.value(w, n.Args[1], r)
		w.Write(" ELSE ")
		c.value(w, n.Args[2], r)
		w.Write(" END")
	case expr.OpAnd, expr.OpOr, expr.OpNot, expr.OpEq, expr.OpNe, expr.OpLt, expr.OpLe, expr.OpGt, expr.OpGe,
		expr.OpIn, expr.OpExists, expr.OpAll, expr.OpStartsWith, expr.OpEndsWith, expr.OpContains:
		c.truth(w, n)
	default:
		c.refuse(opNames[n.Op])
	}
}

// truth writes a condition as a value that is never null.
func (c *compiler) truth(w *SQL, n *expr.Node) {
	w.Write("CASE WHEN ")
	c.cond(w, n, true)
	w.Write(" THEN TRUE ELSE FALSE END")
}

func (c *compiler) argument(b Bind, r round) Bind {
	if r.to {
		b.As, b.Scale = r.as, r.scale
		if b.Kind == expr.List {
			b.Elem = expr.Decimal
		} else {
			b.Kind = expr.Decimal
		}
	}
	return b
}

// rescaled writes a number so that it can be compared at a larger scale than its own.
func (c *compiler) rescaled(w *SQL, n *expr.Node, r round, plain Piece) {
	own := scaleOf(n)
	if !r.to || own >= r.scale || n.Type.Kind == expr.Float {
		plain(w)
		return
	}
	w.Write("(", plain, " * 1")
	for range r.scale - own {
		w.Write("0")
	}
	w.Write(")")
}

func scaleOf(n *expr.Node) uint8 {
	if n.Type.Kind == expr.Decimal {
		return n.Type.Scale
	}
	return 0
}

func (c *compiler) size(w *SQL, n *expr.Node) {
	switch {
	case n.Op == expr.OpInverse, n.Op == expr.OpDeref:
		w.Write("(SELECT count(*) FROM ")
		c.each(w, n, n.Bind, nil)
		w.Write(")")
	case n.Type.Kind == expr.List:
		w.Write("COALESCE(")
		w.d.ListLength(w, func(w *SQL) { c.list(w, n) })
		w.Write(", 0)")
	default:
		w.Write("COALESCE(")
		w.d.Length(w, func(w *SQL) { c.value(w, n, round{}) })
		w.Write(", 0)")
	}
}

// list writes a list as one value.
func (c *compiler) list(w *SQL, n *expr.Node) {
	if n.Op != expr.OpList {
		c.value(w, n, round{})
		return
	}
	items := make([]expr.Value, len(n.Args))
	for i, a := range n.Args {
		if a.Op != expr.OpLit {
			c.refuse("a list of computed items")
			return
		}
		items[i] = a.Val
	}
	w.Bind(Bind{Arg: -1, Val: expr.ListOf(items...), Kind: expr.List, Elem: n.Type.Elem})
}

// each writes what follows FROM to go through a range: tables and the conditions that join them.
// inside is written where further conditions go, with the variable bound.
func (c *compiler) each(w *SQL, n *expr.Node, bind int, inside Piece) {
	a := c.alias()
	v := variable{alias: a}
	switch {
	case n.Op == expr.OpInverse:
		v.of = c.table(n.Type.Ref)
		c.inverse(w, n, a, v.of)
	case n.Op == expr.OpDeref:
		v.of = c.table(n.Type.Ref)
		items := c.alias()
		w.d.Items(w, func(w *SQL) { c.column(w, n.Args[0], n.Index) }, expr.Text, items)
		w.Write(" JOIN ")
		w.Name(v.of.Name)
		w.Write(" ", a, " ON ")
		w.Column(a, "id")
		w.Write(" = ")
		w.Column(items, "value")
		w.Write(" WHERE TRUE")
	case n.Type.Kind == expr.List:
		w.d.Items(w, func(w *SQL) { c.list(w, n) }, n.Type.Elem, a)
		w.Write(" WHERE TRUE")
	default:
		c.refuse("a walk through this range")
		return
	}
	if v.of != nil {
		c.named[a] = v.of.Name
		c.guard(w, n, a, v.of)
	}
	if inside != nil {
		c.bind(bind, v, func() {
			w.Write(" AND ")
			inside(w)
		})
	}
}

// inverse writes the tables of the records that refer to a record.
func (c *compiler) inverse(w *SQL, n *expr.Node, a string, of *spec.Collection) {
	f := c.field(of, n.Index)
	if f.Kind() != expr.List {
		w.Name(of.Name)
		w.Write(" ", a, " WHERE ")
		w.Column(a, f.Name)
		w.Write(" = ")
		c.column(w, n.Args[0], spec.OrdID)
		return
	}
	side := c.alias()
	w.Name(sideTable(of.Name, f.Name))
	w.Write(" ", side, " JOIN ")
	w.Name(of.Name)
	w.Write(" ", a, " ON ")
	w.Column(a, "id")
	w.Write(" = ")
	w.Column(side, "id")
	w.Write(" WHERE ")
	w.Column(side, "value")
	w.Write(" = ")
	c.column(w, n.Args[0], spec.OrdID)
}

// nullable says whether an expression may be null. An argument never is: whether it is null is
// part of the query's shape. Fields of the app may be null even where they are required now,
// because a version of the app that did not require them may still be writing.
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

// isArg says that a node is a value that comes with the query.
func isArg(n *expr.Node) bool { return n.Op == expr.OpLit || n.Op == expr.OpParam }

func isNull(n *expr.Node) bool { return n.Op == expr.OpLit && n.Val.IsNull() }

var opNames = map[expr.Op]string{
	expr.OpNow: "an unbound now", expr.OpAuth: "an unbound auth", expr.OpHas: "an unbound auth.has",
	expr.OpDeref: "a record as a value", expr.OpInverse: "records as a value", expr.OpList: "a list of computed items",
	expr.OpAdd: "arithmetic", expr.OpSub: "arithmetic", expr.OpMul: "arithmetic", expr.OpDiv: "arithmetic",
	expr.OpMod: "arithmetic", expr.OpNeg: "arithmetic", expr.OpSlug: "slug()",
}
