package spec

import (
	"slices"

	"github.com/bluell/plinth/expr"
)

// Teams says whether people belong to teams, and with which roles there (docs/identity.md). The zero Teams is no teams.
type Teams struct {
	Roles      []string // the least one first: who has the last one manages the team
	Collection string   // where teams live
	Members    string   // where it is kept who belongs to which, with which role: fields team, user, role
}

// On says whether there are teams.
func (t *Teams) On() bool { return len(t.Roles) > 0 }

// Owner is the role of who manages a team.
func (t *Teams) Owner() string { return t.Roles[len(t.Roles)-1] }

// From is a role and those behind it.
func (t *Teams) From(role string) []string {
	if i := slices.Index(t.Roles, role); i >= 0 {
		return t.Roles[i:]
	}
	return nil
}

const (
	defaultTeams   = "teams"
	defaultMembers = "memberships"
)

// defaultTeamRoles are those of teams where the app names none.
var defaultTeamRoles = []string{"member", "owner"}

// teamsSection reads auth.teams: true, or more of it.
func (l *loader) teamsSection(n *node) {
	t := &l.app.Auth.Teams
	if n.kind == scalar {
		if on, _ := boolOf(n.text); !on {
			return
		}
		*t = Teams{Roles: defaultTeamRoles, Collection: defaultTeams, Members: defaultMembers}
		return
	}
	*t = Teams{Collection: defaultTeams, Members: defaultMembers}
	s := l.section(n, teamsShape)
	for _, n := range s.values["roles"].list() {
		switch {
		case !l.name(n, "a role"):
		case slices.Contains(t.Roles, n.text):
			l.report(n, "duplicate", "the role %s stands twice", n.show())
		default:
			t.Roles = append(t.Roles, n.text)
		}
	}
	if n := s.values["roles"]; n != nil && len(n.list()) == 0 {
		l.report(n, "value", "roles is empty: there is at least one")
	}
	if len(t.Roles) == 0 {
		t.Roles = defaultTeamRoles
	}
	for _, k := range []struct {
		name string
		of   *string
	}{{"collection", &t.Collection}, {"memberships", &t.Members}} {
		if n := s.values[k.name]; n != nil && l.name(n, "a collection", slices.Concat(reservedCollections, reservedWords)...) {
			*k.of = n.text
		}
	}
}

// teams makes the collections of teams and of memberships. That of teams may be declared, with fields and rules of the app's own;
// that of memberships is Plinth's alone.
func (l *loader) teams() {
	a := &l.app.Auth
	t := &a.Teams
	if !t.On() {
		return
	}
	at := l.auth.values["teams"].pos()
	if t.Collection == a.Collection || t.Members == a.Collection || t.Collection == t.Members {
		l.reportAt(at, "conflict", "", "users, teams and memberships are collections of their own: give auth.teams other names")
		return
	}
	if c, ok := l.app.byName[t.Members]; ok {
		l.reportAt(c.Pos, "reserved", "", "auth.teams keeps in "+t.Members+" who belongs to which team: give this collection another name, or write auth: {teams: {memberships: …}}")
		return
	}
	if _, declared := l.app.byName[t.Collection]; !declared {
		teams := l.made(t.Collection, "name", at)
		teams.add(&Field{Name: "name", Type: Text, Required: true, MaxLen: 120, Made: true})
	}
	members := l.made(t.Members, "", at)
	team := &Field{Name: "team", Type: Ref, To: t.Collection, Required: true, Fixed: true, OnDelete: Cascade, Made: true}
	user := &Field{Name: "user", Type: Ref, To: a.Collection, Required: true, Fixed: true, OnDelete: Cascade, Made: true}
	role := &Field{Name: "role", Type: Enum, Required: true, Made: true}
	for _, r := range t.Roles {
		role.Values = append(role.Values, EnumValue{Value: r})
		role.MaxLen = max(role.MaxLen, len(r))
	}
	for _, f := range []*Field{team, user, role} {
		members.add(f)
	}
	members.Indexes = append(members.Indexes, &Index{Name: "team_user_unique", Fields: []*Field{team, user}, Unique: true, Pos: at})
	users := l.app.byName[a.Collection]
	for _, f := range []*Field{team, user} {
		to := l.app.byName[f.To]
		if taken, ok := to.byName[t.Members]; ok {
			l.reportAt(taken.Pos, "reserved", "", to.Name+"."+t.Members+" are the memberships of auth.teams: give the field another name, or write auth: {teams: {memberships: …}}")
			continue
		}
		f.Inverse = t.Members
		to.Inverses = append(to.Inverses, &Inverse{Name: t.Members, Of: members, Field: f})
	}
	if f, ok := users.byName["teams"]; ok {
		l.reportAt(f.Pos, "reserved", "", "auth.teams are the teams of the caller: give the field another name")
	}
}

// made adds a collection that nobody declared.
func (l *loader) made(name, label string, at Pos) *Collection {
	c := &Collection{Name: name, Label: label, Made: true, Pos: at, byName: map[string]*Field{}}
	addBase(c)
	l.app.Collections = append(l.app.Collections, c)
	l.app.byName[name] = c
	l.drafts = append(l.drafts, &draft{c: c})
	return c
}

// teamRules gives teams, where the app has not said who may do what, the rules that nearly everybody wants, and says who sees who
// belongs to a team: those who do.
func (l *loader) teamRules() {
	a := &l.app.Auth
	t := &a.Teams
	teams, members := l.app.byName[t.Collection], l.app.byName[t.Members]
	if l.system || !t.On() || teams == nil || members == nil || !members.Made || !a.On {
		return
	}
	d := l.drafts[slices.IndexFunc(l.drafts, func(d *draft) bool { return d.c == teams })]
	if d.s.values["access"] == nil {
		owners := "id in auth.teamsAs(\"" + t.Owner() + "\")"
		create := "auth.id != null"
		if a.Anonymous > 0 {
			create += " && !auth.anonymous"
		}
		teams.Access = Access{Read: l.own(teams, "id in auth.teams", expr.InRule), Create: l.own(teams, create, expr.InWrite),
			Update: l.own(teams, owners, expr.InUpdate), Delete: l.own(teams, owners, expr.InWrite)}
	}
	members.Access.Read = l.own(members, "user == auth.id || team in auth.teams", expr.InRule)
}
