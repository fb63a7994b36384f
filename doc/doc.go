// Package doc is a JSON document as Plinth reads and prints it: strictly read (RFC 8259, and
// duplicate keys, keys that differ only in case, broken UTF-8 and lone surrogates are errors
// with their place), canonically printed, merged as RFC 7396 says.
package doc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"unicode/utf8"
)

// Kind is the kind of a node.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"null", "boolean", "number", "string", "array", "object"}

// String is the name JSON Schema uses for the kind.
func (k Kind) String() string { return kindNames[k] }

// Node is one value of a document.
type Node struct {
	Kind  Kind
	Bool  bool
	Text  string   // String: decoded. Number: as written
	Keys  []string // Object: the keys, in order; Items are the values
	Items []Node   // Array, Object
	At    int      // byte offset of the value in the source
}

// Limits bound what Parse accepts; zero values mean the defaults.
type Limits struct {
	Depth int // arrays and objects inside each other; default 64
}

// Get is the value of a key of an object; of anything else, and of a nil node, there is none.
// The node is the document's own: who changes it changes the document.
func (n *Node) Get(key string) (*Node, bool) {
	if n == nil || n.Kind != Object {
		return nil, false
	}
	for i, k := range n.Keys {
		if k == key {
			return &n.Items[i], true
		}
	}
	return nil, false
}

// Set gives a key of an object a value, in its place or at the end.
func (n *Node) Set(key string, v *Node) {
	if old, ok := n.Get(key); ok {
		*old = *v
		return
	}
	n.Keys = append(n.Keys, key)
	n.Items = append(n.Items, *v)
}

// IsNull says whether there is no value here: a nil node or JSON null.
func (n *Node) IsNull() bool { return n == nil || n.Kind == Null }

// Constructors of values that Go code makes.

func NewNull() *Node              { return &Node{} }
func NewBool(b bool) *Node        { return &Node{Kind: Bool, Bool: b} }
func NewString(s string) *Node    { return &Node{Kind: String, Text: s} }
func NewInt(i int64) *Node        { return &Node{Kind: Number, Text: strconv.FormatInt(i, 10)} }
func NewNumber(text string) *Node { return &Node{Kind: Number, Text: text} }

// NewArray makes an array of copies of the nodes.
func NewArray(items ...*Node) *Node {
	n := &Node{Kind: Array, Items: make([]Node, len(items))}
	for i, v := range items {
		n.Items[i] = *v
	}
	return n
}

// NewObject is an empty object, to be filled with Set.
func NewObject() *Node { return &Node{Kind: Object} }

// FromAny is From for values that are known to be JSON; it panics where From fails.
func FromAny(v any) *Node {
	n, err := From(v)
	if err != nil {
		panic(err)
	}
	return n
}

// From makes a node of a Go value: nil, booleans, strings, numbers, maps with string keys
// (in the order of their keys), slices, nodes, and whatever encoding/json can write. It
// refuses what encoding/json refuses (channels, functions, NaN, infinities) and broken UTF-8.
func From(v any) (*Node, error) {
	switch v := v.(type) {
	case nil:
		return NewNull(), nil
	case *Node:
		if v == nil {
			return NewNull(), nil
		}
		return v, nil
	case Node:
		return &v, nil
	case bool:
		return NewBool(v), nil
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("doc: a string is not UTF-8")
		}
		return NewString(v), nil
	case int:
		return NewInt(int64(v)), nil
	case int64:
		return NewInt(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("doc: %v is not a JSON number", v)
		}
		return NewNumber(strconv.FormatFloat(v, 'g', -1, 64)), nil
	case []any:
		n := &Node{Kind: Array, Items: make([]Node, len(v))}
		for i, x := range v {
			item, err := From(x)
			if err != nil {
				return nil, err
			}
			n.Items[i] = *item
		}
		return n, nil
	case map[string]any:
		n := &Node{Kind: Object, Keys: make([]string, 0, len(v)), Items: make([]Node, 0, len(v))}
		for k := range v {
			if !utf8.ValidString(k) {
				return nil, errors.New("doc: a key is not UTF-8")
			}
			n.Keys = append(n.Keys, k)
		}
		sort.Strings(n.Keys)
		for _, k := range n.Keys {
			item, err := From(v[k])
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, *item)
		}
		return n, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Parse(b, Limits{Depth: 1000})
}
