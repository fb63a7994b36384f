package auth_test

import (
	"net/http"
	"strings"
	"testing"
)

// RFC 6265bis 4.1.3, NIST 800-63B-4 5.1.1; SAFETY 68: a session's cookie is its host's alone, of https and out of reach of
// scripts, and is there only for who asked for one.
func TestNIST68Cookie(t *testing.T) {
	t.Parallel()
	s := behind(t)
	s.person("ann@example.com")
	if a := s.first("ann@example.com"); a.header.Get("Set-Cookie") != "" {
		t.Error(a.header)
	}
	a := s.post("login", map[string]any{"email": "ann@example.com", "password": good, "cookie": true})
	s.wants(a, 200, "")
	c := a.header.Get("Set-Cookie")
	if !strings.HasPrefix(c, "__Host-plinth=ps_") || !strings.Contains(c, "; Path=/;") || !strings.Contains(c, "; HttpOnly; Secure; SameSite=Lax") || strings.Contains(c, "Domain") {
		t.Fatal(c)
	}
	value, _, _ := strings.Cut(c, ";")
	if a := s.as("", http.MethodGet, "me", nil, "Cookie", value); a.status != 200 {
		t.Error(a.status, a.text)
	}
	for _, forged := range []string{value + "; __Host-plinth=ps_x", strings.Replace(value, "__Host-", "", 1), strings.ToLower(value[:8]) + value[8:]} { // two, and other names
		if a := s.as("", http.MethodGet, "me", nil, "Cookie", forged); a.status != 401 {
			t.Errorf("%.30q: %d %s", forged, a.status, a.text)
		}
	}
}
