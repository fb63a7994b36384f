package data

import (
	"context"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Invitable is nil where a caller may invite somebody of whom he says body: its fields are his to write, as of a record that he
// creates, and the rule of auth.invite holds for it. own is what is not his to say, the address. What else the app wants of its
// users, who is invited says himself. Nothing is stored.
func (db *DB) Invitable(ctx context.Context, by Caller, body, own *doc.Node) error {
	k, rule := db.kinds[db.app.Auth.Collection], db.app.Auth.Invite
	switch {
	case k == nil:
		return fault.New(fault.Internal, "nobody is invited to an app without an auth section")
	case by.ReadOnly:
		return fault.New(fault.Denied, "this key is read-only")
	case rule == nil && !by.Operator:
		return denied(&by, "invite people")
	}
	fetch := &fetcher{db, ctx, db.eng}
	if rule != nil && !rule.Record { // before what is said is looked at
		if ok, err := db.holds(rule, &by, fetch); err != nil {
			return err
		} else if !ok {
			return denied(&by, "invite people")
		}
	}
	c := &creation{k: k, rec: make(Record, len(k.Fields))}
	var p problems
	if err := c.read(db, &by, body, nil, "", &p); err != nil {
		return err
	}
	named := c.named
	if err := c.read(db, &System, own, nil, "", &p); err != nil {
		return err
	}
	if err := p.err(); err != nil {
		return err
	}
	for _, f := range k.Fields[spec.OrdFirst:] {
		if _, said := body.Get(f.Name); !said && f.Default != nil && c.rec[f.Ord].IsNull() {
			c.rec[f.Ord] = *f.Default
		}
	}
	if err := db.keys.companions(k.Collection, c.rec); err != nil {
		return err
	}
	for _, f := range named {
		if ok, err := db.holds(f.Write, &by, fetch, c.rec); err != nil {
			return err
		} else if !ok {
			if err := db.refuseField(&by, f, fetch, &p, c.rec); err != nil {
				return err
			}
		}
	}
	if err := p.err(); err != nil {
		return err
	}
	ok, err := db.holds(rule, &by, fetch, c.rec)
	if err == nil && !ok {
		err = denied(&by, "invite this user")
	}
	return err
}
