package auth

import (
	"context"
	"net/http"
	"slices"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
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
		_ = web.Asks(w, nil)
		return by, err
	}
	if err := web.Asks(w, &by); err != nil {
		return by, err
	}
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

// manager is who asks about a team that he manages, and the id of the team.
func (g *Gate) manager(w http.ResponseWriter, r *http.Request) (by data.Caller, team string, err error) {
	team = r.PathValue("id")
	if by, err = g.teamCaller(w, r); err == nil {
		err = g.manages(r.Context(), &by, team)
	}
	return by, team, err
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
