package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/jobs"
	"github.com/bluell/plinth/internal/password"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

const agency = `
name: agency
auth: {roles: [member, staff], register: open}
collections:
  users:
    fields:
      name: {type: text, max: 40}
      nick: {type: text, unique: true}
      rank: {type: int, write: auth.has("staff")}
    access: {read: id == auth.id || auth.has("staff"), update: id == auth.id}
`

var key = []byte("a secret of the tests, which is long enough")

// site is an app whose people can sign in, and the mails that it has sent.
type site struct {
	t     *testing.T
	db    *data.DB
	gate  *auth.Gate
	url   string
	mails chan auth.Letter
	now   func() time.Time
	move  func(time.Duration)
}

// byJob sends letters to the test when the transaction that they were written in is committed.
type byJob struct{}

func (byJob) Post(tx *data.Tx, l auth.Letter) error {
	_, err := tx.Enqueue(data.NewJob{Kind: "letter", Payload: l})
	return err
}

type passwords struct{ *password.Hasher }

func (passwords) Check(p string, least int, context ...string) error {
	return password.Check(p, least, context...)
}

func open(t *testing.T, yaml string, around ...func(driver.Engine) driver.Engine) *site {
	t.Helper()
	return openWith(t, yaml, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), nil, around...)
}

// openWith opens a site at a time, with options that are changed; change may be nil.
func openWith(t *testing.T, yaml string, now time.Time, change func(*site, *spec.App, *auth.Options), around ...func(driver.Engine) driver.Engine) *site {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{spec.FileName: {Data: []byte(yaml)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{data.Collections, auth.Collections(app)} {
		if err := app.Extend("test", []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	var eng driver.Engine = memory.Open()
	for _, f := range around {
		eng = f(eng)
	}
	m, err := data.Plan(t.Context(), app, eng, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(t.Context(), eng, data.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	s := &site{t: t, mails: make(chan auth.Letter, 100)}
	s.now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	s.move = func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	quiet := slog.New(slog.DiscardHandler)
	if s.db, err = data.Open(t.Context(), app, eng, data.Options{Key: key, Clock: s.now, Log: quiet}); err != nil {
		t.Fatal(err)
	}
	hasher, err := password.New(password.Options{Memory: 256, Time: 1, Threads: 1, Patience: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	o := auth.Options{Clock: s.now, Log: quiet, Mail: byJob{}, Hasher: passwords{hasher}}
	if change != nil {
		change(s, app, &o)
	}
	if s.gate, err = auth.New(s.db, key, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.gate.Close)
	ctx, stop := context.WithCancel(context.Background())
	var pool sync.WaitGroup
	pool.Go(func() {
		jobs.New(s.db, []jobs.Kind{{Name: auth.JobKind, System: true, Do: func(ctx context.Context, w *jobs.Work) error {
			if !w.DB().Transactions() {
				return w.DB().Series(ctx, data.System, func(tx *data.Tx) error { return s.gate.Answer(ctx, tx, w.Job().Payload) })
			}
			return w.Commit(ctx, func(tx *data.Tx) error { return s.gate.Answer(ctx, tx, w.Job().Payload) })
		}}, {Name: "letter", Do: func(_ context.Context, w *jobs.Work) error {
			var l auth.Letter
			err := w.Read(&l)
			s.mails <- l
			return err
		}}}, nil, jobs.Options{Log: quiet}).Run(ctx)
	})
	t.Cleanup(func() {
		stop()
		pool.Wait()
	})
	server := httptest.NewServer(web.Guard(s.gate.Door(), app.Server, quiet))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// answer is what came back.
type answer struct {
	status int
	body   map[string]any
	text   string
	header http.Header
}

// code is the first field's code of a problem.
func (a answer) code() string {
	list, _ := a.body["errors"].([]any)
	if len(list) == 0 {
		return ""
	}
	f, _ := list[0].(map[string]any)
	return fmt.Sprint(f["pointer"], " ", f["code"])
}

// as asks with a token; "" asks as nobody. A body of a map is JSON.
func (s *site) as(token, method, path string, body any, headers ...string) answer {
	s.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/api/auth/"+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, text: string(b), header: res.Header}
	_ = json.Unmarshal(b, &a.body)
	if cc := res.Header.Get("Cache-Control"); cc != "no-store" {
		s.t.Errorf("%s %s: Cache-Control is %q", method, path, cc)
	}
	return a
}

func (s *site) post(path string, body map[string]any) answer {
	s.t.Helper()
	return s.as("", http.MethodPost, path, body)
}

func (s *site) wants(a answer, status int, code string) {
	s.t.Helper()
	if a.status != status || a.code() != code {
		s.t.Fatalf("%d %s, want %d %q", a.status, a.text, status, code)
	}
}

// mail waits for the next mail, which is of a template.
func (s *site) mail(template, to string) auth.Letter {
	s.t.Helper()
	select {
	case l := <-s.mails:
		if l.Template != template || l.To != to {
			s.t.Fatalf("a mail %+v, want %s to %s", l, template, to)
		}
		return l
	case <-time.After(20 * time.Second):
		s.t.Fatalf("no mail %s came", template)
		return auth.Letter{}
	}
}

// noMail shows that none came: one that is asked for now is the next.
func (s *site) noMail() {
	s.t.Helper()
	s.wants(s.post("register", map[string]any{"email": "last@example.com", "password": good}), 202, "")
	s.mail("verify", "last@example.com")
}

const good = "a horse that is correct"

// person registers somebody, proves the address and signs in.
func (s *site) person(email string) (token string) {
	s.t.Helper()
	s.wants(s.post("register", map[string]any{"email": email, "password": good}), 202, "")
	s.wants(s.post("verify", map[string]any{"token": s.mail("verify", email).Token}), 204, "")
	return s.login(email, good)
}

func (s *site) login(email, password string) string {
	s.t.Helper()
	a := s.post("login", map[string]any{"email": email, "password": password})
	s.wants(a, 200, "")
	return a.body["token"].(string)
}

func TestRegister(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	a := s.post("register", map[string]any{"email": "ann@example.com", "password": good, "name": "Ann", "nick": "ann"})
	if s.wants(a, 202, ""); a.text != `{"verify":"mail"}` {
		t.Fatal(a.text)
	}
	first := s.mail("verify", "ann@example.com")
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": good}), 401, "")
	s.wants(s.post("verify", map[string]any{"token": first.Token}), 204, "")
	s.wants(s.post("verify", map[string]any{"token": first.Token}), 422, "/token secret")

	a = s.post("login", map[string]any{"email": "ANN@example.com", "password": good})
	s.wants(a, 200, "")
	user := a.body["user"].(map[string]any)
	if user["email"] != "ann@example.com" || user["name"] != "Ann" || user["role"] != "member" || user["verified"] != true || user["password"] != nil {
		t.Fatal(a.text)
	}
	me := s.as(a.body["token"].(string), http.MethodGet, "me", nil)
	if s.wants(me, 200, ""); fmt.Sprint(me.body["user"]) != fmt.Sprint(user) || me.body["expires"] != a.body["expires"] {
		t.Fatal(me.text, a.text)
	}
	// The address is taken: the answer is the same, and its owner is told.
	a = s.post("register", map[string]any{"email": "Ann@Example.com", "password": good})
	if s.wants(a, 202, ""); a.text != `{"verify":"mail"}` {
		t.Fatal(a.text)
	}
	s.mail("taken", "ann@example.com")
	for _, c := range []struct {
		body map[string]any
		code string
	}{
		{map[string]any{"email": "bob@example.com"}, "/password required"},
		{map[string]any{"email": "bob", "password": good}, "/email pattern"},
		{map[string]any{"email": "bob@example.com", "password": "short"}, "/password min"},
		{map[string]any{"email": "bob@example.com", "password": "passwordpassword"}, "/password common"},
		{map[string]any{"email": "bob@example.com", "password": good, "role": "staff"}, "/role readonly"},
		{map[string]any{"email": "bob@example.com", "password": good, "verified": true}, "/verified readonly"},
		{map[string]any{"email": "bob@example.com", "password": good, "rank": 1}, "/rank readonly"},
		{map[string]any{"email": "bob@example.com", "password": good, "name": strings.Repeat("x", 41)}, "/name max"},
	} {
		s.wants(s.post("register", c.body), 422, c.code)
	}
	s.wants(s.post("register", map[string]any{"email": "bob@example.com", "password": good, "nick": "ann"}), 409, "/nick unique")

	// What is wrong with the form, with the record and with the password is told at once, each field once.
	a = s.post("register", map[string]any{"email": "bob", "password": "short", "nick": 5, "none": 1})
	s.wants(a, 422, "/email pattern")
	var blamed []string
	for _, f := range a.body["errors"].([]any) {
		blamed = append(blamed, f.(map[string]any)["pointer"].(string))
	}
	if slices.Sort(blamed); strings.Join(blamed, " ") != "/email /nick /none /password" {
		t.Error(a.text)
	}
	s.noMail()
}

// Whoever registers with an address before its owner has nothing of it.
func TestRegisteredBefore(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": "what the attacker knows", "name": "Mallory"}), 202, "")
	attack := s.mail("verify", "ann@example.com")
	s.wants(s.post("register", map[string]any{"email": "ann@example.com", "password": good, "name": "Ann"}), 202, "")
	own := s.mail("verify", "ann@example.com")
	s.wants(s.post("verify", map[string]any{"token": own.Token}), 204, "")
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": "what the attacker knows"}), 401, "")
	s.wants(s.post("verify", map[string]any{"token": attack.Token}), 422, "/token secret")
	if a := s.as(s.login("ann@example.com", good), http.MethodGet, "me", nil); a.body["user"].(map[string]any)["name"] != "Ann" {
		t.Fatal(a.text)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	one := s.person("ann@example.com")
	two := s.login("ann@example.com", good)
	if one == two {
		t.Fatal("two sessions have one token")
	}
	list := s.as(one, http.MethodGet, "sessions", nil)
	s.wants(list, 200, "")
	items := list.body["items"].([]any)
	if len(items) != 2 || items[0].(map[string]any)["current"] == items[1].(map[string]any)["current"] {
		t.Fatal(list.text)
	}
	other := s.person("bob@example.com")
	id := items[0].(map[string]any)["id"].(string)
	if items[0].(map[string]any)["current"] == true {
		id = items[1].(map[string]any)["id"].(string)
	}
	s.wants(s.as(other, http.MethodDelete, "sessions/"+id, nil), 404, "")
	s.wants(s.as(one, http.MethodDelete, "sessions/"+id, nil), 204, "")
	s.wants(s.as(two, http.MethodGet, "me", nil), 401, "")
	s.wants(s.as(one, http.MethodPost, "logout", nil), 204, "")
	s.wants(s.as(one, http.MethodGet, "me", nil), 401, "")

	three, four := s.login("ann@example.com", good), s.login("ann@example.com", good)
	s.wants(s.as(three, http.MethodDelete, "sessions", nil), 204, "")
	s.wants(s.as(four, http.MethodGet, "me", nil), 401, "")
	s.wants(s.as(three, http.MethodGet, "me", nil), 200, "")
	// It lies idle for as long as it may, and then for longer.
	s.move(14 * 24 * time.Hour)
	s.wants(s.as(three, http.MethodGet, "me", nil), 200, "")
	s.gate.Close() // what is noted of its use is written
	s.move(14*24*time.Hour + 2*time.Hour)
	s.wants(s.as(three, http.MethodGet, "me", nil), 401, "")
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	const next = "another horse, another battery"
	one := s.person("ann@example.com")
	two := s.login("ann@example.com", good)
	change := func(old, new string) answer {
		return s.as(one, http.MethodPost, "password", map[string]any{"old": old, "new": new})
	}
	s.wants(change("not the password", next), 422, "/old secret")
	s.wants(change(good, "short"), 422, "/new min")
	s.wants(change(good, next), 204, "")
	s.mail("password-changed", "ann@example.com")
	s.wants(s.as(two, http.MethodGet, "me", nil), 401, "")
	s.wants(s.as(one, http.MethodGet, "me", nil), 200, "")
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": good}), 401, "")
	s.login("ann@example.com", next)
}

func TestReset(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	const next = "another horse, another battery"
	one := s.person("ann@example.com")
	known, unknown := s.post("reset", map[string]any{"email": "ann@example.com"}), s.post("reset", map[string]any{"email": "nobody@example.com"})
	if known.status != 202 || unknown.status != 202 || known.text != unknown.text {
		t.Fatal(known, unknown)
	}
	early := s.mail("reset", "ann@example.com")
	s.post("reset", map[string]any{"email": "ann@example.com"})
	late := s.mail("reset", "ann@example.com")
	s.wants(s.post("reset/confirm", map[string]any{"token": late.Token, "password": "short"}), 422, "/password min")
	s.wants(s.post("reset/confirm", map[string]any{"token": late.Token + "A", "password": next}), 422, "/token secret")
	s.wants(s.post("reset/confirm", map[string]any{"token": late.Token, "password": next}), 204, "")
	s.mail("password-changed", "ann@example.com")
	// Neither is good again, nor is a session of before.
	s.wants(s.post("reset/confirm", map[string]any{"token": late.Token, "password": good}), 422, "/token secret")
	s.wants(s.post("reset/confirm", map[string]any{"token": early.Token, "password": good}), 422, "/token secret")
	s.wants(s.as(one, http.MethodGet, "me", nil), 401, "")
	s.login("ann@example.com", next)

	s.post("reset", map[string]any{"email": "ann@example.com"})
	late = s.mail("reset", "ann@example.com")
	s.move(time.Hour)
	s.wants(s.post("reset/confirm", map[string]any{"token": late.Token, "password": good}), 422, "/token secret")
	s.noMail()
}

func TestCode(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	s.person("ann@example.com")
	ask := func() string {
		s.wants(s.post("code", map[string]any{"email": "ann@example.com"}), 202, "")
		return s.mail("code", "ann@example.com").Code
	}
	confirm := func(code string) answer {
		return s.post("code/confirm", map[string]any{"email": "ann@example.com", "code": code})
	}
	code := ask()
	a := confirm(code)
	s.wants(a, 200, "")
	s.wants(s.as(a.body["token"].(string), http.MethodGet, "me", nil), 200, "")
	s.wants(confirm(code), 422, "/code secret")

	code = ask() // five wrong ones, and the right one is wrong too
	for range 5 {
		s.wants(confirm("no code"), 422, "/code secret")
	}
	s.wants(confirm(code), 422, "/code secret")
	s.move(time.Minute)
	code = ask()
	s.move(10 * time.Minute)
	s.wants(confirm(code), 422, "/code secret")
}

func TestMove(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	one := s.person("ann@example.com")
	s.person("bob@example.com")
	move := func(to, password string) answer {
		return s.as(one, http.MethodPost, "email", map[string]any{"email": to, "password": password})
	}
	s.post("reset", map[string]any{"email": "ann@example.com"})
	reset := s.mail("reset", "ann@example.com")
	s.wants(move("ann@example.org", "not the password"), 422, "/password secret")
	s.wants(move("bob@example.com", good), 202, "")
	s.mail("taken", "bob@example.com")
	s.wants(move("ann@example.org", good), 202, "")
	l := s.mail("email-change", "ann@example.org")
	s.wants(s.post("email/confirm", map[string]any{"token": l.Token}), 204, "")
	s.mail("email-changed", "ann@example.com")
	s.wants(s.post("email/confirm", map[string]any{"token": l.Token}), 422, "/token secret")
	s.login("ann@example.org", good)
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": good}), 401, "")
	// What was sent to the address of before opens nothing.
	s.wants(s.post("reset/confirm", map[string]any{"token": reset.Token, "password": "another horse, another battery"}), 422, "/token secret")
}

// Whoever guesses is stopped, whoever it is that he guesses about; the owner is not, where he is known.
func TestGuesses(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1))
	s.person("ann@example.com") // from 127.0.0.1
	from := func(address, email, password string) answer {
		return s.as("", http.MethodPost, "login", map[string]any{"email": email, "password": password}, "X-Forwarded-For", address)
	}
	for _, email := range []string{"ann@example.com", "nobody@example.com"} {
		for range 10 {
			s.wants(from("192.0.2.1", email, "wrong"), 401, "")
		}
		a := from("192.0.2.2", email, good)
		s.wants(a, 429, "")
		if after := a.header.Get("Retry-After"); after == "" {
			t.Error("Retry-After is missing")
		}
	}
	s.login("ann@example.com", good)
	s.move(time.Minute)
	s.wants(from("192.0.2.2", "ann@example.com", good), 200, "")
	// One address, whoever it asks about.
	for i := range 110 {
		a := from("192.0.2.9", fmt.Sprintf("%d@example.com", i), "wrong")
		if want := 401; i >= 100 {
			if want = 429; a.status != want {
				t.Fatalf("attempt %d: %d", i+1, a.status)
			}
		} else if a.status != want {
			t.Fatalf("attempt %d: %d", i+1, a.status)
		}
	}
	s.wants(from("192.0.2.10", "1@example.com", "wrong"), 401, "")
}

// Each of what is good once is good for one of those who use it at the same time.
func TestOnce(t *testing.T) {
	t.Parallel()
	s := open(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1))
	race := func(path string, body map[string]any, cookie string) (won int) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for i := range 50 {
			wg.Go(func() {
				a := s.as("", http.MethodPost, path, body, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i), "Cookie", cookie)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.status < 300:
					won++
				case a.status != 422 && a.status != 429:
					t.Errorf("%s: %d %s", path, a.status, a.text)
				}
			})
		}
		wg.Wait()
		return won
	}
	a := s.post("register", map[string]any{"email": "ann@example.com", "password": good})
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	if n := race("verify", map[string]any{"token": s.mail("verify", "ann@example.com").Token}, cookie); n != 1 {
		t.Errorf("verify: %d won", n)
	}
	s.post("reset", map[string]any{"email": "ann@example.com"})
	if n := race("reset/confirm", map[string]any{"token": s.mail("reset", "ann@example.com").Token, "password": good}, ""); n != 1 {
		t.Errorf("reset: %d won", n)
	}
	s.mail("password-changed", "ann@example.com")
	s.post("code", map[string]any{"email": "ann@example.com"})
	if n := race("code/confirm", map[string]any{"email": "ann@example.com", "code": s.mail("code", "ann@example.com").Code}, ""); n != 1 {
		t.Errorf("code: %d won", n)
	}
}

// A user who is disabled is nobody any more, within 5 s, and nothing that he has or knows lets him in.
func TestDisabled(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	token := s.person("ann@example.com")
	s.post("reset", map[string]any{"email": "ann@example.com"})
	reset := s.mail("reset", "ann@example.com").Token
	s.patch("ann@example.com", `{"disabled":true}`)
	s.move(5 * time.Second)
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
	s.wants(s.post("login", map[string]any{"email": "ann@example.com", "password": good}), 401, "")
	s.wants(s.post("reset/confirm", map[string]any{"token": reset, "password": good}), 422, "/token secret")
	s.wants(s.post("code", map[string]any{"email": "ann@example.com"}), 202, "")
	s.noMail()
	// His session has ended with it, and is none when he is enabled again.
	s.patch("ann@example.com", `{"disabled":false}`)
	s.move(5 * time.Second)
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
	s.login("ann@example.com", good)
}

// A session that was not shown while its user was disabled is none either when he is enabled again, nor is what was sent to him before, by
// whichever way it was written.
func TestDisabledAndEnabled(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	token := s.person("ann@example.com")
	s.wants(s.as(token, http.MethodGet, "me", nil), 200, "")
	s.post("reset", map[string]any{"email": "ann@example.com"})
	reset := s.mail("reset", "ann@example.com").Token
	s.patch("ann@example.com", `{"disabled":true}`)
	s.patch("ann@example.com", `{"disabled":false}`)
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
	s.wants(s.post("reset/confirm", map[string]any{"token": reset, "password": good}), 422, "/token secret")
	token = s.login("ann@example.com", good)
	s.patch("ann@example.com", `{"disabled":false,"name":"Ann"}`)
	s.wants(s.as(token, http.MethodGet, "me", nil), 200, "")
	body := node(t, `{"disabled":true}`)
	if err := s.db.Transact(t.Context(), data.System, func(tx *data.Tx) error {
		_, err := tx.Update("users", s.idOf("ann@example.com"), body)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.patch("ann@example.com", `{"disabled":false}`)
	s.wants(s.as(token, http.MethodGet, "me", nil), 401, "")
}

// patch changes a user as an operator may by the records API.
func (s *site) patch(email, patch string) {
	s.t.Helper()
	u, err := s.gate.User(s.t.Context(), email)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := doc.Parse([]byte(patch), doc.Limits{})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.db.Update(s.t.Context(), data.Caller{Operator: true, SignedIn: true}, "users", u.ID, body, data.WriteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// What has ended does not stay.
func TestSweep(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	token := s.person("ann@example.com")
	s.post("reset", map[string]any{"email": "ann@example.com"})
	s.mail("reset", "ann@example.com")
	left := func() (n int) {
		for _, c := range []string{"_sessions", "_proofs", "_tries"} {
			records, _, err := s.db.Records(t.Context(), data.System, &data.ListQuery{Collection: c, Limit: 500})
			if err != nil {
				t.Fatal(err)
			}
			n += len(records)
		}
		return n
	}
	if err := s.gate.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wants(s.as(token, http.MethodGet, "me", nil), 200, "")
	if left() < 4 {
		t.Fatal("what is good was removed")
	}
	s.move(91 * 24 * time.Hour)
	if err := s.gate.Sweep(t.Context()); err != nil || left() != 0 {
		t.Fatal(left(), err)
	}
}

// Nothing about signing in stands where whoever sees the database could use it.
func TestNothingIsStoredPlain(t *testing.T) {
	t.Parallel()
	s := open(t, agency)
	token := s.person("ann@example.com")
	s.post("reset", map[string]any{"email": "ann@example.com"})
	reset := s.mail("reset", "ann@example.com").Token
	for _, c := range []string{"_accounts", "_sessions", "_proofs", "_tries"} {
		records, _, err := s.db.Records(t.Context(), data.System, &data.ListQuery{Collection: c, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(records)
		for _, secret := range []string{token, reset, good, token[30:60], reset[30:60]} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has a secret", c)
			}
		}
	}
}
