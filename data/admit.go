package data

import (
	"context"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Admit makes a user. Whether somebody may become one is not what the create rule of the collection says, and it is not
// asked. The write rules of the fields that body names are, as of somebody who is not signed in; own is what is not his to
// say: email, verified, role. The reply has no body.
func (t *Tx) Admit(body, own *doc.Node) (r Reply, err error) {
	err = t.in(func(w *work) error {
		by, bare := w.by, w.bare
		defer func() { w.by, w.bare = by, bare }()
		w.by, w.bare = &Caller{}, true
		c, err := w.db.planAdmission(body, own)
		if err != nil {
			return err
		}
		r, err = c.apply(w)
		return err
	})
	return r, err
}

// Admissible is what Admit would refuse of somebody at the moment, except that the address is taken: who asks must not
// learn that from it. Nothing is stored.
func (db *DB) Admissible(ctx context.Context, body, own *doc.Node) error {
	c, err := db.planAdmission(body, own)
	if err != nil {
		return err
	}
	fetch := &fetcher{db, ctx, db.eng}
	var p problems
	if c.k.walks {
		if err := db.finish(&Caller{}, c.k, c.rec, c.given, db.now(), fetch, &p); err != nil {
			return err
		}
	}
	err = p.refer(c.k, nil, c.rec, func(collection, id string) (bool, error) {
		to := db.kinds[collection]
		rec, err := to.record(ctx, db.eng, to.whole, id)
		return rec != nil, err
	})
	if err == nil {
		err = p.err()
	}
	if err != nil {
		return err
	}
	var taken []string
	for _, cl := range c.k.claims {
		if slices.ContainsFunc(cl.of.Fields, func(f *spec.Field) bool { return f.Name == "email" }) {
			continue
		}
		others, err := cl.others(ctx, db.eng, c.rec, c.rec[spec.OrdID].Text())
		if err != nil {
			return err
		}
		if others {
			taken = append(taken, namesOf(cl.of, &Caller{})...)
		}
	}
	if len(taken) > 0 {
		return conflict(taken)
	}
	return nil
}

// planAdmission reads what is said of a new user.
func (db *DB) planAdmission(body, own *doc.Node) (*creation, error) {
	k := db.kinds[db.app.Auth.Collection]
	if k == nil {
		return nil, fault.New(fault.Internal, "nobody can become a user of an app without an auth section")
	}
	says, adds := given(body, nil), given(own, nil)
	c := &creation{k: k, rec: make(Record, len(k.Fields)), admitted: true, given: func(name string) bool { return says(name) || adds(name) }}
	now := db.now()
	var p problems
	if err := c.read(db, &Caller{}, body, nil, "", &p); err != nil {
		return nil, err
	}
	named := c.named
	if err := c.read(db, &System, own, nil, "", &p); err != nil {
		return nil, err
	}
	c.named = named
	if c.rec[spec.OrdID].IsNull() {
		c.rec[spec.OrdID] = expr.TextOf(db.ids.next(now))
	}
	if k.walks {
		return c, p.err() // finished where other records can be seen
	}
	return c, db.finish(&Caller{}, k, c.rec, c.given, now, nil, &p)
}

// Me appends the caller's own record: the fields whose rules let him read them, whoever may read the records of the
// collection. It is fault.NotFound where he has none.
func (db *DB) Me(ctx context.Context, by Caller, dst []byte) ([]byte, error) {
	k := db.kinds[db.app.Auth.Collection]
	if k == nil || by.ID == "" {
		return dst, fault.New(fault.NotFound, "nobody is signed in who has a record")
	}
	var rec Record
	err := db.eng.Read(ctx, func(rd driver.Reader) error {
		var err error
		if rec, err = k.record(ctx, rd, k.whole, by.ID); err != nil {
			return err
		}
		if rec == nil {
			return noRecord(k)
		}
		if err := db.keys.open(k.Collection, rec); err != nil {
			return err
		}
		dst, err = db.appendFields(dst, &by, k, rec, &fetcher{db, ctx, rd}, true)
		return err
	})
	return dst, err
}
