package doc

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/bluell/plinth/fault"
)

const defaultDepth = 64

// Error says where a document is not one.
type Error struct {
	At           int    // byte position, counted from 1
	Line, Column int    // counted from 1; the column in code points
	Pointer      string // JSON pointer (RFC 6901) of the value that was being read
	Code         string // syntax, or duplicate: a key that is there twice or differs only in case
	Msg          string
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// Parse reads one JSON text and nothing beside it. b may be used again afterwards: the
// document shares one copy of it.
func Parse(b []byte, l Limits) (*Node, error) {
	p := parsers.Get().(*parser)
	p.src, p.at, p.depth = string(b), 0, l.Depth
	if p.depth == 0 {
		p.depth = defaultDepth
	}
	n, err := p.document()
	if err != nil {
		err.locate(p.src)
		return nil, err // p may still hold parts of the document: it is not used again
	}
	p.src = ""
	if cap(p.nodes) <= 1024 {
		parsers.Put(p)
	}
	return &n, nil
}

var parsers = sync.Pool{New: func() any {
	return &parser{nodes: make([]Node, 0, 32), keys: make([]string, 0, 32)}
}}

// parser reads in one pass. The members of the containers that are open wait on two stacks,
// nodes and keys; a container that closes takes its own off into slices of the right size.
type parser struct {
	src   string
	at    int
	depth int // containers that may still be opened
	nodes []Node
	keys  []string
}

func (p *parser) document() (Node, *Error) {
	if strings.HasPrefix(p.src, "\ufeff") {
		return Node{}, p.fail(0, "a byte order mark is not allowed")
	}
	p.space()
	n, err := p.value()
	if err != nil {
		return n, err
	}
	p.space()
	if p.at < len(p.src) {
		return n, p.fail(p.at, "nothing may follow the document")
	}
	return n, nil
}

// value reads a value; p.at is on its first byte.
func (p *parser) value() (n Node, err *Error) {
	if p.at >= len(p.src) {
		return n, p.fail(p.at, "the document ends where a value should be")
	}
	n.At = p.at
	switch c := p.src[p.at]; c {
	case '{':
		n.Kind = Object
		n.Keys, n.Items, err = p.object()
	case '[':
		n.Kind = Array
		n.Items, err = p.array()
	case '"':
		n.Kind = String
		n.Text, err = p.text()
	case 't':
		n.Kind, n.Bool = Bool, true
		err = p.word("true")
	case 'f':
		n.Kind = Bool
		err = p.word("false")
	case 'n':
		err = p.word("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		n.Kind = Number
		n.Text, err = p.number()
	default:
		err = p.fail(p.at, "a value cannot begin with "+p.show())
	}
	return n, err
}

func (p *parser) object() ([]string, []Node, *Error) {
	if p.depth--; p.depth < 0 {
		return nil, nil, p.fail(p.at, "too many arrays and objects inside each other")
	}
	p.at++
	firstNode, firstKey := len(p.nodes), len(p.keys)
	var seen map[string]struct{} // folded keys, once there are many
	p.space()
	if p.peek() == '}' {
		p.at++
		p.depth++
		return nil, nil, nil
	}
	for {
		keyAt := p.at
		if p.peek() != '"' {
			return nil, nil, p.fail(p.at, "a key in quotes should be here, not "+p.show())
		}
		key, err := p.text()
		if err != nil {
			return nil, nil, err
		}
		if strings.IndexByte(key, 0) >= 0 {
			return nil, nil, p.fail(keyAt, "a key may not contain U+0000")
		}
		if seen, err = p.unique(key, p.keys[firstKey:], seen, keyAt); err != nil {
			return nil, nil, err.inside(key)
		}
		p.space()
		if p.peek() != ':' {
			return nil, nil, p.fail(p.at, "a colon should be here, not "+p.show()).inside(key)
		}
		p.at++
		p.space()
		item, err := p.value()
		if err != nil {
			return nil, nil, err.inside(key)
		}
		p.keys = append(p.keys, key)
		p.nodes = append(p.nodes, item)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
			p.space()
		case '}':
			p.at++
			p.depth++
			keys := append(make([]string, 0, len(p.keys)-firstKey), p.keys[firstKey:]...)
			clear(p.keys[firstKey:])
			p.keys = p.keys[:firstKey]
			return keys, p.take(firstNode), nil
		default:
			return nil, nil, p.fail(p.at, "a comma or } should be here, not "+p.show())
		}
	}
}

func (p *parser) array() ([]Node, *Error) {
	if p.depth--; p.depth < 0 {
		return nil, p.fail(p.at, "too many arrays and objects inside each other")
	}
	p.at++
	first := len(p.nodes)
	p.space()
	if p.peek() == ']' {
		p.at++
		p.depth++
		return nil, nil
	}
	for n := 0; ; n++ {
		item, err := p.value()
		if err != nil {
			return nil, err.inside(strconv.Itoa(n))
		}
		p.nodes = append(p.nodes, item)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
			p.space()
		case ']':
			p.at++
			p.depth++
			return p.take(first), nil
		default:
			return nil, p.fail(p.at, "a comma or ] should be here, not "+p.show())
		}
	}
}

func (p *parser) take(first int) []Node {
	items := append(make([]Node, 0, len(p.nodes)-first), p.nodes[first:]...)
	clear(p.nodes[first:]) // what they refer to belongs to items alone
	p.nodes = p.nodes[:first]
	return items
}

// few is up to how many keys each new one is compared with all before it.
const few = 12

func (p *parser) unique(key string, keys []string, seen map[string]struct{}, at int) (map[string]struct{}, *Error) {
	if seen == nil {
		for _, k := range keys {
			if strings.EqualFold(k, key) {
				return nil, p.duplicate(key, at)
			}
		}
		if len(keys) < few {
			return nil, nil
		}
		seen = make(map[string]struct{}, 4*few)
		for _, k := range keys {
			seen[fold(k)] = struct{}{}
		}
	}
	f := fold(key)
	if _, there := seen[f]; there {
		return nil, p.duplicate(key, at)
	}
	seen[f] = struct{}{}
	return seen, nil
}

func (p *parser) duplicate(key string, at int) *Error {
	err := p.fail(at, "the key "+strconv.Quote(key)+" is there already, perhaps in another case")
	err.Code = "duplicate"
	return err
}

// fold maps all strings that strings.EqualFold holds equal to one: each rune becomes the
// smallest of its case orbit.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			if 'a' <= r && r <= 'z' {
				return r - 'a' + 'A'
			}
			return r
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

// text reads a string; p.at is on its opening quote. Without escapes it is part of the source.
func (p *parser) text() (string, *Error) {
	start := p.at + 1
	p.at = start
	ascii := true
	for p.at < len(p.src) {
		c := p.src[p.at]
		switch {
		case c == '"':
			s := p.src[start:p.at]
			if !ascii && !utf8.ValidString(s) {
				return "", p.fail(start+invalid(s), "this is not UTF-8")
			}
			p.at++
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", p.fail(p.at, "a control character in a string must be escaped")
		case c >= utf8.RuneSelf:
			ascii = false
		}
		p.at++
	}
	return "", p.fail(p.at, "the document ends inside a string")
}

// escaped goes on with a string at its first escape.
func (p *parser) escaped(start int) (string, *Error) {
	var b strings.Builder
	b.Grow(p.at - start + 32)
	part := start
	flush := func() *Error {
		s := p.src[part:p.at]
		if !utf8.ValidString(s) {
			return p.fail(part+invalid(s), "this is not UTF-8")
		}
		b.WriteString(s)
		return nil
	}
	for p.at < len(p.src) {
		c := p.src[p.at]
		switch {
		case c == '"':
			if err := flush(); err != nil {
				return "", err
			}
			p.at++
			return b.String(), nil
		case c == '\\':
			if err := flush(); err != nil {
				return "", err
			}
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			part = p.at
		case c < 0x20:
			return "", p.fail(p.at, "a control character in a string must be escaped")
		default:
			p.at++
		}
	}
	return "", p.fail(p.at, "the document ends inside a string")
}

// escape reads one escape sequence, surrogate pairs as one.
func (p *parser) escape() (rune, *Error) {
	at := p.at
	p.at += 2
	if p.at > len(p.src) {
		return 0, p.fail(len(p.src), "the document ends inside a string")
	}
	switch p.src[at+1] {
	case '"', '\\', '/':
		return rune(p.src[at+1]), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := p.hex4()
		if !ok {
			return 0, p.fail(at, `\u needs four hexadecimal digits`)
		}
		if !utf16.IsSurrogate(r) {
			return r, nil
		}
		if strings.HasPrefix(p.src[p.at:], `\u`) {
			p.at += 2
			if low, ok := p.hex4(); ok {
				if pair := utf16.DecodeRune(r, low); pair != unicode.ReplacementChar {
					return pair, nil
				}
			}
		}
		return 0, p.fail(at, "half of a surrogate pair is not a character")
	}
	return 0, p.fail(at, "there is no such escape sequence")
}

func (p *parser) hex4() (rune, bool) {
	if len(p.src)-p.at < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.src[p.at : p.at+4]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.at += 4
	return r, true
}

func (p *parser) number() (string, *Error) {
	start := p.at
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if !p.digits() {
		return "", p.fail(p.at, "a digit should be here, not "+p.show())
	}
	if c := p.peek(); '0' <= c && c <= '9' {
		return "", p.fail(start, "a number has no leading zeros")
	}
	if p.peek() == '.' {
		p.at++
		if !p.digits() {
			return "", p.fail(p.at, "a digit should be here, not "+p.show())
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			return "", p.fail(p.at, "a digit should be here, not "+p.show())
		}
	}
	return p.src[start:p.at], nil
}

func (p *parser) digits() bool {
	start := p.at
	for p.at < len(p.src) && '0' <= p.src[p.at] && p.src[p.at] <= '9' {
		p.at++
	}
	return p.at > start
}

func (p *parser) word(w string) *Error {
	if !strings.HasPrefix(p.src[p.at:], w) {
		return p.fail(p.at, "a value cannot begin with "+p.show())
	}
	p.at += len(w)
	return nil
}

func (p *parser) space() {
	for p.at < len(p.src) {
		switch p.src[p.at] {
		case ' ', '\n', '\r', '\t':
			p.at++
		default:
			return
		}
	}
}

// peek is the byte at hand, 0 at the end; a 0 in the source fits nowhere either.
func (p *parser) peek() byte {
	if p.at < len(p.src) {
		return p.src[p.at]
	}
	return 0
}

// show names what is at hand, for messages.
func (p *parser) show() string {
	if p.at >= len(p.src) {
		return "the end of the document"
	}
	r, _ := utf8.DecodeRuneInString(p.src[p.at:])
	if r == utf8.RuneError {
		return "a broken character"
	}
	return strconv.QuoteRune(r)
}

func (p *parser) fail(at int, msg string) *Error {
	return &Error{At: at + 1, Code: "syntax", Msg: msg}
}

// inside puts a pointer's step in front: errors gather their place on the way out.
func (e *Error) inside(key string) *Error {
	e.Pointer = fault.Pointer(key) + e.Pointer
	return e
}

func (e *Error) locate(src string) {
	before := src[:min(e.At-1, len(src))]
	e.Line = strings.Count(before, "\n") + 1
	e.Column = utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}

// invalid is the offset of the first byte that is not UTF-8.
func invalid(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return len(s)
}
