package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/spec"
)

// near is an app whose cookies a browser takes over http, behind a proxy.
func near(t *testing.T, set ...string) *site {
	t.Helper()
	yaml := strings.NewReplacer(append(set, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}")...).Replace(agency)
	return openWith(t, yaml, noon, func(_ *site, _ *spec.App, o *auth.Options) { o.Dev = true })
}

const attackers = "what the attacker knows"

// Whoever reads the mails of an address may be sent what he has not asked for: that he follows the link makes it nobody else's.
func TestClickedByAnother(t *testing.T) {
	t.Parallel()
	for _, verify := range []string{"required", "optional"} {
		t.Run(verify, func(t *testing.T) {
			t.Parallel()
			s := near(t, "register: open", "register: open, verify: "+verify)
			attacker, owner := s.browser(), s.browser()
			a := attacker.send(http.MethodPost, "register", map[string]any{"email": "ann@example.com", "password": attackers})
			template := map[string]string{"required": "verify", "optional": "email-change"}[verify]
			if a.status != 201 && a.status != 202 {
				t.Fatal(a.status, a.text)
			}
			token := s.mail(template, "ann@example.com").Token
			s.wants(owner.send(http.MethodPost, "verify", map[string]any{"token": token}), 422, "/password required")
			s.wants(owner.send(http.MethodPost, "verify", map[string]any{"token": token, "password": good}), 422, "/password secret")
			if a := s.post("login", map[string]any{"email": "ann@example.com", "password": attackers}); a.status == 200 && a.body["user"].(map[string]any)["verified"] != false {
				t.Fatal(a.text)
			}
			// He registers himself, or sets a password by a mail that he asks for: it is his.
			path := "register"
			if verify == "optional" {
				path = "reset"
				s.wants(owner.send(http.MethodPost, path, map[string]any{"email": "ann@example.com"}), 202, "")
				s.wants(owner.send(http.MethodPost, "reset/confirm", map[string]any{"token": s.mail("reset", "ann@example.com").Token, "password": good}), 204, "")
				s.mail("password-changed", "ann@example.com")
			} else {
				s.wants(owner.send(http.MethodPost, path, map[string]any{"email": "ann@example.com", "password": good}), 202, "")
				s.wants(owner.send(http.MethodPost, "verify", map[string]any{"token": s.mail("verify", "ann@example.com").Token}), 204, "")
			}
			s.login("ann@example.com", good)
			s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": attackers}), 401, "")
			s.wants(attacker.send(http.MethodPost, "verify", map[string]any{"token": token}), 422, "/token secret")
		})
	}
}

// Who has asked follows the link: in his browser, which has asked for other things since, or elsewhere, with his password.
func TestClickedByWhoAsked(t *testing.T) {
	t.Parallel()
	s := near(t)
	one := s.browser()
	for _, email := range []string{"ann@example.com", "bob@example.com"} {
		s.wants(one.send(http.MethodPost, "register", map[string]any{"email": email, "password": good}), 202, "")
	}
	tokens := map[string]string{}
	for range 2 {
		l := <-s.mails
		tokens[l.To] = l.Token
	}
	s.wants(one.send(http.MethodPost, "verify", map[string]any{"token": tokens["ann@example.com"]}), 204, "")
	s.wants(s.as("", http.MethodPost, "verify", map[string]any{"token": tokens["bob@example.com"], "password": good}, "Origin", s.url), 204, "")

	// Another address: in the browser, with the session, or with the password.
	move := func(token, to string) string {
		s.wants(s.as(token, http.MethodPost, "email", map[string]any{"email": to, "password": good}), 202, "")
		return s.mail("email-change", to).Token
	}
	token := s.login("ann@example.com", good)
	link := move(token, "ann@example.org")
	for _, header := range []string{"Origin", "Sec-Fetch-Site"} {
		page := []string{header, map[string]string{"Origin": s.url, "Sec-Fetch-Site": "same-origin"}[header]}
		s.wants(s.as("", http.MethodPost, "email/confirm", map[string]any{"token": link}, page...), 422, "/password required")
		s.wants(s.as(s.login("bob@example.com", good), http.MethodPost, "email/confirm", map[string]any{"token": link}, page...), 422, "/password required")
	}
	s.wants(s.as(token, http.MethodPost, "email/confirm", map[string]any{"token": link}, "Origin", s.url), 204, "")
	s.mail("email-changed", "ann@example.com")
	s.wants(s.as("", http.MethodPost, "email/confirm", map[string]any{"token": move(token, "ann@example.net"), "password": good}, "Origin", s.url), 204, "")
	s.mail("email-changed", "ann@example.org")

	// A program has the token alone.
	s.wants(s.post("register", map[string]any{"email": "cay@example.com", "password": good}), 202, "")
	s.wants(s.post("verify", map[string]any{"token": s.mail("verify", "cay@example.com").Token}), 204, "")
}

// A password that is tried with the link of another is one that is guessed.
func TestClickedAndGuessed(t *testing.T) {
	t.Parallel()
	s := near(t)
	s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": good}), 202, "")
	token := s.mail("verify", "ann@example.com").Token
	clicks := func(password string) answer {
		return s.as("", http.MethodPost, "verify", map[string]any{"token": token, "password": password}, "Origin", s.url)
	}
	for range 10 {
		s.wants(clicks("wrong"), 422, "/password secret")
	}
	s.wants(clicks(good), 429, "")
}

// A stranger spends no code of somebody else's, however many he asks for and guesses at, nor does he keep him from mails.
func TestCodeOfTheBrowser(t *testing.T) {
	t.Parallel()
	s := near(t)
	s.person("ann@example.com")
	s.move(25 * 60 * 60e9)
	owner := s.browser()
	stranger := func(i int, path string, body map[string]any) answer {
		return s.as("", http.MethodPost, path, body, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
	}
	s.wants(owner.send(http.MethodPost, "code", map[string]any{"email": "ann@example.com"}), 202, "")
	code := s.mail("code", "ann@example.com").Code
	for range 8 {
		s.wants(stranger(1, "code", map[string]any{"email": "ann@example.com"}), 202, "")
		s.mail("code", "ann@example.com")
	}
	for i := range 40 {
		stranger(2+i, "code/confirm", map[string]any{"email": "ann@example.com", "code": "00000000"})
	}
	s.wants(stranger(99, "code/confirm", map[string]any{"email": "ann@example.com", "code": code}), 429, "")
	for range 4 {
		s.wants(owner.send(http.MethodPost, "code/confirm", map[string]any{"email": "ann@example.com", "code": "00000000"}), 422, "/code secret")
	}
	s.wants(owner.send(http.MethodPost, "code/confirm", map[string]any{"email": "ann@example.com", "code": code}), 200, "")

	// One place spends its own share of the mails to an address.
	s.move(60 * 60e9)
	for range 20 {
		stranger(1, "reset", map[string]any{"email": "eve@example.com"})
	}
	s.wants(stranger(1, "reset", map[string]any{"email": "eve@example.com"}), 429, "")
	s.wants(stranger(2, "reset", map[string]any{"email": "eve@example.com"}), 202, "")
}

// The browser that has asked has as few tries as everybody.
func TestCodeTries(t *testing.T) {
	t.Parallel()
	s := near(t)
	s.person("ann@example.com")
	owner := s.browser()
	s.wants(owner.send(http.MethodPost, "code", map[string]any{"email": "ann@example.com"}), 202, "")
	code := s.mail("code", "ann@example.com").Code
	for range 5 {
		s.wants(owner.send(http.MethodPost, "code/confirm", map[string]any{"email": "ann@example.com", "code": "00000000"}), 422, "/code secret")
	}
	s.wants(owner.send(http.MethodPost, "code/confirm", map[string]any{"email": "ann@example.com", "code": code}), 422, "/code secret")
}
