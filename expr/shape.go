package expr

import (
	"unicode/utf8"
)

// Limits of an expression, enforced before any parser runs.
const (
	MaxSource = 8 << 10 // bytes
	MaxDepth  = 50      // of nested parentheses, brackets and calls
	MaxItems  = 1000    // of a list literal
)

// LiteralKind is the kind of a lifted literal; it is part of the shape.
type LiteralKind uint8

const (
	LitString LiteralKind = iota
	LitInt
	LitFloat
)

// Literal is a literal lifted from a source.
type Literal struct {
	Kind LiteralKind
	Text string // a string's content; a number as it is written
	Pos  int    // byte offset in the source
}

// What stands in a shape for a literal. None of them can be in it for another reason.
var placeholder = [...]byte{LitString: '"', LitInt: '#', LitFloat: '~'}

// Shape is a filter with its literals lifted and its white space normalised: filters of one
// shape compile to one tree, and differ in their arguments only. It enforces the limits of
// length and depth, so a source that has a shape is safe to parse.
func Shape(src string) (string, []Literal, error) {
	dst, lits, err := AppendShape(make([]byte, 0, len(src)+len(src)/2), src, nil)
	if err != nil {
		return "", nil, err
	}
	return string(dst), lits, nil
}

// AppendShape is Shape into buffers of the caller.
func AppendShape(dst []byte, src string, lits []Literal) ([]byte, []Literal, error) {
	if len(src) > MaxSource {
		return dst, lits, syntax(MaxSource, "the expression is longer than %d bytes", MaxSource)
	}
	if !utf8.ValidString(src) {
		return dst, lits, syntax(invalidAt(src), "the expression is not valid UTF-8")
	}
	l := lexer{src: src}
	depth := 0
	last := tokOpen
	for {
		t, err := l.next()
		if err != nil {
			return dst, lits, err
		}
		switch t.kind {
		case tokEnd:
			return dst, lits, nil
		case tokOpen:
			if depth++; depth > MaxDepth {
				return dst, lits, syntax(t.start, "the expression is more than %d levels deep", MaxDepth)
			}
		case tokClose:
			depth--
		}
		if apart(last, t.kind) {
			dst = append(dst, ' ')
		}
		last = t.kind
		text := src[t.start:t.end]
		switch t.kind {
		case tokString:
			if text, err = unquote(text, t.start); err != nil {
				return dst, lits, err
			}
			lits = append(lits, Literal{LitString, text, t.start})
			dst = append(dst, placeholder[LitString])
		case tokInt:
			lits = append(lits, Literal{LitInt, text, t.start})
			dst = append(dst, placeholder[LitInt])
		case tokFloat:
			lits = append(lits, Literal{LitFloat, text, t.start})
			dst = append(dst, placeholder[LitFloat])
		default:
			dst = append(dst, text...)
		}
	}
}

// apart says whether a space keeps two tokens apart in a shape.
func apart(a, b tokenKind) bool {
	return a < tokOpen && b < tokOpen || a == tokSign || b == tokSign
}

func invalidAt(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return len(s)
}
