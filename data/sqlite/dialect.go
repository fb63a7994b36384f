package sqlite

import (
	"strconv"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// dialect is SQLite's SQL. Null is smallest there by itself, and text compares by its bytes.
type dialect struct{}

func (dialect) Quote(name string) string { return q(name) }

func (dialect) Placeholder(n int) string { return "?" + strconv.Itoa(n) }
func (dialect) Numbered() bool           { return true }

func (d dialect) Argument(n int, _, _ expr.Kind) string { return d.Placeholder(n) }

func (dialect) Direction(desc, _ bool) string {
	if desc {
		return " DESC"
	}
	return ""
}

func (dialect) Same() string            { return "IS" }
func (dialect) RowValues() bool         { return true }
func (dialect) Lateral() bool           { return false }
func (dialect) Parents() int            { return 0 }
func (dialect) OrderedLegs() bool       { return false }
func (dialect) OrdersNulls() bool       { return true }
func (dialect) RowNumber() string       { return "_rowid_" }
func (dialect) EndOfTexts() bool        { return true } // a blob
func (dialect) Lock(driver.Lock) string { return "" }

// Limit hides the argument behind a CAST. SQLite plans by the value of a bare one and prepares the
// statement anew each time it is bound, which took a quarter of a list's time.
func (dialect) Limit(w *sqldb.SQL, n sqldb.Piece) { w.Write("CAST(", n, " AS INTEGER)") }

func (dialect) Length(w *sqldb.SQL, text sqldb.Piece) { w.Write("length(", text, ")") }

func (dialect) Contains(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("instr(", text, ", ", part, ") > 0")
}

func (dialect) StartsWith(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("substr(", text, ", 1, length(", part, ")) = ", part)
}

// EndsWith: substr counts back from the end for a negative start, but takes 0 for the whole text
// and cuts a start before the text, so the lengths are compared first.
func (dialect) EndsWith(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("(length(", text, ") >= length(", part, ") AND substr(", text, ", length(", text, ") - length(", part, ") + 1) = ", part, ")")
}

func (dialect) Sum(w *sqldb.SQL, column sqldb.Piece) { w.Write("sum(", column, ")") }

func (dialect) Overflows() bool { return true }

func (d dialect) In(w *sqldb.SQL, item, list sqldb.Piece, elem expr.Kind, alias string, want bool) {
	w.Write(item)
	if !want {
		w.Write(" NOT")
	}
	w.Write(" IN (SELECT ", alias, ".value FROM ")
	d.Items(w, list, elem, alias)
	w.Write(" WHERE ", alias, ".value IS NOT NULL)")
}

func (dialect) ListLength(w *sqldb.SQL, list sqldb.Piece) { w.Write("json_array_length(", list, ")") }

func (dialect) Items(w *sqldb.SQL, list sqldb.Piece, _ expr.Kind, alias string) {
	w.Write("json_each(", list, ") ", alias)
}
