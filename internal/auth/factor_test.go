package auth_test

import (
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
	"github.com/bluell/plinth/test/authenticator"
)

const proxied = "name: agency\nserver: {url: https://app.example.com, trustedProxies: [127.0.0.1]}"

// behind is the app behind a proxy, so that requests come from addresses that they name.
func behind(t *testing.T) *site {
	t.Helper()
	return open(t, strings.Replace(agency, "name: agency", proxied, 1))
}

// text is a member of an answer that is a text.
func (a answer) str(name string) string {
	s, _ := a.body[name].(string)
	return s
}

func (a answer) list(name string) (list []string) {
	items, _ := a.body[name].([]any)
	for _, item := range items {
		list = append(list, fmt.Sprint(item))
	}
	return list
}

// ticket is what the first step of a sign-in has answered.
func (s *site) ticket(a answer, methods ...string) string {
	s.t.Helper()
	mfa, _ := a.body["mfa"].(map[string]any)
	if a.status != 401 && a.status != 403 && a.status != 200 || mfa == nil || a.body["token"] != nil {
		s.t.Fatalf("%d %s, want a ticket", a.status, a.text)
	}
	if got := fmt.Sprint(mfa["methods"]); got != fmt.Sprint(methods) {
		s.t.Fatalf("methods %s, want %v", got, methods)
	}
	return mfa["ticket"].(string)
}

func (s *site) first(email string) answer {
	return s.post("login", map[string]any{"email": email, "password": good})
}

func (s *site) second(ticket, method, code string, headers ...string) answer {
	s.t.Helper()
	return s.as("", http.MethodPost, "mfa", map[string]any{"ticket": ticket, "method": method, "code": code}, headers...)
}

// code is what the authenticator app shows, so many steps from now.
func (s *site) code(secret string, steps int) string {
	s.t.Helper()
	code, err := totp.GenerateCode(secret, s.now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		s.t.Fatal(err)
	}
	return code
}

// app sets an authenticator app up for somebody who is signed in; he is then signed in anew.
func (s *site) app(token, email string) (next, secret string, codes []string) {
	s.t.Helper()
	begun := s.as(token, http.MethodPost, "mfa/totp", nil)
	s.wants(begun, 200, "")
	secret = begun.str("secret")
	a := s.as(token, http.MethodPost, "mfa/totp/confirm", map[string]any{"code": s.code(secret, 0)})
	s.wants(a, 200, "")
	s.mail("factor-added", email)
	return a.str("token"), secret, a.list("recovery")
}

// RFC 6238, 4 and 5.2; SAFETY 67: nothing is on before a code is shown, a code works once, and so does none before it.
func TestTOTP67(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: 'Agency: north'", 1))
	const email = "ann@example.com"
	token := s.person(email)
	begun := s.as(token, http.MethodPost, "mfa/totp", nil)
	s.wants(begun, 200, "")
	secret := begun.str("secret")
	if b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret); err != nil || len(b) != 20 {
		t.Fatalf("the secret is %q: %v", secret, err)
	}
	uri, err := url.Parse(begun.str("uri"))
	if err != nil || uri.Scheme != "otpauth" || uri.Host != "totp" || uri.Path != "/Agency  north:ann@example.com" || uri.Query().Get("secret") != secret || uri.Query().Get("issuer") != "Agency  north" {
		t.Fatal(begun.text, err)
	}
	svg, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(begun.str("qr"), "data:image/svg+xml;base64,"))
	if err != nil || !strings.HasPrefix(string(svg), "<svg ") {
		t.Fatal(begun.str("qr"), err)
	}
	s.login(email, good) // nothing is on yet
	s.wants(s.as(token, http.MethodPost, "mfa/totp/confirm", map[string]any{"code": "000000"}), 422, "/code secret")

	code := s.code(secret, 0)
	on := s.as(token, http.MethodPost, "mfa/totp/confirm", map[string]any{"code": code[:3] + " " + code[3:]})
	s.wants(on, 200, "")
	s.mail("factor-added", email)
	if codes := on.list("recovery"); len(codes) != 10 || !regexp.MustCompile(`^[0-9a-z]{4}(-[0-9a-z]{4}){3}$`).MatchString(codes[0]) {
		t.Fatal(on.text)
	}
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "") // a new id at every step up
	s.wants(s.as(on.str("token"), http.MethodGet, "me", nil), 200, "")
	if a := s.as(on.str("token"), http.MethodGet, "mfa", nil); a.text != `{"session":true,"required":false,"totp":true,"passkeys":0,"recovery":10}` {
		t.Fatal(a.text)
	}

	ticket := s.ticket(s.first(email), "totp", "recovery")
	s.wants(s.second(ticket, "totp", code), 422, "/code secret") // it was used to turn it on
	s.wants(s.second(ticket, "totp", s.code(secret, 2)), 422, "/code secret")
	a := s.second(ticket, "totp", s.code(secret, 1)) // a clock that is fast
	s.wants(a, 200, "")
	s.wants(s.as(a.str("token"), http.MethodGet, "me", nil), 200, "")
	s.wants(s.second(ticket, "totp", s.code(secret, 1)), 422, "/ticket secret")
	ticket = s.ticket(s.first(email), "totp", "recovery")
	s.wants(s.second(ticket, "totp", s.code(secret, 1)), 422, "/code secret")
	s.move(30 * time.Second)
	s.wants(s.second(ticket, "totp", s.code(secret, 0)), 422, "/code secret")
	s.move(60 * time.Second)
	s.wants(s.second(ticket, "totp", s.code(secret, -1)), 200, "") // one that is slow
	ticket = s.ticket(s.first(email), "totp", "recovery")
	s.move(90 * time.Second)
	s.wants(s.second(ticket, "totp", s.code(secret, -2)), 422, "/code secret")
	s.wants(s.second(ticket, "sms", s.code(secret, 0)), 422, "/method enum")
	s.wants(s.second(ticket, "totp", s.code(secret, 0)), 200, "")
	s.noMail()
}

// The test vectors of RFC 6238, appendix B (SHA-1), cut to six digits (RFC 4226, 5.3), over HTTP.
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	const email = "ann@example.com"
	_, _, _ = s.app(s.person(email), email)
	f := s.record("_factors")
	f.set("totp", doc.NewString(base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))))
	f.set("step", doc.NewInt(0))
	for _, v := range []struct {
		at   int64
		code string
	}{{59, "287082"}, {1111111109, "081804"}, {1111111111, "050471"}, {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}} {
		for s.now().Unix() != v.at { // a Duration has 292 years at most
			s.move(time.Unix(v.at, 0).Sub(s.now()))
		}
		ticket := s.ticket(s.first(email), "totp", "recovery")
		s.wants(s.second(ticket, "totp", v.code), 200, "")
	}
}

// stored is the one record of a collection of Plinth's own.
type stored struct {
	s    *site
	coll string
	rec  data.Record
}

func (s *site) record(collection string) stored {
	s.t.Helper()
	records, _, err := s.db.Records(s.t.Context(), data.System, &data.ListQuery{Collection: collection})
	if err != nil || len(records) != 1 {
		s.t.Fatal(collection, len(records), err)
	}
	return stored{s, collection, records[0]}
}

func (r stored) set(field string, v *doc.Node) {
	r.s.t.Helper()
	body := doc.NewObject()
	body.Set(field, v)
	if _, err := r.s.db.Update(r.s.t.Context(), data.System, r.coll, r.rec[spec.OrdID].Text(), body, data.WriteOptions{}); err != nil {
		r.s.t.Fatal(err)
	}
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	const email = "ann@example.com"
	token, secret, codes := s.app(s.person(email), email)
	ticket := s.ticket(s.first(email), "totp", "recovery")
	s.wants(s.second(ticket, "recovery", "0000-0000-0000-0000"), 422, "/code secret")
	a := s.second(ticket, "recovery", strings.ToUpper(strings.ReplaceAll(codes[3], "-", " ")))
	s.wants(a, 200, "")
	s.mail("recovery-used", email)
	if has := s.as(a.str("token"), http.MethodGet, "mfa", nil); has.body["recovery"] != 9.0 {
		t.Fatal(has.text)
	}
	ticket = s.ticket(s.first(email), "totp", "recovery")
	s.wants(s.second(ticket, "recovery", codes[3]), 422, "/code secret")

	made := s.as(token, http.MethodPost, "mfa/recovery", nil)
	s.wants(made, 200, "")
	s.mail("recovery-codes", email)
	fresh := made.list("recovery")
	if len(fresh) != 10 || slices.Contains(fresh, codes[0]) {
		t.Fatal(made.text)
	}
	s.wants(s.second(ticket, "recovery", codes[0]), 422, "/code secret")
	for _, code := range fresh { // to the last one
		s.move(time.Minute)
		s.wants(s.second(s.ticket(s.first(email), "totp", "recovery"), "recovery", code), 200, "")
		s.mail("recovery-used", email)
	}
	s.move(time.Minute)
	ticket = s.ticket(s.first(email), "totp")
	s.wants(s.second(ticket, "recovery", fresh[9]), 422, "/code secret")
	s.wants(s.second(ticket, "totp", s.code(secret, 0)), 200, "")

	// Without a factor there is nothing that they could stand in for.
	bob := s.person("bob@example.com")
	s.wants(s.as(bob, http.MethodPost, "mfa/recovery", nil), 409, "")
	s.wants(s.as(bob, http.MethodPost, "mfa/step-up", nil), 409, "")
	s.wants(s.as(bob, http.MethodDelete, "mfa/totp", nil), 404, "")
}

// OWASP 39: a ticket is good once, for ten minutes and five tries, and for whom it was given to.
func TestTicket39(t *testing.T) {
	t.Parallel()
	s := behind(t)
	const email = "ann@example.com"
	token, secret, _ := s.app(s.person(email), email)
	_, other, _ := s.app(s.person("bob@example.com"), "bob@example.com")
	s.move(30 * time.Second)
	ticket := s.ticket(s.first(email), "totp", "recovery")
	for _, wrong := range []string{"", "pb_x", ticket + "A", ticket[:len(ticket)-1] + "_", token, strings.Replace(ticket, "pb_", "pt_", 1)} {
		if a := s.second(wrong, "totp", s.code(secret, 0)); a.status != 422 {
			t.Fatalf("%q: %d %s", wrong, a.status, a.text)
		}
	}
	s.wants(s.second(ticket, "totp", s.code(other, 0)), 422, "/code secret")
	for range 4 {
		s.wants(s.second(ticket, "totp", "no code"), 422, "/code secret")
	}
	s.wants(s.second(ticket, "totp", s.code(secret, 0)), 422, "/ticket secret")

	s.move(time.Minute)
	ticket = s.ticket(s.first(email), "totp", "recovery")
	s.move(10 * time.Minute)
	s.wants(s.second(ticket, "totp", s.code(secret, 0)), 422, "/ticket secret")

	// A new password ends what was begun with the old one.
	ticket = s.ticket(s.first(email), "totp", "recovery")
	a := s.as(token, http.MethodPost, "password", map[string]any{"old": good, "new": "another horse, another battery"})
	s.wants(a, 204, "")
	s.mail("password-changed", email)
	s.wants(s.second(ticket, "totp", s.code(secret, 0)), 422, "/ticket secret")
	// A ticket is no session.
	s.wants(s.as(ticket, http.MethodGet, "me", nil), 401, "")
}

// OWASP 38: neither a reset nor a code by mail skips the second factor, and nor does what is begun before it is set up.
func TestResetDoesNotSkip38(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	const email, next = "ann@example.com", "another horse, another battery"
	_, secret, _ := s.app(s.person(email), email)
	s.move(30 * time.Second)
	s.post("reset", map[string]any{"email": email})
	a := s.post("reset/confirm", map[string]any{"token": s.mail("reset", email).Token, "password": next})
	s.wants(a, 204, "")
	s.mail("password-changed", email)
	s.ticket(s.post("login", map[string]any{"email": email, "password": next}), "totp", "recovery")

	s.post("code", map[string]any{"email": email})
	code := s.mail("code", email).Code
	a = s.post("code/confirm", map[string]any{"email": email, "code": code, "cookie": true})
	ticket := s.ticket(a, "totp", "recovery")
	if a.header.Get("Set-Cookie") != "" {
		t.Fatal(a.header)
	}
	s.wants(s.post("code/confirm", map[string]any{"email": email, "code": code}), 422, "/code secret")
	a = s.second(ticket, "totp", s.code(secret, 0))
	s.wants(a, 200, "")
	if !strings.HasPrefix(a.header.Get("Set-Cookie"), "__Host-plinth=ps_") { // as the first step has asked for
		t.Fatal(a.header)
	}
}

// SAFETY 66: at most 100 wrong codes one after the other, and the owner is not kept out.
func TestFailures66(t *testing.T) {
	t.Parallel()
	s := behind(t)
	const email = "ann@example.com"
	_, secret, codes := s.app(s.person(email), email) // from 127.0.0.1
	from := func(address string) string {
		a := s.as("", http.MethodPost, "login", map[string]any{"email": email, "password": good}, "X-Forwarded-For", address)
		return s.ticket(a, "totp", "recovery")
	}
	const attacker = "192.0.2.1"
	wrong := 0
	for wrong < 100 {
		s.move(time.Minute)
		for range 2 {
			ticket := from(attacker)
			for range 5 {
				s.wants(s.second(ticket, "totp", "no code", "X-Forwarded-For", attacker), 422, "/code secret")
				wrong++
			}
		}
		// More than ten in a minute are not looked at, from wherever they come.
		a := s.second(from("192.0.2.2"), "totp", s.code(secret, 0), "X-Forwarded-For", "192.0.2.2")
		s.wants(a, 429, "")
	}
	s.mail("factor-blocked", email)
	s.move(time.Minute)
	s.wants(s.second(from(attacker), "totp", s.code(secret, 0), "X-Forwarded-For", attacker), 403, "")
	s.wants(s.second(from("192.0.2.3"), "totp", s.code(secret, 0), "X-Forwarded-For", "192.0.2.3"), 403, "")
	// Elsewhere a recovery code opens, and has the count begin anew.
	s.wants(s.second(from("192.0.2.3"), "recovery", codes[0], "X-Forwarded-For", "192.0.2.3"), 200, "")
	s.mail("recovery-used", email)
	s.wants(s.second(from("192.0.2.4"), "totp", s.code(secret, 0), "X-Forwarded-For", "192.0.2.4"), 200, "")
	// In a minute in which somebody has tried as often as may be, too.
	s.move(time.Minute)
	for range 2 {
		ticket := from(attacker)
		for range 5 {
			s.wants(s.second(ticket, "totp", "no code", "X-Forwarded-For", attacker), 422, "/code secret")
		}
	}
	s.wants(s.second(from("192.0.2.5"), "totp", s.code(secret, 0), "X-Forwarded-For", "192.0.2.5"), 429, "")
	s.wants(s.second(from("192.0.2.5"), "recovery", codes[1], "X-Forwarded-For", "192.0.2.5"), 200, "")
	s.mail("recovery-used", email)
	s.noMail()

	// Where he is signed in nothing of that has touched him.
	t.Run("known", func(t *testing.T) {
		f := s.record("_factors")
		f.set("failed", doc.NewInt(100))
		s.move(time.Minute)
		s.wants(s.second(from("192.0.2.9"), "totp", s.code(secret, 0), "X-Forwarded-For", "192.0.2.9"), 403, "")
		s.wants(s.second(s.ticket(s.first(email), "totp", "recovery"), "totp", s.code(secret, 0)), 200, "")
		s.move(time.Minute)
		s.wants(s.second(from("192.0.2.9"), "totp", s.code(secret, 0), "X-Forwarded-For", "192.0.2.9"), 200, "")
	})
}

// OWASP 44: who changes factors, the address or the password has just signed in or gives the password; with a second factor
// the password alone is not enough.
func TestSure44(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	const email = "ann@example.com"
	token := s.person(email)
	with := func(password string) map[string]any { return map[string]any{"password": password} }
	s.move(10 * time.Minute)
	s.wants(s.as(token, http.MethodPost, "mfa/totp", nil), 422, "/password required")
	s.wants(s.as(token, http.MethodPost, "mfa/totp", with("not the password")), 422, "/password secret")
	s.wants(s.as(token, http.MethodPost, "email", map[string]any{"email": "ann@example.org"}), 422, "/password required")
	s.wants(s.as(token, http.MethodPost, "mfa/totp", with(good)), 200, "")
	s.wants(s.as(token, http.MethodPost, "mfa/totp", map[string]any{"password": good, "x": 1}), 422, "/x unknown")
	s.wants(s.as("", http.MethodPost, "mfa/totp", with(good)), 401, "")

	old := s.login(email, good) // will be a session of one factor
	s.wants(s.as(old, http.MethodPost, "password", map[string]any{"new": "another horse, another battery"}), 422, "/old required")
	s.wants(s.as(old, http.MethodPost, "email", map[string]any{"email": "ann@example.org"}), 202, "") // it has just begun
	s.mail("email-change", "ann@example.org")
	token, secret, _ := s.app(s.login(email, good), email)
	for _, c := range []struct{ method, path string }{{"POST", "mfa/totp"}, {"DELETE", "mfa/totp"}, {"POST", "mfa/recovery"}} {
		a := s.as(old, c.method, c.path, with(good))
		if s.ticket(a, "totp", "recovery"); a.status != 403 {
			t.Fatal(a.status, a.text)
		}
	}
	s.ticket(s.as(old, http.MethodPost, "password", map[string]any{"old": good, "new": "another horse, another battery"}), "totp", "recovery")
	s.ticket(s.as(old, http.MethodPost, "mfa/totp/confirm", map[string]any{"code": s.code(secret, 0)}), "totp", "recovery")

	// It steps up: another session takes its place (SAFETY 9).
	s.move(30 * time.Second)
	a := s.as(old, http.MethodPost, "mfa/step-up", nil)
	s.wants(a, 200, "")
	ticket := s.ticket(a, "totp", "recovery")
	a = s.second(ticket, "totp", s.code(secret, 0))
	s.wants(a, 200, "")
	s.wants(s.as(old, http.MethodGet, "me", nil), 401, "")
	up := a.str("token")
	// What a session has begun that is signed out does not bring it back.
	dead := s.ticket(s.as(up, http.MethodPost, "mfa/step-up", nil), "totp", "recovery")
	s.wants(s.as(up, http.MethodPost, "logout", nil), 204, "")
	s.move(30 * time.Second)
	s.wants(s.second(dead, "totp", s.code(secret, 0)), 401, "")

	// OWASP 43: who removes a factor ends the other sessions.
	s.move(10 * time.Minute)
	s.wants(s.as(token, http.MethodDelete, "mfa/totp", nil), 422, "/password required")
	ticket = s.ticket(s.first(email), "totp", "recovery")
	a = s.second(ticket, "totp", s.code(secret, 0))
	s.wants(s.as(token, http.MethodDelete, "mfa/totp", with(good)), 204, "")
	s.mail("factor-removed", email)
	s.wants(s.as(a.str("token"), http.MethodGet, "me", nil), 401, "")
	if a := s.as(token, http.MethodGet, "mfa", nil); a.text != `{"session":false,"required":false,"totp":false,"passkeys":0,"recovery":0}` {
		t.Fatal(a.text)
	}
	s.login(email, good)
	s.noMail()
}

// Who has no password yet sets one without an old one, if he has just signed in.
func TestFirstPassword(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	token := s.person("ann@example.com")
	s.record("_accounts").set("password", doc.NewNull())
	s.move(10 * time.Minute)
	next := map[string]any{"new": "another horse, another battery"}
	s.wants(s.as(token, http.MethodPost, "password", next), 403, "")
	s.post("code", map[string]any{"email": "ann@example.com"})
	a := s.post("code/confirm", map[string]any{"email": "ann@example.com", "code": s.mail("code", "ann@example.com").Code})
	s.wants(s.as(a.str("token"), http.MethodPost, "password", next), 204, "")
	s.mail("password-changed", "ann@example.com")
	s.login("ann@example.com", next["new"].(string))
}

// A secret waits for its first code for ten minutes, and another takes its place.
func TestSetupEnds(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	token := s.person("ann@example.com")
	confirm := func(code string) answer {
		return s.as(token, http.MethodPost, "mfa/totp/confirm", map[string]any{"code": code})
	}
	s.wants(confirm("000000"), 409, "")
	first := s.as(token, http.MethodPost, "mfa/totp", nil).str("secret")
	second := s.as(token, http.MethodPost, "mfa/totp", nil).str("secret")
	s.wants(confirm(s.code(first, 0)), 422, "/code secret")
	s.move(10 * time.Minute)
	s.wants(confirm(s.code(second, 0)), 409, "")

	token = s.login("ann@example.com", good)
	token, old, _ := s.app(token, "ann@example.com")
	s.move(30 * time.Second)
	changed := s.as(token, http.MethodPost, "mfa/totp", nil)
	// The old one counts until the new one is confirmed.
	s.wants(s.second(s.ticket(s.first("ann@example.com"), "totp", "recovery"), "totp", s.code(old, 0)), 200, "")
	a := confirm(s.code(changed.str("secret"), 0))
	if s.wants(a, 200, ""); a.body["recovery"] != nil { // those that he has are good
		t.Fatal(a.text)
	}
	s.mail("factor-added", "ann@example.com")
	s.move(30 * time.Second)
	s.wants(s.second(s.ticket(s.first("ann@example.com"), "totp", "recovery"), "totp", s.code(old, 0)), 422, "/code secret")
	s.wants(s.second(s.ticket(s.first("ann@example.com"), "totp", "recovery"), "totp", s.code(changed.str("secret"), 0)), 200, "")
}

// Who made the account before the owner of its address has nothing of the factors that he set up: neither do they keep the
// owner out, nor do they let him in.
func TestFactorsRegisteredBefore(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"code", "reset"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := open(t, strings.Replace(strings.Replace(agency, "register: open", "register: open, verify: optional", 1), "name: agency", proxied, 1))
			const email = "ann@example.com"
			s.wants(s.post("register", map[string]any{"email": email, "password": good}), 201, "")
			s.mail("email-change", email)
			token, _, codes := s.app(s.login(email, good), email)
			key := authenticator.New(t, "app.example.com")
			token = s.addPasskey(token, email, key, "his")
			s.move(time.Minute)
			ticket := s.ticket(s.first(email), "passkey", "totp", "recovery")

			s.wants(s.post(way, map[string]any{"email": email}), 202, "")
			next := good
			if way == "code" {
				s.wants(s.post("code/confirm", map[string]any{"email": email, "code": s.mail("code", email).Code}), 200, "")
			} else {
				next = "another horse, another battery"
				s.wants(s.post("reset/confirm", map[string]any{"token": s.mail("reset", email).Token, "password": next}), 204, "")
				s.mail("password-changed", email)
				s.login(email, next)
			}
			s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
			s.wants(s.second(ticket, "recovery", codes[0]), 422, "/ticket secret")
			s.wants(s.signInWith(key, nil), 422, "/credential secret")
			// The owner sets up his own.
			if way == "reset" {
				_, secret, _ := s.app(s.login(email, next), email)
				s.move(30 * time.Second)
				a := s.post("login", map[string]any{"email": email, "password": next})
				s.wants(s.second(s.ticket(a, "totp", "recovery"), "totp", s.code(secret, 0)), 200, "")
			}
		})
	}
}

// Somebody whose role must have a second factor can do nothing without one but set it up.
func TestRequired(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "register: open", "register: open, mfa: {required: [staff]}", 1))
	const email = "ann@example.com"
	token := s.person(email)
	ask := func(token string) (data.Caller, error) {
		r := httptest.NewRequest(http.MethodGet, "/api/users", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		return s.gate.Caller(r)
	}
	if by, err := ask(token); err != nil || by.MFA {
		t.Fatal(by, err) // he is a member
	}
	s.record("users").set("role", doc.NewString("staff"))
	s.move(5 * time.Second)
	if _, err := ask(token); !fault.Is(err, fault.Denied) {
		t.Fatal(err)
	}
	s.wants(s.as(token, http.MethodGet, "me", nil), 200, "")
	token, secret, _ := s.app(token, email)
	if by, err := ask(token); err != nil || !by.MFA || by.Role != "staff" {
		t.Fatal(by, err)
	}
	s.move(30 * time.Second)
	a := s.second(s.ticket(s.first(email), "totp", "recovery"), "totp", s.code(secret, 0))
	if by, err := ask(a.str("token")); err != nil || !by.MFA {
		t.Fatal(by, err)
	}
	s.wants(s.as(token, http.MethodDelete, "mfa/totp", nil), 204, "")
	if _, err := ask(token); !fault.Is(err, fault.Denied) {
		t.Fatal(err)
	}
}

// Each of what is good once is good for one of those who show it at the same time, with one ticket or with many.
func TestFactorsOnce7(t *testing.T) {
	t.Parallel()
	s := behind(t)
	const email = "ann@example.com"
	_, secret, codes := s.app(s.person(email), email)
	race := func(what, method, code string, tickets []string) {
		s.t.Helper()
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 50 {
			wg.Go(func() {
				a := s.second(tickets[i%len(tickets)], method, code, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.status == 200:
					won++
				case a.status != 422 && a.status != 429:
					t.Errorf("%s: %d %s", what, a.status, a.text)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%s: %d won", what, won)
		}
	}
	many := func(n int) (tickets []string) {
		s.move(time.Minute)
		for range n {
			tickets = append(tickets, s.ticket(s.first(email), "totp", "recovery"))
		}
		return tickets
	}
	tickets := many(1)
	race("a ticket", "totp", s.code(secret, 0), tickets)
	tickets = many(10)
	race("a code", "totp", s.code(secret, 0), tickets)
	tickets = many(10)
	race("a recovery code", "recovery", codes[0], tickets)
	s.mail("recovery-used", email)
}

// What is stored of factors is of no use to who reads the database.
func TestFactorsAreSealed(t *testing.T) {
	t.Parallel()
	s := behind(t)
	const email = "ann@example.com"
	token, secret, codes := s.app(s.person(email), email)
	pending := s.as(token, http.MethodPost, "mfa/totp", nil).str("secret")
	ticket := s.ticket(s.first(email), "totp", "recovery")
	for _, c := range []string{"_factors", "_ceremonies", "_tries", "_changes"} {
		for _, secret := range []string{secret, pending, codes[0], strings.ReplaceAll(codes[0], "-", ""), ticket[30:60]} {
			if strings.Contains(s.raw(c), secret) && c != "_factors" { // read here as Plinth reads it
				t.Errorf("%s has a secret", c)
			}
		}
	}
	app := s.db.App()
	for collection, fields := range map[string][]string{"_factors": {"totp", "pending", "codes"}, "_passkeys": {"says"}, "_ceremonies": {"says"}} {
		c, _ := app.Collection(collection)
		for _, name := range fields {
			if f, ok := c.Field(name); !ok || !f.Encrypted {
				t.Errorf("%s.%s is not encrypted", collection, name)
			}
		}
	}
	if strings.Contains(s.raw("_factors"), codes[0]) || strings.Contains(s.raw("_factors"), strings.ReplaceAll(codes[0], "-", "")) {
		t.Error("a recovery code is not hashed")
	}
}

// raw is all that is in a collection.
func (s *site) raw(collection string) string {
	s.t.Helper()
	if _, ok := s.db.App().Collection(collection); !ok {
		return ""
	}
	records, _, err := s.db.Records(s.t.Context(), data.System, &data.ListQuery{Collection: collection, Limit: 500})
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(records)
}

// Who begins twice at the same time has begun.
func TestSetupAtOnce(t *testing.T) {
	t.Parallel()
	s := behind(t)
	token := s.person("ann@example.com")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a := s.as(token, http.MethodPost, "mfa/totp", nil); a.status != 200 && a.status != 503 {
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	wg.Wait()
	s.record("_factors") // it is one
	s.app(token, "ann@example.com")
}
