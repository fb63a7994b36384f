package seed

import (
	"context"
	"errors"
	"slices"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// chunk is how many records go into one transaction: a place is left for the end of a trial.
const chunk = data.MaxBatch - 1

// write brings the records of a file into the database: those that are there are updated, the others
// created, and what they refer to in the same file follows when all of them are there. A file with a bad
// record is not loaded: one of several transactions, or one that would be skipped, is tried first.
func (l *loader) write(ctx context.Context, s *set) error {
	s.link()
	if s.by == "" {
		var err error
		if s.known, err = l.holds(ctx, s.of); err != nil {
			return err
		}
	}
	if s.known || len(s.bad) > 0 || len(s.records) > chunk {
		if err := l.try(ctx, s, s.records); err != nil {
			return err
		}
	}
	if s.known {
		if len(s.records) > 0 {
			l.result.Skipped += len(s.records)
			l.result.SkippedFiles = append(l.result.SkippedFiles, s.file)
		}
		return nil
	}
	var later []*record
	done := 0
	for part := range slices.Chunk(s.records, chunk) {
		b, err := l.prepare(ctx, s, part)
		if err == nil && len(s.bad) == 0 {
			err = l.commit(ctx, s, b)
		}
		if err != nil {
			return err
		}
		if len(s.bad) > 0 {
			if err := l.try(ctx, s, part); err != nil {
				return err
			}
			return s.failure()
		}
		later = append(later, b.open...)
		done += len(part)
		l.progress(done, len(s.records), s.file)
	}
	if err := s.failure(); err != nil {
		return err
	}
	l.result.Records += len(s.records)
	return l.complete(ctx, s, later)
}

// batch is one transaction.
type batch struct {
	ops     []data.Operation
	records []*record
	revs    []int64         // of the records that are there
	open    []*record       // those that refer to records of the file that are not there yet
	makes   map[string]bool // the ids that records of the file give themselves, of those that it creates
}

func (b *batch) add(op data.Operation, r *record, rev int64) {
	b.ops, b.records, b.revs = append(b.ops, op), append(b.records, r), append(b.revs, rev)
}

// prepare makes the batch of some records, without those that are bad.
func (l *loader) prepare(ctx context.Context, s *set, part []record) (*batch, error) {
	b := &batch{makes: map[string]bool{}}
	for i := range part {
		r := &part[i]
		open, err := l.resolve(ctx, s, r, b.makes)
		if err == nil {
			err = l.plan(ctx, s, r, b)
		}
		if err != nil {
			if err := s.fail(r, err); err != nil {
				return nil, err
			}
			continue
		}
		if open {
			b.open = append(b.open, r)
		}
	}
	return b, nil
}

// tried is the operation that ends a trial: it fails, so that nothing of the trial stays.
func tried(c *spec.Collection) data.Operation {
	return data.Operation{Op: "delete", Collection: c.Name, ID: "00000000-0000-7000-8000-000000000000"}
}

// maxVague is how many records of a transaction are tried in vain one by one, before all like them are left out.
const maxVague = 10

// try finds all bad records, and writes nothing. Of a file of several transactions it leaves out references to
// what another one brings, or a later record: then a record is bad only for what they have no part in.
func (l *loader) try(ctx context.Context, s *set, records []record) error {
	for part := range slices.Chunk(records, chunk) {
		b, err := l.prepare(ctx, s, part)
		if err != nil {
			return err
		}
		loose := map[*record]bool{} // they lack references that they would have
		if len(s.records) > chunk {
			for i, r := range b.records {
				if !slices.Contains(b.open, r) {
					continue
				}
				loose[r] = true
				for _, ref := range r.refs {
					if _, there := r.body.Get(ref.field.Name); !there {
						b.standIn(i, ref.field)
					}
				}
			}
		}
		for bad, vague := 0, 0; bad <= maxBad; {
			_, _, err := l.db.Batch(ctx, data.System, append(slices.Clone(b.ops), tried(s.of)), true, data.WriteOptions{Minimal: true})
			var failed *data.BatchError
			if !errors.As(err, &failed) {
				return err
			}
			if failed.Operation == len(b.ops) {
				break
			}
			r, err := b.records[failed.Operation], failed.Err
			if loose[r] {
				err = s.certain(r, err)
			}
			if err != nil {
				bad++
				if err := s.fail(r, err); err != nil {
					return err
				}
			} else if vague++; vague > maxVague {
				for _, r := range slices.Clone(b.records) {
					if loose[r] {
						b.leave(s, r, loose)
					}
				}
				continue
			}
			b.leave(s, r, loose)
		}
	}
	return s.failure()
}

// standIn lets a record that gives itself an id refer to itself for a trial, and lets another refer to nothing.
func (b *batch) standIn(i int, f *spec.Field) {
	op := &b.ops[i]
	op.Body = without(op.Body, f.Name)
	id, ok := b.records[i].body.Get("id")
	switch {
	case !ok:
	case f.Type == spec.List:
		op.Body.Set(f.Name, doc.NewArray(id))
	default:
		op.Body.Set(f.Name, id)
	}
}

// leave takes a record out. What refers to it by an id that it gave itself is loose then.
func (b *batch) leave(s *set, left *record, loose map[*record]bool) {
	at := slices.Index(b.records, left)
	b.ops, b.records, b.revs = slices.Delete(b.ops, at, at+1), slices.Delete(b.records, at, at+1), slices.Delete(b.revs, at, at+1)
	id, ok := left.body.Get("id")
	if !ok {
		return
	}
	for i, r := range b.records {
		for _, ref := range r.refs {
			if ref.by == "id" && ref.field.To == s.of.Name && slices.Contains(ref.values, id.Text) {
				b.standIn(i, ref.field)
				loose[r] = true
			}
		}
	}
}

// plan adds what makes the database hold a record.
func (l *loader) plan(ctx context.Context, s *set, r *record, b *batch) error {
	op := data.Operation{Op: "create", Collection: s.of.Name, Body: r.body}
	by := s.by
	if s.known {
		by = s.own(r)
	}
	given, has := r.body.Get("id")
	if by == "" {
		if has {
			b.makes[given.Text] = true
		}
		b.add(op, r, 0)
		return nil
	}
	value, ok := r.body.Get(by)
	if !ok || value.IsNull() {
		return fault.New(fault.Invalid, "%s is missing, by which it would be found", by)
	}
	id, rev, err := l.find(ctx, place{s.of.Name, by, value.Text})
	if err != nil {
		return err
	}
	if id != "" {
		op.Op, op.ID, op.Body = "update", id, without(r.body, "id")
		l.ids[place{s.of.Name, "id", id}] = id
	} else if has {
		b.makes[given.Text] = true
	}
	b.add(op, r, rev)
	return nil
}

// own is a field by which one record can be found, whether or not the others of the file have it.
func (s *set) own(r *record) string {
	for i, name := range r.body.Keys {
		if !r.body.Items[i].IsNull() && findable(s.of, name) == nil {
			return name
		}
	}
	return ""
}

// commit runs a batch and counts what it did. A bad record is noted.
func (l *loader) commit(ctx context.Context, s *set, b *batch) error {
	if len(b.ops) == 0 {
		return nil
	}
	if err := s.prove(ctx, b); err != nil {
		return err
	}
	results, _, err := l.db.Batch(ctx, data.System, b.ops, true, data.WriteOptions{Minimal: true})
	var failed *data.BatchError
	if errors.As(err, &failed) {
		return s.fail(b.records[failed.Operation], failed.Err)
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
		l.ids[place{s.of.Name, "id", r.ID}] = r.ID
		b.records[i].body.Set("id", doc.NewString(r.ID))
	}
	return l.moveIn(ctx, s, b.records)
}

// complete sets the references between records of the file that came before what they refer to.
func (l *loader) complete(ctx context.Context, s *set, later []*record) error {
	for part := range slices.Chunk(later, chunk) {
		b := &batch{}
		for _, r := range part {
			open, err := l.resolve(ctx, s, r, nil)
			if err == nil && open {
				err = l.missing(ctx, r)
			}
			if err != nil {
				if err := s.fail(r, err); err != nil {
					return err
				}
				continue
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
			err = s.fail(b.records[failed.Operation], failed.Err)
		}
		if err != nil {
			return err
		}
	}
	return s.failure()
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
