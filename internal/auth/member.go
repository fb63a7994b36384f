package auth

import (
	"context"
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Who belongs to a team, with which role, is changed by its owners; everybody leaves.

// addMember answers POST /api/auth/teams/{id}/members {user, role?}.
func (g *Gate) addMember(w http.ResponseWriter, r *http.Request) error {
	by, team, err := g.manager(w, r)
	if err != nil {
		return err // before anything about the form
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	user, role := f.text("user"), g.teamRole(f, false)
	if user != "" {
		// Whom he may not read is not there for him: else he would learn who is.
		_, _, err := g.db.Get(r.Context(), by, data.Target{Collection: g.people.users.Name, ID: user}, data.View{Fields: "id"}, nil)
		switch {
		case fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) || fault.Is(err, fault.BadRequest):
			f.add("user", "ref", "there is no such record in "+g.people.users.Name)
		case err != nil:
			return err
		}
	}
	if err := f.err(); err != nil {
		return err
	}
	if all, err := g.db.TeamsOf(r.Context(), user); err != nil {
		return err
	} else if len(all) >= data.MostAdded && !by.Operator {
		return fault.New(fault.Conflict, "this user belongs to too many teams: invite him")
	}
	var reply data.Reply
	err = g.manage(r.Context(), &by, team, func(tx *data.Tx) (err error) {
		reply, err = tx.Create(g.teams().Members, membershipOf(team, user, role))
		return err
	})
	if err != nil {
		return err
	}
	g.note(r.Context(), "team-member-added", user)
	return g.tellMembership(w, r, http.StatusCreated, reply.ID)
}

func membershipOf(team, user, role string) *doc.Node {
	body := doc.NewObject()
	body.Set("team", doc.NewString(team))
	body.Set("user", doc.NewString(user))
	body.Set("role", doc.NewString(role))
	return body
}

// changeMember answers PATCH /api/auth/teams/{id}/members/{member} {role}.
func (g *Gate) changeMember(w http.ResponseWriter, r *http.Request) error {
	by, team, err := g.manager(w, r)
	if err != nil {
		return err
	}
	user := r.PathValue("member")
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	role := g.teamRole(f, true)
	if err := f.err(); err != nil {
		return err
	}
	rec, err := g.membership(r.Context(), team, user)
	if err != nil {
		return err
	}
	if rec == nil {
		return noMember
	}
	sent, err := g.sentTo(r.Context(), team, user)
	if err != nil {
		return err
	}
	id, patch := rec[spec.OrdID].Text(), doc.NewObject()
	patch.Set("role", doc.NewString(role))
	err = g.manage(r.Context(), &by, team, func(tx *data.Tx) error {
		if err := g.takeBack(tx, sent); err != nil {
			return err
		}
		_, err := tx.Update(g.teams().Members, id, patch)
		return err
	})
	if fault.Is(err, fault.NotFound) && err != error(noTeam) {
		return noMember // he has left at this moment
	}
	if err != nil {
		return err
	}
	g.note(r.Context(), "team-role-changed", user)
	return g.tellMembership(w, r, http.StatusOK, id)
}

// removeMember answers DELETE /api/auth/teams/{id}/members/{member}. Who removes himself leaves, whatever his role is.
func (g *Gate) removeMember(w http.ResponseWriter, r *http.Request) error {
	by, err := g.teamCaller(w, r)
	if err != nil {
		return err
	}
	team, user := r.PathValue("id"), r.PathValue("member")
	leaves := by.ID != "" && by.ID == user
	if err := g.manages(r.Context(), &by, team); err != nil && !(leaves && err == error(noOwner)) {
		return err
	}
	rec, err := g.membership(r.Context(), team, user)
	if err != nil {
		return err
	}
	if rec == nil {
		return noMember
	}
	remove := func(tx *data.Tx) error { return tx.Delete(g.teams().Members, rec[spec.OrdID].Text()) }
	sent, err := g.sentTo(r.Context(), team, user)
	if err != nil {
		return err
	}
	if leaves {
		err = g.db.Transact(r.Context(), data.System, func(tx *data.Tx) error {
			if err := g.held(tx, team); err != nil {
				return err
			}
			return remove(tx)
		})
	} else {
		err = g.manage(r.Context(), &by, team, func(tx *data.Tx) error {
			if err := g.takeBack(tx, sent); err != nil {
				return err
			}
			return remove(tx)
		})
	}
	if fault.Is(err, fault.NotFound) && err != error(noTeam) {
		return noMember
	}
	if err != nil {
		return err
	}
	g.note(r.Context(), "team-member-removed", user)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// sentTo are the invitations to a team that the address of a user has. With what an owner decides of a member they are taken back: by a
// mail of before he would come in again, or with the role of before.
func (g *Gate) sentTo(ctx context.Context, team, user string) ([]string, error) {
	who, err := g.personByID(ctx, user)
	if err != nil || who == nil || who.email == "" {
		return nil, err
	}
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: "_invitations", Limit: mostInvites, Fields: "id", Filter: "about == param.a && team == param.b",
		Params: map[string]*doc.Node{"a": doc.NewString(g.about(who.email)), "b": doc.NewString(team)}})
	return idsOf(records), err
}

// takeBack removes invitations, those that are there.
func (g *Gate) takeBack(tx *data.Tx, sent []string) error {
	for _, id := range sent {
		if err := tx.Delete("_invitations", id); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}
