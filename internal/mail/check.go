package mail

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template/parse"
	"unicode/utf8"

	htmltemplate "github.com/DataDog/datadog-agent/pkg/template/html"
	texttemplate "github.com/DataDog/datadog-agent/pkg/template/text"

	"github.com/bluell/plinth/spec"
)

// checker looks at one file: whether it can be read as a template, whether it asks only for what there is in this mail,
// and whether it can be filled in.
type checker struct {
	file file
	text *texttemplate.Template
	html *htmltemplate.Template
	bad  []spec.Problem

	walked map[string]bool // the parts that were looked at
	dollar bool            // $ is the variables of the mail; else it is a text
}

// report tells of a problem at a byte of the file.
func (c *checker) report(at int, code, format string, args ...any) *spec.Problem {
	before := c.file.src[:min(max(at, 0), len(c.file.src))]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	c.bad = append(c.bad, spec.Problem{File: Folder + "/" + c.file.name, Line: line, Column: column, Code: code, Message: fmt.Sprintf(format, args...)})
	return &c.bad[len(c.bad)-1]
}

func (c *checker) check() {
	if !c.file.page {
		first, _, _ := strings.Cut(c.file.src, "\n")
		if rest, ok := strings.CutPrefix(first, subjectIs); !ok || strings.TrimSpace(rest) == "" {
			c.report(0, "missing", "the first line of a mail's text is its subject: %sWelcome", subjectIs)
		}
	}
	trees, err := c.parse()
	if err != nil {
		at, text := c.where(err)
		c.report(at+max(strings.Index(c.rest(at), "{{"), 0), "syntax", "%s", text) // what cannot be read there
		return
	}
	c.walked, c.dollar = map[string]bool{}, true
	if root := trees[c.file.name]; root != nil && root.Root != nil {
		c.walk(root.Root, true, trees)
	}
	if len(c.bad) > 0 {
		return
	}
	if err := c.try(); err != nil {
		at, text := c.where(err)
		c.report(at, "value", "%s", text)
	}
}

// parse reads the file; trees are its parts by name.
func (c *checker) parse() (trees map[string]*parse.Tree, err error) {
	trees = map[string]*parse.Tree{}
	if c.file.page {
		if c.html, err = htmltemplate.New(c.file.name).Option("missingkey=error").Parse(c.file.src); err == nil {
			for _, t := range c.html.Templates() {
				trees[t.Name()] = t.Tree
			}
		}
		return trees, err
	}
	if c.text, err = texttemplate.New(c.file.name).Option("missingkey=error").Parse(c.file.src); err == nil {
		for _, t := range c.text.Templates() {
			trees[t.Name()] = t.Tree
		}
	}
	return trees, err
}

// try fills in the file once, for what only then is found: HTML in which a value cannot be put safely.
func (c *checker) try() error {
	v := c.samples()
	if c.html != nil {
		return c.html.Execute(io.Discard, v)
	}
	return c.text.Execute(io.Discard, v)
}

// vars are the variables of the file's mail.
func (c *checker) vars() []string { return append(slices.Clone(general), forms[c.file.of].vars...) }

func (c *checker) samples() map[string]string {
	v := map[string]string{}
	for _, name := range c.vars() {
		v[name] = "sample"
	}
	v["URL"] = "https://app.example.com"
	if _, ok := v["Link"]; ok {
		v["Link"] = "https://app.example.com/auth/page?token=sample"
	}
	return v
}

// walk looks at what a part asks for. all says that the dot is the variables of the mail; else it is a text.
func (c *checker) walk(n parse.Node, all bool, trees map[string]*parse.Tree) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, n := range n.Nodes {
			c.walk(n, all, trees)
		}
	case *parse.ActionNode:
		c.pipe(n.Pipe, all)
	case *parse.IfNode:
		c.branch(&n.BranchNode, all, all, trees)
	case *parse.WithNode:
		c.branch(&n.BranchNode, all, c.whole(n.Pipe, all), trees)
	case *parse.RangeNode:
		c.report(int(n.Pos), "type", "there is no list in a mail to range over")
	case *parse.TemplateNode:
		c.pipe(n.Pipe, all)
		part := trees[n.Name]
		if part == nil {
			c.report(int(n.Pos), "unknown", "there is no part %q in this file", n.Name)
			return
		}
		inside, outside := c.whole(n.Pipe, all), c.dollar
		if key := fmt.Sprint(n.Name, inside); !c.walked[key] {
			c.walked[key], c.dollar = true, inside
			c.walk(part.Root, inside, trees)
			c.dollar = outside
		}
	}
}

func (c *checker) branch(b *parse.BranchNode, all, inside bool, trees map[string]*parse.Tree) {
	c.pipe(b.Pipe, all)
	c.walk(b.List, inside, trees)
	if b.ElseList != nil {
		c.walk(b.ElseList, all, trees)
	}
}

// whole says whether a pipeline is the variables of the mail: the dot where it is, or $ where that is.
func (c *checker) whole(p *parse.PipeNode, all bool) bool {
	if p == nil || len(p.Decl) > 0 || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	s := p.Cmds[0].Args[0].String()
	return s == "." && all || s == "$" && c.dollar
}

func (c *checker) pipe(p *parse.PipeNode, all bool) {
	if p == nil {
		return
	}
	for _, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			switch arg := arg.(type) {
			case *parse.FieldNode:
				c.field(int(arg.Pos), arg.Ident, all)
			case *parse.VariableNode:
				if len(arg.Ident) > 1 {
					c.field(int(arg.Pos), arg.Ident[1:], arg.Ident[0] == "$" && c.dollar)
				}
			case *parse.ChainNode:
				c.report(int(arg.Pos), "type", "a variable of a mail is a text: it has no part .%s", strings.Join(arg.Field, "."))
			case *parse.PipeNode:
				c.pipe(arg, all)
			}
		}
	}
}

// field looks at .A or .A.B.
func (c *checker) field(at int, names []string, all bool) {
	switch vars := c.vars(); {
	case !all && c.dollar:
		c.report(at, "type", "this is a text here, without parts: write $.%s", names[0])
	case !all:
		c.report(at, "type", "this is a text here, without parts: give the part of the file the dot, as in {{template \"NAME\" .}}")
	case !slices.Contains(vars, names[0]):
		c.report(at, "unknown", "the mail %s has no %s: there are %s", c.file.of, names[0], strings.Join(vars, ", ")).Suggestion = spec.Nearest(names[0], vars)
	case len(names) > 1:
		c.report(at, "type", "%s is a text: it has no part .%s", names[0], names[1])
	}
}

// place is how text/template tells where an error is: the line from 1, and, where it could be read, the column from 0.
var place = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^template: [^:]*:(\d+)(?::(\d+))?: (?s)(.*)$`) })

// where finds the byte at which a template's error is, or the line of it begins, and what the error says.
func (c *checker) where(err error) (at int, text string) {
	var e *htmltemplate.Error
	if errors.As(err, &e) {
		if e.Node != nil {
			return int(e.Node.Position()), e.Description
		}
		return c.offset(e.Line), e.Description
	}
	m := place().FindStringSubmatch(err.Error())
	if m == nil {
		return 0, err.Error()
	}
	line, _ := strconv.Atoi(m[1]) // they are numbers
	column, _ := strconv.Atoi(m[2])
	return c.offset(line) + column, m[3]
}

// offset is where a line begins.
func (c *checker) offset(line int) int {
	at := 0
	for range line - 1 {
		end := strings.IndexByte(c.file.src[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
	}
	return at
}

// rest is what a line has from a byte on.
func (c *checker) rest(at int) string {
	rest, _, _ := strings.Cut(c.file.src[min(at, len(c.file.src)):], "\n")
	return rest
}
