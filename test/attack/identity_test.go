package attack_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/bluell/plinth"
)

// people is an app whose users see each other, and change themselves.
const people = `
name: people
auth: {roles: [member, staff, admin], register: open, verify: optional, roleBy: 'auth.has("admin")'}
collections:
  users:
    label: name
    fields:
      name: {type: text, max: 100}
      boss: {type: ref, to: users, inverse: team}
    access: {read: true, create: true, update: id == auth.id, delete: id == auth.id}
  posts:
    fields:
      title:  {type: text}
      author: {type: ref, to: users, init: auth.id, inverse: posts, onDelete: cascade}
      likers: {type: list, of: ref, to: users}
    access: {read: true, create: auth.signedIn, update: author == auth.id}
`

const strong = "a horse that is correct"

// join makes a user and signs him in; his token is known by his name.
func (a *target) join(name string) (id string) {
	a.t.Helper()
	address := name + "@example.com"
	got := a.ask("", "POST", "/api/auth/register", `{"email":"`+address+`","password":"`+strong+`","name":"`+name+`"}`)
	a.expect(got, "register", 201)
	got = a.ask("", "POST", "/api/auth/login", `{"email":"`+address+`","password":"`+strong+`"}`)
	a.expect(got, "login", 200)
	a.keys[name] = got.text("token")
	return got.json()["user"].(map[string]any)["id"].(string)
}

// TestUsersTellNothing: lessons 11 and 16, OWASP 4 and 5. What sign-in adds to users is seen and changed by nobody else,
// whatever is asked, nor does an answer depend on it.
func TestUsersTellNothing(t *testing.T) {
	t.Parallel()
	a := open(t, people)
	ann, bob := a.join("ann"), a.join("bob")
	post := a.made("bob", "posts", `{"title":"hello","likers":["`+bob+`"]}`)
	a.made("ann", "posts", `{"title":"other"}`)
	a.expect(a.ask("ann", "PATCH", "/api/users/"+ann, `{"boss":"`+bob+`"}`), "boss", 200)

	ask := func(by, path string) answer { return a.ask(by, "GET", path, "") }
	for _, by := range []string{"", "ann", "member", "staff", "admin"} {
		for _, path := range []string{"/api/users", "/api/users/" + bob, "/api/users/by/email/bob@example.com", "/api/posts?expand=author", "/api/posts?expand=likers", "/api/users?expand=team,boss,posts",
			"/api/posts/" + post + "?expand=author(expand=boss)", "/api/users?group=email&aggregate=count", "/api/users?aggregate=min(email)", "/api/users?sort=email", "/api/users?sort=-role",
			"/api/users?fields=email", "/api/posts?sort=author.email", "/api/users?search=bob"} {
			got := ask(by, path)
			if contains(got.body, "bob@example.com") && !strings.Contains(path, "by/email") {
				t.Errorf("%q is told the address of bob: %s %s", by, path, got.body)
			}
			if got.status == 200 && strings.Contains(path, "by/email") {
				t.Errorf("%q finds bob by his address: %s", by, got.body)
			}
			if contains(got.body, "argon2") || contains(got.body, `"password"`) || contains(got.body, `"epoch"`) {
				t.Errorf("%q sees what is stored of a password: %s", by, path)
			}
		}
		for _, form := range []string{`email == "VALUE"`, `email != "VALUE"`, `email.startsWith("VALUE")`, `email >= "VALUE"`, `email in ["VALUE"]`, `team.exists(t, t.email == "VALUE")`, `boss.email == "VALUE"`,
			`posts.exists(p, p.author.email == "VALUE")`, `email == "VALUE" || email == null`} {
			right, wrong := ask(by, "/api/users"+query("count", "exact", "filter", `id == "`+bob+`" && (`+strings.ReplaceAll(form, "VALUE", "bob@example.com")+")")),
				ask(by, "/api/users"+query("count", "exact", "filter", `id == "`+bob+`" && (`+strings.ReplaceAll(form, "VALUE", "aaa@example.com")+")"))
			if right.essence() != wrong.essence() || right.status != wrong.status {
				t.Errorf("%q learns from %s: %s, %s", by, form, right.body, wrong.body)
			}
		}
		for _, name := range []string{"role", "verified"} {
			for _, form := range []string{`NAME == null`, `NAME != null`} {
				got := ask(by, "/api/users"+query("fields", "id", "filter", strings.ReplaceAll(form, "NAME", name)))
				if form == "NAME != null" && contains(got.body, bob) {
					t.Errorf("%q: %s is told of bob: %s", by, name, got.body)
				}
			}
		}
		for _, p := range []string{"_accounts", "_sessions", "_proofs", "_tries", "_keys", "_jobs", "_operators"} {
			a.expect(ask(by, "/api/"+p), p, 404)
			a.expect(a.ask(by, "POST", "/api/batch", `{"operations":[{"op":"delete","collection":"`+p+`","id":"`+bob+`"}]}`), p, 404, 422, 400)
			got := ask(by, "/api/users"+query("filter", p+".exists(x, true)"))
			a.expect(got, p, 400)
		}
	}

	// Nobody but who is named by roleBy makes somebody more than he is.
	for _, field := range []string{`"role":"admin"`, `"verified":true`, `"email":"mallory@example.com"`, `"password":"x"`, `"disabled":false`, `"Role":"admin"`} {
		body := `{` + field + `}`
		a.expect(a.ask("bob", "PATCH", "/api/users/"+bob, body), "patch "+field, 422, 400)
		a.expect(a.ask("bob", "PUT", "/api/users/"+bob, body), "put "+field, 422, 400)
		a.expect(a.ask("bob", "POST", "/api/users", body), "create "+field, 422, 400, 401, 403)
		a.expect(a.ask("bob", "POST", "/api/batch", `{"operations":[{"op":"update","collection":"users","id":"`+bob+`","body":`+body+`}]}`), "batch "+field, 422, 400)
		a.expect(a.ask("", "POST", "/api/auth/register", `{"email":"c@example.com","password":"`+strong+`",`+field+`}`), "register "+field, 422, 400)
	}
	a.expect(a.ask("ann", "PATCH", "/api/users/"+bob, `{"name":"x"}`), "another's record", 403, 404)
	a.expect(a.ask("admin", "PATCH", "/api/users/"+bob, `{"role":"staff"}`), "an admin who may not update", 403, 404)
	me := a.ask("bob", "GET", "/api/auth/me", "").json()["user"].(map[string]any)
	if me["role"] != "member" || me["verified"] != false || me["email"] != "bob@example.com" {
		t.Errorf("bob is %v", me)
	}
}

// TestSignedOutIsOut: lesson 15. Who has signed out, or removed himself, is nobody, on every route.
func TestSignedOutIsOut(t *testing.T) {
	t.Parallel()
	a := open(t, people)
	ann := a.join("ann")
	bob := a.join("bob")
	a.expect(a.ask("ann", "POST", "/api/auth/logout", ""), "logout", 204)
	a.expect(a.ask("bob", "DELETE", "/api/users/"+bob, ""), "delete", 204)
	a.expect(a.ask("bob", "GET", "/api/auth/me", ""), "me", 401)
	for _, path := range []string{"/api/users", "/api/auth/sessions", "/api/posts", "/api/live?subscribe=posts", "/api/openapi.json"} {
		a.expect(a.ask("ann", "GET", path, ""), path, 401)
	}
	a.expect(a.ask("ann", "PATCH", "/api/users/"+ann, `{"name":"x"}`), "patch", 401)
	// His address is free again, and who takes it has nothing of his.
	if again := a.join("bob"); again == bob {
		t.Error("somebody else has his id")
	}
}

// TestLogsNameNobody: OWASP 51. Nothing that somebody signs in with, and no address, is in the log, however it was sent.
func TestLogsNameNobody(t *testing.T) {
	t.Parallel()
	var log buffer
	dir := t.TempDir()
	put(t, dir, "plinth.yaml", people)
	p, err := plinth.Open(t.Context(), dir, plinth.WithKey(bytes.Repeat([]byte("k"), 32)), on(t, dir),
		plinth.WithLog(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	a := &target{t: t, app: p, http: p.Handler(), keys: map[string]string{"": ""}}
	a.join("ann")
	for path, body := range map[string]string{
		"register":                        `{"email":"ann@example.com","password":"` + strong + `"}`,
		"login":                           `{"email":"ann@example.com","password":"` + strong + `"`,
		"login?password=" + strong[:7]:    `{"email":"ann@example.com","password":"` + strong + `","password":"` + strong + `"}`,
		"code/confirm":                    `{"email":"ann@example.com","code":"12345678"}`,
		"reset/confirm":                   `{"token":"` + a.keys["ann"] + `","password":"` + strong + `"}`,
		"password":                        `{"old":"` + strong + `x","new":"` + strong + `"}`,
		"login\r\nlevel=ERROR msg=forged": `{}`,
	} {
		a.ask("ann", "POST", "/api/auth/"+url.PathEscape(path), body, "User-Agent", "a\nlevel=ERROR msg=forged")
		a.ask("ann", "POST", "/api/auth/"+strings.ReplaceAll(strings.ReplaceAll(path, " ", "+"), "\r\n", ""), body)
	}
	text := log.String()
	if !strings.Contains(text, "/api/auth/login") {
		t.Fatalf("nothing is logged: %s", text)
	}
	for _, secret := range []string{"a horse", "ann@", "12345678", a.keys["ann"], a.keys["ann"][10:40], "\nlevel=ERROR msg=forged"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// buffer is a log that several goroutines write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
