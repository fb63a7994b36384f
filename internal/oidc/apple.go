package oidc

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// appleSecret is the client secret of Sign in with Apple: a token that says who asks, signed by his key. Apple takes it for up
// to six months; this one is made for one request
// (https://developer.apple.com/documentation/accountorganizationaldatasharing/creating-a-client-secret).
func (p *Provider) appleSecret() (string, error) {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.apple}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", p.conf.KeyID))
	if err != nil {
		return "", err
	}
	now := p.clock()
	return jwt.Signed(s).Claims(jwt.Claims{Issuer: p.conf.Team, Subject: p.conf.ClientID, Audience: jwt.Audience{p.kind.discovery},
		IssuedAt: jwt.NewNumericDate(now.Add(-skew)), Expiry: jwt.NewNumericDate(now.Add(5 * time.Minute))}).Serialize()
}

// appleName reads the name, which comes beside the first answer of all and through the browser: whoever comes may have
// written it himself, as he may any name.
func appleName(who *Identity, user string) {
	var said struct {
		Name struct {
			First string `json:"firstName"`
			Last  string `json:"lastName"`
		} `json:"name"`
	}
	if len(user) > 4<<10 || json.Unmarshal([]byte(user), &said) != nil {
		return
	}
	first, last := strings.TrimSpace(said.Name.First), strings.TrimSpace(said.Name.Last)
	for name, value := range map[string]string{"given_name": first, "family_name": last, "name": strings.TrimSpace(first + " " + last)} {
		if value != "" && who.Claims[name] == "" {
			who.Claims[name] = value
		}
	}
}
