package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table sets rows in columns: the first to the left, the numbers to the right. A row of one
// cell is a heading; a column with nothing below its head is left out.
type table struct{ rows [][]string }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(out io.Writer) {
	columns := 0
	for _, cells := range t.rows {
		columns = max(columns, len(cells))
	}
	widths := make([]int, columns)
	for _, cells := range t.rows {
		for col, cell := range cells {
			if len(cells) > 1 && !t.empty(col) {
				widths[col] = max(widths[col], utf8.RuneCountInString(cell))
			}
		}
	}
	for i, cells := range t.rows {
		if len(cells) == 1 {
			fmt.Fprintf(out, "\n%s\n", cells[0])
			continue
		}
		var line strings.Builder
		for col, cell := range cells {
			switch {
			case col == 0:
				fmt.Fprintf(&line, "%-*s", widths[0], cell)
			case widths[col] > 0:
				fmt.Fprintf(&line, "  %*s", widths[col], cell)
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
		if i == 0 {
			fmt.Fprintln(out, strings.Repeat("-", utf8.RuneCountInString(line.String())))
		}
	}
}

func (t *table) empty(col int) bool {
	for _, cells := range t.rows[1:] {
		if col < len(cells) && cells[col] != "" {
			return false
		}
	}
	return true
}
