package sqldb

import (
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
)

// Piece writes a part of a statement. It is a function because placeholders count in the order
// in which they are written.
type Piece func(*SQL)

// Dialect is what differs between the databases that speak SQL.
type Dialect interface {
	// Quote makes an identifier of any name.
	Quote(name string) string
	// Placeholder is the n-th argument, from 1, where a column says of what type it is; Argument is the
	// same in an expression. Numbered says that one may stand in several places.
	Placeholder(n int) string
	Argument(n int, kind, elem expr.Kind) string
	Numbered() bool

	// Direction follows a sort key; null is smallest. What can never be null says so, for its index has
	// no place for null either.
	Direction(desc, nullable bool) string

	// Same is the infix operator by which null equals null; it is never null itself.
	Same() string
	// RowValues says that (a, b) < (x, y) walks an index; without it the comparison is written
	// out behind a redundant bound.
	RowValues() bool
	// Lateral says that a table expression may look at those before it.
	Lateral() bool
	// Parents is for how many parents the queries for many with a limit are written, each in a member of its own
	// of a union, whose members are answered one after the other; 0: for any number, that come as the items of a list.
	Parents() int
	// OrderedLegs says that the members of a union may have an order and a limit of their own, without which
	// they are not read from an index in order.
	OrderedLegs() bool
	// OrdersNulls says that an index gives the order of rows in which its first column is null, by that column
	// too; else the member of a union in which it is null is ordered without it.
	OrdersNulls() bool
	// RowNumber is the column by which a table finds its rows at once and which is RowNumber of a row's id, for
	// nearly all rows; "" where there is none.
	RowNumber() string
	// EndOfTexts says that AfterTexts can be bound; without it every prefix is looked for by StartsWith.
	EndOfTexts() bool
	// Lock ends a query whose rows are to be locked; "" where they are not, or writers are alone anyway.
	Lock(driver.Lock) string

	// Limit writes the number of rows at most, after LIMIT.
	Limit(w *SQL, n Piece)

	// Length is the number of code points of a text.
	Length(w *SQL, text Piece)
	// Contains, StartsWith and EndsWith compare code points and are null when an operand is.
	Contains(w *SQL, text, part Piece)
	StartsWith(w *SQL, text, part Piece)
	EndsWith(w *SQL, text, part Piece)

	// Sum is the sum of a column of whole numbers, whose digits can be read as a text: however large, unless Overflows
	// says that it is an error where it, or a part of it, does not fit into 64 bits (Statement.Halves).
	Sum(w *SQL, column Piece)
	Overflows() bool

	// In is true where the item is (want) or is not one of the list's. A null in the list equals nothing;
	// where the item is null the answer does not matter. alias is free.
	In(w *SQL, item, list Piece, elem expr.Kind, alias string, want bool)
	// ListLength is the number of items of a list; null for a null list.
	ListLength(w *SQL, list Piece)
	// Items is a table expression with the items of a list in its column "value"; none for a null list.
	Items(w *SQL, list Piece, elem expr.Kind, alias string)
}
