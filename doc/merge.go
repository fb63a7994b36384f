package doc

// Merge is RFC 7396: what target becomes under patch. Neither is changed; the answer shares
// their parts. A nil target is no value.
func Merge(target, patch *Node) *Node {
	if patch == nil {
		return NewNull()
	}
	if patch.Kind != Object {
		return patch
	}
	if target == nil || target.Kind != Object {
		target = &Node{Kind: Object}
	}
	size := len(target.Keys) + len(patch.Keys)
	out := &Node{Kind: Object, At: patch.At, Keys: make([]string, 0, size), Items: make([]Node, 0, size)}
	add := func(key string, n *Node) {
		out.Keys = append(out.Keys, key)
		out.Items = append(out.Items, *n)
	}
	fresh := make(map[string]int, len(patch.Keys)) // keys of the patch that target has not, once it is read
	for i, k := range patch.Keys {
		fresh[k] = i
	}
	for i, k := range target.Keys {
		at, named := fresh[k]
		if !named {
			add(k, &target.Items[i])
			continue
		}
		delete(fresh, k)
		if p := &patch.Items[at]; p.Kind != Null {
			add(k, Merge(&target.Items[i], p))
		}
	}
	for i, k := range patch.Keys {
		if _, is := fresh[k]; is && patch.Items[i].Kind != Null {
			add(k, Merge(nil, &patch.Items[i]))
		}
	}
	return out
}
