package spec

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// pattern compiles a regular expression when it is first asked for. Most are only needed where there is a mistake,
// and compiling all of them was a tenth of the time in which a server starts.
func pattern(re string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(re) })
}

var (
	namePattern   = pattern(`^[a-z][a-z0-9_]{0,39}$`)
	systemPattern = pattern(`^_[a-z][a-z0-9_]{0,38}$`)
	envName       = pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

var (
	reservedCollections = []string{"auth", "batch", "live", "docs", "changes", "files", "openapi"}
	reservedFields      = []string{"id", "created", "updated", "rev", "expand", "auth", "input", "now", "param"}

	// reservedWords are those of CEL: https://github.com/cel-expr/cel-spec/blob/master/doc/langdef.md#syntax
	reservedWords = []string{
		"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in",
		"let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while",
	}
)

// name checks a name that the app gives to something.
func (l *loader) name(n *node, what string, reserved ...string) bool {
	before, _, brace := strings.Cut(n.text, " {")
	switch {
	case brace && namePattern().MatchString(before):
		l.report(n, "syntax", "a colon is missing behind %s", quoted(before))
		return false
	case n.kind != scalar || !namePattern().MatchString(n.text):
		better := snake(n.text)
		if n.kind != scalar || n.env != "" || !namePattern().MatchString(better) || slices.Contains(reserved, better) {
			better = ""
		}
		l.reportAt(n.pos(), "name", better, n.show()+" is not a name for "+what+": lower-case letters, digits and _, a letter first, at most 40")
		return false
	case slices.Contains(reserved, n.text):
		l.report(n, "reserved", "%s is reserved: give %s another name", n.show(), what)
		return false
	}
	return true
}
