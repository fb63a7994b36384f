package sqlite

import (
	"context"
	"errors"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/fault"
)

// classify gives an error of SQLite its kind. Errors that have one already stay as they are.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	code := sqlite.ErrCode(err)
	switch code {
	case sqlite.ResultConstraintUnique, sqlite.ResultConstraintPrimaryKey, sqlite.ResultConstraintRowID:
		return &fault.Error{Kind: fault.Unique, Op: op, Index: refused(err), Err: err}
	}
	switch code.ToPrimary() {
	case sqlite.ResultBusy, sqlite.ResultLocked:
		return &fault.Error{Kind: fault.Retry, Op: op, Msg: "the database is busy", Err: err}
	case sqlite.ResultFull:
		return &fault.Error{Kind: fault.Full, Op: op, Msg: "the disk is full", Err: err}
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return damaged(op, err)
	case sqlite.ResultTooBig:
		return &fault.Error{Kind: fault.TooLarge, Op: op, Msg: "too large for this database", Err: err}
	case sqlite.ResultIOErr, sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultPerm, sqlite.ResultNoMem,
		sqlite.ResultInterrupt, sqlite.ResultProtocol:
		return &fault.Error{Kind: fault.Unavailable, Op: op, Msg: "the database is away", Err: err}
	}
	for _, limit := range []string{"Expression tree is too large", "parser stack overflow", "too many columns", "too many terms"} {
		if strings.Contains(err.Error(), limit) { // SQLite has no code for it
			return &fault.Error{Kind: fault.BadRequest, Op: op, Msg: "the question is too complex for this database", Err: err}
		}
	}
	return fault.Wrap(fault.Internal, op, err)
}

// damaged is the error of a file that does not hold what was written into it.
func damaged(op string, cause error) error {
	return &fault.Error{Kind: fault.Internal, Op: op, Msg: "the database is damaged: restore a backup", Err: cause}
}

// refused is what SQLite says of a unique index: "table.column, table.column". Its name is found
// in the catalogue, where the transaction can still be asked (tx.refusal).
func refused(err error) string {
	_, columns, _ := strings.Cut(err.Error(), "UNIQUE constraint failed: ")
	if end := strings.IndexAny(columns, "()"); end >= 0 {
		columns = columns[:end]
	}
	return strings.ReplaceAll(strings.TrimSpace(columns), sqldb.Kept(system), system)
}
