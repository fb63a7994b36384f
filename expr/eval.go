package expr

import (
	"strings"
)

// idOrd is the ordinal of every record's id.
const idOrd = 0

// Holds says whether a condition holds: null is false.
func Holds(n *Node, s *Scope) (bool, error) {
	switch n.Op {
	case OpAnd:
		for _, a := range n.Args {
			if ok, err := Holds(a, s); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	case OpOr:
		for _, a := range n.Args {
			if ok, err := Holds(a, s); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case OpNot:
		ok, err := Holds(n.Args[0], s)
		return !ok && err == nil, err
	case OpEq:
		return equal(n, s)
	case OpNe:
		same, err := equal(n, s)
		return !same && err == nil, err
	case OpLt, OpLe, OpGt, OpGe:
		return ordered(n, s)
	case OpIn:
		return member(n, s)
	case OpStartsWith, OpEndsWith, OpContains:
		return textTest(n, s)
	case OpExists:
		return quantified(n, s, true)
	case OpAll:
		ok, err := quantified(n, s, false)
		return !ok && err == nil, err
	case OpHas:
		return s.Auth != nil && s.Auth.Has(n.Name), nil
	default:
		v, err := Eval(n, s)
		return v.Bool(), err
	}
}

// Eval is the meaning of the IR: engines must agree with it. It fails where a number
// overflows, at a division by zero, and where s.Fetch fails.
func Eval(n *Node, s *Scope) (Value, error) {
	switch n.Op {
	case OpLit:
		return n.Val, nil
	case OpParam:
		return s.Params[n.Index], nil
	case OpNow:
		return TimeOf(s.Now), nil
	case OpAuth:
		return authField(n, s), nil
	case OpRow: // an item of a list of plain values
		return s.Rows[n.Index][0], nil
	case OpField:
		return field(n, s)
	case OpSize:
		return size(n.Args[0], s)
	case OpList:
		items := make([]Value, len(n.Args))
		for i, a := range n.Args {
			v, err := Eval(a, s)
			if err != nil {
				return Value{}, err
			}
			items[i] = v
		}
		return ListOf(items...), nil
	case OpCond:
		ok, err := Holds(n.Args[0], s)
		if err != nil {
			return Value{}, err
		}
		if ok {
			return Eval(n.Args[1], s)
		}
		return Eval(n.Args[2], s)
	case OpAdd, OpSub, OpMul, OpDiv, OpMod, OpNeg:
		return compound(n, s)
	case OpSlug:
		v, err := Eval(n.Args[0], s)
		if v.IsNull() || err != nil {
			return Value{}, err
		}
		return TextOf(Slug(v.Text())), nil
	case OpDeref, OpInverse:
		return Value{}, &Error{At: n.Pos, Code: "type", Msg: "a record is not a value"}
	default:
		ok, err := Holds(n, s)
		return BoolOf(ok), err
	}
}

// Value evaluates an init or set and makes the answer fit the type it was compiled for.
func (e *Expr) Value(s *Scope) (Value, error) {
	v, err := Eval(e.Root, s)
	if err != nil {
		return Value{}, err
	}
	return As(e.Want, v)
}

func authField(n *Node, s *Scope) Value {
	if s.Auth == nil {
		if n.Name == "signedIn" || n.Name == "mfa" {
			return BoolOf(false)
		}
		return Value{}
	}
	v := s.Auth.Field(n.Name)
	if n.Type.CI && v.kind == Text {
		return TextOf(Fold(v.s))
	}
	return v
}

// row is the record that a Row or Deref stands for; nil: none.
func row(n *Node, s *Scope) ([]Value, error) {
	if n.Op == OpRow {
		if n.Index < len(s.Rows) {
			return s.Rows[n.Index], nil
		}
		return nil, nil
	}
	if n.Op != OpDeref {
		return nil, nil // a null row
	}
	from, err := row(n.Args[0], s)
	if n.Index >= len(from) || err != nil || from[n.Index].IsNull() {
		return nil, err
	}
	return reach(n, s, from[n.Index].Text())
}

// reach fetches the record that a Deref leads to, where its guard lets it.
func reach(n *Node, s *Scope, id string) ([]Value, error) {
	r, err := s.Fetch.Fetch(n.Type.Ref, id)
	if r == nil || err != nil || n.Guard == nil {
		return r, err
	}
	ok, err := bound(n.Guard, n.Bind, r, s)
	if !ok || err != nil {
		return nil, err
	}
	return r, nil
}

// bound says whether a condition holds with a row variable set.
func bound(n *Node, v int, r []Value, s *Scope) (bool, error) {
	for len(s.Rows) <= v {
		s.Rows = append(s.Rows, nil)
	}
	before := s.Rows[v]
	s.Rows[v] = r
	ok, err := Holds(n, s)
	s.Rows[v] = before
	return ok, err
}

func field(n *Node, s *Scope) (Value, error) {
	r, err := row(n.Args[0], s)
	if n.Index >= len(r) || err != nil {
		return Value{}, err
	}
	return r[n.Index], nil
}

// rows calls yield with each record of a range, or each item of a list as a record of one
// field, until it returns true.
func rows(n *Node, s *Scope, yield func([]Value) (bool, error)) error {
	switch n.Op {
	case OpInverse:
		from, err := row(n.Args[0], s)
		if len(from) <= idOrd || err != nil {
			return err
		}
		found, err := s.Fetch.Referring(n.Type.Ref, n.Index, from[idOrd].Text())
		if err != nil {
			return err
		}
		for _, r := range found {
			if n.Guard != nil {
				ok, err := bound(n.Guard, n.Bind, r, s)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
			}
			if done, err := yield(r); done || err != nil {
				return err
			}
		}
		return nil
	case OpDeref:
		from, err := row(n.Args[0], s)
		if n.Index >= len(from) || err != nil {
			return err
		}
		for _, id := range from[n.Index].List() {
			r, err := reach(n, s, id.Text())
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			if done, err := yield(r); done || err != nil {
				return err
			}
		}
		return nil
	}
	v, err := Eval(n, s)
	if err != nil {
		return err
	}
	items := v.List()
	for i := range items {
		if done, err := yield(items[i : i+1 : i+1]); done || err != nil {
			return err
		}
	}
	return nil
}

// quantified says whether the body of exists is want for an item of its range.
func quantified(n *Node, s *Scope, want bool) (bool, error) {
	found := false
	err := rows(n.Args[0], s, func(r []Value) (bool, error) {
		ok, err := bound(n.Args[1], n.Bind, r, s)
		found = err == nil && ok == want
		return found, err
	})
	return found && err == nil, err
}

func size(n *Node, s *Scope) (Value, error) {
	if n.Type.Kind == List && n.Type.Elem == Row && n.Op != OpLit {
		count := int64(0)
		err := rows(n, s, func([]Value) (bool, error) {
			count++
			return false, nil
		})
		return IntOf(count), err
	}
	v, err := Eval(n, s)
	switch {
	case err != nil || v.IsNull():
		return IntOf(0), err
	case v.kind == List:
		return IntOf(int64(len(v.List()))), nil
	}
	return IntOf(codePoints(v.s)), nil
}

// both evaluates the two operands of a node.
func both(n *Node, s *Scope) (a, b Value, err error) {
	if a, err = Eval(n.Args[0], s); err == nil {
		b, err = Eval(n.Args[1], s)
	}
	return a, b, err
}

func equal(n *Node, s *Scope) (bool, error) {
	a, b, err := both(n, s)
	if err != nil || n.Strict && (a.kind == Null || b.kind == Null) {
		return false, err
	}
	return Equal(a, b), nil
}

func ordered(n *Node, s *Scope) (bool, error) {
	a, b, err := both(n, s)
	if err != nil || a.kind == Null || b.kind == Null {
		return false, err
	}
	switch c := Compare(a, b); n.Op {
	case OpLt:
		return c < 0, nil
	case OpLe:
		return c <= 0, nil
	case OpGt:
		return c > 0, nil
	default:
		return c >= 0, nil
	}
}

func member(n *Node, s *Scope) (bool, error) {
	item, err := Eval(n.Args[0], s)
	if err != nil || item.kind == Null {
		return false, err
	}
	if list := n.Args[1]; list.Op == OpList {
		for _, a := range list.Args {
			v, err := Eval(a, s)
			if err != nil {
				return false, err
			}
			if Equal(item, v) {
				return true, nil
			}
		}
		return false, nil
	}
	list, err := Eval(n.Args[1], s)
	if err != nil {
		return false, err
	}
	for _, v := range list.List() {
		if Equal(item, v) {
			return true, nil
		}
	}
	return false, nil
}

func textTest(n *Node, s *Scope) (bool, error) {
	a, b, err := both(n, s)
	if err != nil || a.kind == Null || b.kind == Null {
		return false, err
	}
	switch n.Op {
	case OpStartsWith:
		return strings.HasPrefix(a.s, b.s), nil
	case OpEndsWith:
		return strings.HasSuffix(a.s, b.s), nil
	default:
		return strings.Contains(a.s, b.s), nil
	}
}

// compound computes arithmetic; with null the result is null.
func compound(n *Node, s *Scope) (Value, error) {
	a, err := Eval(n.Args[0], s)
	if err != nil || a.kind == Null {
		return Value{}, err
	}
	if n.Op == OpNeg {
		if a.kind == Float {
			return FloatOf(-a.Float()), nil
		}
		zero := Value{kind: a.kind, scale: a.scale}
		v, err := arithmetic(OpSub, n.Type, zero, a)
		if err != nil {
			return Value{}, at(err, n.Pos)
		}
		return v, nil
	}
	b, err := Eval(n.Args[1], s)
	if err != nil || b.kind == Null {
		return Value{}, err
	}
	if a.kind == Text {
		return TextOf(NFC(a.s + b.s)), nil
	}
	v, err := arithmetic(n.Op, n.Type, a, b)
	if err != nil {
		return Value{}, at(err, n.Pos)
	}
	return v, nil
}
