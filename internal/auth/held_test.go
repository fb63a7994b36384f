package auth

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Where signing in asks for more than a provider's word, what it asks waits in the browser that came back, sealed and once.
func TestHeld(t *testing.T) {
	t.Parallel()
	seal, err := newSealer([]byte("a secret of the tests, which is long enough"), "seal flows")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	g := &Gate{flows: seal, clock: func() time.Time { return now }, cookie: cookie{name: "__Host-plinth", secure: true}}
	w := httptest.NewRecorder()
	if err := g.hand(w, &flow{Return: "/in?a=b"}, &secondStep{ticket: "the ticket", methods: []string{byTOTP}, cause: needsSecond}); err != nil {
		t.Fatal(err)
	}
	res := w.Result()
	if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || to != "/in?a=b&mfa=required" {
		t.Error(res.Status, to)
	}
	cookies := res.Cookies()
	if len(cookies) != 1 || strings.Contains(cookies[0].Value, "ticket") || res.Header.Get("WWW-Authenticate") != "" {
		t.Fatal(res.Header)
	}
	ask := func(value string) *http.Response {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/api/auth/oauth/token", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-plinth-oauth", Value: value})
		if err := g.handOver(w, r); err != nil {
			w.Code = http.StatusUnprocessableEntity
		}
		return w.Result()
	}
	got := ask(cookies[0].Value)
	if got.StatusCode != http.StatusUnauthorized || got.Header.Get("Content-Type") != "application/problem+json" || len(got.Cookies()) != 1 || got.Cookies()[0].MaxAge >= 0 {
		t.Error(got.Status, got.Header)
	}
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"instance":"/api/auth/oauth/token"`, `"mfa":{"ticket":"the ticket","methods":["totp"]}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing in %s", want, text)
		}
	}
	// It is no flow that an answer could belong to, nor is a flow something that waits.
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(cookies[0])
	if _, ok := g.cameBack(r, "", ""); ok {
		t.Error("what waits is taken for a flow")
	}
	begun, err := json.Marshal(g.newFlow("one", "/"))
	if err != nil {
		t.Fatal(err)
	}
	last := cookies[0].Value
	for _, value := range []string{seal.seal(begun), "", "x", last[:len(last)-4], last[4:], last + "AAAA"} {
		if got := ask(value); got.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%.10q: %s", value, got.Status)
		}
	}
	now = now.Add(flowLife)
	if got := ask(last); got.StatusCode != http.StatusUnprocessableEntity {
		t.Error(got.Status)
	}
}

// Wherever a browser is sent back to, it stays where it may be, also as browsers read addresses (WHATWG URL: tabs and newlines
// are not seen, a backslash is a slash).
func FuzzReturn(f *testing.F) {
	for _, s := range []string{"/", "/a?b#c", "//x", "/\\x", "https://app.example.com/a", "https://app.example.com@x/", "https://app.example.com.x/", "/\t/x", "https:/x", "/%2F%2Fx", "https://app.example.com:443/", "/.//x"} {
		f.Add(s)
	}
	origins := []string{"https://app.example.com"}
	f.Fuzz(func(t *testing.T, text string) {
		if notThere(text, origins) != "" {
			return
		}
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(strings.TrimFunc(text, func(r rune) bool { return r <= ' ' }))
		base, err := url.Parse("https://app.example.com/api/auth/oauth/one/callback")
		if err != nil {
			t.Fatal(err)
		}
		u, err := base.Parse(seen)
		if err != nil || u.Scheme != "https" || u.Host != "app.example.com" || u.User != nil {
			t.Fatalf("%q leads to %v: %v", text, u, err)
		}
		w := httptest.NewRecorder()
		if err := goTo(w, text, "error", "link"); err != nil {
			t.Fatal(err)
		}
		if u, err = base.Parse(w.Header().Get("Location")); err != nil || u.Scheme != "https" || u.Host != "app.example.com" || u.Query().Get("error") != "link" {
			t.Fatalf("%q leads to %v: %v", text, u, err)
		}
	})
}
