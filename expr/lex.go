package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// tokenKind is as much of a token's kind as its shape needs.
type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokWord
	tokString
	tokInt
	tokFloat
	tokOpen  // ( [ {
	tokClose // ) ] }
	tokLight // . , : nothing is needed around them
	tokSign  // any other operator
)

type token struct {
	kind       tokenKind
	start, end int
}

// lexer splits a source into the tokens of CEL. It knows every form of literal, so that what
// is lifted out of a filter is what the parser would have read in its place.
type lexer struct {
	src string
	pos int
}

func syntax(at int, format string, args ...any) *Error {
	return &Error{At: at, Code: "syntax", Msg: fmt.Sprintf(format, args...)}
}

func (l *lexer) next() (token, *Error) {
	l.skip()
	src, start := l.src, l.pos
	if start >= len(src) {
		return token{kind: tokEnd, start: start, end: start}, nil
	}
	c := src[start]
	switch {
	case isLetter(c):
		if q := rawQuote(src[start:]); q > 0 {
			return l.text(start, q, true)
		}
		if isBytesLiteral(src[start:]) {
			return token{}, syntax(start, "bytes are not part of the language: write a string")
		}
		for l.pos < len(src) && (isLetter(src[l.pos]) || isDigit(src[l.pos])) {
			l.pos++
		}
		return token{tokWord, start, l.pos}, nil
	case isDigit(c), c == '.' && isDigit(l.at(start+1)):
		return l.number(start)
	case c == '"' || c == '\'':
		return l.text(start, 0, false)
	}
	l.pos++
	kind := tokSign
	switch c {
	case '(', '[', '{':
		kind = tokOpen
	case ')', ']', '}':
		kind = tokClose
	case '.', ',', ':':
		kind = tokLight
	case '+', '-', '*', '/', '%', '?':
	case '!', '<', '>':
		if l.at(l.pos) == '=' {
			l.pos++
		}
	case '=':
		if l.at(l.pos) != '=' {
			return token{}, syntax(start, "= is not an operator: write ==")
		}
		l.pos++
	case '&', '|':
		if l.at(l.pos) != c {
			return token{}, syntax(start, "%c is not an operator: write %c%c", c, c, c)
		}
		l.pos++
	default:
		r, _ := utf8.DecodeRuneInString(src[start:])
		return token{}, syntax(start, "%q has no meaning here", r)
	}
	return token{kind, start, l.pos}, nil
}

// skip passes over white space and comments.
func (l *lexer) skip() {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			l.pos++
		case c == '/' && l.at(l.pos+1) == '/':
			end := strings.IndexByte(l.src[l.pos:], '\n')
			if end < 0 {
				l.pos = len(l.src)
				return
			}
			l.pos += end + 1
		default:
			return
		}
	}
}

// at is the byte at i, 0 behind the end.
func (l *lexer) at(i int) byte {
	if i < len(l.src) {
		return l.src[i]
	}
	return 0
}

func (l *lexer) number(start int) (token, *Error) {
	kind := tokInt
	if l.src[start] == '0' && l.at(start+1)|0x20 == 'x' {
		l.pos += 2
		for isHex(l.at(l.pos)) {
			l.pos++
		}
		if l.pos == start+2 {
			return token{}, syntax(start, "digits are missing after 0x")
		}
	} else {
		l.digits()
		if l.at(l.pos) == '.' && isDigit(l.at(l.pos+1)) {
			kind = tokFloat
			l.pos++
			l.digits()
		}
		if l.at(l.pos)|0x20 == 'e' {
			kind = tokFloat
			l.pos++
			if c := l.at(l.pos); c == '+' || c == '-' {
				l.pos++
			}
			if !isDigit(l.at(l.pos)) {
				return token{}, syntax(start, "digits are missing in the exponent")
			}
			l.digits()
		}
	}
	if c := l.at(l.pos); isLetter(c) || isDigit(c) {
		return token{}, syntax(start, "a number ends in %q", c)
	}
	return token{kind, start, l.pos}, nil
}

func (l *lexer) digits() {
	for isDigit(l.at(l.pos)) {
		l.pos++
	}
}

// text reads a string whose quote is prefix bytes behind start.
func (l *lexer) text(start, prefix int, raw bool) (token, *Error) {
	src := l.src
	i := start + prefix
	quote := src[i]
	triple := l.at(i+1) == quote && l.at(i+2) == quote
	i++
	if triple {
		i += 2
	}
	for i < len(src) {
		c := src[i]
		switch {
		case c == '\\' && !raw:
			i += 2
			continue
		case c == quote && !triple:
			l.pos = i + 1
			return token{tokString, start, l.pos}, nil
		case c == quote && l.at(i+1) == quote && l.at(i+2) == quote:
			l.pos = i + 3
			return token{tokString, start, l.pos}, nil
		case (c == '\n' || c == '\r') && !triple:
			return token{}, syntax(start, "the string has no end on its line")
		}
		i++
	}
	return token{}, syntax(start, "the string has no end")
}

// rawQuote is the length of the prefix of a raw string, 0 when it is none.
func rawQuote(s string) int {
	if len(s) > 1 && s[0]|0x20 == 'r' && (s[1] == '"' || s[1] == '\'') {
		return 1
	}
	return 0
}

func isBytesLiteral(s string) bool {
	i := 0
	for i < len(s) && i < 2 && (s[i]|0x20 == 'b' || s[i]|0x20 == 'r') {
		i++
	}
	return i > 0 && i < len(s) && (s[i] == '"' || s[i] == '\'')
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isHex(c byte) bool    { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// unquote is the text of a string literal as it is written, quotes and prefix included. It
// allocates only where there is something to replace.
func unquote(lit string, at int) (string, *Error) {
	raw := lit[0]|0x20 == 'r'
	if raw {
		lit = lit[1:]
		at++
	}
	n := 1
	if len(lit) >= 6 && lit[1] == lit[0] && lit[2] == lit[0] {
		n = 3
	}
	body := lit[n : len(lit)-n]
	at += n
	if strings.IndexByte(body, '\r') >= 0 {
		body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")
	}
	if raw || strings.IndexByte(body, '\\') < 0 {
		return body, nil
	}
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); {
		if body[i] != '\\' {
			out = append(out, body[i])
			i++
			continue
		}
		r, size := unescape(body[i+1:])
		if size == 0 {
			return "", syntax(at+i, "the escape after \\ is not known: write \\\\ for a backslash")
		}
		out = utf8.AppendRune(out, r)
		i += 1 + size
	}
	return string(out), nil
}

// unescape reads what follows a backslash; size 0: it is none.
func unescape(s string) (r rune, size int) {
	if s == "" {
		return 0, 0
	}
	base, digits, skip := rune(16), 0, 1
	switch s[0] {
	case 'a':
		return '\a', 1
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'v':
		return '\v', 1
	case '\\', '\'', '"', '`', '?':
		return rune(s[0]), 1
	case 'x', 'X':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case '0', '1', '2', '3':
		base, digits, skip = 8, 3, 0
	default:
		return 0, 0
	}
	if len(s) < skip+digits {
		return 0, 0
	}
	for i := skip; i < skip+digits; i++ {
		var d rune
		switch c := s[i]; {
		case isDigit(c):
			d = rune(c - '0')
		case isHex(c):
			d = rune(c|0x20-'a') + 10
		default:
			return 0, 0
		}
		if d >= base {
			return 0, 0
		}
		r = r*base + d
	}
	if !utf8.ValidRune(r) {
		return 0, 0
	}
	return r, skip + digits
}
