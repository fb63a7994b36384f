package auth_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/test/authenticator"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func options(a answer) map[string]any {
	o, _ := a.body["options"].(map[string]any)
	return o
}

// addPasskey gives somebody who is signed in a passkey; he is then signed in anew.
func (s *site) addPasskey(token, email string, key *authenticator.Authenticator, name string) string {
	s.t.Helper()
	begun := s.as(token, http.MethodPost, "passkeys", nil)
	s.wants(begun, 200, "")
	a := s.as(token, http.MethodPost, "passkeys/confirm", map[string]any{"ceremony": begun.str("ceremony"), "name": name, "credential": key.Create(options(begun))})
	s.wants(a, 200, "")
	if l := s.mail("factor-added", email); l.Passkey != name {
		s.t.Fatal(l)
	}
	return a.str("token")
}

// signInWith shows a passkey, alone or with a ticket.
func (s *site) signInWith(key *authenticator.Authenticator, body any) answer {
	s.t.Helper()
	begun := s.as("", http.MethodPost, "passkeys/login", body)
	s.wants(begun, 200, "")
	return s.post("passkeys/login/confirm", map[string]any{"ceremony": begun.str("ceremony"), "credential": key.Get(options(begun))})
}

func TestPasskeys(t *testing.T) {
	t.Parallel()
	s := behind(t)
	const email = "ann@example.com"
	token := s.person(email)
	begun := s.as(token, http.MethodPost, "passkeys", nil)
	s.wants(begun, 200, "")
	o := options(begun)
	selection, _ := o["authenticatorSelection"].(map[string]any)
	if o["rp"].(map[string]any)["id"] != "app.example.com" || selection["residentKey"] != "required" || selection["userVerification"] != "required" || o["attestation"] != "none" {
		t.Fatal(begun.text)
	}
	key := authenticator.New(t, "app.example.com")
	a := s.as(token, http.MethodPost, "passkeys/confirm", map[string]any{"ceremony": begun.str("ceremony"), "name": "my phone", "credential": key.Create(o)})
	s.wants(a, 200, "")
	s.mail("factor-added", email)
	codes := a.list("recovery")
	made, _ := a.body["passkey"].(map[string]any)
	if len(codes) != 10 || made["name"] != "my phone" || made["used"] != nil || made["synced"] != true {
		t.Fatal(a.text)
	}
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
	token = a.str("token")

	// Alone.
	in := s.signInWith(key, nil)
	s.wants(in, 200, "")
	if in.body["user"].(map[string]any)["email"] != email {
		t.Fatal(in.text)
	}
	if has := s.as(in.str("token"), http.MethodGet, "mfa", nil); has.body["session"] != true {
		t.Fatal(has.text)
	}
	// As the second factor.
	ticket := s.ticket(s.first(email), "passkey", "recovery")
	in = s.signInWith(key, map[string]any{"ticket": ticket})
	s.wants(in, 200, "")
	s.wants(s.as("", http.MethodPost, "passkeys/login", map[string]any{"ticket": ticket}), 422, "/ticket secret")
	s.wants(s.second(ticket, "recovery", codes[0]), 422, "/ticket secret")
	// To step up.
	up := s.as(token, http.MethodPost, "mfa/step-up", nil)
	in = s.signInWith(key, map[string]any{"ticket": s.ticket(up, "passkey", "recovery")})
	s.wants(in, 200, "")
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
	token = in.str("token")

	// A cookie, where one is wanted.
	asked := s.as("", http.MethodPost, "passkeys/login", nil)
	in = s.post("passkeys/login/confirm", map[string]any{"ceremony": asked.str("ceremony"), "credential": key.Get(options(asked)), "cookie": true})
	if s.wants(in, 200, ""); !strings.HasPrefix(in.header.Get("Set-Cookie"), "__Host-plinth=ps_") {
		t.Fatal(in.header)
	}

	list := s.as(token, http.MethodGet, "passkeys", nil)
	s.wants(list, 200, "")
	item := list.body["items"].([]any)[0].(map[string]any)
	id := item["id"].(string)
	if item["used"] == nil || id != made["id"] {
		t.Fatal(list.text)
	}
	s.wants(s.as(token, http.MethodPatch, "passkeys/"+id, map[string]any{"name": strings.Repeat("x", 61)}), 422, "/name max")
	s.wants(s.as(token, http.MethodPatch, "passkeys/"+id, map[string]any{"name": " "}), 422, "/name required")
	if a := s.as(token, http.MethodPatch, "passkeys/"+id, map[string]any{"name": "old phone"}); a.str("name") != "old phone" {
		t.Fatal(a.text)
	}
	// Another's are not there.
	other := s.person("bob@example.com")
	s.wants(s.as(other, http.MethodPatch, "passkeys/"+id, map[string]any{"name": "mine"}), 404, "")
	s.wants(s.as(other, http.MethodDelete, "passkeys/"+id, nil), 404, "")
	if list := s.as(other, http.MethodGet, "passkeys", nil); list.text != `{"items":[]}` {
		t.Fatal(list.text)
	}
	s.wants(s.as("", http.MethodGet, "passkeys", nil), 401, "")

	// Two of them: the exclusion names what is there, and one that is somebody's is nobody else's.
	second := authenticator.New(t, "app.example.com")
	begun = s.as(token, http.MethodPost, "passkeys", nil)
	if excluded := options(begun)["excludeCredentials"].([]any); len(excluded) != 1 || excluded[0].(map[string]any)["id"] != b64(key.ID) {
		t.Fatal(begun.text)
	}
	token = s.addPasskey(token, email, second, "key")
	begun = s.as(other, http.MethodPost, "passkeys", nil)
	s.wants(s.as(other, http.MethodPost, "passkeys/confirm", map[string]any{"ceremony": begun.str("ceremony"), "credential": second.Create(options(begun))}), 409, "")

	// OWASP 43: the removed one opens nothing, and the sessions elsewhere end.
	elsewhere := s.signInWith(key, nil).str("token")
	second.Handle = key.Handle
	s.wants(s.as(token, http.MethodDelete, "passkeys/"+id, nil), 204, "")
	if l := s.mail("factor-removed", email); l.Passkey != "old phone" {
		t.Fatal(l)
	}
	s.wants(s.as(elsewhere, http.MethodGet, "me", nil), 401, "")
	s.wants(s.signInWith(key, nil), 422, "/credential secret")
	s.wants(s.signInWith(second, nil), 200, "")
	if has := s.as(token, http.MethodGet, "mfa", nil); has.text != `{"session":true,"required":false,"totp":false,"passkeys":1,"recovery":10}` {
		t.Fatal(has.text)
	}
	s.noMail()
}

// What a passkey must not be believed for (WebAuthn level 3, 7.1 and 7.2).
func TestHostilePasskeys39(t *testing.T) {
	t.Parallel()
	s := behind(t)
	const email = "ann@example.com"
	key := authenticator.New(t, "app.example.com")
	key.Count = 7
	token := s.addPasskey(s.person(email), email, key, "ann's")
	others := authenticator.New(t, "app.example.com")
	s.addPasskey(s.person("bob@example.com"), "bob@example.com", others, "bob's")
	stranger := authenticator.New(t, "app.example.com")

	flip := func(sig []byte) []byte { sig[len(sig)-1] ^= 1; return sig }
	cases := map[string]authenticator.Wrong{
		"origin":            {Origin: "https://app.example.com.evil.example"},
		"origin, http":      {Origin: "http://app.example.com"},
		"origin, port":      {Origin: "https://app.example.com:8443"},
		"origin, sub":       {Origin: "https://x.app.example.com"},
		"rp":                {RP: "evil.example"},
		"challenge":         {Challenge: b64(make([]byte, 32))},
		"type":              {Type: "webauthn.create"},
		"user not present":  {Drop: authenticator.UserPresent},
		"user not verified": {Drop: authenticator.UserVerified},
		"backed, not to be": {Drop: authenticator.Eligible},
		"never backed":      {Drop: authenticator.Eligible | authenticator.BackedUp},
		"signature":         {Signature: flip},
		"no signature":      {Signature: func([]byte) []byte { return []byte{} }},
		"another's key":     {Key: others.Key},
		"another's id":      {ID: others.ID},
		"another's handle":  {Handle: others.Handle},
		"no handle":         {Handle: []byte{}},
		"a long handle":     {Handle: bytes.Repeat([]byte{7}, 64)},
		"unknown":           {ID: stranger.ID, Key: stranger.Key},
		"cross origin":      {CrossOrigin: true, TopOrigin: "https://evil.example"},
	}
	for name, w := range cases {
		for _, with := range []string{"alone", "ticket"} {
			if with == "ticket" && name == "no handle" {
				continue // it need not be there when it is known who is asked
			}
			s.move(time.Minute)
			var body any
			if with == "ticket" {
				body = map[string]any{"ticket": s.ticket(s.first(email), "passkey", "recovery")}
			}
			key.Count++
			key.Wrong = w
			a := s.signInWith(key, body)
			key.Wrong = authenticator.Wrong{}
			if a.status != 422 || a.code() != "/credential secret" {
				t.Errorf("%s, %s: %d %s", name, with, a.status, a.text)
			}
		}
	}
	key.Count++
	s.wants(s.signInWith(key, nil), 200, "")

	// The counter does not go back, nor stand still: it would be a copy's.
	for _, count := range []uint32{key.Count, key.Count - 1, 1, 0} {
		key.Count = count
		s.wants(s.signInWith(key, nil), 422, "/credential secret")
	}
	key.Count = 1000
	s.wants(s.signInWith(key, nil), 200, "")

	// A challenge is good for one answer, right or wrong, for five minutes.
	key.Count++
	begun := s.as("", http.MethodPost, "passkeys/login", nil)
	replayed := map[string]any{"ceremony": begun.str("ceremony"), "credential": key.Get(options(begun))}
	s.wants(s.post("passkeys/login/confirm", replayed), 200, "")
	s.wants(s.post("passkeys/login/confirm", replayed), 422, "/ceremony secret")
	fresh := s.as("", http.MethodPost, "passkeys/login", nil)
	replayed["ceremony"] = fresh.str("ceremony") // an answer to another challenge
	s.wants(s.post("passkeys/login/confirm", replayed), 422, "/credential secret")
	key.Count++
	right := map[string]any{"ceremony": fresh.str("ceremony"), "credential": key.Get(options(fresh))}
	s.wants(s.post("passkeys/login/confirm", right), 422, "/ceremony secret")
	late := s.as("", http.MethodPost, "passkeys/login", nil)
	s.move(5 * time.Minute)
	s.wants(s.post("passkeys/login/confirm", map[string]any{"ceremony": late.str("ceremony"), "credential": key.Get(options(late))}), 422, "/ceremony secret")

	// With somebody's ticket another's passkey is none, and the ceremony of one thing is not another's.
	ticket := s.ticket(s.first(email), "passkey", "recovery")
	s.wants(s.signInWith(others, map[string]any{"ticket": ticket}), 422, "/credential secret")
	reg := s.as(token, http.MethodPost, "passkeys", map[string]any{"password": good})
	s.wants(reg, 200, "")
	key.Count++
	s.wants(s.post("passkeys/login/confirm", map[string]any{"ceremony": reg.str("ceremony"), "credential": key.Get(options(reg))}), 422, "/ceremony secret")
	s.wants(s.post("passkeys/login/confirm", map[string]any{"ceremony": ticket, "credential": key.Get(options(reg))}), 422, "/ceremony secret")
	s.wants(s.second(reg.str("ceremony"), "recovery", "x"), 422, "/ticket secret")
	for _, credential := range []any{nil, "x", map[string]any{}, map[string]any{"id": "x", "rawId": 1}, map[string]any{"id": strings.Repeat("A", 4000), "type": "public-key", "response": map[string]any{}}} {
		fresh := s.as("", http.MethodPost, "passkeys/login", nil)
		if a := s.post("passkeys/login/confirm", map[string]any{"ceremony": fresh.str("ceremony"), "credential": credential}); a.status != 422 {
			t.Errorf("%v: %d %s", credential, a.status, a.text)
		}
	}

	// A new passkey is held to the same.
	for name, w := range map[string]authenticator.Wrong{
		"origin": {Origin: "https://evil.example"}, "rp": {RP: "evil.example"}, "challenge": {Challenge: b64(make([]byte, 32))}, "type": {Type: "webauthn.get"},
		"user not present": {Drop: authenticator.UserPresent}, "user not verified": {Drop: authenticator.UserVerified}, "backed, not to be": {Drop: authenticator.Eligible}, "no key": {Drop: authenticator.Attested},
	} {
		s.move(time.Minute)
		fresh := authenticator.New(t, "app.example.com")
		fresh.Wrong = w
		begun := s.as(token, http.MethodPost, "passkeys", map[string]any{"password": good})
		a := s.as(token, http.MethodPost, "passkeys/confirm", map[string]any{"ceremony": begun.str("ceremony"), "credential": fresh.Create(options(begun))})
		if a.status != 422 || a.code() != "/credential secret" {
			t.Errorf("new, %s: %d %s", name, a.status, a.text)
		}
	}
	// It is made by the session that has begun it.
	s.move(time.Minute)
	key.Count++
	another := s.signInWith(key, nil).str("token")
	begun = s.as(token, http.MethodPost, "passkeys", map[string]any{"password": good})
	made := stranger.Create(options(begun))
	s.wants(s.as(another, http.MethodPost, "passkeys/confirm", map[string]any{"ceremony": begun.str("ceremony"), "credential": made}), 422, "/ceremony secret")
	s.noMail()
}

// One answer signs in once, of however many who send it at the same time.
func TestPasskeyOnce7(t *testing.T) {
	t.Parallel()
	s := behind(t)
	key := authenticator.New(t, "app.example.com")
	s.addPasskey(s.person("ann@example.com"), "ann@example.com", key, "x")
	begun := s.as("", http.MethodPost, "passkeys/login", nil)
	body := map[string]any{"ceremony": begun.str("ceremony"), "credential": key.Get(options(begun))}
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 50 {
		wg.Go(func() {
			a := s.as("", http.MethodPost, "passkeys/login/confirm", body, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
			mu.Lock()
			defer mu.Unlock()
			if a.status == 200 {
				won++
			} else if a.status != 422 {
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

// Nobody learns who has an account, or a passkey: without a ticket the options are the same for everybody, and of what is wrong
// nothing is told.
func TestPasskeysTellNothing(t *testing.T) {
	t.Parallel()
	s := behind(t)
	key := authenticator.New(t, "app.example.com")
	s.addPasskey(s.person("ann@example.com"), "ann@example.com", key, "x")
	shape := func(a answer) string {
		o := options(a)
		delete(o, "challenge")
		return fmt.Sprint(o)
	}
	one, two := s.as("", http.MethodPost, "passkeys/login", nil), s.as("", http.MethodPost, "passkeys/login", map[string]any{})
	if one.status != 200 || shape(one) != shape(two) || options(one)["allowCredentials"] != nil {
		t.Fatal(one.text, two.text)
	}
	detail := func(a answer) string { return fmt.Sprint(a.status, a.body["detail"], a.body["errors"]) }
	key.Wrong.Key = authenticator.New(t, "x").Key
	known := s.signInWith(key, nil)
	stranger := authenticator.New(t, "app.example.com")
	stranger.Handle = bytes.Repeat([]byte{1}, 16)
	unknown := s.signInWith(stranger, nil)
	if detail(known) != detail(unknown) {
		t.Fatal(known.text, unknown.text)
	}
}

// Without a domain there are no passkeys, which is said with its remedy; with --dev there are at localhost.
func TestPasskeysNeedADomain(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	a := s.post("passkeys/login", nil)
	if s.wants(a, 501, ""); !strings.Contains(a.text, "server.url") || a.body["capability"] != "passkeys" {
		t.Fatal(a.text)
	}
	s = open(t, strings.Replace(strings.Replace(agency, "name: agency", "name: agency\nserver: {url: https://app.example.com}", 1),
		"register: open", "register: open, passkeys: {domain: example.com, origins: ['https://www.example.com']}", 1))
	key := authenticator.New(t, "example.com")
	key.Origin = "https://www.example.com"
	s.addPasskey(s.person("ann@example.com"), "ann@example.com", key, "x")
	key.Origin = "https://app.example.com"
	s.wants(s.signInWith(key, nil), 200, "")
	key.Origin = "https://other.example.com"
	s.wants(s.signInWith(key, nil), 422, "/credential secret")
}
