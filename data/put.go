package data

import (
	"context"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Put creates the record with this id (201) or replaces it (200): like Create on the fields that the
// caller may write; the others stay.
func (db *DB) Put(ctx context.Context, by Caller, collection, id string, body *doc.Node, o WriteOptions) (Reply, error) {
	create, change := db.Allow(by, collection, Create), db.Allow(by, collection, Update)
	if create != nil && change != nil {
		return Reply{}, change
	}
	k, err := db.collection(by, collection)
	if err != nil {
		return Reply{}, err
	}
	if !ValidID(id) {
		return Reply{}, fault.New(fault.BadRequest, "the id must be a UUIDv7 in lower case")
	}
	if body == nil || body.Kind != doc.Object {
		return Reply{}, fault.New(fault.BadRequest, "the body must be a JSON object")
	}
	return db.once(ctx, &by, o, func(w *work) (Reply, error) {
		rec, err := k.record(w.ctx, w.tx, k.lock, id)
		if err != nil {
			return Reply{}, err
		}
		if rec == nil {
			if create != nil { // as for one that he may not read: which of the two it is, is not told
				return Reply{}, noRecord(k)
			}
			if o.IfMatch != nil {
				return Reply{}, fault.New(fault.Precondition, "there is no such record")
			}
			c, err := db.planCreate(w.by, k, body, o.Uploads, id)
			if err != nil {
				return Reply{}, c.refersAlso(w.by, err, w.named)
			}
			return c.apply(w)
		}
		old, err := w.find(k, k.lock, id)
		if err != nil {
			return Reply{}, err
		}
		if change != nil {
			return Reply{}, change
		}
		u := &update{k: k, id: id, match: o.IfMatch, noneMatch: o.IfNoneMatch, edit: func(w *work, old, rec Record, p *problems) error {
			return w.put(k, old, rec, body, o.Uploads, p)
		}}
		return u.applyTo(w, old)
	})
}

// put resets what the caller may write to what a new record would have, then takes what the body names.
func (w *work) put(k *kind, old, rec Record, body *doc.Node, uploads map[string][]Upload, p *problems) error {
	named := given(body, uploads)
	for _, f := range k.Fields[spec.OrdFirst:] {
		if f.Companion != spec.Own || f.Fixed || !writable(f, w.by) || named(f.Name) {
			continue
		}
		if f.Write != nil {
			may, err := w.holds(f.Write, old, rec)
			if err != nil {
				return err
			}
			if !may {
				continue
			}
		}
		rec[f.Ord] = Value{}
		if f.Init != nil {
			if err := w.db.compute(f, f.Init, w.by, rec, w.fetch(), p); err != nil {
				return err
			}
		}
		if rec[f.Ord].IsNull() && f.Default != nil {
			rec[f.Ord] = *f.Default
		}
	}
	return w.edit(k, old, rec, body, uploads, p, true)
}
