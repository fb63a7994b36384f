package auth_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/password"
	"github.com/bluell/plinth/internal/web"
)

// replica is another process at the same database.
func (s *site) replica() *site {
	s.t.Helper()
	hasher, err := password.New(password.Options{Memory: 256, Time: 1, Threads: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	other := *s
	if other.gate, err = auth.New(s.db, key, auth.Options{Clock: s.now, Log: quiet, Mail: byJob{}, Hasher: passwords{hasher}}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(other.gate.Close)
	server := httptest.NewServer(web.Guard(other.gate.Door(), s.db.App().Server, quiet))
	s.t.Cleanup(server.Close)
	other.url = server.URL
	return &other
}

// A session that ended at one process is believed by another for some seconds: what it asks for there does not begin it again.
func TestEndedSessionStaysEnded(t *testing.T) {
	t.Parallel()
	const next = "another horse, another battery"
	for _, c := range []struct {
		what, method, path string
		body               any
	}{
		{"end the others", http.MethodDelete, "sessions", nil},
		{"another address", http.MethodPost, "email", map[string]any{"email": "mallory@example.com"}},
		{"a factor", http.MethodPost, "mfa/totp", nil},
		{"the factors", http.MethodGet, "mfa", nil},
		{"change the password", http.MethodPost, "password", map[string]any{"old": next, "new": "what the attacker knows"}},
	} {
		s := open(t, agency)
		there := s.replica()
		stolen := s.person("ann@example.com")
		there.wants(there.as(stolen, http.MethodGet, "me", nil), 200, "")
		s.post("reset", map[string]any{"email": "ann@example.com"})
		s.wants(s.post("reset/confirm", map[string]any{"token": s.mail("reset", "ann@example.com").Token, "password": next}), 204, "")
		s.mail("password-changed", "ann@example.com")
		owner := s.login("ann@example.com", next)
		if there.as(stolen, http.MethodGet, "me", nil).status != 200 {
			t.Fatal("the other process has forgotten the session already: nothing is shown")
		}
		s.wants(there.as(stolen, c.method, c.path, c.body), 401, "")
		if a := there.as(stolen, http.MethodGet, "me", nil); a.status != 401 {
			t.Errorf("%s: the session that was ended is there: %d", c.what, a.status)
		}
		if a := s.as(owner, http.MethodGet, "me", nil); a.status != 200 {
			t.Errorf("%s: the owner's session is gone: %d", c.what, a.status)
		}
	}
}

// Several links that set a password may be under way. When one is used the others are dead, also at the same moment.
func TestResetsAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1))
	s.person("ann@example.com")
	var tokens []string
	for range 8 {
		s.post("reset", map[string]any{"email": "ann@example.com"})
		tokens = append(tokens, s.mail("reset", "ann@example.com").Token)
	}
	var wg sync.WaitGroup
	won := make(chan int, len(tokens))
	for i, token := range tokens {
		wg.Go(func() {
			a := s.as("", http.MethodPost, "reset/confirm", map[string]any{"token": token, "password": fmt.Sprint(good, i)}, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
			switch {
			case a.status == 204:
				won <- i
			case a.code() != "/token secret":
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of %d links set the password", len(won), len(tokens))
	}
	s.login("ann@example.com", fmt.Sprint(good, <-won))
}
