package expr

import (
	"slices"

	"cel.dev/cel-go/common/ast"
)

var functionNames = []string{"size", "has", "startsWith", "endsWith", "contains", "exists", "all", "timestamp", "duration", "slug"}

// function checks a call of a function or method.
func (c *compiler) function(e ast.Expr, call ast.CallExpr) (*Node, error) {
	name, args := call.FunctionName(), call.Args()
	pos := c.source.nameAt(e)
	if call.IsMemberFunction() {
		target := call.Target()
		if name == "has" && target.Kind() == ast.IdentKind && target.AsIdent() == "auth" {
			return c.hasRole(pos, args)
		}
		if name == "teamsAs" && target.Kind() == ast.IdentKind && target.AsIdent() == "auth" {
			return c.teamsAs(pos, args)
		}
		switch name {
		case "size":
			if len(args) == 0 {
				return c.size(pos, target)
			}
			return nil, c.mistyped(pos, "write x.size() or size(x)")
		case "startsWith", "endsWith", "contains":
			if len(args) == 1 {
				return c.textTest(name, pos, target, args[0])
			}
			return nil, c.mistyped(pos, "%s needs one argument", name)
		case "exists", "all":
			if len(args) == 2 {
				return c.quantifier(name, pos, target, args[0], args[1])
			}
			return nil, c.mistyped(pos, "write x.%s(item, condition)", name)
		}
	} else if len(args) == 1 {
		switch name {
		case "size":
			return c.size(pos, args[0])
		case "has":
			return c.has(pos, args[0])
		case "timestamp":
			return c.moment(pos, args[0], Type{Kind: Time})
		case "duration":
			return c.moment(pos, args[0], Type{Kind: Duration})
		case "slug":
			return c.slug(pos, args[0])
		}
	}
	if slices.Contains(functionNames, name) {
		return nil, c.mistyped(pos, "%s cannot be called like this", name)
	}
	return nil, c.unknown(pos, "the function", name, functionNames)
}

// hasRole is auth.has("ROLE").
func (c *compiler) hasRole(pos int, args []ast.Expr) (*Node, error) {
	if c.use == InFilter {
		return nil, c.unknown(pos, "in a filter, the name", "auth.has", nil)
	}
	if c.use == InWhere || c.use == InValidate {
		return nil, c.mistyped(pos, "auth is not known here")
	}
	role, ok := "", false
	if len(args) == 1 && args[0].Kind() == ast.LiteralKind {
		role, ok = args[0].AsLiteral().Value().(string)
	}
	if !ok {
		return nil, c.mistyped(pos, `auth.has needs a role: auth.has("admin")`)
	}
	if !slices.Contains(c.env.Roles(), role) {
		return nil, c.unknown(c.source.at(args[0]), "the role", role, c.env.Roles())
	}
	return c.make(Node{Op: OpHas, Type: Type{Kind: Bool}, Name: role, Pos: pos})
}

// teamsAs is auth.teamsAs("ROLE"): the teams in which the caller has that role or a later one.
func (c *compiler) teamsAs(pos int, args []ast.Expr) (*Node, error) {
	if _, err := c.auth(Teams, pos); err != nil {
		return nil, err
	}
	role, ok := "", false
	if len(args) == 1 && args[0].Kind() == ast.LiteralKind {
		role, ok = args[0].AsLiteral().Value().(string)
	}
	if !ok {
		return nil, c.mistyped(pos, `auth.teamsAs needs a role of teams: auth.teamsAs("owner")`)
	}
	t, ok := c.env.Auth(TeamsAs + role)
	if !ok {
		return nil, c.unknown(c.source.at(args[0]), "the role of teams", role, c.env.TeamRoles())
	}
	return c.make(Node{Op: OpAuth, Type: t, Name: TeamsAs + role, Pos: pos})
}

// has is has(x): x is not null.
func (c *compiler) has(pos int, e ast.Expr) (*Node, error) {
	if e.Kind() != ast.IdentKind && e.Kind() != ast.SelectKind || c.soft(e) {
		return nil, c.mistyped(pos, "has needs a field or path")
	}
	n, err := c.node(e, nil)
	if err != nil {
		return nil, err
	}
	n = c.plain(n)
	t := n.Type
	t.Null = true
	null, err := c.make(Node{Op: OpLit, Type: t, Pos: pos})
	if err != nil {
		return nil, err
	}
	return c.make(Node{Op: OpNe, Type: Type{Kind: Bool}, Args: []*Node{n, null}, Pos: pos})
}

// moment is timestamp("…") and duration("…").
func (c *compiler) moment(pos int, e ast.Expr, t Type) (*Node, error) {
	if e.Kind() == ast.LiteralKind {
		if _, ok := e.AsLiteral().Value().(string); ok {
			return c.momentLiteral(c.source.at(e), t)
		}
	}
	if name, ok := c.param(e); ok {
		return c.paramNode(name, c.source.at(e), &t)
	}
	return nil, c.mistyped(pos, "a string is needed here")
}

func (c *compiler) momentLiteral(pos int, t Type) (*Node, error) {
	i := slices.IndexFunc(c.lits, func(l Literal) bool { return l.Pos == pos })
	if i < 0 {
		return nil, syntax(pos, "this literal is not part of the language")
	}
	if c.use == InFilter {
		c.params = append(c.params, Param{Literal: i, Type: t, Pos: pos})
		return c.make(Node{Op: OpParam, Type: t, Index: len(c.params) - 1, Pos: pos})
	}
	v, err := ParseText(t, c.lits[i].Text)
	if err != nil {
		return nil, at(err, pos)
	}
	return c.make(Node{Op: OpLit, Type: t, Val: v, Pos: pos})
}

func (c *compiler) slug(pos int, e ast.Expr) (*Node, error) {
	if c.use != InInit {
		return nil, c.mistyped(pos, "slug may be used in init and set only")
	}
	n, err := c.operand(e, &Type{Kind: Text})
	if err != nil {
		return nil, err
	}
	if n.Type.Kind != Text {
		return nil, c.mistyped(pos, "slug needs a text, not %s", describe(n.Type))
	}
	return c.make(Node{Op: OpSlug, Type: Type{Kind: Text}, Args: []*Node{c.plain(n)}, Pos: pos})
}

// size is the length of a text in code points, or of a list.
func (c *compiler) size(pos int, e ast.Expr) (*Node, error) {
	var n *Node
	var err error
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		if c.soft(e) {
			return nil, c.ambiguous(e)
		}
		p, err := c.place(e)
		if err != nil {
			return nil, err
		}
		if p.member != nil && p.member.Inverse {
			n, err = c.rangeOf(p)
		} else {
			n, err = c.placeValue(p)
		}
		if err != nil {
			return nil, err
		}
	case ast.ListKind:
		return c.make(Node{Op: OpLit, Type: Type{Kind: Int}, Val: IntOf(int64(len(e.AsList().Elements()))), Pos: pos})
	default:
		if n, err = c.operand(e, nil); err != nil {
			return nil, err
		}
	}
	if err := c.refuseOpaque(n); err != nil {
		return nil, err
	}
	if n.Type.Kind != Text && n.Type.Kind != List && !n.Type.Null {
		return nil, c.mistyped(pos, "size needs a text or list, not %s", describe(n.Type))
	}
	return c.make(Node{Op: OpSize, Type: Type{Kind: Int}, Args: []*Node{c.plain(n)}, Pos: pos})
}

var textTests = map[string]Op{"startsWith": OpStartsWith, "endsWith": OpEndsWith, "contains": OpContains}

// textTest is x.startsWith(y) and its like. On a ci text it is asked of the folds.
func (c *compiler) textTest(name string, pos int, target, arg ast.Expr) (*Node, error) {
	text := Type{Kind: Text}
	x, y, err := c.pair(target, arg, nil, func(t Type) Type {
		if t.Kind != Text {
			return text
		}
		return Type{Kind: Text, CI: t.CI}
	})
	if err != nil {
		return nil, err
	}
	if err := c.refuseOpaque(x, y); err != nil {
		return nil, err
	}
	for _, n := range []*Node{x, y} {
		if n.Type.Kind != Text && !n.Type.Null {
			return nil, c.mistyped(n.Pos, "%s needs texts, not %s", name, describe(n.Type))
		}
	}
	if x, y, err = c.alikeTexts(pos, x, y); err != nil {
		return nil, err
	}
	return c.make(Node{Op: textTests[name], Type: Type{Kind: Bool}, Args: []*Node{x, y}, Pos: pos})
}

func (c *compiler) alikeTexts(pos int, x, y *Node) (*Node, *Node, error) {
	if x.Type.Null || y.Type.Null {
		return c.plain(x), c.plain(y), nil
	}
	if x.Type.CI != y.Type.CI {
		return nil, nil, c.mistyped(pos, "a ci text cannot be compared with one that is not")
	}
	if x.Type.CI {
		return c.fold(x), c.fold(y), nil
	}
	return x, y, nil
}

// quantifier is range.exists(name, body) and range.all(name, body).
func (c *compiler) quantifier(fn string, pos int, target, name, body ast.Expr) (*Node, error) {
	if name.Kind() != ast.IdentKind {
		return nil, c.mistyped(c.source.at(name), "the first argument of %s is a name for the item", fn)
	}
	if slices.Contains(reservedNames, name.AsIdent()) {
		return nil, c.mistyped(c.source.at(name), "%s has a meaning of its own: choose another name", name.AsIdent())
	}
	op := OpExists
	if fn == "all" {
		op = OpAll
	}
	if target.Kind() == ast.ListKind {
		return c.overLiteral(op, pos, target.AsList().Elements(), name.AsIdent(), body)
	}
	var r *Node
	var err error
	if (target.Kind() == ast.IdentKind || target.Kind() == ast.SelectKind) && !c.soft(target) {
		p, err := c.place(target)
		if err != nil {
			return nil, err
		}
		if r, err = c.rangeOf(p); err != nil {
			return nil, err
		}
	} else if r, err = c.node(target, nil); err != nil {
		return nil, err
	}
	if r.Type.Kind != List {
		return nil, c.mistyped(pos, "%s needs a list, not %s", fn, describe(r.Type))
	}
	b := c.bindRows(r)
	b.name = name.AsIdent()
	c.names = append(c.names, b)
	holds, err := c.cond(body)
	c.names = c.names[:len(c.names)-1]
	if err != nil {
		return nil, err
	}
	return c.make(Node{Op: op, Type: Type{Kind: Bool}, Args: []*Node{r, holds}, Bind: b.node.Index, Pos: pos})
}

// rangeOf is the list behind a place: the records of an inverse or list of references, or the
// items of another list.
func (c *compiler) rangeOf(p place) (*Node, error) {
	if p.member != nil && p.row != nil {
		m := p.member
		t := Type{Kind: List, Elem: Row, Ref: m.Type.Ref}
		switch {
		case m.Inverse:
			c.walked(p, m.Type.Ref)
			return c.make(Node{Op: OpInverse, Type: t, Args: []*Node{p.row}, Index: m.Ord, Name: m.RefName, Pos: p.pos})
		case m.Type.Kind == List && m.Type.Ref != "":
			c.walked(p, m.Type.Ref)
			return c.make(Node{Op: OpDeref, Type: t, Args: []*Node{p.row}, Index: m.Ord, Name: m.Name, Pos: p.pos})
		}
	}
	return c.placeValue(p)
}

// bindRows makes the variable that stands for each item of a range.
func (c *compiler) bindRows(r *Node) binding {
	n := &Node{Op: OpRow, Index: c.nextVar, Pos: r.Pos}
	c.nextVar++
	if r.Type.Elem == Row {
		n.Type = Type{Kind: Row, Ref: r.Type.Ref}
		return binding{collection: r.Type.Ref, node: n}
	}
	n.Type = r.Type.Item()
	return binding{node: n}
}

// overLiteral is [a, b].exists(x, …), written out for each item.
func (c *compiler) overLiteral(op Op, pos int, elements []ast.Expr, name string, body ast.Expr) (*Node, error) {
	items, err := c.items(elements, nil, nil)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return c.make(Node{Op: OpLit, Type: Type{Kind: Bool}, Val: BoolOf(op == OpAll), Pos: pos})
	}
	terms := make([]*Node, len(items))
	for i, item := range items {
		c.names = append(c.names, binding{name: name, node: item})
		terms[i], err = c.cond(body)
		c.names = c.names[:len(c.names)-1]
		if err != nil {
			return nil, err
		}
	}
	join := OpOr
	if op == OpAll {
		join = OpAnd
	}
	return c.make(Node{Op: join, Type: Type{Kind: Bool}, Args: terms, Pos: pos})
}
