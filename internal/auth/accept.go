package auth

import (
	"context"
	"net/http"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// invited finds the invitation that a token is, and leaves it. comes says that who shows it would become a user by it.
func (g *Gate) invited(ctx context.Context, text string, comes bool) (v Invitation, err error) {
	t, ok := g.proof.parse(text)
	if !ok {
		return v, wrongSecret("/token")
	}
	rec, err := g.record(ctx, "_invitations", t.recordID())
	if err != nil {
		return v, err
	}
	if rec == nil || !t.hasHash(rec[g.people.invitation.hash].Text()) {
		return v, wrongSecret("/token")
	}
	if v, err = g.invitationOf(rec); err != nil {
		return v, err
	}
	holds, err := g.stillHolds(ctx, &v, comes)
	if err == nil && !holds {
		err = wrongSecret("/token")
	}
	return v, err
}

// invitationTo is the newest invitation that an address has and that holds; nil when there is none. Those to teams are not among them, or come
// last: nobody takes from somebody what he was invited with by inviting him too.
func (g *Gate) invitationTo(ctx context.Context, email string, teams bool) (*Invitation, error) {
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: "_invitations", Limit: mostInvites, Sort: "-id",
		Filter: "about == param.a && expires > now", Params: map[string]*doc.Node{"a": doc.NewString(g.about(email))}})
	if err != nil {
		return nil, err
	}
	var toApp, toTeams []*Invitation
	for _, rec := range records {
		v, err := g.invitationOf(rec)
		switch {
		case err != nil:
			return nil, err
		case !sameBox(v.Email, email):
		case v.team == "":
			toApp = append(toApp, &v)
		case teams:
			toTeams = append(toTeams, &v)
		}
	}
	for _, v := range append(toApp, toTeams...) {
		if holds, err := g.stillHolds(ctx, v, true); err != nil || holds {
			return v, err
		}
	}
	return nil, nil
}

// stillHolds says whether an invitation is good: in time, and who invited is there and could still do it. So nobody comes in by
// the word of somebody who was dismissed meanwhile. An invitation to a team is for who has an account, and comes says that he has
// none: then he comes where everybody may, or where who invites may invite people at all.
func (g *Gate) stillHolds(ctx context.Context, v *Invitation, comes bool) (bool, error) {
	if !g.clock().Before(v.Expires) {
		return false, nil
	}
	by := data.System
	whose, _, ofTeam := strings.Cut(v.whose, "/") // its id is behind it
	if ofTeam != (v.team != "") {
		return false, nil // the app has no teams any more
	}
	operator, ofOperator := strings.CutPrefix(whose, operatorScope)
	switch id, key := strings.CutPrefix(whose, "key:"); {
	case v.By != "":
		who, err := g.personByID(ctx, v.By)
		if err != nil || who == nil || who.disabled {
			return false, err
		}
		if by, err = g.callerOf(ctx, who.rec); err != nil {
			return false, err
		}
		by.MFA = v.mfa
	case ofOperator:
		who, err := g.operators.personByID(ctx, operator)
		if err != nil || who == nil {
			return false, err
		}
	case key:
		rec, err := g.record(ctx, "_keys", id)
		if err != nil || rec == nil {
			return false, err
		}
		if v := rec[g.keys.expires]; !v.IsNull() && g.clock().UnixMilli() >= v.Int() {
			return false, nil
		}
		by = data.Caller{SignedIn: true, Role: rec[g.keys.role].Text(), Operator: rec[g.keys.operator].Bool(), ReadOnly: rec[g.keys.readOnly].Bool()}
	}
	if v.team != "" {
		if !by.Operator && roleIn(&by, v.team) != g.teams().Owner() {
			return false, nil
		}
		if !comes || g.db.App().Auth.Register == "open" {
			return true, nil
		}
	}
	err := g.db.Invitable(ctx, by, v.says, address(v.Email))
	for _, kind := range []fault.Kind{fault.Denied, fault.Unauthenticated, fault.Invalid} {
		if fault.Is(err, kind) {
			return false, nil
		}
	}
	return err == nil, err
}

// use spends an invitation: of all who try, in whatever process, one is not told that it is spent.
func (v *Invitation) use(tx *data.Tx) error {
	err := tx.Delete("_invitations", v.ID)
	if fault.Is(err, fault.NotFound) {
		return wrongSecret("/token")
	}
	return err
}

// gives is what is said of a user who comes by an invitation: what he says himself goes before what was said of him.
func (v *Invitation) gives(says *doc.Node) *doc.Node {
	own := address(v.Email)
	own.Set("verified", doc.NewBool(true))
	for i, name := range v.says.Keys {
		if _, said := says.Get(name); !said {
			own.Set(name, &v.says.Items[i])
		}
	}
	return own
}

// accept answers POST /api/auth/invitations/accept {token, password, cookie, …fields}: who was invited is a user, has proven his
// address, and is signed in. An anonymous user who accepts keeps his id.
func (g *Gate) accept(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	token, password, cookie := f.text("token"), f.text("password"), f.flag("cookie")
	for _, name := range []string{"id", "email"} {
		if _, ok := f.take(name); ok {
			f.add(name, "readonly", "is not yours to choose")
		}
	}
	says := f.rest()
	if err := f.err(); err != nil {
		return err
	}
	v, err := g.invited(r.Context(), token, true)
	if err != nil {
		return err
	}
	who, err := g.personByEmail(r.Context(), v.Email)
	if err != nil {
		return err
	}
	if who != nil && (who.verified || who.disabled || !sameBox(who.email, v.Email)) {
		return wrongSecret("/token")
	}
	own := v.gives(says)
	if who == nil { // whoever has the address keeps it, and the guest stays one
		if who, err = g.guest(r); err != nil {
			return err
		}
	}
	if who != nil && who.anonymous {
		own = g.becomes(own)
	}
	if err := g.db.Admissible(r.Context(), says, identified(own, who)); err != nil {
		return err
	}
	hash, err := g.hashed(r.Context(), password, "password", v.Email)
	if err != nil {
		return err
	}
	if holds, err := g.stillHolds(r.Context(), &v, true); err != nil { // a password may have waited for its turn
		return err
	} else if !holds {
		return wrongSecret("/token")
	}
	already := false
	if who != nil && v.team != "" {
		rec, err := g.membership(r.Context(), v.team, who.id)
		if err != nil {
			return err
		}
		already = rec != nil
	}
	as := &person{id: nobody}
	err = g.enter(w, r, as, entry{cookie: cookie, by: "invitation", also: func(tx *data.Tx) (err error) {
		if err := v.use(tx); err != nil {
			return err
		}
		if who == nil {
			*as, err = g.admitAs(tx, says, own, hash)
		} else {
			*as, err = g.takeOver(tx, who, says, own, hash)
		}
		if err != nil {
			return err
		}
		return g.join(tx, &v, as.id, already)
	}})
	if err == nil {
		g.note(r.Context(), "invitation-accepted", as.id)
		if who != nil {
			g.renewed(who.id)
		}
	}
	return err
}

// identified is what is said of a user with his id, where he is there already: what is unique may be his.
func identified(own *doc.Node, who *person) *doc.Node {
	if who == nil {
		return own
	}
	with := doc.NewObject()
	for i, name := range own.Keys {
		with.Set(name, &own.Items[i])
	}
	with.Set("id", doc.NewString(who.id))
	return with
}

// takeOver makes a user of whose address nothing was proven that of who reads its mails, or an anonymous user somebody: nothing
// that was there before opens the account. The record is as it was, but for what is said now. hash "" is no password.
func (g *Gate) takeOver(tx *data.Tx, who *person, says, own *doc.Node, hash string) (person, error) {
	changes := doc.NewObject()
	if hash != "" {
		changes.Set("password", doc.NewString(hash))
	}
	g.disown(who, changes)
	if err := g.renew(tx, who, "", changes); err == errOvertaken {
		return person{}, wrongSecret("/token") // another proof was used at the same time
	} else if err != nil {
		return person{}, err
	}
	patch := doc.NewObject()
	for _, of := range []*doc.Node{says, own} {
		for i, name := range of.Keys {
			patch.Set(name, &of.Items[i])
		}
	}
	if _, err := tx.Update(g.people.users.Name, who.id, patch); err != nil {
		return person{}, err
	}
	as := *who
	as.epoch++
	as.era++
	return g.reread(tx, as)
}

// reread is a person with his record as a transaction has left it.
func (g *Gate) reread(tx *data.Tx, who person) (person, error) {
	rec, err := tx.Record(g.people.users.Name, who.id)
	if err != nil {
		return who, err
	}
	if rec == nil {
		return who, refused
	}
	who.read(g.people, rec)
	return who, nil
}
