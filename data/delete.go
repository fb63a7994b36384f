package data

import (
	"context"

	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Delete removes a record and what its references say goes with it.
func (db *DB) Delete(ctx context.Context, by Caller, collection, id string, o WriteOptions) (Reply, error) {
	d, err := db.planDelete(&by, collection, id, o)
	if err != nil {
		return Reply{}, err
	}
	return db.once(ctx, &by, o, d.apply)
}

func (db *DB) planDelete(by *Caller, collection, id string, o WriteOptions) (*deletion, error) {
	if err := db.Allow(*by, collection, Delete); err != nil {
		return nil, err
	}
	k, err := db.collection(*by, collection)
	return &deletion{k: k, id: id, match: o.IfMatch, noneMatch: o.IfNoneMatch}, err
}

type deletion struct {
	k     *kind
	id    string
	match *Match // If-Match

	noneMatch *Match // If-None-Match
}

func (d *deletion) apply(w *work) (Reply, error) {
	rec, err := w.find(d.k, d.id)
	if err != nil {
		return Reply{}, err
	}
	if err := w.may(d.k, d.k.Access.Delete, "delete", rec); err != nil {
		return Reply{}, err
	}
	if err := matches(d.match, rec); err != nil {
		return Reply{}, err
	}
	if err := differs(d.noneMatch, rec); err != nil {
		return Reply{}, err
	}
	return Reply{Status: 204, ID: d.id}, w.remove(d.k, rec)
}

// doomed is a record that goes.
type doomed struct {
	k   *kind
	rec Record
}

// batchSize is how many records one statement removes.
const batchSize = 500

// remove deletes a record, those that refer to it with onDelete: cascade, and those that refer to them;
// it takes the references of onDelete: clear away. Rules are not asked: the reference is the rule.
func (w *work) remove(k *kind, rec Record) error {
	list := []doomed{{k, rec}}
	gone := map[string]bool{k.Name + "/" + rec[spec.OrdID].Text(): true}
	type loose struct {
		doomed
		field *spec.Field
		id    string
	}
	var clear, kept []loose
	for i := 0; i < len(list); i++ {
		id := list[i].rec[spec.OrdID].Text()
		for _, r := range list[i].k.referrers {
			records, err := r.records(w.ctx, w.tx, id)
			if err != nil {
				return err
			}
			for _, other := range records {
				key := r.from.Name + "/" + other[spec.OrdID].Text()
				if gone[key] {
					continue
				}
				l := loose{doomed{r.from, other}, r.field, id}
				switch r.field.OnDelete {
				case spec.Cascade:
					gone[key] = true
					list = append(list, l.doomed)
				case spec.Clear:
					clear = append(clear, l)
				default:
					kept = append(kept, l)
				}
			}
		}
	}
	for _, l := range kept {
		if !gone[l.k.Name+"/"+l.rec[spec.OrdID].Text()] {
			who := l.k.Name + "." + l.field.Name
			if s := w.db.Sight(*w.by, l.k.Name); !s.Read || !s.Readable[l.field.Ord] {
				who = "other records" // whose names are not his to know
			}
			return &fault.Error{Kind: fault.Conflict, Msg: "the record is still referred to",
				Fields: []fault.Field{{Code: "referenced", Message: "is still referred to by " + who}}}
		}
	}
	for _, l := range clear {
		if gone[l.k.Name+"/"+l.rec[spec.OrdID].Text()] {
			continue
		}
		if err := w.clear(l.k, l.rec[spec.OrdID].Text(), l.field, l.id); err != nil {
			return err
		}
	}
	for end := len(list); end > 0; { // children before parents
		from := end - 1
		for from > 0 && list[from-1].k == list[end-1].k && end-from < batchSize {
			from--
		}
		ids := make([]string, 0, end-from)
		for _, d := range list[from:end] {
			ids = append(ids, d.rec[spec.OrdID].Text())
			w.dropBlobs(d.k, d.rec, nil)
		}
		if _, err := w.tx.Delete(list[from].k.Collection, ids); err != nil {
			return err
		}
		end = from
	}
	return nil
}

// clear takes the reference to id out of a record. It is read again: it may refer more than once.
func (w *work) clear(k *kind, record string, f *spec.Field, id string) error {
	old, err := k.record(w.ctx, w.tx, k.lock, record)
	if err != nil || old == nil {
		return err
	}
	if err := w.db.keys.open(k.Collection, old); err != nil {
		return err
	}
	rec := append(Record(nil), old...)
	rec[f.Ord] = Value{}
	if f.Type == spec.List {
		var left []Value
		for _, item := range old[f.Ord].List() {
			if item.Text() != id {
				left = append(left, item)
			}
		}
		rec[f.Ord] = expr.ListOf(left...)
	}
	return w.replace(k, old, rec)
}
