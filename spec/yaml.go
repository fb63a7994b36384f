package spec

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Bounds on what is read: an app file is written by people.
const (
	maxFile  = 1 << 20 // bytes of one file
	maxLine  = 1 << 16 // bytes of one line
	maxFiles = 500
	maxNodes = 200_000 // values of all files, counting what an alias stands for every time
	maxDepth = 40
)

// parse reads one file into a tree; nil when there is none.
func (l *loader) parse(name string, b []byte) *node {
	text := strings.TrimPrefix(string(b), "\ufeff")
	src := newSource(name, text)
	l.sources[name] = len(l.sources)
	fail := func(offset int, format string) {
		line, column := src.place(offset)
		l.reportAt(Pos{name, line, column}, "syntax", "", format)
	}
	if len(text) > maxFile {
		fail(0, "is larger than 1 MB")
		return nil
	}
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !utf8.ValidString(text[i:min(i+3, len(text))]) && text[i] != 0xEF:
			fail(i, "is not UTF-8 from here on")
			return nil
		case r == 0x85 || r == 0x2028 || r == 0x2029:
			fail(i, `an unusual end of line stands here: write it as \u2028 in double quotes`)
			return nil
		case r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f:
			fail(i, "a control character stands here")
			return nil
		}
	}
	if !utf8.ValidString(text) {
		fail(len(text), "is not UTF-8")
		return nil
	}
	for _, start := range src.lines {
		if len(text)-start > maxLine && len(src.rest(start)) > maxLine {
			fail(start, "this line is longer than 64 KB")
			return nil
		}
	}
	var doc yaml.Node
	limits := loaderlimits.New(loaderlimits.DepthValue(maxDepth), loaderlimits.AliasNone())
	if err := yaml.Load(b, &doc, yaml.WithPlugin(limits)); err != nil {
		l.syntax(src, err)
		return nil
	}
	if len(doc.Content) != 1 {
		fail(0, "is empty")
		return nil
	}
	return l.tree(src, doc.Content[0], false, 0)
}

// tree copies a node, follows aliases and puts the environment in. Aliases are counted in full,
// so that a few of them cannot stand for millions of values.
func (l *loader) tree(src *source, y *yaml.Node, flow bool, depth int) *node {
	n := &node{src: src, line: y.Line, column: y.Column, flow: flow}
	n.offset = src.offset(y.Line, y.Column)
	if l.nodes++; l.nodes > maxNodes || depth > maxDepth {
		if !l.flooded {
			l.flooded = true
			l.report(n, "limit", "holds too much: more than %d values, or more than %d inside each other", maxNodes, maxDepth)
		}
		return n
	}
	if y.Kind == yaml.AliasNode {
		if y.Alias == nil {
			l.report(n, "quote", "nothing is called %s here: quote it if it is an expression", quoted("*"+y.Value))
			return n
		}
		return l.tree(src, y.Alias, false, depth+1) // whether YAML cut it is judged where it stands
	}
	if y.Anchor != "" {
		n.offset += 1 + len(y.Anchor)
		for n.offset < len(src.text) && strings.IndexByte(" \t\r\n", src.text[n.offset]) >= 0 {
			n.offset++
		}
	}
	if y.Style&yaml.TaggedStyle != 0 {
		l.report(n, "quote", "YAML reads what begins with ! as a tag: quote it")
		n.tag, n.bad = "tagged", true
	}
	flow = flow || y.Style&yaml.FlowStyle != 0
	switch y.Kind {
	case yaml.SequenceNode:
		n.kind = list
		for _, c := range y.Content {
			n.items = append(n.items, l.tree(src, c, flow, depth+1))
		}
	case yaml.MappingNode:
		n.kind = object
		l.pairs(src, n, y, flow, depth)
	default:
		l.scalar(n, y)
	}
	return n
}

func (l *loader) pairs(src *source, n *node, y *yaml.Node, flow bool, depth int) {
	seen := map[string]*node{}
	var last *node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := l.key(src, y.Content[i], flow, depth+1)
		v := l.tree(src, y.Content[i+1], flow, depth+1)
		switch {
		case k.kind != scalar:
			l.report(k, "syntax", "a key is a word, not %s", k.kind)
			continue
		case y.Content[i].Tag == "!!merge":
			l.report(k, "unknown", "<< is not understood here: give the whole value by its alias, or write it out")
			continue
		case flow && k.style == plain && v.empty() && v.offset <= src.find(k, len(k.text)) && last != nil && last.kind == scalar && last.style == plain:
			// {a: x, y}: what follows the comma has become a key without a value.
			if !last.bad {
				l.report(last, "quote", "YAML cuts this value at the comma: quote it")
			}
			last.bad = true
			continue
		case seen[k.text] != nil:
			l.report(k, "duplicate", "the key %s is there already, on line %d", k.show(), seen[k.text].line)
			continue
		}
		seen[k.text] = k
		n.keys, n.items = append(n.keys, k), append(n.items, v)
		last = v
	}
}

func (l *loader) scalar(n *node, y *yaml.Node) {
	n.text = y.Value
	if n.tag == "" {
		n.tag = strings.TrimPrefix(y.ShortTag(), "!!")
	}
	switch {
	case y.Style&yaml.DoubleQuotedStyle != 0:
		n.style = doubleQuoted
	case y.Style&yaml.SingleQuotedStyle != 0:
		n.style = singleQuoted
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		n.style = block
	}
	if strings.IndexByte(n.text, 0) >= 0 {
		n.bad = true
		l.report(n, "value", "the character U+0000 stands in this value")
	}
	l.environment(n)
}

// key reads a key, in which the environment has no part.
func (l *loader) key(src *source, y *yaml.Node, flow bool, depth int) *node {
	env := l.env
	l.env = nil
	defer func() { l.env = env }()
	return l.tree(src, y, flow, depth)
}

// environment puts in ${NAME} and ${NAME:-default}; $${ is a ${ that stays.
func (l *loader) environment(n *node) {
	if l.env == nil || !strings.Contains(n.text, "${") {
		return
	}
	var out strings.Builder
	var names []string
	rest, at := n.text, 0
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		if i > 0 && rest[i-1] == '$' {
			out.WriteString(rest[:i-1] + "${")
			rest, at = rest[i+2:], at+i+2
			continue
		}
		out.WriteString(rest[:i])
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			n.bad = true
			l.reportIn(n, at+i, "env", "", "${ is not closed: write ${NAME}, or $${ for the characters themselves")
			return
		}
		name, fallback, hasFallback := strings.Cut(rest[i+2:i+end], ":-")
		if !envName().MatchString(name) {
			n.bad = true
			l.reportIn(n, at+i, "env", "", "between ${ and } stands the name of an environment variable: ${NAME} or ${NAME:-default}")
			return
		}
		value, ok := l.env(name)
		switch {
		case hasFallback && value == "":
			value = fallback
		case !ok:
			n.bad = true
			l.reportIn(n, at+i, "env", "", "the environment variable "+name+" is not set")
		}
		out.WriteString(value)
		names = append(names, "${"+name+"}")
		rest, at = rest[i+end+1:], at+i+end+1
	}
	out.WriteString(rest)
	n.text, n.env = out.String(), strings.Join(names, "")
	if n.env != "" && n.style == plain && n.text == "" {
		n.style = doubleQuoted // set to nothing is a text, not an absent value
	}
}

// reportIn adds a problem at byte at of a scalar.
func (l *loader) reportIn(n *node, at int, code, suggestion, message string) {
	line, column := n.line, n.column
	if n.env == "" {
		line, column = n.src.place(n.src.find(n, at))
	}
	l.reportAt(Pos{n.src.name, line, column}, code, suggestion, message)
}
