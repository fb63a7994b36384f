package plinth

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

// What is changed about a user, or about the teams that he belongs to, counts from his next request on, whoever has changed it.
func TestChangedUserCountsAtOnce(t *testing.T) {
	t.Parallel()
	p, url, _ := mailing(t, `
auth: {roles: [member, staff], register: closed, teams: true}
collections:
  users: {fields: {desk: {type: text, max: 40, write: auth.has("staff")}}}
  posts: {fields: {n: {type: int}}, access: {read: 'auth.has("staff")', create: auth.desk == "a"}}
  notes: {fields: {team: {type: ref, to: teams}}, access: {read: team in auth.teams}}
`)
	if err := os.MkdirAll(filepath.Join(p.dir, "seed"), 0o700); err != nil {
		t.Fatal(err)
	}
	users := "email,role,desk,verified,password\nbob@example.com,staff,a,true,{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG\n"
	if err := os.WriteFile(filepath.Join(p.dir, "seed", "users.csv"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Seed(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	token := ""
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	_, b := ask("POST", "/api/auth/login", `{"email":"bob@example.com","password":"password"}`)
	var in struct {
		Token string
		User  struct{ ID string }
	}
	if err := json.Unmarshal([]byte(b), &in); err != nil || in.Token == "" || in.User.ID == "" {
		t.Fatal(b, err)
	}
	token = in.Token
	body := func(text string) *doc.Node {
		n, err := doc.Parse([]byte(text), doc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	patch := func(text string) {
		t.Helper()
		if _, err := p.DB().Update(t.Context(), data.System, "users", in.User.ID, body(text), data.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(method, path, body string, status int, text string) {
		t.Helper()
		if got, b := ask(method, path, body); got != status || !strings.Contains(b, text) {
			t.Errorf("%s %s: %d %s, want %d with %s", method, path, got, b, status, text)
		}
	}
	want("POST", "/api/posts", `{"n":1}`, 201, "")
	want("GET", "/api/posts", "", 200, `"n":1`)
	patch(`{"role":"member"}`)
	want("GET", "/api/posts", "", 200, `{"items":[]}`)
	patch(`{"desk":"b"}`)
	want("POST", "/api/posts", `{"n":1}`, 403, "")
	team, err := p.DB().Create(t.Context(), data.System, "teams", body(`{"name":"t"}`), data.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DB().Create(t.Context(), data.System, "notes", body(`{"team":"`+team.ID+`"}`), data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	want("GET", "/api/notes", "", 200, `{"items":[]}`)
	_, err = p.DB().Create(t.Context(), data.System, "memberships", body(`{"team":"`+team.ID+`","user":"`+in.User.ID+`","role":"owner"}`), data.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want("GET", "/api/notes", "", 200, team.ID)
	if _, err := p.DB().Update(t.Context(), data.System, "users", in.User.ID, body(`{"role":"staff"}`), data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	want("GET", "/api/posts", "", 200, `"n":1`)
}

// Nothing is remembered of a user before he is created: he is looked up anew when he is changed or deleted, and when his teams are.
func TestCreatedUserIsNotLookedUp(t *testing.T) {
	t.Parallel()
	p, _, _ := mailing(t, "auth: {register: closed, teams: true}\n")
	got := map[string][]data.Op{}
	for _, h := range renewing(p.App(), nil) {
		got[h.Collection] = append(got[h.Collection], h.Op)
	}
	want := map[string][]data.Op{"users": {data.Update, data.Delete}, p.App().Auth.Teams.Members: {data.Create, data.Update, data.Delete}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
