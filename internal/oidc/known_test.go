package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/bluell/plinth/internal/oidc/oidctest"
	"github.com/bluell/plinth/spec"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	got, want := slices.Sorted(maps.Keys(kinds)), slices.Sorted(slices.Values(spec.ProviderKinds))
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, k := range kinds {
		if k.label == "" || k.scopes == nil || (k.who == nil) == (k.issuer != "") || k.who != nil && k.endpoint.AuthStyle == oauth2.AuthStyleAutoDetect {
			t.Errorf("%s: %+v", name, k)
		}
		for _, address := range []string{k.discovery, k.issuer, k.endpoint.AuthURL, k.endpoint.TokenURL} {
			if address != "" && !usable(address, "https://") {
				t.Errorf("%s: %s", name, address)
			}
		}
		p, err := New(spec.Provider{Name: name, Kind: name, ClientID: "c", ClientSecret: "s"}, Options{})
		if err != nil || p.Label() != k.label {
			t.Error(name, err)
		}
	}
}

// plain is a provider without OpenID Connect, as its documentation says that it answers: the real ones cannot be asked here.
func plain(t *testing.T, kindName string, answers map[string]string) (*Provider, func() (token *http.Request, form url.Values, asked []*http.Request)) {
	t.Helper()
	var asked []*http.Request
	var token *http.Request
	var form url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			_ = r.ParseForm()
			token, form = r, r.PostForm
			if form.Get("code") != "the code" {
				w.WriteHeader(http.StatusBadRequest)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"the token","token_type":"bearer","scope":"x"}`))
			return
		}
		asked = append(asked, r)
		answer, ok := answers[r.URL.Path]
		if !ok || r.Header.Get("Authorization") != "Bearer the token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	k := *kinds[kindName]
	k.endpoint.TokenURL = server.URL + "/token"
	k.who = map[string]func(string) asks{"github": github, "facebook": facebook, "x": x, "linkedin": linkedin, "discord": discord, "spotify": spotify}[kindName](server.URL)
	p, err := newProvider(&k, spec.Provider{Name: kindName, Kind: kindName, ClientID: "id", ClientSecret: "secret"}, Options{private: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	return p, func() (*http.Request, url.Values, []*http.Request) { return token, form, asked }
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    string
		answers map[string]string
		want    Identity
	}{
		"github": {"github", map[string]string{
			"/user":        `{"id":583231,"login":"octocat","name":"monalisa octocat","email":"public@github.com","avatar_url":"https://github.com/images/error/octocat_happy.gif"}`,
			"/user/emails": `[{"email":"other@github.com","verified":true,"primary":false},{"email":"octocat@github.com","verified":true,"primary":true,"visibility":"public"}]`,
		}, Identity{"https://github.com", "583231", "octocat@github.com", true, map[string]string{"name": "monalisa octocat", "preferred_username": "octocat", "picture": "https://github.com/images/error/octocat_happy.gif"}}},
		"github, not verified": {"github", map[string]string{
			"/user":        `{"id":1,"login":"octocat","name":null}`,
			"/user/emails": `[{"email":"octocat@github.com","verified":false,"primary":true},{"email":"other@github.com","verified":true,"primary":false}]`,
		}, Identity{"https://github.com", "1", "octocat@github.com", false, map[string]string{"preferred_username": "octocat"}}},
		"github, none": {"github", map[string]string{"/user": `{"id":9007199254740993,"login":"octocat"}`, "/user/emails": `[]`},
			Identity{"https://github.com", "9007199254740993", "", false, map[string]string{"preferred_username": "octocat"}}},
		"facebook": {"facebook", map[string]string{"/me": `{"id":"10001","name":"Anna Smith","first_name":"Anna","last_name":"Smith","email":"anna@example.com"}`},
			Identity{"https://www.facebook.com", "10001", "anna@example.com", false, map[string]string{"name": "Anna Smith", "given_name": "Anna", "family_name": "Smith"}}},
		"x": {"x", map[string]string{"/2/users/me": `{"data":{"id":"2244994945","name":"X Dev","username":"TwitterDev","confirmed_email":"dev@example.com","verified":true}}`},
			Identity{"https://x.com", "2244994945", "dev@example.com", true, map[string]string{"name": "X Dev", "preferred_username": "TwitterDev"}}},
		"x, without an address": {"x", map[string]string{"/2/users/me": `{"data":{"id":"2244994945","name":"X Dev","username":"TwitterDev","verified":true}}`},
			Identity{"https://x.com", "2244994945", "", false, map[string]string{"name": "X Dev", "preferred_username": "TwitterDev"}}},
		"linkedin": {"linkedin", map[string]string{"/v2/userinfo": `{"sub":"782bbtaQ","name":"John Doe","given_name":"John","family_name":"Doe","picture":"https://media.licdn-ei.com/x","locale":{"country":"US","language":"en"},"email":"doe@email.com","email_verified":true}`},
			Identity{"https://www.linkedin.com/oauth", "782bbtaQ", "doe@email.com", true, map[string]string{"name": "John Doe", "given_name": "John", "family_name": "Doe", "picture": "https://media.licdn-ei.com/x"}}},
		"discord": {"discord", map[string]string{"/users/@me": `{"id":"80351110224678912","username":"nelly","global_name":"Nelly","verified":true,"email":"nelly@discord.com","locale":"de"}`},
			Identity{"https://discord.com", "80351110224678912", "nelly@discord.com", true, map[string]string{"name": "Nelly", "preferred_username": "nelly", "locale": "de"}}},
		"discord, not verified": {"discord", map[string]string{"/users/@me": `{"id":"1","username":"nelly","global_name":null,"verified":false,"email":"nelly@discord.com"}`},
			Identity{"https://discord.com", "1", "nelly@discord.com", false, map[string]string{"preferred_username": "nelly"}}},
		"spotify": {"spotify", map[string]string{"/v1/me": `{"id":"smedjan","display_name":"JM Wizzler","email":"email@example.com"}`},
			Identity{"https://accounts.spotify.com", "smedjan", "email@example.com", false, map[string]string{"name": "JM Wizzler"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, seen := plain(t, c.kind, c.answers)
			f := flow()
			address, err := p.Begin(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			if q.Get("state") != f.State || q.Get("client_id") != "id" || q.Get("redirect_uri") != f.Redirect || q.Get("response_type") != "code" ||
				q.Get("scope") != strings.Join(kinds[c.kind].scopes, " ") || q.Has("nonce") || (q.Get("code_challenge_method") == "S256") == kinds[c.kind].bare {
				t.Error(address)
			}
			who, err := p.Finish(t.Context(), f, url.Values{"code": {"the code"}, "state": {f.State}})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&c.want, who); d != "" {
				t.Error(d)
			}
			token, form, asked := seen()
			if (form.Get("code_verifier") == f.Verifier) == kinds[c.kind].bare {
				t.Errorf("the verifier: %v", form)
			}
			id, secret, basic := token.BasicAuth()
			if !basic {
				id, secret = form.Get("client_id"), form.Get("client_secret")
			}
			if id != "id" || secret != "secret" || basic == form.Has("client_secret") {
				t.Errorf("the secret is shown once: %v %v", token.Header, form)
			}
			if c.kind == "facebook" {
				m := hmac.New(sha256.New, []byte("secret"))
				m.Write([]byte("the token"))
				if got := asked[0].URL.Query().Get("appsecret_proof"); got != hex.EncodeToString(m.Sum(nil)) {
					t.Error(got)
				}
			}
			if c.kind == "x" && !strings.Contains(asked[0].URL.Query().Get("user.fields"), "confirmed_email") {
				t.Error(asked[0].URL)
			}
			if _, err := p.Finish(t.Context(), f, url.Values{"code": {"another code"}, "state": {f.State}}); code(err) != Refused {
				t.Error(err)
			}
			if _, err := p.Finish(t.Context(), f, url.Values{"code": {"the code"}, "iss": {"https://evil.example.com"}}); code(err) != Refused {
				t.Error("an answer of another issuer:", err)
			}
			if _, err := p.Finish(t.Context(), f, url.Values{"code": {"the code"}, "iss": {kinds[c.kind].issuer + "/at/home"}}); err != nil {
				t.Error("an iss that is not published is at home:", err)
			}
		})
	}
}

// One that answers nobody's id, or something else, names nobody.
func TestPlainNobody(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{}`, `{"id":0}`, `{"id":-1}`, `{"id":1.5}`, `{"id":null}`, `{"id":""}`, `{"id":{"a":1}}`, `[]`, `"anna"`, `null`, ``} {
		p, _ := plain(t, "discord", map[string]string{"/users/@me": answer})
		if who, err := p.Finish(t.Context(), flow(), url.Values{"code": {"the code"}}); code(err) != Refused {
			t.Errorf("%s: %+v %v", answer, who, err)
		}
	}
}

// Apple wants a secret that is signed, answers by a form, and tells the name beside the first answer.
func TestApple(t *testing.T) {
	t.Parallel()
	i, _ := start(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	k := *kinds["apple"]
	k.discovery = i.URL
	p, err := newProvider(&k, spec.Provider{Name: "apple", Kind: "apple", ClientID: oidctest.ClientID, Team: "TEAM123456", KeyID: "KEY1234567",
		Key: strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "\n", `\n`)}, Options{Clock: i.Clock, private: []string{i.URL}})
	if err != nil {
		t.Fatal(err)
	}
	i.Set(func() {
		i.Bare = true
		i.User = oidctest.Claims{"sub": "000792.d7.0638", "email": "x@privaterelay.appleid.com", "email_verified": "true"}
		i.Token = func(c oidctest.Claims) { c["email"], c["email_verified"] = i.User["email"], "true" }
		i.Metadata = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} }
		i.Secret = func(text string) bool {
			token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Error(err)
				return false
			}
			var c jwt.Claims
			err = token.Claims(private.Public(), &c)
			if err == nil {
				err = c.ValidateWithLeeway(jwt.Expected{Issuer: "TEAM123456", Subject: oidctest.ClientID, AnyAudience: jwt.Audience{i.URL}, Time: i.Clock()}, 0)
			}
			if err != nil || token.Headers[0].KeyID != "KEY1234567" || c.Expiry.Time().Sub(i.Clock()) > 180*24*time.Hour {
				t.Error(err, text)
			}
			return err == nil
		}
	})
	f := flow()
	address, err := p.Begin(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Posts() || !strings.Contains(address, "response_mode=form_post") || !strings.Contains(address, "scope=openid+name+email") {
		t.Error(address)
	}
	answer, err := visit(t, p, f)
	if err != nil {
		t.Fatal(err)
	}
	answer.Set("user", `{"name":{"firstName":"Anna","lastName":"Smith"},"email":"another@example.com"}`)
	who, err := p.Finish(t.Context(), f, answer)
	if err != nil {
		t.Fatal(err)
	}
	if who.Email != "x@privaterelay.appleid.com" || !who.Verified || who.Claims["name"] != "Anna Smith" || who.Claims["given_name"] != "Anna" {
		t.Errorf("%+v", who)
	}
	for _, user := range []string{"", "{", `{"name":1}`, strings.Repeat("x", 5<<10)} {
		if answer, err = visit(t, p, f); err != nil {
			t.Fatal(err)
		}
		answer.Set("user", user)
		if who, err := p.Finish(t.Context(), f, answer); err != nil || who.Claims["name"] != "" {
			t.Errorf("%q: %+v %v", user, who, err)
		}
	}
}

// Microsoft has an issuer for each tenant, and keys that are good for one of them or for all.
func TestMicrosoft(t *testing.T) {
	t.Parallel()
	const tenant, other = "72f988bf-86f1-41af-91ab-2d7cd011db47", "11111111-2222-3333-4444-555555555555"
	type token = oidctest.Claims
	for name, c := range map[string]struct {
		tenant, issuer string // asked for, and told by the metadata
		token          func(base string, c token)
		refused        bool
		verified       bool
	}{
		"common":                        {"common", "{tenantid}", func(base string, c token) { c["tid"], c["iss"] = tenant, base+tenant+"/v2.0" }, false, false},
		"a domain whose owner is known": {"common", "{tenantid}", func(base string, c token) { c["tid"], c["iss"], c["xms_edov"] = tenant, base+tenant+"/v2.0", true }, false, true},
		"and one as it is often sent":   {"common", "{tenantid}", func(base string, c token) { c["tid"], c["iss"], c["xms_edov"] = tenant, base+tenant+"/v2.0", "1" }, false, true},
		"personal":                      {"common", "{tenantid}", func(base string, c token) { c["tid"], c["iss"] = consumers, base+consumers+"/v2.0" }, false, true},
		"email_verified says nothing": {"common", "{tenantid}", func(base string, c token) {
			c["tid"], c["iss"], c["email_verified"] = tenant, base+tenant+"/v2.0", true
		}, false, false},
		"iss of another tenant":          {"common", "{tenantid}", func(base string, c token) { c["tid"], c["iss"] = tenant, base+other+"/v2.0" }, true, false},
		"no tenant":                      {"common", "{tenantid}", func(base string, c token) { c["iss"] = base + tenant + "/v2.0" }, true, false},
		"a tenant that is a path":        {"common", "{tenantid}", func(base string, c token) { c["tid"], c["iss"] = "../x", base+"../x/v2.0" }, true, false},
		"personal, not asked for":        {"organizations", "{tenantid}", func(base string, c token) { c["tid"], c["iss"] = consumers, base+consumers+"/v2.0" }, true, false},
		"consumers":                      {"consumers", consumers, func(base string, c token) { c["tid"], c["iss"] = consumers, base+consumers+"/v2.0" }, false, true},
		"one tenant":                     {tenant, tenant, func(base string, c token) { c["tid"], c["iss"] = tenant, base+tenant+"/v2.0" }, false, false},
		"one tenant, and another came":   {tenant, tenant, func(base string, c token) { c["tid"], c["iss"] = other, base+other+"/v2.0" }, true, false},
		"one tenant by domain":           {"example.com", tenant, func(base string, c token) { c["tid"], c["iss"] = tenant, base+tenant+"/v2.0" }, false, false},
		"metadata of another tenant":     {tenant, other, func(base string, c token) { c["tid"], c["iss"] = other, base+other+"/v2.0" }, true, false},
		"metadata of all, asked for one": {tenant, "{tenantid}", func(base string, c token) { c["tid"], c["iss"] = tenant, base+tenant+"/v2.0" }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, _ := start(t)
			base := i.URL + "/"
			k := *kinds["microsoft"]
			k.discovery = base
			p, err := newProvider(&k, spec.Provider{Name: "microsoft", Kind: "microsoft", Tenant: c.tenant, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret},
				Options{Clock: i.Clock, private: []string{i.URL}})
			if err != nil {
				t.Fatal(err)
			}
			i.Set(func() {
				i.Metadata = func(m map[string]any) {
					m["issuer"] = base + c.issuer + "/v2.0"
					delete(m, "authorization_response_iss_parameter_supported")
				}
				i.Answer = func(v url.Values) { v.Del("iss") }
				i.Token = func(claims oidctest.Claims) {
					claims["email"] = "anna@example.com"
					c.token(base, claims)
				}
			})
			who, err := signIn(t, p)
			if c.refused {
				if code(err) != Refused {
					t.Fatalf("%+v %v", who, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if who.Verified != c.verified || !guid().MatchString(strings.TrimSuffix(strings.TrimPrefix(who.Issuer, base), "/v2.0")) {
				t.Errorf("%+v", who)
			}
			// A key that is another tenant's.
			i.Set(func() {
				i.Instead["/keys"] = func(w http.ResponseWriter, _ *http.Request) {
					key, _ := jose.JSONWebKey{Key: i.RSA.Public(), KeyID: "rsa"}.MarshalJSON()
					_, _ = w.Write([]byte(`{"keys":[` + strings.TrimSuffix(string(key), "}") + `,"issuer":"` + base + other + `/v2.0"}]}`))
				}
			})
			if p, err = newProvider(&k, p.conf, Options{Clock: i.Clock, private: []string{i.URL}}); err != nil {
				t.Fatal(err)
			}
			if who, err := signIn(t, p); code(err) != Refused || !strings.Contains(err.Error(), "no key") {
				t.Errorf("%+v %v", who, err)
			}
		})
	}
}
