package oidc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"

	"golang.org/x/oauth2"
)

// kind is a provider that is known, or what is done with one that is not.
type kind struct {
	label  string
	scopes []string
	extra  map[string]string // parameters of the request
	bare   bool              // without PKCE
	form   bool              // the answer is a form

	// With OpenID Connect.
	discovery string            // the issuer, or where those of tenants begin; "" where the app file names it
	work      bool              // it has tenants
	verified  func(claims) bool // whether the address is; nil: email_verified

	// Without.
	issuer   string // by which its subjects are kept apart from others'
	endpoint oauth2.Endpoint
	who      func(ctx context.Context, p *Provider, access string) (*Identity, error)
}

var openID = []string{"openid", "profile", "email"}

// kinds are the providers that need no more than a client id and a secret. Beside each stands where its facts are from.
var kinds = map[string]*kind{
	// Any provider of OpenID Connect.
	"oidc": {label: "Single sign-on", scopes: openID},

	// https://developers.google.com/identity/openid-connect/openid-connect
	"google": {label: "Google", scopes: openID, discovery: "https://accounts.google.com"},

	// https://developer.apple.com/documentation/signinwithapple/configuring-your-webpage-for-sign-in-with-apple: scopes need
	// response_mode=form_post, and the name comes with the first answer only. It documents the nonce and no PKCE.
	"apple": {label: "Apple", scopes: []string{"openid", "name", "email"}, discovery: "https://appleid.apple.com", form: true, bare: true},

	// https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc. An address is somebody's where the owner of
	// its domain is known (xms_edov: https://learn.microsoft.com/en-us/entra/identity-platform/optional-claims-reference), or
	// where it is a personal account
	// (https://learn.microsoft.com/en-us/entra/identity-platform/migrate-off-email-claim-authorization).
	"microsoft": {label: "Microsoft", scopes: openID, discovery: "https://login.microsoftonline.com/", work: true,
		verified: func(c claims) bool { return c.truth("xms_edov") || c.text("tid") == consumers }},

	// https://docs.gitlab.com/integration/openid_connect_provider/
	"gitlab": {label: "GitLab", scopes: openID, discovery: "https://gitlab.com"},

	// https://docs.slack.dev/authentication/sign-in-with-slack: it sends the nonce back. PKCE is for public clients there, and a
	// setting that makes the app one (https://docs.slack.dev/authentication/using-pkce).
	"slack": {label: "Slack", scopes: openID, discovery: "https://slack.com", bare: true},

	// https://dev.twitch.tv/docs/authentication/getting-tokens-oidc/: the address is a claim that is asked for. It documents the
	// nonce and no PKCE.
	"twitch": {label: "Twitch", scopes: []string{"openid", "user:read:email"}, discovery: "https://id.twitch.tv/oauth2", bare: true,
		extra: map[string]string{"claims": `{"id_token":{"email":null,"email_verified":null,"preferred_username":null,"picture":null}}`}},

	// https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps,
	// https://docs.github.com/en/rest/users/users#get-the-authenticated-user,
	// https://docs.github.com/en/rest/users/emails#list-email-addresses-for-the-authenticated-user
	"github": {label: "GitHub", scopes: []string{"read:user", "user:email"}, issuer: "https://github.com",
		endpoint: oauth2.Endpoint{AuthURL: "https://github.com/login/oauth/authorize", TokenURL: "https://github.com/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams},
		who:      github("https://api.github.com")},

	// https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow,
	// https://developers.facebook.com/docs/graph-api/reference/user/: nothing says that the address was verified. The proof of
	// the secret: https://developers.facebook.com/docs/facebook-login/security#proof.
	"facebook": {label: "Facebook", scopes: []string{"public_profile", "email"}, issuer: "https://www.facebook.com",
		endpoint: oauth2.Endpoint{AuthURL: "https://www.facebook.com/dialog/oauth", TokenURL: "https://graph.facebook.com/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams},
		who:      facebook("https://graph.facebook.com")},

	// https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code, https://docs.x.com/x-api/users/get-my-user:
	// confirmed_email is there for apps that may ask for it, with the scope users.email.
	"x": {label: "X", scopes: []string{"users.read", "tweet.read", "users.email"}, issuer: "https://x.com",
		endpoint: oauth2.Endpoint{AuthURL: "https://x.com/i/oauth2/authorize", TokenURL: "https://api.x.com/2/oauth2/token", AuthStyle: oauth2.AuthStyleInHeader},
		who:      x("https://api.x.com")},

	// https://learn.microsoft.com/en-us/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2. Its ID token has no
	// nonce, and PKCE is for native apps alone and refused together with a secret
	// (https://learn.microsoft.com/en-us/linkedin/shared/authentication/authorization-code-flow-native): so it is asked at UserInfo.
	"linkedin": {label: "LinkedIn", scopes: openID, issuer: "https://www.linkedin.com/oauth", bare: true,
		endpoint: oauth2.Endpoint{AuthURL: "https://www.linkedin.com/oauth/v2/authorization", TokenURL: "https://www.linkedin.com/oauth/v2/accessToken", AuthStyle: oauth2.AuthStyleInParams},
		who:      linkedin("https://api.linkedin.com")},

	// https://docs.discord.com/developers/topics/oauth2, https://docs.discord.com/developers/resources/user#user-object: verified
	// is of the address.
	"discord": {label: "Discord", scopes: []string{"identify", "email"}, issuer: "https://discord.com",
		endpoint: oauth2.Endpoint{AuthURL: "https://discord.com/oauth2/authorize", TokenURL: "https://discord.com/api/oauth2/token", AuthStyle: oauth2.AuthStyleInHeader},
		who:      discord("https://discord.com/api")},

	// https://developer.spotify.com/documentation/web-api/tutorials/code-pkce-flow,
	// https://developer.spotify.com/documentation/web-api/reference/get-current-users-profile: the address is not verified.
	"spotify": {label: "Spotify", scopes: []string{"user-read-email"}, issuer: "https://accounts.spotify.com",
		endpoint: oauth2.Endpoint{AuthURL: "https://accounts.spotify.com/authorize", TokenURL: "https://accounts.spotify.com/api/token", AuthStyle: oauth2.AuthStyleInHeader},
		who:      spotify("https://api.spotify.com")},
}

type asks = func(ctx context.Context, p *Provider, access string) (*Identity, error)

// asked is who a provider says has an access token.
func asked(address, id string, called map[string]string) func(ctx context.Context, p *Provider, access string) (claims, *Identity, error) {
	return func(ctx context.Context, p *Provider, access string) (claims, *Identity, error) {
		var c claims
		if err := getJSON(ctx, p.client, address, access, &c); err != nil {
			return nil, nil, err
		}
		return c, &Identity{Issuer: p.kind.issuer, Subject: c.id(id), Email: c.text("email"), Claims: c.told(called)}, nil
	}
}

func github(base string) asks {
	user := asked(base+"/user", "id", map[string]string{"name": "name", "preferred_username": "login", "picture": "avatar_url", "website": "blog"})
	return func(ctx context.Context, p *Provider, access string) (*Identity, error) {
		_, who, err := user(ctx, p, access)
		if err != nil {
			return nil, err
		}
		who.Email = "" // the public one, of which nothing is said
		var list []struct {
			Email             string
			Primary, Verified bool
		}
		if err := getJSON(ctx, p.client, base+"/user/emails", access, &list); err != nil {
			return nil, err
		}
		for _, e := range list {
			if e.Primary {
				who.Email, who.Verified = e.Email, e.Verified
			}
		}
		return who, nil
	}
}

func facebook(base string) asks {
	return func(ctx context.Context, p *Provider, access string) (*Identity, error) {
		m := hmac.New(sha256.New, []byte(p.conf.ClientSecret))
		m.Write([]byte(access))
		query := url.Values{"fields": {"id,name,first_name,last_name,email"}, "appsecret_proof": {hex.EncodeToString(m.Sum(nil))}}
		_, who, err := asked(base+"/me?"+query.Encode(), "id", map[string]string{"name": "name", "given_name": "first_name", "family_name": "last_name"})(ctx, p, access)
		return who, err
	}
}

func x(base string) asks {
	return func(ctx context.Context, p *Provider, access string) (*Identity, error) {
		var answer struct{ Data claims }
		if err := getJSON(ctx, p.client, base+"/2/users/me?user.fields=confirmed_email,profile_image_url", access, &answer); err != nil {
			return nil, err
		}
		c := answer.Data
		email := c.text("confirmed_email")
		return &Identity{Issuer: p.kind.issuer, Subject: c.id("id"), Email: email, Verified: email != "",
			Claims: c.told(map[string]string{"name": "name", "preferred_username": "username", "picture": "profile_image_url"})}, nil
	}
}

func linkedin(base string) asks {
	user := asked(base+"/v2/userinfo", "sub", nil)
	return func(ctx context.Context, p *Provider, access string) (*Identity, error) {
		c, who, err := user(ctx, p, access)
		if err == nil {
			who.Verified = c.truth("email_verified")
		}
		return who, err
	}
}

func discord(base string) asks {
	user := asked(base+"/users/@me", "id", map[string]string{"name": "global_name", "preferred_username": "username", "locale": "locale"})
	return func(ctx context.Context, p *Provider, access string) (*Identity, error) {
		c, who, err := user(ctx, p, access)
		if err == nil {
			who.Verified = c.truth("verified")
		}
		return who, err
	}
}

func spotify(base string) asks {
	user := asked(base+"/v1/me", "id", map[string]string{"name": "display_name"})
	return func(ctx context.Context, p *Provider, access string) (*Identity, error) {
		_, who, err := user(ctx, p, access)
		return who, err
	}
}
