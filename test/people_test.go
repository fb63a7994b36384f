package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const peopleApp = `
auth: {roles: [member, staff], register: open}
server: {trustedProxies: [127.0.0.1]}
collections:
  users:
    fields: {name: {type: text, max: 40}}
    access: {read: id == auth.id, update: id == auth.id}
  notes:
    fields:
      text:  {type: text, required: true}
      owner: {type: ref, to: users, init: auth.id, fixed: true, onDelete: cascade}
    access: {read: owner == auth.id, create: auth.signedIn}
`

// People register, prove their address by the link of a mail, sign in, own what they write, and get a new password; what
// is good once is good for one of a hundred who try it at the same time, on three processes of one database.
func TestPeople(t *testing.T) {
	onAll(t, func(t *testing.T, db string) {
		p := peopled(t, db, peopleApp)
		const first, second = "a horse that is correct", "a battery that is a staple"
		const email = "ann@example.com"
		p.wants(202, "", "register", map[string]any{"email": email, "password": first, "name": "Ann"})
		p.wants(202, "", "register", map[string]any{"email": "eve@example.com", "password": second})
		p.once("verify", func() map[string]any {
			return map[string]any{"token": p.token("eve@example.com", "verify", 1), "password": second}
		})
		p.wants(204, "", "verify", map[string]any{"token": p.token(email, "verify", 1)})
		ann := p.signIn(email, first)
		eve := p.signIn("eve@example.com", second)

		status, body := p.ask(0, ann, http.MethodPost, "/api/notes", `{"text":"mine"}`)
		if status != 201 {
			t.Fatal(status, body)
		}
		for i := range p.servers {
			if _, list := p.ask(i, ann, http.MethodGet, "/api/notes", ""); !strings.Contains(list, "mine") {
				t.Fatal(list)
			}
			if _, list := p.ask(i, eve, http.MethodGet, "/api/notes", ""); strings.Contains(list, "mine") {
				t.Fatal("another sees it: ", list)
			}
		}
		p.wants(202, "", "reset", map[string]any{"email": email})
		p.once("reset/confirm", func() map[string]any {
			return map[string]any{"token": p.token(email, "reset", 1), "password": second}
		})
		p.gone(ann)
		ann = p.signIn(email, second)
		p.wants(202, "", "code", map[string]any{"email": email})
		p.once("code/confirm", func() map[string]any { return map[string]any{"email": email, "code": p.code(email)} })

		var op struct{ Token string }
		if err := json.Unmarshal([]byte(runOn(t, db, "operator", "add", "ops@example.com", p.dir, "--json")), &op); err != nil {
			t.Fatal(err)
		}
		p.once("operators/reset/confirm", func() map[string]any { return map[string]any{"token": op.Token, "password": first} })
		p.wants(200, `"token":"po_`, "operators/login", map[string]any{"email": "ops@example.com", "password": first})

		// Signed out on one server, he is on the others, 5 s after it at the latest.
		for i := range p.servers {
			if status, body := p.ask(i, ann, http.MethodGet, "/api/auth/me", ""); status != 200 {
				t.Fatal(status, body)
			}
		}
		if status, body := p.ask(0, ann, http.MethodPost, "/api/auth/logout", ""); status != 204 {
			t.Fatal(status, body)
		}
		p.gone(ann)
	})
}

// people are those of an app, which one process serves, or three on one database.
type people struct {
	t       *testing.T
	db, dir string
	servers []*server
}

// peopled serves an app to people; db "" is a file, which has one process.
func peopled(t *testing.T, db, app string) *people {
	t.Helper()
	p := &people{t: t, db: db, dir: folder(t, app)}
	servers := 1
	if db != "" {
		servers = 3
		runOn(t, db, "apply", p.dir)
	}
	for range servers {
		p.servers = append(p.servers, servingOn(t, db, "--dev", p.dir))
	}
	return p
}

// member registers somebody, proves the address, and signs him in.
func (p *people) member(email, password string) (token string) {
	p.t.Helper()
	p.wants(202, "", "register", map[string]any{"email": email, "password": password})
	p.wants(204, "", "verify", map[string]any{"token": p.token(email, "verify", 1)})
	return p.signIn(email, password)
}

// invited has an operator invite somebody, who accepts by the link.
func (p *people) invited(email, password string, flags ...string) (id, token string) {
	p.t.Helper()
	link := strings.TrimSpace(runOn(p.t, p.db, append([]string{"user", "invite", email, p.dir, "--link"}, flags...)...))
	_, secret, _ := strings.Cut(link, "token=")
	var in struct {
		Token string
		User  struct{ ID string }
	}
	if err := json.Unmarshal([]byte(p.wants(200, "token", "invitations/accept", map[string]any{"token": secret, "password": password})), &in); err != nil {
		p.t.Fatal(err)
	}
	return in.User.ID, in.Token
}

func (p *people) ask(i int, token, method, path, body string, headers ...string) (int, string) {
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.servers[i%len(p.servers)].url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for j := 0; j < len(headers); j += 2 {
		r.Header.Set(headers[j], headers[j+1])
	}
	resp, err := patient.Do(r)
	if err != nil {
		p.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Error(err)
	}
	return resp.StatusCode, string(text)
}

func (p *people) post(i int, path string, body map[string]any, from string) (int, string) {
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.ask(i, "", http.MethodPost, "/api/auth/"+path, string(b), "X-Forwarded-For", from)
}

func (p *people) wants(status int, has, path string, body map[string]any) string {
	p.t.Helper()
	got, text := p.post(0, path, body, "192.0.2.1")
	if got != status || !strings.Contains(text, has) {
		p.t.Fatalf("%s: %d %s", path, got, text)
	}
	return text
}

func (p *people) signIn(email, password string) string {
	p.t.Helper()
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(p.wants(200, `"token":"ps_`, "login", map[string]any{"email": email, "password": password})), &got); err != nil {
		p.t.Fatal(err)
	}
	return got.Token
}

// gone waits until no server knows a session any more.
func (p *people) gone(token string) {
	p.t.Helper()
	p.soon("a session has ended", func(i int) bool {
		status, _ := p.ask(i, token, http.MethodGet, "/api/auth/me", "")
		return status == 401
	})
}

// soon waits until something holds on every server, as it must after 5 s.
func (p *people) soon(what string, holds func(i int) bool) {
	p.t.Helper()
	for end := time.Now().Add(7 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		left := 0
		for i := range p.servers {
			if !holds(i) {
				left++
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: not on %d servers", what, left)
		}
	}
}

// mail is the nth mail to an address with something in it, when it is there.
func (p *people) mail(to string, has *regexp.Regexp, nth int) string {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		_, text := p.ask(0, "", http.MethodGet, "/_dev/mail.json", "")
		var kept struct{ Mails []struct{ To, Text string } }
		if err := json.Unmarshal([]byte(text), &kept); err != nil {
			p.t.Fatal(text, err)
		}
		n := 0
		for _, m := range kept.Mails {
			if found := has.FindStringSubmatch(m.Text); strings.Contains(m.To, "<"+to+">") && found != nil {
				if n++; n == nth {
					return found[1]
				}
			}
		}
	}
	_, text := p.ask(0, "", http.MethodGet, "/_dev/mail.json", "")
	p.t.Fatalf("no mail to %s with %s: %.2000s\n%s", to, has, text, p.servers[0].stderr.text())
	return ""
}

func (p *people) token(to, page string, nth int) string {
	p.t.Helper()
	return p.mail(to, regexp.MustCompile("/auth/"+page+`\?token=(pt_[A-Za-z0-9_-]+)`), nth)
}

func (p *people) code(to string) string {
	p.t.Helper()
	return p.mail(to, regexp.MustCompile(`(?m)\b(\d{8})\b`), 1)
}

// patient waits for longer than a server lets a request take: a hundred who change one record wait for each other, and without
// transactions each of them tries again and again.
var patient = &http.Client{Timeout: 2 * time.Minute, Transport: client.Transport}

// once has a hundred try at the same time what one may do.
func (p *people) once(path string, body func() map[string]any) {
	p.t.Helper()
	what := body()
	p.race(path, func(i int) (int, string) { return p.post(i, path, what, fmt.Sprintf("198.51.100.%d", i)) }, nil, 422, 429, 503)
}

// race has a hundred do at the same time what one may do, and reads the answer of that one. The others get one of these
// statuses.
func (p *people) race(what string, do func(i int) (int, string), into any, others ...int) {
	p.t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	var won []string
	answers := map[int]int{}
	for i := range 100 {
		all.Go(func() {
			status, text := do(i)
			mu.Lock()
			defer mu.Unlock()
			answers[status]++
			switch {
			case status == 200 || status == 204:
				won = append(won, text)
			case !slices.Contains(others, status):
				p.t.Errorf("%s: %d %s", what, status, text)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		p.t.Fatalf("%s: %d won: %v", what, len(won), answers)
	}
	p.t.Logf("%s: %v", what, answers)
	if into != nil {
		if err := json.Unmarshal([]byte(won[0]), into); err != nil {
			p.t.Fatal(err)
		}
	}
}
