package plinth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// People of another system come with what it has stored of their passwords, and sign in with them. What they change
// afterwards is not undone when the file is loaded again.
func TestPeopleMoveIn(t *testing.T) {
	t.Parallel()
	p, url, stored := mailing(t, `
auth: {roles: [member, staff], register: closed}
collections:
  users: {fields: {name: {type: text, max: 40}}}
  posts: {fields: {password: {type: text, max: 40}}, access: {read: true}}
`)
	seed := func(name, text string) (Seeded, error) {
		t.Helper()
		file := filepath.Join(p.dir, "seed", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(file)
		return p.Seed(t.Context(), nil)
	}
	login := func(email, password string) (status int, token string) {
		t.Helper()
		body, _ := json.Marshal(map[string]string{"email": email, "password": password})
		res, err := http.Post(url+"/api/auth/login", "application/json", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var a struct {
			Token string
			User  struct{ Role, Name string }
		}
		_ = json.NewDecoder(res.Body).Decode(&a)
		return res.StatusCode, a.Token
	}
	const django = "pbkdf2_sha256$390000$seasalt$8xBlGd3jVgvJ+92hWPxi5ww0uuAuAnKgC45eudxro7c=" // Django, test_hashers.py
	const spring = "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"      // Spring Security, PasswordEncoderFactoriesTests
	const table = "email,name,role,verified,password\n" +
		"ann@example.com,Ann,staff,true," + django + "\n" +
		"bob@example.com,Bob,member,true," + spring + "\n" +
		"cay@example.com,Cay,member,true,!unusable\n" +
		"dan@example.com,Dan,member,true,\n"
	if r, err := seed("users.csv", table); err != nil || r.Created != 4 || r.Passwords != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	if r, err := seed("users.csv", table); err != nil || r.Same != 4 || r.Passwords != 0 {
		t.Errorf("again: %+v %v", r, err)
	}
	for _, c := range []struct {
		email, password string
		status          int
	}{
		{"bob@example.com", "password", 200}, {"bob@example.com", "lètmein", 401}, {"cay@example.com", "!unusable", 401},
		{"dan@example.com", "", 401}, {"ann@example.com", django, 401},
	} {
		if status, _ := login(c.email, c.password); status != c.status && (c.password != "" || status != 422) {
			t.Errorf("%s %q: %d, want %d", c.email, c.password, status, c.status)
		}
	}
	status, token := login("ann@example.com", "lètmein")
	if status != 200 {
		t.Fatalf("ann: %d", status)
	}

	// She has another password from now on.
	const changed = "another horse, another battery"
	body, _ := json.Marshal(map[string]string{"old": "lètmein", "new": changed})
	r := httptest.NewRequest(http.MethodPost, "/api/auth/password", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	if p.Handler().ServeHTTP(w, r); w.Code != http.StatusNoContent {
		t.Fatalf("change: %d %s", w.Code, w.Body)
	}
	if r, err := seed("users.csv", table); err != nil || r.Passwords != 0 {
		t.Errorf("after a change: %+v %v", r, err)
	}
	if status, _ := login("ann@example.com", "lètmein"); status != 401 {
		t.Errorf("her old password is back: %d", status)
	}
	if status, _ := login("ann@example.com", changed); status != 200 {
		t.Errorf("her new password is gone: %d", status)
	}
	if strings.Contains(string(stored()), "seasalt") {
		t.Error("what was stored elsewhere stands in the database in clear")
	}

	// What cannot be verified is told by its line, and not repeated.
	for password, says := range map[string]string{
		"correct-horse-battery":             "is of no known format",
		"5f4dcc3b5aa765d61d8327deb882cf99":  "a digest in hexadecimal",
		"$P$B12345678ABCDEFGHIJKLMNOPQRSTU": "phpass",
	} {
		_, err := seed("users.csv", "email,password\neve@example.com,"+spring+"\nfay@example.com,"+password+"\n")
		if err == nil || !strings.Contains(err.Error(), "seed/users.csv: line 3: the stored password ") || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), "by a reset") || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", says, err)
		}
		if status, _ := login("eve@example.com", "password"); status != 401 {
			t.Errorf("of a file with a bad record somebody moved in: %d", status)
		}
	}

	// A list that was made for something else, with the words of Django.
	if err := os.WriteFile(filepath.Join(p.dir, "auth_user.json"), []byte(`[{"fields":1},{"mail":"gus@example.com","hash":"`+spring+`"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seed("1.yaml", "{collection: users, by: email, source: auth_user.json, map: {email: mail, password: hash}}"); err == nil || !strings.Contains(err.Error(), "record 1") {
		t.Errorf("a record without what is mapped: %v", err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "auth_user.json"), []byte(`[{"mail":"gus@example.com","hash":"`+spring+`"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := seed("1.yaml", "{collection: users, by: email, source: auth_user.json, map: {email: mail, password: hash, verified: {value: true}}}"); err != nil || r.Passwords != 1 {
		t.Errorf("a source: %+v %v", r, err)
	}
	if status, _ := login("gus@example.com", "password"); status != 200 {
		t.Errorf("from a source: %d", status)
	}

	// Who has not shown that the address is his has to, where that is asked for.
	if r, err := seed("users.csv", "email,password\nhal@example.com,"+spring+"\n"); err != nil || r.Passwords != 1 {
		t.Errorf("not verified: %+v %v", r, err)
	}
	if status, _ := login("hal@example.com", "password"); status != 403 {
		t.Errorf("not verified: %d", status)
	}

	// Elsewhere password is a field like others.
	if r, err := seed("posts.csv", "password\nhello\n"); err != nil || r.Created != 1 || r.Passwords != 0 {
		t.Errorf("a field of this name: %+v %v", r, err)
	}
}

// Who registered with somebody else's address, and never proved it, has nothing of the account when a list says that it is that one's.
func TestMovedInOnSomebody(t *testing.T) {
	t.Parallel()
	p, url, _ := mailing(t, `
auth: {roles: [member, staff], register: open, verify: optional}
collections:
  users: {fields: {name: {type: text, max: 40}}}
`)
	post := func(path, token string, body map[string]any) (status int, session string) {
		t.Helper()
		text, _ := json.Marshal(body)
		r, _ := http.NewRequest(http.MethodPost, url+"/api/auth/"+path, strings.NewReader(string(text)))
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var a struct{ Token string }
		_ = json.NewDecoder(res.Body).Decode(&a)
		return res.StatusCode, a.Token
	}
	const attackers = "the horse of somebody else"
	const spring = "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG" // Spring Security, PasswordEncoderFactoriesTests
	tokens := map[string]string{}
	for _, email := range []string{"ann@example.com", "bob@example.com", "cay@example.com"} {
		if status, _ := post("register", "", map[string]any{"email": email, "password": attackers}); status != http.StatusCreated {
			t.Fatal(status)
		}
		_, tokens[email] = post("login", "", map[string]any{"email": email, "password": attackers})
	}
	file := filepath.Join(p.dir, "seed", "users.csv")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	table := "email,role,verified,password\nann@example.com,staff,true," + spring + "\nbob@example.com,staff,true,\ncay@example.com,member,false,\n"
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kept := range []int{1, 0} { // the second time nothing is undone
		if r, err := p.Seed(t.Context(), nil); err != nil || r.Passwords != kept {
			t.Fatalf("%+v %v", r, err)
		}
		for email, token := range tokens {
			want := http.StatusUnauthorized
			if strings.HasPrefix(email, "cay") {
				want = http.StatusOK // nobody has said that the address is somebody's
			}
			if status, _ := post("login", "", map[string]any{"email": email, "password": attackers}); status != want {
				t.Errorf("%s with the password of before: %d", email, status)
			}
			r, _ := http.NewRequest(http.MethodGet, url+"/api/auth/me", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if res.Body.Close(); res.StatusCode != want {
				t.Errorf("%s with the session of before: %d", email, res.StatusCode)
			}
		}
		if status, _ := post("login", "", map[string]any{"email": "ann@example.com", "password": "password"}); status != http.StatusOK {
			t.Errorf("the owner: %d", status)
		}
	}
}
