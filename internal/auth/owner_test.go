package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Whoever attacks an account does not keep its owner out of it: who has a session nearby, or has read his mail, is counted apart.
func TestOwnerIsLetIn(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1))
	const next = "another horse, another battery"
	from := func(address, path string, body map[string]any) answer {
		return s.as("", http.MethodPost, path, body, "X-Forwarded-For", address)
	}
	login := func(address, password string) answer {
		return from(address, "login", map[string]any{"email": "ann@example.com", "password": password})
	}
	attack := func() {
		for i := range 36 {
			if i < 12 {
				login("192.0.2.1", "wrong")
			}
			from(fmt.Sprint("192.0.2.1", i%3), "reset", map[string]any{"email": "ann@example.com"})
		}
		s.wants(login("192.0.2.2", "wrong"), 429, "")
		s.wants(from("192.0.2.2", "reset", map[string]any{"email": "ann@example.com"}), 429, "")
	}
	mails := func(n int) {
		for range n {
			s.mail("reset", "ann@example.com")
		}
	}
	one := s.person("ann@example.com")
	s.wants(s.as(one, http.MethodPost, "logout", nil), 204, "")

	// He has no session: a link that was sent to him lets him in.
	s.wants(from("198.51.100.7", "reset", map[string]any{"email": "ann@example.com"}), 202, "")
	link := s.mail("reset", "ann@example.com").Token
	attack()
	mails(29) // with his thirty in this hour
	s.wants(login("198.51.100.7", good), 429, "")
	s.wants(from("198.51.100.7", "reset/confirm", map[string]any{"token": link, "password": next}), 204, "")
	s.mail("password-changed", "ann@example.com")
	s.wants(login("198.51.100.7", next), 200, "")
	s.wants(login("198.51.100.8", next), 429, "")
	s.wants(from("198.51.100.7", "reset", map[string]any{"email": "ann@example.com"}), 202, "")
	s.mail("reset", "ann@example.com")

	// From a network of IPv6 he has other addresses from day to day.
	s.move(60 * 60e9)
	s.wants(login("2001:db8:1:2::3", next), 200, "")
	attack()
	mails(30)
	s.wants(login("2001:db8:1:2:aa:bb:cc:dd", next), 200, "")
	s.wants(login("2001:db8:1:3::3", next), 429, "")
	s.move(60 * 60e9)

	// A place where somebody was signed in with a password that is no longer his is any place.
	s.wants(login("203.0.113.9", next), 200, "")
	s.wants(from("198.51.100.7", "reset", map[string]any{"email": "ann@example.com"}), 202, "")
	s.wants(from("198.51.100.7", "reset/confirm", map[string]any{"token": s.mail("reset", "ann@example.com").Token, "password": good}), 204, "")
	s.mail("password-changed", "ann@example.com")
	attack()
	s.wants(login("203.0.113.9", "wrong"), 429, "")
	s.wants(login("198.51.100.7", good), 200, "")
}

// Whoever has mails sent to an address that are of no use to its owner does not keep him from a new password: those are counted by
// themselves, and whoever asks for too many of them has sent him links.
func TestMailsOfNoUse(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1))
	from := func(address, path string, body map[string]any) answer {
		return s.as("", http.MethodPost, path, body, "X-Forwarded-For", address)
	}
	token := s.person("ann@example.com")
	s.wants(s.as(token, http.MethodPost, "logout", nil), 204, "")
	s.move(60 * 60e9)
	for i := range 33 {
		want := 202
		if i >= 30 {
			want = 429
		}
		s.wants(from(fmt.Sprint("192.0.2.", i%3), "register", map[string]any{"email": "ann@example.com", "password": good}), want, "")
		if want == 202 {
			s.mail("taken", "ann@example.com")
		}
	}
	s.wants(from("198.51.100.7", "code", map[string]any{"email": "ann@example.com"}), 429, "")
	s.wants(from("198.51.100.7", "reset", map[string]any{"email": "ann@example.com"}), 202, "")
	link := s.mail("reset", "ann@example.com").Token
	s.wants(from("198.51.100.7", "reset/confirm", map[string]any{"token": link, "password": "another horse, another battery"}), 204, "")
}

// NIST 800-63B-4, 3.2.2; SAFETY 66: a hundred wrong passwords in a row, and no more are taken from strangers. The owner comes in
// by a mail, or from where he is signed in.
func TestPasswords66(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1))
	const next = "another horse, another battery"
	from := func(address, path string, body map[string]any) answer {
		return s.as("", http.MethodPost, path, body, "X-Forwarded-For", address)
	}
	login := func(address, email, password string) answer {
		return from(address, "login", map[string]any{"email": email, "password": password})
	}
	s.person("ann@example.com")
	here := login("198.51.100.7", "ann@example.com", good)
	s.wants(here, 200, "")
	for _, email := range []string{"ann@example.com", "nobody@example.com"} { // it tells nobody who has an account
		for n := range 100 {
			if n%10 == 0 {
				s.move(60 * 60e9)
			}
			s.wants(login("192.0.2.1", email, "wrong"), 401, "")
		}
		s.move(60 * 60e9)
		if a := login("192.0.2.2", email, good); a.status != 429 || !strings.Contains(a.text, "sign in with a code") {
			t.Fatal(a.status, a.text)
		}
	}
	s.wants(login("198.51.100.7", "ann@example.com", good), 200, "")
	s.wants(from("192.0.2.9", "code", map[string]any{"email": "ann@example.com"}), 202, "")
	s.wants(from("192.0.2.9", "code/confirm", map[string]any{"email": "ann@example.com", "code": s.mail("code", "ann@example.com").Code}), 200, "")
	s.wants(login("192.0.2.9", "ann@example.com", good), 200, "") // he is known there now
	s.wants(login("192.0.2.10", "ann@example.com", good), 429, "")
	s.wants(from("192.0.2.11", "reset", map[string]any{"email": "ann@example.com"}), 202, "")
	s.wants(from("192.0.2.11", "reset/confirm", map[string]any{"token": s.mail("reset", "ann@example.com").Token, "password": next}), 204, "")
	s.mail("password-changed", "ann@example.com")
	s.wants(login("192.0.2.10", "ann@example.com", next), 200, "")
}
