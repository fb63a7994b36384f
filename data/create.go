package data

import (
	"context"
	"errors"
	"time"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Create makes a record of body, a JSON object. What it answers is on disk.
//
// It reads: plan (pure) → transaction → what looks at other records → guard → insert → reply.
func (db *DB) Create(ctx context.Context, by Caller, collection string, body *doc.Node, o WriteOptions) (Reply, error) {
	if err := db.Allow(by, collection, Create); err != nil {
		return Reply{}, err
	}
	k, err := db.collection(by, collection)
	if err != nil {
		return Reply{}, err
	}
	if o.Idempotency != nil { // before anything is judged: a repeated request is not judged again
		if r, err := db.replay(ctx, &by, o.Idempotency); err != nil || r.Replayed {
			return r, err
		}
	}
	c, err := db.planCreate(&by, k, body, o.Uploads, "")
	if err != nil {
		return Reply{}, c.refersAlso(&by, err, func(to, id string) (bool, error) {
			rec, err := db.kinds[to].record(ctx, db.eng, db.kinds[to].whole, id)
			return rec != nil, err
		})
	}
	return db.once(ctx, &by, o, c.apply)
}

// creation is a record that is going to be created.
type creation struct {
	k     *kind
	rec   Record
	given func(field string) bool
	named []*spec.Field // the body names them, and their write rule looks at the record

	admitted bool // it is a user, whom the create rule is not asked about
}

// planCreate reads the body and, unless that takes a look at other records, finishes the record.
// id is given for a put.
func (db *DB) planCreate(by *Caller, k *kind, body *doc.Node, uploads map[string][]Upload, id string) (*creation, error) {
	c := &creation{k: k, rec: make(Record, len(k.Fields)), given: given(body, uploads)}
	now := db.now()
	var p problems
	if err := c.read(db, by, body, uploads, id, &p); err != nil {
		return nil, err
	}
	if id != "" {
		c.rec[spec.OrdID] = expr.TextOf(id)
	}
	if c.rec[spec.OrdID].IsNull() {
		c.rec[spec.OrdID] = expr.TextOf(db.ids.next(now))
	}
	if k.walks {
		return c, p.err() // finished in the transaction
	}
	return c, db.finish(by, k, c.rec, c.given, now, nil, &p)
}

// read takes the values that the body names.
func (c *creation) read(db *DB, by *Caller, body *doc.Node, uploads map[string][]Upload, id string, p *problems) error {
	if body == nil || body.Kind != doc.Object {
		return fault.New(fault.BadRequest, "the body must be a JSON object")
	}
	for i, name := range body.Keys {
		if p.full() {
			return nil
		}
		n := &body.Items[i]
		if name == "id" {
			switch {
			case n.Kind != doc.String:
				p.add("/id", "type", "must be a text")
			case !ValidID(n.Text):
				p.add("/id", "pattern", "must be a UUIDv7 in lower case")
			case id != "" && n.Text != id:
				p.add("/id", "readonly", "is not the id of the address")
			default:
				c.rec[spec.OrdID] = expr.TextOf(n.Text)
			}
			continue
		}
		f, err := db.writableField(by, c.k, name, nil, p)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		c.rec[f.Ord] = p.value(f, n)
		c.name(f)
	}
	for name, files := range uploads {
		f, err := db.writableField(by, c.k, name, nil, p)
		if err != nil {
			return err
		}
		if f != nil {
			c.rec[f.Ord] = p.files(f, files)
			c.name(f)
		}
	}
	return nil
}

// name remembers a field that the body or an upload names, if its write rule waits for the record.
func (c *creation) name(f *spec.Field) {
	if f.Write != nil && f.Write.Record {
		c.named = append(c.named, f)
	}
}

// writableField finds a field that a body names and the caller may write, as far as that needs only
// the caller (rec nil) or the stored record. Otherwise it adds a problem: readonly if he may read the
// field, else unknown.
func (db *DB) writableField(by *Caller, k *kind, name string, w *work, p *problems, rec ...[]Value) (*spec.Field, error) {
	f, ok := k.Field(name)
	if !ok || f.Companion != spec.Own || f.Hidden && f.Write == nil && !by.system {
		p.add(fault.Pointer(name), "unknown", "there is no such field")
		return nil, nil
	}
	may := writable(f, by)
	var fetch expr.Fetcher
	if w != nil {
		fetch = w.fetch()
	}
	var err error
	if may && f.Write != nil && (w != nil || !f.Write.Record) {
		if may, err = db.holds(f.Write, by, fetch, rec...); err != nil {
			return nil, err
		}
	}
	if may {
		return f, nil
	}
	return nil, db.refuseField(by, f, fetch, p, rec...)
}

// refuseField says that a field cannot be written: readonly if the caller may read it, else unknown.
func (db *DB) refuseField(by *Caller, f *spec.Field, fetch expr.Fetcher, p *problems, rec ...[]Value) error {
	readable := visible(f, by)
	if readable && f.Read != nil {
		readable = f.Read.Record && len(rec) == 0
		if !readable {
			var err error
			if readable, err = db.holds(f.Read, by, fetch, rec...); err != nil {
				return err
			}
		}
	}
	if readable {
		p.add(fault.Pointer(f.Name), "readonly", "cannot be written")
	} else {
		p.add(fault.Pointer(f.Name), "unknown", "there is no such field")
	}
	return nil
}

// given says which fields a body names.
func given(body *doc.Node, uploads map[string][]Upload) func(name string) bool {
	return func(name string) bool {
		if _, ok := body.Get(name); ok {
			return true
		}
		_, ok := uploads[name]
		return ok
	}
}

// finish completes a new record: system fields, init, default, set; then it must be valid. rec is
// plain before and after; companions are computed.
func (db *DB) finish(by *Caller, k *kind, rec Record, given func(string) bool, now time.Time, fetch expr.Fetcher, p *problems) error {
	ms := expr.TimeOf(now.UnixMilli())
	rec[spec.OrdCreated], rec[spec.OrdUpdated], rec[spec.OrdRev] = ms, ms, expr.IntOf(1)
	for _, f := range k.Fields[spec.OrdFirst:] {
		if f.Companion != spec.Own || f.Set != nil || given(f.Name) {
			continue
		}
		if f.Init != nil {
			if err := db.compute(f, f.Init, by, rec, fetch, p); err != nil {
				return err
			}
		}
		if rec[f.Ord].IsNull() && f.Default != nil {
			rec[f.Ord] = *f.Default
		}
	}
	return db.valid(by, k, rec, fetch, p)
}

// compute gives a field the value of its init or set; what cannot be computed is told at the field.
func (db *DB) compute(f *spec.Field, e *expr.Expr, by *Caller, rec Record, fetch expr.Fetcher, p *problems) error {
	v, err := e.Value(db.scope(by, fetch, rec))
	var wrong *expr.Error
	if errors.As(err, &wrong) {
		p.add(fault.Pointer(f.Name), wrong.Code, "cannot be computed: "+wrong.Msg)
	} else if err != nil {
		return err
	}
	rec[f.Ord] = p.computed(f, v)
	return nil
}

// computed holds a computed value to what its field allows.
func (p *problems) computed(f *spec.Field, v Value) Value {
	switch {
	case v.IsNull():
		return v
	case f.Type == spec.List:
		list := v.List()
		return p.items(f, len(list), func(i int, at spot) Value { return p.limits(f, f.Elem, list[i], at) })
	}
	return p.limits(f, f.Type, v, spot{f, -1})
}

// valid sets what is set on every write and checks the record: required fields together with what
// was found before, then, if nothing was, the app's own rules.
func (db *DB) valid(by *Caller, k *kind, rec Record, fetch expr.Fetcher, p *problems) error {
	if err := db.set(by, k, rec, fetch, p); err != nil {
		return err
	}
	for _, f := range k.Fields {
		if f.Required && rec[f.Ord].IsNull() && !p.names(f) {
			p.add(fault.Pointer(f.Name), "required", "is required")
		}
	}
	if err := p.err(); err != nil {
		return err
	}
	if err := db.keys.companions(k.Collection, rec); err != nil {
		return err
	}
	for _, v := range k.Validate {
		ok, err := expr.Holds(v.Rule.Root, db.scope(by, fetch, rec))
		if ok && err == nil {
			continue
		}
		pointer, message := "", v.Message
		if v.Field != "" {
			pointer = fault.Pointer(v.Field)
		}
		var wrong *expr.Error
		if errors.As(err, &wrong) {
			message = "a rule cannot be computed: " + wrong.Msg
		} else if err != nil {
			return err
		}
		p.add(pointer, "rule", message)
	}
	return p.err()
}

// set computes what is set on every write.
func (db *DB) set(by *Caller, k *kind, rec Record, fetch expr.Fetcher, p *problems) error {
	for _, f := range k.Fields {
		if f.Set == nil {
			continue
		}
		if err := db.compute(f, f.Set, by, rec, fetch, p); err != nil {
			return err
		}
	}
	return nil
}

// names says whether something was found about a field already.
func (p problems) names(f *spec.Field) bool {
	for _, q := range p {
		if q.Pointer == fault.Pointer(f.Name) {
			return true
		}
	}
	return false
}

// apply creates the record in a transaction.
func (c *creation) apply(w *work) (Reply, error) {
	rec := c.rec
	if c.k.walks {
		rec = append(Record(nil), rec...) // this may run again after a conflict
		if err := w.db.finish(w.by, c.k, rec, c.given, w.now, w.fetch(), &problems{}); err != nil {
			return Reply{}, c.refersAlso(w.by, err, w.named)
		}
	}
	if len(c.k.before[Create]) > 0 {
		rec = append(Record(nil), rec...)
		if err := w.before(c.k, Create, nil, rec); err != nil {
			return Reply{}, err
		}
		if err := w.db.valid(w.by, c.k, rec, w.fetch(), &problems{}); err != nil {
			return Reply{}, err
		}
	}
	if err := c.guard(w, rec); err != nil {
		return Reply{}, err
	}
	if err := w.insert(c.k, rec); err != nil {
		return Reply{}, err
	}
	if err := w.founded(c.k, rec); err != nil {
		return Reply{}, err
	}
	return w.reply(201, c.k, rec)
}

// guard asks the rules that look at the record that would be.
func (c *creation) guard(w *work, rec Record) error {
	if rule := c.k.Access.Create; !c.admitted && (rule == nil || rule.Record) {
		ok, err := w.holds(rule, rec)
		if err != nil {
			return err
		}
		if !ok {
			return denied(w.by, "create this record of "+c.k.Name)
		}
	}
	var p problems
	for _, f := range c.named {
		ok, err := w.holds(f.Write, rec)
		if err != nil {
			return err
		}
		if !ok {
			if err := w.db.refuseField(w.by, f, w.fetch(), &p, rec); err != nil {
				return err
			}
		}
	}
	return p.err()
}
