package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/oidc/oidctest"
	"github.com/bluell/plinth/test/authenticator"
)

// A user has as many sessions as he is shown: the oldest end.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	s := near(t)
	first := s.person("ann@example.com")
	var last string
	for i := range 105 {
		if i%50 == 0 {
			s.move(time.Minute)
		}
		last = s.login("ann@example.com", good)
	}
	s.move(5 * time.Second)
	s.wants(s.as(first, http.MethodGet, "me", nil), 401, "")
	if list := s.as(last, http.MethodGet, "sessions", nil); len(list.body["items"].([]any)) != 100 {
		t.Error(len(list.body["items"].([]any)))
	}
	records, _, err := s.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "_sessions", Limit: 500})
	if err != nil || len(records) != 100 {
		t.Error(len(records), err)
	}
}

// The first proof of an address ends the sessions of before at once, in the process in which it is shown.
func TestFirstProofEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := near(t, "register: open", "register: open, verify: optional")
	s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": attackers}), 201, "")
	s.mail("email-change", "ann@example.com")
	stolen := s.login("ann@example.com", attackers)
	s.wants(s.as(stolen, http.MethodGet, "me", nil), 200, "")
	s.wants(s.post("code", map[string]any{"email": "ann@example.com"}), 202, "")
	s.wants(s.post("code/confirm", map[string]any{"email": "ann@example.com", "code": s.mail("code", "ann@example.com").Code}), 200, "")
	s.wants(s.as(stolen, http.MethodGet, "me", nil), 401, "")
}

// What somebody asks for who registers waits sealed: who may look at jobs reads neither his address nor what is stored of his password.
func TestAskedIsSealed(t *testing.T) {
	t.Parallel()
	s := near(t)
	s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": good, "name": "Ann"}), 202, "")
	s.mail("verify", "ann@example.com")
	records, _, err := s.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "_jobs", Limit: 500, Filter: "kind == param.a", Params: map[string]*doc.Node{"a": doc.NewString(auth.JobKind)}})
	if err != nil || len(records) != 1 {
		t.Fatal(len(records), err)
	}
	if text := fmt.Sprint(records); strings.Contains(text, "ann@") || strings.Contains(text, "argon2") || strings.Contains(text, "Ann") || !strings.Contains(text, "sealed") {
		t.Error(text)
	}
}

// Wrong passwords for addresses that nobody has are counted under so many names at most.
func TestMadeUpAddresses(t *testing.T) {
	t.Parallel()
	s := near(t)
	names := map[string]bool{}
	for i := range 5000 {
		names[s.gate.Crowd(fmt.Sprintf("%d@example.com", i))] = true
	}
	for name := range names {
		if len(name) != len("nobody 12345") {
			t.Fatal(name)
		}
	}
	if len(names) < 4900 {
		t.Error(len(names))
	}
}

// The list of sessions says which of them have shown a second factor.
func TestSessionsSayMFA(t *testing.T) {
	t.Parallel()
	s := behind(t)
	token, _, _ := s.app(s.person("ann@example.com"), "ann@example.com")
	items := s.as(token, http.MethodGet, "sessions", nil).body["items"].([]any)
	if len(items) != 1 || items[0].(map[string]any)["mfa"] != true {
		t.Error(items)
	}
}

// Who unlinks an identity may do it because somebody else came by it: his other sessions end.
func TestUnlinkEndsTheOthers(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	e.user(0, oidctest.Claims{"sub": "a", "email": "anna@example.com", "email_verified": true})
	other, own := e.browser(), e.browser()
	for _, b := range []*browser{other, own} {
		if end := b.signIn("one", ""); end != "/" {
			t.Fatal(end)
		}
	}
	id := own.send(http.MethodGet, "identities", nil).body["items"].([]any)[0].(map[string]any)["id"].(string)
	e.wants(own.send(http.MethodDelete, "identities/"+id, nil), 204, "")
	if own.me() == nil || other.me() != nil {
		t.Error("the sessions:", own.me(), other.me())
	}
}

// The owner is told of an identity that is linked, and of one that is unlinked.
func TestIdentityLetters(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	e.user(0, oidctest.Claims{"sub": "a"})
	token := e.person("anna@example.com")
	if end := e.linkAs(e.browser(), token, "one", ""); end != "/" {
		t.Fatal(end)
	}
	if l := e.mail("identity-added", "anna@example.com"); l.Provider != "Number 1" {
		t.Error(l)
	}
	id := e.as(token, http.MethodGet, "identities", nil).body["items"].([]any)[0].(map[string]any)["id"].(string)
	e.wants(e.as(token, http.MethodDelete, "identities/"+id, nil), 204, "")
	if l := e.mail("identity-removed", "anna@example.com"); l.Provider != "Number 1" {
		t.Error(l)
	}
}

// A password without an address to sign in with is no way in.
func TestPasswordOfNoAddress(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	e.user(0, oidctest.Claims{"sub": "a"})
	b := e.browser()
	if end := b.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	e.wants(b.send(http.MethodPost, "password", map[string]any{"new": good}), 204, "")
	id := b.send(http.MethodGet, "identities", nil).body["items"].([]any)[0].(map[string]any)["id"].(string)
	e.wants(b.send(http.MethodDelete, "identities/"+id, map[string]any{"password": good}), 409, "")
	// But it says that it is he himself.
	e.move(11 * time.Minute)
	e.wants(b.send(http.MethodPost, "password", map[string]any{"old": "wrong", "new": "another horse, another battery"}), 422, "/old secret")
	e.wants(b.send(http.MethodPost, "password", map[string]any{"old": good, "new": "another horse, another battery"}), 204, "")
}

// A token of another issuer is no second factor: who must have one does not come past it.
func TestForeignWithoutFactor(t *testing.T) {
	t.Parallel()
	e, token := trusting(t, "mfa: {required: [member]}, ")
	b := e.browser()
	if end := b.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	ask := func(text string) error {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		_, err := e.gate.Caller(r)
		return err
	}
	if err := ask(token("anna")); !fault.Is(err, fault.Denied) {
		t.Error("a user whose role needs one:", err)
	}
	if err := ask(token("robot", "staff")); err != nil {
		t.Error("nobody in particular:", err)
	}
}

// What an account goes through is in the log: what, who, from where, by what; and no secret.
func TestSecurityLog(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	e.user(0, oidctest.Claims{"sub": "a"})
	const email = "anna@example.com"
	first := e.person(email)
	id := e.as(first, http.MethodGet, "me", nil).body["user"].(map[string]any)["id"].(string)
	e.wants(e.post("login", map[string]any{"email": email, "password": "not the password"}), 401, "")
	e.linkAs(e.browser(), first, "one", "")
	e.mail("identity-added", email)
	token, secret, codes := e.app(first, email)
	e.move(30 * time.Second)
	e.wants(e.second(e.ticket(e.first(email), "totp", "recovery"), "recovery", codes[0]), 200, "")
	e.wants(e.as(token, http.MethodDelete, "mfa/totp", nil), 204, "")
	e.wants(e.as(token, http.MethodDelete, "sessions", nil), 204, "")
	e.wants(e.post("reset", map[string]any{"email": email}), 202, "")
	var reset string
	for reset == "" {
		if l := <-e.mails; l.Template == "reset" {
			reset = l.Token
		}
	}
	e.wants(e.post("reset/confirm", map[string]any{"token": reset, "password": "another horse, another battery"}), 204, "")
	e.disable(t, "true")
	text := e.log.text()
	for _, want := range []string{
		"event=disabled user=" + id, "event=registered user=" + id, "event=signed-in user=" + id, "event=refused user=" + id, "event=identity-linked user=" + id, "event=factor-added user=" + id,
		"by=password", "by=recovery", "event=factor-removed user=" + id, "event=sessions-ended user=" + id, "event=password-set user=" + id, "from=127.0.0.1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not logged", want)
		}
	}
	for _, no := range []string{email, good, first, token, secret, codes[0], reset, "not the password"} {
		if strings.Contains(text, no) {
			t.Errorf("%s is logged", no)
		}
	}
	if t.Failed() {
		t.Log(fmt.Sprint(text))
	}
}

// A user has so many passkeys, also when sessions of his add some at the same time: one more would be seen by nobody.
func TestPasskeysAreBounded(t *testing.T) {
	t.Parallel()
	s := behind(t)
	const email = "ann@example.com"
	first := authenticator.New(t, "app.example.com")
	token := s.addPasskey(s.person(email), email, first, "x")
	for range 17 {
		token = s.addPasskey(token, email, authenticator.New(t, "app.example.com"), "x")
	}
	s.move(time.Minute)
	tokens, bodies := make([]string, 6), make([]map[string]any, 6)
	for i := range tokens {
		tokens[i] = s.signInWith(first, nil).str("token")
		begun := s.as(tokens[i], http.MethodPost, "passkeys", nil)
		s.wants(begun, 200, "")
		bodies[i] = map[string]any{"ceremony": begun.str("ceremony"), "credential": authenticator.New(t, "app.example.com").Create(options(begun))}
	}
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			if a := s.as(tokens[i], http.MethodPost, "passkeys/confirm", bodies[i]); a.status != 200 && a.status != 409 {
				t.Error(a.status, a.text)
			}
		})
	}
	wg.Wait()
	records, _, err := s.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "_passkeys", Limit: 500})
	if err != nil || len(records) != 20 {
		t.Error(len(records), err)
	}
}
