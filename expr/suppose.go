package expr

// Supposed is what is known of all callers of a kind, before it is known who asks.
type Supposed interface {
	// Field is auth.NAME where it is the same for all of them: then known. Where it is not, set says that it is
	// never null.
	Field(name string) (v Value, known, set bool)
	// Has says whether they have that role or a later one.
	Has(role string) bool
}

// Suppose puts what is known of a kind of callers into a condition, and computes what follows from it. What is left
// depends on records, on the moment, and on who of them asks: a condition that is literally true holds for all of them
// on every record, one that is literally false for none on any.
func Suppose(n *Node, who Supposed) *Node {
	return Simplify(rewrite(n, func(m *Node) *Node {
		switch m.Op {
		case OpAuth:
			if v, is, _ := who.Field(m.Name); is {
				return known(m, v)
			}
			return m
		case OpHas:
			return truth(who.Has(m.Name), m.Pos)
		case OpEq, OpNe:
			for i, a := range m.Args {
				if a.Op != OpAuth || !isNil(m.Args[1-i]) {
					continue
				}
				if _, _, set := who.Field(a.Name); set {
					return truth(m.Op == OpNe, m.Pos)
				}
			}
		}
		return simplifyNode(m)
	}))
}

// Tidy leaves out of a conjunction what its other parts say already: a and a is a, (a or b) and a is a.
func Tidy(n *Node) *Node {
	if n.Op != OpAnd {
		return n
	}
	said := map[string]bool{}
	var parts []*Node
	for _, a := range n.Args {
		if key := string(AppendKey(nil, a)); !said[key] {
			said[key] = true
			parts = append(parts, a)
		}
	}
	kept := make([]*Node, 0, len(parts))
	for _, a := range parts {
		implied := false
		if a.Op == OpOr {
			for _, b := range a.Args {
				implied = implied || said[string(AppendKey(nil, b))]
			}
		}
		if !implied {
			kept = append(kept, a)
		}
	}
	return And(kept...)
}
