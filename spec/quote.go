package spec

import (
	"strings"
)

// cut looks for what YAML took away from an expression without quotes: it says what is wrong,
// or "". A comment inside { } always counts as a cut, because it may as well be meant as part
// of the expression and nobody would see it; elsewhere it does when a text or bracket stays open.
func cut(n *node) string {
	if n.kind != scalar || n.style != plain || n.env != "" {
		return ""
	}
	end := n.src.find(n, len(n.text))
	rest := strings.TrimLeft(n.src.rest(end), " \t")
	switch {
	case strings.HasPrefix(rest, "#") && (n.flow && n.tag != "bool" || open(n.text)):
		return "YAML ends this expression at the #: quote it"
	case n.flow && open(n.text) && strings.HasPrefix(rest, ","):
		return "YAML cuts this expression at the comma: quote it"
	}
	return ""
}

// open says whether a text or a bracket of an expression is not closed.
func open(s string) bool {
	depth, quote := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		}
	}
	return quote != 0 || depth > 0
}

// expressionKey finds, in a line, the keys whose values are expressions.
var expressionKey = pattern(`(?:^|[{,\s"'-])(?:` + strings.Join(expressionKeys(), "|") + `)["']?\s*:[ \t]+`)

// needQuotes is asked when YAML could not read a file: it reports the expressions without
// quotes that are likely to be the cause, and whether there were any. The lines from flowFrom to
// flowTo, if any, stand inside { } or [ ].
func (l *loader) needQuotes(src *source, flowFrom, flowTo int) bool {
	found := false
	blockIndent := -1
	for i, start := range src.lines {
		line := src.rest(start)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if strings.TrimSpace(line) == "" {
			continue
		}
		if blockIndent >= 0 && indent > blockIndent {
			continue // inside a block of text
		}
		blockIndent = -1
		trimmed := strings.TrimRight(line, " \t")
		if blockStart().MatchString(trimmed) {
			blockIndent = indent
		}
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") {
			continue
		}
		for _, m := range expressionKey().FindAllStringIndex(line, -1) {
			before := line[:m[0]+1]
			if strings.Count(before, `"`)%2+strings.Count(before, `'`)%2 > 0 {
				continue // the key stands inside a text
			}
			inFlow := strings.Count(before, "{") > strings.Count(before, "}") || flowFrom > 0 && i+1 > flowFrom && i+1 <= flowTo
			if why := unreadable(line[m[1]:], inFlow); why != "" {
				_, column := src.place(start + m[1])
				l.reportAt(Pos{src.name, i + 1, column}, "quote", "", why)
				found = true
			}
		}
	}
	return found
}

var blockStart = pattern(`(?:^|[:\s-])\s*[|>][0-9+-]*(?:\s+#.*)?$`)

// unreadable says why YAML cannot read an expression that begins here, or "".
func unreadable(s string, flow bool) string {
	if s == "" {
		return ""
	}
	switch c := s[0]; c {
	case '"', '\'':
		end := closing(s)
		if end < 0 {
			return ""
		}
		rest := strings.TrimLeft(s[end:], " \t")
		if rest == "" || rest[0] == '#' || flow && (rest[0] == ',' || rest[0] == '}' || rest[0] == ']') {
			return ""
		}
		return "YAML ends this expression at the second " + string(c) + ": quote the whole of it"
	case '!', '*', '&', '%', '@', '`', '[', '{', ']', '}', ',', '|', '>', '#':
		if (c == '|' || c == '>') && blockStart().MatchString(" "+strings.TrimRight(s, " \t")) {
			return ""
		}
		return "YAML has its own use for a leading " + string(c) + ": quote it"
	}
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ':' && (i+1 == len(s) || s[i+1] == ' ' || s[i+1] == '\t'):
			return "YAML takes the colon in this expression for its own: quote it"
		case c == '#' && i > 0 && (s[i-1] == ' ' || s[i-1] == '\t'):
			if flow || quote != 0 {
				return "YAML ends this expression at the #: quote it"
			}
			return ""
		case flow && strings.IndexByte("[]{}", c) >= 0:
			if quote == 0 && (c == '}' || c == ']') {
				return ""
			}
			return "YAML has its own use for " + string(c) + " inside { }: quote this expression"
		case flow && c == ',':
			if quote == 0 && !open(s[:i]) {
				return ""
			}
			return "YAML cuts this expression at the comma: quote it"
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		}
	}
	return ""
}

// closing finds the byte behind a text in YAML's quotes, or -1.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[0] == '"' && s[i] == '\\':
			i++
		case s[0] == '\'' && strings.HasPrefix(s[i:], "''"):
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return -1
}
