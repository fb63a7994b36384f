package auth_test

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// peer is a provider that others have written (npm: oidc-provider), with its own pages. It asks for PKCE.
func peer(t *testing.T, redirects ...string) (issuer string) {
	t.Helper()
	const folder = "../oidc/testdata/peer"
	if _, err := os.Stat(folder + "/node_modules/oidc-provider"); err != nil {
		if os.Getenv("PLINTH_TEST_ALL") == "1" {
			t.Fatal("oidc-provider is missing: npm ci in internal/oidc/testdata/peer")
		}
		t.Skip("LEFT OUT, for want of a provider by others: oidc-provider is missing: npm ci in internal/oidc/testdata/peer")
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"issuer.mjs"}, redirects...)...)
	cmd.Dir = folder
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + strings.TrimSpace(port)
}

var (
	action = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	prompt = regexp.MustCompile(`name="prompt" value="([^"]*)"`)
)

// through goes to the peer and fills in its forms, until it sends the browser back to us.
func (b *browser) through(start, login string) (back string, forms int) {
	t := b.s.t
	t.Helper()
	at := start
	for range 20 {
		if strings.HasPrefix(at, b.s.url) {
			return at, forms
		}
		res, to := b.step2(http.MethodGet, at, nil)
		for to == "" {
			page, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			form, which := action.FindSubmatch(page), prompt.FindSubmatch(page)
			if form == nil || which == nil {
				t.Fatalf("%s: %s", res.Status, page)
			}
			forms++
			res, to = b.step2(http.MethodPost, resolve(t, at, html.UnescapeString(string(form[1]))), url.Values{"prompt": {string(which[1])}, "login": {login}, "password": {"x"}})
		}
		at = resolve(t, at, to)
	}
	t.Fatal("it never ends")
	return "", 0
}

func resolve(t *testing.T, base, to string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if u, err = u.Parse(to); err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// step2 goes one step, and says where it leads.
func (b *browser) step2(method, address string, form url.Values) (*http.Response, string) {
	b.s.t.Helper()
	r, err := http.NewRequestWithContext(b.s.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	res.Body.Close()
	res.Body = io.NopCloser(strings.NewReader(string(page)))
	return res, res.Header.Get("Location")
}

// A browser signs in with a provider that others have written, from the first click to the session, and links with it.
func TestOIDC29Peer(t *testing.T) {
	t.Parallel()
	// The peer must know our address before it starts, and we its: the app file is read once both are known.
	e := &elsewhere{log: &logs{}}
	var gate *auth.Gate
	front := newFront(t, func() *auth.Gate { return gate })
	issuer := peer(t, front+"/api/auth/oauth/company/callback")
	yaml := fmt.Sprintf(`
name: agency
auth: {register: open, profile: {name: name}, providers: {company: {kind: oidc, issuer: %q, clientId: plinth, clientSecret: "the secret of the client"}}}
server: {url: %q}
collections: {users: {fields: {name: {type: text}}, access: {read: id == auth.id}}}
`, issuer, front)
	e.site = openWith(t, yaml, time.Now(), func(s *site, app *spec.App, o *auth.Options) { others(e)(s, app, o) })
	gate = e.gate
	e.url = front

	b := e.browser()
	enter := func(b *browser, login, query string, forms int) string {
		t.Helper()
		_, to := b.step("/api/auth/oauth/company" + query)
		back, filled := b.through(to, login)
		if filled != forms {
			t.Errorf("the peer has asked %d times, not %d", filled, forms)
		}
		_, end := b.step(back)
		return end
	}
	if end := enter(b, "anna", "?return=/in", 2); end != "/in" {
		t.Fatal(end, e.log.text())
	}
	me := b.me()
	if me["email"] != "anna@example.com" || me["verified"] != true || me["name"] != "Name of anna" {
		t.Fatal(me)
	}
	again := e.browser()
	if end := enter(again, "anna", "", 2); end != "/" || again.me()["id"] != me["id"] {
		t.Fatal(end)
	}
	other := e.browser()
	if end := enter(other, "unverified-bob", "", 2); end != "/" || other.me()["email"] != nil || other.me()["id"] == me["id"] {
		t.Fatal(end, other.me())
	}
	// Who has an account with a password links it.
	token := e.person("carl@example.com")
	linker := e.browser()
	if end := enter(linker, "carl", "", 2); end != "/?error=link" {
		t.Fatal(end)
	}
	a := e.as(token, http.MethodPost, "identities", map[string]any{"provider": "company", "return": "/account"})
	e.wants(a, 200, "")
	name, value, _ := strings.Cut(strings.Split(a.header.Get("Set-Cookie"), ";")[0], "=")
	u, err := url.Parse(front)
	if err != nil {
		t.Fatal(err)
	}
	linker = e.browser()
	linker.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
	back, _ := linker.through(a.body["location"].(string), "carl")
	if _, end := linker.step(back); end != "/account" {
		t.Fatal(end)
	}
	if end := enter(linker, "carl", "", 0); end != "/" || linker.me()["email"] != "carl@example.com" {
		t.Fatal(end)
	}
	// Who cancels comes back with a word.
	_, to := b.step("/api/auth/oauth/company?return=/in")
	fresh := e.browser()
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == "plinth-oauth" { // the peer's, at the same host, would sign him in
			fresh.Jar.SetCookies(u, []*http.Cookie{c})
		}
	}
	if _, to = fresh.step(to); to == "" {
		t.Fatal("no page for signing in")
	}
	_, to = fresh.step(resolve(t, issuer, to) + "/abort")
	_, to = fresh.step(resolve(t, issuer, to))
	if _, end := fresh.step(to); end != "/in?error=access_denied" {
		t.Error(end, to)
	}
}

// newFront is an address before there is a gate behind it.
func newFront(t *testing.T, gate func() *auth.Gate) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.Guard(gate().Door(), spec.Server{}, slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
