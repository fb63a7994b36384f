package driver

import (
	"context"

	"github.com/bluell/plinth/spec"
)

// Carrier is an Engine without Transactions that can write a record and rows about it at once all the same: the rows
// travel in the record's own document, where no query sees them, until somebody moves them to the collection that they
// are of, the log. An Engine need not be one. Its Tx are CarryTx.
//
// A row has a name while it waits, which no other has ever had: the id that it was given. It keeps the name when it
// gets another id, in the log.
type Carrier interface {
	// Carried gives the rows that wait in records of a collection, also in those that were deleted: record by record,
	// of one in the order in which they were written, and no more records than most. What lies in one record is of one
	// moment. id is the record's; the id of a row is its name.
	Carried(ctx context.Context, in, log *spec.Collection, most int, yield func(id string, rows []Record) error) error

	// Place stores rows in the log in order, one after the other, up to the first whose id is taken, and says how many
	// it has stored: all, when it says their number. Of an error nobody knows how many it has stored; but none behind one
	// that is not. names are those of the rows. There are 100 at most.
	Place(ctx context.Context, log *spec.Collection, rows []Record, names []string) (n int, err error)

	// Named gives the ids and names of the rows of the log whose ids are more than after and at most upTo, in any order. A
	// row that was stored otherwise has no name and is left out.
	Named(ctx context.Context, log *spec.Collection, after, upTo string, yield func(id, name string) error) error

	// Shed takes the rows with these names from the records with these ids. A deleted record in which nothing waits any
	// more is gone then.
	Shed(ctx context.Context, in *spec.Collection, ids, names []string) error

	// Clear removes the rows of the log whose ids are at most upTo.
	Clear(ctx context.Context, log *spec.Collection, upTo string) error
}

// CarryTx is a Tx of a Carrier.
type CarryTx interface {
	Tx
	// Carry adds rows of the log to the record that the transaction changes, at the end of what it does: they are stored
	// in one with the change. Their ids are their names. Where the transaction has changed nothing they are dropped.
	Carry(log *spec.Collection, rows []Record) error
}
