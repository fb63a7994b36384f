package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/oidc"
	"github.com/bluell/plinth/internal/oidc/oidctest"
	"github.com/bluell/plinth/spec"
)

// outside is a provider as auth asks it; package plinth has the same.
type outside struct{ client *oidc.Provider }

func (o outside) Begin(ctx context.Context, f auth.Flow) (string, error) {
	address, err := o.client.Begin(ctx, oidc.Flow(f))
	return address, refusal(err)
}

func (o outside) Finish(ctx context.Context, f auth.Flow, answer url.Values) (*auth.Identity, error) {
	who, err := o.client.Finish(ctx, oidc.Flow(f), answer)
	return (*auth.Identity)(who), refusal(err)
}

func refusal(err error) error {
	var e *oidc.Error
	if errors.As(err, &e) {
		return &auth.Refusal{Code: e.Code, Err: e.Err}
	}
	return err
}

// noon is when these sites are opened.
var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// elsewhere is a site whose people sign in with others: one, two, …, as many as there are issuers.
type elsewhere struct {
	*site
	issuers []*oidctest.Issuer
	log     *logs
}

// logs are what was logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const social = `
name: agency
auth: {roles: [member, staff], register: REGISTER, verify: VERIFY, PROVIDERS}
server: {trustedProxies: [127.0.0.1], cors: {origins: ["https://front.example.com"], credentials: true}}
collections:
  users:
    fields:
      name: {type: text, max: 40}
    access: {read: id == auth.id || auth.has("staff"), update: id == auth.id}
`

// withOthers opens such a site. set are pairs of what stands in the app file and what stands there instead.
func withOthers(t *testing.T, count int, set ...string) *elsewhere {
	t.Helper()
	e := &elsewhere{log: &logs{}}
	clock := func() time.Time { return e.now() }
	var providers []string
	for n := range count {
		i := oidctest.Start(t, clock)
		e.issuers = append(e.issuers, i)
		providers = append(providers, fmt.Sprintf("%s: {kind: oidc, label: Number %d, issuer: %q, clientId: %s, clientSecret: %q}", []string{"one", "two", "three"}[n], n+1, i.URL, oidctest.ClientID, oidctest.ClientSecret))
	}
	yaml := strings.NewReplacer(append(set, "REGISTER", "open", "VERIFY", "required", "PROVIDERS", "providers: {"+strings.Join(providers, ", ")+"}")...).Replace(social)
	e.site = openWith(t, yaml, noon, others(e))
	return e
}

// others makes the providers of the app file ready, as package plinth does.
func others(e *elsewhere) func(*site, *spec.App, *auth.Options) {
	return func(s *site, app *spec.App, o *auth.Options) {
		if e.site == nil {
			e.site = s
		}
		o.Dev, o.Address, o.Log = true, func() string { return s.url }, slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		for _, conf := range app.Auth.Providers {
			client, err := oidc.New(conf, oidc.Options{Clock: s.now})
			if err != nil {
				s.t.Fatal(err)
			}
			o.Providers = append(o.Providers, auth.Provider{Name: conf.Name, Label: client.Label(), Posts: client.Posts() || conf.Name == "three", Client: outside{client}})
		}
	}
}

// browser keeps cookies and goes one step at a time.
type browser struct {
	*http.Client
	s *site
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, s}
}

// step goes to an address and says where it leads; "" when it leads nowhere.
func (b *browser) step(address string) (res *http.Response, to string) {
	b.s.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.s.url + address
	}
	res, err := b.Get(address)
	if err != nil {
		b.s.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	if res.StatusCode == http.StatusSeeOther {
		return res, res.Header.Get("Location")
	}
	return res, ""
}

// out goes to a provider, and says with which answer it sends the browser back.
func (b *browser) out(provider, query string) (back string) {
	b.s.t.Helper()
	res, to := b.step("/api/auth/oauth/" + provider + query)
	if to == "" {
		body, _ := io.ReadAll(res.Body)
		b.s.t.Fatalf("%s: %s", res.Status, body)
	}
	_, back = b.step(to)
	if back == "" {
		b.s.t.Fatal("the issuer does not send the browser back")
	}
	return back
}

// signIn goes to a provider and back, and says where that ends.
func (b *browser) signIn(provider, query string) string {
	b.s.t.Helper()
	_, end := b.step(b.out(provider, query))
	return end
}

// me is who the browser's cookie says.
func (b *browser) me() map[string]any {
	b.s.t.Helper()
	res, _ := b.step("/api/auth/me")
	if res.StatusCode == http.StatusUnauthorized {
		return nil
	}
	var body struct{ User map[string]any }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != http.StatusOK {
		b.s.t.Fatal(res.Status, err)
	}
	return body.User
}

// send is a request with the browser's cookie.
func (b *browser) send(method, path string, body map[string]any) answer {
	b.s.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			b.s.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(b.s.t.Context(), method, b.s.url+"/api/auth/"+path, in)
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Origin", b.s.url)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := b.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, text: string(text), header: res.Header}
	_ = json.Unmarshal(text, &a.body)
	return a
}

func (e *elsewhere) records(collection string) []data.Record {
	e.t.Helper()
	records, _, err := e.db.Records(e.t.Context(), data.System, &data.ListQuery{Collection: collection, Limit: 500})
	if err != nil {
		e.t.Fatal(err)
	}
	return records
}

func (e *elsewhere) user(i int, claims oidctest.Claims) {
	e.issuers[i].Set(func() { e.issuers[i].User = claims })
}

func TestProvider(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 2)
	list := e.as("", http.MethodGet, "providers", nil)
	if e.wants(list, 200, ""); list.text != `{"items":[{"name":"one","label":"Number 1"},{"name":"two","label":"Number 2"}]}` {
		t.Error(list.text)
	}
	b := e.browser()
	if end := b.signIn("one", "?return=/account%3Ftab%3D1%23top"); end != "/account?tab=1#top" {
		t.Fatal(end)
	}
	me := b.me()
	if me["email"] != "anna@example.com" || me["verified"] != true || me["role"] != "member" {
		t.Fatal(me)
	}
	// He comes back as the same, whatever his address is now; what the app knows of him is his to change.
	e.user(0, oidctest.Claims{"sub": "anna", "email": "other@example.com", "email_verified": true, "name": "Anna B."})
	again := e.browser()
	if end := again.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	if now := again.me(); now["id"] != me["id"] || now["email"] != "anna@example.com" {
		t.Fatal(now)
	}
	ids := again.send(http.MethodGet, "identities", nil)
	items := ids.body["items"].([]any)
	if one := items[0].(map[string]any); len(items) != 1 || one["provider"] != "one" || one["label"] != "Number 1" || one["email"] != "other@example.com" || one["name"] != "Anna B." {
		t.Error(ids.text)
	}
	// Another subject of the same issuer, and the same subject of another, are others.
	e.user(0, oidctest.Claims{"sub": "Anna"})
	e.user(1, oidctest.Claims{"sub": "anna"})
	seen := map[any]bool{me["id"]: true}
	for _, provider := range []string{"one", "two"} {
		b := e.browser()
		if end := b.signIn(provider, ""); end != "/" {
			t.Fatal(end)
		}
		who := b.me()
		if seen[who["id"]] || who["email"] != nil || who["verified"] != false {
			t.Error(who)
		}
		seen[who["id"]] = true
	}
	e.wants(e.as("", http.MethodGet, "oauth/nobody", nil), 404, "")
	e.wants(e.as("", http.MethodGet, "oauth/nobody/callback?code=a&state=b", nil), 404, "")
}

// The same address at two providers stays apart, and who has it here is not to be taken over.
func TestOWASP40SameAddress(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 2)
	first := e.browser()
	if end := first.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	second := e.browser()
	if end := second.signIn("two", "?return=/in"); end != "/in?error=link" || second.me() != nil {
		t.Fatal(end, second.me())
	}
	e.user(1, oidctest.Claims{"sub": "x", "email": "ANNA@Example.com", "email_verified": true})
	if end := second.signIn("two", ""); end != "/?error=link" {
		t.Fatal(end)
	}
	e.user(1, oidctest.Claims{"sub": "x", "email": "anna@example.com", "email_verified": false})
	if end := second.signIn("two", ""); end != "/" {
		t.Fatal(end)
	}
	if one, two := first.me(), second.me(); one["id"] == two["id"] || two["email"] != nil {
		t.Fatal(one, two)
	}
	// One with a password is his as well.
	e.person("bob@example.com")
	e.user(1, oidctest.Claims{"sub": "b", "email": "bob@example.com", "email_verified": true})
	third := e.browser()
	if end := third.signIn("two", ""); end != "/?error=link" || third.me() != nil {
		t.Fatal(end)
	}
	if n := len(e.records("_identities")); n != 2 {
		t.Errorf("%d identities", n)
	}
}

// Who registers with an address before its owner has nothing of it when the owner comes with a provider, in either order.
func TestOWASP40RegisteredBefore(t *testing.T) {
	t.Parallel()
	const attackers = "what the attacker knows"
	t.Run("required, before", func(t *testing.T) {
		t.Parallel()
		e := withOthers(t, 1)
		e.wants(e.post("register", map[string]any{"email": "anna@example.com", "password": attackers}), 202, "")
		attack := e.mail("verify", "anna@example.com")
		b := e.browser()
		if end := b.signIn("one", ""); end != "/" {
			t.Fatal(end)
		}
		e.wants(e.post("login", map[string]any{"email": "anna@example.com", "password": attackers}), 401, "")
		e.wants(e.post("verify", map[string]any{"token": attack.Token}), 422, "/token secret")
		e.wants(e.post("login", map[string]any{"email": "anna@example.com", "password": attackers}), 401, "")
	})
	t.Run("required, after", func(t *testing.T) {
		t.Parallel()
		e := withOthers(t, 1)
		if end := e.browser().signIn("one", ""); end != "/" {
			t.Fatal(end)
		}
		e.wants(e.post("register", map[string]any{"email": "anna@example.com", "password": attackers}), 202, "")
		e.mail("taken", "anna@example.com")
		e.wants(e.post("login", map[string]any{"email": "anna@example.com", "password": attackers}), 401, "")
	})
	t.Run("optional, after", func(t *testing.T) {
		t.Parallel()
		e := withOthers(t, 1, "VERIFY", "optional")
		if end := e.browser().signIn("one", ""); end != "/" {
			t.Fatal(end)
		}
		e.wants(e.post("register", map[string]any{"email": "anna@example.com", "password": attackers}), 409, "/email unique")
		e.wants(e.post("login", map[string]any{"email": "anna@example.com", "password": attackers}), 401, "")
	})
	t.Run("optional, before", func(t *testing.T) {
		t.Parallel()
		e := withOthers(t, 1, "VERIFY", "optional")
		e.wants(e.post("register", map[string]any{"email": "anna@example.com", "password": attackers}), 201, "")
		e.mail("email-change", "anna@example.com")
		attacker := e.login("anna@example.com", attackers)
		// He cannot have an identity of his own wait there for her.
		e.wants(e.as(attacker, http.MethodPost, "identities", map[string]any{"provider": "one"}), 403, "")
		b := e.browser()
		if end := b.signIn("one", ""); end != "/?error=link" || b.me() != nil {
			t.Fatal(end)
		}
		if n := len(e.records("_identities")); n != 0 {
			t.Errorf("%d identities", n)
		}
		// She proves the address by mail: then nothing of his is good any more, and she can link.
		e.wants(e.post("code", map[string]any{"email": "anna@example.com"}), 202, "")
		a := e.post("code/confirm", map[string]any{"email": "anna@example.com", "code": e.mail("code", "anna@example.com").Code})
		e.wants(a, 200, "")
		e.move(5 * time.Second)
		e.wants(e.as(attacker, http.MethodGet, "me", nil), 401, "")
		e.wants(e.post("login", map[string]any{"email": "anna@example.com", "password": attackers}), 401, "")
		if end := e.linkAs(b, a.body["token"].(string), "one", ""); end != "/" {
			t.Fatal(end)
		}
		c := e.browser()
		if end := c.signIn("one", ""); end != "/" || c.me()["id"] != a.body["user"].(map[string]any)["id"] {
			t.Fatal(end)
		}
	})
}

// linkAs links, with a token, in a browser, and says where that ends.
func (e *elsewhere) linkAs(b *browser, token, provider, password string) string {
	e.t.Helper()
	body := map[string]any{"provider": provider}
	if password != "" {
		body["password"] = password
	}
	text, err := json.Marshal(body)
	if err != nil {
		e.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(e.t.Context(), http.MethodPost, e.url+"/api/auth/identities", bytes.NewReader(text))
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := b.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	var to struct{ Location string }
	if err := json.NewDecoder(res.Body).Decode(&to); err != nil || res.StatusCode != http.StatusOK {
		e.t.Fatal(res.Status, err)
	}
	_, back := b.step(to.Location)
	_, end := b.step(back)
	return end
}

// An answer is good once, in the browser that asked, for the provider that was asked.
func TestOAuth06Replay(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 2)
	b := e.browser()
	back := b.out("one", "")
	cookies := func() []*http.Cookie {
		u, _ := url.Parse(e.url)
		return b.Jar.Cookies(u)
	}
	kept := cookies()

	// Another browser, with the answer, is sent nowhere.
	other := e.browser()
	if res, to := other.step(back); res.StatusCode != 400 || to != "" || other.me() != nil {
		t.Error(res.Status, to)
	}
	// One whose state is another, or who comes to another provider.
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(url.Values, *url.URL){
		func(q url.Values, _ *url.URL) { q.Set("state", "another") },
		func(q url.Values, _ *url.URL) { q.Del("state") },
		func(q url.Values, _ *url.URL) { q.Add("state", q.Get("state")) },
		func(_ url.Values, u *url.URL) { u.Path = strings.Replace(u.Path, "/one/", "/two/", 1) },
	} {
		v := *u
		q := v.Query()
		change(q, &v)
		v.RawQuery = q.Encode()
		if res, to := b.step(v.String()); res.StatusCode != 400 || to != "" {
			t.Error(v.String(), res.Status, to)
		}
	}
	if n := e.issuers[0].Count("/token"); n != 0 {
		t.Errorf("the code was sent %d times", n)
	}
	if _, end := b.step(back); end != "/" || b.me() == nil {
		t.Fatal(end)
	}
	// The browser has forgotten it; who has kept its cookie has nothing of it.
	if res, to := b.step(back); res.StatusCode != 400 || to != "" {
		t.Error(res.Status, to)
	}
	thief := e.browser()
	thief.Jar.SetCookies(&url.URL{Scheme: "http", Host: u.Host}, kept)
	if _, end := thief.step(back); end != "/?error=expired" || thief.me() != nil {
		t.Error(end)
	}
	if n := e.issuers[0].Count("/token"); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
	// It does not wait for ever.
	late := e.browser()
	back = late.out("one", "")
	e.move(10 * time.Minute)
	if res, to := late.step(back); res.StatusCode != 400 || to != "" {
		t.Error(res.Status, to)
	}
}

// Of many who bring one answer at the same time, one is signed in.
func TestOAuth06Once(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	b := e.browser()
	back := b.out("one", "")
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	kept := b.Jar.Cookies(u)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ends := map[string]int{}
	for range 20 {
		wg.Go(func() {
			one := e.browser()
			one.Jar.SetCookies(u, kept)
			_, end := one.step(back)
			mu.Lock()
			defer mu.Unlock()
			ends[end]++
		})
	}
	wg.Wait()
	if ends["/"] != 1 || ends["/?error=expired"] != 19 || len(e.records("_sessions")) != 1 {
		t.Error(ends, len(e.records("_sessions")))
	}
}

// A provider cannot have another's answer taken for its own: what comes back to it is the other's (RFC 9700, 4.4).
func TestOAuth19MixUp(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 2)
	honest, evil := e.issuers[0], e.issuers[1]
	// The evil one sends the browser on to the honest one, to get its code.
	evil.Set(func() {
		evil.Instead["/authorize"] = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, honest.URL+"/authorize?"+r.URL.RawQuery, http.StatusSeeOther)
		}
	})
	b := e.browser()
	_, to := b.step("/api/auth/oauth/two")
	_, to = b.step(to)
	_, back := b.step(to)
	if !strings.HasPrefix(back, e.url+"/api/auth/oauth/two/callback?") {
		t.Fatal(back)
	}
	if _, end := b.step(back); end != "/?error=provider" {
		t.Error(end)
	}
	if n := evil.Count("/token"); n != 0 {
		t.Errorf("the evil one has got the code of the other: %d", n)
	}
	if log := e.log.text(); !strings.Contains(log, "of another issuer") || !strings.Contains(log, "provider=two") {
		t.Error(log)
	}
}

// The browser is sent back to the app or to an origin of the app file, and nowhere else.
func TestReturn(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	for _, bad := range []string{"https://evil.example.com/", "//evil.example.com/", `/\evil.example.com/`, `\\evil.example.com`, "/\t/evil.example.com", "/%09/\n", "javascript:alert(1)", "account",
		"https://front.example.com.evil.example.com/", "https://front.example.com@evil.example.com/", "https://evil@front.example.com/", "http://front.example.com/", "https://front.example.com:444/",
		"https:front.example.com", "https:///front.example.com", "HTTPS://front.example.com/", "https://FRONT.example.com/", "/" + strings.Repeat("x", 2000), "%zz", e.url + "1/", "data:text/html,x"} {
		a := e.as("", http.MethodGet, "oauth/one?return="+url.QueryEscape(bad), nil)
		if a.status != 400 || a.header.Get("Location") != "" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %s", bad, a.status, a.header.Get("Location"))
		}
	}
	for _, good := range []string{"/", "/account", "/a//b", "/?next=//evil.example.com", "https://front.example.com", "https://front.example.com/in?a=b#c", e.url + "/x"} {
		if end := e.browser().signIn("one", "?return="+url.QueryEscape(good)); end != good {
			t.Errorf("%q: %q", good, end)
		}
	}
	for _, bad := range []string{"?retrun=/", "?return=/&return=/", "?code_challenge=x", "?code_challenge_method=S256", "?code_challenge_method=plain&code_challenge=" + strings.Repeat("A", 43)} {
		if a := e.as("", http.MethodGet, "oauth/one"+bad, nil); a.status != 400 {
			t.Errorf("%q: %d", bad, a.status)
		}
	}
	// What came to nothing is told there, by a word of ours.
	e.issuers[0].Set(func() {
		e.issuers[0].Answer = func(v url.Values) {
			v["error"], v["error_description"] = []string{"access_denied"}, []string{"<script>"}
		}
	})
	if end := e.browser().signIn("one", "?return="+url.QueryEscape("https://front.example.com/in?a=b#c")); end != "https://front.example.com/in?a=b&error=access_denied#c" {
		t.Error(end)
	}
	e.issuers[0].Set(func() { e.issuers[0].Answer = func(v url.Values) { v["error"] = []string{"x\r\nSet-Cookie: a=b"} } })
	if end := e.browser().signIn("one", ""); end != "/?error=provider" {
		t.Error(end)
	}
}

// A page that wants a token gets a code, which is good once, for a minute, and for who knows the verifier.
func TestOAuth07Code(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	const verifier = "a verifier of the page, which it has kept"
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	code := func() string {
		b := e.browser()
		end := b.signIn("one", "?return=/in&code_challenge_method=S256&code_challenge="+challenge)
		u, err := url.Parse(end)
		if err != nil || u.Path != "/in" || len(u.Query()) != 1 || b.me() != nil {
			t.Fatal(end, err)
		}
		return u.Query().Get("code")
	}
	ask := func(code, verifier string) answer {
		return e.post("oauth/token", map[string]any{"code": code, "verifier": verifier})
	}
	c := code()
	e.wants(ask(c, "another"), 422, "/code secret")
	e.wants(ask(c+"A", verifier), 422, "/code secret")
	e.wants(ask("pc_x", verifier), 422, "/code secret")
	e.wants(e.post("oauth/token", map[string]any{"code": c}), 422, "/verifier required")
	a := ask(c, verifier) // who did not know the verifier has not spent it
	e.wants(a, 200, "")
	if a.body["user"].(map[string]any)["email"] != "anna@example.com" || a.header.Get("Set-Cookie") != "" {
		t.Error(a.text, a.header)
	}
	e.wants(e.as(a.body["token"].(string), http.MethodGet, "me", nil), 200, "")
	e.wants(ask(c, verifier), 422, "/code secret")
	e.wants(e.as("", http.MethodGet, "me", nil, "Authorization", "Bearer "+c), 401, "")

	c = code()
	if a := e.post("oauth/token", map[string]any{"code": c, "verifier": verifier, "cookie": true}); a.status != 200 || !strings.HasPrefix(a.header.Get("Set-Cookie"), "plinth=ps_") {
		t.Error(a.text, a.header)
	}
	c = code()
	e.move(time.Minute)
	e.wants(ask(c, verifier), 422, "/code secret")

	c = code()
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 50 {
		wg.Go(func() {
			a := e.as("", http.MethodPost, "oauth/token", map[string]any{"code": c, "verifier": verifier}, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
			mu.Lock()
			defer mu.Unlock()
			if a.status == 200 {
				won++
			} else if a.status != 422 {
				t.Error(a.status, a.text)
			}
		})
	}
	if wg.Wait(); won != 1 {
		t.Errorf("%d have exchanged it", won)
	}
	// An account that was disabled meanwhile, or whose sessions were ended, is not signed in to.
	c = code()
	e.disable(t, "true")
	e.wants(ask(c, verifier), 422, "/code secret")
	if end := e.browser().signIn("one", ""); end != "/?error=disabled" {
		t.Error(end)
	}
	e.disable(t, "false")
	in := ask(code(), verifier) // his session has ended
	e.wants(in, 200, "")
	c = code()
	e.wants(e.as(in.body["token"].(string), http.MethodDelete, "sessions", nil), 204, "")
	e.wants(ask(c, verifier), 422, "/code secret")
	e.wants(e.post("oauth/token", map[string]any{}), 422, "/code secret") // nothing waits
}

// disable writes the mark of the one user that there is.
func (e *elsewhere) disable(t *testing.T, to string) {
	t.Helper()
	off, err := doc.Parse([]byte(`{"disabled":`+to+`}`), doc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.db.Update(t.Context(), data.System, "users", e.records("users")[0][spec.OrdID].Text(), off, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.move(5 * time.Second)
}

// Who may register by himself may with a provider, and nobody else.
func TestClosed(t *testing.T) {
	t.Parallel()
	for _, register := range []string{"closed", "invite"} {
		e := withOthers(t, 1, "REGISTER", register)
		b := e.browser()
		if end := b.signIn("one", ""); end != "/?error=closed" || b.me() != nil || len(e.records("users")) != 0 || len(e.records("_identities")) != 0 {
			t.Error(register, end)
		}
	}
}

// A new user's record takes what auth.profile says, as far as it fits; what the app wants beyond it is told.
func TestProfile(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1, "REGISTER", "open, profile: {name: name, nick: preferred_username, photo: picture}", "name: {type: text, max: 40}", "name: {type: text, max: 40}\n      nick: {type: text, max: 10, unique: true}\n      photo: {type: url}")
	e.user(0, oidctest.Claims{"sub": "a", "name": "Anna", "preferred_username": "anna", "picture": "https://id.example.com/a.png"})
	b := e.browser()
	if end := b.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	if me := b.me(); me["name"] != "Anna" || me["nick"] != "anna" || me["photo"] != "https://id.example.com/a.png" {
		t.Error(me)
	}
	e.user(0, oidctest.Claims{"sub": "b", "name": strings.Repeat("x", 41), "preferred_username": "anna", "picture": "javascript:alert(1)"})
	b = e.browser()
	if end := b.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	if me := b.me(); me["name"] != nil || me["nick"] != nil || me["photo"] != nil {
		t.Error(me)
	}
	e = withOthers(t, 1, "name: {type: text, max: 40}", "name: {type: text, max: 40, required: true}")
	if end := e.browser().signIn("one", ""); end != "/?error=incomplete" {
		t.Error(end)
	}
	e = withOthers(t, 1, "name: {type: text, max: 40}", "email: {type: email, unique: true, ci: true, required: true}")
	e.user(0, oidctest.Claims{"sub": "a", "email": "anna@example.com"})
	if end := e.browser().signIn("one", ""); end != "/?error=email" || len(e.records("users")) != 0 {
		t.Error(end)
	}
	e.user(0, oidctest.Claims{"sub": "a", "email": "anna@example.com", "email_verified": true})
	if end := e.browser().signIn("one", ""); end != "/" {
		t.Error(end)
	}
}

// An issuer that is away is away for its own sign-ins.
func TestAway(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 2)
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	e.issuers[0].Set(func() { e.issuers[0].Instead["/.well-known/openid-configuration"] = down })
	e.issuers[1].Set(func() { e.issuers[1].Instead["/token"] = down })
	a := e.as("", http.MethodGet, "oauth/one", nil)
	if e.wants(a, 503, ""); a.header.Get("Retry-After") == "" || !strings.Contains(a.text, "Number 1 cannot be reached") || strings.Contains(a.text, "502") || a.header.Get("Set-Cookie") != "" {
		t.Error(a.text, a.header)
	}
	if end := e.browser().signIn("two", ""); end != "/?error=unavailable" {
		t.Error(end)
	}
	if log := e.log.text(); !strings.Contains(log, "502") || !strings.Contains(log, "level=WARN") {
		t.Error(log)
	}
	e.issuers[1].Set(func() { delete(e.issuers[1].Instead, "/token") })
	if end := e.browser().signIn("two", ""); end != "/" {
		t.Error(end)
	}
}

// These routes count with the others that carry a credential.
func TestOWASP13Providers(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	from := func(address, path string) int {
		return e.as("", http.MethodGet, path, nil, "X-Forwarded-For", address).status
	}
	for i := range 100 {
		path, want := "oauth/one/callback?code=a&state=b", 400
		if i%2 == 0 {
			path, want = "oauth/one?return=//x", 400
		}
		if got := from("192.0.2.1", path); got != want {
			t.Fatalf("request %d: %d", i, got)
		}
	}
	for _, path := range []string{"oauth/one", "oauth/one/callback?code=a&state=b"} {
		if got := from("192.0.2.1", path); got != 429 {
			t.Error(path, got)
		}
		if got := from("192.0.2.2", path); got == 429 {
			t.Error(path, got)
		}
	}
}

// A provider that answers by a form of its own page is let through, without the cookies that its page cannot send, and with
// those of others that it can.
func TestFormPost(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 3) // three posts
	b := e.browser()
	back := b.out("three", "?return=/in")
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	post := func(path, body, kind string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Origin", "https://appleid.apple.com")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Cookie", "of=another")
		res, err := e.browser().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	const form = "application/x-www-form-urlencoded"
	path := "/api/auth/oauth/three/callback"
	if res := post(path, u.RawQuery+"&user=%7B%7D&other=1", form); res.StatusCode != 303 {
		t.Fatal(res.Status)
	} else if _, end := b.step(res.Header.Get("Location")); end != "/in" || b.me() == nil || strings.Contains(res.Header.Get("Location"), "other") {
		t.Error(res.Header.Get("Location"), end)
	}
	for _, c := range []struct {
		path, body, kind string
		want             int
	}{
		{path, "a=1", "text/plain", 415}, {path, "state=a&state=b", form, 400}, {path, "%zz", form, 400}, {path, "code=" + strings.Repeat("x", 20<<10), form, 413},
		{"/api/auth/oauth/one/callback", u.RawQuery, form, 405}, {"/api/auth/oauth/nobody/callback", u.RawQuery, form, 404},
		{"/api/auth/oauth/three", u.RawQuery, form, 403}, {"/api/auth/oauth/token", "{}", "application/json", 403}, // which no other site's page does with a cookie
	} {
		if res := post(c.path, c.body, c.kind); res.StatusCode != c.want {
			t.Errorf("%s %.20s: %s, want %d", c.path, c.body, res.Status, c.want)
		}
	}
}

// No secret stands in an address that a page sees, in the log, or where the database could tell it.
func TestOWASP48Flow(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 1)
	b := e.browser()
	back := b.out("one", "?return=/in")
	_, end := b.step(back)
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	if end != "/in" {
		t.Error(end)
	}
	stored := fmt.Sprint(e.records("_identities"), e.records("_flows"), e.records("_sessions"))
	for _, secret := range []string{u.Query().Get("code"), u.Query().Get("state"), oidctest.ClientSecret, "ps_", "eyJ"} {
		if strings.Contains(e.log.text(), secret) || strings.Contains(stored, secret) {
			t.Errorf("%q is logged or stored", secret)
		}
	}
	// Of an answer that is refused as well.
	e.issuers[0].Set(func() { e.issuers[0].Token = func(c oidctest.Claims) { c["nonce"] = "of another" } })
	back = b.out("one", "")
	if _, end = b.step(back); end != "/?error=provider" {
		t.Error(end)
	}
	if u, err = url.Parse(back); err != nil || strings.Contains(e.log.text(), u.Query().Get("code")) || strings.Contains(e.log.text(), "eyJ") {
		t.Error(e.log.text())
	}
	e.move(time.Hour)
	if err := e.gate.Sweep(t.Context()); err != nil || len(e.records("_flows")) != 0 {
		t.Error(err, len(e.records("_flows")))
	}
}

// Over https the flow's cookie is as the session's: of this host alone, out of reach of scripts, not sent by other sites' forms.
func TestNIST68FlowCookie(t *testing.T) {
	t.Parallel()
	e := &elsewhere{log: &logs{}}
	i := oidctest.Start(t, func() time.Time { return noon })
	e.site = openWith(t, fmt.Sprintf(`
name: agency
auth: {register: open, providers: {one: {kind: oidc, issuer: %q, clientId: a, clientSecret: b}}}
server: {url: "https://app.example.com/"}
`, i.URL), noon, others(e))
	a := e.site.browserless("oauth/one")
	c := a.Header.Get("Set-Cookie")
	if !strings.HasPrefix(c, "__Host-plinth-oauth=") || !strings.Contains(c, "; Path=/;") || !strings.Contains(c, "; HttpOnly; Secure; SameSite=Lax") || strings.Contains(c, "Domain") {
		t.Error(c)
	}
	// What the request says of its host is not where the answer goes.
	if to := a.Header.Get("Location"); !strings.Contains(to, url.QueryEscape("https://app.example.com/api/auth/oauth/one/callback")) || a.Header.Get("Cache-Control") != "no-store" {
		t.Error(to)
	}
}

func (s *site) browserless(path string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/api/auth/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = "evil.example.com"
	r.Header.Set("X-Forwarded-Host", "evil.example.com")
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	return res
}
