package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/bluell/plinth/spec"
)

// skew is how far the clocks of others may differ.
const skew = time.Minute

// claims is what a provider says of somebody, in an ID token or at UserInfo.
type claims map[string]json.RawMessage

func (c claims) text(name string) string {
	var s string
	_ = json.Unmarshal(c[name], &s) // of another type it is not what is meant
	return s
}

// truth is true, or "true" or 1, as some write it (Apple: https://developer.apple.com/documentation/signinwithapple/authenticating-users-with-sign-in-with-apple).
func (c claims) truth(name string) bool {
	switch text := strings.Trim(string(c[name]), `"`); text {
	case "true", "1":
		return true
	}
	return false
}

// id is a text, or a number as it is written.
func (c claims) id(name string) string {
	if s := c.text(name); s != "" {
		return s
	}
	if n, err := strconv.ParseUint(string(c[name]), 10, 64); err == nil && n > 0 {
		return strconv.FormatUint(n, 10)
	}
	return ""
}

// told are the claims that are handed on: called says what the provider calls them, nil that it calls them what OpenID Connect does.
func (c claims) told(called map[string]string) map[string]string {
	out := map[string]string{}
	for _, name := range spec.ToldClaims {
		from := name
		if called != nil {
			from = called[name]
		}
		if s := c.text(from); s != "" {
			out[name] = s
		}
	}
	return out
}

// identify says whose an ID token is.
func (p *Provider) identify(ctx context.Context, m *metadata, f Flow, token *oauth2.Token) (*Identity, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, refuse("there is no ID token: the scope openid is missing, or it is no provider of OpenID Connect")
	}
	verifier := oidc.NewVerifier(m.issuer, m.keys, &oidc.Config{ClientID: p.conf.ClientID, SupportedSigningAlgs: m.algs,
		SkipIssuerCheck: strings.Contains(m.issuer, tenantID), Now: func() time.Time { return p.clock().Add(-skew) }})
	if _, err := m.keys.keys.get(ctx, false); err != nil { // the verifier would not say that they are what is missing
		return nil, failed(err)
	}
	t, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	var c claims
	if err := t.Claims(&c); err != nil {
		return nil, err
	}
	if err := p.checkToken(m, f, t, c, algorithmOf(raw), token.AccessToken); err != nil {
		return nil, err
	}
	who := &Identity{Issuer: m.issuer, Subject: t.Subject}
	if strings.Contains(m.issuer, tenantID) {
		who.Issuer = t.Issuer
	}
	of := c // who tells the address tells whether it is verified
	if c.text("email") == "" && m.userInfo != "" {
		var more claims
		if err := getJSON(ctx, p.client, m.userInfo, token.AccessToken, &more); err != nil {
			return nil, err
		}
		if more.text("sub") != t.Subject { // OpenID Connect Core, 5.3.2
			return nil, refuse("UserInfo is of somebody else than the ID token")
		}
		for name, value := range more {
			if c[name] == nil {
				c[name] = value
			}
		}
		of = more
	}
	who.Email, who.Claims = of.text("email"), c.told(nil)
	if who.Verified = of.truth("email_verified"); p.kind.verified != nil {
		who.Verified = p.kind.verified(of)
	}
	return who, nil
}

// algorithmOf is how a token that was verified is signed.
func algorithmOf(raw string) string {
	jws, err := jose.ParseSigned(raw, algorithms(asymmetric))
	if err != nil {
		return ""
	}
	return jws.Signatures[0].Header.Algorithm
}

// checkToken is what OpenID Connect Core 3.1.3.7 says beside the signature, the audience and the end.
func (p *Provider) checkToken(m *metadata, f Flow, t *oidc.IDToken, c claims, algorithm, access string) error {
	issuer, err := m.issuerOf(c.text("tid"))
	if err != nil {
		return &Error{Refused, err}
	}
	now := p.clock()
	_, party := c["azp"]
	switch {
	case t.Issuer != issuer && strings.Contains(m.issuer, tenantID):
		return refuse("the ID token is of another issuer, %q", clip(t.Issuer, 200))
	case p.kind.work && c.text("tid") == consumers && p.conf.Tenant == "organizations":
		return refuse("it is a personal account, and only those of organizations are let in")
	case party && c.text("azp") != p.conf.ClientID:
		return refuse("the ID token was made for another client")
	case len(t.Audience) > 1 && !party:
		return refuse("the ID token is for many, and does not say for whom it was made")
	case t.Expiry.IsZero() || t.IssuedAt.IsZero():
		return refuse("the ID token does not say when it was made, or when it ends")
	case t.IssuedAt.After(now.Add(skew)):
		return refuse("the ID token is of the future")
	case f.Nonce == "" || subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(f.Nonce)) != 1:
		return refuse("the ID token was made for another sign-in: its nonce is not the one that was sent")
	}
	if t.AccessTokenHash != "" && algorithm != string(jose.EdDSA) { // for which no hash is said
		if err := t.VerifyAccessToken(access); err != nil {
			return refuse("the access token is not the one of the ID token: %v", err)
		}
	}
	return nil
}

// address says whether a text is an address of mail, and no more than one.
func address(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && len(s) <= 254
}
