package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
)

// matrixWidth is how many characters a line of the matrix has at most, but for a word that is longer.
const matrixWidth = 100

var matrixFormats = []string{"text", "json", "markdown"}

// inMemory is a database for what is asked of the app file alone.
func inMemory() plinth.Option {
	return plinth.On(func(context.Context) (*memory.Engine, error) { return memory.Open(), nil })
}

// matrix prints who may do what.
func (c *cli) matrix(ctx context.Context, dir, format string) error {
	m, err := plinth.MatrixOf(ctx, dir, inMemory())
	if err != nil {
		return err
	}
	switch format {
	case "json":
		c.print(matrixJSON(m))
	case "markdown":
		c.matrixMarkdown(m)
	default:
		c.matrixText(m)
	}
	return nil
}

type matrixCell struct {
	Caller    string      `json:"caller"`
	Operation string      `json:"operation"`
	Answer    data.Answer `json:"answer"`
	Where     string      `json:"where,omitempty"`
	Rule      string      `json:"rule,omitempty"`
}

type matrixTable struct {
	Collection string       `json:"collection,omitempty"`
	Channel    string       `json:"channel,omitempty"`
	Fields     []string     `json:"fields,omitempty"`
	Cells      []matrixCell `json:"cells"`
}

func matrixJSON(m *plinth.Matrix) any {
	tables := []matrixTable{}
	for _, t := range m.Tables {
		out := matrixTable{Collection: t.Name, Fields: t.Fields}
		if t.Channel {
			out.Collection, out.Channel = "", t.Name
		}
		for i, caller := range m.Callers {
			for j, op := range t.Operations {
				x := t.Cells[i][j]
				out.Cells = append(out.Cells, matrixCell{caller, op, x.Answer, x.Where, x.Rule})
			}
		}
		tables = append(tables, out)
	}
	findings := []map[string]any{}
	for _, f := range m.Findings {
		findings = append(findings, map[string]any{"file": f.Pos.File, "line": f.Pos.Line, "column": f.Pos.Column,
			"collection": f.Collection, "operation": f.Operation, "message": f.Message})
	}
	return map[string]any{"ok": true, "callers": m.Callers, "tables": tables, "findings": findings}
}

// matrixRows are the lines of a table: callers with the same answers share one.
func matrixRows(m *plinth.Matrix, t *data.Table) [][]string {
	var rows [][]string
	for i, caller := range m.Callers {
		cells := make([]string, 1, 1+len(t.Operations)) // the first is who
		for _, x := range t.Cells[i] {
			text := string(x.Answer)
			if x.Answer == data.Where {
				text = "where " + x.Where
			}
			cells = append(cells, text)
		}
		at := slices.IndexFunc(rows, func(r []string) bool { return slices.Equal(r[1:], cells[1:]) })
		if at >= 0 {
			rows[at][0] += ", " + caller
			continue
		}
		cells[0] = caller
		rows = append(rows, cells)
	}
	if len(rows) == 1 {
		rows[0][0] = "everyone"
	}
	return rows
}

func matrixTitle(t *data.Table) string {
	switch {
	case t.Channel:
		return "channel " + t.Name
	case len(t.Fields) > 0:
		return t.Name + ": " + strings.Join(t.Fields, ", ")
	}
	return t.Name
}

const matrixLegend = "update and delete reach only what may be read. An update rule holds before and after the change. Of fields, " +
	"create and update say who may name them. operator passes every rule. A read-only key reads as its role and writes nothing."

func (c *cli) matrixText(m *plinth.Matrix) {
	for i := range m.Tables {
		t := &m.Tables[i]
		rows := append([][]string{append([]string{""}, t.Operations...)}, matrixRows(m, t)...)
		widths := fitted(rows, matrixWidth-2)
		for _, line := range wrapped(matrixTitle(t), matrixWidth) {
			c.say("%s", line)
		}
		for _, row := range rows {
			cells := make([][]string, len(row))
			height := 0
			for j, text := range row {
				cells[j] = wrapped(text, widths[j])
				height = max(height, len(cells[j]))
			}
			for h := range height {
				var b strings.Builder
				for j := range cells {
					text := ""
					if h < len(cells[j]) {
						text = cells[j][h]
					}
					b.WriteString("  " + text + strings.Repeat(" ", max(widths[j]-utf8.RuneCountInString(text), 0)))
				}
				c.say("%s", strings.TrimRight(b.String(), " "))
			}
		}
		c.say("")
	}
	for _, line := range wrapped(matrixLegend, matrixWidth) {
		c.say("%s", line)
	}
	if len(m.Findings) > 0 {
		c.say("\nlook at")
	}
	for _, f := range m.Findings {
		for i, line := range wrapped(f.String(), matrixWidth-2) {
			c.say("%s%s", map[bool]string{true: "  ", false: "    "}[i == 0], line)
		}
	}
}

func (c *cli) matrixMarkdown(m *plinth.Matrix) {
	line := func(cells []string) {
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
		}
		c.say("| %s |", strings.Join(cells, " | "))
	}
	for i := range m.Tables {
		t := &m.Tables[i]
		c.say("### %s\n", matrixTitle(t))
		line(append([]string{"caller"}, t.Operations...))
		c.say("|%s", strings.Repeat("---|", len(t.Operations)+1))
		for _, row := range matrixRows(m, t) {
			line(row)
		}
		c.say("")
	}
	c.say("%s", matrixLegend)
	if len(m.Findings) > 0 {
		c.say("\n### Look at\n")
	}
	for _, f := range m.Findings {
		c.say("- %s", f)
	}
}

// fitted gives columns, two characters apart, the widths by which they fit: the widest gives way first.
func fitted(rows [][]string, width int) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for j, text := range row {
			widths[j] = max(widths[j], utf8.RuneCountInString(text))
		}
	}
	const least = 12
	for {
		sum, widest := 0, 0
		for j, w := range widths {
			sum += w + 2
			if w > widths[widest] {
				widest = j
			}
		}
		if sum <= width || widths[widest] <= least {
			return widths
		}
		widths[widest]--
	}
}

// wrapped breaks a text between words into lines of a width; a word that is longer has a line of its own.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// formatOf refuses a format that there is none of.
func formatOf(format string, formats []string) error {
	if slices.Contains(formats, format) {
		return nil
	}
	return misused("%s", fmt.Sprintf("there is no format %q%s", format, meant(format, formats)))
}
