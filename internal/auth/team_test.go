package auth_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/auth"
)

const firms = `
name: firms
auth:
  roles: [member, staff]
  register: open
  teams: {roles: [member, editor, owner]}
collections:
  users:
    label: name
    fields: {name: {type: text, max: 40}}
    access: {read: 'id == auth.id || memberships.exists(m, m.team in auth.teams)', update: id == auth.id}
  notes:
    fields: {text: {type: text}, team: {type: ref, to: teams, onDelete: cascade}}
    access: {read: team in auth.teams, create: 'team in auth.teamsAs("editor")', update: 'team in auth.teamsAs("editor")'}
server: {trustedProxies: [127.0.0.1]}
`

// asunder is a site and another process of it, which share the database and nothing else.
func asunder(t *testing.T, yaml string) (s, other *site) {
	t.Helper()
	var eng driver.Engine
	s = open(t, yaml, func(e driver.Engine) driver.Engine {
		eng = e
		return e
	})
	there := *s
	var err error
	if there.db, err = data.Open(t.Context(), s.db.App(), eng, data.Options{Key: key, Clock: s.now, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	return s, there.replica()
}

// team has somebody make a team, as any record is made.
func (s *site) team(token, name string) (id string) {
	s.t.Helper()
	r, err := s.db.Create(s.t.Context(), s.by(token), "teams", node(s.t, `{"name":"`+name+`"}`), data.WriteOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.ID
}

// joins has somebody be invited and join; "" is the first role.
func (s *site) joins(owner, team, member, email, role string) {
	s.t.Helper()
	s.wants(s.as(owner, http.MethodPost, "teams/"+team+"/invitations", map[string]any{"email": email, "role": role}), 201, "")
	s.wants(s.as(member, http.MethodPost, "teams/join", map[string]any{"token": s.mail("team-invite", email).Token}), 200, "")
}

// belongs are the roles that somebody has, by team.
func (s *site) belongs(token string) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, m := range s.by(token).Teams {
		all[m.Team] = m.Role
	}
	return all
}

// Somebody makes a team, invites who has an account and who has none, gives roles, removes, and is left.
func TestTeam(t *testing.T) {
	t.Parallel()
	s := open(t, firms)
	ann, bob := s.member("ann@example.com", "member", "Ann"), s.member("bob@example.com", "member", "Bob")
	red := s.team(ann, "Red")
	if got := s.belongs(ann); len(got) != 1 || got[red] != "owner" {
		t.Fatal(got)
	}
	path := "teams/" + red

	a := s.as(ann, http.MethodPost, path+"/invitations", map[string]any{"email": "bob@example.com"})
	if s.wants(a, 201, ""); a.body["team"] != red || a.body["role"] != "member" || a.body["email"] != "bob@example.com" || a.body["token"] != nil {
		t.Fatal(a.text)
	}
	l := s.mail("team-invite", "bob@example.com")
	if l.By != "Ann" || l.Team != "Red" || l.Valid != 7*24*time.Hour || l.Token == "" {
		t.Error(l)
	}
	a = s.as(bob, http.MethodPost, "teams/join", map[string]any{"token": l.Token})
	if s.wants(a, 200, ""); a.body["team"] != red || a.body["role"] != "member" || a.body["user"] != s.idOf("bob@example.com") {
		t.Fatal(a.text)
	}
	s.wants(s.as(bob, http.MethodPost, "teams/join", map[string]any{"token": l.Token}), 422, "/token secret")
	if got := s.belongs(bob); got[red] != "member" {
		t.Error(got)
	}

	// Who has no account gets one, and belongs to the team at once.
	s.wants(s.as(ann, http.MethodPost, path+"/invitations", map[string]any{"email": "cat@example.com", "role": "editor"}), 201, "")
	l = s.mail("invite", "cat@example.com")
	if l.By != "Ann" || l.Team != "Red" {
		t.Error(l)
	}
	invite := l.Token
	s.wants(s.as(bob, http.MethodPost, "teams/join", map[string]any{"token": invite}), 403, "") // it is another's
	a = s.post("invitations/accept", map[string]any{"token": invite, "password": good, "name": "Cat"})
	s.wants(a, 200, "")
	cat := a.body["token"].(string)
	if user := a.body["user"].(map[string]any); user["role"] != "member" || user["verified"] != true {
		t.Error(a.text)
	}
	if got := s.belongs(cat); got[red] != "editor" {
		t.Error(got)
	}
	s.wants(s.post("invitations/accept", map[string]any{"token": invite, "password": good}), 422, "/token secret")

	items := s.as(bob, http.MethodGet, path+"/members", nil).body["items"].([]any)
	if len(items) != 3 {
		t.Fatal(items)
	}
	first := items[0].(map[string]any)
	if first["role"] != "owner" || first["expand"].(map[string]any)["user"].(map[string]any)["name"] != "Ann" {
		t.Error(first)
	}
	own := s.as(cat, http.MethodGet, "teams", nil).body["items"].([]any)
	if len(own) != 1 || own[0].(map[string]any)["expand"].(map[string]any)["team"].(map[string]any)["name"] != "Red" {
		t.Error(own)
	}

	bobID, catID := s.idOf("bob@example.com"), s.idOf("cat@example.com")
	a = s.as(ann, http.MethodPatch, path+"/members/"+bobID, map[string]any{"role": "owner"})
	if s.wants(a, 200, ""); a.body["role"] != "owner" {
		t.Error(a.text)
	}
	s.wants(s.as(bob, http.MethodDelete, path+"/members/"+catID, nil), 204, "")
	s.wants(s.as(bob, http.MethodDelete, path+"/members/"+catID, nil), 404, "")
	if got := s.belongs(cat); len(got) != 0 {
		t.Error(got)
	}
	s.wants(s.as(cat, http.MethodGet, path+"/members", nil), 404, "")
	s.wants(s.as(ann, http.MethodPost, path+"/members", map[string]any{"user": catID}), 422, "/user ref") // she may not read her any more
	s.wants(s.as(ann, http.MethodDelete, path+"/members/"+s.idOf("ann@example.com"), nil), 204, "")       // and leaves
	s.wants(s.as(ann, http.MethodGet, path+"/members", nil), 404, "")
	a = s.as(bob, http.MethodDelete, path+"/members/"+bobID, nil)
	if s.wants(a, 409, ""); !strings.Contains(a.text, "nobody who manages it") {
		t.Error(a.text)
	}
	s.wants(s.as(bob, http.MethodPatch, path+"/members/"+bobID, map[string]any{"role": "editor"}), 409, "")
	a = s.as(bob, http.MethodDelete, "me", map[string]any{"password": good})
	if s.wants(a, 409, ""); !strings.Contains(a.text, "nobody who manages it") {
		t.Error(a.text)
	}
	if _, err := s.db.Delete(t.Context(), s.by(bob), "teams", red, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.wants(s.as(bob, http.MethodDelete, "me", map[string]any{"password": good}), 204, "")
	if s.count("memberships") != 0 || s.count("_invitations") != 0 {
		t.Error("something is left")
	}
}

// Owners manage, and nobody else: neither a member of the team, nor the owner of another, and to who does not belong to it a team
// is not there.
func TestWhoManagesATeam(t *testing.T) {
	t.Parallel()
	s := open(t, firms)
	ann, bob, eve := s.member("ann@example.com", "member", "Ann"), s.member("bob@example.com", "staff", "Bob"), s.member("eve@example.com", "member", "Eve")
	red, blue := s.team(ann, "Red"), s.team(eve, "Blue")
	s.joins(ann, red, bob, "bob@example.com", "editor")
	annID, bobID, eveID := s.idOf("ann@example.com"), s.idOf("bob@example.com"), s.idOf("eve@example.com")
	s.wants(s.as(ann, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "x@example.com"}), 201, "")
	s.mail("invite", "x@example.com")
	invitation := s.as(ann, http.MethodGet, "teams/"+red+"/invitations", nil).body["items"].([]any)[0].(map[string]any)["id"].(string)
	_, staff, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Role: "staff"})
	if err != nil {
		t.Fatal(err)
	}
	_, reader, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Operator: true, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, token  string
		read, manage int
	}{{"nobody", "", 401, 401}, {"an editor", bob, 200, 403}, {"another team's owner", eve, 404, 404}, {"a key", staff, 404, 404}, {"a read-only operator", reader, 200, 403}} {
		t.Run(c.name, func(t *testing.T) {
			s := *s
			s.t = t
			s.wants(s.as(c.token, http.MethodGet, "teams/"+red+"/members", nil), c.read, "")
			for _, r := range []struct {
				method, path string
				body         map[string]any
			}{
				{"POST", "/members", map[string]any{"user": eveID, "role": "owner"}},
				{"PATCH", "/members/" + bobID, map[string]any{"role": "owner"}},
				{"PATCH", "/members/" + annID, map[string]any{"role": "member"}},
				{"DELETE", "/members/" + annID, nil},
				{"POST", "/invitations", map[string]any{"email": "eve@example.com", "role": "owner"}},
				{"DELETE", "/invitations/" + invitation, nil},
			} {
				var body any
				if r.body != nil {
					body = r.body
				}
				s.wants(s.as(c.token, r.method, "teams/"+red+r.path, body), c.manage, "")
			}
			if c.manage != 403 || c.token == bob {
				want := c.manage
				s.wants(s.as(c.token, http.MethodGet, "teams/"+red+"/invitations", nil), want, "")
			}
		})
	}
	// What is one team's is not found by the way of another, of which one is the owner.
	s.wants(s.as(eve, http.MethodDelete, "teams/"+blue+"/invitations/"+invitation, nil), 404, "")
	s.wants(s.as(eve, http.MethodPatch, "teams/"+blue+"/members/"+bobID, map[string]any{"role": "member"}), 404, "")
	s.wants(s.as(eve, http.MethodDelete, "teams/"+blue+"/members/"+annID, nil), 404, "")
	s.wants(s.as(eve, http.MethodDelete, "invitations/"+invitation, nil), 404, "")
	s.wants(s.as(eve, http.MethodPost, "teams/"+blue+"/members", map[string]any{"user": annID}), 422, "/user ref")
	s.wants(s.as(ann, http.MethodGet, "teams/00000000-0000-7000-8000-000000000000/members", nil), 404, "")
	s.wants(s.as(ann, http.MethodGet, "teams/%00/members", nil), 404, "")
	if got := s.belongs(bob); got[red] != "editor" || len(got) != 1 {
		t.Error(got)
	}
	if items := s.as(ann, http.MethodGet, "invitations", nil).body["items"].([]any); len(items) != 0 {
		t.Error("invitations to a team are told with it:", items)
	}
	// What is wrong with a request of somebody who may.
	for _, c := range []struct {
		path string
		body map[string]any
		code string
	}{
		{"/invitations", map[string]any{"email": "y@example.com", "role": "boss"}, "/role enum"}, {"/invitations", map[string]any{"email": "y@"}, "/email pattern"},
		{"/invitations", map[string]any{"email": "y@example.com", "team": blue}, "/team unknown"}, {"/members", map[string]any{"role": "member"}, "/user required"},
		{"/members", map[string]any{"user": "x"}, "/user ref"}, {"/members", map[string]any{"user": bobID, "role": 3}, "/role type"},
	} {
		s.wants(s.as(ann, http.MethodPost, "teams/"+red+c.path, c.body), 422, c.code)
	}
	s.wants(s.as(ann, http.MethodPatch, "teams/"+red+"/members/"+bobID, map[string]any{}), 422, "/role required")
	s.wants(s.as(ann, http.MethodPost, "teams/"+red+"/members", map[string]any{"user": bobID}), 409, "/team unique")

	// Operators do all of it; whose team it is they are not.
	_, root, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	s.wants(s.as(root, http.MethodPost, "teams/"+red+"/members", map[string]any{"user": eveID}), 201, "")
	s.wants(s.as(root, http.MethodPatch, "teams/"+red+"/members/"+eveID, map[string]any{"role": "owner"}), 200, "")
	s.wants(s.as(root, http.MethodDelete, "teams/"+red+"/members/"+annID, nil), 204, "")
	s.wants(s.as(root, http.MethodDelete, "teams/"+red+"/members/"+eveID, nil), 409, "")
	s.wants(s.as(root, http.MethodGet, "teams", nil), 403, "")
}

// What an earlier answer says of an owner does not do: it is asked again where something is done, on another process too.
func TestAnOwnerWhoIsNoneAnyMore(t *testing.T) {
	t.Parallel()
	s, other := asunder(t, firms)
	ann, bob := s.member("ann@example.com", "member", "Ann"), s.member("bob@example.com", "member", "Bob")
	red := s.team(ann, "Red")
	s.joins(ann, red, bob, "bob@example.com", "owner")
	bobID := s.idOf("bob@example.com")
	s.wants(other.as(bob, http.MethodGet, "teams/"+red+"/members", nil), 200, "") // it believes so for 5 s
	s.wants(s.as(ann, http.MethodPatch, "teams/"+red+"/members/"+bobID, map[string]any{"role": "member"}), 200, "")
	s.wants(other.as(bob, http.MethodPatch, "teams/"+red+"/members/"+bobID, map[string]any{"role": "owner"}), 403, "")
	s.wants(other.as(bob, http.MethodDelete, "teams/"+red+"/members/"+s.idOf("ann@example.com"), nil), 403, "")
	s.wants(s.as(ann, http.MethodDelete, "teams/"+red+"/members/"+bobID, nil), 204, "")
	s.wants(other.as(bob, http.MethodPatch, "teams/"+red+"/members/"+bobID, map[string]any{"role": "owner"}), 404, "")
	s.move(5 * time.Second)
	if got := other.belongs(bob); len(got) != 0 {
		t.Error("5 s after:", got)
	}
}

// An invitation is worth what who invited is: an owner, who is there. And who comes by one comes where people may.
func TestInvitationToATeamHolds(t *testing.T) {
	t.Parallel()
	s := open(t, firms)
	ann, bob := s.member("ann@example.com", "member", "Ann"), s.member("bob@example.com", "member", "Bob")
	eve := s.member("eve@example.com", "member", "Eve")
	red := s.team(ann, "Red")
	s.joins(ann, red, bob, "bob@example.com", "owner")
	invite := func() string {
		s.t.Helper()
		s.wants(s.as(bob, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "Eve@example.com", "role": "owner"}), 201, "")
		return s.mail("team-invite", "eve@example.com").Token
	}
	join := func(token string) answer {
		return s.as(eve, http.MethodPost, "teams/join", map[string]any{"token": token})
	}
	bobID := s.idOf("bob@example.com")
	first, second := invite(), invite()
	s.wants(join(first), 422, "/token secret") // another took its place
	s.wants(s.as("", http.MethodPost, "teams/join", map[string]any{"token": second}), 401, "")
	s.wants(s.as(bob, http.MethodPost, "teams/join", map[string]any{"token": second}), 403, "")
	s.wants(s.as(ann, http.MethodPatch, "teams/"+red+"/members/"+bobID, map[string]any{"role": "editor"}), 200, "")
	s.wants(join(second), 422, "/token secret")
	s.wants(s.as(ann, http.MethodPatch, "teams/"+red+"/members/"+bobID, map[string]any{"role": "owner"}), 200, "")
	s.patch("bob@example.com", `{"disabled":true}`)
	s.wants(join(second), 422, "/token secret")
	s.patch("bob@example.com", `{"disabled":false}`)
	bob = s.login("bob@example.com", good)
	id := s.as(ann, http.MethodGet, "teams/"+red+"/invitations", nil).body["items"].([]any)[0].(map[string]any)["id"].(string)
	s.wants(s.as(ann, http.MethodDelete, "teams/"+red+"/invitations/"+id, nil), 204, "")
	s.wants(join(second), 422, "/token secret")
	third := invite()
	s.move(7 * 24 * time.Hour)
	ann, bob, eve = s.login("ann@example.com", good), s.login("bob@example.com", good), s.login("eve@example.com", good)
	s.wants(join(third), 422, "/token secret")
	a := join(invite())
	if s.wants(a, 200, ""); a.body["role"] != "owner" {
		t.Error(a.text)
	}
	// Of who belongs to it already the role stays.
	s.wants(s.as(ann, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "bob@example.com"}), 201, "")
	a = s.as(bob, http.MethodPost, "teams/join", map[string]any{"token": s.mail("team-invite", "bob@example.com").Token})
	if s.wants(a, 200, ""); a.body["role"] != "owner" {
		t.Error(a.text)
	}
	// An invitation to the app is none to a team.
	_, root, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	s.wants(s.as(eve, http.MethodPost, "teams/join", map[string]any{"token": s.invite(root, "z@example.com", nil)}), 422, "/token secret")
	// With the team goes what was sent.
	s.wants(s.as(ann, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "new@example.com"}), 201, "")
	last := s.mail("invite", "new@example.com").Token
	if _, err := s.db.Delete(t.Context(), s.by(ann), "teams", red, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.wants(s.post("invitations/accept", map[string]any{"token": last, "password": good}), 422, "/token secret")
}

// Where people cannot register, the owner of a team brings somebody in only if he may invite people; others who have an account
// he invites all the same, and does not learn who has.
func TestTeamsWherePeopleAreInvited(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(firms, "register: open", "register: invite\n  invite: auth.has(\"staff\") && size(auth.teamsAs(\"owner\")) > 0", 1))
	ann, bob := s.member("ann@example.com", "member", "Ann"), s.member("bob@example.com", "staff", "Bob")
	red, blue := s.team(ann, "Red"), s.team(bob, "Blue")
	unknown := s.as(ann, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "new@example.com"})
	s.wants(unknown, 201, "")
	known := s.as(ann, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "bob@example.com"})
	if s.wants(known, 201, ""); len(known.body) != len(unknown.body) {
		t.Error(known.text, unknown.text)
	}
	s.mail("team-invite", "bob@example.com") // and none to the other
	s.wants(s.as(bob, http.MethodPost, "teams/"+blue+"/invitations", map[string]any{"email": "new@example.com"}), 201, "")
	token := s.mail("invite", "new@example.com").Token
	s.patch("bob@example.com", `{"role":"member"}`)
	s.wants(s.post("invitations/accept", map[string]any{"token": token, "password": good}), 422, "/token secret")
	s.patch("bob@example.com", `{"role":"staff"}`)
	s.wants(s.post("invitations/accept", map[string]any{"token": token, "password": good}), 200, "")
	if s.count("memberships") != 3 {
		t.Error(s.count("memberships"))
	}
}

// Of a hundred who join by one mail, at two processes, one does, and he belongs to the team once.
func TestJoinedOnce(t *testing.T) {
	t.Parallel()
	s := open(t, firms)
	other := s.replica()
	ann, bob := s.member("ann@example.com", "member", "Ann"), s.member("bob@example.com", "member", "Bob")
	red := s.team(ann, "Red")
	s.wants(s.as(ann, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "bob@example.com"}), 201, "")
	token := s.mail("team-invite", "bob@example.com").Token
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 100 {
		at := []*site{s, other}[i%2]
		wg.Go(func() {
			a := at.as(bob, http.MethodPost, "teams/join", map[string]any{"token": token}, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.status == 200:
				won++
			case a.status != 422 && a.status != 409:
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	wg.Wait()
	if won != 1 || s.count("memberships") != 2 {
		t.Errorf("%d won, %d memberships", won, s.count("memberships"))
	}
}

// Of two owners who leave at the same moment one stays.
func TestTwoOwnersLeave(t *testing.T) {
	t.Parallel()
	s := open(t, firms)
	other := s.replica()
	ann, bob := s.member("ann@example.com", "member", "Ann"), s.member("bob@example.com", "member", "Bob")
	ids := []string{s.idOf("ann@example.com"), s.idOf("bob@example.com")}
	for range 5 {
		red := s.team(ann, "Red")
		s.create("memberships", `{"team":"`+red+`","user":"`+ids[1]+`","role":"owner"}`)
		var wg sync.WaitGroup
		status := [2]int{}
		for i, who := range []string{ann, bob} {
			at := []*site{s, other}[i]
			wg.Go(func() { status[i] = at.as(who, http.MethodDelete, "teams/"+red+"/members/"+ids[i], nil).status })
		}
		wg.Wait()
		if status != [2]int{204, 409} && status != [2]int{409, 204} {
			t.Fatal(status)
		}
	}
}

// Who asks costs nothing more for his teams, as long as he is remembered: a read is one question. Then they are looked up with him.
func TestTeamsCostNoQuery(t *testing.T) {
	t.Parallel()
	var eng *counted
	s := open(t, firms, func(e driver.Engine) driver.Engine {
		eng = &counted{Engine: e}
		return eng
	})
	ann := s.member("ann@example.com", "member", "Ann")
	red := s.team(ann, "Red")
	r, err := s.db.Create(t.Context(), s.by(ann), "notes", node(t, `{"text":"a","team":"`+red+`"}`), data.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.by(ann)
	eng.reads.Store(0)
	ctx := context.WithValue(t.Context(), http.ServerContextKey, true) // as a request: that is counted
	for range 10 {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+ann)
		by, err := s.gate.Caller(q)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.db.Get(ctx, by, data.Target{Collection: "notes", ID: r.ID}, data.View{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := eng.reads.Load(); n != 10 {
		t.Errorf("10 reads are %d questions", n)
	}
}

// What another process does to a team is seen here after 5 s.
func TestTeamsAreRemembered(t *testing.T) {
	t.Parallel()
	s, other := asunder(t, firms)
	ann := s.member("ann@example.com", "member", "Ann")
	red := s.team(ann, "Red")
	s.by(ann)
	if _, err := other.db.Delete(t.Context(), data.System, "teams", red, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := s.belongs(ann); got[red] != "owner" {
		t.Error("a session is looked up for each request:", got)
	}
	s.move(5 * time.Second)
	if got := s.belongs(ann); len(got) != 0 {
		t.Error(got)
	}
}

// Without the key there is no route.
func TestNoTeams(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	ann := s.person("ann@example.com")
	for _, c := range [][2]string{{"GET", "teams"}, {"POST", "teams/join"}, {"GET", "teams/00000000-0000-7000-8000-000000000000/members"}} {
		s.wants(s.as(ann, c[0], c[1], nil), 404, "")
	}
	if _, err := s.db.TeamsOf(t.Context(), s.idOf("ann@example.com")); err != nil {
		t.Error(err)
	}
	if _, err := s.db.List(t.Context(), data.System, &data.ListQuery{Collection: "memberships"}, nil); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// Whom an owner removes, or gives another role, does not come in again by an invitation of before that he has kept.
func TestRemovedWithAnInvitation(t *testing.T) {
	t.Parallel()
	s := open(t, firms)
	ann, bob, cat := s.member("ann@example.com", "member", "Ann"), s.member("bob@example.com", "member", "Bob"), s.member("cat@example.com", "member", "Cat")
	red, blue := s.team(ann, "Red"), s.team(ann, "Blue")
	s.joins(ann, red, cat, "cat@example.com", "owner")
	kept := func(team, role string) string {
		t.Helper()
		s.wants(s.as(cat, http.MethodPost, "teams/"+team+"/invitations", map[string]any{"email": "bob@example.com", "role": role}), 201, "")
		return s.mail("team-invite", "bob@example.com").Token
	}
	join := func(token string) answer {
		return s.as(bob, http.MethodPost, "teams/join", map[string]any{"token": token})
	}
	bobID := s.idOf("bob@example.com")
	first := kept(red, "editor")
	s.wants(s.as(ann, http.MethodPost, "teams/"+blue+"/invitations", map[string]any{"email": "bob@example.com"}), 201, "")
	other := s.mail("team-invite", "bob@example.com").Token
	s.joins(ann, red, bob, "bob@example.com", "member")
	s.wants(s.as(ann, http.MethodDelete, "teams/"+red+"/members/"+bobID, nil), 204, "")
	s.wants(join(first), 422, "/token secret")

	s.joins(ann, red, bob, "bob@example.com", "owner")
	second := kept(red, "owner")
	s.wants(s.as(ann, http.MethodPatch, "teams/"+red+"/members/"+bobID, map[string]any{"role": "member"}), 200, "")
	s.wants(s.as(bob, http.MethodDelete, "teams/"+red+"/members/"+bobID, nil), 204, "")
	s.wants(join(second), 422, "/token secret")
	s.wants(join(kept(red, "member")), 200, "") // asked again he may
	s.wants(join(other), 200, "")               // what another team has sent is none of this one's
}

// Nobody is added to so many teams that those he makes and joins count no more; an invitation he accepts.
func TestAddedToTooMany(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(firms, "read: 'id == auth.id ||", "read: 'auth.signedIn ||", 1))
	eve, bob := s.member("eve@example.com", "member", "Eve"), s.member("bob@example.com", "member", "Bob")
	bobID := s.idOf("bob@example.com")
	for i := range data.MostAdded {
		s.create("memberships", fmt.Sprintf(`{"team":%q,"user":%q,"role":"member"}`, s.create("teams", fmt.Sprintf(`{"name":"%d"}`, i)), bobID))
	}
	trap := s.team(eve, "Trap")
	s.wants(s.as(eve, http.MethodPost, "teams/"+trap+"/members", map[string]any{"user": bobID}), 409, "")
	s.joins(eve, trap, bob, "bob@example.com", "editor")
	s.move(5 * time.Second)
	if own := s.team(bob, "Own"); s.belongs(bob)[own] != "owner" || s.belongs(bob)[trap] != "editor" {
		t.Error("what he makes and joins does not count")
	}
}
