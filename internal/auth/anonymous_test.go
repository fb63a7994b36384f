package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/auth"
)

const shop = `
name: shop
auth: {roles: [member, staff], register: open, anonymous: true}
collections:
  users:
    fields: {name: {type: text, max: 40}, nick: {type: text, unique: true}}
    access: {read: id == auth.id, update: id == auth.id}
  carts:
    fields: {owner: {type: ref, to: users, init: auth.id, onDelete: cascade}}
    access: {read: owner == auth.id, create: auth.signedIn && auth.anonymous}
  orders:
    fields: {owner: {type: ref, to: users, init: auth.id}}
    access: {read: owner == auth.id, create: auth.has("member")}
server: {url: "https://shop.example.com", trustedProxies: [127.0.0.1]}
`

// comeIn makes an anonymous user.
func (s *site) comeIn(body map[string]any) (token, id string) {
	s.t.Helper()
	if body == nil {
		body = map[string]any{}
	}
	a := s.post("anonymous", body)
	s.wants(a, 200, "")
	user := a.body["user"].(map[string]any)
	if user["anonymous"] != true || user["role"] != nil || user["email"] != nil {
		s.t.Fatal(a.text)
	}
	return a.body["token"].(string), user["id"].(string)
}

// by is a user as his session lets him ask.
func (s *site) by(token string) data.Caller {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	by, err := s.gate.Caller(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return by
}

func (s *site) mayCreate(token, collection string) bool {
	s.t.Helper()
	_, err := s.db.Create(s.t.Context(), s.by(token), collection, doc.NewObject(), data.WriteOptions{})
	return err == nil
}

// Somebody comes in without saying who he is, owns what he writes, registers and owns it still, with new sessions.
func TestAnonymous(t *testing.T) {
	t.Parallel()
	s := open(t, shop)
	token, id := s.comeIn(map[string]any{"name": "Guest", "nick": "ann"})
	if !s.mayCreate(token, "carts") || s.mayCreate(token, "orders") {
		t.Fatal("an anonymous user is nobody's member")
	}
	for _, c := range []struct{ name, code string }{{"anonymous", "/anonymous readonly"}, {"role", "/role readonly"}, {"id", "/id readonly"}, {"email", "/email readonly"}, {"password", "/password unknown"}} {
		s.wants(s.post("anonymous", map[string]any{c.name: nil}), 422, c.code)
	}
	for _, patch := range []string{`{"anonymous":false}`, `{"role":"staff"}`, `{"verified":true}`, `{"disabled":true}`, `{"email":"eve@example.com"}`} {
		if _, err := s.db.Update(t.Context(), s.by(token), "users", id, node(t, patch), data.WriteOptions{}); !fault.Is(err, fault.Invalid) {
			t.Error(patch, err)
		}
	}
	// What is for those who have an account is not for him.
	for _, path := range []string{"mfa/totp", "passkeys", "mfa/recovery"} {
		s.wants(s.as(token, http.MethodPost, path, nil), 403, "")
	}
	s.wants(s.as(token, http.MethodPost, "password", map[string]any{"new": good}), 403, "")
	s.wants(s.as(token, http.MethodPost, "email", map[string]any{"email": "eve@example.com"}), 403, "")

	s.wants(s.as(token, http.MethodPost, "register", map[string]any{"email": "ann@example.com", "password": good, "nick": "ann"}), 202, "")
	l := s.mail("verify", "ann@example.com")
	s.wants(s.as(token, http.MethodGet, "me", nil), 200, "")
	s.wants(s.post("verify", map[string]any{"token": l.Token, "password": good}), 204, "")
	s.wants(s.post("verify", map[string]any{"token": l.Token, "password": good}), 422, "/token secret")
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
	token = s.login("ann@example.com", good)
	me := s.as(token, http.MethodGet, "me", nil).body["user"].(map[string]any)
	if me["id"] != id || me["anonymous"] != false || me["role"] != "member" || me["verified"] != true || me["name"] != "Guest" || me["nick"] != "ann" {
		t.Fatal(me)
	}
	if s.mayCreate(token, "carts") || !s.mayCreate(token, "orders") || s.count("carts") != 1 {
		t.Error("he is not who he has become")
	}
}

// An address that has an account is not given to an anonymous user, who learns nothing; and the link of a registration is dead
// when he has become somebody by another.
func TestAnonymousRegisters(t *testing.T) {
	t.Parallel()
	s := open(t, shop)
	s.person("ann@example.com")
	token, id := s.comeIn(nil)
	register := func(email string) {
		s.wants(s.as(token, http.MethodPost, "register", map[string]any{"email": email, "password": "another horse that is correct"}), 202, "")
	}
	register("ann@example.com")
	s.mail("taken", "ann@example.com")
	register("one@example.com")
	one := s.mail("verify", "one@example.com").Token
	register("two@example.com")
	two := s.mail("verify", "two@example.com").Token
	s.wants(s.post("verify", map[string]any{"token": two, "password": "another horse that is correct"}), 204, "")
	s.wants(s.post("verify", map[string]any{"token": one, "password": "another horse that is correct"}), 422, "/token secret")
	if s.idOf("two@example.com") != id || s.count("users") != 2 {
		t.Error("it is another user")
	}
	s.login("ann@example.com", good)
	s.wants(s.as(token, http.MethodPost, "register", map[string]any{"email": "x@example.com", "password": good}), 401, "")
}

// He accepts an invitation, and keeps his id and what is his; with a token that is wrong he stays who he is. Whose address has an account
// already, that was never confirmed, is that one, and the guest stays a guest.
func TestAnonymousIsInvited(t *testing.T) {
	t.Parallel()
	s := open(t, shop)
	_, root, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	token, id := s.comeIn(map[string]any{"nick": "ann"})
	if !s.mayCreate(token, "carts") {
		t.Fatal("a guest has no cart")
	}
	accept := func(link string) answer {
		return s.as(token, http.MethodPost, "invitations/accept", map[string]any{"token": link, "password": good, "nick": "ann"})
	}
	s.wants(accept("pt_x"), 422, "/token secret")
	s.wants(s.as(token, http.MethodGet, "me", nil), 200, "")
	link := s.invite(root, "ann@example.com", map[string]any{"role": "staff"})
	a := accept(link)
	s.wants(a, 200, "")
	if u := a.body["user"].(map[string]any); u["id"] != id || u["role"] != "staff" || u["anonymous"] != false || u["verified"] != true || u["email"] != "ann@example.com" {
		t.Fatal(a.text)
	}
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
	if s.wants(s.as(a.str("token"), http.MethodGet, "me", nil), 200, ""); s.count("users") != 1 || s.count("carts") != 1 {
		t.Error("he is another")
	}
	s.login("ann@example.com", good)

	s.create("users", `{"email":"bob@example.com","nick":"bob"}`)
	token, id = s.comeIn(nil)
	link = s.invite(root, "bob@example.com", nil)
	a = s.as(token, http.MethodPost, "invitations/accept", map[string]any{"token": link, "password": good})
	if s.wants(a, 200, ""); a.body["user"].(map[string]any)["id"] == id || a.body["user"].(map[string]any)["nick"] != "bob" {
		t.Error(a.text)
	}
	s.wants(s.as(token, http.MethodGet, "me", nil), 200, "")
}

// A cookie of a session that has ended keeps nobody from registering, or from accepting an invitation: the page that asks cannot drop it.
func TestAnonymousLongAgo(t *testing.T) {
	t.Parallel()
	s := open(t, shop)
	token, _ := s.comeIn(nil)
	cookie := "__Host-plinth=" + token
	s.wants(s.as(token, http.MethodPost, "logout", nil), 204, "")
	s.wants(s.as("", http.MethodGet, "me", nil, "Cookie", cookie), 401, "")
	_, root, err := s.gate.AddKey(t.Context(), auth.KeyOptions{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	link := s.invite(root, "ann@example.com", nil)
	s.wants(s.as("", http.MethodPost, "invitations/accept", map[string]any{"token": link, "password": good}, "Cookie", cookie), 200, "")
	s.wants(s.as("", http.MethodPost, "register", map[string]any{"email": "bob@example.com", "password": good}, "Cookie", cookie), 202, "")
	s.mail("verify", "bob@example.com")
}

// Where an address need not be verified he is somebody at once, and what he had is signed out.
func TestAnonymousUnverified(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(shop, "register: open", "register: open, verify: optional", 1))
	token, id := s.comeIn(nil)
	a := s.as(token, http.MethodPost, "register", map[string]any{"email": "ann@example.com", "password": good})
	if s.wants(a, 201, ""); a.body["user"].(map[string]any)["id"] != id {
		t.Fatal(a.text)
	}
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
	s.wants(s.post("verify", map[string]any{"token": s.mail("email-change", "ann@example.com").Token, "password": good}), 204, "")
	s.login("ann@example.com", good)
}

// Not too many come in from one place, and none where the app does not ask for them.
func TestAnonymousLimit(t *testing.T) {
	t.Parallel()
	s := open(t, shop)
	from := func(address string) answer {
		return s.as("", http.MethodPost, "anonymous", nil, "X-Forwarded-For", address)
	}
	for range 30 {
		s.wants(from("192.0.2.1"), 200, "")
	}
	s.wants(from("192.0.2.1"), 429, "")
	s.wants(from("192.0.2.2"), 200, "")
	if n := s.count("users"); n != 31 {
		t.Error(n)
	}
	s.wants(open(t, agency).post("anonymous", nil), 403, "")
}

// Who was not seen for long is removed with what is his, unless something stays that refers to him; who is somebody stays.
func TestAnonymousSweep(t *testing.T) {
	t.Parallel()
	s := open(t, shop)
	_, gone := s.comeIn(nil)
	s.create("carts", fmt.Sprintf(`{"owner":%q}`, gone))
	_, kept := s.comeIn(nil)
	s.create("orders", fmt.Sprintf(`{"owner":%q}`, kept))
	s.person("ann@example.com")
	s.move(20 * 24 * time.Hour)
	seen, _ := s.comeIn(nil)
	s.move(10*24*time.Hour + 30*time.Minute)
	if err := s.gate.Sweep(t.Context()); err != nil || s.count("users") != 4 {
		t.Fatal(err, s.count("users"))
	}
	s.move(2 * time.Hour)
	if err := s.gate.Sweep(t.Context()); err != nil || s.count("users") != 3 || s.count("carts") != 0 || s.count("orders") != 1 {
		t.Fatal(err, s.count("users"), s.count("carts"), s.count("orders"))
	}
	s.wants(s.as(seen, http.MethodGet, "me", nil), 200, "")
	// He deletes himself with nothing but the session.
	s.wants(s.as(seen, http.MethodDelete, "me", nil), 204, "")
	s.wants(s.as(seen, http.MethodGet, "me", nil), 401, "")
}
