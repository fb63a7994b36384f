package sqlite

import (
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// dialect is SQLite's SQL. Null is smallest there by itself, and text compares by its bytes.
type dialect struct{}

func (dialect) Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (dialect) Placeholder(n int) string { return "?" + strconv.Itoa(n) }
func (dialect) Numbered() bool           { return true }
func (dialect) Asc() string              { return "" }
func (dialect) Desc() string             { return " DESC" }
func (dialect) Same() string             { return "IS" }
func (dialect) RowValues() bool          { return true }
func (dialect) ScaledDecimals() bool     { return true }
func (dialect) Lock() string             { return "" }

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

func (dialect) ListLength(w *sqldb.SQL, list sqldb.Piece) { w.Write("json_array_length(", list, ")") }

func (dialect) Items(w *sqldb.SQL, list sqldb.Piece, _ expr.Kind, alias string) {
	w.Write("json_each(", list, ") ", alias)
}
