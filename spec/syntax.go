package spec

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// syntax reports why YAML could not read a file. Where an expression that needs quotes is the
// likely cause, that is said instead: what YAML stumbled over would not help.
func (l *loader) syntax(src *source, err error) {
	m := misread(src, err)
	if l.needQuotes(src, m.flowFrom, m.read) {
		return
	}
	l.reportAt(Pos{src.name, m.line, m.column}, "syntax", "", m.message)
}

// misreading is why YAML could not read a text: the place to mend, and what to do there.
type misreading struct {
	line, column int
	message      string
	flowFrom     int // the line on which the { or [ opens that was being read; 0: none
	flowColumn   int // and its column
	read         int // the line to which YAML came
}

// misread puts an error of the YAML library into words that name the remedy.
func misread(src *source, err error) misreading {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		return misreading{line: 1, column: 1, message: "is not YAML", read: 1}
	}
	m := misreading{line: max(le.Mark.Line, 1), column: max(le.Mark.Column, 1)}
	m.read = m.line
	if strings.Contains(le.ContextMsg, "flow") {
		m.flowFrom, m.flowColumn = le.ContextMark.Line, le.ContextMark.Column
		if strings.HasSuffix(le.ContextMsg, "flow node") { // that is where a value should be
			m.flowFrom, m.flowColumn = src.place(src.opening(src.offset(m.line, m.column)))
		}
	}
	switch msg := le.Message; {
	case strings.Contains(msg, "no documents"):
		m.message = "is empty"
	case strings.Contains(msg, "found multiple"):
		m.message = "holds more than one document; remove what follows the line ---"
	case strings.Contains(msg, "depth"):
		m.message = "is nested too deeply"
	case m.tab(src):
		m.message = "a tab stands here: YAML is indented with spaces"
	case m.flowFrom > 0:
		m.unclosed(src)
	case strings.Contains(le.ContextMsg, "quoted scalar"):
		m.quotes(src, le)
	case strings.Contains(msg, "could not find expected ':'"):
		m.line, m.column = le.ContextMark.Line, max(le.ContextMark.Column, 1)
		m.message = colonMissing(src.rest(src.offset(m.line, m.column)))
	case strings.Contains(msg, "mapping values"):
		m.nested(src)
	default:
		m.message = m.other(src, msg)
	}
	return m
}

// tab finds a tab in the indentation of the line.
func (m *misreading) tab(src *source) bool {
	line := m.text(src)
	i := strings.IndexByte(line[:len(line)-len(strings.TrimLeft(line, " \t"))], '\t')
	if i >= 0 {
		m.column = i + 1
	}
	return i >= 0
}

// unclosed is about what stands inside { } or [ ].
func (m *misreading) unclosed(src *source) {
	opening, closing := "{", "}"
	if strings.HasPrefix(src.rest(src.offset(m.flowFrom, m.flowColumn)), "[") {
		opening, closing = "[", "]"
	}
	if at := src.rest(src.offset(m.line, m.column)); m.line == m.flowFrom && strings.TrimSpace(at) != "" {
		if head := m.text(src); at[0] == ':' { // the comma belongs before the key
			m.column = utf8.RuneCountInString(head[:1+strings.LastIndexByte(head[:len(head)-len(at)], ' ')]) + 1
		}
		m.message = fmt.Sprintf("a comma or %s is missing before this: %s opens in column %d", closing, opening, m.flowColumn)
		return
	}
	m.line, m.column = m.flowFrom, m.flowColumn
	m.message = fmt.Sprintf("this %s is not closed: a %s, or a comma between two values, is missing", opening, closing)
}

func (m *misreading) quotes(src *source, le *yaml.LoadError) {
	if strings.Contains(le.Message, "escape") {
		m.message = `this is no escape of YAML: write \\ for the character itself, or put the text in '…'`
		return
	}
	m.line, m.column = le.ContextMark.Line, le.ContextMark.Column
	m.message = fmt.Sprintf("this text is not closed: its second %.1s is missing", src.rest(src.offset(m.line, m.column)))
}

// nested is about a key where none can be: behind the colon of another, or below a line that is no key.
func (m *misreading) nested(src *source) {
	line := m.text(src)
	above, number := "", m.line-1
	for ; number >= 1; number-- {
		above = src.rest(src.lines[number-1])
		if t := strings.TrimSpace(above); t != "" && !strings.HasPrefix(t, "#") {
			break
		}
	}
	switch head := line[:min(len(line), m.column-1)]; {
	case number >= 1 && !strings.Contains(above, ":") && !strings.Contains(head, ": "):
		m.line, m.column = number, indent(above)+1
		m.message = colonMissing(strings.TrimSpace(above))
	case number >= 1 && indent(line) > indent(above) && !strings.Contains(head, ": "):
		m.column = indent(line) + 1
		m.message = "this line is deeper than the one above it, which has its value already: indent both alike"
	default:
		m.message = "a second colon stands in this value: quote the value, or begin a new line"
	}
}

var spaceMissing = pattern(`^[\w-]+:[^\s:]`)

// colonMissing is about a line that begins with a key and no colon.
func colonMissing(line string) string {
	if spaceMissing().MatchString(line) {
		return "a space is missing behind the colon"
	}
	key, _, _ := strings.Cut(line, " ")
	return "a colon is missing behind " + quoted(key)
}

func (m *misreading) other(src *source, msg string) string {
	line := m.text(src)
	at := src.rest(src.offset(m.line, m.column))
	first := m.column <= indent(line)+1
	switch {
	case strings.Contains(msg, "cannot start any token"), strings.Contains(msg, "node content"):
		return fmt.Sprintf("a value cannot begin with %.1s: quote it", at)
	case strings.Contains(msg, "directive"):
		m.column = indent(line) + 1
		return "a line cannot begin with %: quote it"
	case strings.Contains(msg, "expected key") && !first:
		return "nothing can stand behind this value: remove it, or quote the whole"
	case strings.Contains(msg, "expected key") && strings.HasPrefix(at, "- "):
		return "an item of a list stands here among keys: indent it below the key it belongs to"
	case strings.Contains(msg, "expected key"):
		return "this line begins in a column of its own: indent it like the keys beside it"
	case strings.Contains(msg, "expected '-'"):
		return "a key stands here among the items of a list: indent it below its item, or begin it with -"
	case strings.Contains(msg, "sequence entries"):
		return "a list with - begins on a line of its own: or write [a, b]"
	case strings.Contains(msg, "comment or line break"):
		return "a block of text begins on the line below | or >: remove what stands behind it"
	case strings.Contains(msg, "anchor"):
		return "an alias like *name stands here, and nothing above is called &name: quote it if it is a text"
	}
	return "YAML cannot read this: " + msg
}

// text is the line that YAML came to.
func (m *misreading) text(src *source) string {
	if m.line > len(src.lines) {
		return ""
	}
	return src.rest(src.lines[m.line-1])
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
