package expr

import "strings"

// Words is a part of the expression, a node of its tree, in words: owner is the caller. What there are no words for
// stands as somebody would write it in an app file, between ` and `, so that words are never nearly right.
func (e *Expr) Words(part *Node) string {
	w := wording{e: e}
	return w.condition(part, false)
}

// wording makes words of conditions. its is the variable of the quantifier that is open, 0 where none is.
type wording struct {
	e   *Expr
	its int
}

// condition words a condition; inner ones that would be read otherwise stand in parentheses.
func (w *wording) condition(n *Node, inner bool) string {
	if n.Op == OpAnd || n.Op == OpOr {
		join := map[Op]string{OpAnd: " and ", OpOr: " or "}[n.Op]
		parts := make([]string, len(n.Args))
		for i, a := range n.Args {
			parts[i] = w.condition(a, true)
			if w.its != 0 && parts[i] == "" {
				return "" // the text of a part alone would not say whose it is
			}
		}
		if s := strings.Join(parts, join); !inner {
			return s
		}
		return "(" + strings.Join(parts, join) + ")"
	}
	s := w.atom(n)
	switch {
	case s == "" && w.its == 0:
		return "`" + w.e.Written(n) + "`"
	case s != "" && inner && (n.Op == OpExists || n.Op == OpAll):
		return "(" + s + ")"
	}
	return s
}

// atom words a condition that is no conjunction and no disjunction; "" where there are no words for it.
func (w *wording) atom(n *Node) string {
	switch n.Op {
	case OpLit:
		if n.Val.Kind() == Bool && n.Name != failedName {
			return map[bool]string{true: "always", false: "never"}[n.Val.Bool()]
		}
	case OpHas:
		return `the caller has the role ` + n.Name + ` or a later one`
	case OpField, OpAuth:
		if n.Name == "signedIn" && n.Op == OpAuth {
			return "the caller is signed in"
		}
		return w.said(n, " is true")
	case OpNot:
		return w.not(n.Args[0])
	case OpEq, OpNe:
		return w.equality(n)
	case OpLt, OpLe, OpGt, OpGe:
		return w.order(n)
	case OpIn:
		return w.member(n, " is among ", " is one of ")
	case OpStartsWith, OpEndsWith, OpContains:
		verb := map[Op]string{OpStartsWith: " starts with ", OpEndsWith: " ends with ", OpContains: " contains "}[n.Op]
		return w.joined(n.Args[0], verb, n.Args[1])
	case OpExists, OpAll:
		return w.quantifier(n)
	}
	return ""
}

func (w *wording) not(n *Node) string {
	switch n.Op {
	case OpField, OpAuth:
		if n.Name == "signedIn" && n.Op == OpAuth {
			return "the caller is not signed in"
		}
		return w.said(n, " is not true")
	case OpIn:
		return w.member(n, " is not among ", " is none of ")
	case OpHas:
		return `the caller has neither the role ` + n.Name + ` nor a later one`
	}
	return ""
}

func (w *wording) equality(n *Node) string {
	a, b := n.Args[0], n.Args[1]
	if a.Op == OpLit || a.Op == OpAuth && b.Op != OpLit {
		a, b = b, a // the record is what is spoken of
	}
	is := " is "
	if n.Op == OpNe {
		is = " is not "
	}
	if !isNil(b) {
		return w.joined(a, is, b)
	}
	set := n.Op == OpNe
	switch {
	case a.Op == OpAuth && a.Name == "id" && set:
		return "the caller is a user"
	case a.Op == OpAuth && a.Name == "id":
		return "the caller is no user"
	case set:
		return w.said(a, " is set")
	}
	return w.said(a, " is not set")
}

func (w *wording) order(n *Node) string {
	var verb string
	switch n.Args[0].Type.Kind {
	case Time, Date:
		verb = map[Op]string{OpLt: " is before ", OpLe: " is at or before ", OpGt: " is after ", OpGe: " is at or after "}[n.Op]
	case Int, Bigint, Float, Decimal:
		verb = map[Op]string{OpLt: " is below ", OpLe: " is at most ", OpGt: " is above ", OpGe: " is at least "}[n.Op]
	default:
		return "" // what the order of texts is takes more than a word
	}
	return w.joined(n.Args[0], verb, n.Args[1])
}

// member words an item in a list: of a field, or of values that are written out.
func (w *wording) member(n *Node, field, written string) string {
	list := n.Args[1]
	if list.Op != OpList && list.Op != OpLit {
		return w.joined(n.Args[0], field, list)
	}
	var items []string
	if list.Op == OpLit {
		for _, v := range list.Val.List() {
			items = append(items, w.e.Written(&Node{Op: OpLit, Val: v}))
		}
	}
	for _, a := range list.Args {
		s := w.operand(a)
		if s == "" {
			return ""
		}
		items = append(items, s)
	}
	return w.said(n.Args[0], written+strings.Join(items, ", "))
}

func (w *wording) quantifier(n *Node) string {
	if w.its != 0 {
		return "" // whose it would be is not clear any more
	}
	over := w.operand(n.Args[0])
	if over == "" {
		return ""
	}
	w.its = n.Bind
	body := w.condition(n.Args[1], true)
	w.its = 0
	switch {
	case body == "":
		return ""
	case n.Op == OpExists:
		return "for one of " + over + ", " + body
	}
	return "for each of " + over + ", " + body
}

// said is what is said of an operand, "" where there are no words for it.
func (w *wording) said(n *Node, what string) string {
	s := w.operand(n)
	if s == "" {
		return ""
	}
	return s + what
}

func (w *wording) joined(a *Node, verb string, b *Node) string {
	s := w.operand(b)
	if s == "" {
		return ""
	}
	return w.said(a, verb+s)
}

// operand words a value.
func (w *wording) operand(n *Node) string {
	switch n.Op {
	case OpLit:
		if n.Name == failedName || n.Val.IsNull() {
			return ""
		}
		return w.e.Written(n)
	case OpNow:
		return "now"
	case OpAuth:
		if n.Name == "id" {
			return "the caller"
		}
		if role, ok := strings.CutPrefix(n.Name, TeamsAs); ok {
			return "the teams in which the caller has the role " + role + " or a later one"
		}
		return "the caller's " + n.Name
	case OpRow:
		if w.its != 0 && n.Index == w.its {
			return "it"
		}
		return ""
	case OpSize:
		switch s := w.operand(n.Args[0]); {
		case s == "":
			return ""
		case n.Args[0].Type.Kind == Text:
			return "the length of " + s
		default:
			return "the number of " + s
		}
	case OpField, OpDeref, OpInverse:
		root := n
		for root.Op == OpField || root.Op == OpDeref || root.Op == OpInverse {
			root = root.Args[0]
		}
		if root.Op != OpRow {
			return ""
		}
		text := w.e.Written(n)
		switch {
		case root.Index == VarRecord:
			return text
		case root.Index == VarInput:
			return "the new " + strings.TrimPrefix(text, "input.")
		case root.Index == w.its && w.its != 0:
			return "its " + strings.TrimPrefix(text, "id.") // a variable that nothing has named is written so
		}
	}
	return ""
}
