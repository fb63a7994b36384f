// Package oidctest is an issuer of OpenID Connect for tests, which signs in whoever comes and can be told to lie. What it is
// asked it checks strictly: the client, the redirect, PKCE and that a code is used once.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The client that an issuer knows.
const (
	ClientID     = "plinth"
	ClientSecret = "the secret of the client"
)

// Claims of a token, or of UserInfo.
type Claims map[string]any

// Issuer is an issuer. What is exported is changed within Set.
type Issuer struct {
	URL   string
	RSA   *rsa.PrivateKey
	EC    *ecdsa.PrivateKey
	Clock func() time.Time

	User     Claims                      // who signs in; sub, email, email_verified and name go to UserInfo, all but the address to the token
	Token    func(Claims)                // changes what the ID token says
	Sign     func(Claims) string         // instead of Signed
	Metadata func(map[string]any)        // changes the metadata
	Answer   func(url.Values)            // changes what the browser brings back
	Info     func(Claims)                // changes what UserInfo says
	Instead  map[string]http.HandlerFunc // by path
	Keys     []jose.JSONWebKey           // what is published
	Asked    map[string]int              // how often, by path
	Bare     bool                        // PKCE is not asked for
	Secret   func(string) bool           // whether it is the client's; nil: ClientSecret

	mu    sync.Mutex
	codes map[string]url.Values
	known map[string]Claims // by access token
}

// Start starts an issuer, which ends with the test.
func Start(t testing.TB, clock func() time.Time) *Issuer {
	t.Helper()
	i := &Issuer{Clock: clock, User: Claims{"sub": "anna", "email": "anna@example.com", "email_verified": true, "name": "Anna"},
		Instead: map[string]http.HandlerFunc{}, Asked: map[string]int{}, codes: map[string]url.Values{}, known: map[string]Claims{}}
	var err error
	if i.RSA, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.EC, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	i.Keys = []jose.JSONWebKey{{Key: i.RSA.Public(), KeyID: "rsa", Algorithm: "RS256", Use: "sig"}, {Key: i.EC.Public(), KeyID: "ec", Algorithm: "ES256", Use: "sig"}}
	mux := http.NewServeMux()
	for path, h := range map[string]http.HandlerFunc{"/.well-known/openid-configuration": i.metadata, "/{tenant}/v2.0/.well-known/openid-configuration": i.metadata, "/authorize": i.authorize, "/token": i.token, "/userinfo": i.userInfo, "/keys": i.keys} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			i.mu.Lock()
			i.Asked[path]++
			instead := i.Instead[path]
			i.mu.Unlock()
			if instead != nil {
				instead(w, r)
				return
			}
			i.mu.Lock()
			defer i.mu.Unlock()
			h(w, r)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// Set changes the issuer while nobody is answered.
func (i *Issuer) Set(do func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	do()
}

// Count is how often a path was asked for.
func (i *Issuer) Count(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.Asked[path]
}

func (i *Issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "userinfo_endpoint": i.URL + "/userinfo",
		"jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true}
	if i.Metadata != nil {
		i.Metadata(m)
	}
	reply(w, http.StatusOK, m)
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != ClientID || q.Get("state") == "" || q.Get("redirect_uri") == "" {
		http.Error(w, "not a request of the client's: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.codes[code] = q
	answer := url.Values{"code": {code}, "state": q["state"], "iss": {i.URL}}
	if i.Answer != nil {
		i.Answer(answer)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusSeeOther)
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if r.PostFormValue("client_id") != "" {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	code := r.PostFormValue("code")
	q := i.codes[code]
	delete(i.codes, code)
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	secretly := i.Secret
	if secretly == nil {
		secretly = func(s string) bool { return s == url.QueryEscape(ClientSecret) || s == ClientSecret }
	}
	switch {
	case id != ClientID || !secretly(secret):
		reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	case q == nil || q.Get("redirect_uri") != r.PostFormValue("redirect_uri"), !i.Bare && (q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:])):
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
	default:
		now := i.Clock()
		c := Claims{"iss": i.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": q.Get("nonce")}
		for name, value := range i.User {
			if name != "email" && name != "email_verified" {
				c[name] = value
			}
		}
		access := rand.Text()
		sum := sha256.Sum256([]byte(access))
		c["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
		i.known[access] = i.User
		if i.Token != nil {
			i.Token(c)
		}
		sign := i.Sign
		if sign == nil {
			sign = func(c Claims) string { return Signed(c, i.RSA, "RS256", Claims{"kid": "rsa"}) }
		}
		reply(w, http.StatusOK, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": sign(c)})
	}
}

func (i *Issuer) userInfo(w http.ResponseWriter, r *http.Request) {
	c := Claims{}
	for name, value := range i.known[r.Header.Get("Authorization")[len("Bearer "):]] {
		c[name] = value
	}
	if i.Info != nil {
		i.Info(c)
	}
	reply(w, http.StatusOK, c)
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, jose.JSONWebKeySet{Keys: i.Keys})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who has gone is nobody's error
}

// Signed is a token with these claims and this header, signed with a key: an RSA or EC key, or the bytes of a shared one. The
// algorithm none signs with nothing.
func Signed(c Claims, key any, algorithm string, header Claims) string {
	head := Claims{"alg": algorithm}
	for name, value := range header {
		head[name] = value
	}
	text := part(head) + "." + part(c)
	if algorithm == "none" {
		return text + "."
	}
	if shared, ok := key.([]byte); ok {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: shared}, nil)
		return compact(s, err, c)
	}
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	switch k := key.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, s, failed := ecdsa.Sign(rand.Reader, k, sum[:])
		if err = failed; err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	}
	if err != nil {
		panic(err) // the keys are right
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func part(c Claims) string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // claims are of JSON's types
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func compact(s jose.Signer, err error, c Claims) string {
	b, wrong := json.Marshal(c)
	if err == nil {
		err = wrong
	}
	var jws *jose.JSONWebSignature
	if err == nil {
		jws, err = s.Sign(b)
	}
	var text string
	if err == nil {
		text, err = jws.CompactSerialize()
	}
	if err != nil {
		panic(err)
	}
	return text
}
