package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/spec"
)

const club = `
name: club
auth:
  roles: [member, staff, admin]
  register: invite
  roleBy: auth.has("admin")
  invite: auth.has("admin") || auth.has("staff") && role == "member"
collections:
  users:
    label: name
    fields:
      name: {type: text, max: 40}
      rank: {type: int, write: auth.has("staff")}
      seal: {type: text, write: "false"}
    access: {read: id == auth.id, update: id == auth.id}
server: {trustedProxies: [127.0.0.1]}
`

// member makes a user who can sign in, as a reset does of one whom an operator has made.
func (s *site) member(email, role, name string) (token string) {
	s.t.Helper()
	s.create("users", fmt.Sprintf(`{"email":%q,"role":%q,"name":%q}`, email, role, name))
	s.wants(s.post("reset", map[string]any{"email": email}), 202, "")
	s.wants(s.post("reset/confirm", map[string]any{"token": s.mail("reset", email).Token, "password": good}), 204, "")
	s.mail("password-changed", email)
	return s.login(email, good)
}

// invite invites somebody, and gives the token of the mail.
func (s *site) invite(token, email string, fields map[string]any) string {
	s.t.Helper()
	body := map[string]any{"email": email}
	for name, v := range fields {
		body[name] = v
	}
	s.wants(s.as(token, http.MethodPost, "invitations", body), 201, "")
	return s.mail("invite", email).Token
}

// Somebody is invited, with a role and fields that are the inviter's to give, and comes in once.
func TestInvitation(t *testing.T) {
	t.Parallel()
	s := open(t, club)
	admin := s.member("root@example.com", "admin", "Root")
	s.wants(s.post("register", map[string]any{"email": "x@example.com", "password": good}), 403, "")
	a := s.as(admin, http.MethodPost, "invitations", map[string]any{"email": "ann@example.com", "role": "staff", "rank": 3, "name": "Annie"})
	if s.wants(a, 201, ""); a.body["role"] != "staff" || a.body["email"] != "ann@example.com" || a.body["token"] != nil {
		t.Fatal(a.text)
	}
	l := s.mail("invite", "ann@example.com")
	if l.By != "Root" || l.Valid != 7*24*time.Hour {
		t.Error(l)
	}
	accept := func(more map[string]any) answer {
		body := map[string]any{"token": l.Token, "password": good}
		for name, v := range more {
			body[name] = v
		}
		return s.post("invitations/accept", body)
	}
	s.wants(accept(map[string]any{"password": "short"}), 422, "/password min")
	for _, c := range []struct{ name, code string }{{"role", "/role readonly"}, {"verified", "/verified readonly"}, {"rank", "/rank readonly"}, {"id", "/id readonly"},
		{"email", "/email readonly"}, {"disabled", "/disabled unknown"}, {"seal", "/seal readonly"}, {"nothing", "/nothing unknown"}} {
		s.wants(accept(map[string]any{c.name: nil}), 422, c.code)
	}
	a = accept(map[string]any{"name": "Ann"})
	s.wants(a, 200, "")
	user := a.body["user"].(map[string]any)
	if user["email"] != "ann@example.com" || user["role"] != "staff" || user["verified"] != true || user["name"] != "Ann" || user["rank"] != 3.0 {
		t.Fatal(a.text)
	}
	s.wants(s.as(a.body["token"].(string), http.MethodGet, "me", nil), 200, "")
	s.wants(accept(nil), 422, "/token secret")
	s.login("ann@example.com", good)
	if n := s.count("_invitations"); n != 0 {
		t.Error(n, "invitations are left")
	}
}

// Who may invite, and whom, the app file says; nobody gives what is not his to give.
func TestWhoInvites(t *testing.T) {
	t.Parallel()
	s := open(t, club)
	ann, staff := s.member("ann@example.com", "member", "Ann"), s.member("staff@example.com", "staff", "Staff")
	invite := func(token string, body map[string]any) answer {
		return s.as(token, http.MethodPost, "invitations", body)
	}
	s.wants(invite("", map[string]any{"email": "x@example.com"}), 401, "")
	s.wants(invite(ann, map[string]any{"email": "x@example.com"}), 403, "")
	s.wants(invite(staff, map[string]any{"email": "x@example.com", "role": "staff"}), 422, "/role readonly") // roleBy is admin
	s.wants(invite(staff, map[string]any{"email": "x@example.com", "role": "member"}), 422, "/role readonly")
	for _, c := range []struct{ name, code string }{{"verified", "/verified readonly"}, {"id", "/id readonly"}, {"disabled", "/disabled readonly"}, {"seal", "/seal readonly"}, {"Role", "/Role unknown"}} {
		s.wants(invite(staff, map[string]any{"email": "x@example.com", c.name: nil}), 422, c.code)
	}
	s.wants(invite(staff, map[string]any{"email": "x@"}), 422, "/email pattern")
	s.wants(invite(staff, map[string]any{"email": "x@example.com", "rank": "high"}), 422, "/rank type")
	if n := s.count("_invitations"); n != 0 {
		t.Fatal(n, "invitations are there")
	}
	token := s.invite(staff, "x@example.com", map[string]any{"rank": 1})
	// What rests on the word of somebody who could not say it any more is good for nothing.
	s.patch("staff@example.com", `{"role":"member"}`)
	s.wants(s.post("invitations/accept", map[string]any{"token": token, "password": good}), 422, "/token secret")
	s.patch("staff@example.com", `{"role":"staff"}`)
	s.patch("staff@example.com", `{"disabled":true}`)
	s.wants(s.post("invitations/accept", map[string]any{"token": token, "password": good}), 422, "/token secret")
	s.patch("staff@example.com", `{"disabled":false}`)
	s.wants(s.post("invitations/accept", map[string]any{"token": token, "password": good}), 200, "")

	_, key, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Role: "staff", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	s.wants(invite(key, map[string]any{"email": "y@example.com"}), 403, "")
	id, key, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	token = s.invite(key, "y@example.com", map[string]any{"role": "admin"})
	if err := s.gate.RemoveKey(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.wants(s.post("invitations/accept", map[string]any{"token": token, "password": good}), 422, "/token secret")
}

// meanwhile is a hasher of passwords while which something else happens.
type meanwhile struct {
	passwords
	do func()
}

func (m meanwhile) Hash(ctx context.Context, text string) (string, error) {
	m.do()
	return m.passwords.Hash(ctx, text)
}

// Who invited may be dismissed while the password of who accepts waits to be hashed.
func TestDismissedMeanwhile(t *testing.T) {
	t.Parallel()
	do := func() {}
	s := openWith(t, club, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), func(_ *site, _ *spec.App, o *auth.Options) {
		o.Hasher = meanwhile{o.Hasher.(passwords), func() { do() }}
	})
	admin := s.member("root@example.com", "admin", "Root")
	link := s.invite(admin, "eve@example.com", map[string]any{"role": "admin"})
	do = func() { s.patch("root@example.com", `{"role":"member"}`) }
	s.wants(s.post("invitations/accept", map[string]any{"token": link, "password": good}), 422, "/token secret")
	if n := s.count("users"); n != 1 {
		t.Error(n)
	}
}

// Who invites does not learn who has an account, unless he is an operator; its owner is told.
func TestInvitedAlready(t *testing.T) {
	t.Parallel()
	s := open(t, club)
	staff := s.member("staff@example.com", "staff", "Staff")
	s.member("ann@example.com", "member", "Ann")
	known := s.as(staff, http.MethodPost, "invitations", map[string]any{"email": "ann@example.com"})
	s.wants(known, 201, "")
	if l := s.mail("invited", "ann@example.com"); l.Token != "" || l.By != "Staff" {
		t.Error(l)
	}
	s.invite(staff, "new@example.com", nil)
	items := s.as(staff, http.MethodGet, "invitations", nil).body["items"].([]any)
	if len(items) != 2 || len(items[0].(map[string]any)) != len(known.body) {
		t.Fatal(items)
	}
	if _, err := s.gate.Invite(t.Context(), auth.InviteOptions{Email: "Ann@example.com"}); err == nil || !strings.Contains(err.Error(), "has an account") {
		t.Error(err)
	}
	s.invite(staff, "last@example.com", nil) // no other mail came
}

// Another invitation of the same inviter takes the place of the first, that of another does not; who has made one withdraws it.
func TestInvitedAgain(t *testing.T) {
	t.Parallel()
	s := open(t, club)
	admin, staff := s.member("root@example.com", "admin", "Root"), s.member("staff@example.com", "staff", "Staff")
	accept := func(token string) answer {
		return s.post("invitations/accept", map[string]any{"token": token, "password": good})
	}
	list := func(token string) (ids []string) {
		for _, item := range s.as(token, http.MethodGet, "invitations", nil).body["items"].([]any) {
			ids = append(ids, item.(map[string]any)["id"].(string))
		}
		return ids
	}
	high := s.invite(admin, "ann@example.com", map[string]any{"role": "staff"})
	first := s.invite(staff, "ann@example.com", nil)
	second := s.invite(staff, "Ann@example.com", nil)
	s.wants(accept(first), 422, "/token secret")
	own := list(staff)
	if len(own) != 1 || len(list(admin)) != 1 || list(admin)[0] == own[0] {
		t.Fatal(own, list(admin))
	}
	s.wants(s.as(admin, http.MethodDelete, "invitations/"+own[0], nil), 404, "")
	s.wants(s.as(staff, http.MethodDelete, "invitations/"+list(admin)[0], nil), 404, "")
	s.wants(s.as("", http.MethodDelete, "invitations/"+own[0], nil), 401, "")
	s.wants(s.as(staff, http.MethodDelete, "invitations/"+own[0], nil), 204, "")
	s.wants(s.as(staff, http.MethodDelete, "invitations/"+own[0], nil), 404, "")
	s.wants(accept(second), 422, "/token secret")
	a := accept(high)
	if s.wants(a, 200, ""); a.body["user"].(map[string]any)["role"] != "staff" {
		t.Fatal(a.text)
	}
	// It ends.
	late := s.invite(admin, "bob@example.com", nil)
	s.move(7 * 24 * time.Hour)
	s.wants(accept(late), 422, "/token secret")
	s.move(time.Second)
	if err := s.gate.Sweep(t.Context()); err != nil || s.count("_invitations") != 0 {
		t.Error(err, s.count("_invitations"))
	}
	// A token of another kind is none.
	s.wants(s.post("reset", map[string]any{"email": "ann@example.com"}), 202, "")
	s.wants(accept(s.mail("reset", "ann@example.com").Token), 422, "/token secret")
}

// Of a hundred who accept at the same time, at two processes, one does.
func TestAcceptedOnce(t *testing.T) {
	t.Parallel()
	s := open(t, club)
	other := s.twin()
	token := s.invite(s.member("staff@example.com", "staff", "Staff"), "ann@example.com", nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 100 {
		at := []*site{s, other}[i%2]
		wg.Go(func() {
			ask := func() answer {
				return at.as("", http.MethodPost, "invitations/accept", map[string]any{"token": token, "password": good}, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
			}
			a := ask()
			for tries := 0; a.status == http.StatusServiceUnavailable && tries < 100; tries++ { // passwords wait for each other
				a = ask()
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.status == 200:
				won++
			case a.status != 422 && a.status != 409 && a.status != 429:
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	wg.Wait()
	if won != 1 || s.count("users") != 2 {
		t.Errorf("%d won, %d users", won, s.count("users"))
	}
}

// An account that somebody made with the address before is its owner's once he accepts: nothing of before opens it.
func TestInvitedWhereSomebodyWasFaster(t *testing.T) {
	t.Parallel()
	s := open(t, strings.NewReplacer("register: invite", "register: open\n  verify: optional").Replace(club))
	const theirs = "what the attacker knows"
	s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": theirs}), 201, "")
	s.mail("email-change", "ann@example.com")
	attacker := s.login("ann@example.com", theirs)
	id := s.idOf("ann@example.com")
	token := s.invite(s.member("root@example.com", "admin", "Root"), "ann@example.com", map[string]any{"role": "staff"})
	a := s.post("invitations/accept", map[string]any{"token": token, "password": good, "name": "Ann"})
	s.wants(a, 200, "")
	if user := a.body["user"].(map[string]any); user["id"] != id || user["role"] != "staff" || user["verified"] != true || user["name"] != "Ann" {
		t.Fatal(a.text)
	}
	s.wants(s.as(a.body["token"].(string), http.MethodGet, "me", nil), 200, "")
	s.wants(s.as(attacker, http.MethodGet, "me", nil), 401, "")
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": theirs}), 401, "")
}

// Who has proven the address before he accepts has an account, which the invitation does not change: not his password, nor his role.
func TestInvitedWhoHasAnAccountByNow(t *testing.T) {
	t.Parallel()
	s := open(t, club)
	token := s.invite(s.member("root@example.com", "admin", "Root"), "ann@example.com", map[string]any{"role": "staff"})
	own := s.member("ann@example.com", "member", "Ann")
	s.wants(s.post("invitations/accept", map[string]any{"token": token, "password": "another horse, another battery"}), 422, "/token secret")
	if a := s.as(own, http.MethodGet, "me", nil); a.status != 200 || a.body["user"].(map[string]any)["role"] != "member" {
		t.Error(a.status, a.text)
	}
	s.login("ann@example.com", good)
}

// From the command line a link is told in place of a mail, which works where no mail is sent.
func TestInviteLink(t *testing.T) {
	t.Parallel()
	s := open(t, club)
	v, err := s.gate.Invite(t.Context(), auth.InviteOptions{Email: "ann@example.com", Role: "admin", Link: true})
	if err != nil {
		t.Fatal(err)
	}
	_, token, ok := strings.Cut(v.Link, "/auth/invite?token=")
	if !ok {
		t.Fatal(v.Link)
	}
	for _, c := range []auth.InviteOptions{{Email: "ann", Link: true}, {Email: "bob@example.com", Role: "boss", Link: true}} {
		if _, err := s.gate.Invite(t.Context(), c); err == nil {
			t.Error(c, "was invited")
		}
	}
	a := s.post("invitations/accept", map[string]any{"token": token, "password": good})
	if s.wants(a, 200, ""); a.body["user"].(map[string]any)["role"] != "admin" {
		t.Error(a.text)
	}
}
