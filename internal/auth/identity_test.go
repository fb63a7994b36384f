package auth_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/oidc/oidctest"
)

// Identities are added and removed by who has just shown who he is, and the last way in stays.
func TestLink(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 2)
	e.wants(e.post("identities", map[string]any{"provider": "one"}), 401, "")
	e.wants(e.as("", http.MethodGet, "identities", nil), 401, "")
	token := e.person("anna@example.com")
	link := func(body map[string]any) answer { return e.as(token, http.MethodPost, "identities", body) }
	e.wants(link(map[string]any{"provider": "nobody"}), 422, "/provider value")
	e.wants(link(map[string]any{"provider": "one", "return": "https://evil.example.com/"}), 422, "/return value")
	e.wants(link(map[string]any{}), 422, "/provider required")
	b := e.browser()
	if end := e.linkAs(b, token, "one", ""); end != "/" {
		t.Fatal(end)
	}
	e.mail("identity-added", "anna@example.com")
	if b.me() != nil {
		t.Error("who links is not signed in by it")
	}
	by := e.browser()
	if end := by.signIn("one", ""); end != "/" || by.me()["email"] != "anna@example.com" {
		t.Fatal(end)
	}
	if end := e.linkAs(b, token, "one", ""); end != "/" { // again: it is his already
		t.Error(end)
	}
	// Another's is not taken away.
	bob := e.person("bob@example.com")
	if end := e.linkAs(b, bob, "one", ""); end != "/?error=taken" {
		t.Error(end)
	}
	// The session is not new any more.
	e.move(10 * time.Minute)
	e.wants(link(map[string]any{"provider": "two"}), 422, "/password required")
	e.wants(link(map[string]any{"provider": "two", "password": "wrong"}), 422, "/password secret")
	if end := e.linkAs(b, token, "two", good); end != "/" {
		t.Error(end)
	}
	list := e.as(token, http.MethodGet, "identities", nil)
	items := list.body["items"].([]any)
	if e.wants(list, 200, ""); len(items) != 2 {
		t.Fatal(list.text)
	}
	id := func(i int) string { return items[i].(map[string]any)["id"].(string) }
	e.wants(e.as(bob, http.MethodDelete, "identities/"+id(0), nil), 404, "")
	e.wants(e.as(token, http.MethodDelete, "identities/"+id(0), nil), 422, "/password required")
	e.wants(e.as(token, http.MethodDelete, "identities/"+id(0), map[string]any{"password": good}), 204, "")
	e.wants(e.as(token, http.MethodDelete, "identities/"+id(0), map[string]any{"password": good}), 404, "")
	e.wants(e.as(token, http.MethodDelete, "identities/x", map[string]any{"password": good}), 404, "")
	if end := e.browser().signIn("one", ""); end != "/?error=link" {
		t.Error("an identity that was removed still signs in:", end)
	}
	// Who signs out while he is away comes back to nothing.
	token = e.login("anna@example.com", good)
	away := e.browser()
	a := link(map[string]any{"provider": "one"})
	e.wants(a, 200, "")
	c := a.header.Get("Set-Cookie")
	name, value, _ := strings.Cut(strings.Split(c, ";")[0], "=")
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	away.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
	_, back := away.step(a.body["location"].(string))
	e.wants(e.as(token, http.MethodPost, "logout", nil), 204, "")
	if _, end := away.step(back); end != "/?error=expired" {
		t.Error(end)
	}
	if log := e.log.text(); !strings.Contains(log, "event=identity-linked") || !strings.Contains(log, "event=identity-unlinked") || strings.Contains(log, good) {
		t.Error(log)
	}
}

// The last way to sign in is not removed, by two requests at the same time neither.
func TestLastWay(t *testing.T) {
	t.Parallel()
	e := withOthers(t, 2)
	e.user(0, oidctest.Claims{"sub": "a"})
	e.user(1, oidctest.Claims{"sub": "b"})
	b := e.browser()
	if end := b.signIn("one", ""); end != "/" {
		t.Fatal(end)
	}
	items := func() []any { return b.send(http.MethodGet, "identities", nil).body["items"].([]any) }
	id := func(i int) string { return items()[i].(map[string]any)["id"].(string) }
	a := b.send(http.MethodDelete, "identities/"+id(0), nil)
	if a.status != 409 || !strings.Contains(a.text, "last way to sign in") {
		t.Fatal(a.status, a.text)
	}
	a = b.send(http.MethodPost, "identities", map[string]any{"provider": "two"})
	e.wants(a, 200, "")
	_, back := b.step(a.body["location"].(string))
	if _, end := b.step(back); end != "/" || len(items()) != 2 {
		t.Fatal(end)
	}
	one, two := id(0), id(1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for _, id := range []string{one, two} {
		wg.Go(func() {
			a := b.send(http.MethodDelete, "identities/"+id, nil)
			mu.Lock()
			defer mu.Unlock()
			got[a.status]++
		})
	}
	if wg.Wait(); got[204] != 1 || got[409] != 1 || len(items()) != 1 {
		t.Error(got, len(items()))
	}
}
