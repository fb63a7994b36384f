package spec

import "fmt"

type kind uint8

const (
	scalar kind = iota
	list
	object
)

func (k kind) String() string { return [...]string{"a value", "a list", "a map"}[k] }

type style uint8

const (
	plain style = iota
	singleQuoted
	doubleQuoted
	block // literal and folded
)

// node is a value of the app file with its place. What YAML thinks of a scalar does not
// matter: it is text, and is read as what its place wants.
type node struct {
	kind  kind
	text  string // scalar: with the environment put in
	style style
	tag   string // what YAML 1.2 takes a plain scalar for: null bool int float str
	env   string // the environment variables in it, "${A}": its text is then never shown
	flow  bool   // stands inside { } or [ ]
	bad   bool   // what is wrong with it has been reported
	keys  []*node
	items []*node // of a list, or the values of keys

	src          *source
	line, column int
	offset       int // where it begins in src
}

// null says whether nothing is there: an empty value, ~ or null.
func (n *node) null() bool { return n.kind == scalar && n.style == plain && n.tag == "null" }

// empty says whether not even a word is there.
func (n *node) empty() bool { return n.null() && n.text == "" }

// show names a scalar in a message, and never tells what came from the environment.
func (n *node) show() string {
	switch {
	case n.kind != scalar:
		return n.kind.String()
	case n.empty():
		return "nothing"
	case n.env != "":
		return "the value of " + n.env
	default:
		return quoted(n.text)
	}
}

func (n *node) pos() Pos { return Pos{File: n.src.name, Line: n.line, Column: n.column} }

// get finds the value of a key.
func (n *node) get(key string) *node {
	for i, k := range n.keys {
		if k.text == key {
			return n.items[i]
		}
	}
	return nil
}

// report adds a problem at a node.
func (l *loader) report(n *node, code, format string, args ...any) {
	l.reportAt(n.pos(), code, "", fmt.Sprintf(format, args...))
}

// suggest adds a problem at a node, with the one of words that was probably meant.
func (l *loader) suggest(n *node, words []string, code, format string, args ...any) {
	s, why := "", ""
	if n.env == "" && len(l.problems) < maxProblems {
		s, why = meant(n.text, words)
	}
	message := fmt.Sprintf(format, args...)
	if why != "" {
		message += ": " + why
	}
	l.reportAt(n.pos(), code, s, message)
}

func (l *loader) reportAt(p Pos, code, suggestion, message string) {
	if len(l.problems) < 10*maxProblems {
		l.problems = append(l.problems, Problem{p.File, p.Line, p.Column, code, message, suggestion})
	}
}
