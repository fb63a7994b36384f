package expr

import (
	"strconv"
	"strings"
)

var opNames = [...]string{
	"lit", "param", "now", "auth", "has", "row", "field", "deref", "inverse", "exists", "all", "size", "list",
	"==", "!=", "<", "<=", ">", ">=", "in", "&&", "||", "!", "?:", "startsWith", "endsWith", "contains",
	"+", "-", "*", "/", "%", "neg", "slug",
}

func (op Op) String() string { return opNames[op] }

// arithmetic says whether an operation is evaluated in Go only.
func (op Op) arithmetic() bool { return op >= OpAdd && op <= OpSlug }

// Walk visits a tree, guards included, parents before children; visit says whether to go on
// below a node.
func Walk(n *Node, visit func(*Node) bool) {
	if n == nil || !visit(n) {
		return
	}
	for _, a := range n.Args {
		Walk(a, visit)
	}
	Walk(n.Guard, visit)
}

// rewrite makes a tree of what f makes of each node, whose children are rewritten already.
// What does not change is shared.
func rewrite(n *Node, f func(*Node) *Node) *Node {
	if n == nil {
		return nil
	}
	return f(withParts(n, func(m *Node) *Node { return rewrite(m, f) }))
}

// withParts is n with its children and guard replaced by what f makes of them.
func withParts(n *Node, f func(*Node) *Node) *Node {
	var args []*Node
	for i, a := range n.Args {
		b := f(a)
		if b != a && args == nil {
			args = append(make([]*Node, 0, len(n.Args)), n.Args[:i]...)
		}
		if args != nil {
			args = append(args, b)
		}
	}
	guard := n.Guard
	if guard != nil {
		guard = f(guard)
	}
	if args == nil && guard == n.Guard {
		return n
	}
	m := *n
	m.Guard = guard
	if args != nil {
		m.Args = args
	}
	return &m
}

// True and False are the conditions that always and never hold.
func True() *Node  { return truth(true, 0) }
func False() *Node { return truth(false, 0) }

func truth(b bool, pos int) *Node {
	return &Node{Op: OpLit, Type: Type{Kind: Bool}, Val: BoolOf(b), Pos: pos}
}

// IsTrue says whether a condition is known to hold always.
func IsTrue(n *Node) bool { return isLit(n) && n.Val.Bool() }

// IsFalse says whether a condition is known to hold never.
func IsFalse(n *Node) bool {
	return isLit(n) && (n.Type.Kind == Bool || n.Val.IsNull()) && !n.Val.Bool()
}

// And holds where all of its conditions do; nil conditions are left out.
func And(nodes ...*Node) *Node {
	n := &Node{Op: OpAnd, Type: Type{Kind: Bool}, Args: make([]*Node, 0, len(nodes))}
	for _, m := range nodes {
		if m != nil {
			n.Args = append(n.Args, m)
		}
	}
	return simplifyNode(n)
}

// MaxVar is the highest row variable of a tree; what is numbered above it is free.
func MaxVar(n *Node) int {
	most := VarInput
	Walk(n, func(n *Node) bool {
		if n.Op == OpRow {
			most = max(most, n.Index)
		}
		most = max(most, n.Bind)
		return true
	})
	return most
}

// rebase makes a tree about some row variables (the keys of vars) to the same about others, and gives
// every variable that it binds a number of its own from fresh on, so that trees can be joined.
func rebase(n *Node, vars map[int]int, fresh *int) *Node {
	if n == nil {
		return nil
	}
	if n.Op == OpRow {
		to, ok := vars[n.Index]
		if !ok || to == n.Index {
			return n
		}
		m := *n
		m.Index = to
		return &m
	}
	if n.Bind == 0 {
		return withParts(n, func(a *Node) *Node { return rebase(a, vars, fresh) })
	}
	outer, shadowed := vars[n.Bind]
	bound := *fresh
	*fresh++
	m := *n
	m.Bind = bound
	m.Args = make([]*Node, len(n.Args))
	inner := func(a *Node) *Node {
		vars[n.Bind] = bound
		b := rebase(a, vars, fresh)
		if delete(vars, n.Bind); shadowed {
			vars[n.Bind] = outer
		}
		return b
	}
	for i, a := range n.Args {
		if n.Guard == nil && i == 1 { // the body of exists and all; a guard's variable is the guard's alone
			m.Args[i] = inner(a)
		} else {
			m.Args[i] = rebase(a, vars, fresh)
		}
	}
	if n.Guard != nil {
		m.Guard = inner(n.Guard)
	}
	return &m
}

// Guard lets a tree's paths go only where rule allows: on every step to another record it puts
// what rule says of that collection, a condition about VarRecord (nil: nothing of it may be
// seen). fresh is the next free row variable. Steps within the rules themselves, and
// steps that have a guard, are left as they are.
func Guard(n *Node, fresh *int, rule func(collection string) *Node) *Node {
	if n == nil {
		return nil
	}
	args := withParts(n, func(a *Node) *Node {
		if a == n.Guard {
			return a
		}
		return Guard(a, fresh, rule)
	})
	if n.Op != OpDeref && n.Op != OpInverse || n.Guard != nil {
		return args
	}
	m := *args
	g := rule(n.Type.Ref)
	if g == nil {
		g = False()
	}
	m.Bind = *fresh
	*fresh++
	m.Guard = rebase(g, map[int]int{VarRecord: m.Bind}, fresh)
	return simplifyNode(&m)
}

// looksAtRows says whether a tree depends on a record, or an item of one.
func looksAtRows(n *Node) bool { return freeRows(n) != 0 }

// freeRows is the set of row variables that a tree depends on and does not bind itself. The
// last bit stands for all variables that have none of their own.
func freeRows(n *Node) uint64 {
	if n == nil {
		return 0
	}
	if n.Op == OpRow {
		return rowBit(n.Index)
	}
	var free uint64
	for i, a := range n.Args {
		f := freeRows(a)
		if i == 1 && (n.Op == OpExists || n.Op == OpAll) {
			f &^= rowBit(n.Bind) &^ lastRow
		}
		free |= f
	}
	if n.Op == OpInverse || n.Op == OpDeref {
		free |= freeRows(n.Guard) &^ (rowBit(n.Bind) &^ lastRow)
	}
	return free
}

const lastRow = 1 << 63

func rowBit(v int) uint64 { return 1 << min(uint(v), 63) }

// constant says whether a tree depends on nothing at all.
func constant(n *Node) bool {
	is := true
	Walk(n, func(n *Node) bool {
		switch n.Op {
		case OpParam, OpNow, OpAuth, OpHas, OpRow, OpInverse, OpDeref:
			is = false
		}
		return is
	})
	return is
}

// String prints a tree. Trees that print alike mean the same: it serves as a cache key.
func (n *Node) String() string {
	var b strings.Builder
	n.print(&b)
	return b.String()
}

func (n *Node) print(b *strings.Builder) {
	if n == nil {
		b.WriteString("nil")
		return
	}
	if n.Op == OpLit {
		n.Val.print(b)
		printType(b, n.Type)
		return
	}
	b.WriteByte('(')
	b.WriteString(n.Op.String())
	if n.Strict {
		b.WriteString("'")
	}
	switch n.Op {
	case OpParam, OpRow:
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(n.Index))
	case OpField, OpDeref, OpInverse:
		b.WriteByte(' ')
		b.WriteString(n.Name)
		b.WriteByte('#')
		b.WriteString(strconv.Itoa(n.Index))
	case OpAuth, OpHas:
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(n.Name))
	}
	if n.Op == OpExists || n.Op == OpAll || n.Guard != nil {
		b.WriteString(" $")
		b.WriteString(strconv.Itoa(n.Bind))
	}
	for _, a := range n.Args {
		b.WriteByte(' ')
		a.print(b)
	}
	if n.Guard != nil {
		b.WriteString(" where ")
		n.Guard.print(b)
	}
	b.WriteByte(')')
	switch n.Op {
	case OpParam, OpField, OpAuth, OpDeref, OpInverse, OpRow, OpList, OpAdd, OpSub, OpMul, OpDiv, OpMod, OpNeg, OpCond:
		printType(b, n.Type)
	}
}

func printType(b *strings.Builder, t Type) {
	b.WriteByte(':')
	b.WriteString(t.Kind.String())
	if t.Kind == List {
		b.WriteByte('/')
		b.WriteString(t.Elem.String())
	}
	if t.Scale > 0 {
		b.WriteByte('.')
		b.WriteString(strconv.Itoa(int(t.Scale)))
	}
	if t.CI {
		b.WriteString("/ci")
	}
	if t.Ref != "" {
		b.WriteByte('@')
		b.WriteString(t.Ref)
	}
	if t.Keyed != "" {
		b.WriteString("/key ")
		b.WriteString(t.Keyed)
	}
}

// String prints a value for tests and messages; it is not its JSON.
func (v Value) String() string {
	var b strings.Builder
	v.print(&b)
	return b.String()
}

func (v Value) print(b *strings.Builder) {
	switch v.kind {
	case Null:
		b.WriteString("null")
	case Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case Float:
		b.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	case Decimal:
		b.WriteString(formatDecimal(v.n, v.scale))
	case List:
		b.WriteByte('[')
		for i, item := range v.List() {
			if i > 0 {
				b.WriteByte(' ')
			}
			item.print(b)
		}
		b.WriteByte(']')
	case Int, Bigint, Time, Duration:
		b.WriteString(strconv.FormatInt(v.n, 10))
	default:
		b.WriteString(strconv.Quote(v.s))
	}
}

// formatDecimal prints unscaled × 10^−scale at its full scale.
func formatDecimal(unscaled int64, scale uint8) string {
	if scale == 0 {
		return strconv.FormatInt(unscaled, 10)
	}
	var buf [24]byte
	out := buf[:0]
	if unscaled < 0 {
		out = append(out, '-')
	}
	digits := strconv.FormatUint(magnitude(unscaled), 10)
	for n := len(digits); n <= int(scale); n++ {
		out = append(out, '0')
	}
	out = append(out, digits...)
	point := len(out) - int(scale)
	out = append(out, 0)
	copy(out[point+1:], out[point:])
	out[point] = '.'
	return string(out)
}
