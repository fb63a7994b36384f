package auth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/oidc/oidctest"
	"github.com/bluell/plinth/test/authenticator"
)

// A provider's word is one step of two, where the account has a second factor: for a browser, and for who exchanges a code.
func TestSecondFactorAfterAProvider(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	const email = "anna@example.com"
	token := e.person(email)
	b := e.browser()
	if end := e.linkAs(b, token, "one", ""); end != "/" {
		t.Fatal(end)
	}
	e.mail("identity-added", email)
	token, secret, _ := e.app(token, email)
	e.move(30 * time.Second)

	if end := b.signIn("one", "?return=/in"); end != "/in?mfa=required" {
		t.Fatal(end)
	}
	if b.me() != nil {
		t.Fatal("the provider's word is enough")
	}
	ticket := e.ticket(b.send(http.MethodPost, "oauth/token", map[string]any{}), "totp", "recovery")
	in := b.send(http.MethodPost, "mfa", map[string]any{"ticket": ticket, "method": "totp", "code": e.code(secret, 0)})
	e.wants(in, 200, "")
	if me := b.me(); me["email"] != email {
		t.Error(me)
	}
	if has := b.send(http.MethodGet, "mfa", nil); has.body["session"] != true {
		t.Error(has.text)
	}

	// What could take the account from its owner needs a session with the factor: identities too.
	e.move(30 * time.Second)
	plain := e.ticket(e.first(email), "totp", "recovery")
	e.wants(e.second(plain, "totp", e.code(secret, 0)), 200, "")
	items := b.send(http.MethodGet, "identities", nil).body["items"].([]any)
	id := items[0].(map[string]any)["id"].(string)
	e.move(11 * time.Minute)
	e.wants(e.as(token, http.MethodDelete, "identities/"+id, nil), 422, "/password required")
	e.wants(e.as(token, http.MethodDelete, "identities/"+id, map[string]any{"password": good}), 204, "")
}

// A passkey is a way in, and the last one stays. Who has no address is told nothing by mail.
func TestLastWayIsAPasskey(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	e.user(0, oidctest.Claims{"sub": "a"})
	b := e.browser()
	if end := b.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	begun := b.send(http.MethodPost, "passkeys", nil)
	e.wants(begun, 200, "")
	domain := options(begun)["rp"].(map[string]any)["id"].(string)
	key := authenticator.New(t, domain)
	made := b.send(http.MethodPost, "passkeys/confirm", map[string]any{"ceremony": begun.str("ceremony"), "credential": key.Create(options(begun))})
	e.wants(made, 200, "")
	passkey := made.body["passkey"].(map[string]any)["id"].(string)
	items := b.send(http.MethodGet, "identities", nil).body["items"].([]any)
	e.wants(b.send(http.MethodDelete, "identities/"+items[0].(map[string]any)["id"].(string), nil), 204, "")
	a := b.send(http.MethodDelete, "passkeys/"+passkey, nil)
	if a.status != 409 || !strings.Contains(a.text, "last way to sign in") {
		t.Fatal(a.status, a.text)
	}
	e.wants(e.signInWith(key, nil), 200, "")
}
