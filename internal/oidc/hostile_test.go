package oidc

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/bluell/plinth/internal/oidc/oidctest"
	"github.com/bluell/plinth/spec"
)

const redirect = "https://app.example.com/api/auth/oauth/company/callback"

// at is a clock that a test moves.
type at struct{ now time.Time }

func (a *at) time() time.Time { return a.now }

func client(t *testing.T, i *oidctest.Issuer, change ...func(*spec.Provider)) *Provider {
	t.Helper()
	conf := spec.Provider{Name: "company", Kind: "oidc", Issuer: i.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret}
	for _, c := range change {
		c(&conf)
	}
	p, err := New(conf, Options{Clock: i.Clock})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func flow() Flow {
	return Flow{State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(), Redirect: redirect}
}

// visit is a browser that goes where it is sent, and what it brings back.
func visit(t *testing.T, p *Provider, f Flow) (url.Values, error) {
	t.Helper()
	address, err := p.Begin(t.Context(), f)
	if err != nil {
		return nil, err
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	to, err := res.Location()
	if err != nil {
		t.Fatal(res.Status, err)
	}
	if got := to.Query().Get("state"); got != f.State {
		t.Fatalf("the state came back as %q", got)
	}
	return to.Query(), nil
}

func signIn(t *testing.T, p *Provider) (*Identity, error) {
	t.Helper()
	f := flow()
	answer, err := visit(t, p, f)
	if err != nil {
		return nil, err
	}
	return p.Finish(t.Context(), f, answer)
}

func code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// start is an issuer whose clock, and the client's, stands still.
func start(t *testing.T) (*oidctest.Issuer, *at) {
	a := &at{time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	return oidctest.Start(t, a.time), a
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	i, _ := start(t)
	p := client(t, i)
	who, err := signIn(t, p)
	if err != nil {
		t.Fatal(err)
	}
	if who.Issuer != i.URL || who.Subject != "anna" || who.Email != "anna@example.com" || !who.Verified || who.Claims["name"] != "Anna" {
		t.Fatalf("%+v", who)
	}
	i.Set(func() {
		i.Sign = func(c oidctest.Claims) string { return oidctest.Signed(c, i.EC, "ES256", oidctest.Claims{"kid": "ec"}) }
	})
	if _, err := signIn(t, p); err != nil {
		t.Error("ES256:", err)
	}
	i.Set(func() { i.User = oidctest.Claims{"sub": "bob", "email": "bob@example.com"} })
	if who, err := signIn(t, p); err != nil || who.Subject != "bob" || who.Verified {
		t.Error("an address of which nothing is said is not verified:", who, err)
	}
	i.Set(func() {
		i.User = oidctest.Claims{"sub": "bob", "email": "bob@example.com, anna@example.com", "email_verified": true}
	})
	if who, err := signIn(t, p); err != nil || who.Email != "" || who.Verified {
		t.Error("what is no address is none:", who, err)
	}
}

// Of each lie nothing comes but an error with a code. The issuer is asked once for its metadata, whatever it says.
func TestOIDC29Hostile(t *testing.T) {
	t.Parallel()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) func(*oidctest.Issuer) {
		return func(i *oidctest.Issuer) {
			i.Token = func(c oidctest.Claims) {
				if c[name] = value; value == nil {
					delete(c, name)
				}
			}
		}
	}
	answer := func(name, value string) func(*oidctest.Issuer) {
		return func(i *oidctest.Issuer) {
			i.Answer = func(v url.Values) {
				if v.Set(name, value); value == "" {
					v.Del(name)
				}
			}
		}
	}
	sign := func(do func(i *oidctest.Issuer, c oidctest.Claims) string) func(*oidctest.Issuer) {
		return func(i *oidctest.Issuer) { i.Sign = func(c oidctest.Claims) string { return do(i, c) } }
	}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		lie  func(*oidctest.Issuer)
		says string // part of what is logged
	}{
		"iss of another":               {claim("iss", "https://evil.example.com"), "issued by a different provider"},
		"iss with a slash":             {func(i *oidctest.Issuer) { i.Token = func(c oidctest.Claims) { c["iss"] = i.URL + "/" } }, "issued by a different provider"},
		"no iss":                       {claim("iss", nil), "issued by a different provider"},
		"aud of another":               {claim("aud", "another"), "expected audience"},
		"no aud":                       {claim("aud", nil), "expected audience"},
		"many aud, no azp":             {claim("aud", []string{oidctest.ClientID, "another"}), "for many"},
		"azp of another":               {claim("azp", "another"), "for another client"},
		"azp that is no text":          {claim("azp", []string{oidctest.ClientID}), "for another client"},
		"expired":                      {claim("exp", now.Add(-2*time.Minute).Unix()), "expired"},
		"no exp":                       {claim("exp", nil), "expired"},
		"no iat":                       {claim("iat", nil), "does not say when"},
		"iat of the future":            {claim("iat", now.Add(time.Hour).Unix()), "of the future"},
		"nbf of the future":            {claim("nbf", now.Add(time.Hour).Unix()), "nbf"},
		"nonce of another":             {claim("nonce", "of another"), "nonce"},
		"no nonce":                     {claim("nonce", nil), "nonce"},
		"no sub":                       {claim("sub", nil), "somebody else"},
		"long sub":                     {func(i *oidctest.Issuer) { i.User["sub"] = strings.Repeat("x", 256) }, "names nobody"},
		"sub with a blank":             {func(i *oidctest.Issuer) { i.User["sub"] = "anna\n" }, "names nobody"},
		"access token of another":      {claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), "access token"},
		"UserInfo of another":          {func(i *oidctest.Issuer) { i.Info = func(c oidctest.Claims) { c["sub"] = "bob" } }, "somebody else"},
		"UserInfo of nobody":           {func(i *oidctest.Issuer) { i.Info = func(c oidctest.Claims) { delete(c, "sub") } }, "somebody else"},
		"answer of another":            {answer("iss", "https://evil.example.com"), "another issuer"},
		"answer without iss":           {answer("iss", ""), "no iss"},
		"answer without code":          {answer("code", ""), "no code"},
		"a code that nobody has given": {answer("code", "x"), "invalid_grant"},
		"an error with others' text":   {answer("error", "<script>\r\nSet-Cookie: x"), "the provider answered"},
		"alg none":                     {sign(func(i *oidctest.Issuer, c oidctest.Claims) string { return oidctest.Signed(c, nil, "none", nil) }), "malformed"},
		"HS256 with the public key": {sign(func(i *oidctest.Issuer, c oidctest.Claims) string {
			der, err := x509.MarshalPKIXPublicKey(i.RSA.Public())
			if err != nil {
				t.Error(err)
			}
			return oidctest.Signed(c, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "HS256", nil)
		}), "malformed"},
		"HS256 with the secret": {sign(func(i *oidctest.Issuer, c oidctest.Claims) string {
			return oidctest.Signed(c, []byte(oidctest.ClientSecret+"which is long enough"), "HS256", nil)
		}), "malformed"},
		"another key": {sign(func(i *oidctest.Issuer, c oidctest.Claims) string {
			return oidctest.Signed(c, other, "RS256", oidctest.Claims{"kid": "rsa"})
		}), "no key"},
		"another key without a name": {sign(func(i *oidctest.Issuer, c oidctest.Claims) string { return oidctest.Signed(c, other, "RS256", nil) }), "no key"},
		"a key in the header": {sign(func(i *oidctest.Issuer, c oidctest.Claims) string {
			jwk := jose.JSONWebKey{Key: other.Public(), KeyID: "own", Algorithm: "RS256"}
			return oidctest.Signed(c, other, "RS256", oidctest.Claims{"kid": "own", "jwk": jwk})
		}), "no key"},
		"an algorithm that its key is not for": {func(i *oidctest.Issuer) {
			i.Keys[0].Algorithm = "PS256"
			i.Metadata = func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256", "PS256"} }
		}, "no key"},
		"a key for encryption":     {func(i *oidctest.Issuer) { i.Keys[0].Use = "enc" }, "no key"},
		"no ID token":              {sign(func(*oidctest.Issuer, oidctest.Claims) string { return "" }), "no ID token"},
		"an ID token that is none": {sign(func(*oidctest.Issuer, oidctest.Claims) string { return "a.b.c" }), "malformed"},
		"discovery of another issuer": {func(i *oidctest.Issuer) {
			i.Metadata = func(m map[string]any) { m["issuer"] = "https://evil.example.com" }
		}, "another issuer"},
		"discovery without https": {func(i *oidctest.Issuer) {
			i.Metadata = func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)//x" }
		}, "no https address"},
		"discovery without an endpoint": {func(i *oidctest.Issuer) { i.Metadata = func(m map[string]any) { delete(m, "token_endpoint") } }, "no https address"},
		"no way to show the secret": {func(i *oidctest.Issuer) {
			i.Metadata = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"} }
		}, "client_secret_basic"},
		"an access token of another sort": {func(i *oidctest.Issuer) {
			i.Instead["/token"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"access_token":"a","token_type":"DPoP"}`))
			}
		}, "DPoP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, _ := start(t)
			i.Set(func() { c.lie(i) })
			who, err := signIn(t, client(t, i))
			if who != nil && err == nil || code(err) != Refused || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%+v %v", who, err)
			}
			if len(err.Error()) > 600 {
				t.Errorf("%d bytes would be logged", len(err.Error()))
			}
		})
	}
}

// A key that the token itself points to is not fetched.
func TestOWASP46KeyByAddress(t *testing.T) {
	t.Parallel()
	fetched := make(chan string, 10)
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fetched <- r.URL.Path }))
	t.Cleanup(evil.Close)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i, _ := start(t)
	p := client(t, i)
	for _, header := range []string{"jku", "x5u"} {
		i.Set(func() {
			i.Sign = func(c oidctest.Claims) string {
				return oidctest.Signed(c, other, "RS256", oidctest.Claims{"kid": "own", header: evil.URL + "/" + header})
			}
		})
		if who, err := signIn(t, p); code(err) != Refused {
			t.Error(header, who, err)
		}
	}
	select {
	case path := <-fetched:
		t.Error("fetched", path)
	default:
	}
}

// A code, and an answer, are good for the flow that they were asked for.
func TestOAuth08Bound(t *testing.T) {
	t.Parallel()
	i, _ := start(t)
	p := client(t, i)
	f := flow()
	answer, err := visit(t, p, f)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Flow){
		"verifier": func(f *Flow) { f.Verifier = rand.Text() + rand.Text() },
		"redirect": func(f *Flow) { f.Redirect += "x" },
	} {
		g := f
		if change(&g); g == f {
			t.Fatal("nothing was changed")
		}
		again, err := visit(t, p, f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Finish(t.Context(), g, again); code(err) != Refused || !strings.Contains(err.Error(), "invalid_grant") {
			t.Error(name, err)
		}
	}
	g := f
	g.Nonce = rand.Text()
	if _, err := p.Finish(t.Context(), g, answer); code(err) != Refused || !strings.Contains(err.Error(), "nonce") {
		t.Error(err)
	}
	if _, err := p.Finish(t.Context(), f, answer); code(err) != Refused {
		t.Error("a code was good twice:", err)
	}
}

// iss in the answer: what the metadata promise must be there, and what is there must be right, in an error too (RFC 9207).
func TestOAuth19Iss(t *testing.T) {
	t.Parallel()
	i, _ := start(t)
	i.Set(func() {
		i.Metadata = func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") }
	})
	p := client(t, i)
	finish := func(answer url.Values) error {
		f := flow()
		back, err := visit(t, p, f)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range answer {
			if back[name] = values; values == nil {
				back.Del(name)
			}
		}
		_, err = p.Finish(t.Context(), f, back)
		return err
	}
	if err := finish(url.Values{"iss": nil}); err != nil {
		t.Error("a provider that never sends iss:", err)
	}
	asked := i.Count("/token")
	for _, answer := range []url.Values{{"iss": {i.URL + "/"}}, {"iss": {"https://evil.example.com"}}, {"iss": {"https://evil.example.com"}, "error": {"access_denied"}}} {
		if err := finish(answer); code(err) != Refused || !strings.Contains(err.Error(), "another issuer") {
			t.Error(answer, err)
		}
	}
	if i.Count("/token") != asked {
		t.Error("the code was sent although the answer is of another issuer")
	}
	if err := finish(url.Values{"error": {"access_denied"}}); code(err) != Cancelled {
		t.Error(err)
	}
}

// Answers of a provider end, lead nowhere else, and lead to no private address that the app file does not name.
func TestOWASP17Answers(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 10)
	private := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	t.Cleanup(private.Close)
	elsewhere := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, private.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}
	giant := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for range 64 {
			if _, err := w.Write([]byte(`{"x":"` + strings.Repeat("x", 64<<10))); err != nil {
				return
			}
		}
	}
	broken := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[{`)) }
	away := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	for _, path := range []string{"/.well-known/openid-configuration", "/token", "/keys", "/userinfo"} {
		for name, c := range map[string]struct {
			answer http.HandlerFunc
			code   string
		}{"redirect": {elsewhere, Refused}, "giant": {giant, Refused}, "broken": {broken, Refused}, "away": {away, Unavailable}} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				i, _ := start(t)
				i.Set(func() { i.Instead[path] = c.answer })
				if who, err := signIn(t, client(t, i)); code(err) != c.code {
					t.Fatal(who, err)
				}
			})
		}
	}
	for _, endpoint := range []string{"token_endpoint", "jwks_uri", "userinfo_endpoint"} {
		i, _ := start(t)
		i.Set(func() { i.Metadata = func(m map[string]any) { m[endpoint] = private.URL + "/" + endpoint } })
		if _, err := signIn(t, client(t, i)); err == nil || !strings.Contains(err.Error(), "public internet") {
			t.Error(endpoint, err)
		}
	}
	t.Cleanup(func() {
		select {
		case path := <-reached:
			t.Error("the private server was asked for", path)
		default:
		}
	})
}

// A provider that does not answer is waited for so long, and then it is away.
func TestOWASP19Slow(t *testing.T) {
	t.Parallel()
	i, _ := start(t)
	stop := make(chan struct{})
	i.Set(func() {
		i.Instead["/token"] = func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}
	})
	t.Cleanup(func() { close(stop) })
	p := client(t, i)
	p.client.Timeout = 100 * time.Millisecond
	if _, err := signIn(t, p); code(err) != Unavailable {
		t.Fatal(err)
	}
}

// What a provider says of itself is fetched when it is needed, by one, and used when it cannot be fetched again.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	i, clock := start(t)
	const path = "/.well-known/openid-configuration"
	away := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	i.Set(func() { i.Instead[path] = away })
	p := client(t, i)
	if i.Count(path) != 0 {
		t.Error("it was asked before anybody signs in")
	}
	for range 5 {
		if _, err := signIn(t, p); code(err) != Unavailable {
			t.Fatal(err)
		}
	}
	if n := i.Count(path); n != 1 {
		t.Errorf("one that is away was asked %d times", n)
	}
	i.Set(func() { delete(i.Instead, path) })
	clock.now = clock.now.Add(retry)
	for range 5 {
		if _, err := signIn(t, p); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.Count(path); n != 2 {
		t.Errorf("asked %d times", n)
	}
	i.Set(func() { i.Instead[path] = away })
	clock.now = clock.now.Add(fresh)
	for range 5 {
		if _, err := signIn(t, p); err != nil {
			t.Fatal("what was fetched an hour ago is good while it is away:", err)
		}
	}
	if n := i.Count(path); n != 3 {
		t.Errorf("asked %d times", n)
	}
	clock.now = clock.now.Add(stale)
	if _, err := signIn(t, p); code(err) != Unavailable {
		t.Fatal(err)
	}
}

// A new key is fetched when it is first seen, and not for each token with a key that nobody has.
func TestKeys(t *testing.T) {
	t.Parallel()
	i, clock := start(t)
	p := client(t, i)
	if _, err := signIn(t, p); err != nil {
		t.Fatal(err)
	}
	next, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.Set(func() {
		i.Sign = func(c oidctest.Claims) string {
			return oidctest.Signed(c, next, "RS256", oidctest.Claims{"kid": "next"})
		}
	})
	clock.now = clock.now.Add(pause)
	for range 5 {
		if _, err := signIn(t, p); code(err) != Refused {
			t.Fatal(err)
		}
	}
	if n := i.Count("/keys"); n != 2 {
		t.Errorf("the keys were fetched %d times", n)
	}
	i.Set(func() {
		i.Keys = append(i.Keys, jose.JSONWebKey{Key: next.Public(), KeyID: "next", Algorithm: "RS256", Use: "sig"})
	})
	clock.now = clock.now.Add(pause)
	if _, err := signIn(t, p); err != nil {
		t.Fatal(err)
	}
	if n := i.Count("/keys"); n != 3 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// Many who come at the same time have everything fetched once.
func TestDiscoveryOnce(t *testing.T) {
	t.Parallel()
	i, _ := start(t)
	p := client(t, i)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := signIn(t, p); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if m, k := i.Count("/.well-known/openid-configuration"), i.Count("/keys"); m != 1 || k != 1 {
		t.Errorf("the metadata were fetched %d times, the keys %d times", m, k)
	}
	// Who does not want to wait any more does not wait, and takes nothing away from the others.
	asked := make(chan struct{}, 1)
	i.Set(func() {
		i.Instead["/.well-known/openid-configuration"] = func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		}
	})
	p = client(t, i)
	p.client.Timeout = 300 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error, 1)
	go func() {
		_, err := p.Begin(t.Context(), flow())
		waits <- err
	}()
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody has asked")
	}
	cancel()
	if _, err := p.Begin(ctx, flow()); code(err) != Unavailable {
		t.Error(err)
	}
	if err := <-waits; code(err) != Unavailable || !strings.Contains(err.Error(), "metadata") {
		t.Error(err)
	}
}
