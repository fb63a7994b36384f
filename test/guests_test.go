package test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const guestsApp = `
auth: {roles: [member, staff], register: invite, invite: auth.has("staff"), roleBy: auth.has("staff"), anonymous: true}
server: {trustedProxies: [127.0.0.1]}
collections:
  users:
    fields: {name: {type: text, max: 40}}
    access: {read: id == auth.id}
  notes:
    fields:
      text:  {type: text, required: true}
      owner: {type: ref, to: users, init: auth.id, fixed: true, onDelete: cascade}
    access: {read: owner == auth.id, create: auth.signedIn}
`

// People are invited, each once though a hundred accept at the same time on three processes of one database; who is disabled is
// signed out of all of them within 5 s, and his stream ends; who deletes himself takes with him what is his.
func TestGuests(t *testing.T) {
	onAll(t, func(t *testing.T, db string) {
		p := peopled(t, db, guestsApp)
		const password, email = "a horse that is correct", "ann@example.com"
		_, staff := p.invited("root@example.com", password, "--role", "staff")
		status, body := p.ask(1, staff, http.MethodPost, "/api/auth/invitations", `{"email":"`+email+`"}`)
		if status != 201 {
			t.Fatal(status, body)
		}
		p.once("invitations/accept", func() map[string]any {
			return map[string]any{"token": p.token(email, "invite", 1), "password": password}
		})
		ann := p.signIn(email, password)
		for i := range p.servers {
			if status, body := p.ask(i, ann, http.MethodPost, "/api/notes", `{"text":"mine"}`); status != 201 {
				t.Fatal(status, body)
			}
		}

		stream := p.stream(ann, "/api/notes")
		runOn(t, db, "user", "disable", email, p.dir)
		began := time.Now()
		p.gone(ann)
		stream()
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("the stream of a disabled user ended after %s", took)
		}
		p.wants(401, "", "login", map[string]any{"email": email, "password": password})
		runOn(t, db, "user", "enable", email, p.dir)
		ann = p.signIn(email, password)
		switch status, body := p.ask(0, ann, http.MethodDelete, "/api/auth/me", ""); {
		case strings.HasPrefix(db, "mongodb:"): // he goes with what is his in one transaction, or not at all
			if status != 501 || !strings.Contains(body, "several records in one transaction") {
				t.Fatal(status, body)
			}
		case status != 204:
			t.Fatal(status, body)
		default:
			p.gone(ann)
			if list := runOn(t, db, "user", "list", p.dir, "--json"); strings.Contains(list, email) {
				t.Error(list)
			}
		}

		// An anonymous user owns what he writes, on every server.
		var in struct{ Token string }
		if err := json.Unmarshal([]byte(p.wants(200, `"anonymous":true`, "anonymous", map[string]any{})), &in); err != nil {
			t.Fatal(err)
		}
		if status, body := p.ask(0, in.Token, http.MethodPost, "/api/notes", `{"text":"a guest's"}`); status != 201 {
			t.Fatal(status, body)
		}
		for i := range p.servers {
			if _, list := p.ask(i, in.Token, http.MethodGet, "/api/notes", ""); !strings.Contains(list, "a guest's") || strings.Contains(list, "mine") {
				t.Fatal(list)
			}
		}
	})
}

// stream opens a live list; what it returns waits until it has ended.
func (p *people) stream(token, path string) (ended func()) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.servers[0].url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		p.t.Fatal(resp.Status)
	}
	done := make(chan error, 1)
	go func() {
		defer resp.Body.Close()
		_, err := io.Copy(io.Discard, resp.Body)
		done <- err
	}()
	return func() {
		p.t.Helper()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			p.t.Error("the stream goes on")
		}
	}
}
