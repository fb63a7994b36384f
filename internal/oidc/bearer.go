package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/bluell/plinth/internal/outgoing"
	"github.com/bluell/plinth/spec"
)

// Bearer checks access tokens that others have issued (RFC 9068, 4). It is safe for concurrent use.
type Bearer struct {
	clock   func() time.Time
	issuers map[string]*trusted
	roles   []string // of the app, the least one first
}

type trusted struct {
	spec.Trust
	keys *kept[*keySet]
}

// Token is an access token that was found to be good. Role is what it says of who is no user: "" when nothing does.
type Token struct {
	Issuer, Subject, Role string
	Expires               time.Time
}

// NewBearer is for the issuers that an app trusts. Nothing is asked of them yet.
func NewBearer(app *spec.App, o Options) *Bearer {
	b := &Bearer{clock: o.Clock, issuers: map[string]*trusted{}, roles: app.Roles}
	if b.clock == nil {
		b.clock = time.Now
	}
	for _, t := range app.Auth.Trust {
		client := outgoing.New(outgoing.Options{Private: []string{t.Issuer}})
		b.issuers[t.Issuer] = &trusted{t, keep(b.clock, func(ctx context.Context) (*keySet, error) { return trustedKeys(ctx, client, b.clock, t.Issuer) })}
	}
	return b
}

func trustedKeys(ctx context.Context, client *http.Client, clock func() time.Time, issuer string) (*keySet, error) {
	said, err := publishedBy(ctx, client, &kind{}, issuer)
	if err != nil {
		return nil, err
	}
	return said.keySet(client, clock, asymmetric), nil
}

// maxToken is how long a token may be, in bytes.
const maxToken = 8 << 10

// Check says whose a token is. That it is not good is an Error of the code Refused; Unavailable says that its issuer is away.
func (b *Bearer) Check(ctx context.Context, text string) (*Token, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxToken || len(parts) != 3 {
		return nil, refuse("it is no token")
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, refuse("it is no token")
	}
	var says claims
	if json.Unmarshal(body, &says) != nil {
		return nil, refuse("it is no token")
	}
	t := b.issuers[says.text("iss")]
	if t == nil {
		return nil, refuse("the token is of an issuer that is not trusted")
	}
	// The type is looked at first: it costs nothing.
	jws, err := jose.ParseSigned(text, algorithms(asymmetric))
	if err != nil || len(jws.Signatures) != 1 {
		return nil, refuse("the token is signed in no way that is taken: %v", err)
	}
	typ, _ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	if !t.takes(typ, says) {
		return nil, refuse("the token is no access token: its typ is %q", clip(typ, 40))
	}
	keys, err := t.keys.get(ctx, false)
	if err == nil {
		_, err = keys.keys.get(ctx, false)
	}
	if err != nil {
		return nil, failed(err)
	}
	good, err := oidc.NewVerifier(t.Issuer, keys, &oidc.Config{ClientID: t.Audience, SupportedSigningAlgs: asymmetric, Now: func() time.Time { return b.clock().Add(-skew) }}).Verify(ctx, text)
	if err != nil {
		return nil, failed(err)
	}
	who := Identity{Issuer: t.Issuer, Subject: good.Subject}
	if err := who.check(); err != nil {
		return nil, err
	}
	return &Token{Issuer: t.Issuer, Subject: good.Subject, Role: b.role(t, says), Expires: good.Expiry.Add(skew)}, nil
}

// takes says whether a token of this type is an access token. Where the type does not tell, an ID token is known by what stands
// in those alone.
func (t *trusted) takes(typ string, says claims) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if t.Type == "at+jwt" {
		return typ == "at+jwt"
	}
	return (typ == "" || typ == "jwt" || typ == "at+jwt") && says["nonce"] == nil && says["at_hash"] == nil && says["c_hash"] == nil
}

// role is what a token says of who is no user: the greatest role that its claim names, else the one of the app file.
func (b *Bearer) role(t *trusted, says claims) string {
	if t.RoleClaim == "" {
		return t.Role
	}
	named := []string{says.text(t.RoleClaim)}
	var list []string
	if json.Unmarshal(says[t.RoleClaim], &list) == nil {
		named = list
	}
	for _, role := range slices.Backward(b.roles) {
		if slices.Contains(named, role) {
			return role
		}
	}
	return t.Role
}
