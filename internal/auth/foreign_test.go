package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/oidc"
	"github.com/bluell/plinth/internal/oidc/oidctest"
	"github.com/bluell/plinth/spec"
)

type tokens struct{ bearer *oidc.Bearer }

func (t tokens) Check(ctx context.Context, text string) (*auth.Foreign, error) {
	token, err := t.bearer.Check(ctx, text)
	return (*auth.Foreign)(token), refusal(err)
}

// trusting opens such a site, whose app file has more in its auth section. token makes a token of the issuer that it trusts.
func trusting(t *testing.T, more string) (e *elsewhere, token func(sub string, roles ...string) string) {
	t.Helper()
	e = &elsewhere{log: &logs{}}
	i := oidctest.Start(t, func() time.Time { return e.now() })
	e.issuers = append(e.issuers, i)
	e.site = openWith(t, fmt.Sprintf(`
name: agency
auth: {%sroles: [member, staff], register: open, providers: {one: {kind: oidc, issuer: %q, clientId: plinth, clientSecret: "the secret of the client"}},
  trust: [{issuer: %q, audience: api, roleClaim: roles}]}
`, more, i.URL, i.URL), noon, func(s *site, app *spec.App, o *auth.Options) {
		e.site = s
		others(e)(s, app, o)
		o.Tokens = tokens{oidc.NewBearer(app, oidc.Options{Clock: s.now})}
	})
	return e, func(sub string, roles ...string) string {
		c := oidctest.Claims{"iss": i.URL, "aud": "api", "sub": sub, "exp": e.now().Add(time.Minute).Unix(), "roles": roles}
		return oidctest.Signed(c, i.RSA, "RS256", oidctest.Claims{"typ": "at+jwt", "kid": "rsa"})
	}
}

// A token of an issuer that the app trusts is the user who is linked to its subject, or a role.
func TestOWASP47Foreign(t *testing.T) {
	t.Parallel()
	e, token := trusting(t, "")
	i := e.issuers[0]
	b := e.browser()
	if end := b.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	ask := func(text string) (who, role string, err error) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		c, err := e.gate.Caller(r)
		return c.ID, c.Role, err
	}
	annas := token("anna", "staff")
	if who, role, err := ask(annas); err != nil || who != b.me()["id"] || role != "member" {
		t.Error("a user has his own role:", who, role, err)
	}
	robots := token("robot", "staff", "member")
	if who, role, err := ask(robots); err != nil || who != "" || role != "staff" {
		t.Error(who, role, err)
	}
	for name, text := range map[string]string{"no role": token("robot"), "an unknown role": token("robot", "operator"), "cut": robots[:len(robots)-4], "another's signature": robots[:strings.LastIndexByte(robots, '.')] + annas[strings.LastIndexByte(annas, '.'):]} {
		if who, role, err := ask(text); !fault.Is(err, fault.Unauthenticated) {
			t.Error(name, who, role, err)
		}
	}
	// It is no session.
	e.wants(e.as(annas, http.MethodGet, "me", nil), 403, "")
	e.wants(e.as(annas, http.MethodDelete, "sessions", nil), 403, "")
	e.wants(e.as(annas, http.MethodPost, "identities", map[string]any{"provider": "one"}), 403, "")
	// A user who is disabled is nobody, and a token ends.
	e.disable(t, "true")
	if who, role, err := ask(annas); !fault.Is(err, fault.Unauthenticated) {
		t.Error(who, role, err)
	}
	e.move(2 * time.Minute)
	if who, role, err := ask(robots); !fault.Is(err, fault.Unauthenticated) {
		t.Error(who, role, err)
	}
	if strings.Contains(e.log.text(), annas) || strings.Contains(e.log.text(), robots) {
		t.Error("a token is logged")
	}
	// An issuer that is away is no reason to say that the token is wrong.
	i.Set(func() {
		i.Instead["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	})
	e.move(25 * time.Hour)
	if who, role, err := ask(token("robot", "staff")); !fault.Is(err, fault.Unavailable) {
		t.Error(who, role, err)
	}
}
