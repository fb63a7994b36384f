package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/bluell/plinth/fault"
)

// MaxBatch is the most operations of one batch.
const MaxBatch = 500

// BatchError says which operation of an atomic batch failed: then none was done.
type BatchError struct {
	Operation int
	Err       error
}

func (e *BatchError) Error() string { return fmt.Sprintf("operation %d: %v", e.Operation, e.Err) }
func (e *BatchError) Unwrap() error { return e.Err }

// Batch does several writes. Atomic: all or none, in one transaction; the error is a *BatchError when one
// failed. Otherwise each is done by itself, in order, and its Result tells. replayed is the earlier answer
// to the same Idempotency-Key, as BatchBody prints it.
func (db *DB) Batch(ctx context.Context, by Caller, ops []Operation, atomic bool, o WriteOptions) (results []Result, replayed []byte, err error) {
	if len(ops) > MaxBatch {
		return nil, nil, fault.New(fault.BadRequest, "a batch has at most %d operations", MaxBatch)
	}
	if !atomic {
		results = make([]Result, len(ops))
		for i, op := range ops {
			own := WriteOptions{Minimal: o.Minimal}
			if o.Idempotency != nil {
				key := *o.Idempotency
				key.Key += "\n" + strconv.Itoa(i)
				own.Idempotency = &key
			}
			results[i] = db.operate(ctx, by, op, own)
		}
		return results, nil, nil
	}
	if o.Idempotency != nil {
		if r, err := db.replay(ctx, &by, o.Idempotency); err != nil || r.Replayed {
			return nil, r.Body, err
		}
	}
	acts := make([]func(*work) (Reply, error), len(ops))
	for i, op := range ops {
		if acts[i], err = db.plan(&by, op); err != nil {
			return nil, nil, &BatchError{i, err}
		}
	}
	r, err := db.once(ctx, &by, WriteOptions{Idempotency: o.Idempotency}, func(w *work) (Reply, error) {
		results = make([]Result, len(acts))
		if err := w.lockInOrder(ops); err != nil {
			return Reply{}, err
		}
		for i, act := range acts {
			w.op = i
			r, err := act(w)
			if err != nil {
				return Reply{}, failedAt(i, err)
			}
			if o.Minimal {
				r.Body = nil
			}
			results[i].Reply = r
		}
		w.op = -1
		if o.Idempotency == nil {
			return Reply{Status: 200}, nil
		}
		return Reply{Status: 200, Body: AppendBatch(nil, results)}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	if r.Replayed {
		return nil, r.Body, nil
	}
	return results, nil, nil
}

// lockInOrder locks what a batch will change or delete, in the order of collections and ids, if it will not come to it in that order
// anyway: two batches do not wait for each other then, each with what the other wants, which PostgreSQL finds out after a second only.
// Who has met another nevertheless, for he has changed more than he was asked to, locks first in any case.
func (w *work) lockInOrder(ops []Operation) error {
	var targets []Operation
	for _, op := range ops {
		if op.Op != "create" && w.db.kinds[op.Collection] != nil {
			targets = append(targets, op)
		}
	}
	order := func(a, b Operation) int {
		return cmp.Or(cmp.Compare(a.Collection, b.Collection), cmp.Compare(a.ID, b.ID))
	}
	if w.db.eng.Caps().Ordered || !w.again && slices.IsSortedFunc(targets, order) {
		return nil
	}
	slices.SortFunc(targets, order)
	for _, op := range targets {
		k := w.db.kinds[op.Collection]
		stmt := k.lock
		if op.Op == "delete" {
			stmt = k.gone
		}
		if _, err := k.record(w.ctx, w.tx, stmt, op.ID); err != nil {
			return err
		}
	}
	return nil
}

// failedAt says which operation of a batch failed, unless err says it already, or the whole is done again.
func failedAt(op int, err error) error {
	var told *BatchError
	if op < 0 || fault.Is(err, fault.Retry) || errors.As(err, &told) {
		return err
	}
	return &BatchError{op, err}
}

// AppendBatch prints the results of an atomic batch: {"results":[{"status":201,"body":{…}},…]}.
func AppendBatch(dst []byte, results []Result) []byte {
	dst = append(dst, `{"results":[`...)
	for i, r := range results {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"status":`...), int64(r.Status), 10)
		if r.Body != nil {
			dst = append(append(dst, `,"body":`...), r.Body...)
		}
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// plan prepares one operation of an atomic batch.
func (db *DB) plan(by *Caller, op Operation) (func(*work) (Reply, error), error) {
	switch op.Op {
	case "create":
		if err := db.Allow(*by, op.Collection, Create); err != nil {
			return nil, err
		}
		k, err := db.collection(*by, op.Collection)
		if err != nil {
			return nil, err
		}
		c, err := db.planCreate(by, k, op.Body, nil, "")
		if err != nil {
			return nil, err
		}
		return c.apply, nil
	case "update":
		u, err := db.planUpdate(by, op.Collection, op.ID, op.Body, WriteOptions{IfMatch: op.IfMatch})
		if err != nil {
			return nil, err
		}
		return u.apply, nil
	case "delete":
		d, err := db.planDelete(by, op.Collection, op.ID, WriteOptions{IfMatch: op.IfMatch})
		if err != nil {
			return nil, err
		}
		return d.apply, nil
	}
	return nil, unknownOp(op.Op)
}

// operate does one operation by itself.
func (db *DB) operate(ctx context.Context, by Caller, op Operation, o WriteOptions) (r Result) {
	o.IfMatch = op.IfMatch
	switch op.Op {
	case "create":
		r.Reply, r.Err = db.Create(ctx, by, op.Collection, op.Body, o)
	case "update":
		r.Reply, r.Err = db.Update(ctx, by, op.Collection, op.ID, op.Body, o)
	case "delete":
		r.Reply, r.Err = db.Delete(ctx, by, op.Collection, op.ID, o)
	default:
		r.Err = unknownOp(op.Op)
	}
	return r
}

func unknownOp(op string) error {
	return fault.New(fault.BadRequest, "there is no operation %q: create, update, delete", op)
}
