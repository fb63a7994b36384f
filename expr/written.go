package expr

import (
	"strconv"
	"strings"
	"time"
)

// Written is a part of the expression, a node of its tree, as somebody would write it in an app file.
// What stands for a value that comes later is a question mark; what was joined to paths (Guard) is
// left out.
func (e *Expr) Written(part *Node) string {
	w := writing{reads: e.Reads, vars: map[int]string{}}
	w.node(part, bindsCond)
	return w.String()
}

// writing is a text that grows, and the names of what is in sight.
type writing struct {
	strings.Builder
	reads []Read
	vars  map[int]string
}

// How tightly operations bind: what binds less than its place asks for is put in parentheses.
const (
	bindsCond = iota
	bindsOr
	bindsAnd
	bindsRelation
	bindsSum
	bindsProduct
	bindsSign
	bindsDot
)

func binds(n *Node) int {
	switch n.Op {
	case OpCond:
		return bindsCond
	case OpOr:
		return bindsOr
	case OpAnd:
		return bindsAnd
	case OpEq, OpNe, OpLt, OpLe, OpGt, OpGe, OpIn:
		return bindsRelation
	case OpAdd, OpSub:
		return bindsSum
	case OpMul, OpDiv, OpMod:
		return bindsProduct
	case OpNot, OpNeg:
		return bindsSign
	case OpLit:
		if n.Val.Kind() == Text || n.Val.IsNull() {
			return bindsDot
		}
		return bindsSign // -5
	}
	return bindsDot
}

func (w *writing) node(n *Node, least int) {
	if binds(n) < least {
		w.WriteByte('(')
		defer w.WriteByte(')')
	}
	switch n.Op {
	case OpLit:
		w.value(n.Val)
	case OpParam:
		w.WriteByte('?')
	case OpNow:
		w.WriteString("now")
	case OpAuth:
		if role, ok := strings.CutPrefix(n.Name, TeamsAs); ok {
			w.WriteString("auth.teamsAs(" + strconv.Quote(role) + ")")
			break
		}
		w.WriteString("auth." + n.Name)
	case OpHas:
		w.WriteString("auth.has(" + strconv.Quote(n.Name) + ")")
	case OpRow:
		w.WriteString(w.row(n.Index))
	case OpField, OpDeref, OpInverse:
		w.member(n)
	case OpExists, OpAll:
		w.quantifier(n)
	case OpSize, OpSlug:
		w.WriteString(n.Op.String())
		w.list("(", n.Args, ")")
	case OpList:
		w.list("[", n.Args, "]")
	case OpNot:
		w.WriteByte('!')
		w.node(n.Args[0], bindsSign)
	case OpNeg:
		w.WriteByte('-')
		w.node(n.Args[0], bindsDot)
	case OpCond:
		w.node(n.Args[0], bindsOr)
		w.WriteString(" ? ")
		w.node(n.Args[1], bindsOr)
		w.WriteString(" : ")
		w.node(n.Args[2], bindsCond)
	case OpStartsWith, OpEndsWith, OpContains:
		w.node(n.Args[0], bindsDot)
		w.WriteString("." + n.Op.String())
		w.list("(", n.Args[1:], ")")
	default:
		for i, a := range n.Args {
			if i > 0 {
				w.WriteString(" " + n.Op.String() + " ")
			}
			w.node(a, binds(n)+min(i, 1))
		}
	}
}

func (w *writing) list(open string, nodes []*Node, end string) {
	w.WriteString(open)
	for i, n := range nodes {
		if i > 0 {
			w.WriteString(", ")
		}
		w.node(n, bindsCond)
	}
	w.WriteString(end)
}

// member is a field, or a step of a path. A hidden column has the name of its field.
func (w *writing) member(n *Node) {
	if from := n.Args[0]; from.Op != OpRow || from.Index != VarRecord {
		w.node(from, bindsDot)
		w.WriteByte('.')
	}
	name, _, _ := strings.Cut(n.Name, "$")
	if n.Op == OpInverse { // it has the name of the reference that it follows back
		for _, r := range w.reads {
			if r.Inverse && r.To == n.Type.Ref && r.Ord == n.Index {
				name = r.Name
			}
		}
	}
	w.WriteString(name)
}

func (w *writing) quantifier(n *Node) {
	w.node(n.Args[0], bindsDot)
	outer, shadows := w.vars[n.Bind]
	if !shadows {
		w.vars[n.Bind] = variable(len(w.vars))
	}
	w.WriteString("." + n.Op.String() + "(" + w.vars[n.Bind] + ", ")
	w.node(n.Args[1], bindsCond)
	w.WriteByte(')')
	if delete(w.vars, n.Bind); shadows {
		w.vars[n.Bind] = outer
	}
}

// variable names the variables of quantifiers inside each other: x, y, z, x3, …
func variable(depth int) string {
	if depth < 3 {
		return string(rune('x' + depth))
	}
	return "x" + strconv.Itoa(depth)
}

func (w *writing) row(index int) string {
	switch name, ok := w.vars[index]; {
	case ok:
		return name
	case index == VarInput:
		return "input"
	default:
		return "id" // the record itself stands for its id
	}
}

func (w *writing) value(v Value) {
	switch v.Kind() {
	case Time:
		w.WriteString(`timestamp("` + time.UnixMilli(v.Int()).UTC().Format("2006-01-02T15:04:05.999Z07:00") + `")`)
	case Duration:
		w.WriteString(`duration("` + (time.Duration(v.Int()) * time.Millisecond).String() + `")`)
	case List:
		w.WriteByte('[')
		for i, item := range v.List() {
			if i > 0 {
				w.WriteString(", ")
			}
			w.value(item)
		}
		w.WriteByte(']')
	default:
		v.print(&w.Builder)
	}
}
