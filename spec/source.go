package spec

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// source is the text of one file.
type source struct {
	name  string
	text  string
	lines []int // where each line begins

	last struct{ line, column, offset int } // found last: nodes are asked for in their order
}

func newSource(name, text string) *source {
	s := &source{name: name, text: text, lines: []int{0}}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' || text[i] == '\r' && !strings.HasPrefix(text[i+1:], "\n") {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// offset finds the byte at a line and column.
func (s *source) offset(line, column int) int {
	if line < 1 || line > len(s.lines) {
		return len(s.text)
	}
	i, at := s.lines[line-1], 1
	if s.last.line == line && s.last.column <= column {
		i, at = s.last.offset, s.last.column
	}
	for ; at < column && i < len(s.text); at++ {
		_, n := utf8.DecodeRuneInString(s.text[i:])
		i += n
	}
	s.last.line, s.last.column, s.last.offset = line, column, i
	return i
}

// place is the line and column of a byte.
func (s *source) place(offset int) (line, column int) {
	offset = min(offset, len(s.text))
	line = sort.SearchInts(s.lines, offset+1)
	return line, utf8.RuneCountInString(s.text[s.lines[line-1]:offset]) + 1
}

// rest is the remainder of the line that holds the byte.
func (s *source) rest(offset int) string {
	t := s.text[min(offset, len(s.text)):]
	if i := strings.IndexAny(t, "\r\n"); i >= 0 {
		return t[:i]
	}
	return t
}

// opening finds the innermost { or [ that is open at a byte, outside of texts, comments and blocks of text.
func (s *source) opening(end int) int {
	var stack []int
	quote, begins, deep := byte(0), true, -1 // begins: a value can begin here; deep: how far a block of text is indented at least
	for _, start := range s.lines {
		line := s.rest(start)
		in := indent(line)
		if deep >= 0 && (in > deep || strings.TrimSpace(line) == "") {
			continue
		}
		deep = -1
		if len(stack) == 0 && quote == 0 {
			begins = true
			if blockStart().MatchString(strings.TrimRight(line, " \t")) {
				deep = in
			}
		}
	scan:
		for i := 0; i < len(line) && start+i < end; i++ {
			switch c := line[i]; {
			case quote != 0:
				if c == '\\' && quote == '"' || c == '\'' && strings.HasPrefix(line[i:], "''") {
					i++
				} else if c == quote {
					quote = 0
				}
			case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
				break scan
			case c == ' ' || c == '\t':
				begins = begins || i > 0 && strings.IndexByte(":-?", line[i-1]) >= 0
			case (c == '"' || c == '\'') && begins:
				quote, begins = c, false
			case (c == '{' || c == '[') && (begins || len(stack) > 0):
				stack, begins = append(stack, start+i), true
			case (c == '}' || c == ']') && len(stack) > 0:
				stack, begins = stack[:len(stack)-1], false
			default:
				begins = c == ',' && len(stack) > 0 || c == '-' && begins
			}
		}
	}
	if len(stack) == 0 {
		return end
	}
	return stack[len(stack)-1]
}

// find gives the byte of the file from which byte at of the scalar's value was read: quotes,
// escapes, folded lines and indentation lie between them. The value's length finds its end.
// It follows both texts side by side and lets white space differ, as folding does.
func (s *source) find(n *node, at int) int {
	if n.env != "" {
		return n.offset
	}
	i, src := n.offset, s.text
	switch n.style {
	case doubleQuoted, singleQuoted:
		i++
	case block:
		i += len(s.rest(i))
	}
	v := n.text
	for j := 0; j < len(v); {
		r, size := utf8.DecodeRuneInString(v[j:])
		white := r == ' ' || r == '\n' || r == '\t'
		if !white {
			i = s.skipWhite(i, n.style)
		}
		if j >= at {
			return i
		}
		if i >= len(src) {
			return len(src)
		}
		switch {
		case n.style == doubleQuoted && src[i] == '\\':
			i += escapeLen(src[i:])
		case n.style == singleQuoted && strings.HasPrefix(src[i:], "''"):
			i += 2
		case white:
			if src[i] == ' ' || src[i] == '\t' || src[i] == '\n' || src[i] == '\r' {
				i++
			}
		default:
			_, n := utf8.DecodeRuneInString(src[i:])
			i += n
		}
		j += size
	}
	return i
}

// skipWhite passes white space, and in double quotes the escaped ends of lines.
func (s *source) skipWhite(i int, st style) int {
	for i < len(s.text) {
		switch c := s.text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '\\' && st == doubleQuoted && i+1 < len(s.text) && (s.text[i+1] == '\n' || s.text[i+1] == '\r'):
			i += 2
		default:
			return i
		}
	}
	return i
}

// escapeLen is the length of an escape in double quotes.
func escapeLen(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	n := 2
	switch s[1] {
	case 'x':
		n = 4
	case 'u':
		n = 6
	case 'U':
		n = 10
	}
	return min(n, len(s))
}

func quoted(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:57]) + "…"
	}
	return strconv.Quote(s)
}
