package expr

import (
	"encoding/binary"
)

// Bind puts what a scope says of the caller and of the parameters into a condition, and computes what follows from it:
// what is left depends on records and the moment alone.
func Bind(n *Node, s *Scope) *Node {
	return Simplify(rewrite(n, func(m *Node) *Node {
		switch m.Op {
		case OpAuth:
			return known(m, authField(m, s))
		case OpHas:
			return truth(s.Auth != nil && s.Auth.Has(m.Name), m.Pos)
		case OpParam:
			return known(m, s.Params[m.Index])
		}
		return simplifyNode(m)
	}))
}

// known is a value in the place of n.
func known(n *Node, v Value) *Node {
	t := n.Type
	t.Null = v.IsNull()
	return &Node{Op: OpLit, Type: t, Val: v, Pos: n.Pos}
}

// AppendKey writes down a tree so that two trees that mean different things never look the same.
func AppendKey(dst []byte, n *Node) []byte {
	if n == nil {
		return append(dst, 0)
	}
	dst = append(dst, byte(n.Op)+1, byte(n.Type.Kind), byte(n.Type.Elem))
	if n.Strict {
		dst = append(dst, '!')
	}
	dst = appendText(dst, n.Type.Ref)
	dst = appendText(dst, n.Name)
	dst = binary.AppendVarint(dst, int64(n.Index))
	dst = binary.AppendVarint(dst, int64(n.Bind))
	dst = appendValueKey(dst, n.Val)
	dst = binary.AppendUvarint(dst, uint64(len(n.Args)))
	for _, a := range n.Args {
		dst = AppendKey(dst, a)
	}
	return AppendKey(dst, n.Guard)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendValueKey(dst []byte, v Value) []byte {
	dst = binary.AppendVarint(append(dst, byte(v.kind), v.scale), v.n)
	dst = appendText(dst, v.s)
	dst = binary.AppendUvarint(dst, uint64(len(v.List())))
	for _, item := range v.List() {
		dst = appendValueKey(dst, item)
	}
	return dst
}
