package data

import (
	"context"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Update changes a record by a JSON merge patch (RFC 7396). A patch that changes nothing leaves rev as it is.
func (db *DB) Update(ctx context.Context, by Caller, collection, id string, patch *doc.Node, o WriteOptions) (Reply, error) {
	u, err := db.planUpdate(&by, collection, id, patch, o)
	if err != nil {
		return Reply{}, err
	}
	return db.once(ctx, &by, o, u.apply)
}

func (db *DB) planUpdate(by *Caller, collection, id string, patch *doc.Node, o WriteOptions) (*update, error) {
	if err := db.Allow(*by, collection, Update); err != nil {
		return nil, err
	}
	k, err := db.collection(*by, collection)
	if err != nil {
		return nil, err
	}
	if patch == nil || patch.Kind != doc.Object {
		return nil, fault.New(fault.BadRequest, "the body must be a JSON object")
	}
	return &update{k: k, id: id, match: o.IfMatch, noneMatch: o.IfNoneMatch, edit: func(w *work, old, rec Record, p *problems) error {
		return w.edit(k, old, rec, patch, o.Uploads, p, false)
	}}, nil
}

// update is a change of a record that is there.
type update struct {
	k     *kind
	id    string
	often bool   // many change it at the same time
	match *Match // If-Match

	noneMatch *Match                                            // If-None-Match
	edit      func(w *work, old, rec Record, p *problems) error // makes rec, a copy of old, what it is to be
}

// apply reads: fetch → may he → edit → precondition → valid → may he still → replace → reply. The edit
// comes before the precondition because a rule may ask about input; nothing is told of it before.
func (u *update) apply(w *work) (Reply, error) {
	stmt := u.k.lock
	if !u.often && w.guesses(u.k) {
		stmt, w.guessed = u.k.whole, true
	}
	old, err := w.find(u.k, stmt, u.id)
	if err != nil {
		return Reply{}, err
	}
	return u.applyTo(w, old)
}

// guesses says that a record is read without a lock: its change is refused where it is not any more what was read,
// and then the whole is run again, with the lock. That is worth it where the change is the end of the transaction:
// then the engine stores and commits it at once, and there is nothing to be held until then.
func (w *work) guesses(k *kind) bool {
	return w.alone && len(k.before[Update]) == 0 && w.op < 0 && w.held != nil && w.held.finisher != nil && (w.bare || !k.others)
}

func (u *update) applyTo(w *work, old Record) (Reply, error) {
	k, rule := u.k, u.k.Access.Update
	asksInput := rule != nil && rule.Input
	if !asksInput {
		if err := w.may(k, rule, "change", old); err != nil {
			return Reply{}, err
		}
	}
	rec := append(Record(nil), old...)
	var p problems
	if err := u.edit(w, old, rec, &p); err != nil {
		return Reply{}, err
	}
	if asksInput {
		if err := w.may(k, rule, "change", old, rec); err != nil {
			return Reply{}, err
		}
	}
	if err := matches(u.match, old); err != nil {
		return Reply{}, err
	}
	if err := differs(u.noneMatch, old); err != nil {
		return Reply{}, err
	}
	if len(p) == 0 && unchanged(k, old, rec) {
		return w.reply(200, k, old)
	}
	if len(p) == 0 {
		if err := w.before(k, Update, old, rec); err != nil {
			return Reply{}, err
		}
	}
	if err := w.db.valid(w.by, k, rec, w.fetch(), &p); err != nil {
		if len(p) == 0 || !decided(rule, w.by) {
			return Reply{}, err
		}
		if err := w.refer(k, old, rec, &p); err != nil {
			return Reply{}, err
		}
		return Reply{}, p.err()
	}
	// What is set on every write came after the first question, so the rule is asked of the end too.
	if asksInput {
		if err := w.may(k, rule, "change", old, rec); err != nil {
			return Reply{}, err
		}
	} else if err := w.may(k, rule, "change", rec); err != nil {
		return Reply{}, err
	}
	if err := w.refer(k, old, rec, &p); err != nil {
		return Reply{}, err
	}
	if err := p.err(); err != nil {
		return Reply{}, err
	}
	if err := w.replace(k, old, rec); err != nil {
		return Reply{}, err
	}
	w.dropBlobs(k, old, rec)
	return w.reply(200, k, rec)
}

// find reads a record that the caller may read, opened and locked as stmt says: k.lock or k.gone.
func (w *work) find(k *kind, stmt driver.Stmt, id string) (Record, error) {
	rec, err := k.record(w.ctx, w.tx, stmt, id)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, noRecord(k)
	}
	if err := w.db.keys.open(k.Collection, rec); err != nil {
		return nil, err
	}
	may, err := w.holds(k.Access.Read, rec)
	if err == nil && !may {
		// Update and delete imply read: no read rule at all is no obstacle.
		if k.Access.Read != nil {
			err = noRecord(k)
		}
	}
	return rec, err
}

// may asks a rule about a record that the caller may read.
func (w *work) may(k *kind, rule *expr.Expr, what string, rows ...[]Value) error {
	ok, err := w.holds(rule, rows...)
	if err == nil && !ok {
		err = denied(w.by, what+" this record of "+k.Name)
	}
	return err
}

// matches checks If-Match against a record that is there.
func matches(m *Match, rec Record) error {
	if m == nil {
		return nil
	}
	return m.Check(rec[spec.OrdRev].Int())
}

// differs checks If-None-Match against a record that is there.
func differs(m *Match, rec Record) error {
	switch {
	case m == nil || matches(m, rec) != nil:
		return nil
	case m.Any:
		return fault.New(fault.Precondition, "the record exists")
	}
	return fault.New(fault.Precondition, "the record is at revision %d, which If-None-Match names", rec[spec.OrdRev].Int())
}

// unchanged says whether the app's own fields are the same.
func unchanged(k *kind, old, rec Record) bool {
	for _, f := range k.Fields[spec.OrdFirst:] {
		if f.Companion == spec.Own && !same(old[f.Ord], rec[f.Ord]) {
			return false
		}
	}
	return true
}

// edit takes what a merge patch names or, whole, what a put does: then json is replaced, not merged.
func (w *work) edit(k *kind, old, rec Record, patch *doc.Node, uploads map[string][]Upload, p *problems, whole bool) error {
	for i, name := range patch.Keys {
		if p.full() {
			return nil
		}
		n := &patch.Items[i]
		if f, ok := k.Field(name); ok && f.Ord < spec.OrdFirst {
			if string(AppendJSON(nil, old[f.Ord])) != string(n.AppendCanonical(nil)) {
				p.add(fault.Pointer(name), "readonly", "cannot be changed")
			}
			continue
		}
		f, err := w.db.writableField(w.by, k, name, w, p, old, rec)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if whole {
			// nothing to merge
		} else if f.Type == spec.JSON && n.Kind == doc.Object && !old[f.Ord].IsNull() {
			stored, err := doc.Parse([]byte(old[f.Ord].Text()), doc.Limits{})
			if err != nil {
				return fault.Wrap(fault.Internal, "read "+f.Name, err)
			}
			n = doc.Merge(stored, n)
		} else if f.Type == spec.JSON && n.Kind == doc.Object {
			n = doc.Merge(&doc.Node{}, n) // nulls in a patch are never values
		}
		if f.Type == spec.File && n.Kind != doc.Null {
			readable, err := w.reads(f, old)
			if err != nil {
				return err
			}
			if !readable {
				p.add(fault.Pointer(name), "type", "takes null, or a file as a part of multipart/form-data")
				continue
			}
			if err := w.keepFiles(k, f, old, rec, n, p); err != nil {
				return err
			}
			continue
		}
		if err := w.change(f, old, rec, p.value(f, n), p); err != nil {
			return err
		}
	}
	for name, files := range uploads {
		f, err := w.db.writableField(w.by, k, name, w, p, old, rec)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if err := w.change(f, old, rec, p.files(f, files), p); err != nil {
			return err
		}
	}
	return nil
}

// change gives a field a new value, unless it is fixed. Naming a fixed field with its own value is
// accepted from those who may read it; to others the answer would tell what it is.
func (w *work) change(f *spec.Field, old, rec Record, v Value, p *problems) error {
	if f.Fixed {
		readable, err := w.reads(f, old)
		if err != nil {
			return err
		}
		if !readable || !same(v, old[f.Ord]) {
			p.add(fault.Pointer(f.Name), "readonly", "cannot be changed after it was created")
			return nil
		}
	}
	rec[f.Ord] = v
	return nil
}

// reads says whether the caller may read a field of a record that he may read.
func (w *work) reads(f *spec.Field, rec Record) (bool, error) {
	if !visible(f, w.by) || f.Read == nil {
		return visible(f, w.by), nil
	}
	return w.holds(f.Read, rec)
}
