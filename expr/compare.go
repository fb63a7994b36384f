package expr

import (
	"cel.dev/cel-go/common/ast"
)

// comparison is l op r.
func (c *compiler) comparison(op Op, pos int, l, r ast.Expr) (*Node, error) {
	if isNull(l) || isNull(r) {
		return c.withNull(op, pos, l, r)
	}
	x, y, err := c.pair(l, r, nil, c.beside)
	if err != nil {
		return nil, err
	}
	equality := op == OpEq || op == OpNe
	if opaque(x.Type) || opaque(y.Type) {
		if !equality {
			return nil, c.refuseOpaque(x, y)
		}
		if x, y, err = c.keyed(x, y); err != nil {
			return nil, err
		}
	}
	if x, y, err = c.alike(op, pos, x, y); err != nil {
		return nil, err
	}
	if equality && x.Type.Kind == Bool && (isCondition(x) || isCondition(y)) {
		return c.sameTruth(op, pos, x, y)
	}
	strict := equality && (fromAuth(x) || fromAuth(y))
	return c.make(Node{Op: op, Type: Type{Kind: Bool}, Args: []*Node{x, y}, Strict: strict, Pos: pos})
}

// beside is what a literal compared with something of type t is read as. What is asked of an
// encrypted or json field is a text, until it is refused.
func (c *compiler) beside(t Type) Type {
	if opaque(t) {
		return Type{Kind: Text}
	}
	return partner(t)
}

// withNull compares with the literal null, which may be done with anything that a record has.
func (c *compiler) withNull(op Op, pos int, l, r ast.Expr) (*Node, error) {
	side := l
	if isNull(l) {
		side = r
	}
	null, err := c.make(Node{Op: OpLit, Type: Type{Null: true}, Pos: pos})
	if err != nil {
		return nil, err
	}
	x := null
	if !isNull(side) {
		if x, err = c.operand(side, nil); err != nil {
			return nil, err
		}
		x = c.plain(x)
		null.Type = x.Type
		null.Type.Null = true
	}
	if isCondition(x) { // is never null
		return c.make(Node{Op: OpLit, Type: Type{Kind: Bool}, Val: BoolOf(op == OpNe), Pos: pos})
	}
	if op != OpEq && op != OpNe {
		return c.make(Node{Op: OpLit, Type: Type{Kind: Bool}, Val: BoolOf(false), Pos: pos})
	}
	return c.make(Node{Op: op, Type: Type{Kind: Bool}, Args: []*Node{x, null}, Pos: pos})
}

// refuseOpaque says why an encrypted or json field cannot be used.
func (c *compiler) refuseOpaque(nodes ...*Node) error {
	for _, n := range nodes {
		if n.Type.Kind == Bytes {
			return c.mistyped(n.Pos, "%s is encrypted: only == null may be asked of it, or == with searchable: true", n.Name)
		}
		if n.Type.Kind == JSON {
			return c.mistyped(n.Pos, "%s is json: only == null may be asked of it", n.Name)
		}
	}
	return nil
}

// keyed makes a comparison of a searchable encrypted field one of its keyed hash: with a
// literal or parameter of a filter, which is hashed when it is bound, or with itself in
// another version of the record.
func (c *compiler) keyed(x, y *Node) (*Node, *Node, error) {
	mx, xOK := c.members[x]
	my, yOK := c.members[y]
	switch {
	case xOK && yOK && x.Type.Kind == Bytes && y.Type.Kind == Bytes && mx.Key >= 0 && my.Key >= 0:
		kx, ky := c.keyField(x, mx), c.keyField(y, my)
		if kx.Type.Keyed == ky.Type.Keyed {
			return kx, ky, nil
		}
		return nil, nil, c.mistyped(y.Pos, "two encrypted fields cannot be compared")
	case xOK && x.Type.Kind == Bytes && mx.Key >= 0 && y.Op == OpParam:
		k := c.keyField(x, mx)
		return k, c.keyParam(y, k.Type), nil
	case yOK && y.Type.Kind == Bytes && my.Key >= 0 && x.Op == OpParam:
		k := c.keyField(y, my)
		return c.keyParam(x, k.Type), k, nil
	case xOK && mx.Key >= 0 || yOK && my.Key >= 0:
		if x.Op == OpLit || y.Op == OpLit {
			return nil, nil, c.mistyped(x.Pos, "an encrypted field can be compared with a text in filters only")
		}
	}
	return nil, nil, c.refuseOpaque(x, y)
}

// keyField reads the keyed hash of an encrypted field.
func (c *compiler) keyField(n *Node, m Member) *Node {
	k := *n
	k.Index = m.Key
	k.Type = Type{Kind: Text, Keyed: n.Args[0].Type.Ref + "." + m.Name}
	return &k
}

func (c *compiler) keyParam(n *Node, t Type) *Node {
	k := *n
	k.Type = t
	c.params[n.Index].Type = t
	return &k
}

// alike checks that two sides can be compared, and folds both or neither.
func (c *compiler) alike(op Op, pos int, x, y *Node) (*Node, *Node, error) {
	a, b := x.Type, y.Type
	if err := c.refuseOpaque(x, y); err != nil {
		return nil, nil, err
	}
	if a.Null || b.Null {
		return c.plain(x), c.plain(y), nil
	}
	differ := c.mistyped(pos, "%s and %s cannot be compared", describe(a), describe(b))
	switch {
	case a.Kind == List && b.Kind == List:
		if op != OpEq && op != OpNe || a.Elem != b.Elem || a.Elem == Row {
			return nil, nil, differ
		}
		if !c.inGo() {
			return nil, nil, c.mistyped(pos, "lists cannot be compared here: use in, size, exists or all")
		}
		return x, y, nil
	case a.Kind == Bool && b.Kind == Bool:
		if op != OpEq && op != OpNe {
			return nil, nil, c.mistyped(pos, "booleans have no order")
		}
		return x, y, nil
	case isNumber(a.Kind) && isNumber(b.Kind):
		if a.Kind == b.Kind && a.Scale == b.Scale || integer(a.Kind) && integer(b.Kind) || c.inGo() {
			return x, y, nil
		}
		if a.Kind == Decimal && b.Kind == Decimal {
			return nil, nil, c.mistyped(pos, "decimals of %d and %d places cannot be compared here", a.Scale, b.Scale)
		}
		return nil, nil, differ
	case a.Kind != b.Kind:
		return nil, nil, differ
	case a.Kind != Text:
		return x, y, nil
	case a.CI != b.CI:
		return nil, nil, c.mistyped(pos, "a ci text cannot be compared with one that is not")
	case a.Ref != "" && b.Ref != "" && a.Ref != b.Ref:
		return nil, nil, differ
	case a.CI:
		return c.fold(x), c.fold(y), nil
	}
	return x, y, nil
}

func integer(k Kind) bool { return k == Int || k == Bigint }

// isCondition says whether a boolean is computed, and so never null.
func isCondition(n *Node) bool {
	if n.Type.Kind != Bool {
		return false
	}
	switch n.Op {
	case OpLit, OpParam, OpAuth, OpField, OpRow, OpCond:
		return false
	}
	return true
}

// fromAuth says whether a value, and so its null, comes from the caller.
func fromAuth(n *Node) bool {
	switch {
	case n.Op == OpAuth:
		return true
	case n.Op == OpCond:
		return fromAuth(n.Args[1]) || fromAuth(n.Args[2])
	case n.Op.arithmetic():
		for _, a := range n.Args {
			if fromAuth(a) {
				return true
			}
		}
	}
	return false
}

// sameTruth is == between booleans of which one is a condition, written out with && and ||.
func (c *compiler) sameTruth(op Op, pos int, x, y *Node) (*Node, error) {
	if !isCondition(x) {
		x, y = y, x
	}
	var err error
	join := func(o Op, args ...*Node) *Node {
		n, e := c.make(Node{Op: o, Type: Type{Kind: Bool}, Args: args, Pos: pos})
		if e != nil {
			err = e
		}
		c.made += count(args) // what is written twice counts twice
		return n
	}
	isFalse := func() *Node {
		if isCondition(y) {
			return join(OpNot, y)
		}
		return join(OpEq, y, &Node{Op: OpLit, Type: Type{Kind: Bool}, Val: BoolOf(false), Pos: pos})
	}
	var same *Node
	switch {
	case y.Op == OpLit && y.Val.Bool():
		same = x
	case y.Op == OpLit:
		same = join(OpNot, x)
	default:
		same = join(OpOr, join(OpAnd, x, y), join(OpAnd, join(OpNot, x), isFalse()))
	}
	if op == OpNe {
		same = join(OpNot, same)
	}
	return same, err
}

// count is the number of nodes of some trees, as far as it matters.
func count(nodes []*Node) int {
	n := 0
	for _, m := range nodes {
		Walk(m, func(*Node) bool { n++; return n <= maxNodes })
	}
	return n
}

// membership is item in list.
func (c *compiler) membership(pos int, item, list ast.Expr) (*Node, error) {
	if list.Kind() == ast.ListKind {
		return c.inLiteral(pos, item, list.AsList().Elements())
	}
	if _, ok := c.param(list); ok {
		x, err := c.operand(item, nil)
		if err != nil {
			return nil, err
		}
		if err := c.refuseOpaque(x); err != nil {
			return nil, err
		}
		t := x.Type
		t.Elem, t.Kind = t.Kind, List
		l, err := c.node(list, &t)
		if err != nil {
			return nil, err
		}
		if t.CI {
			x = c.fold(x)
			c.params[l.Index].Type.CI = true
		}
		return c.make(Node{Op: OpIn, Type: Type{Kind: Bool}, Args: []*Node{x, l}, Pos: pos})
	}
	if list.Kind() == ast.IdentKind || list.Kind() == ast.SelectKind {
		p, err := c.place(list)
		if err != nil {
			return nil, err
		}
		if p.member != nil && p.member.Inverse {
			return c.inRecords(pos, item, p)
		}
		l, err := c.placeValue(p)
		if err != nil {
			return nil, err
		}
		return c.inList(pos, item, l)
	}
	l, err := c.node(list, nil)
	if err != nil {
		return nil, err
	}
	return c.inList(pos, item, l)
}

// inList is item in a list that has a type.
func (c *compiler) inList(pos int, item ast.Expr, l *Node) (*Node, error) {
	if err := c.refuseOpaque(l); err != nil {
		return nil, err
	}
	if l.Type.Kind != List || l.Type.Elem == Row {
		return nil, c.mistyped(pos, "in needs a list, not %s", describe(l.Type))
	}
	t := l.Type.Item()
	x, err := c.node(item, &t)
	if err != nil {
		return nil, err
	}
	if _, _, err := c.alike(OpEq, pos, x, &Node{Op: OpRow, Type: t}); err != nil {
		return nil, err
	}
	return c.make(Node{Op: OpIn, Type: Type{Kind: Bool}, Args: []*Node{c.plain(x), l}, Pos: pos})
}

// inRecords is item in an inverse: one of the records has that id.
func (c *compiler) inRecords(pos int, item ast.Expr, p place) (*Node, error) {
	r, err := c.rangeOf(p)
	if err != nil {
		return nil, err
	}
	b := c.bindRows(r)
	id, err := c.placeValue(place{row: b.node, collection: b.collection, pos: pos})
	if err != nil {
		return nil, err
	}
	x, err := c.node(item, &id.Type)
	if err != nil {
		return nil, err
	}
	if _, _, err := c.alike(OpEq, pos, x, id); err != nil {
		return nil, err
	}
	body, err := c.make(Node{Op: OpEq, Type: Type{Kind: Bool}, Args: []*Node{id, x}, Strict: true, Pos: pos})
	if err != nil {
		return nil, err
	}
	return c.make(Node{Op: OpExists, Type: Type{Kind: Bool}, Args: []*Node{r, body}, Bind: b.node.Index, Pos: pos})
}

// inLiteral is item in [a, b, c]. Items that are known before any record is seen stay a list;
// with others among them it is written out with ==.
func (c *compiler) inLiteral(pos int, item ast.Expr, elements []ast.Expr) (*Node, error) {
	if len(elements) > MaxItems {
		return nil, c.mistyped(pos, "a list has at most %d items", MaxItems)
	}
	var x *Node
	var err error
	if !c.soft(item) {
		if x, err = c.node(item, nil); err != nil {
			return nil, err
		}
	}
	items, err := c.items(elements, x, item)
	if err != nil {
		return nil, err
	}
	if x == nil {
		t := Type{Kind: Text}
		if nat, ok := c.natural(item); ok {
			t = nat
		}
		if len(items) > 0 {
			t = c.beside(items[0].Type)
		}
		if x, err = c.node(item, &t); err != nil {
			return nil, err
		}
	}
	if err := c.refuseOpaque(x); err != nil && (len(items) == 0 || c.members[x].Key < 0) {
		return nil, err
	}
	wide := false
	left := x
	for i, y := range items {
		if y.Type.Null {
			continue
		}
		a, b := x, y
		if opaque(x.Type) || opaque(y.Type) {
			if a, b, err = c.keyed(x, y); err != nil {
				return nil, err
			}
		}
		if left, items[i], err = c.alike(OpEq, y.Pos, a, b); err != nil {
			return nil, err
		}
		if left.Type.Kind == List || isCondition(left) || isCondition(items[i]) {
			return nil, c.mistyped(y.Pos, "a list or condition cannot be an item")
		}
		wide = wide || looksAtRows(y)
	}
	if !wide {
		t := Type{Kind: List, Elem: left.Type.Kind, Scale: left.Type.Scale, CI: left.Type.CI, Ref: left.Type.Ref, Keyed: left.Type.Keyed}
		list, err := c.make(Node{Op: OpList, Type: t, Args: items, Pos: pos})
		if err != nil {
			return nil, err
		}
		return c.make(Node{Op: OpIn, Type: Type{Kind: Bool}, Args: []*Node{left, list}, Pos: pos})
	}
	var terms []*Node
	for _, y := range items {
		c.made += count([]*Node{left})
		eq, err := c.make(Node{Op: OpEq, Type: Type{Kind: Bool}, Args: []*Node{left, y}, Strict: true, Pos: y.Pos})
		if err != nil {
			return nil, err
		}
		terms = append(terms, eq)
	}
	return c.make(Node{Op: OpOr, Type: Type{Kind: Bool}, Args: terms, Pos: pos})
}

// items checks the items of a list literal; what one of them, or the item x that is looked
// for, is gives the others their type.
func (c *compiler) items(elements []ast.Expr, x *Node, item ast.Expr) ([]*Node, error) {
	items := make([]*Node, len(elements))
	var t Type
	known := x != nil
	if known {
		t = c.beside(x.Type)
	}
	for i, e := range elements {
		if c.soft(e) {
			continue
		}
		n, err := c.node(e, nil)
		if err != nil {
			return nil, err
		}
		if items[i] = n; !known {
			t, known = c.beside(n.Type), true
		}
	}
	if !known && item != nil {
		t, known = c.natural(item)
	}
	for i := 0; i < len(elements) && (!known || t.Kind == Int && x == nil); i++ {
		if u, ok := c.natural(elements[i]); ok && items[i] == nil {
			if t, known = u, true; u.Kind != Int {
				break
			}
		}
	}
	for i, e := range elements {
		if items[i] != nil {
			continue
		}
		if !known && !isNull(e) {
			return nil, c.ambiguous(e)
		}
		n, err := c.node(e, &t)
		if err != nil {
			return nil, err
		}
		items[i] = n
	}
	return items, nil
}
