package spec

import (
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// Bounds on a file of records: it may be made by a program.
const (
	recordsDepth  = 64
	recordsValues = 5_000_000 // counting what an alias stands for every time
)

// ReadYAML reads one YAML document that is not an app file: a file of records. Scalars keep their text, so
// that the type of a field decides what 0700 or 1.10 is.
func ReadYAML(b []byte) (*doc.Node, error) {
	var y yaml.Node
	limits := loaderlimits.New(loaderlimits.DepthValue(recordsDepth), loaderlimits.AliasNone())
	if err := yaml.Load(b, &y, yaml.WithPlugin(limits)); err != nil {
		m := misread(newSource("", string(b)), err)
		return nil, fault.New(fault.Invalid, "line %d, column %d: %s", m.line, m.column, m.message)
	}
	if len(y.Content) != 1 {
		return nil, fault.New(fault.Invalid, "is empty")
	}
	budget := recordsValues
	return docOf(y.Content[0], &budget)
}

func docOf(y *yaml.Node, budget *int) (*doc.Node, error) {
	if *budget--; *budget < 0 {
		return nil, fault.New(fault.Invalid, "holds too many values")
	}
	switch y.Kind {
	case yaml.AliasNode:
		return docOf(y.Alias, budget)
	case yaml.SequenceNode:
		n := &doc.Node{Kind: doc.Array, Items: make([]doc.Node, 0, len(y.Content))}
		for _, c := range y.Content {
			item, err := docOf(c, budget)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, *item)
		}
		return n, nil
	case yaml.MappingNode:
		n := doc.NewObject()
		for i := 0; i+1 < len(y.Content); i += 2 {
			key := y.Content[i].Value
			if _, twice := n.Get(key); twice || y.Content[i].Kind != yaml.ScalarNode {
				return nil, fault.New(fault.Invalid, "line %d: the key %q stands there twice, or is not a word", y.Content[i].Line, key)
			}
			item, err := docOf(y.Content[i+1], budget)
			if err != nil {
				return nil, err
			}
			n.Set(key, item)
		}
		return n, nil
	}
	return scalarOf(y), nil
}

func scalarOf(y *yaml.Node) *doc.Node {
	if y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return doc.NewString(y.Value)
	}
	switch strings.TrimPrefix(y.ShortTag(), "!!") {
	case "null":
		return doc.NewNull()
	case "bool":
		if y.Value == "true" || y.Value == "false" {
			return &doc.Node{Kind: doc.Bool, Bool: y.Value == "true", Text: y.Value}
		}
	case "int", "float":
		if n, err := doc.Parse([]byte(y.Value), doc.Limits{}); err == nil && n.Kind == doc.Number {
			return doc.NewNumber(y.Value)
		}
	}
	return doc.NewString(y.Value)
}
