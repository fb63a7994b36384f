package spec

import (
	"strings"
	"testing"

	"github.com/bluell/plinth/expr"
	"github.com/google/go-cmp/cmp"
)

// Without the key there is nothing of teams; with it there are two collections, one of which the app may declare.
func TestTeams(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, "auth: {roles: [member]}\n")
	for _, name := range []string{"teams", "memberships"} {
		if _, ok := app.Collection(name); ok || app.Auth.Teams.On() {
			t.Errorf("there are %s that nobody asked for", name)
		}
	}
	if app := mustLoad(t, "auth: {teams: false}\n"); app.Auth.Teams.On() {
		t.Error("there are teams where none are wanted")
	}

	app = mustLoad(t, "auth: {teams: true}\n")
	if d := cmp.Diff(Teams{[]string{"member", "owner"}, "teams", "memberships"}, app.Auth.Teams); d != "" {
		t.Error(d)
	}
	teams, _ := app.Collection("teams")
	members, _ := app.Collection("memberships")
	if teams.Label != "name" || !teams.Made || !members.Made || len(members.Indexes) != 1 || !members.Indexes[0].Unique {
		t.Errorf("%+v %+v", teams, members)
	}
	for _, c := range []struct {
		rule *expr.Expr
		want string
	}{
		{teams.Access.Read, "id in auth.teams"}, {teams.Access.Create, "auth.id != null"},
		{teams.Access.Update, `id in auth.teamsAs("owner")`}, {teams.Access.Delete, `id in auth.teamsAs("owner")`},
		{members.Access.Read, "user == auth.id || team in auth.teams"},
	} {
		if c.rule == nil || c.rule.Source != c.want {
			t.Errorf("%+v, want %s", c.rule, c.want)
		}
	}
	if a := members.Access; a.Create != nil || a.Update != nil || a.Delete != nil {
		t.Error("somebody but operators and the routes writes memberships")
	}
	for _, name := range []string{"team", "user"} {
		if f, ok := members.Field(name); !ok || f.OnDelete != Cascade || !f.Fixed || !f.Required {
			t.Errorf("%s: %+v", name, f)
		}
	}

	app = mustLoad(t, `auth: {anonymous: true, register: open, teams: {roles: [guest, member, boss], collection: firms, memberships: seats}}
collections:
  firms: {fields: {title: {type: text}, seal: {type: text, write: 'id in auth.teamsAs("boss")'}}}
  deals:
    fields: {firm: {type: ref, to: firms}}
    access: {read: firm in auth.teams, create: 'firm in auth.teamsAs("member")', update: 'firm.seats.exists(s, s.user == auth.id)'}
`)
	firms, _ := app.Collection("firms")
	if firms.Made || firms.Access.Create.Source != "auth.id != null && !auth.anonymous" || firms.Access.Update.Source != `id in auth.teamsAs("boss")` {
		t.Errorf("%+v", firms.Access)
	}
	if got := app.Auth.Teams.From("member"); strings.Join(got, " ") != "member boss" || app.Auth.Teams.From("owner") != nil {
		t.Error(got)
	}

	// What the app says of its teams is all that holds.
	app = mustLoad(t, "auth: {teams: true}\ncollections: {teams: {fields: {n: {type: int}}, access: {read: true}}}\n")
	if teams, _ = app.Collection("teams"); teams.Access.Create != nil || teams.Access.Read.Source != "true" {
		t.Errorf("%+v", teams.Access)
	}
}

func TestTeamMistakes(t *testing.T) {
	t.Parallel()
	for _, m := range []struct{ file, want string }{
		{`auth: {teams: {roles: [member, member, Owner], colection: firms}}
`, `plinth.yaml:1:32: the role "member" stands twice
plinth.yaml:1:40: "Owner" is not a name for a role: lower-case letters, digits and _, a letter first, at most 40 (did you mean "owner"?)
plinth.yaml:1:48: unknown key "colection" in teams (did you mean "collection"?)`},
		{`auth: {teams: {roles: []}}
`, `plinth.yaml:1:23: roles is empty: there is at least one`},
		{`auth: {teams: 3}
`, `plinth.yaml:1:15: teams is true or false, not "3"`},
		{`auth: {teams: {collection: users}}
`, `plinth.yaml:1:15: users, teams and memberships are collections of their own: give auth.teams other names`},
		{`auth: {teams: true}
collections:
  memberships: {fields: {a: {type: text}}}
`, `plinth.yaml:3:3: auth.teams keeps in memberships who belongs to which team: give this collection another name, or write auth: {teams: {memberships: …}}`},
		{`auth: {teams: true}
collections:
  teams: {fields: {memberships: {type: int}}}
  users: {fields: {teams: {type: list, of: text, write: 'false'}}}
`, `plinth.yaml:3:20: teams.memberships are the memberships of auth.teams: give the field another name, or write auth: {teams: {memberships: …}}
plinth.yaml:4:20: auth.teams are the teams of the caller: give the field another name`},
		{`auth: {teams: true}
collections:
  a:
    fields: {team: {type: ref, to: teams}, b: {type: ref, to: a}}
    access: {read: 'team in auth.teamsAs("boss")', create: b in auth.teams, update: 'team in auth.teamsAs(team)', delete: team == auth.teams}
`, `plinth.yaml:5:42: the role of teams boss does not exist
plinth.yaml:5:62: a reference to a and a reference to teams cannot be compared
plinth.yaml:5:99: auth.teamsAs needs a role of teams: auth.teamsAs("owner")
plinth.yaml:5:128: a reference to teams and a list of references to teams cannot be compared`},
		{`auth: {teams: [member, owner]}
collections: {a: {fields: {b: {type: int}}, access: {read: true}}}
`, `plinth.yaml:1:15: teams is true, false or a map with keys like roles, not a list`},
		{`auth: {roles: [member]}
collections: {a: {fields: {team: {type: ref, to: teams}}}}
`, `plinth.yaml:2:50: there is no collection "teams": write auth: {teams: true}, and people belong to teams`},
		{`auth: {roles: [member, staff], teams: true, roleBy: auth.has("staf")}
collections: {a: {fields: {team: {type: ref, to: teams}}, access: {read: 'team in auth.teamsAs("owners")'}}}
`, `plinth.yaml:1:62: the role staf does not exist (did you mean "staff"?)
plinth.yaml:2:96: the role of teams owners does not exist (did you mean "owner"?)`},
		{`auth: {roles: [member]}
collections:
  teams: {fields: {a: {type: text}}}
  b:
    fields: {team: {type: ref, to: teams}}
    access: {read: team in auth.teams, create: 'team in auth.teamsAs("owner")'}
`, `plinth.yaml:6:33: the name auth.teams does not exist: write auth: {teams: {roles: [member, owner]}}, and people belong to teams
plinth.yaml:6:62: the name auth.teams does not exist: write auth: {teams: {roles: [member, owner]}}, and people belong to teams`},
	} {
		_, err := load(m.file)
		if err == nil {
			t.Errorf("loads:\n%s", m.file)
			continue
		}
		if d := cmp.Diff(m.want, err.Error()); d != "" {
			t.Errorf("%s\n%s", m.file, d)
		}
	}
}

// A test of rules gives its caller teams as it gives records.
func TestTeamsInTests(t *testing.T) {
	t.Parallel()
	app := mustLoad(t, `auth: {teams: true}
collections:
  notes: {fields: {team: {type: ref, to: teams}}, access: {read: team in auth.teams}}
tests:
  - name: a member reads
    given:
      teams: {red: {name: Red}}
      memberships: {mine: {team: $red, user: $me, role: owner}}
      notes: {one: {team: $red}}
    as: user
    do: read notes $one
    expect: allowed
`)
	if body := string(app.Tests[0].Given[1].Body.AppendCanonical(nil)); !strings.Contains(body, `"user":"`+MeID+`"`) {
		t.Error(body)
	}
}
