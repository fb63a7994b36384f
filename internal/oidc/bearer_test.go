package oidc

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/bluell/plinth/internal/oidc/oidctest"
	"github.com/bluell/plinth/spec"
)

const audience = "https://api.example.com"

func bearer(i *oidctest.Issuer, t spec.Trust) *Bearer {
	t.Issuer, t.Audience = i.URL, audience
	if t.Type == "" {
		t.Type = "at+jwt"
	}
	return NewBearer(&spec.App{Roles: []string{"member", "staff", "admin"}, Auth: spec.Auth{Trust: []spec.Trust{t}}}, Options{Clock: i.Clock})
}

// access is a token as RFC 9068 wants it, changed.
func access(i *oidctest.Issuer, change func(claims, header oidctest.Claims)) (oidctest.Claims, oidctest.Claims) {
	now := i.Clock()
	c := oidctest.Claims{"iss": i.URL, "aud": audience, "sub": "robot", "client_id": "robot", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": "1"}
	h := oidctest.Claims{"typ": "at+jwt", "kid": "rsa"}
	if change != nil {
		change(c, h)
	}
	return c, h
}

// An access token is taken by its issuer, audience, time, type and signature, and nothing else is.
func TestOWASP47Bearer(t *testing.T) {
	t.Parallel()
	i, clock := start(t)
	b := bearer(i, spec.Trust{})
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(change func(c, h oidctest.Claims)) string {
		c, h := access(i, change)
		return oidctest.Signed(c, i.RSA, "RS256", h)
	}
	good := sign(nil)
	for name, text := range map[string]string{
		"plain": good, "the type in full": sign(func(_, h oidctest.Claims) { h["typ"] = "application/AT+JWT" }),
		"many audiences": sign(func(c, _ oidctest.Claims) { c["aud"] = []string{"x", audience} }),
	} {
		if got, err := b.Check(t.Context(), text); err != nil || got.Subject != "robot" || got.Issuer != i.URL || got.Role != "" {
			t.Error(name, got, err)
		}
	}
	parts := strings.Split(good, ".")
	der, err := x509.MarshalPKIXPublicKey(i.RSA.Public())
	if err != nil {
		t.Fatal(err)
	}
	c, h := access(i, nil)
	for name, text := range map[string]string{
		"ID token":            sign(func(_, h oidctest.Claims) { h["typ"] = "JWT" }),
		"no type":             sign(func(_, h oidctest.Claims) { delete(h, "typ") }),
		"another type":        sign(func(_, h oidctest.Claims) { h["typ"] = "logout+jwt" }),
		"another issuer":      sign(func(c, _ oidctest.Claims) { c["iss"] = "https://evil.example.com" }),
		"no issuer":           sign(func(c, _ oidctest.Claims) { delete(c, "iss") }),
		"another audience":    sign(func(c, _ oidctest.Claims) { c["aud"] = "https://other.example.com" }),
		"no audience":         sign(func(c, _ oidctest.Claims) { delete(c, "aud") }),
		"expired":             sign(func(c, _ oidctest.Claims) { c["exp"] = clock.now.Add(-2 * time.Minute).Unix() }),
		"no end":              sign(func(c, _ oidctest.Claims) { delete(c, "exp") }),
		"not yet":             sign(func(c, _ oidctest.Claims) { c["nbf"] = clock.now.Add(time.Hour).Unix() }),
		"no subject":          sign(func(c, _ oidctest.Claims) { delete(c, "sub") }),
		"a subject of a list": sign(func(c, _ oidctest.Claims) { c["sub"] = []string{"robot"} }),
		"too long":            sign(func(c, _ oidctest.Claims) { c["x"] = strings.Repeat("x", maxToken) }),
		"none":                oidctest.Signed(c, nil, "none", h),
		"HS256":               oidctest.Signed(c, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "HS256", nil),
		"another key":         oidctest.Signed(c, other, "RS256", h),
		"a key of its own":    oidctest.Signed(c, other, "RS256", oidctest.Claims{"typ": "at+jwt", "jwk": jose.JSONWebKey{Key: other.Public(), Algorithm: "RS256"}}),
		"cut":                 good[:len(good)-8], "longer": good + "AAAA", "no signature": parts[0] + "." + parts[1] + ".", "two parts": parts[0] + "." + parts[1], "": "", "junk": "eyJ.eyJ.eyJ",
		"other claims": parts[0] + "." + strings.Split(sign(func(c, _ oidctest.Claims) { c["sub"] = "admin" }), ".")[1] + "." + parts[2],
	} {
		if got, err := b.Check(t.Context(), text); code(err) != Refused {
			t.Error(name, got, err)
		}
	}
	if n := i.Count("/keys"); n != 1 {
		t.Errorf("tokens that nobody has signed had the keys fetched %d times", n)
	}
	if n := i.Count("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the metadata were fetched %d times", n)
	}
	// Where the app file says that the type does not tell, an ID token is still none.
	b = bearer(i, spec.Trust{Type: "jwt"})
	for _, typ := range []any{"JWT", "at+jwt", nil} {
		text := sign(func(_, h oidctest.Claims) {
			if h["typ"] = typ; typ == nil {
				delete(h, "typ")
			}
		})
		if _, err := b.Check(t.Context(), text); err != nil {
			t.Error(typ, err)
		}
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash"} {
		if got, err := b.Check(t.Context(), sign(func(c, h oidctest.Claims) { h["typ"], c[name] = "JWT", "x" })); code(err) != Refused {
			t.Error(name, got, err)
		}
	}
	i.Set(func() {
		i.Instead["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	})
	if got, err := bearer(i, spec.Trust{}).Check(t.Context(), good); code(err) != Unavailable {
		t.Error(got, err)
	}
}

func TestBearerRole(t *testing.T) {
	t.Parallel()
	i, _ := start(t)
	for _, c := range []struct {
		trust spec.Trust
		claim any
		want  string
	}{
		{spec.Trust{}, "admin", ""}, {spec.Trust{Role: "member"}, "admin", "member"}, {spec.Trust{RoleClaim: "roles"}, "staff", "staff"}, {spec.Trust{RoleClaim: "roles"}, []string{"staff", "admin", "x"}, "admin"},
		{spec.Trust{RoleClaim: "roles", Role: "member"}, []string{"x"}, "member"}, {spec.Trust{RoleClaim: "roles"}, nil, ""}, {spec.Trust{RoleClaim: "roles"}, "operator", ""},
		{spec.Trust{RoleClaim: "roles"}, "", ""}, {spec.Trust{RoleClaim: "roles"}, map[string]any{"admin": true}, ""},
	} {
		claims, header := access(i, func(claims, _ oidctest.Claims) { claims["roles"] = c.claim })
		if got, err := bearer(i, c.trust).Check(t.Context(), oidctest.Signed(claims, i.RSA, "RS256", header)); err != nil || got.Role != c.want {
			t.Errorf("%+v %v: %+v %v", c.trust, c.claim, got, err)
		}
	}
}
