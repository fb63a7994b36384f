package auth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/oidc/oidctest"
)

// Where people are invited, a provider lets in whose verified address was: with what the invitation gives, once.
func TestInvitedByProvider(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1, "REGISTER", "invite")
	invite := func(email, role string) {
		if _, err := e.gate.Invite(t.Context(), auth.InviteOptions{Email: email, Role: role}); err != nil {
			t.Fatal(err)
		}
		e.mail("invite", email)
	}
	invite("anna@example.com", "staff")
	for _, claims := range []oidctest.Claims{
		{"sub": "a", "email": "anna@example.com"},                                // anybody says so
		{"sub": "b", "email": "bob@example.com", "email_verified": true},         // another
		{"sub": "c", "email": "anna@example.com", "email_verified": "certainly"}, // not true
	} {
		e.user(0, claims)
		if end := e.browser().signIn("one", ""); end != "/?error=closed" {
			t.Error(claims, end)
		}
	}
	e.user(0, oidctest.Claims{"sub": "d", "email": "Anna@example.com", "email_verified": true})
	b := e.browser()
	if end := b.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	if me := b.me(); me["role"] != "staff" || me["verified"] != true || len(e.records("_invitations")) != 0 {
		t.Error(me)
	}
	if end := e.browser().signIn("one", ""); end != "/" || len(e.records("users")) != 1 {
		t.Error(end) // he is known
	}
	// ß is ss where addresses are compared, and another mailbox.
	invite("eva@strasse.example", "staff")
	e.user(0, oidctest.Claims{"sub": "e", "email": "eva@straße.example", "email_verified": true})
	if end := e.browser().signIn("one", ""); end != "/?error=closed" {
		t.Error(end)
	}
}

// Who is invited to a team, and could not come in without, accepts by signing in with a provider that says that the address is his:
// once, and by the word of who may still say so.
func TestInvitedToATeamByProvider(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1, "REGISTER", `invite, invite: 'size(auth.teamsAs("owner")) > 0', teams: true`)
	ann := e.member("ann@example.com", "member", "Ann")
	red := e.team(ann, "Red")
	e.wants(e.as(ann, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "bob@example.com", "role": "owner"}), 201, "")
	e.mail("invite", "bob@example.com")
	if _, err := e.gate.Invite(t.Context(), auth.InviteOptions{Email: "cat@example.com", Role: "staff"}); err != nil {
		t.Fatal(err)
	}
	e.mail("invite", "cat@example.com")
	e.move(time.Second)
	e.wants(e.as(ann, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "cat@example.com"}), 201, "")
	e.mail("invite", "cat@example.com")
	e.user(0, oidctest.Claims{"sub": "c", "email": "cat@example.com", "email_verified": true})
	b := e.browser() // what another has said of her before is not taken from her
	if end := b.signIn("one", ""); end != "/" || b.me()["role"] != "staff" || e.count("memberships") != 1 || len(e.records("_invitations")) != 2 {
		t.Error(end, b.me(), e.count("memberships"))
	}
	e.user(0, oidctest.Claims{"sub": "a", "email": "bob@example.com"}) // anybody says so
	if end := e.browser().signIn("one", ""); end != "/?error=closed" || e.count("memberships") != 1 {
		t.Error(end, e.count("memberships"))
	}
	e.user(0, oidctest.Claims{"sub": "b", "email": "bob@example.com", "email_verified": true})
	if end := e.browser().signIn("one", ""); end != "/" || e.count("memberships") != 2 || len(e.records("_invitations")) != 1 {
		t.Error(end, e.count("memberships"))
	}
	items := e.as(ann, http.MethodGet, "teams/"+red+"/members", nil).body["items"].([]any)
	if last := items[1].(map[string]any); last["user"] != e.idOf("bob@example.com") || last["role"] != "owner" {
		t.Error(items)
	}
}

// Where people may register, somebody who signs in with a provider joins no team that has invited his address: he is asked first, and
// who invited does not learn that he is here. The link of the mail is good for him all the same.
func TestProviderJoinsNoTeam(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1, "REGISTER", "open, teams: true")
	eve := e.member("eve@example.com", "member", "Eve")
	trap := e.team(eve, "Trap")
	e.wants(e.as(eve, http.MethodPost, "teams/"+trap+"/invitations", map[string]any{"email": "bob@example.com"}), 201, "")
	link := e.mail("invite", "bob@example.com").Token
	e.user(0, oidctest.Claims{"sub": "b", "email": "bob@example.com", "email_verified": true})
	b := e.browser()
	if end := b.signIn("one", ""); end != "/" || e.count("memberships") != 1 {
		t.Fatal(end, e.count("memberships"))
	}
	if items := b.send(http.MethodGet, "teams", nil).body["items"].([]any); len(items) != 0 {
		t.Error(items)
	}
	e.wants(b.send(http.MethodPost, "invitations/accept", map[string]any{"token": link, "password": good}), 422, "/token secret")
	e.wants(b.send(http.MethodPost, "teams/join", map[string]any{"token": link}), 200, "")
	if n := e.count("memberships"); n != 2 {
		t.Error(n)
	}
}

// An anonymous user signs in with a provider and keeps his id; his old session is none, and nobody who has an account is taken over.
func TestAnonymousLinks(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1, "REGISTER", "open, anonymous: true")
	e.user(0, oidctest.Claims{"sub": "a", "email": "anna@example.com", "email_verified": true})
	token, id := e.comeIn(nil)
	e.move(30 * 60e9) // he cannot sign in anew
	b := e.browser()
	if end := e.linkAs(b, token, "one", ""); end != "/" {
		t.Fatal(end)
	}
	if me := b.me(); me["id"] != id || me["anonymous"] != false || me["role"] != "member" || me["email"] != "anna@example.com" || me["verified"] != true {
		t.Error(me)
	}
	e.wants(e.as(token, http.MethodGet, "me", nil), 401, "")
	// Another guest comes with the same person, and with an address that is somebody's.
	token, _ = e.comeIn(nil)
	if end := e.linkAs(e.browser(), token, "one", ""); end != "/?error=link" {
		t.Error(end)
	}
	e.user(0, oidctest.Claims{"sub": "a"})
	if end := e.linkAs(e.browser(), token, "one", ""); end != "/?error=taken" {
		t.Error(end)
	}
	e.wants(e.as(token, http.MethodGet, "me", nil), 200, "")
	if n := len(e.records("_identities")); n != 1 {
		t.Error(n)
	}

	e = withOthers(t, 1, "REGISTER", "invite, anonymous: true")
	e.user(0, oidctest.Claims{"sub": "a", "email": "anna@example.com", "email_verified": true})
	token, id = e.comeIn(nil)
	if end := e.linkAs(e.browser(), token, "one", ""); end != "/?error=closed" {
		t.Error(end)
	}
	if _, err := e.gate.Invite(t.Context(), auth.InviteOptions{Email: "anna@example.com", Role: "staff"}); err != nil {
		t.Fatal(err)
	}
	b = e.browser()
	if end := e.linkAs(b, token, "one", ""); end != "/" {
		t.Fatal(end)
	}
	if me := b.me(); me["id"] != id || me["role"] != "staff" {
		t.Error(me)
	}
	if !strings.Contains(e.log.text(), "event=registered") {
		t.Error(e.log.text())
	}
}
