package auth_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/spec"
)

const ops = "ops@example.com"

// operator adds an operator who sets a password; signed in, without a second factor.
func (s *site) operator(email string) (token string) {
	s.t.Helper()
	w, err := s.gate.AddOperator(s.t.Context(), email)
	if err != nil {
		s.t.Fatal(err)
	}
	s.wants(s.post("operators/reset/confirm", map[string]any{"token": w.Token, "password": good}), 204, "")
	s.mail("password-changed", email)
	a := s.post("operators/login", map[string]any{"email": email, "password": good})
	s.wants(a, 200, "")
	return a.str("token")
}

// withApp sets an authenticator app up for an operator.
func (s *site) withApp(token, email string) (next, secret string) {
	s.t.Helper()
	begun := s.as(token, http.MethodPost, "operators/mfa/totp", nil)
	s.wants(begun, 200, "")
	secret = begun.str("secret")
	a := s.as(token, http.MethodPost, "operators/mfa/totp/confirm", map[string]any{"code": s.code(secret, 0)})
	s.wants(a, 200, "")
	s.mail("factor-added", email)
	return a.str("token"), secret
}

// caller is whom the gate takes the bearer of a token for, as a request for records would be.
func (s *site) caller(token string) (operator bool, scope string, err error) {
	s.t.Helper()
	r, _ := http.NewRequest(http.MethodGet, "/api/users", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header.Set("Authorization", "Bearer "+token)
	by, err := s.gate.Caller(r)
	return by.Operator, by.Scope, err
}

// An operator signs in with a password and a second factor, and passes every rule with both alone; in an app without users as well.
func TestOperatorSignsIn(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{agency, "name: bare\ncollections: {notes: {fields: {text: {type: text}}}}"} {
		s := open(t, yaml)
		token := s.operator(ops)
		if _, _, err := s.caller(token); err == nil || !strings.Contains(err.Error(), "/api/auth/operators/mfa") {
			t.Fatalf("an operator without a second factor is somebody, or is not told where he sets one up: %v", err)
		}
		me := s.as(token, http.MethodGet, "operators/me", nil)
		s.wants(me, 200, "")
		if u, _ := me.body["user"].(map[string]any); u["email"] != ops {
			t.Errorf("me is %s", me.text)
		}
		has := s.as(token, http.MethodGet, "operators/mfa", nil)
		if s.wants(has, 200, ""); has.body["required"] != true {
			t.Errorf("mfa is %s", has.text)
		}
		token, secret := s.withApp(token, ops)
		if op, scope, err := s.caller(token); err != nil || !op || !strings.HasPrefix(scope, "operator:") {
			t.Fatalf("the caller is %v %q %v", op, scope, err)
		}

		s.move(time.Minute)
		first := s.post("operators/login", map[string]any{"email": ops, "password": good})
		if first.status != 401 {
			t.Fatalf("%d %s", first.status, first.text)
		}
		ticket := s.ticket(first, "totp", "recovery")
		again := s.post("operators/mfa", map[string]any{"ticket": ticket, "method": "totp", "code": s.code(secret, 0)})
		s.wants(again, 200, "")
		if op, _, err := s.caller(again.str("token")); err != nil || !op {
			t.Fatalf("the caller is %v %v", op, err)
		}
		s.wants(s.as(again.str("token"), http.MethodPost, "operators/logout", nil), 204, "")
		if _, _, err := s.caller(again.str("token")); err == nil {
			t.Error("who has signed out is still somebody")
		}

		s.move(12 * time.Hour)
		if _, _, err := s.caller(token); err == nil {
			t.Error("a session of an operator is good for more than 12 hours")
		}
	}
}

// A session of an operator that lies idle ends after two hours, and five minutes: not after three, as exactly as the use of a user's is known.
func TestOperatorIdle(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	token, _ := s.withApp(s.operator(ops), ops)
	sessions, _ := s.db.App().Collection("_operator_sessions")
	field, _ := sessions.Field("seen")
	seen := func() int64 { return s.record("_operator_sessions").rec[field.Ord].Int() }
	for range 3 {
		s.move(2 * time.Hour)
		if _, _, err := s.caller(token); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); seen() != s.now().UnixMilli(); {
			if time.Now().After(end) {
				t.Fatal("its use is not noted")
			}
			runtime.Gosched()
		}
	}
	s.move(2*time.Hour + 5*time.Minute)
	if _, _, err := s.caller(token); err == nil {
		t.Error("a session that lay idle is good")
	}
}

// What is a user's lets nobody in as an operator, nor the other way round: tokens, passwords, tickets, keys, cookies.
func TestOperatorsAreApart(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	operator, secret := s.withApp(s.operator(ops), ops)
	user := s.person(ops) // the same address, and the same password
	user, own, _ := s.app(user, ops)

	for _, path := range []string{"me", "sessions", "mfa", "passkeys"} {
		s.wants(s.as(operator, http.MethodGet, path, nil), 403, "")
		s.wants(s.as(user, http.MethodGet, "operators/"+path, nil), 401, "")
		s.wants(s.as("po_"+user[3:], http.MethodGet, "operators/"+path, nil), 401, "")
		s.wants(s.as("ps_"+operator[3:], http.MethodGet, path, nil), 401, "")
		s.wants(s.as("", http.MethodGet, "operators/"+path, nil, "Cookie", "__Host-plinth="+operator), 401, "")
	}
	if op, _, err := s.caller(user); err != nil || op {
		t.Errorf("a user is %v %v", op, err)
	}
	s.wants(s.post("operators/login", map[string]any{"email": ops, "password": good, "cookie": true}), 422, "/cookie unknown")

	s.move(time.Minute)
	ticket := s.ticket(s.first(ops), "totp", "recovery")
	s.wants(s.post("operators/mfa", map[string]any{"ticket": ticket, "method": "totp", "code": s.code(own, 0)}), 422, "/ticket secret")
	theirs := s.ticket(s.post("operators/login", map[string]any{"email": ops, "password": good}), "totp", "recovery")
	s.wants(s.second(theirs, "totp", s.code(secret, 0)), 422, "/ticket secret")

	s.wants(s.post("reset", map[string]any{"email": ops}), 202, "")
	s.wants(s.post("operators/reset/confirm", map[string]any{"token": s.mail("reset", ops).Token, "password": good}), 422, "/token secret")
	w, err := s.gate.ResetOperator(t.Context(), ops, false)
	if err != nil {
		t.Fatal(err)
	}
	s.wants(s.post("reset/confirm", map[string]any{"token": w.Token, "password": good}), 422, "/token secret")
	s.wants(s.as(user, http.MethodGet, "me", nil), 200, "") // his sessions are not the operator's

	_, key, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	s.wants(s.as(key, http.MethodGet, "operators/me", nil), 403, "")
	for _, path := range []string{"register", "reset", "code", "invitations", "anonymous", "email", "oauth/google"} {
		if a := s.post("operators/"+path, map[string]any{"email": ops, "password": good}); a.status != 404 && a.status != 405 {
			t.Errorf("operators/%s: %d %s", path, a.status, a.text)
		}
	}
}

// Whoever is taken off the list, or reset, is out within 5 s, and what he was sent is good for nothing.
func TestOperatorGoes(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	token, _ := s.withApp(s.operator(ops), ops)
	before, err := s.gate.ResetOperator(t.Context(), ops, false)
	if err != nil {
		t.Fatal(err)
	}
	s.move(5 * time.Second)
	if _, _, err := s.caller(token); err == nil {
		t.Fatal("a reset leaves a session")
	}
	s.wants(s.post("operators/login", map[string]any{"email": ops, "password": good}), 401, "")
	w, err := s.gate.ResetOperator(t.Context(), strings.ToUpper(ops), true)
	if err != nil {
		t.Fatal(err)
	}
	s.wants(s.post("operators/reset/confirm", map[string]any{"token": before.Token, "password": good}), 422, "/token secret")
	s.wants(s.post("operators/reset/confirm", map[string]any{"token": w.Token, "password": "short"}), 422, "/password min")
	s.wants(s.post("operators/reset/confirm", map[string]any{"token": w.Token, "password": good}), 204, "")
	s.mail("password-changed", ops)
	a := s.post("operators/login", map[string]any{"email": ops, "password": good})
	s.wants(a, 200, "") // the factor was removed with it
	token, _ = s.withApp(a.str("token"), ops)
	if err := s.gate.RemoveOperator(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	s.move(5 * time.Second)
	if _, _, err := s.caller(token); err == nil {
		t.Error("who was removed is still somebody")
	}
	late, err := s.gate.AddOperator(t.Context(), ops)
	if err != nil {
		t.Fatal(err)
	}
	s.wants(s.as(token, http.MethodGet, "operators/me", nil), 401, "")
	s.move(24 * time.Hour)
	s.wants(s.post("operators/reset/confirm", map[string]any{"token": late.Token, "password": good}), 422, "/token secret")
}

// Nobody comes in by the word of an operator who was taken off the list.
func TestOperatorHadInvited(t *testing.T) {
	t.Parallel()
	s := open(t, firms)
	token, _ := s.withApp(s.operator(ops), ops)
	other, _ := s.withApp(s.operator("other@example.com"), "other@example.com")
	ann := s.member("ann@example.com", "member", "Ann")
	red := s.team(ann, "Red")
	invited := s.invite(token, "eve@example.com", map[string]any{"role": "staff"})
	s.wants(s.as(token, http.MethodPost, "teams/"+red+"/invitations", map[string]any{"email": "eva@example.com", "role": "owner"}), 201, "")
	toTeam := s.mail("invite", "eva@example.com").Token
	stays := s.invite(other, "bob@example.com", map[string]any{"role": "staff"})
	if err := s.gate.RemoveOperator(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{invited, toTeam} {
		s.wants(s.post("invitations/accept", map[string]any{"token": link, "password": good}), 422, "/token secret")
	}
	a := s.post("invitations/accept", map[string]any{"token": stays, "password": good})
	if s.wants(a, 200, ""); a.body["user"].(map[string]any)["role"] != "staff" {
		t.Error(a.text)
	}
}

// The token by which an operator sets his password is good once, however many use it at the same time.
func TestOperatorTokenOnce(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1))
	w, err := s.gate.AddOperator(t.Context(), ops)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for i := range 20 {
		wg.Go(func() {
			a := s.as("", http.MethodPost, "operators/reset/confirm", map[string]any{"token": w.Token, "password": fmt.Sprint(good, i)}, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
			mu.Lock()
			defer mu.Unlock()
			got[a.status]++
		})
	}
	wg.Wait()
	if got[204] != 1 || got[204]+got[422] != 20 {
		t.Errorf("the answers are %v, want one 204 and 422", got)
	}
}

// Guesses at an operator's password are limited as those at a user's are, and counted apart.
func TestOperatorGuesses(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	s.operator(ops)
	s.person(ops)
	for i := range 11 {
		a := s.post("operators/login", map[string]any{"email": ops, "password": "a guess that is wrong"})
		if want := map[bool]int{true: 401, false: 401}[i < 10]; a.status != want && a.status != 429 {
			t.Fatalf("guess %d: %d %s", i, a.status, a.text)
		}
	}
	s.wants(s.first(ops), 200, "") // the user of the same address is not locked out
}

// Whoever guesses at the password of an operator does not keep him out: no mail would let him in, and his sessions are short. Where he has
// signed in with both factors he is counted apart, as long as the password is the same.
func TestOperatorIsLetIn(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1))
	login := func(address, password string) answer {
		return s.as("", http.MethodPost, "operators/login", map[string]any{"email": ops, "password": password}, "X-Forwarded-For", address)
	}
	enter := func(address, secret string) answer {
		t.Helper()
		s.move(time.Minute)
		ticket := s.ticket(login(address, good), "totp", "recovery")
		a := s.as("", http.MethodPost, "operators/mfa", map[string]any{"ticket": ticket, "method": "totp", "code": s.code(secret, 0)}, "X-Forwarded-For", address)
		s.wants(a, 200, "")
		return a
	}
	_, secret := s.withApp(s.operator(ops), ops)
	enter("198.51.100.7", secret)
	s.move(3 * 24 * time.Hour) // his session has ended
	for i := range 100 {
		if i%10 == 0 {
			s.move(time.Minute)
		}
		s.wants(login("192.0.2.1", "a guess that is wrong"), 401, "")
	}
	s.move(time.Minute)
	s.wants(login("192.0.2.2", good), 429, "")
	enter("198.51.100.7", secret)
	for range 10 { // he is no place from which guesses are free
		login("198.51.100.7", "a guess that is wrong")
	}
	s.wants(login("198.51.100.7", good), 429, "")
	w, err := s.gate.ResetOperator(t.Context(), ops, false)
	if err != nil {
		t.Fatal(err)
	}
	s.wants(s.as("", http.MethodPost, "operators/reset/confirm", map[string]any{"token": w.Token, "password": good}, "X-Forwarded-For", "203.0.113.5"), 204, "")
	s.mail("password-changed", ops)
	for i := range 100 {
		if i%10 == 0 {
			s.move(time.Minute)
		}
		login("192.0.2.1", "a guess that is wrong")
	}
	s.move(time.Minute)
	s.wants(login("198.51.100.7", good), 429, "") // whoever was there knew the old password
}

// The log says what happened to operators, without a secret and an address.
func TestOperatorsInTheLog(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	s := openWith(t, agency, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), func(_ *site, _ *spec.App, o *auth.Options) { o.Log = slog.New(slog.NewJSONHandler(&out, nil)) })
	token := s.operator(ops)
	s.post("operators/login", map[string]any{"email": ops, "password": "a guess that is wrong"})
	text := out.String()
	for _, want := range []string{`"event":"password-set","operator":"`, `"event":"signed-in","operator":"`, `"event":"refused","operator":"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %s:\n%s", want, text)
		}
	}
	for _, never := range []string{token, ops, good, `"user":`} {
		if strings.Contains(text, never) {
			t.Errorf("the log has %s:\n%s", never, text)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
