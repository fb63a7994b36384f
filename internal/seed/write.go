package seed

import (
	"context"
	"errors"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// write brings the records of a file into the database: those that are there are updated, the others
// created, and what they refer to in the same file follows when all of them are there.
func (l *loader) write(ctx context.Context, s *set) error {
	if s.by == "" {
		if some, err := l.holds(ctx, s.of); err != nil || some {
			if some && len(s.records) > 0 {
				l.result.Skipped += len(s.records)
				l.result.SkippedFiles = append(l.result.SkippedFiles, s.file)
			}
			return err
		}
	}
	var later []*record
	for start := 0; start < len(s.records); start += data.MaxBatch {
		part := s.records[start:min(start+data.MaxBatch, len(s.records))]
		b := &batch{}
		for i := range part {
			r := &part[i]
			open, err := l.resolve(ctx, s.of, r)
			if err == nil {
				err = l.plan(ctx, s, r, b)
			}
			if err != nil {
				return atRecord(r.n, err)
			}
			if open {
				later = append(later, r)
			}
		}
		if err := l.commit(ctx, s, b); err != nil {
			return err
		}
		l.progress(start+len(part), len(s.records), s.file)
	}
	l.result.Records += len(s.records)
	return l.complete(ctx, s, later)
}

// batch is one transaction.
type batch struct {
	ops     []data.Operation
	records []*record
	revs    []int64 // of the records that are there
}

func (b *batch) add(op data.Operation, r *record, rev int64) {
	b.ops, b.records, b.revs = append(b.ops, op), append(b.records, r), append(b.revs, rev)
}

// plan adds what makes the database hold a record.
func (l *loader) plan(ctx context.Context, s *set, r *record, b *batch) error {
	op := data.Operation{Op: "create", Collection: s.of.Name, Body: r.body}
	if s.by == "" {
		b.add(op, r, 0)
		return nil
	}
	value, ok := r.body.Get(s.by)
	if !ok || value.IsNull() {
		return fault.New(fault.Invalid, "%s is missing, by which it would be found", s.by)
	}
	id, rev, err := l.find(ctx, place{s.of.Name, s.by, value.Text})
	if err != nil {
		return err
	}
	if id != "" {
		op.Op, op.ID, op.Body = "update", id, without(r.body, "id")
	}
	b.add(op, r, rev)
	return nil
}

// commit runs a batch and counts what it did.
func (l *loader) commit(ctx context.Context, s *set, b *batch) error {
	if len(b.ops) == 0 {
		return nil
	}
	results, _, err := l.db.Batch(ctx, data.System, b.ops, true, data.WriteOptions{Minimal: true})
	var failed *data.BatchError
	if errors.As(err, &failed) {
		return atRecord(b.records[failed.Operation].n, failed.Err)
	}
	if err != nil {
		return err
	}
	for i, r := range results {
		switch {
		case b.ops[i].Op == "create":
			l.result.Created++
		case r.Rev != b.revs[i]:
			l.result.Updated++
		default:
			l.result.Same++
		}
		if value, ok := b.records[i].body.Get(s.by); ok {
			l.ids[place{s.of.Name, s.by, value.Text}] = r.ID
		}
		b.records[i].body.Set("id", doc.NewString(r.ID))
	}
	return nil
}

// complete sets the references between records of the file that came before what they refer to.
func (l *loader) complete(ctx context.Context, s *set, later []*record) error {
	for start := 0; start < len(later); start += data.MaxBatch {
		b := &batch{}
		for _, r := range later[start:min(start+data.MaxBatch, len(later))] {
			open, err := l.resolve(ctx, s.of, r)
			if err != nil {
				return atRecord(r.n, err)
			}
			if open {
				return atRecord(r.n, l.missing(ctx, r))
			}
			patch := doc.NewObject()
			for _, ref := range r.refs {
				v, _ := r.body.Get(ref.field.Name)
				patch.Set(ref.field.Name, v)
			}
			id, _ := r.body.Get("id")
			b.add(data.Operation{Op: "update", Collection: s.of.Name, ID: id.Text, Body: patch}, r, 0)
		}
		_, _, err := l.db.Batch(ctx, data.System, b.ops, true, data.WriteOptions{Minimal: true})
		var failed *data.BatchError
		if errors.As(err, &failed) {
			return atRecord(b.records[failed.Operation].n, failed.Err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// missing names the reference of a record that leads nowhere.
func (l *loader) missing(ctx context.Context, r *record) error {
	for _, ref := range r.refs {
		if id, err := l.referred(ctx, ref); err != nil {
			return err
		} else if id == "" {
			return notThere(ref)
		}
	}
	return nil
}

// holds says whether a collection has records.
func (l *loader) holds(ctx context.Context, c *spec.Collection) (bool, error) {
	records, _, err := l.db.Records(ctx, data.System, &data.ListQuery{Collection: c.Name, Fields: "id", Limit: 1})
	return len(records) > 0, err
}

func without(n *doc.Node, key string) *doc.Node {
	out := doc.NewObject()
	for i, k := range n.Keys {
		if k != key {
			out.Set(k, &n.Items[i])
		}
	}
	return out
}
