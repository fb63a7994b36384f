package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

// A link to another address is for who has the address that he had when he asked for it: one that went to a wrong address
// gives nobody the account after it has gone to the right one.
func TestMistypedMove(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	one := s.person("ann@example.com")
	move := func(to string) string {
		s.wants(s.as(one, http.MethodPost, "email", map[string]any{"email": to, "password": good}), 202, "")
		return s.mail("email-change", to).Token
	}
	wrong, right := move("ann@exmaple.org"), move("ann@example.org")
	s.wants(s.post("email/confirm", map[string]any{"token": right, "password": good}), 204, "")
	s.mail("email-changed", "ann@example.com")
	s.wants(s.post("email/confirm", map[string]any{"token": wrong, "password": good}), 422, "/token secret")
	s.wants(s.post("verify", map[string]any{"token": wrong, "password": good}), 422, "/token secret")
	s.login("ann@example.org", good)

	// Nor does the link that came when he registered lead him back.
	s = open(t, strings.Replace(agency, "register: open", "register: open, verify: optional", 1))
	s.wants(s.post("register", map[string]any{"email": "bob@example.com", "password": good}), 201, "")
	first := s.mail("email-change", "bob@example.com").Token
	one = s.login("bob@example.com", good)
	s.wants(s.post("email/confirm", map[string]any{"token": move("bob@example.org"), "password": good}), 204, "")
	s.mail("email-changed", "bob@example.com")
	s.wants(s.post("email/confirm", map[string]any{"token": first, "password": good}), 422, "/token secret")
}

// What was asked for with the old password is not sent after it was changed, however late the job comes.
func TestMoveAskedBefore(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	one := s.person("ann@example.com")
	s.wants(s.as(one, http.MethodPost, "password", map[string]any{"old": good, "new": "another horse, another battery"}), 204, "")
	s.mail("password-changed", "ann@example.com")
	user := s.as(one, http.MethodGet, "me", nil).body["user"].(map[string]any)["id"].(string)
	for _, epoch := range []int64{0, 1} { // what the job was given
		job := doc.NewObject()
		job.Set("purpose", doc.NewString("email"))
		job.Set("email", doc.NewString("mallory@example.com"))
		job.Set("user", doc.NewString(user))
		job.Set("epoch", doc.NewInt(epoch))
		payload, err := s.gate.Sealed(job)
		if err != nil {
			t.Fatal(err)
		}
		err = s.db.Transact(t.Context(), data.System, func(tx *data.Tx) error { return s.gate.Answer(t.Context(), tx, payload) })
		if err != nil {
			t.Fatal(err)
		}
		if epoch == 0 {
			s.noMail()
		} else {
			s.mail("email-change", "mallory@example.com")
		}
	}
}

// A language that is none is none: nothing is refused for it, and the mail is sent.
func TestLanguages(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	for said, want := range map[string]string{"de-AT,de;q=0.9": "de-AT", "en_US.UTF-8": "", "*": "", "C": "", "zh-Hant-TW;q=0.5": "zh-Hant-TW", "<b>": "", "de-": ""} {
		s.wants(s.as("", http.MethodPost, "register", map[string]any{"email": "ann@example.com", "password": good}, "Accept-Language", said), 202, "")
		if l := s.mail("verify", "ann@example.com"); l.Lang != want {
			t.Errorf("%s: %q, want %q", said, l.Lang, want)
		}
	}
}

// An address to which no mail can be sent is refused at once.
func TestUnsendable(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	for _, email := range []string{"a@[192.0.2.1]", "a@exa_mple.com", strings.Repeat("a", 60) + "@" + strings.Repeat("b.", 100) + "com", "Ann <ann@example.com>", "a@b.com\r\nBcc: c@d.com", "a@b.com,c@d.com"} {
		s.wants(s.post("register", map[string]any{"email": email, "password": good}), 422, "/email pattern")
		s.wants(s.post("code", map[string]any{"email": email}), 422, "/email pattern")
		s.wants(s.post("reset", map[string]any{"email": email}), 422, "/email pattern")
	}
}

func node(t *testing.T, text string) *doc.Node {
	t.Helper()
	n, err := doc.Parse([]byte(text), doc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
