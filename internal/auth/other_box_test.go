package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/spec"
)

// Users are told apart without regard to case, for which ß is ss. The mail servers of straße.example and strasse.example are two:
// who reads the mails of one has proven nothing of the other.
func TestAnotherMailbox(t *testing.T) {
	t.Parallel()
	const own, others = "ann@strasse.example", "ann@straße.example"
	// An operator has made a user, who has not come yet.
	s := open(t, agency)
	reply, err := s.db.Create(t.Context(), data.System, "users", node(t, `{"role":"staff"}`), data.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.wants(s.post("register", map[string]any{"email": others, "password": good}), 202, "")
	early := s.mail("verify", others).Token // there was no user with the address yet
	if _, err := s.db.Update(t.Context(), data.System, "users", reply.ID, node(t, `{"email":"`+own+`"}`), data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.wants(s.post("verify", map[string]any{"token": early}), 422, "/token secret")
	s.wants(s.post("register", map[string]any{"email": others, "password": good}), 202, "")
	late := s.mail("verify", own).Token // whose address it is
	s.wants(s.post("login", map[string]any{"email": own, "password": good}), 401, "")
	s.wants(s.post("verify", map[string]any{"token": late, "password": good}), 204, "")
	if a := s.as(s.login(own, good), http.MethodGet, "me", nil); a.body["user"].(map[string]any)["email"] != own {
		t.Fatal(a.text)
	}

	// Nobody makes the address of another verified by a mail to his own.
	s = open(t, strings.Replace(agency, "register: open", "register: open, verify: optional", 1))
	s.wants(s.post("register", map[string]any{"email": own, "password": good}), 201, "")
	s.mail("email-change", own)
	token := s.login(own, good)
	s.wants(s.as(token, http.MethodPost, "email", map[string]any{"email": others, "password": good}), 202, "")
	s.wants(s.post("email/confirm", map[string]any{"token": s.mail("email-change", others).Token, "password": good}), 204, "")
	s.mail("email-changed", own)
	user := s.as(token, http.MethodGet, "me", nil).body["user"].(map[string]any)
	if user["email"] != others {
		t.Errorf("a mail to %s has made %v verified: %v", others, user["email"], user["verified"])
	}
}

// Nobody chooses his id: he would be the owner of what somebody has left who had it, or be the one who stands for nobody.
func TestRegisterWithId(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	for _, id := range []string{"00000000-0000-7000-8000-000000000000", "01970000-0000-7000-8000-000000000001"} {
		s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": good, "id": id}), 422, "/id readonly")
	}
}

// A page of another site posts a form: the browser does not send the cookie along, and takes what the answer sets.
func TestLogoutFromElsewhere(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	s.person("ann@example.com")
	a := s.post("login", map[string]any{"email": "ann@example.com", "password": good, "cookie": true})
	s.wants(a, 200, "")
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	a = s.as("", http.MethodPost, "logout", nil, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if a.status != 401 || a.header.Get("Set-Cookie") != "" {
		t.Errorf("%d, and the cookie is set to %q", a.status, a.header.Get("Set-Cookie"))
	}
	a = s.as("", http.MethodPost, "logout", nil, "Cookie", cookie, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if a.status != 403 || a.header.Get("Set-Cookie") != "" {
		t.Errorf("%d, and the cookie is set to %q", a.status, a.header.Get("Set-Cookie"))
	}
	a = s.as("", http.MethodPost, "logout", nil, "Cookie", cookie)
	if a.status != 204 || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%d, and the cookie is set to %q", a.status, a.header.Get("Set-Cookie"))
	}
}

// A stored password that cannot be read is nobody's: who asks is told what he is told of any other.
func TestUnreadablePassword(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	s.person("ann@example.com")
	accounts, _, err := s.db.Records(t.Context(), data.System, &data.ListQuery{Collection: "_accounts"})
	if err != nil || len(accounts) != 1 {
		t.Fatal(accounts, err)
	}
	if _, err := s.db.Update(t.Context(), data.System, "_accounts", accounts[0][spec.OrdID].Text(), node(t, `{"password":"$1$of$another"}`), data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": good}), 401, "")
}
