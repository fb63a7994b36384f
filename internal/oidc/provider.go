package oidc

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/outgoing"
	"github.com/bluell/plinth/spec"
)

// Flow is what a sign-in that was begun must keep for its end, at the browser that began it and nowhere else.
type Flow struct {
	State    string // of the request, to be found in the answer (RFC 6749, 10.12)
	Nonce    string // to be found in the ID token (OpenID Connect Core, 3.1.2.1)
	Verifier string // of PKCE (RFC 7636, 4.1)
	Redirect string // where the answer is sent: one address for each provider (RFC 9700, 4.4.2.2)
}

// Identity is somebody as a provider knows him. Issuer and Subject together name him for ever, and nothing else does: an
// address is a thing that he has at the moment (OpenID Connect Core, 5.7).
type Identity struct {
	Issuer   string
	Subject  string            // at most 255 ASCII characters
	Email    string            // as told; "" when nothing was
	Verified bool              // the provider says that the address is his
	Claims   map[string]string // as told, by the names of spec.ToldClaims; at most 500 characters each
}

// What an Error can be about.
const (
	Cancelled   = "access_denied" // the person, or the provider, has said no
	Refused     = "provider"      // the answer is not to be believed, or the provider refuses this app
	Unavailable = "unavailable"   // the provider is away, or too slow
)

// Error is why nobody has come back from a provider. What it says is for the log: it may have others' text in it.
type Error struct {
	Code string
	Err  error
}

func (e *Error) Error() string { return e.Code + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

func refuse(format string, args ...any) error {
	return &Error{Code: Refused, Err: fmt.Errorf(format, args...)}
}

// Options of New. Zero values are the defaults.
type Options struct {
	Clock func() time.Time // default time.Now

	private []string // addresses of this machine that a test uses
}

// Provider is one provider of an app. It is safe for concurrent use.
type Provider struct {
	kind   *kind
	conf   spec.Provider
	client *http.Client
	clock  func() time.Time
	meta   *kept[*metadata]  // of OpenID Connect; else nil
	apple  *ecdsa.PrivateKey // signs the client secret; else nil
}

// New makes a provider of the app file ready. Nothing is asked of it yet.
func New(p spec.Provider, o Options) (*Provider, error) {
	k := kinds[p.Kind]
	if k == nil {
		return nil, fault.New(fault.Internal, "the provider %s is of a kind that is not known, %q", p.Name, p.Kind)
	}
	return newProvider(k, p, o)
}

func newProvider(k *kind, conf spec.Provider, o Options) (*Provider, error) {
	p := &Provider{kind: k, conf: conf, clock: o.Clock}
	if p.clock == nil {
		p.clock = time.Now
	}
	issuer := conf.Issuer
	if issuer == "" && k.discovery != "" {
		issuer = k.discovery
		if k.work {
			issuer += conf.Tenant + "/v2.0"
		}
	}
	private := o.private
	if conf.Issuer != "" {
		private = append(private, conf.Issuer) // the operator has named it himself
	}
	p.client = outgoing.New(outgoing.Options{Private: private})
	if k.who == nil {
		p.meta = keep(p.clock, func(ctx context.Context) (*metadata, error) { return discover(ctx, p.client, p.clock, k, issuer) })
	}
	if conf.Key != "" {
		var err error
		if p.apple, err = spec.SigningKey(conf.Key); err != nil {
			return nil, fault.New(fault.Invalid, "the key of the provider %s: %s", conf.Name, err)
		}
	}
	return p, nil
}

// Posts says whether the answer comes as a form (OAuth 2.0 Form Post Response Mode) that another site's page sends.
func (p *Provider) Posts() bool { return p.kind.form }

// Label is the provider's name for people.
func (p *Provider) Label() string {
	if p.conf.Label != "" {
		return p.conf.Label
	}
	return p.kind.label
}

// about is what the provider says of itself, or what is known of one that says nothing.
func (p *Provider) about(ctx context.Context) (*metadata, error) {
	if p.meta == nil {
		return &metadata{issuer: p.kind.issuer, endpoint: p.kind.endpoint, pkce: true}, nil
	}
	m, err := p.meta.get(ctx, false)
	if err != nil {
		return nil, failed(err)
	}
	return m, nil
}

// Reach asks the provider what it says of itself, and says where. "": it is one of those that say nothing, and nobody was asked.
func (p *Provider) Reach(ctx context.Context) (string, error) {
	if p.meta == nil {
		return "", nil
	}
	m, err := p.about(ctx)
	if err != nil {
		return "", err
	}
	return m.issuer, nil
}

func (p *Provider) config(m *metadata, redirect string) (*oauth2.Config, error) {
	c := &oauth2.Config{ClientID: p.conf.ClientID, ClientSecret: p.conf.ClientSecret, Endpoint: m.endpoint, RedirectURL: redirect, Scopes: p.kind.scopes}
	if p.conf.Scopes != nil {
		c.Scopes = p.conf.Scopes
	}
	if p.apple != nil {
		var err error
		if c.ClientSecret, err = p.appleSecret(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Begin is where a browser is sent that is to come back with an answer.
func (p *Provider) Begin(ctx context.Context, f Flow) (string, error) {
	m, err := p.about(ctx)
	if err != nil {
		return "", err
	}
	c, err := p.config(m, f.Redirect)
	if err != nil {
		return "", err
	}
	var options []oauth2.AuthCodeOption
	if p.meta != nil {
		options = append(options, oauth2.SetAuthURLParam("nonce", f.Nonce))
	}
	if p.proves(m) {
		options = append(options, oauth2.S256ChallengeOption(f.Verifier))
	}
	if p.kind.form {
		options = append(options, oauth2.SetAuthURLParam("response_mode", "form_post"))
	}
	for name, value := range p.kind.extra {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return c.AuthCodeURL(f.State, options...), nil
}

// proves says whether PKCE is used.
func (p *Provider) proves(m *metadata) bool { return m.pkce && !p.kind.bare }

// Finish reads the answer that a browser has brought back, whose state is that of the flow, and says who it is.
func (p *Provider) Finish(ctx context.Context, f Flow, answer url.Values) (*Identity, error) {
	m, err := p.about(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.fromIssuer(m, answer.Get("iss")); err != nil {
		return nil, err
	}
	if code := answer.Get("error"); code != "" {
		err := fmt.Errorf("the provider answered %q", clip(code, 100))
		switch code { // RFC 6749, 4.1.2.1; user_cancelled_…: LinkedIn; user_denied: Facebook's error_reason comes with access_denied
		case "access_denied", "user_cancelled_login", "user_cancelled_authorize", "user_cancelled_authorization":
			return nil, &Error{Cancelled, err}
		case "temporarily_unavailable", "server_error":
			return nil, &Error{Unavailable, err}
		}
		return nil, &Error{Refused, err}
	}
	code := answer.Get("code")
	if code == "" {
		return nil, refuse("the answer has no code")
	}
	c, err := p.config(m, f.Redirect)
	if err != nil {
		return nil, err
	}
	var options []oauth2.AuthCodeOption
	if p.proves(m) {
		options = append(options, oauth2.VerifierOption(f.Verifier))
	}
	token, err := c.Exchange(context.WithValue(ctx, oauth2.HTTPClient, p.client), code, options...)
	if err != nil {
		return nil, failed(err)
	}
	if !strings.EqualFold(token.Type(), "Bearer") {
		return nil, refuse("the access token is of the type %q", clip(token.TokenType, 40))
	}
	var who *Identity
	if p.kind.who != nil {
		who, err = p.kind.who(ctx, p, token.AccessToken)
	} else {
		who, err = p.identify(ctx, m, f, token)
	}
	if err != nil {
		return nil, failed(err)
	}
	if p.kind.form {
		appleName(who, answer.Get("user"))
	}
	if who.Issuer == "" {
		who.Issuer = m.issuer
	}
	return who, who.check()
}

// fromIssuer looks at the iss of an answer (RFC 9207, 2.4). A provider of which no issuer is published is at least at home
// where it says.
func (p *Provider) fromIssuer(m *metadata, iss string) error {
	switch {
	case iss == "" && m.always:
		return refuse("the answer has no iss, which this provider always sends")
	case iss == "" || iss == m.issuer:
		return nil
	case p.meta != nil && strings.Contains(m.issuer, tenantID):
		before, after, _ := strings.Cut(m.issuer, tenantID)
		tenant, ok := strings.CutPrefix(iss, before)
		if tenant, fits := strings.CutSuffix(tenant, after); ok && fits && guid().MatchString(tenant) {
			return nil
		}
	case p.meta == nil && (sameHost(iss, m.issuer) || sameHost(iss, m.endpoint.AuthURL)):
		return nil
	}
	return refuse("the answer is of another issuer, %q", clip(iss, 200))
}

func sameHost(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && u.Scheme == v.Scheme && u.Host == v.Host && u.User == nil && v.User == nil
}

// failed gives an error its code: what did not arrive in time is not the provider's word.
func failed(err error) error {
	var e *Error
	var refused *oauth2.RetrieveError
	var status *statusError
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return err
	case errors.As(err, &refused):
		err = fmt.Errorf("the token endpoint answered %d %s", refused.Response.StatusCode, clip(refused.ErrorCode, 100))
		if s := refused.Response.StatusCode; s >= 500 || s == http.StatusTooManyRequests {
			return &Error{Unavailable, err}
		}
		return &Error{Refused, err}
	case errors.As(err, &status) && status.status < 500 && status.status != http.StatusTooManyRequests, errors.Is(err, outgoing.ErrTooLarge):
		return &Error{Refused, brief(err)}
	case errors.As(err, &status), errors.As(err, &network), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Unavailable, brief(err)}
	}
	return &Error{Refused, brief(err)}
}

// check bounds what a provider has told.
func (i *Identity) check() error {
	if i.Subject == "" || len(i.Subject) > 255 || strings.ContainsFunc(i.Subject, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return refuse("the provider names nobody: the subject is empty, too long or not ASCII")
	}
	if len(i.Issuer) > 255 {
		return refuse("the issuer has more than 255 characters")
	}
	if !address(i.Email) {
		i.Email, i.Verified = "", false
	}
	for name, value := range i.Claims {
		if value = clip(value, 500); value == "" {
			delete(i.Claims, name)
		} else {
			i.Claims[name] = value
		}
	}
	return nil
}

// clip cuts a text to so many characters, and replaces what is no UTF-8 or no character that can be shown.
func clip(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		if most--; most < 0 {
			break
		}
		if r < ' ' || r == 0x7f {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}
