package expr

import (
	"fmt"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// Compile checks a condition about a record of a collection and turns it into IR. Errors are
// *Error with the position in src.
func Compile(src string, env Env, collection string, use Use) (*Expr, error) {
	c, err := newCompiler(src, env, collection, use)
	if err != nil {
		return nil, err
	}
	root, err := c.cond(c.source.root)
	if err != nil {
		return nil, err
	}
	return c.finish(root)
}

// CompileValue checks an init or set: an expression whose answer fits want (see As).
func CompileValue(src string, env Env, collection string, use Use, want Type) (*Expr, error) {
	c, err := newCompiler(src, env, collection, use)
	if err != nil {
		return nil, err
	}
	c.want = want
	root, err := c.node(c.source.root, &want)
	if err != nil {
		return nil, err
	}
	if !answers(root.Type, want) {
		return nil, c.mistyped(c.source.at(c.source.root), "the answer is %s, the field is %s", describe(root.Type), describe(want))
	}
	return c.finish(c.plain(root))
}

// answers says whether As can make got fit want.
func answers(got, want Type) bool {
	switch {
	case got.Null:
		return true
	case got.Kind == List:
		return want.Kind == List && got.Elem == want.Elem
	case got.Kind == JSON || got.Kind == Bytes:
		return false
	case want.Kind == Date && got.Kind == Time:
		return true
	case isNumber(want.Kind) && isNumber(got.Kind):
		return want.Kind != Decimal || got.Kind != Float
	}
	return got.Kind == want.Kind
}

// compiler checks one expression.
type compiler struct {
	source     *source
	env        Env
	collection string
	use        Use
	want       Type

	lits   []Literal
	params []Param
	reads  []Read
	input  bool
	record bool

	names   []binding // bound variables in sight, the innermost last
	nextVar int
	made    int // nodes made; what is written out for each item of a list must end

	members map[*Node]Member // of OpField nodes: what may still become their fold or key
}

// binding is a variable of exists or all.
type binding struct {
	name       string
	collection string // "": an item of a list of plain values
	node       *Node
}

const maxNodes = 20000

func newCompiler(src string, env Env, collection string, use Use) (*compiler, error) {
	_, lits, err := Shape(src)
	if err != nil {
		return nil, err
	}
	parsed, err := parse(src)
	if err != nil {
		return nil, err
	}
	return &compiler{
		source: parsed, env: env, collection: collection, use: use, lits: lits,
		nextVar: VarFirst, members: map[*Node]Member{},
	}, nil
}

func (c *compiler) finish(root *Node) (*Expr, error) {
	if c.want.Kind != Bool { // a field of that kind takes false, and a simpler tree may be null
		root = Simplify(root)
	}
	var failed error
	Walk(root, func(n *Node) bool {
		if failed == nil && n.Op.arithmetic() {
			failed = computes(n)
		}
		return failed == nil
	})
	if failed != nil {
		return nil, failed
	}
	return &Expr{
		Source: c.source.src, Root: root, Input: c.input, Record: c.record, Walks: walks(root),
		Params: c.params, Reads: c.reads, Want: c.want,
	}, nil
}

// computes is an error where arithmetic can never be done: what is left of constants alone could not be computed, or a constant by which
// is divided is zero.
func computes(n *Node) error {
	if constant(n) {
		_, err := Eval(n, &Scope{})
		return at(err, n.Pos)
	}
	if (n.Op == OpDiv || n.Op == OpMod) && constant(n.Args[1]) {
		if by, err := Eval(n.Args[1], &Scope{}); err == nil && !by.IsNull() && rat(by).Sign() == 0 {
			return at(mistyped("division by zero"), n.Pos)
		}
	}
	return nil
}

// at gives an error the position it lacks.
func at(err error, pos int) error {
	if e, ok := err.(*Error); ok {
		moved := *e
		moved.At = pos
		return &moved
	}
	return err
}

func (c *compiler) mistyped(pos int, format string, args ...any) *Error {
	return &Error{At: pos, Code: "type", Msg: fmt.Sprintf(format, args...)}
}

func (c *compiler) unknown(pos int, what, name string, names []string) *Error {
	return &Error{At: pos, Code: "unknown", Msg: fmt.Sprintf("%s %s does not exist", what, name), Suggest: Nearest(name, names)}
}

// inGo says whether the expression is evaluated in Go alone, never by an engine.
func (c *compiler) inGo() bool {
	return c.use == InWrite || c.use == InUpdate || c.use == InValidate || c.use == InInit
}

func (c *compiler) make(n Node) (*Node, error) {
	if c.made++; c.made > maxNodes {
		return nil, c.mistyped(n.Pos, "the expression is too large")
	}
	return &n, nil
}

// cond checks a condition.
func (c *compiler) cond(e ast.Expr) (*Node, error) {
	n, err := c.node(e, &Type{Kind: Bool})
	if err != nil {
		return nil, err
	}
	if n.Type.Kind != Bool || n.Type.Null {
		return nil, c.mistyped(c.source.nameAt(e), "a condition is needed here, not %s", describe(n.Type))
	}
	return n, nil
}

// node checks an expression. want is what a literal or a parameter is read as; nil: nothing
// is known of it. What has a type of its own is not forced into want: the caller compares.
func (c *compiler) node(e ast.Expr, want *Type) (*Node, error) {
	pos := c.source.at(e)
	switch e.Kind() {
	case ast.LiteralKind:
		return c.literal(e, want)
	case ast.IdentKind, ast.SelectKind:
		if name, ok := c.param(e); ok {
			return c.paramNode(name, pos, want)
		}
		p, err := c.place(e)
		if err != nil {
			return nil, err
		}
		return c.placeValue(p)
	case ast.CallKind:
		return c.call(e, want)
	case ast.ListKind:
		return nil, c.mistyped(pos, "a list may stand behind in, and before .exists and .all")
	}
	return nil, syntax(pos, "this is not part of the language")
}

func (c *compiler) call(e ast.Expr, want *Type) (*Node, error) {
	call := e.AsCall()
	args := call.Args()
	pos := c.source.at(e)
	switch fn := call.FunctionName(); fn {
	case operators.LogicalAnd, operators.LogicalOr:
		op := OpAnd
		if fn == operators.LogicalOr {
			op = OpOr
		}
		return c.junction(op, pos, args)
	case operators.LogicalNot:
		x, err := c.cond(args[0])
		if err != nil {
			return nil, err
		}
		return c.make(Node{Op: OpNot, Type: Type{Kind: Bool}, Args: []*Node{x}, Pos: pos})
	case operators.Conditional:
		return c.choice(pos, args, want)
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return c.comparison(comparisons[fn], pos, args[0], args[1])
	case operators.In:
		return c.membership(pos, args[0], args[1])
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo:
		return c.arithmetic(arithmetics[fn], pos, args, want)
	case operators.Negate:
		return c.negation(pos, args[0], want)
	case operators.Index:
		return nil, syntax(pos, "an index is not part of the language: use in, exists or all")
	default:
		return c.function(e, call)
	}
}

var comparisons = map[string]Op{
	operators.Equals: OpEq, operators.NotEquals: OpNe, operators.Less: OpLt,
	operators.LessEquals: OpLe, operators.Greater: OpGt, operators.GreaterEquals: OpGe,
}

var arithmetics = map[string]Op{
	operators.Add: OpAdd, operators.Subtract: OpSub, operators.Multiply: OpMul,
	operators.Divide: OpDiv, operators.Modulo: OpMod,
}

func (c *compiler) junction(op Op, pos int, args []ast.Expr) (*Node, error) {
	terms := make([]*Node, len(args))
	for i, a := range args {
		t, err := c.cond(a)
		if err != nil {
			return nil, err
		}
		terms[i] = t
	}
	return c.make(Node{Op: op, Type: Type{Kind: Bool}, Args: terms, Pos: pos})
}

// choice is x ? y : z.
func (c *compiler) choice(pos int, args []ast.Expr, want *Type) (*Node, error) {
	x, err := c.cond(args[0])
	if err != nil {
		return nil, err
	}
	y, z, err := c.pair(args[1], args[2], want, partner)
	if err != nil {
		return nil, err
	}
	t := y.Type
	if t.Null {
		t = z.Type
	}
	if y.Type.Kind != z.Type.Kind || y.Type.Scale != z.Type.Scale {
		if !y.Type.Null && !z.Type.Null {
			return nil, c.mistyped(pos, "one answer is %s, the other %s", describe(y.Type), describe(z.Type))
		}
	}
	if t.Kind == JSON || t.Kind == Bytes || t.Kind == Row {
		return nil, c.mistyped(pos, "%s cannot be chosen", describe(t))
	}
	if !y.Type.Null && !z.Type.Null {
		if y.Type.CI != z.Type.CI {
			return nil, c.mistyped(pos, "a ci text and one that is not do not mix")
		}
		if y.Type.Ref != z.Type.Ref {
			t.Ref = ""
		}
		if len(y.Type.Enum) != len(z.Type.Enum) {
			t.Enum = nil
		}
	}
	t.Null = y.Type.Null && z.Type.Null
	if isCondition(y) || isCondition(z) {
		return c.eitherHolds(pos, x, y, z)
	}
	return c.make(Node{Op: OpCond, Type: t, Args: []*Node{x, y, z}, Pos: pos})
}

// eitherHolds is x ? y : z where y or z is a condition: it is one itself, x && y || !x && z.
func (c *compiler) eitherHolds(pos int, x, y, z *Node) (*Node, error) {
	c.made += 3 + 2*count([]*Node{x})
	t := Type{Kind: Bool}
	not := &Node{Op: OpNot, Type: t, Args: []*Node{x}, Pos: pos}
	then := &Node{Op: OpAnd, Type: t, Args: []*Node{x, y}, Pos: pos}
	otherwise := &Node{Op: OpAnd, Type: t, Args: []*Node{not, z}, Pos: pos}
	return c.make(Node{Op: OpOr, Type: t, Args: []*Node{then, otherwise}, Pos: pos})
}

// negation is -x.
func (c *compiler) negation(pos int, e ast.Expr, want *Type) (*Node, error) {
	x, err := c.operand(e, want)
	if err != nil {
		return nil, err
	}
	if !isNumber(x.Type.Kind) && x.Type.Kind != Duration {
		return nil, c.mistyped(pos, "- needs a number, not %s", describe(x.Type))
	}
	n, err := c.make(Node{Op: OpNeg, Type: bare(x.Type), Args: []*Node{x}, Pos: pos})
	if err != nil {
		return nil, err
	}
	return n, c.mayCompute(n)
}

func (c *compiler) arithmetic(op Op, pos int, args []ast.Expr, want *Type) (*Node, error) {
	if want != nil && want.Kind != Text && !isNumber(want.Kind) && want.Kind != Duration {
		want = nil
	}
	if want != nil {
		t := bare(*want)
		want = &t
	}
	x, y, err := c.pair(args[0], args[1], want, bare)
	if err != nil {
		return nil, err
	}
	t, ok := computed(op, x.Type, y.Type)
	if !ok || x.Type.Null || y.Type.Null {
		return nil, c.mistyped(pos, "%s and %s do not go together here", describe(x.Type), describe(y.Type))
	}
	if t.Kind == Decimal && want != nil && want.Kind == Decimal && c.soft(args[0]) && c.soft(args[1]) {
		t.Scale = want.Scale // literals alone: the result is what it is compared with
	}
	n, err := c.make(Node{Op: op, Type: t, Args: []*Node{c.plain(x), c.plain(y)}, Pos: pos})
	if err != nil {
		return nil, err
	}
	return n, c.mayCompute(n)
}

// mayCompute refuses arithmetic on fields where an engine would have to do it.
func (c *compiler) mayCompute(n *Node) error {
	if !c.inGo() && looksAtRows(n) {
		return c.mistyped(n.Pos, "fields cannot be computed with here: only now, auth and literals")
	}
	return nil
}

// operand checks an expression that stands alone: a literal has its natural type.
func (c *compiler) operand(e ast.Expr, want *Type) (*Node, error) {
	if c.soft(e) && want == nil {
		t, ok := c.natural(e)
		if !ok {
			return nil, c.ambiguous(e)
		}
		want = &t
	}
	return c.node(e, want)
}

// pair checks two expressions of which each may give the other its type, by way of beside.
func (c *compiler) pair(l, r ast.Expr, want *Type, beside func(Type) Type) (x, y *Node, err error) {
	lSoft, rSoft := c.soft(l), c.soft(r)
	switch {
	case lSoft && rSoft:
		t, ok := c.natural(l)
		if want != nil {
			t, ok = *want, true
		} else if !ok {
			t, ok = c.natural(r)
		}
		if !ok && !isNull(l) && !isNull(r) {
			return nil, nil, c.ambiguous(l)
		}
		if ok && want == nil {
			if u, found := c.natural(r); found && t.Kind == Int {
				t = u // 1 == 1.5
			}
		}
		if x, err = c.node(l, &t); err != nil {
			return nil, nil, err
		}
		y, err = c.node(r, &t)
	case lSoft:
		if y, err = c.node(r, want); err != nil {
			return nil, nil, err
		}
		t := beside(y.Type)
		x, err = c.node(l, &t)
	default:
		if x, err = c.node(l, want); err != nil {
			return nil, nil, err
		}
		if rSoft {
			t := beside(x.Type)
			y, err = c.node(r, &t)
		} else {
			y, err = c.node(r, want)
		}
	}
	return x, y, err
}

// partner is what a literal beside something of type t is read as.
func partner(t Type) Type {
	t.Null = false
	return t
}

// bare is a type without what it owes to a field.
func bare(t Type) Type { return Type{Kind: t.Kind, Scale: t.Scale} }

// soft says whether an expression takes its type from where it stands.
func (c *compiler) soft(e ast.Expr) bool {
	switch e.Kind() {
	case ast.LiteralKind:
		_, isBool := e.AsLiteral().Value().(bool)
		return !isBool
	case ast.SelectKind:
		_, ok := c.param(e)
		return ok
	case ast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Conditional:
			return c.soft(args[1]) && c.soft(args[2])
		case operators.Negate:
			return c.soft(args[0])
		case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo:
			return c.soft(args[0]) && c.soft(args[1])
		}
	}
	return false
}

// natural is the type a soft expression has when nothing else gives it one.
func (c *compiler) natural(e ast.Expr) (Type, bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		switch e.AsLiteral().Value().(type) {
		case string:
			return Type{Kind: Text}, true
		case int64:
			return Type{Kind: Int}, true
		case float64:
			return Type{Kind: Float}, true
		}
	case ast.CallKind:
		args := e.AsCall().Args()
		if e.AsCall().FunctionName() == operators.Conditional {
			args = args[1:]
		}
		var t Type
		ok := false
		for _, a := range args {
			if u, found := c.natural(a); found && (!ok || t.Kind == Int) {
				t, ok = u, true
			}
		}
		return t, ok
	}
	return Type{}, false
}

func isNull(e ast.Expr) bool {
	if e.Kind() != ast.LiteralKind {
		return false
	}
	switch e.AsLiteral().Value().(type) {
	case string, int64, float64, bool, uint64, []byte:
		return false
	}
	return true
}

func (c *compiler) ambiguous(e ast.Expr) error {
	return c.mistyped(c.source.at(e), "nothing says what type this has: compare it with a field")
}

// walks says whether a tree looks at other records than those in its row variables.
func walks(root *Node) bool {
	found := false
	Walk(root, func(n *Node) bool {
		found = found || n.Op == OpDeref || n.Op == OpInverse
		return !found
	})
	return found
}
