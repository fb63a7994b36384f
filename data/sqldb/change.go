package sqldb

import (
	"strings"
)

// insertion is the statement that inserts n rows with these columns: value makes each, counted through all rows from 0.
func insertion(d Dialect, table string, columns []string, n int, value func(i int) string) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + d.Quote(table) + " (")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.Quote(c))
	}
	b.WriteString(") VALUES ")
	for row := range n {
		if row > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(")
		for i := range columns {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(value(row*len(columns) + i))
		}
		b.WriteString(")")
	}
	return b.String()
}

// bound are values that are bound in order.
func bound(d Dialect) func(i int) string {
	return func(i int) string { return d.Placeholder(i + 1) }
}

// change is the statement that sets these columns, bound in order, of the row with the values in the columns by,
// which are bound after them.
func change(d Dialect, table string, columns []string, by ...string) string {
	var b strings.Builder
	b.WriteString("UPDATE " + d.Quote(table) + " SET ")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.Quote(c) + " = " + d.Placeholder(i+1))
	}
	word := " WHERE "
	for i, c := range by {
		b.WriteString(word + d.Quote(c) + " = " + d.Placeholder(len(columns)+i+1))
		word = " AND "
	}
	return b.String()
}

// Delete is the statement that deletes the rows with the bound value in this column.
func Delete(d Dialect, table, column string) string {
	return "DELETE FROM " + d.Quote(table) + " WHERE " + d.Quote(column) + " = " + d.Placeholder(1)
}

// DeleteSome is the statement that deletes the rows with one of n bound values in this column.
func DeleteSome(d Dialect, table, column string, n int) string {
	var b strings.Builder
	b.WriteString("DELETE FROM " + d.Quote(table) + " WHERE " + d.Quote(column) + " IN (")
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.Placeholder(i + 1))
	}
	b.WriteString(")")
	return b.String()
}
