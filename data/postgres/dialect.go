package postgres

import (
	"strconv"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// dialect is PostgreSQL's SQL, with a limit that is the same for all who ask where it is fixed.
type dialect struct {
	limit int64
	fixed bool
}

func (dialect) Quote(name string) string { return q(name) }

func (dialect) Placeholder(n int) string { return "$" + strconv.Itoa(n) }
func (dialect) Numbered() bool           { return true }

// Argument says of what type an argument is. Texts compare by code point wherever they stand.
func (dialect) Argument(n int, kind, elem expr.Kind) string {
	text := "$" + strconv.Itoa(n) + "::" + typeOf(kind, elem)
	if kind == expr.Text || kind == expr.List && elem == expr.Text {
		return "(" + text + ` COLLATE "C")`
	}
	return text
}

// Direction: null is largest by itself.
func (dialect) Direction(desc, nullable bool) string {
	switch {
	case desc && nullable:
		return " DESC NULLS LAST"
	case desc:
		return " DESC"
	case nullable:
		return " NULLS FIRST"
	default:
		return ""
	}
}

func (dialect) Same() string      { return "IS NOT DISTINCT FROM" }
func (dialect) RowValues() bool   { return true }
func (dialect) RowNumber() string { return "" }
func (dialect) Lateral() bool     { return true }
func (dialect) Parents() int      { return 0 }
func (dialect) OrderedLegs() bool { return true }
func (dialect) OrdersNulls() bool { return true }
func (dialect) EndOfTexts() bool  { return false }

// Lock: what refers to a row is no foreign key here, but the locks are PostgreSQL's own for one (manual, 13.3.2).
func (dialect) Lock(l driver.Lock) string {
	switch l {
	case driver.LockStay:
		return " FOR KEY SHARE"
	case driver.LockWrite:
		return " FOR NO KEY UPDATE"
	case driver.LockGone:
		return " FOR UPDATE"
	case driver.LockSkip:
		return " FOR NO KEY UPDATE SKIP LOCKED"
	default:
		return ""
	}
}

func (d dialect) Limit(w *sqldb.SQL, n sqldb.Piece) {
	if d.fixed {
		w.Write(strconv.FormatInt(d.limit, 10))
	} else {
		w.Write(n)
	}
}

func (dialect) Length(w *sqldb.SQL, text sqldb.Piece) { w.Write("char_length(", text, ")") }

func (dialect) Contains(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("strpos(", text, ", ", part, ") > 0")
}

func (dialect) StartsWith(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("starts_with(", text, ", ", part, ")")
}

func (dialect) EndsWith(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("right(", text, ", char_length(", part, ")) = ", part)
}

// Sum: PostgreSQL makes a numeric of it, which does not overflow.
func (dialect) Sum(w *sqldb.SQL, column sqldb.Piece) { w.Write("sum(", column, ")::text") }

func (dialect) Overflows() bool { return false }

// In: a list that comes with a query has no nulls (see arguments).
func (dialect) In(w *sqldb.SQL, item, list sqldb.Piece, _ expr.Kind, _ string, want bool) {
	if want {
		w.Write(item, " = ANY (", list, ")")
	} else {
		w.Write(item, " <> ALL (", list, ")")
	}
}

func (dialect) ListLength(w *sqldb.SQL, list sqldb.Piece) { w.Write("cardinality(", list, ")") }

func (dialect) Items(w *sqldb.SQL, list sqldb.Piece, _ expr.Kind, alias string) {
	w.Write("unnest(", list, ") ", alias, "(value)")
}

// typeOf is the type in which values of a kind are stored and bound.
func typeOf(kind, elem expr.Kind) string {
	switch kind {
	case expr.Bool:
		return "boolean"
	case expr.Int, expr.Bigint, expr.Decimal, expr.Duration:
		return "bigint"
	case expr.Float:
		return "double precision"
	case expr.Time:
		return "timestamptz"
	case expr.Date:
		return "date"
	case expr.Bytes:
		return "bytea"
	case expr.List:
		return typeOf(elem, expr.Null) + "[]"
	default:
		return "text"
	}
}
