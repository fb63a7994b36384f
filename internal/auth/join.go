package auth

import (
	"context"
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Invitations to a team are invitations (invite.go) that say which, and with which role. Who has an account joins by one; who has none becomes
// a user by it (accept.go).

// inviteToTeam answers POST /api/auth/teams/{id}/invitations {email, role?}.
func (g *Gate) inviteToTeam(w http.ResponseWriter, r *http.Request) error {
	by, team, err := g.manager(w, r)
	if err != nil {
		return err // before anything about the form
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	email, role := f.address("email"), g.teamRole(f, false)
	if err := f.err(); err != nil {
		return err
	}
	if err := g.countInvitation(r.Context(), by, email); err != nil {
		return err
	}
	v, _, err := g.newInvitation(r.Context(), by, Invitation{Email: email, says: doc.NewObject(), team: team, teamRole: role}, language(r), false)
	if err != nil {
		return err
	}
	web.JSON(w, r, http.StatusCreated, v.json(nil))
	return nil
}

// listTeamInvitations answers GET /api/auth/teams/{id}/invitations.
func (g *Gate) listTeamInvitations(w http.ResponseWriter, r *http.Request) error {
	_, team, err := g.manager(w, r)
	if err != nil {
		return err
	}
	return g.tellInvitations(w, r, &data.ListQuery{Filter: "expires > now && team == param.a", Params: map[string]*doc.Node{"a": doc.NewString(team)}})
}

// revokeTeamInvitation answers DELETE /api/auth/teams/{id}/invitations/{invitation}.
func (g *Gate) revokeTeamInvitation(w http.ResponseWriter, r *http.Request) error {
	by, team, err := g.manager(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("invitation")
	none := fault.New(fault.NotFound, "there is no such invitation")
	if !data.ValidID(id) {
		return none
	}
	rec, err := g.record(r.Context(), "_invitations", id)
	if err != nil {
		return err
	}
	if rec == nil || rec[g.people.invitation.team].Text() != team {
		return none
	}
	err = g.manage(r.Context(), &by, team, func(tx *data.Tx) error { return tx.Delete("_invitations", id) })
	if fault.Is(err, fault.NotFound) && err != error(noTeam) {
		return none
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// joinTeam answers POST /api/auth/teams/join {token}: who has an account, and the address to which the mail went, belongs to the
// team.
func (g *Gate) joinTeam(w http.ResponseWriter, r *http.Request) error {
	if _, err := g.teamCaller(w, r); err != nil {
		return err
	}
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	token := f.text("token")
	if err := f.err(); err != nil {
		return err
	}
	v, err := g.invited(r.Context(), token, false)
	if err != nil {
		return err
	}
	if v.team == "" {
		return wrongSecret("/token")
	}
	who, err := g.personByID(r.Context(), p.user)
	if err != nil {
		return err
	}
	switch {
	case who == nil || who.disabled:
		return refused
	case !who.verified || !sameBox(who.email, v.Email):
		return fault.New(fault.Denied, "the invitation was sent to another address: sign in as whose that is")
	}
	before, err := g.membership(r.Context(), v.team, who.id)
	if err != nil {
		return err
	}
	id := ""
	err = g.db.Transact(r.Context(), data.System, func(tx *data.Tx) error {
		if err := g.present(tx, who, p.session); err != nil {
			return err
		}
		if err := v.use(tx); err != nil {
			return err
		}
		if before != nil { // the role that he has stays
			id = before[spec.OrdID].Text()
			return nil
		}
		reply, err := tx.Create(g.teams().Members, membershipOf(v.team, who.id, v.teamRole))
		id = reply.ID
		return err
	})
	if err != nil {
		return err
	}
	g.note(r.Context(), "team-joined", who.id)
	return g.tellMembership(w, r, http.StatusOK, id)
}

// join makes somebody who becomes a user by an invitation to a team one of its members. already says that he is one.
func (g *Gate) join(tx *data.Tx, v *Invitation, user string, already bool) error {
	if v == nil || v.team == "" || already {
		return nil
	}
	_, err := tx.Create(g.teams().Members, membershipOf(v.team, user, v.teamRole))
	return err
}

// teamName is what a team is called, for a mail; "" where it has no field that says it.
func (g *Gate) teamName(ctx context.Context, id string) (string, error) {
	c, ok := g.db.App().Collection(g.teams().Collection)
	if !ok {
		return "", nil
	}
	f, ok := c.Field(c.Label)
	if !ok || f.Type != spec.Text || f.Encrypted {
		return "", nil
	}
	rec, err := g.record(ctx, c.Name, id)
	if err != nil || rec == nil {
		return "", err
	}
	return rec[f.Ord].Text(), nil
}
