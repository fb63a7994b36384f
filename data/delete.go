package data

import (
	"context"

	"github.com/bluell/plinth/data/driver"
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
	rec, err := w.find(d.k, d.k.gone, d.id)
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

// link is a record by its name.
type link struct {
	k  *kind
	id string
}

// going is a record that is removed: as it is stored.
type going struct {
	k   *kind
	rec Record
}

func (g going) link() link { return link{g.k, g.rec[spec.OrdID].Text()} }

// loose is a record that refers to one that goes, and stays.
type loose struct {
	link
	field *spec.Field
	to    string // the id it refers to
}

const (
	batchSize = 500     // records that are removed together
	mostTaken = 100_000 // records that may go with one, or lose a reference: they are written in one transaction
)

// remove deletes a record, those that refer to it with onDelete: cascade, and those that refer to them;
// it takes the references of onDelete: clear away. Rules are not asked: the reference is the rule.
func (w *work) remove(k *kind, rec Record) error {
	if k.sealed {
		rec = append(Record(nil), rec...)
		if err := w.db.keys.seal(k.Collection, rec); err != nil {
			return err
		}
	}
	list := []going{{k, rec}}
	gone := map[link]bool{list[0].link(): true}
	var clear, kept []loose
	for i := 0; i < len(list); i++ {
		to := list[i].link()
		for _, r := range to.k.referrers {
			err := w.tx.Rows(w.ctx, r.fate, []Value{expr.TextOf(to.id)}, func(cols driver.Columns) error {
				from := link{r.from, string(cols.Text(spec.OrdID))}
				switch {
				case gone[from]:
				case r.field.OnDelete == spec.Cascade:
					gone[from] = true
					list = append(list, going{r.from, r.from.copy(cols)})
				case r.field.OnDelete == spec.Clear:
					clear = append(clear, loose{from, r.field, to.id})
				default:
					kept = append(kept, loose{from, r.field, to.id})
				}
				if len(list)+len(clear)+len(kept) > mostTaken {
					return fault.New(fault.Conflict, "more than %d records refer to the record, or to one that would go with it: delete or change them first", mostTaken)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	for _, l := range kept {
		if !gone[l.link] {
			return w.referenced(l)
		}
	}
	if err := w.keepsOwners(list, gone); err != nil {
		return err
	}
	for _, l := range clear {
		if gone[l.link] {
			continue
		}
		if err := w.clear(l); err != nil {
			return err
		}
	}
	for end := len(list); end > 0; { // children before parents
		from := end - 1
		for from > 0 && list[from-1].k == list[end-1].k && end-from < batchSize {
			from--
		}
		if err := w.drop(list[from:end]); err != nil {
			return err
		}
		end = from
	}
	return nil
}

// referenced says why a record stays.
func (w *work) referenced(by loose) error {
	who := by.k.Name + "." + by.field.Name
	if s := w.db.Sight(*w.by, by.k.Name); !s.Read || !s.Readable[by.field.Ord] {
		who = "other records" // whose names are not his to know
	}
	return &fault.Error{Kind: fault.Conflict, Msg: "the record is still referred to",
		Fields: []fault.Field{{Code: "referenced", Message: "is still referred to by " + who}}}
}

// drop removes records of one collection, with their files.
func (w *work) drop(all []going) error {
	k := all[0].k
	if len(k.hooks.before[Delete]) > 0 {
		for _, g := range all {
			plain, err := w.left(g)
			if err != nil {
				return err
			}
			if plain == nil {
				continue
			}
			if plain, err = w.db.opened(k, plain); err != nil {
				return err
			}
			if err := w.before(k, Delete, plain, nil); err != nil {
				return err
			}
		}
	}
	ids := make([]string, 0, len(all))
	if w.hooked {
		kept := make([]going, 0, len(all))
		for _, g := range all {
			rec, err := w.left(g)
			if err != nil {
				return err
			}
			if rec != nil {
				kept = append(kept, going{k, rec})
			}
		}
		all = kept
	}
	for _, g := range all {
		ids = append(ids, g.link().id)
		if !k.files && len(k.hooks.after[Delete]) == 0 {
			continue
		}
		plain, err := w.db.opened(k, g.rec)
		if err != nil {
			return err
		}
		w.tell(k, Delete, plain, nil)
		w.dropBlobs(k, plain, nil)
	}
	if len(ids) == 0 {
		return nil
	}
	if _, err := w.tx.Delete(k.Collection, ids); err != nil {
		return err
	}
	for _, g := range all {
		w.changed(k, Delete, g.rec, nil)
	}
	return nil
}

// left is a record that goes as it is stored now: hooks may have changed it, or deleted it, which is nil.
func (w *work) left(g going) (Record, error) {
	if !w.hooked {
		return g.rec, nil
	}
	return g.k.record(w.ctx, w.tx, g.k.gone, g.link().id)
}

// clear takes a reference out of a record, which is a write like others: what is set on each is set. The
// record is read anew each time: it may refer more than once.
func (w *work) clear(l loose) error {
	k, f := l.k, l.field
	old, err := k.record(w.ctx, w.tx, k.lock, l.id)
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
			if item.Text() != l.to {
				left = append(left, item)
			}
		}
		rec[f.Ord] = expr.ListOf(left...)
	}
	var p problems
	if len(k.before[Update]) > 0 {
		if err := w.before(k, Update, old, rec); err != nil {
			return err
		}
		if err := w.db.valid(w.by, k, rec, w.fetch(), &p); err != nil {
			return err
		}
	} else if err := w.db.set(w.by, k, rec, w.fetch(), &p); err != nil {
		return err
	}
	if err := p.err(); err != nil {
		return err
	}
	return w.replace(k, old, rec)
}
