package auth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/oidc/oidctest"
	"github.com/bluell/plinth/test/authenticator"
)

const (
	hers = "anna@example.com"
	his  = "what the attacker knows"
)

// attack is how somebody prepares an account with an address that is not his. lets says, after its owner has come, by which of what he
// has he still comes into an account with that address; "" is by nothing.
type attack struct {
	name   string
	verify string
	begin  func(e *elsewhere) (lets func() string)
}

// owner is how the owner of an address comes, and who she is then.
type owner struct {
	name   string
	verify string
	comes  func(e *elsewhere) (id string)
}

// All pairs of ways to sign in, the attacker first: he keeps nothing of the account of whose the address is, neither what he had
// proven himself with nor a session (OWASP 40; "pre-hijacking", Sudhodanan and Paverd 2022).
func TestHijackedBefore(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		for _, o := range owners {
			if !strings.Contains(o.verify, a.verify) {
				continue
			}
			t.Run(a.verify+"/"+a.name+"/"+o.name, func(t *testing.T) {
				t.Parallel()
				e := withOthers(t, 2, "REGISTER", "open, anonymous: true", "VERIFY", a.verify)
				lets := a.begin(e)
				e.move(time.Minute)
				id := o.comes(e)
				if id == "" {
					t.Fatal("its owner does not come in")
				}
				e.move(5 * time.Second) // until when another process may believe a session
				if by := lets(); by != "" {
					t.Errorf("the attacker comes in by %s", by)
				}
			})
		}
	}
}

// knows says whether a session, or a password with what follows it, opens an account with her address.
func (e *elsewhere) knows(token string) string {
	if token != "" {
		if a := e.as(token, http.MethodGet, "me", nil); a.status == 200 && strings.Contains(a.text, hers) {
			return "his session"
		}
	}
	if a := e.post("login", map[string]any{"email": hers, "password": his}); a.status == 200 || a.body["mfa"] != nil {
		return "his password"
	}
	return ""
}

// registered makes an account with her address, which she has not confirmed.
func (e *elsewhere) registered(token string) string {
	e.t.Helper()
	e.wants(e.as(token, http.MethodPost, "register", map[string]any{"email": hers, "password": his}), 201, "")
	e.mail("email-change", hers)
	return e.login(hers, his)
}

var attacks = []attack{
	{"a password", "optional", func(e *elsewhere) func() string {
		token := e.registered("")
		return func() string { return e.knows(token) }
	}},
	{"an authenticator app", "optional", func(e *elsewhere) func() string {
		token, _, codes := e.app(e.registered(""), hers)
		ticket := e.ticket(e.post("login", map[string]any{"email": hers, "password": his}), "totp", "recovery")
		return func() string {
			if a := e.second(ticket, "recovery", codes[0]); a.status == 200 {
				return "his ticket"
			}
			return e.knows(token)
		}
	}},
	{"a passkey", "optional", func(e *elsewhere) func() string {
		token := e.registered("")
		key := authenticator.New(e.t, "localhost")
		token = e.addPasskey(token, hers, key, "his")
		return func() string {
			if a := e.signInWith(key, map[string]any{}); a.status == 200 {
				return "his passkey"
			}
			return e.knows(token)
		}
	}},
	{"an anonymous user", "optional", func(e *elsewhere) func() string {
		guest, _ := e.comeIn(nil)
		token := e.registered(guest)
		return func() string {
			if a := e.as(guest, http.MethodGet, "me", nil); a.status == 200 && strings.Contains(a.text, hers) {
				return "the session of before"
			}
			return e.knows(token)
		}
	}},
	{"a registration", "required", func(e *elsewhere) func() string {
		e.wants(e.post("register", map[string]any{"email": hers, "password": his}), 202, "")
		link := e.mail("verify", hers).Token
		return func() string {
			if a := e.post("verify", map[string]any{"token": link}); a.status < 300 {
				return "the link of his registration"
			}
			return e.knows("")
		}
	}},
	{"the registration of an anonymous user", "required", func(e *elsewhere) func() string {
		guest, _ := e.comeIn(nil)
		e.wants(e.as(guest, http.MethodPost, "register", map[string]any{"email": hers, "password": his}), 202, "")
		link := e.mail("verify", hers).Token
		return func() string {
			if a := e.post("verify", map[string]any{"token": link}); a.status < 300 {
				return "the link of his registration"
			}
			return e.knows(guest)
		}
	}},
	{"a change of his address to hers", "required", func(e *elsewhere) func() string {
		token := e.person("mallory@example.com")
		e.wants(e.as(token, http.MethodPost, "email", map[string]any{"email": hers, "password": good}), 202, "")
		link := e.mail("email-change", hers).Token
		return func() string {
			if a := e.post("email/confirm", map[string]any{"token": link}); a.status < 300 {
				return "the link of his change"
			}
			return e.knows(token)
		}
	}},
	{"a provider that does not know the address", "required", unknown},
	{"a provider that does not know the address", "optional", unknown},
}

// unknown is an identity of his, of which the provider says her address, but not that it is his.
func unknown(e *elsewhere) func() string {
	e.user(1, oidctest.Claims{"sub": "m", "email": hers, "email_verified": false})
	b := e.browser()
	b.signIn("two", "")
	return func() string {
		for _, b := range []*browser{b, e.browser()} {
			b.signIn("two", "")
			if me := b.me(); me != nil && me["email"] == hers {
				return "his identity"
			}
		}
		return e.knows("")
	}
}

var owners = []owner{
	{"a registration", "required", func(e *elsewhere) string {
		e.wants(e.post("register", map[string]any{"email": hers, "password": good}), 202, "")
		e.wants(e.post("verify", map[string]any{"token": e.mail("verify", hers).Token}), 204, "")
		return e.whose(e.login(hers, good))
	}},
	{"a provider", "required", func(e *elsewhere) string {
		b := e.browser()
		b.signIn("one", "")
		id, _ := b.me()["id"].(string)
		return id
	}},
	{"a code", "optional", func(e *elsewhere) string { return e.whose(e.byCode()) }},
	{"a new password", "optional", func(e *elsewhere) string {
		e.settle()
		e.wants(e.post("reset", map[string]any{"email": hers}), 202, "")
		e.wants(e.post("reset/confirm", map[string]any{"token": e.mail("reset", hers).Token, "password": good}), 204, "")
		e.mail("password-changed", hers)
		return e.whose(e.login(hers, good))
	}},
	{"a code, and then a provider", "optional", func(e *elsewhere) string {
		token := e.byCode()
		b := e.browser()
		if end := e.linkAs(b, token, "one", ""); end != "/" {
			e.t.Fatal(end)
		}
		c := e.browser()
		c.signIn("one", "")
		id, _ := c.me()["id"].(string)
		return id
	}},
}

// settle registers her where nobody has registered with her address yet: a provider's word was not taken for it.
func (e *elsewhere) settle() {
	e.t.Helper()
	if a := e.post("register", map[string]any{"email": hers, "password": good}); a.status == 201 {
		e.mail("email-change", hers)
	}
}

func (e *elsewhere) byCode() string {
	e.t.Helper()
	e.settle()
	e.wants(e.post("code", map[string]any{"email": hers}), 202, "")
	a := e.post("code/confirm", map[string]any{"email": hers, "code": e.mail("code", hers).Code})
	e.wants(a, 200, "")
	return a.str("token")
}

func (e *elsewhere) whose(token string) string {
	e.t.Helper()
	a := e.as(token, http.MethodGet, "me", nil)
	e.wants(a, 200, "")
	user, _ := a.body["user"].(map[string]any)
	id, _ := user["id"].(string)
	return id
}
