package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/bluell/plinth/test/authenticator"
)

const factorsApp = `
auth: {roles: [member, staff], register: open}
server: {url: https://app.example.com, trustedProxies: [127.0.0.1]}
collections:
  vault:
    fields: {text: {type: text, required: true}}
    access: {read: auth.mfa, create: auth.mfa}
`

// Second factors: a code, a recovery code, a ticket and the answer of a passkey are good for one of a hundred who try it at
// the same time, on three processes of one database (SAFETY 7, 67); and what a rule lets those see who have shown a factor,
// others do not, nor do streams when it does not hold any more.
func TestFactors(t *testing.T) {
	onAll(t, func(t *testing.T, db string) {
		p := peopled(t, db, factorsApp)
		const email, password = "ann@example.com", "a horse that is correct"
		ann := p.member(email, password)

		p.vault(ann, false)
		var begun struct{ Secret string }
		p.asks(ann, 200, "mfa/totp", nil, &begun)
		now := time.Now()
		code := func(steps int) string {
			code, err := totp.GenerateCode(begun.Secret, now.Add(time.Duration(steps)*30*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			return code
		}
		// It is turned on once, and tells its recovery codes once.
		var on struct {
			Token    string
			Recovery []string
		}
		p.race("confirm", func(i int) (int, string) {
			return p.ask(i, ann, http.MethodPost, "/api/auth/mfa/totp/confirm", body(t, map[string]any{"code": code(0)}), "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i))
		}, &on, 401, 403, 409, 422, 429, 503)
		if len(on.Recovery) != 10 {
			t.Fatal(on)
		}
		p.gone(ann)
		p.vault(on.Token, true)

		// A code that was not used yet, of the next step, with ten tickets from where nobody is known.
		ten := func(email string) (tickets []string) {
			for range 10 {
				tickets = append(tickets, p.ticket(email, password))
			}
			return tickets
		}
		tickets := ten(email)
		p.race("a code", func(i int) (int, string) {
			return p.post(i, "mfa", map[string]any{"ticket": tickets[i%10], "method": "totp", "code": code(1)}, fmt.Sprintf("198.51.100.%d", i))
		}, nil, 422, 429, 503)
		// A recovery code of somebody else, for whom nobody has tried anything in this minute.
		const other = "eve@example.com"
		eve := p.member(other, password)
		p.asks(eve, 200, "mfa/totp", nil, &begun)
		now = time.Now()
		var codes struct {
			Token    string
			Recovery []string
		}
		p.asks(eve, 200, "mfa/totp/confirm", map[string]any{"code": code(0)}, &codes)
		tickets = ten(other)
		p.race("a recovery code", func(i int) (int, string) {
			return p.post(i, "mfa", map[string]any{"ticket": tickets[i%10], "method": "recovery", "code": codes.Recovery[0]}, fmt.Sprintf("198.51.104.%d", i))
		}, nil, 422, 429, 503)
		p.mail(other, regexp.MustCompile("(recovery code)"), 1)

		// A passkey's answer.
		key := authenticator.New(t, "app.example.com")
		var making struct {
			Ceremony string
			Options  map[string]any
		}
		p.asks(on.Token, 200, "passkeys", nil, &making)
		made := body(t, map[string]any{"ceremony": making.Ceremony, "name": "key", "credential": key.Create(making.Options)})
		p.race("a new passkey", func(i int) (int, string) {
			return p.ask(i, on.Token, http.MethodPost, "/api/auth/passkeys/confirm", made, "X-Forwarded-For", fmt.Sprintf("198.51.101.%d", i))
		}, &on, 401, 422, 503)
		// It is nobody else's.
		var taken struct{ Detail string }
		p.asks(codes.Token, 200, "passkeys", nil, &making)
		copied := *key
		p.asks(codes.Token, 409, "passkeys/confirm", map[string]any{"ceremony": making.Ceremony, "credential": copied.Create(making.Options)}, &taken)
		if taken.Detail != "this passkey is somebody's already" {
			t.Fatal(taken)
		}
		p.asks("", 200, "passkeys/login", map[string]any{}, &making) // it does not count: the challenge alone is what is good once
		shown := map[string]any{"ceremony": making.Ceremony, "credential": key.Get(making.Options)}
		var alone struct{ Token string }
		p.race("a passkey", func(i int) (int, string) {
			return p.post(i, "passkeys/login/confirm", shown, fmt.Sprintf("198.51.102.%d", i))
		}, &alone, 422, 503)
		p.vault(alone.Token, true)
		// One ticket, and many answers to as many challenges.
		ticket := p.ticket(email, password)
		var answers []map[string]any
		for range 20 {
			p.asks("", 200, "passkeys/login", map[string]any{"ticket": ticket}, &making)
			key.Count++
			answers = append(answers, map[string]any{"ceremony": making.Ceremony, "credential": key.Get(making.Options)})
		}
		slices.Reverse(answers) // the counter that is seen first is the highest: those behind it would be copies
		p.race("a ticket", func(i int) (int, string) {
			return p.post(i, "passkeys/login/confirm", answers[i%len(answers)], fmt.Sprintf("198.51.103.%d", i))
		}, nil, 422, 503)

		// A stream ends when the session is none with a factor any more, on whichever process; the session goes on.
		ended := p.listens(1, alone.Token)
		p.drop(alone.Token, "mfa/totp")
		p.drop(alone.Token, "passkeys/"+p.passkey(alone.Token))
		if err := ended(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(7 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if status, text := p.ask(2, alone.Token, http.MethodPost, "/api/vault", `{"text":"x"}`); status == 403 {
				break
			} else if time.Now().After(end) {
				t.Fatal(status, text)
			}
		}
		p.vault(alone.Token, false)
		p.gone(on.Token)
		p.signIn(email, password)
	})
}

func body(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// asks sends a request and reads its answer.
func (p *people) asks(token string, want int, path string, v, into any) {
	p.t.Helper()
	text := ""
	if v != nil {
		text = body(p.t, v)
	}
	status, got := p.ask(0, token, http.MethodPost, "/api/auth/"+path, text, "X-Forwarded-For", "192.0.2.1")
	if status != want || json.Unmarshal([]byte(got), into) != nil {
		p.t.Fatalf("%s: %d %s", path, status, got)
	}
}

// ticket is the first step of a sign-in.
func (p *people) ticket(email, password string) string {
	p.t.Helper()
	var got struct{ MFA struct{ Ticket string } }
	if err := json.Unmarshal([]byte(p.wants(401, `"mfa":{"ticket":"pb_`, "login", map[string]any{"email": email, "password": password})), &got); err != nil {
		p.t.Fatal(err)
	}
	return got.MFA.Ticket
}

// vault shows on every process whether somebody may see what only those may who have shown a second factor.
func (p *people) vault(token string, may bool) {
	p.t.Helper()
	want := http.StatusForbidden
	if may {
		want = http.StatusCreated
	}
	for i := range p.servers {
		if status, text := p.ask(i, token, http.MethodPost, "/api/vault", `{"text":"hidden"}`); status != want {
			p.t.Fatalf("%d %s, want %d", status, text, want)
		}
		status, list := p.ask(i, token, http.MethodGet, "/api/vault", "")
		if status != 200 || strings.Contains(list, "hidden") != may {
			p.t.Fatalf("%d %s", status, list)
		}
	}
}

// listens opens a stream, and waits until it is ready; ended waits until it tells to begin anew.
func (p *people) listens(i int, token string) (ended func() error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	p.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.servers[i%len(p.servers)].url+"/api/vault", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatal(resp, err)
	}
	p.t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	until := func(word string) error {
		for lines.Scan() {
			if lines.Text() == "event: "+word {
				return nil
			}
		}
		return fmt.Errorf("no %s came: %w", word, lines.Err())
	}
	if err := until("ready"); err != nil {
		p.t.Fatal(err)
	}
	return func() error { return until("resync") }
}

func (p *people) passkey(token string) string {
	p.t.Helper()
	_, text := p.ask(0, token, http.MethodGet, "/api/auth/passkeys", "")
	var list struct{ Items []struct{ ID string } }
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Items) != 1 {
		p.t.Fatal(text, err)
	}
	return list.Items[0].ID
}

func (p *people) drop(token, path string) {
	p.t.Helper()
	if status, text := p.ask(0, token, http.MethodDelete, "/api/auth/"+path, "", "X-Forwarded-For", "192.0.2.1"); status != http.StatusNoContent {
		p.t.Fatal(path, status, text)
	}
}
