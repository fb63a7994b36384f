package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// Who may change what proves who somebody is, and what goes with each change.

// self is who is signed in, with his factors. His session is looked up anew: one that has ended elsewhere is believed for a while
// (remembered), but not where the account itself is at stake.
func (g *Gate) self(ctx context.Context, p *pass) (*person, factors, error) {
	who, err := g.personByID(ctx, p.user)
	if err != nil {
		return nil, factors{}, err
	}
	g.concerns(ctx, who)
	session, err := g.record(ctx, g.own("_sessions"), p.session)
	if err != nil {
		return nil, factors{}, err
	}
	if who == nil || who.disabled || !g.isOf(session, who) {
		g.forget(func(q *pass) bool { return q.session == p.session })
		return nil, factors{}, refused
	}
	f, err := g.factorsOf(ctx, who)
	return who, f, err
}

// sureFor is how long somebody who has signed in, or has shown a second factor, is believed to be there himself.
const sureFor = 10 * time.Minute

// sure sees to it that it is the user himself who asks for what could take his account from him, and not somebody who has
// found a session open: he has signed in within sureFor, or gives his password, which stands in a field of the request
// (OWASP ASVS 5.0, 7.5.1). Where he has a second factor the session must have been begun with one: who knows the password
// alone does not come by it this way. always has the password asked for of who has just signed in too, where there is one.
func (g *Gate) sure(r *http.Request, p *pass, password, field string, always bool) (*person, factors, error) {
	who, has, err := g.self(r.Context(), p)
	if err != nil {
		return nil, has, err
	}
	if has.any() && !p.caller.MFA {
		return nil, has, g.askSecond(r, who, g.ticketOf(r, p), has, nil)
	}
	switch fresh := g.clock().Sub(p.since).Abs() < sureFor; { // neither by a clock that was put back
	case who.anonymous: // he has nothing but the session
	case password != "":
		who, err = g.again(r, p, password, field)
	case fresh && (!always || who.password == ""):
	case who.password == "":
		err = fault.New(fault.Denied, "sign in again: it is more than %d minutes ago", int(sureFor.Minutes()))
	case fresh:
		err = &fault.Error{Kind: fault.Invalid, Fields: []fault.Field{{Pointer: fault.Pointer(field), Code: "required", Message: "is required"}}}
	default:
		err = &fault.Error{Kind: fault.Invalid, Fields: []fault.Field{{Pointer: fault.Pointer(field), Code: "required",
			Message: fmt.Sprintf("is required: it is more than %d minutes ago that you signed in", int(sureFor.Minutes()))}}}
	}
	return who, has, err
}

// change is a change of factors that is asked for by somebody who is signed in: who he is, beyond doubt.
func (g *Gate) change(w http.ResponseWriter, r *http.Request) (*pass, *person, factors, error) {
	p, err := g.signedIn(w, r)
	if err != nil {
		return nil, nil, factors{}, err
	}
	f, err := mayForm(w, r)
	if err != nil {
		return nil, nil, factors{}, err
	}
	password := f.maybe("password")
	if err := f.err(); err != nil {
		return nil, nil, factors{}, err
	}
	who, has, err := g.sure(r, p, password, "password", false)
	if err == nil {
		err = who.named()
	}
	return p, who, has, err
}

// added ends a request that has given a user a factor: keeps stores it. The session is taken the place of by one that was
// begun with a factor; where it is the first, there are recovery codes, which are told this once. member is one more member
// of the answer.
func (g *Gate) added(w http.ResponseWriter, r *http.Request, p *pass, who *person, has *factors, passkey string, member []byte, keeps func(*data.Tx) error, changes *doc.Node) error {
	var codes []string
	if !has.any() {
		codes = newRecovery()
		changes.Set("codes", doc.NewString(g.recoveryHashes(who, codes)))
		member = append(member, `,"recovery":`...)
		member = appendTexts(member, codes)
	}
	err := g.enter(w, r, who, entry{cookie: g.ticketOf(r, p).cookie, mfa: true, ends: p.session, more: member, also: func(tx *data.Tx) error {
		if len(changes.Keys) > 0 {
			if err := g.keep(tx, who, has, changes); err != nil {
				return err
			}
		}
		if keeps != nil {
			if err := keeps(tx); err != nil {
				return err
			}
		}
		return g.post(tx, Letter{Template: "factor-added", To: who.email, Passkey: passkey, Lang: language(r)})
	}})
	if err == nil {
		g.note(r.Context(), "factor-added", who.id, slog.Bool("passkey", passkey != ""))
	}
	return err
}

// removed ends a request that takes a factor from a user: drops removes it. His other sessions end: one of them may be why he
// removes it. left says that he has another; without one there are no recovery codes, and the session is none with a factor.
func (g *Gate) removed(w http.ResponseWriter, r *http.Request, p *pass, who *person, has *factors, passkey string, left bool, changes *doc.Node, drops func(*data.Tx) error) error {
	if !left && len(has.codes) > 0 {
		changes.Set("codes", doc.NewNull())
	}
	err := g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
		if drops != nil {
			if err := drops(tx); err != nil {
				return err
			}
		}
		if len(changes.Keys) > 0 {
			if err := g.keep(tx, who, has, changes); err != nil {
				return err
			}
		}
		if err := g.renew(tx, who, p.session, doc.NewObject()); err != nil {
			return err
		}
		if !left {
			plain := doc.NewObject()
			plain.Set("mfa", doc.NewBool(false))
			if _, err := tx.Update(g.own("_sessions"), p.session, plain); err != nil {
				return err
			}
		}
		return g.post(tx, Letter{Template: "factor-removed", To: who.email, Passkey: passkey, Lang: language(r)})
	})
	if err != nil {
		return err
	}
	g.renewed(who.id)
	g.note(r.Context(), "factor-removed", who.id, slog.Bool("passkey", passkey != ""))
	w.WriteHeader(http.StatusNoContent)
	return nil
}
