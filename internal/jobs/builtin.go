package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// What an app file's schedules do without a Go program.
const (
	createKind = "plinth.create"
	deleteKind = "plinth.delete"
)

func builtin() []Kind {
	return []Kind{{Name: createKind, Do: create}, {Name: deleteKind, Do: remove, Limit: 2, renews: true}}
}

// creation is the payload of createKind.
type creation struct {
	Collection string          `json:"collection"`
	Body       json.RawMessage `json:"body"`
}

// deletion is the payload of deleteKind.
type deletion struct {
	Collection string `json:"collection"`
	Filter     string `json:"filter"`
}

func raw(n *doc.Node) json.RawMessage {
	if n == nil {
		return json.RawMessage("null")
	}
	return n.AppendCanonical(nil)
}

// create makes a record, whose id is the job's: where there are no transactions, a second attempt finds it there.
func create(ctx context.Context, w *Work) error {
	var c creation
	if err := w.Read(&c); err != nil {
		return err
	}
	body, err := doc.Parse(c.Body, doc.Limits{})
	if err != nil {
		return Permanent(err)
	}
	body.Set("id", doc.NewString(w.job.ID))
	err = w.Commit(ctx, func(tx *data.Tx) error {
		_, err := tx.Create(c.Collection, body)
		return err
	})
	if fault.Is(err, fault.Capability) {
		if _, err = w.db.Create(ctx, w.by, c.Collection, body, data.WriteOptions{Minimal: true}); idTaken(err) {
			err = nil
		}
	}
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.BadRequest) || fault.Is(err, fault.NotFound) {
		err = Permanent(err) // the app has changed since
	}
	return err
}

func idTaken(err error) bool {
	var e *fault.Error
	return errors.As(err, &e) && e.Kind == fault.Conflict && len(e.Fields) == 1 && e.Fields[0].Pointer == "/id"
}

// remove deletes the records that a filter finds, each within the job's timeout. One that stays, because others refer to it, is told at the end.
func remove(ctx context.Context, w *Work) error {
	var d deletion
	if err := w.Read(&d); err != nil {
		return err
	}
	q := &data.ListQuery{Collection: d.Collection, Filter: d.Filter, Fields: "id", Limit: 500}
	var stayed error
	left := 0
	for {
		found, next, err := w.db.Records(ctx, w.by, q)
		if fault.Is(err, fault.BadRequest) || fault.Is(err, fault.NotFound) {
			return Permanent(err) // the app has changed since
		}
		if err != nil {
			return err
		}
		for _, rec := range found {
			if err := w.renew(ctx); err != nil {
				return err
			}
			_, err := w.db.Delete(ctx, w.by, d.Collection, rec[spec.OrdID].Text(), data.WriteOptions{Minimal: true})
			switch {
			case err == nil || fault.Is(err, fault.NotFound):
			case fault.Is(err, fault.Conflict):
				stayed = err
				left++
			default:
				return err
			}
		}
		if next == "" {
			break
		}
		q.Cursor = next
	}
	if stayed != nil {
		return Permanent(fmt.Errorf("%d records of %s stay: %w", left, d.Collection, stayed))
	}
	return nil
}
