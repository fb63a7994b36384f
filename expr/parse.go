package expr

import (
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/parser"
)

// parse reads a source that has a shape into cel-go's syntax tree. Macros are not expanded:
// exists, all and has arrive as calls.
func parse(src string) (*source, error) {
	p, err := parser.NewParser(
		parser.EnablePrattParser(true),
		parser.EnableVariadicOperatorASTs(true),
		parser.EnableIdentEscapeSyntax(false),
		parser.MaxRecursionDepth(maxChain),
		parser.ErrorReportingLimit(1),
		parser.ErrorRecoveryLimit(1),
		parser.ErrorRecoveryLookaheadTokenLimit(1),
	)
	if err != nil {
		return nil, err
	}
	tree, errs := p.Parse(common.NewTextSource(src))
	s := &source{src: src}
	for i := 0; i < len(src); i++ {
		if src[i] >= utf8.RuneSelf {
			s.offsets = codePointOffsets(src)
			break
		}
	}
	if list := errs.GetErrors(); len(list) > 0 {
		return nil, syntax(s.location(list[0].Location), "%s", plain(list[0].Message))
	}
	s.root, s.info = tree.Expr(), tree.SourceInfo()
	return s, nil
}

// maxChain bounds what is deep without brackets: a.b.c…, a + b + c…, a ? b : c ? d : e….
const maxChain = 2 * MaxDepth

// source is a parsed source.
type source struct {
	src     string
	root    ast.Expr
	info    *ast.SourceInfo
	offsets []int // code point → byte; nil when they are the same
}

// at is the byte offset where an expression's own token begins: an operator, a name, the dot
// of a selection, the parenthesis of a call.
func (s *source) at(e ast.Expr) int {
	r, ok := s.info.GetOffsetRange(e.ID())
	if !ok {
		return 0
	}
	return s.byteOffset(int(r.Start))
}

// nameAt is where the name of a selection (behind its dot) or of a call (before its
// parenthesis) begins.
func (s *source) nameAt(e ast.Expr) int {
	at := s.at(e)
	switch e.Kind() {
	case ast.SelectKind:
		l := lexer{src: s.src, pos: at + 1}
		l.skip()
		return l.pos
	case ast.CallKind:
		name := e.AsCall().FunctionName()
		if i := strings.LastIndex(s.src[:at], name); i >= 0 && strings.TrimSpace(s.src[i+len(name):at]) == "" {
			return i
		}
	}
	return at
}

func (s *source) byteOffset(codePoint int) int {
	if s.offsets == nil {
		return min(codePoint, len(s.src))
	}
	return s.offsets[min(codePoint, len(s.offsets)-1)]
}

func (s *source) location(l common.Location) int {
	line, start := 1, 0
	for line < l.Line() {
		i := strings.IndexByte(s.src[start:], '\n')
		if i < 0 {
			break
		}
		start += i + 1
		line++
	}
	at := start
	for n := 0; n < l.Column() && at < len(s.src); n++ {
		_, size := utf8.DecodeRuneInString(s.src[at:])
		at += size
	}
	return at
}

func codePointOffsets(src string) []int {
	offsets := make([]int, 0, len(src)+1)
	for i := range src {
		offsets = append(offsets, i)
	}
	return append(offsets, len(src))
}

// plain is the parser's message without its jargon.
func plain(msg string) string {
	msg = strings.TrimPrefix(msg, "Syntax error: ")
	if strings.Contains(msg, "recursion limit") {
		return "the expression is nested too deeply"
	}
	if strings.Contains(msg, "<EOF>") {
		return "the expression ends too early"
	}
	return msg
}
