package expr

import (
	"slices"
	"sort"

	"cel.dev/cel-go/common/ast"
)

// place is what a name or path stands for, before it is known how it is used.
type place struct {
	node       *Node  // a value of its own: now, auth.x, an item of a list
	row        *Node  // the record whose member it is, or the record itself
	collection string // of row
	member     *Member
	pos        int // of its name
}

// param says whether an expression is param.NAME.
func (c *compiler) param(e ast.Expr) (string, bool) {
	if e.Kind() != ast.SelectKind || c.use != InFilter {
		return "", false
	}
	op := e.AsSelect().Operand()
	return e.AsSelect().FieldName(), op.Kind() == ast.IdentKind && op.AsIdent() == "param"
}

func (c *compiler) paramNode(name string, pos int, want *Type) (*Node, error) {
	if want == nil {
		return nil, c.mistyped(pos, "nothing says what type param.%s has: compare it with a field", name)
	}
	c.params = append(c.params, Param{Name: name, Type: typed(*want), Pos: pos})
	return c.make(Node{Op: OpParam, Type: *want, Index: len(c.params) - 1, Pos: pos})
}

// typed is the type a parameter is read as: its fold is asked for when it is known to be compared.
func typed(t Type) Type {
	t.CI, t.Null = false, false
	return t
}

// literal checks a string, a number, true, false or null.
func (c *compiler) literal(e ast.Expr, want *Type) (*Node, error) {
	pos := c.source.at(e)
	switch v := e.AsLiteral().Value().(type) {
	case bool:
		return c.make(Node{Op: OpLit, Type: Type{Kind: Bool}, Val: BoolOf(v), Pos: pos})
	case string, int64, float64:
		t := Type{}
		if want != nil {
			t = *want
		} else {
			t, _ = c.natural(e)
		}
		t.Null = false
		return c.lifted(pos, t)
	case uint64, []byte:
		return nil, syntax(pos, "this kind of literal is not part of the language")
	}
	t := Type{Null: true}
	if want != nil {
		t = *want
		t.Null = true
	}
	return c.make(Node{Op: OpLit, Type: t, Pos: pos})
}

// lifted is the literal that begins at pos, or behind the minus at pos, read as t.
func (c *compiler) lifted(pos int, t Type) (*Node, error) {
	i := sort.Search(len(c.lits), func(i int) bool { return c.lits[i].Pos >= pos })
	if i == len(c.lits) {
		return nil, syntax(pos, "this literal is not part of the language")
	}
	l := c.lits[i]
	neg := l.Pos != pos
	if !literalFits(l.Kind, t) {
		return nil, c.mistyped(pos, "%s is needed here, not %s", describe(t), [...]string{"a string", "a whole number", "a number with a fraction"}[l.Kind])
	}
	if c.use == InFilter {
		c.params = append(c.params, Param{Literal: i, Neg: neg, Type: typed(t), Pos: pos})
		return c.make(Node{Op: OpParam, Type: t, Index: len(c.params) - 1, Pos: pos})
	}
	v, err := readLiteral(l, neg, typed(t))
	if err != nil {
		return nil, at(err, pos)
	}
	return c.make(Node{Op: OpLit, Type: t, Val: v, Pos: pos})
}

// place finds what a name or path stands for.
func (c *compiler) place(e ast.Expr) (place, error) {
	pos := c.source.nameAt(e)
	if e.Kind() == ast.IdentKind {
		return c.name(e.AsIdent(), pos)
	}
	if e.Kind() != ast.SelectKind {
		return place{}, c.mistyped(pos, "a path starts at a name")
	}
	name, operand := e.AsSelect().FieldName(), e.AsSelect().Operand()
	if operand.Kind() == ast.IdentKind {
		switch operand.AsIdent() {
		case "auth":
			return c.auth(name, pos)
		case "param":
			return place{}, c.unknown(c.source.at(operand), "the name", "param", nil)
		}
	}
	from, err := c.place(operand)
	if err != nil {
		return place{}, err
	}
	if name == "id" && c.use != InFilter && from.member != nil && isRef(from.member) {
		return from, nil // the reference itself: nothing need be looked up
	}
	row, collection, err := c.enter(from)
	if err != nil {
		return place{}, err
	}
	return c.memberOf(row, collection, name, pos)
}

func isRef(m *Member) bool {
	return !m.Inverse && m.Type.Kind == Text && m.Type.Ref != "" && !m.Encrypted
}

// enter is the record behind a place, whose members can be asked for.
func (c *compiler) enter(p place) (*Node, string, error) {
	switch {
	case p.node != nil:
		return nil, "", c.mistyped(p.pos, "%s has no fields", describe(p.node.Type))
	case p.member == nil:
		return p.row, p.collection, nil
	case isRef(p.member):
		to := p.member.Type.Ref
		c.walked(p, to)
		row, err := c.make(Node{Op: OpDeref, Type: Type{Kind: Row, Ref: to}, Args: []*Node{p.row}, Index: p.member.Ord, Name: p.member.Name, Pos: p.pos})
		return row, to, err
	case p.member.Inverse || p.member.Type.Kind == List && p.member.Type.Ref != "":
		return nil, "", c.mistyped(p.pos, "%s is a list: use %s.exists(x, …) or %s.all(x, …)", p.member.Name, p.member.Name, p.member.Name)
	}
	return nil, "", c.mistyped(p.pos, "%s is %s and has no fields", p.member.Name, describe(p.member.Type))
}

// walked notes that the records behind a place's member are looked at.
func (c *compiler) walked(p place, to string) {
	for i := len(c.reads) - 1; i >= 0; i-- {
		if c.reads[i].Pos == p.pos && c.reads[i].Collection == p.collection {
			c.reads[i].To = to
			return
		}
	}
}

// name finds what a bare name stands for.
func (c *compiler) name(name string, pos int) (place, error) {
	for _, b := range slices.Backward(c.names) {
		if b.name != name {
			continue
		}
		n, err := c.make(*b.node)
		if err != nil {
			return place{}, err
		}
		if b.collection != "" {
			return place{row: n, collection: b.collection, pos: pos}, nil
		}
		if m, ok := c.members[b.node]; ok {
			c.members[n] = m
		}
		n.Pos = pos
		return place{node: n, pos: pos}, nil
	}
	switch name {
	case "now":
		if c.use == InWhere {
			return place{}, c.mistyped(pos, "a unique index's condition may look at the record only")
		}
		n, err := c.make(Node{Op: OpNow, Type: Type{Kind: Time}, Pos: pos})
		return place{node: n, pos: pos}, err
	case "auth":
		return place{}, c.mistyped(pos, "auth is not a value: name one of its fields, as in auth.id")
	case "input":
		if c.use != InUpdate {
			return place{}, c.mistyped(pos, "input is known in update rules only")
		}
		c.input, c.record = true, true
		n, err := c.make(Node{Op: OpRow, Type: Type{Kind: Row, Ref: c.collection}, Index: VarInput, Pos: pos})
		return place{row: n, collection: c.collection, pos: pos}, err
	}
	row, err := c.make(Node{Op: OpRow, Type: Type{Kind: Row, Ref: c.collection}, Index: VarRecord, Pos: pos})
	if err != nil {
		return place{}, err
	}
	p, err := c.memberOf(row, c.collection, name, pos)
	c.record = c.record || err == nil
	return p, err
}

// memberOf finds a member of a record.
func (c *compiler) memberOf(row *Node, collection, name string, pos int) (place, error) {
	m, ok := c.env.Member(collection, name)
	if !ok || m.Hidden && c.use == InFilter {
		names := c.env.Members(collection)
		if c.use == InFilter {
			names = slices.DeleteFunc(slices.Clone(names), func(n string) bool {
				m, ok := c.env.Member(collection, n)
				return !ok || m.Hidden
			})
		}
		if row.Op == OpRow && row.Index == VarRecord {
			names = append(slices.Clone(names), c.roots()...)
		}
		for _, b := range c.names {
			names = append(names, b.name)
		}
		return place{}, c.unknown(pos, "the name", name, names)
	}
	c.reads = append(c.reads, Read{Collection: collection, Name: m.Name, Ord: m.Ord, Inverse: m.Inverse, Pos: pos})
	return place{row: row, collection: collection, member: &m, pos: pos}, nil
}

// roots are the names beside the record's.
func (c *compiler) roots() []string {
	switch c.use {
	case InWhere:
		return nil
	case InValidate:
		return []string{"now"}
	case InUpdate:
		return []string{"now", "auth", "input"}
	case InFilter:
		return []string{"now", "auth", "param"}
	}
	return []string{"now", "auth"}
}

// auth is auth.NAME.
func (c *compiler) auth(name string, pos int) (place, error) {
	if c.use == InWhere || c.use == InValidate {
		return place{}, c.mistyped(pos, "auth is not known here")
	}
	if c.use == InFilter && name != "id" {
		return place{}, c.unknown(pos, "in a filter, the name", "auth."+name, nil)
	}
	t, ok := c.env.Auth(name)
	if !ok {
		names := []string{"id", "role", "signedIn", "mfa", "has"}
		if _, ok := c.env.Auth(Teams); ok {
			names = append(names, Teams, "teamsAs")
		}
		if id, ok := c.env.Auth("id"); ok && id.Ref != "" {
			names = append(names, c.env.Members(id.Ref)...)
		}
		e := c.unknown(pos, "the name", name, names)
		e.Msg = "the name auth." + name + " does not exist"
		return place{}, e
	}
	n, err := c.make(Node{Op: OpAuth, Type: t, Name: name, Pos: pos})
	return place{node: n, pos: pos}, err
}

// placeValue is the value of a place: a record is its id.
func (c *compiler) placeValue(p place) (*Node, error) {
	switch {
	case p.node != nil:
		return p.node, nil
	case p.member == nil:
		id, ok := c.env.Member(p.collection, "id")
		if !ok {
			return nil, c.mistyped(p.pos, "a record cannot be compared here")
		}
		id.Type.Ref = p.collection
		return c.field(p, id)
	case p.member.Inverse:
		return nil, c.mistyped(p.pos, "%s is a list of records: use size, exists or all", p.member.Name)
	}
	return c.field(p, *p.member)
}

// field reads a member of the place's record. Until it is known how it is used, a ci field
// stands for itself and not its fold.
func (c *compiler) field(p place, m Member) (*Node, error) {
	t := m.Type
	switch {
	case m.Encrypted:
		t = Type{Kind: Bytes}
	case m.JSON:
		t = Type{Kind: JSON}
	}
	n, err := c.make(Node{Op: OpField, Type: t, Args: []*Node{p.row}, Index: m.Ord, Name: m.Name, Pos: p.pos})
	if err != nil {
		return nil, err
	}
	c.members[n] = m
	return n, nil
}

// fold turns what is a ci text into what evaluates to its fold.
func (c *compiler) fold(n *Node) *Node {
	if n.Type.Kind != Text {
		return n
	}
	folded := *n
	folded.Type.CI = true
	folded.Type.Enum = nil
	switch n.Op {
	case OpField:
		if m, ok := c.members[n]; ok && m.Fold >= 0 {
			folded.Index = m.Fold
		}
	case OpLit:
		if !n.Val.IsNull() {
			folded.Val = TextOf(Fold(n.Val.Text()))
		}
	case OpParam:
		c.params[n.Index].Type.CI = true
		c.params[n.Index].Type.Enum = nil
	case OpCond:
		folded.Args = []*Node{n.Args[0], c.fold(n.Args[1]), c.fold(n.Args[2])}
	}
	return &folded
}

// plain turns what is a ci text into what evaluates to the text itself.
func (c *compiler) plain(n *Node) *Node {
	if !n.Type.CI {
		return n
	}
	text := *n
	text.Type.CI = false
	if n.Op == OpCond {
		text.Args = []*Node{n.Args[0], c.plain(n.Args[1]), c.plain(n.Args[2])}
	}
	return &text
}

// describe names a type for people.
func describe(t Type) string {
	switch {
	case t.Null:
		return "null"
	case t.Kind == List && t.Elem == Row:
		return "a list of records"
	case t.Kind == List && t.Ref != "":
		return "a list of references to " + t.Ref
	case t.Kind == List:
		return "a list of " + t.Elem.String()
	case t.Kind == Text && len(t.Enum) > 0:
		return "an enum"
	case t.Kind == Text && t.Ref != "":
		return "a reference to " + t.Ref
	case t.Kind == Bytes:
		return "an encrypted field"
	case t.Kind == JSON:
		return "json"
	case t.Kind == Int:
		return "an int"
	}
	return "a " + t.Kind.String()
}

// Reserved names that a variable of exists or all cannot have.
var reservedNames = []string{"auth", "input", "now", "param"}

// opaque says whether only == null may be asked of a value.
func opaque(t Type) bool { return t.Kind == Bytes || t.Kind == JSON }
