package auth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const keepers = `
name: agency
auth: {roles: [member, staff], register: open}
collections:
  users:
    fields: {name: {type: text, max: 40}}
    access: {read: id == auth.id, update: id == auth.id}
  notes:
    fields: {owner: {type: ref, to: users, init: auth.id, onDelete: cascade}}
    access: {create: auth.signedIn, read: owner == auth.id}
  bills:
    fields: {of: {type: ref, to: users}}
    access: {create: auth.signedIn}
`

// A user deletes himself: with the password, or just signed in. What is his goes, as the app file says, and what proves him too.
func TestLeave(t *testing.T) {
	t.Parallel()
	s := open(t, keepers)
	one := s.person("ann@example.com")
	two := s.login("ann@example.com", good)
	s.wants(s.post("reset", map[string]any{"email": "ann@example.com"}), 202, "")
	reset := s.mail("reset", "ann@example.com").Token
	s.create("notes", `{"owner":"`+s.idOf("ann@example.com")+`"}`)
	s.wants(s.as("", http.MethodDelete, "me", nil), 401, "")
	s.move(11 * time.Minute)
	s.wants(s.as(one, http.MethodDelete, "me", nil), 422, "/password required")
	s.wants(s.as(one, http.MethodDelete, "me", map[string]any{"password": "wrong"}), 422, "/password secret")
	s.wants(s.as(one, http.MethodDelete, "me", map[string]any{"password": good, "id": "x"}), 422, "/id unknown")

	// A record that stays keeps him, and is not named.
	bill := s.create("bills", `{"of":"`+s.idOf("ann@example.com")+`"}`)
	a := s.as(one, http.MethodDelete, "me", map[string]any{"password": good})
	if s.wants(a, 409, " referenced"); strings.Contains(a.text, "bills") {
		t.Error(a.text)
	}
	s.remove("bills", bill)
	s.wants(s.as(one, http.MethodDelete, "me", map[string]any{"password": good}), 204, "")
	s.mail("account-deleted", "ann@example.com")
	s.wants(s.as(one, http.MethodGet, "me", nil), 401, "")
	s.wants(s.as(two, http.MethodGet, "me", nil), 401, "")
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": good}), 401, "")
	s.wants(s.post("reset/confirm", map[string]any{"token": reset, "password": good}), 422, "/token secret")
	for _, c := range []string{"users", "notes", "_accounts", "_sessions", "_proofs"} {
		if n := s.count(c); n != 0 {
			t.Errorf("%d records of %s are left", n, c)
		}
	}
	s.person("ann@example.com") // the address is free
}

// A session that has ended deletes nobody, also where a process still believes it.
func TestLeftByASessionThatHasEnded(t *testing.T) {
	t.Parallel()
	s := open(t, keepers)
	one, two := s.person("ann@example.com"), s.login("ann@example.com", good)
	other := s.twin()
	s.wants(other.as(two, http.MethodGet, "me", nil), 200, "") // it is remembered there
	s.wants(s.as(one, http.MethodDelete, "sessions", nil), 204, "")
	s.wants(other.as(two, http.MethodDelete, "me", nil), 401, "")
	s.wants(s.as(one, http.MethodGet, "me", nil), 200, "")
}

// Operators see who there is, disable, enable and delete; another process knows within 5 s.
func TestUsers(t *testing.T) {
	t.Parallel()
	s, other := asunder(t, keepers)
	ann := s.person("ann@example.com")
	s.person("bob@example.com")
	list, next, err := s.gate.ListUsers(t.Context(), "", 1)
	if err != nil || len(list) != 1 || list[0].Email != "bob@example.com" || next == "" {
		t.Fatal(list, next, err)
	}
	u, err := s.gate.User(t.Context(), "ANN@example.com")
	if err != nil || !u.Verified || !u.Password || u.Sessions != 1 || u.Seen == nil || u.Role != "member" {
		t.Fatal(u, err)
	}
	s.wants(other.as(ann, http.MethodGet, "me", nil), 200, "")
	if off, err := s.gate.Disable(t.Context(), u.ID, true); err != nil || !off.Disabled {
		t.Fatal(off, err)
	}
	s.wants(s.as(ann, http.MethodGet, "me", nil), 401, "")
	s.wants(other.as(ann, http.MethodGet, "me", nil), 200, "") // it may, for 5 s
	s.move(5 * time.Second)
	s.wants(other.as(ann, http.MethodGet, "me", nil), 401, "")
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": good}), 401, "")
	if on, err := s.gate.Disable(t.Context(), "ann@example.com", false); err != nil || on.Disabled {
		t.Fatal(on, err)
	}
	s.wants(s.as(ann, http.MethodGet, "me", nil), 401, "")
	ann = s.login("ann@example.com", good)
	if _, err := s.gate.Remove(t.Context(), "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	s.wants(s.as(ann, http.MethodGet, "me", nil), 401, "")
	if _, err := s.gate.User(t.Context(), "ann@example.com"); err == nil || err.Error() != `there is no user "ann@example.com"` {
		t.Error(err)
	}
}
