package mysql

import (
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/expr"
)

// dialect is the SQL of MariaDB and MySQL, with ANSI_QUOTES. Null is smallest there by itself.
type dialect struct {
	collation string // of all texts
	parents   int    // for how many parents a query for many is written
}

func (dialect) Quote(name string) string { return q(name) }
func (dialect) Placeholder(int) string   { return "?" }
func (dialect) Numbered() bool           { return false }

// Argument: times and dates come as texts, which nothing is to take for such.
func (dialect) Argument(_ int, kind, _ expr.Kind) string {
	switch kind {
	case expr.Time:
		return "CAST(? AS DATETIME(3))"
	case expr.Date:
		return "CAST(? AS DATE)"
	default:
		return "?"
	}
}

func (dialect) Direction(desc, _ bool) string {
	if desc {
		return " DESC"
	}
	return ""
}

func (dialect) Same() string      { return "<=>" }
func (dialect) RowValues() bool   { return false }
func (dialect) RowNumber() string { return "" }
func (dialect) Lateral() bool     { return false }
func (dialect) OrderedLegs() bool { return true }
func (dialect) OrdersNulls() bool { return false }
func (dialect) EndOfTexts() bool  { return false }

// Parents: both servers send the rows of a union of all that has no order of its own as its members give them
// (MySQL's manual, "UNION Clause", on when there is no temporary table; seen on MariaDB).
func (d dialect) Parents() int { return d.parents }

// Lock: the older words for a shared lock are those that both servers know.
func (dialect) Lock(l driver.Lock) string {
	switch l {
	case driver.LockStay:
		return " LOCK IN SHARE MODE"
	case driver.LockWrite, driver.LockGone:
		return " FOR UPDATE"
	case driver.LockSkip:
		return " FOR UPDATE SKIP LOCKED"
	default:
		return ""
	}
}

func (dialect) Limit(w *sqldb.SQL, n sqldb.Piece) { w.Write(n) }

func (dialect) Length(w *sqldb.SQL, text sqldb.Piece) { w.Write("char_length(", text, ")") }

func (dialect) Contains(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("locate(", part, ", ", text, ") > 0")
}

func (dialect) StartsWith(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("left(", text, ", char_length(", part, ")) = ", part)
}

func (dialect) EndsWith(w *sqldb.SQL, text, part sqldb.Piece) {
	w.Write("right(", text, ", char_length(", part, ")) = ", part)
}

// Sum is a DECIMAL, which comes as text.
func (dialect) Sum(w *sqldb.SQL, column sqldb.Piece) { w.Write("sum(", column, ")") }

func (dialect) Overflows() bool { return false }

func (d dialect) In(w *sqldb.SQL, item, list sqldb.Piece, elem expr.Kind, alias string, want bool) {
	w.Write(item)
	if !want {
		w.Write(" NOT")
	}
	w.Write(" IN (SELECT ", alias, ".", d.Quote("value"), " FROM ")
	d.Items(w, list, elem, alias)
	w.Write(" WHERE ", alias, ".", d.Quote("value"), " IS NOT NULL)")
}

func (dialect) ListLength(w *sqldb.SQL, list sqldb.Piece) { w.Write("json_length(", list, ")") }

func (d dialect) Items(w *sqldb.SQL, list sqldb.Piece, elem expr.Kind, alias string) {
	w.Write("JSON_TABLE(", list, ", '$[*]' COLUMNS (", d.Quote("value"), " ", d.item(elem), " PATH '$')) ", alias)
}

// item is the type of a list's items where they are taken out of it. A shorter one for texts would cut them.
func (d dialect) item(elem expr.Kind) string {
	t := typeOf(elem)
	if t == longText {
		t += " CHARACTER SET utf8mb4 COLLATE " + d.collation
	}
	return t
}

const longText = "LONGTEXT"

// typeOf is the type in which values of a kind are stored.
func typeOf(kind expr.Kind) string {
	switch kind {
	case expr.Bool:
		return "TINYINT"
	case expr.Int, expr.Bigint, expr.Decimal, expr.Duration:
		return "BIGINT"
	case expr.Float:
		return "DOUBLE"
	case expr.Time:
		return "DATETIME(3)"
	case expr.Date:
		return "DATE"
	case expr.Bytes:
		return "LONGBLOB"
	default:
		return longText
	}
}

// Tells: the server says how many rows it found without being asked.
func (dialect) Tells() string { return "" }

// Delete takes one value; several are deleted by sqldb.DeleteSome.
func (d dialect) Delete(table, column string) string { return sqldb.Delete(d, table, column) }

func (d dialect) Fill(side string, elem expr.Kind) string {
	return "INSERT INTO " + d.Quote(side) + ` ("value", "id") SELECT DISTINCT v."value", i."id" FROM JSON_TABLE(?, '$[*]' COLUMNS ("value" ` + d.item(elem) +
		` PATH '$')) v CROSS JOIN (SELECT ? AS "id") i WHERE v."value" IS NOT NULL`
}
