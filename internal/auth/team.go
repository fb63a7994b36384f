package auth

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Teams (auth.teams) are records of a collection of the app's: they are made, changed and deleted as others are, by its rules, and
// who makes one is its owner (package data sees to it). Who else belongs to one is told here. Its owners manage it: those who have
// the last of its roles. That they still do is asked in the transaction, for a process may believe an earlier answer for a while.

// ofTeams is what is kept of an invitation to a team, beside what is kept of each: see ofInvitations.
const ofTeams = `
    team:      {type: ref, to: TEAMS, onDelete: cascade}
    team_role: {type: text, max: 40}`

const toTeam = "team-invite" // the mail to somebody who has an account

// teamRoutes are those of teams.
var teamRoutes = []route{
	{method: http.MethodGet, path: "teams", act: (*Gate).listTeams, when: teams, signed: true, query: "cursor? text",
		tag: "auth.teams", name: "list", summary: "List one's teams", text: "The memberships of who asks, the oldest first, at most 500 a page, each with its team as far as he may read it.",
		gives: tells("The memberships", "items [Membership], next? text")},
	{method: http.MethodPost, path: "teams/join", act: (*Gate).joinTeam, when: teams, counted: true, signed: true,
		tag: "auth.teams", name: "join", summary: "Accept an invitation to a team", text: "The token is that of a mail to the user's own address. Who has no account yet accepts under `invitations/accept`.",
		takes: "token text", fails: []int{http.StatusConflict}, gives: tells("The membership", "Membership")},
	{method: http.MethodGet, path: "teams/{id}/members", act: (*Gate).listMembers, when: teams, signed: true, query: "cursor? text",
		tag: "auth.teams", name: "members", summary: "List the members of a team", text: "For its members: the oldest first, at most 500 a page, each with the user as far as who asks may read him.",
		fails: []int{http.StatusNotFound}, gives: tells("The memberships", "items [Membership], next? text")},
	{method: http.MethodPost, path: "teams/{id}/members", act: (*Gate).addMember, when: teams, signed: true,
		tag: "auth.teams", name: "members.add", summary: "Add somebody to a team", text: "For its owners, of a user whom they may read; others are invited. The role is the first one when absent.",
		takes: "user id, role? text", fails: []int{http.StatusNotFound, http.StatusConflict},
		gives: []Answer{{Status: http.StatusCreated, Text: "The membership", shape: "Membership"}}},
	{method: http.MethodPatch, path: "teams/{id}/members/{member}", act: (*Gate).changeMember, when: teams, signed: true,
		tag: "auth.teams", name: "members.change", summary: "Give a member another role", text: "For the owners of the team. The last owner stays one.",
		takes: "role text", fails: []int{http.StatusNotFound, http.StatusConflict}, gives: tells("The membership", "Membership")},
	{method: http.MethodDelete, path: "teams/{id}/members/{member}", act: (*Gate).removeMember, when: teams, signed: true,
		tag: "auth.teams", name: "members.remove", summary: "Remove a member from a team, or leave it", text: "For the owners of the team, and for each member of himself. The last owner stays: he deletes the team, or lets another be an owner first.",
		fails: []int{http.StatusNotFound, http.StatusConflict}, gives: done("He belongs to it no more")},
	{method: http.MethodGet, path: "teams/{id}/invitations", act: (*Gate).listTeamInvitations, when: teams, signed: true,
		tag: "auth.teams", name: "invitations", summary: "List the invitations to a team", text: "For its owners: those that have not expired, the newest first, at most 100.",
		fails: []int{http.StatusNotFound}, gives: tells("The invitations", "items [TeamInvitation]")},
	{method: http.MethodPost, path: "teams/{id}/invitations", act: (*Gate).inviteToTeam, when: teams, counted: true, signed: true,
		tag: "auth.teams", name: "invitations.invite", summary: "Invite somebody to a team", text: "For its owners. Sends a mail to the address, whether or not it has an account; the answer does not tell. The role is the first one when absent. Another takes the place of one's own to the same address.",
		takes: "email address, role? text", fails: []int{http.StatusNotFound, http.StatusConflict},
		gives: []Answer{{Status: http.StatusCreated, Text: "The invitation", shape: "TeamInvitation"}}},
	{method: http.MethodDelete, path: "teams/{id}/invitations/{invitation}", act: (*Gate).revokeTeamInvitation, when: teams, signed: true,
		tag: "auth.teams", name: "invitations.revoke", summary: "Take an invitation to a team back", text: "For the owners of the team, whoever of them has invited. Its link is good for nothing any more.",
		fails: []int{http.StatusNotFound}, gives: done("It is gone")},
}

func teams(a *spec.Auth) bool { return a.Teams.On() }

var (
	noTeam   = fault.New(fault.NotFound, "there is no such team")
	noMember = fault.New(fault.NotFound, "there is no such member")
	noOwner  = fault.New(fault.Denied, "who has the role of an owner in the team does that")
)

// teams are those of the app.
func (g *Gate) teams() *spec.Teams { return &g.db.App().Auth.Teams }

// teamCaller is who asks about teams: a user, a key or an operator.
func (g *Gate) teamCaller(w http.ResponseWriter, r *http.Request) (data.Caller, error) {
	if !g.teams().On() {
		return data.Caller{}, noRoute
	}
	by, err := g.Caller(r)
	if err != nil {
		web.Asks(w, nil)
		return by, err
	}
	web.Asks(w, &by)
	if !by.SignedIn {
		return by, signInFirst
	}
	if by.ReadOnly && r.Method != http.MethodGet {
		return by, fault.New(fault.Denied, "this key is read-only")
	}
	return by, nil
}

// roleIn is the role that a caller has in a team; "" is none.
func roleIn(by *data.Caller, team string) string {
	for _, m := range by.Teams {
		if m.Team == team {
			return m.Role
		}
	}
	return ""
}

// manages is nil where a caller manages a team, as far as this process knows. Who does not belong to it is told nothing of it.
func (g *Gate) manages(ctx context.Context, by *data.Caller, team string) error {
	if !data.ValidID(team) {
		return noTeam
	}
	if by.Operator {
		rec, err := g.record(ctx, g.teams().Collection, team)
		if err == nil && rec == nil {
			err = noTeam
		}
		return err
	}
	switch roleIn(by, team) {
	case g.teams().Owner():
		return nil
	case "":
		return noTeam
	}
	return noOwner
}

// stillManages is manages in a transaction, of which it holds until the end.
func (g *Gate) stillManages(tx *data.Tx, by *data.Caller, own data.Record) error {
	if by.Operator {
		return nil
	}
	if own == nil {
		return noTeam
	}
	rec, err := tx.Record(g.teams().Members, own[spec.OrdID].Text())
	switch {
	case err != nil:
		return err
	case rec == nil:
		return noTeam
	case rec[g.people.membership.role].Text() != g.teams().Owner():
		return noOwner
	}
	return nil
}

// membership finds who belongs to a team; nil where he does not.
func (g *Gate) membership(ctx context.Context, team, user string) (data.Record, error) {
	if !data.ValidID(team) || !data.ValidID(user) {
		return nil, nil
	}
	return g.first(ctx, g.teams().Members, "team == param.a && user == param.b", team, user)
}

// held has others who change who belongs to a team wait until the transaction ends.
func (g *Gate) held(tx *data.Tx, team string) error {
	rec, err := tx.Record(g.teams().Collection, team)
	if err == nil && rec == nil {
		err = noTeam
	}
	return err
}

// manage does something in a transaction as who manages a team.
func (g *Gate) manage(ctx context.Context, by *data.Caller, team string, do func(*data.Tx) error) error {
	if err := g.manages(ctx, by, team); err != nil {
		return err
	}
	own, err := g.membership(ctx, team, by.ID)
	if err != nil {
		return err
	}
	return g.db.Transact(ctx, data.System, func(tx *data.Tx) error {
		if err := g.held(tx, team); err != nil {
			return err
		}
		if err := g.stillManages(tx, by, own); err != nil {
			return err
		}
		return do(tx)
	})
}

// tellMemberships answers with memberships as a caller may read them.
func (g *Gate) tellMemberships(w http.ResponseWriter, r *http.Request, by data.Caller, field, id, expand string) error {
	var p web.Params
	if err := p.Query(r, "cursor").Err(); err != nil {
		return err
	}
	cursor, _ := p.Get("cursor")
	body, err := g.db.List(r.Context(), by, &data.ListQuery{Collection: g.teams().Members, Filter: field + " == param.a", Params: map[string]*doc.Node{"a": doc.NewString(id)},
		Sort: "id", Expand: expand, Limit: mostMembers, Cursor: cursor}, nil)
	if err != nil {
		return err
	}
	web.JSON(w, r, http.StatusOK, body)
	return nil
}

// mostMembers is how many memberships are told at once.
const mostMembers = 500

// tellMembership answers with one membership.
func (g *Gate) tellMembership(w http.ResponseWriter, r *http.Request, status int, id string) error {
	body, _, err := g.db.Get(r.Context(), data.Caller{SignedIn: true, Operator: true}, data.Target{Collection: g.teams().Members, ID: id}, data.View{}, nil)
	if err != nil {
		return err
	}
	web.JSON(w, r, status, body)
	return nil
}

// listTeams answers GET /api/auth/teams: to what who asks belongs.
func (g *Gate) listTeams(w http.ResponseWriter, r *http.Request) error {
	by, err := g.teamCaller(w, r)
	if err != nil {
		return err
	}
	if by.ID == "" {
		return fault.New(fault.Denied, "a key belongs to no team")
	}
	return g.tellMemberships(w, r, by, "user", by.ID, "team")
}

// listMembers answers GET /api/auth/teams/{id}/members, to those who belong to it.
func (g *Gate) listMembers(w http.ResponseWriter, r *http.Request) error {
	by, err := g.teamCaller(w, r)
	if err != nil {
		return err
	}
	team := r.PathValue("id")
	if err := g.manages(r.Context(), &by, team); err != nil && err != error(noOwner) {
		return err
	}
	return g.tellMemberships(w, r, by, "team", team, "user")
}

// teamRole takes a role of teams, which is the first one when it is absent, and may be.
func (g *Gate) teamRole(f *form, must bool) string {
	if n, ok := f.take("role"); !must && (!ok || n.IsNull()) {
		return g.teams().Roles[0]
	}
	role := f.text("role")
	if role != "" && !slices.Contains(g.teams().Roles, role) {
		f.add("role", "enum", "is none of the roles of teams")
	}
	return role
}

// addMember answers POST /api/auth/teams/{id}/members {user, role?}.
func (g *Gate) addMember(w http.ResponseWriter, r *http.Request) error {
	by, err := g.teamCaller(w, r)
	if err != nil {
		return err
	}
	team := r.PathValue("id")
	if err := g.manages(r.Context(), &by, team); err != nil {
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
	by, err := g.teamCaller(w, r)
	if err != nil {
		return err
	}
	team, user := r.PathValue("id"), r.PathValue("member")
	if err := g.manages(r.Context(), &by, team); err != nil {
		return err
	}
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

// inviteToTeam answers POST /api/auth/teams/{id}/invitations {email, role?}.
func (g *Gate) inviteToTeam(w http.ResponseWriter, r *http.Request) error {
	by, err := g.teamCaller(w, r)
	if err != nil {
		return err
	}
	team := r.PathValue("id")
	if err := g.manages(r.Context(), &by, team); err != nil {
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
	if g.mail == nil {
		return noMail
	}
	if err := g.count(r.Context(), "invites", by.Scope, invitesPerHour, time.Hour); err != nil {
		return err
	}
	if err := g.count(r.Context(), "invited", expr.Fold(email), mailsPerHour, time.Hour); err != nil {
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
	by, err := g.teamCaller(w, r)
	if err != nil {
		return err
	}
	team := r.PathValue("id")
	if err := g.manages(r.Context(), &by, team); err != nil {
		return err
	}
	return g.tellInvitations(w, r, &data.ListQuery{Filter: "expires > now && team == param.a", Params: map[string]*doc.Node{"a": doc.NewString(team)}})
}

// revokeTeamInvitation answers DELETE /api/auth/teams/{id}/invitations/{invitation}.
func (g *Gate) revokeTeamInvitation(w http.ResponseWriter, r *http.Request) error {
	by, err := g.teamCaller(w, r)
	if err != nil {
		return err
	}
	team, id := r.PathValue("id"), r.PathValue("invitation")
	if err := g.manages(r.Context(), &by, team); err != nil {
		return err
	}
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
