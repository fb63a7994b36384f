package expr

// What the caller, the moment and the arguments decide is decided before an engine is asked.
// Slots finds those parts of a condition; Ask evaluates them for one request, into a few
// bytes that say which plan serves it and the arguments of that plan; Specialise makes the
// condition that such bytes stand for, once:
//
//	slots := Slots(root)                                      // once for a rule or filter
//	key, args, err := Ask(slots, scope, key[:0], args[:0])    // each request
//	where, err := Specialise(root, key, 0)                    // once for each key
//
// So `auth.has("staff") || owner == auth.id` becomes true for staff, false for nobody, and
// `owner == ?` for everyone else.

// maxItemSlots is how many items of a list literal are slots of their own; a longer list is
// one argument.
const maxItemSlots = 16

// Slots are the largest parts of a tree that depend on no record, in the order of the tree.
// Constants are not among them.
func Slots(n *Node) []*Node {
	var slots []*Node
	replaceSlots(n, func(slot *Node) *Node {
		slots = append(slots, slot)
		return slot
	})
	return slots
}

// replaceSlots puts what f says in the place of each slot.
func replaceSlots(n *Node, f func(*Node) *Node) *Node {
	switch {
	case n.Op == OpLit || n.Op == OpRow:
		return n
	case n.Op == OpList && len(n.Args) <= maxItemSlots:
	case freeRows(n) == 0:
		if constant(n) {
			return n
		}
		return f(n)
	}
	return withParts(n, func(a *Node) *Node { return replaceSlots(a, f) })
}

// What Ask says of a slot.
const (
	slotTrue   = 't'
	slotFalse  = 'f'
	slotNull   = 'n'
	slotValue  = 'v' // an argument
	slotFailed = 'e' // it could not be computed; an error unless it turns out not to matter
)

// Ask evaluates slots: a byte for each is appended to key, and the values that are neither null
// nor boolean to args.
func Ask(slots []*Node, s *Scope, key []byte, args []Value) ([]byte, []Value, error) {
	for _, n := range slots {
		v, err := Eval(n, s)
		switch {
		case err != nil:
			if _, ours := err.(*Error); !ours {
				return key, args, err
			}
			key = append(key, slotFailed)
		case v.kind == Null:
			key = append(key, slotNull)
		case v.kind != Bool:
			key = append(key, slotValue)
			args = append(args, v)
		case v.Bool():
			key = append(key, slotTrue)
		default:
			key = append(key, slotFalse)
		}
	}
	return key, args, nil
}

// Specialise makes of a tree what it is for the callers that Ask gives this key: slots become
// literals, or parameters numbered from first in the order of Ask's args, and what follows
// from them is computed. It fails where the answer needs a slot that could not be computed.
func Specialise(n *Node, key []byte, first int) (*Node, error) {
	i := 0
	known := replaceSlots(n, func(slot *Node) *Node {
		state := key[i]
		i++
		switch state {
		case slotTrue, slotFalse:
			return truth(state == slotTrue, slot.Pos)
		case slotNull:
			return nothing(slot)
		case slotFailed:
			return &Node{Op: OpLit, Type: slot.Type, Name: failedName, Pos: slot.Pos}
		}
		first++
		return &Node{Op: OpParam, Type: slot.Type, Index: first - 1, Pos: slot.Pos}
	})
	known = Simplify(known)
	var err error
	Walk(known, func(m *Node) bool {
		if failed(m) && err == nil {
			err = &Error{At: m.Pos, Code: "type", Msg: "the value cannot be computed: it is too large, or divided by zero"}
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return known, nil
}
