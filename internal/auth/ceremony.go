package auth

import (
	"context"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A ceremony is what one request begins and another ends: the second step of a sign-in (second.go), a passkey that is made or shown
// (passkey.go). It is a record, and its token is told to who began it.

// ceremony is something that was begun for whoever has its token, and that a second request ends.
type ceremony struct {
	id, purpose string
	user        string // "": nobody is known yet
	epoch       int    // of the user's account
	session     string // the session that it was begun from; "": none
	says        string
	tries       int64
}

// What a ceremony is for, how long it may take, and how many codes may be tried with one ticket (NIST 800-63B-4, 3.1.3.2:
// 10 minutes).
const (
	isTicket   = "ticket"   // a first proof was good, and a second is to follow
	isRegister = "register" // a passkey is being made
	isAssert   = "assert"   // a passkey is being shown

	ticketLife   = 10 * time.Minute
	passkeyLife  = 5 * time.Minute
	triesATicket = 5
)

// open begins a ceremony. The token that ends it is told to who asks, and to nobody else.
func (g *Gate) open(tx *data.Tx, c ceremony, life time.Duration) (token string, err error) {
	now := g.clock()
	t := g.begun.mint(now)
	body := doc.NewObject()
	body.Set("id", doc.NewString(t.recordID()))
	body.Set("purpose", doc.NewString(c.purpose))
	body.Set("hash", doc.NewString(t.hash()))
	body.Set("epoch", doc.NewInt(int64(c.epoch)))
	body.Set("expires", moment(now.Add(life)))
	for name, text := range map[string]string{"user": c.user, "session": c.session, "says": c.says} {
		if text != "" {
			body.Set(name, doc.NewString(text))
		}
	}
	_, err = tx.Create(g.own("_ceremonies"), body)
	return g.begun.text(t), err
}

// under finds the ceremony of a token, which stands in a field of the request.
func (g *Gate) under(ctx context.Context, purpose, token, field string) (ceremony, error) {
	t, ok := g.begun.parse(token)
	if !ok {
		return ceremony{}, wrongSecret(fault.Pointer(field))
	}
	rec, err := g.record(ctx, g.own("_ceremonies"), t.recordID())
	if err != nil {
		return ceremony{}, err
	}
	if rec == nil || !t.hasHash(rec[g.people.ceremony.hash].Text()) || !g.runs(rec, purpose) {
		return ceremony{}, wrongSecret(fault.Pointer(field))
	}
	return g.ceremonyOf(rec), nil
}

func (g *Gate) runs(rec data.Record, purpose string) bool {
	c := &g.people.ceremony
	return rec[c.purpose].Text() == purpose && g.clock().UnixMilli() < rec[c.expires].Int()
}

func (g *Gate) ceremonyOf(rec data.Record) ceremony {
	c := &g.people.ceremony
	return ceremony{id: rec[spec.OrdID].Text(), purpose: rec[c.purpose].Text(), user: rec[c.user].Text(), epoch: int(rec[c.epoch].Int()),
		session: rec[c.session].Text(), says: rec[c.says].Text(), tries: rec[c.tries].Int()}
}

// of finds whose a ceremony is. What changed his epoch since has ended it: a new password, for one.
func (g *Gate) of(ctx context.Context, c *ceremony, field string) (*person, error) {
	who, err := g.personByID(ctx, c.user)
	g.concerns(ctx, who)
	if err == nil && (who == nil || who.disabled || who.epoch != c.epoch) {
		err = wrongSecret(fault.Pointer(field))
	}
	return who, err
}

// spendTicket ends a ticket: of all who try one is not told that it is spent.
func (g *Gate) spendTicket(tx *data.Tx, c *ceremony) error {
	err := tx.Delete(g.own("_ceremonies"), c.id)
	if fault.Is(err, fault.NotFound) {
		return wrongSecret("/ticket")
	}
	return err
}
