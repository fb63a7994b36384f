package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bluell/plinth/data/sqldb"
	"github.com/bluell/plinth/fault"
)

// during classifies an error of a statement; one that a cancelled ctx caused says so.
func during(ctx context.Context, op string, err error) error {
	if err != nil && ctx.Err() != nil {
		var known *fault.Error
		if !errors.As(err, &known) {
			return fault.Wrap(fault.Unavailable, op, ctx.Err())
		}
	}
	return classify(op, err)
}

// classify gives an error its kind, by the code of PostgreSQL's ("Appendix A. PostgreSQL Error Codes").
// Errors that have one already stay as they are; what PostgreSQL did not say was said by the network.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	f := &fault.Error{Kind: fault.Unavailable, Op: op, Msg: "the database is away", Err: err}
	var e *pgconn.PgError
	if !errors.As(err, &e) || len(e.Code) != 5 {
		return f
	}
	switch e.Code {
	case "40001", "40P01", "55P03": // serialization failure, deadlock, lock not available
		f.Kind, f.Msg = fault.Retry, "the database is busy"
		return f
	case "0A000", "26000":
		if stale(err) {
			f.Kind, f.Msg = fault.Retry, "the tables have changed"
			return f
		}
	case "23505": // the name is found in the catalogue, where it can be asked (tx.refusal)
		f.Kind, f.Msg, f.Index = fault.Unique, "", sqldb.Named(e.ConstraintName)
		return f
	case "53100":
		f.Kind, f.Msg = fault.Full, "the disk is full"
		return f
	case "XX001", "XX002":
		f.Kind, f.Msg = fault.Internal, "the database is damaged: restore a backup"
		return f
	case "25006": // read-only: a server that stands by for another
		f.Msg = "the database cannot be written"
		return f
	}
	switch e.Code[:2] {
	case "08", "53", "57", "58": // connection, resources, operator, system
		return f
	case "28", "3D": // not let in, no such database
		f.Msg = "the database does not let us in"
		return f
	case "54":
		f.Kind, f.Msg = fault.TooLarge, "too large for this database"
		return f
	}
	if e.SeverityUnlocalized == "ERROR" { // else the server has ended the connection
		f.Kind, f.Msg = fault.Internal, ""
	}
	return f
}

// standsBy says that the server may only be read: another has taken its place.
func standsBy(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "25006"
}

// stale says that a statement must be prepared anew: its answer has other types since another process
// changed the tables, or the server has forgotten it.
func stale(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "26000" || e.Code == "0A000" && e.Routine == "RevalidateCachedQuery")
}
