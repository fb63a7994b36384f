package seed

import (
	"strings"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/spec"
)

// suit reads a scalar by the type that its field wants: YAML and tables do not say whether 0700 is a
// number. What does not suit stays as it is, and the database says what is wrong with it.
func suit(f *spec.Field, n *doc.Node) *doc.Node {
	switch f.Type {
	case spec.JSON, spec.File:
	case spec.List:
		return suitList(f, n)
	case spec.Int, spec.Float:
		if n.Kind == doc.String && number(n.Text) {
			return doc.NewNumber(n.Text)
		}
	case spec.Bool:
		if n.Kind == doc.String && (n.Text == "true" || n.Text == "false") {
			return doc.NewBool(n.Text == "true")
		}
	default:
		if n.Kind == doc.Number || n.Kind == doc.Bool && n.Text != "" {
			return doc.NewString(n.Text)
		}
	}
	return n
}

// itemsOf reads a list in a cell: a JSON array, or items between semicolons.
func itemsOf(cell string) []doc.Node {
	if n, err := doc.Parse([]byte(cell), doc.Limits{}); err == nil && n.Kind == doc.Array {
		return n.Items
	}
	var items []doc.Node
	for part := range strings.SplitSeq(cell, ";") {
		items = append(items, *doc.NewString(strings.TrimSpace(part)))
	}
	return items
}

// suitList reads a list.
func suitList(f *spec.Field, n *doc.Node) *doc.Node {
	items := n.Items
	if n.Kind == doc.String {
		items = itemsOf(n.Text)
	} else if n.Kind != doc.Array {
		return n
	}
	list := make([]*doc.Node, len(items))
	item := &spec.Field{Type: f.Elem}
	for i := range items {
		list[i] = suit(item, &items[i])
	}
	return doc.NewArray(list...)
}

// number says whether text is a number as JSON writes it.
func number(text string) bool {
	n, err := doc.Parse([]byte(text), doc.Limits{})
	return err == nil && n.Kind == doc.Number
}
