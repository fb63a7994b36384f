package spec

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Provider is somebody else with whom people can sign in. ClientSecret and Key are never printed.
type Provider struct {
	Name, Kind, Label      string // Kind is one of ProviderKinds; Label "" is the kind's own
	Issuer                 string // of kind oidc, and of a gitlab elsewhere; else ""
	ClientID, ClientSecret string
	Scopes                 []string // instead of the kind's own; nil: those
	Tenant                 string   // microsoft
	Team, KeyID, Key       string   // apple; Key is PEM
}

// Told is a field of a new user that takes what a provider says of him.
type Told struct{ Field, Claim string }

// Trust is an issuer whose access tokens are taken for credentials.
type Trust struct {
	Issuer, Audience string
	Type             string // at+jwt or jwt
	Role, RoleClaim  string // of who is no user here
}

// ProviderKinds are the providers that need no more than credentials, and oidc.
var ProviderKinds = []string{"oidc", "google", "apple", "microsoft", "github", "gitlab", "facebook", "x", "linkedin", "discord", "twitch", "slack", "spotify"}

// ToldClaims are what providers may say of somebody (OpenID Connect Core, 5.1), whatever they call it, an address apart.
var ToldClaims = []string{"name", "given_name", "family_name", "nickname", "preferred_username", "picture", "website", "locale", "zoneinfo"}

func (l *loader) providers(s section) {
	n := s.values["providers"]
	if n == nil {
		return
	}
	for i, k := range n.keys {
		if l.name(k, "a provider", "token") {
			l.provider(k, l.section(n.items[i], providerShape))
		}
	}
}

func (l *loader) provider(k *node, s section) {
	p := Provider{
		Name: k.text, Kind: s.text("kind"), Label: s.text("label"), Issuer: s.text("issuer"), ClientID: s.text("clientId"), ClientSecret: s.text("clientSecret"),
		Tenant: s.text("tenant"), Team: s.text("team"), KeyID: s.text("keyId"), Key: s.text("key"),
	}
	for _, scope := range s.values["scopes"].list() {
		if scope.text == "" || strings.ContainsAny(scope.text, " \t\"\\") {
			l.report(scope, "value", "a scope is one word, not %s", scope.show())
		}
		p.Scopes = append(p.Scopes, scope.text)
	}
	if p.Kind == "" && k.text != "oidc" && slices.Contains(ProviderKinds, k.text) {
		p.Kind = k.text
	}
	if p.Kind == "" && s.get("kind") == nil {
		l.report(k, "required", "kind is missing: %s is not a provider that Plinth knows; write kind: oidc and its issuer", k.show())
	}
	l.issuer(k, s, p.Kind)
	for _, key := range []struct{ name, kind string }{{"tenant", "microsoft"}, {"team", "apple"}, {"keyId", "apple"}, {"key", "apple"}} {
		n := s.values[key.name]
		switch {
		case n != nil && p.Kind != "" && p.Kind != key.kind:
			l.report(n, "option", "%s is for %s", key.name, key.kind)
		case n != nil && n.text == "":
			l.report(n, "value", "%s is empty", key.name)
		case n == nil && s.get(key.name) == nil && p.Kind == "apple" && key.kind == "apple":
			l.report(k, "required", "%s is missing: Apple takes no clientSecret, but a signature with a key of the team", key.name)
		}
	}
	if n := s.values["tenant"]; n != nil && n.text != "" && !tenant(n.text) {
		l.report(n, "value", "tenant is common, organizations, consumers, or the id or domain of one tenant, not %s", n.show())
	}
	if p.Kind == "microsoft" && p.Tenant == "" {
		p.Tenant = "common"
	}
	if n := s.values["key"]; n != nil && n.text != "" {
		if _, err := SigningKey(n.text); err != nil {
			l.report(n, "value", "key is not the text of a .p8 file: %s", err)
		}
	}
	secret := s.values["clientSecret"]
	switch {
	case p.Kind == "apple" && secret != nil:
		l.report(secret, "option", "clientSecret is not for apple: it is made of team, keyId and key")
	case p.Kind != "apple" && p.Kind != "" && s.get("clientSecret") == nil:
		l.report(s.node, "required", "clientSecret is missing in a provider")
	}
	for _, name := range []string{"clientId", "clientSecret"} {
		if n := s.values[name]; n != nil && n.text == "" {
			l.report(n, "value", "%s is empty", name)
		}
	}
	l.app.Auth.Providers = append(l.app.Auth.Providers, p)
}

// issuer checks the issuer of a provider of a kind.
func (l *loader) issuer(k *node, s section, kind string) {
	n := s.values["issuer"]
	switch {
	case kind == "oidc" && s.get("issuer") == nil:
		l.report(k, "required", "issuer is missing: the provider's https address")
	case n == nil:
	case kind != "oidc" && kind != "gitlab" && kind != "":
		l.report(n, "option", "issuer is for kind: oidc; that of %s is known", kind)
	case !webAddress(n.text, true):
		l.report(n, "value", "issuer is an https address, not %s", n.show())
	case len(n.text) > 255:
		l.report(n, "value", "issuer has more than 255 characters")
	}
}

// tenant says whether s may name a tenant of Microsoft's: it becomes a step of a path.
func tenant(s string) bool {
	return len(s) <= 253 && url.PathEscape(s) == s && !strings.ContainsAny(s, ":@$&+=!'()*,;~") && strings.Trim(s, ".") == s
}

// SigningKey reads a key of Apple's: PKCS #8 in PEM, of the curve P-256. Where a line cannot be broken, as in some files of
// environments, \n may stand for the end of one.
func SigningKey(text string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(strings.ReplaceAll(text, `\n`, "\n")))
	if block == nil {
		return nil, errors.New("there is no PEM block in it, as -----BEGIN PRIVATE KEY-----")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("what is in it is no key of PKCS #8")
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("the key is not of the curve P-256")
	}
	return private, nil
}

// profile reads which fields of a new user take what a provider says of him. The fields are known already.
func (l *loader) profile(c *Collection) {
	n := l.auth.values["profile"]
	if n == nil {
		return
	}
	for i, k := range n.keys {
		claim := n.items[i]
		f, ok := c.byName[k.text]
		switch {
		case !ok:
			l.suggest(k, c.names(), "unknown", "%s has no field %s", c.Name, k.show())
		case f.Type != Text && f.Type != URL || f.Set != nil || slices.Contains(exposable, k.text):
			l.report(k, "option", "%s cannot take what a provider says: it is a text or url that can be written", k.show())
		case !slices.Contains(ToldClaims, claim.text):
			l.suggest(claim, ToldClaims, "value", "%s is not one of %s", claim.show(), strings.Join(ToldClaims, " "))
		default:
			l.app.Auth.Profile = append(l.app.Auth.Profile, Told{k.text, claim.text})
		}
	}
}

// trust reads whose access tokens are taken.
func (l *loader) trust(s section) {
	n := s.values["trust"]
	if n == nil {
		return
	}
	for _, item := range n.items {
		s := l.section(item, trustShape)
		t := Trust{Issuer: s.text("issuer"), Audience: s.text("audience"), Type: s.text("type"), Role: s.text("role"), RoleClaim: s.text("roleClaim")}
		if t.Type == "" {
			t.Type = "at+jwt"
		}
		if n := s.values["issuer"]; n != nil {
			switch {
			case !webAddress(t.Issuer, true) || len(t.Issuer) > 255:
				l.report(n, "value", "issuer is an https address, not %s", n.show())
			case slices.ContainsFunc(l.app.Auth.Trust, func(o Trust) bool { return o.Issuer == t.Issuer }):
				l.report(n, "duplicate", "the issuer %s stands twice", n.show())
			}
		}
		if n := s.values["audience"]; n != nil {
			client := slices.ContainsFunc(l.app.Auth.Providers, func(p Provider) bool { return p.Issuer == t.Issuer && p.ClientID == t.Audience })
			switch {
			case t.Audience == "":
				l.report(n, "value", "audience is empty")
			case client && t.Type == "jwt":
				l.report(n, "option", "the ID tokens of a provider have this audience: with type: jwt they would be taken for access tokens; give the app an audience of its own")
			}
		}
		if n := s.values["role"]; n != nil && !slices.Contains(l.app.Roles, t.Role) {
			l.suggest(n, l.app.Roles, "unknown", "the role %s does not exist", n.show())
		}
		if n := s.values["roleClaim"]; n != nil && t.RoleClaim == "" {
			l.report(n, "value", "roleClaim is empty")
		}
		l.app.Auth.Trust = append(l.app.Auth.Trust, t)
	}
}
