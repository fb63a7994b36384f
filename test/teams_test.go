package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const teamsApp = `
auth: {register: invite, teams: {roles: [member, editor, owner]}}
server: {trustedProxies: [127.0.0.1]}
collections:
  users:
    fields: {name: {type: text, max: 40}}
    access: {read: id == auth.id}
  notes:
    fields:
      text: {type: text, required: true, max: 40}
      team: {type: ref, to: teams, required: true, fixed: true, onDelete: cascade}
    access: {read: team in auth.teams, create: 'team in auth.teamsAs("editor")', update: 'team in auth.teamsAs("editor")', delete: 'team in auth.teamsAs("owner")'}
`

// People make teams and invite others, on three processes of one database: an invitation is good once though a hundred accept it at the same
// time, nobody reaches what is another team's, who is removed reads and hears nothing of it after 5 s, and of two owners who leave at
// the same moment one stays.
func TestTeams(t *testing.T) {
	onEach(t, func(t *testing.T, db string) {
		p := peopled(t, db, teamsApp)
		type user struct{ id, token string }
		person := func(email string) (u user) {
			u.id, u.token = p.invited(email, "a horse that is correct")
			return u
		}
		ann, bob, eve := person("ann@example.com"), person("bob@example.com"), person("eve@example.com")
		wants := func(i int, by user, method, path, body string, status int) string {
			t.Helper()
			got, text := p.ask(i, by.token, method, path, body)
			if got != status {
				t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, got, text, status)
			}
			return text
		}
		made := func(text string) string {
			var r struct{ ID string }
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			return r.ID
		}
		red := made(wants(0, ann, "POST", "/api/teams", `{"name":"Red"}`, 201))
		blue := made(wants(1, eve, "POST", "/api/teams", `{"name":"Blue"}`, 201))
		wants(0, ann, "GET", "/api/teams/"+red, "", 200) // at once where it was made
		note := made(wants(0, ann, "POST", "/api/notes", `{"text":"red","team":"`+red+`"}`, 201))
		p.soon("the new team", func(i int) bool {
			status, _ := p.ask(i, ann.token, "GET", "/api/notes/"+note, "")
			return status == 200
		})

		// What is another team's is not there for the owner of one.
		p.soon("the other team", func(i int) bool {
			status, _ := p.ask(i, eve.token, "GET", "/api/teams/"+blue, "")
			return status == 200
		})
		for i := range p.servers {
			for _, c := range []struct {
				method, path, body string
				status             int
			}{
				{"GET", "/api/notes/" + note, "", 404}, {"PATCH", "/api/notes/" + note, `{"text":"x"}`, 404}, {"DELETE", "/api/notes/" + note, "", 404},
				{"GET", "/api/teams/" + red, "", 404}, {"PATCH", "/api/teams/" + red, `{"name":"x"}`, 404}, {"DELETE", "/api/teams/" + red, "", 404},
				{"POST", "/api/notes", `{"text":"x","team":"` + red + `"}`, 403},
				{"POST", "/api/memberships", `{"team":"` + red + `","user":"` + eve.id + `","role":"owner"}`, 403},
				{"POST", "/api/batch", `{"operations":[{"op":"create","collection":"memberships","body":{"team":"` + red + `","user":"` + eve.id + `","role":"owner"}}]}`, 403},
				{"POST", "/api/batch", `{"operations":[{"op":"update","collection":"notes","id":"` + note + `","body":{"text":"x"}}]}`, 404},
				{"GET", "/api/auth/teams/" + red + "/members", "", 404}, {"POST", "/api/auth/teams/" + red + "/members", `{"user":"` + eve.id + `"}`, 404},
				{"PATCH", "/api/auth/teams/" + red + "/members/" + ann.id, `{"role":"member"}`, 404}, {"DELETE", "/api/auth/teams/" + red + "/members/" + ann.id, "", 404},
				{"POST", "/api/auth/teams/" + red + "/invitations", `{"email":"eve@example.com"}`, 404},
				{"PATCH", "/api/auth/teams/" + blue + "/members/" + ann.id, `{"role":"owner"}`, 404},
			} {
				wants(i, eve, c.method, c.path, c.body, c.status)
			}
			for _, path := range []string{"/api/notes", "/api/notes?filter=text%20==%20%22red%22", "/api/notes?filter=team.name%20==%20%22Red%22", "/api/notes?expand=team",
				"/api/memberships?filter=team.name%20==%20%22Red%22", "/api/notes?group=team&aggregate=count"} {
				if text := wants(i, eve, "GET", path, "", 200); strings.Contains(text, "red") || strings.Contains(text, red) {
					t.Errorf("%s: %s", path, text)
				}
			}
		}

		wants(0, ann, "POST", "/api/auth/teams/"+red+"/invitations", `{"email":"bob@example.com","role":"editor"}`, 201)
		token := p.token("bob@example.com", "team", 1)
		p.race("an invitation to a team", func(i int) (int, string) {
			return p.ask(i, bob.token, "POST", "/api/auth/teams/join", `{"token":"`+token+`"}`, "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i))
		}, nil, 409, 422, 503)
		sees := func(i int, by user) bool {
			_, text := p.ask(i, by.token, "GET", "/api/notes", "")
			return strings.Contains(text, note)
		}
		p.soon("who has joined", func(i int) bool { return sees(i, bob) })
		wants(0, bob, "PATCH", "/api/notes/"+note, `{"text":"bob's"}`, 200)
		wants(0, bob, "DELETE", "/api/notes/"+note, "", 403)
		wants(0, bob, "PATCH", "/api/auth/teams/"+red+"/members/"+bob.id, `{"role":"owner"}`, 403)

		stream := p.stream(bob.token, "/api/notes")
		wants(len(p.servers)-1, ann, "DELETE", "/api/auth/teams/"+red+"/members/"+bob.id, "", 204)
		began := time.Now()
		stream()
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("the stream of who was removed ended after %s", took)
		}
		if sees(0, bob) {
			t.Error("who comes back to where his stream has ended reads what he may read no more")
		}
		p.soon("who was removed", func(i int) bool { return !sees(i, bob) })
		for i := range p.servers {
			wants(i, bob, "PATCH", "/api/notes/"+note, `{"text":"x"}`, 404)
		}

		// Two owners leave at the same moment, on two processes, or an operator removes both.
		var key struct{ Key string }
		if err := json.Unmarshal([]byte(runOn(t, db, "key", "add", p.dir, "--operator", "--json")), &key); err != nil {
			t.Fatal(err)
		}
		root := user{token: key.Key}
		var both []string
		var records [][2]string // their memberships
		for range 12 {
			team := made(wants(0, root, "POST", "/api/teams", `{"name":"Both"}`, 201))
			var ids [2]string
			for i, u := range []user{ann, bob} {
				ids[i] = made(wants(0, root, "POST", "/api/memberships", `{"team":"`+team+`","user":"`+u.id+`","role":"owner"}`, 201))
			}
			records = append(records, ids)
			both = append(both, team)
		}
		last := both[len(both)-1]
		p.soon("the last team", func(i int) bool {
			a, _ := p.ask(i, ann.token, "GET", "/api/teams/"+last, "")
			b, _ := p.ask(i, bob.token, "GET", "/api/teams/"+last, "")
			return a == 200 && b == 200
		})
		for n, team := range both {
			status := [2]int{}
			var all sync.WaitGroup
			for i, u := range []user{ann, bob} {
				all.Go(func() {
					switch n % 3 {
					case 0:
						status[i], _ = p.ask(i, u.token, http.MethodDelete, "/api/auth/teams/"+team+"/members/"+u.id, "")
					case 1:
						status[i], _ = p.ask(i, u.token, http.MethodPatch, "/api/auth/teams/"+team+"/members/"+u.id, `{"role":"member"}`)
					case 2:
						status[i], _ = p.ask(i, root.token, http.MethodDelete, "/api/memberships/"+records[n][i], "")
					}
				})
			}
			all.Wait()
			left := strings.Count(wants(0, root, "GET", "/api/memberships?filter=team%20==%20%22"+team+"%22%20%26%26%20role%20==%20%22owner%22", "", 200), `"role":"owner"`)
			if left != 1 || (status[0] == 409) == (status[1] == 409) {
				t.Fatalf("%d owners are left, answers %v", left, status)
			}
		}
	})
}
