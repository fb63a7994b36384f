package expr

// Simplify computes what is known without asking anything: constants, and what follows from
// a literal null or boolean. The tree means the same on every record.
func Simplify(n *Node) *Node { return condition(rewrite(n, simplifyNode)) }

// condition is a tree in the place of a condition, where null is false.
func condition(n *Node) *Node {
	if isLit(n) && n.Val.IsNull() && n.Type.Kind == Bool {
		return truth(false, n.Pos)
	}
	return n
}

// failedName marks a literal that stands for what could not be computed (see Specialise).
const failedName = "failed"

func isLit(n *Node) bool  { return n.Op == OpLit && n.Name != failedName }
func isNil(n *Node) bool  { return isLit(n) && n.Val.IsNull() }
func failed(n *Node) bool { return n.Op == OpLit && n.Name == failedName }

// simplifyNode simplifies one node whose children are simple.
func simplifyNode(n *Node) *Node {
	switch n.Op {
	case OpAnd:
		return simplifyJunction(n, true)
	case OpOr:
		return simplifyJunction(n, false)
	case OpNot:
		switch x := condition(n.Args[0]); {
		case isLit(x):
			return truth(!x.Val.Bool(), n.Pos)
		case x.Op == OpNot:
			return x.Args[0]
		case x.Op == OpEq:
			return opposite(x, OpNe)
		case x.Op == OpNe:
			return opposite(x, OpEq)
		}
		return n
	case OpCond:
		if x := condition(n.Args[0]); isLit(x) {
			if x.Val.Bool() {
				return n.Args[1]
			}
			return n.Args[2]
		}
		return n
	case OpEq, OpNe:
		return simplifyEquality(n)
	case OpLt, OpLe, OpGt, OpGe, OpStartsWith, OpEndsWith, OpContains:
		if isNil(n.Args[0]) || isNil(n.Args[1]) {
			return truth(false, n.Pos)
		}
	case OpIn:
		return simplifyIn(n)
	case OpExists, OpAll:
		r, body := n.Args[0], condition(n.Args[1])
		if isNil(r) || n.Op == OpExists && IsFalse(body) || n.Op == OpAll && IsTrue(body) {
			return truth(n.Op == OpAll, n.Pos)
		}
		if body != n.Args[1] {
			m := *n
			m.Args = []*Node{r, body}
			return &m
		}
		return n
	case OpSize:
		if isNil(n.Args[0]) {
			return &Node{Op: OpLit, Type: n.Type, Val: IntOf(0), Pos: n.Pos}
		}
	case OpDeref, OpInverse:
		if isNil(n.Args[0]) {
			return nothing(n)
		}
		if n.Guard != nil && IsTrue(n.Guard) {
			m := *n
			m.Guard, m.Bind = nil, 0
			return &m
		}
		if n.Guard != nil && IsFalse(n.Guard) {
			return nothing(n)
		}
		return n
	case OpField:
		if isNil(n.Args[0]) {
			return nothing(n)
		}
		return n
	case OpLit, OpParam, OpNow, OpAuth, OpHas, OpRow, OpList:
		return n
	}
	return compute(n)
}

// nothing is null in the place of n.
func nothing(n *Node) *Node {
	t := n.Type
	t.Null = true
	return &Node{Op: OpLit, Type: t, Pos: n.Pos}
}

// compute evaluates what has literals only; what fails is left to fail when it is asked.
func compute(n *Node) *Node {
	for _, a := range n.Args {
		if !isLit(a) {
			return n
		}
	}
	v, err := Eval(n, &Scope{})
	if err != nil {
		return n
	}
	t := n.Type
	t.Null = v.IsNull()
	return &Node{Op: OpLit, Type: t, Val: v, Pos: n.Pos}
}

func opposite(n *Node, op Op) *Node {
	m := *n
	m.Op = op
	return &m
}

func simplifyJunction(n *Node, and bool) *Node {
	same, changed := true, make([]*Node, 0, len(n.Args))
	for _, a := range n.Args {
		a = condition(a)
		switch {
		case isLit(a) && a.Val.Bool() != and:
			return truth(!and, n.Pos)
		case isLit(a):
			same = false
		case a.Op == n.Op:
			same = false
			changed = append(changed, a.Args...)
		default:
			changed = append(changed, a)
		}
	}
	switch {
	case len(changed) == 0:
		return truth(and, n.Pos)
	case len(changed) == 1:
		return changed[0]
	case same:
		return n
	}
	m := *n
	m.Args = changed
	return &m
}

func simplifyEquality(n *Node) *Node {
	a, b := n.Args[0], n.Args[1]
	switch {
	case isLit(a) && isLit(b):
		return compute(n)
	case n.Strict && (isNil(a) || isNil(b)):
		return truth(n.Op == OpNe, n.Pos)
	case isNil(a) && neverNull(b), isNil(b) && neverNull(a):
		return truth(n.Op == OpNe, n.Pos)
	}
	return n
}

// neverNull says whether a value is always there.
func neverNull(n *Node) bool {
	switch n.Op {
	case OpSize, OpNow, OpHas:
		return true
	}
	return isCondition(n)
}

// simplifyIn drops what cannot match; a list of one is ==.
func simplifyIn(n *Node) *Node {
	item, list := n.Args[0], n.Args[1]
	if isNil(item) || isNil(list) {
		return truth(false, n.Pos)
	}
	if isLit(list) {
		if len(list.Val.List()) == 0 {
			return truth(false, n.Pos)
		}
		if isLit(item) {
			return compute(n)
		}
		return n
	}
	if list.Op != OpList {
		return n
	}
	kept := make([]*Node, 0, len(list.Args))
	known := isLit(item)
	for _, a := range list.Args {
		if !isNil(a) {
			kept = append(kept, a)
			known = known && isLit(a)
		}
	}
	switch {
	case len(kept) == 0:
		return truth(false, n.Pos)
	case known:
		return truth(contains(item.Val, kept), n.Pos)
	case len(kept) == 1:
		return &Node{Op: OpEq, Type: n.Type, Args: []*Node{item, kept[0]}, Strict: true, Pos: n.Pos}
	case len(kept) == len(list.Args):
		return n
	}
	l, m := *list, *n
	l.Args = kept
	m.Args = []*Node{item, &l}
	return &m
}

func contains(v Value, items []*Node) bool {
	for _, i := range items {
		if Equal(v, i.Val) {
			return true
		}
	}
	return false
}
