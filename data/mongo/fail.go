package mongo

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/bluell/plinth/fault"
)

// during classifies an error; one that a cancelled ctx caused says so.
func during(ctx context.Context, op string, err error) error {
	if err != nil && ctx.Err() != nil {
		var known *fault.Error
		var y *yielded
		if !errors.As(err, &y) && !errors.As(err, &known) {
			return fault.Wrap(fault.Unavailable, op, ctx.Err())
		}
	}
	return classify(op, err)
}

// Codes of MongoDB's error_codes.yml.
var (
	conflicts  = []int{112, 24, 246, 251, 225} // write conflict, lock timeout, snapshot gone, no such transaction, transaction too old
	duplicates = []int{11000, 11001, 12582}
	strangers  = []int{13, 18, 8000}                                               // unauthorized, authentication failed
	away       = []int{6, 7, 89, 91, 189, 9001, 10107, 11600, 11602, 13435, 13436} // network, shutting down, no primary
	full       = []int{14031}
	large      = []int{10334, 17280, 17420}
)

// refused finds the index in a message: "E11000 duplicate key error collection: db.things index: one_unique dup key: { … }".
var refused = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`index: (\S+)`) })

// classify gives an error its kind. Errors that have one already, and those of who reads, stay as they are.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var y *yielded
	if errors.As(err, &y) {
		return y.error
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	f := &fault.Error{Kind: fault.Unavailable, Op: op, Msg: "the database is away", Err: err}
	var labeled mongo.LabeledError
	if errors.As(err, &labeled) && labeled.HasErrorLabel("TransientTransactionError") {
		f.Kind, f.Msg = fault.Retry, "the database is busy"
		return f
	}
	var e mongo.ServerError
	if !errors.As(err, &e) {
		if errors.Is(err, mongo.ErrClientDisconnected) {
			f.Msg = "the database is closed"
		}
		return f
	}
	said := func(codes []int) bool { return slices.ContainsFunc(codes, e.HasErrorCode) }
	switch {
	case said(conflicts):
		f.Kind, f.Msg = fault.Retry, "the database is busy"
	case said(duplicates), e.HasErrorMessage("UNIQUE constraint failed"): // FerretDB 1 says so of a new index
		f.Kind, f.Msg = fault.Unique, ""
		if m := refused().FindStringSubmatch(err.Error()); m != nil && m[1] != "_id_" {
			f.Index = m[1]
		} else if m != nil {
			f.Index = "id"
		}
	case said(strangers):
		f.Msg = "the database does not let us in"
	case said(full):
		f.Kind, f.Msg = fault.Full, "the disk is full"
	case said(large):
		f.Kind, f.Msg = fault.TooLarge, "too large for this database"
	case said(away), mongo.IsTimeout(err), mongo.IsNetworkError(err):
	default:
		f.Kind, f.Msg = fault.Internal, ""
	}
	return f
}

// unavailable says that a server refused because of its state, or of who asks.
func unavailable(e mongo.ServerError) bool {
	return slices.ContainsFunc(slices.Concat(strangers, away), e.HasErrorCode)
}
