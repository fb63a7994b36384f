package spec

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProviders(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := pemOf(t, key)
	app := mustLoad(t, fmt.Sprintf(`
auth:
  roles: [member, staff]
  providers:
    google: {clientId: a, clientSecret: b}
    work: {kind: microsoft, clientId: a, clientSecret: b, tenant: example.com, label: Work, scopes: [openid, email]}
    microsoft: {clientId: a, clientSecret: b}
    apple: {clientId: com.example.web, team: T, keyId: K, key: %s}
    gitlab: {clientId: a, clientSecret: b, issuer: "https://git.example.com"}
  profile: {name: name, site: website}
  trust:
    - {issuer: "https://id.example.com", audience: api}
    - {issuer: "https://ci.example.com", audience: api, type: jwt, role: staff, roleClaim: roles}
collections: {users: {fields: {name: {type: text}, site: {type: url}}}}
`, strconv.Quote(text)))
	if d := cmp.Diff([]Provider{
		{Name: "google", Kind: "google", ClientID: "a", ClientSecret: "b"},
		{Name: "work", Kind: "microsoft", ClientID: "a", ClientSecret: "b", Tenant: "example.com", Label: "Work", Scopes: []string{"openid", "email"}},
		{Name: "microsoft", Kind: "microsoft", ClientID: "a", ClientSecret: "b", Tenant: "common"},
		{Name: "apple", Kind: "apple", ClientID: "com.example.web", Team: "T", KeyID: "K", Key: text},
		{Name: "gitlab", Kind: "gitlab", ClientID: "a", ClientSecret: "b", Issuer: "https://git.example.com"},
	}, app.Auth.Providers); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Told{{"name", "name"}, {"site", "website"}}, app.Auth.Profile); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Trust{{Issuer: "https://id.example.com", Audience: "api", Type: "at+jwt"}, {Issuer: "https://ci.example.com", Audience: "api", Type: "jwt", Role: "staff", RoleClaim: "roles"}}, app.Auth.Trust); d != "" {
		t.Error(d)
	}
	for _, n := range app.Notes {
		if strings.Contains(n.Message, "auth.") {
			t.Error(n.Message)
		}
	}
}

func TestSigningKey(t *testing.T) {
	t.Parallel()
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{pemOf(t, good), strings.ReplaceAll(pemOf(t, good), "\n", `\n`)} {
		if key, err := SigningKey(text); err != nil || !key.Equal(good) {
			t.Error(err)
		}
	}
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "x", pemOf(t, curve), pemOf(t, other), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))} {
		if _, err := SigningKey(text); err == nil || strings.Contains(err.Error(), "MII") {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
