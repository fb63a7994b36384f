package test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/oidc/oidctest"
)

const providersApp = `
auth:
  roles: [member, staff]
  register: open
  providers: {company: {kind: oidc, issuer: %q, clientId: plinth, clientSecret: "the secret of the client"}}
  trust: [{issuer: %q, audience: api, role: staff}]
server: {url: "http://app.example.test", trustedProxies: [127.0.0.1]}
collections:
  notes:
    fields: {text: {type: text}}
    access: {read: auth.has("staff")}
`

// A sign-in with a provider that begins at one process ends at another; of a hundred who bring its answer to all of them at the
// same time one is signed in, and of a hundred with its code one gets a token.
func TestProviders(t *testing.T) {
	onAll(t, func(t *testing.T, db string) {
		issuer := oidctest.Start(t, time.Now)
		p := peopled(t, db, fmt.Sprintf(providersApp, issuer.URL, issuer.URL))
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		get := func(address, cookie, from string) *http.Response {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
			}
			if from != "" {
				r.Header.Set("X-Forwarded-For", from)
			}
			res, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return &http.Response{Header: http.Header{}}
			}
			res.Body.Close()
			return res
		}
		// begin is a flow that went to the provider: its answer, without our address, and its cookie.
		begin := func(query string) (answer, cookie string) {
			res := get(p.servers[0].url+"/api/auth/oauth/company"+query, "", "")
			cookie, _, _ = strings.Cut(res.Header.Get("Set-Cookie"), ";")
			res = get(res.Header.Get("Location"), "", "")
			answer, ok := strings.CutPrefix(res.Header.Get("Location"), "http://app.example.test")
			if !ok || !strings.HasPrefix(cookie, "plinth-oauth=") {
				t.Fatal(res.Status, res.Header, cookie)
			}
			return answer, cookie
		}
		answer, cookie := begin("?return=/in")
		var all sync.WaitGroup
		var mu sync.Mutex
		ends, session := map[string]int{}, ""
		for i := range 100 {
			all.Go(func() {
				res := get(p.servers[i%len(p.servers)].url+answer, cookie, fmt.Sprintf("198.51.100.%d", i))
				mu.Lock()
				defer mu.Unlock()
				ends[res.Header.Get("Location")]++
				for _, c := range res.Cookies() {
					if c.Name == "plinth" {
						session = c.Value
					}
				}
			})
		}
		all.Wait()
		if ends["/in"] != 1 || ends["/in?error=expired"]+ends["/in?error=unavailable"] != 99 || issuer.Count("/token") != 1 {
			t.Fatal(ends, issuer.Count("/token"))
		}
		for i := range p.servers {
			if status, me := p.ask(i, session, http.MethodGet, "/api/auth/me", ""); status != 200 || !strings.Contains(me, `"email":"anna@example.com"`) {
				t.Fatal(status, me)
			}
		}
		const verifier = "a verifier that the page has kept"
		sum := sha256.Sum256([]byte(verifier))
		answer, cookie = begin("?code_challenge=" + base64.RawURLEncoding.EncodeToString(sum[:]))
		res := get(p.servers[len(p.servers)-1].url+answer, cookie, "")
		end, err := url.Parse(res.Header.Get("Location"))
		if err != nil || end.Query().Get("code") == "" {
			t.Fatal(res.Status, end, err)
		}
		p.once("oauth/token", func() map[string]any { return map[string]any{"code": end.Query().Get("code"), "verifier": verifier} })

		// Many who come for the first time at the same moment are one user.
		issuer.Set(func() {
			issuer.User = oidctest.Claims{"sub": "new", "email": "new@example.com", "email_verified": true}
		})
		users := map[string]bool{}
		for i := range 9 {
			answer, cookie := begin("")
			all.Go(func() {
				for _, c := range get(p.servers[i%len(p.servers)].url+answer, cookie, "").Cookies() {
					if c.Name != "plinth" {
						continue
					}
					_, text := p.ask(i, c.Value, http.MethodGet, "/api/auth/me", "")
					var me struct{ User struct{ ID string } }
					if err := json.Unmarshal([]byte(text), &me); err != nil {
						t.Error(text, err)
					}
					mu.Lock()
					defer mu.Unlock()
					users[me.User.ID] = true
				}
			})
		}
		if all.Wait(); len(users) != 1 {
			t.Errorf("one person is %d users", len(users))
		}
		// A token of the issuer has its role at all of them.
		now := time.Now()
		token := oidctest.Signed(oidctest.Claims{"iss": issuer.URL, "aud": "api", "sub": "robot", "exp": now.Add(time.Minute).Unix()}, issuer.RSA, "RS256", oidctest.Claims{"typ": "at+jwt"})
		for i := range p.servers {
			if status, body := p.ask(i, token, http.MethodGet, "/api/notes", ""); status != 200 {
				t.Error(status, body)
			}
			if status, body := p.ask(i, token[:len(token)-6], http.MethodGet, "/api/notes", ""); status != 401 {
				t.Error(status, body)
			}
		}
	})
}
