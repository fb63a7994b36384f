package memory

import "hash/maphash"

var seed = maphash.MakeSeed()

// tree is a persistent ordered map (a treap): put and del return a new tree that shares what
// did not change, so a snapshot is a copy of the root. The zero tree is empty.
type tree[V any] struct {
	root *node[V]
	size int
}

type node[V any] struct {
	key         string
	val         V
	rank        uint64 // parents have the higher rank, which keeps the tree balanced
	left, right *node[V]
}

func (t tree[V]) get(key string) (V, bool) {
	n := t.root
	for n != nil {
		switch {
		case key < n.key:
			n = n.left
		case key > n.key:
			n = n.right
		default:
			return n.val, true
		}
	}
	var none V
	return none, false
}

func (t tree[V]) put(key string, val V) tree[V] {
	_, had := t.get(key)
	t.root = put(t.root, key, val, maphash.String(seed, key))
	if !had {
		t.size++
	}
	return t
}

func put[V any](n *node[V], key string, val V, rank uint64) *node[V] {
	if n == nil {
		return &node[V]{key: key, val: val, rank: rank}
	}
	m := *n
	switch {
	case key < n.key:
		l := put(n.left, key, val, rank)
		if l.rank > m.rank { // l is new here: it may be changed
			m.left, l.right = l.right, &m
			return l
		}
		m.left = l
	case key > n.key:
		r := put(n.right, key, val, rank)
		if r.rank > m.rank {
			m.right, r.left = r.left, &m
			return r
		}
		m.right = r
	default:
		m.val = val
	}
	return &m
}

func (t tree[V]) del(key string) tree[V] {
	if _, had := t.get(key); !had {
		return t
	}
	return tree[V]{root: del(t.root, key), size: t.size - 1}
}

func del[V any](n *node[V], key string) *node[V] {
	m := *n
	switch {
	case key < n.key:
		m.left = del(n.left, key)
	case key > n.key:
		m.right = del(n.right, key)
	default:
		return join(n.left, n.right)
	}
	return &m
}

// join makes one tree of two, all keys of a being smaller than those of b.
func join[V any](a, b *node[V]) *node[V] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.rank > b.rank:
		m := *a
		m.right = join(a.right, b)
		return &m
	default:
		m := *b
		m.left = join(a, b.left)
		return &m
	}
}

// each calls yield for each entry by key until it returns false.
func (t tree[V]) each(yield func(string, V) bool) { t.root.each(yield) }

func (n *node[V]) each(yield func(string, V) bool) bool {
	return n == nil || n.left.each(yield) && yield(n.key, n.val) && n.right.each(yield)
}
