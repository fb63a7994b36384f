package auth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/spec"
)

// every switches on all that the door has.
const every = `
name: every
auth:
  roles: [member]
  register: open
  anonymous: true
  teams: true
  providers: {one: {kind: oidc, issuer: https://id.example.com, clientId: a, clientSecret: b}}
server: {url: https://app.example.com}
`

// noOne is a provider that nobody comes back from.
type noOne struct{}

func (noOne) Begin(context.Context, auth.Flow) (string, error) {
	return "https://id.example.com/", nil
}

func (noOne) Finish(context.Context, auth.Flow, url.Values) (*auth.Identity, error) {
	return nil, &auth.Refusal{Code: "provider"}
}

// What is said of a route is what it does: who is not signed in is refused where a session is needed, and nowhere else; a request
// is counted where that is said; a parameter is refused where there is none, and a body that is none where there is one.
func TestRoutesAreAsDescribed(t *testing.T) {
	t.Parallel()
	var app *spec.App
	s := openWith(t, every, time.Now(), func(_ *site, a *spec.App, o *auth.Options) {
		app = a
		o.Providers = []auth.Provider{{Name: "one", Label: "One", Posts: true, Client: noOne{}}}
	})
	ids := map[string]bool{}
	operations := auth.Operations(app)
	if len(operations) < 46 {
		t.Fatalf("%d operations", len(operations))
	}
	for _, o := range operations {
		what := o.Method + " " + o.Path
		if ids[o.ID] || o.Summary == "" || o.Text == "" || len(o.Answers) == 0 || !slices.ContainsFunc(auth.Tags, func(tag [2]string) bool { return tag[0] == o.Tag }) {
			t.Errorf("%s is not described, or as another is", what)
		}
		ids[o.ID] = true
		path := strings.NewReplacer("/api/auth/", "", "{provider}", "one", "{id}", "00000000-0000-7000-8000-000000000000").Replace(o.Path)
		s.move(2 * time.Minute) // else it would be too many requests
		a := s.once(o.Method, path)
		if asks := a.status == http.StatusUnauthorized && strings.Contains(a.text, "sign in first"); asks != o.Signed {
			t.Errorf("%s wants a session: %t, and answers nobody %d %s", what, o.Signed, a.status, a.text)
		}
		if said := slices.Contains(o.Problems, a.status) || slices.ContainsFunc(o.Answers, func(g auth.Answer) bool { return g.Status == a.status }); !said {
			t.Errorf("%s answers %d, which is not described: %s", what, a.status, a.text)
		}
		for _, p := range o.Parameters {
			if p.Text == "" {
				t.Errorf("%s: %s is not described", what, p.Name)
			}
		}
		for _, name := range []string{"RateLimit", "RateLimit-Policy"} {
			said := slices.ContainsFunc(o.Answers[0].Headers, func(h auth.Header) bool { return h.Name == name })
			if there := a.header.Get(name) != ""; there != said {
				t.Errorf("%s has %s: %t, and it is described: %t", what, name, there, said)
			}
		}
		if !slices.ContainsFunc(o.Parameters, func(p auth.Parameter) bool { return p.In == "query" }) {
			if a := s.as("", o.Method, path+"?token=x", nil); a.status != http.StatusBadRequest || !strings.Contains(a.text, "token") {
				t.Errorf("%s takes a parameter: %d %s", what, a.status, a.text)
			}
		}
		if o.Body != nil && !o.Signed {
			a := s.as("", o.Method, path, "no object")
			if want := http.StatusBadRequest; a.status != want && (o.MediaType == "application/json" || a.status != http.StatusUnsupportedMediaType) {
				t.Errorf("%s takes a text for a body: %d %s", what, a.status, a.text)
			}
		}
	}
	// What is not switched on is not described.
	closed, err := spec.LoadFS(fstest.MapFS{spec.FileName: {Data: []byte("name: closed\nauth: {roles: [member]}\n")}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range auth.Operations(closed) {
		if o.Tag == "auth.providers" || o.Tag == "auth.teams" || o.ID == "auth.register" || o.ID == "auth.verify" {
			t.Errorf("%s is described", o.ID)
		}
	}
}

// once asks as nobody, and follows no redirect.
func (s *site) once(method, path string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/api/auth/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{status: res.StatusCode, text: string(b), header: res.Header}
}

// The guide has every route, and none that is not there.
func TestRoutesAreInTheGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range regexp.MustCompile("`(GET|POST|PATCH|DELETE) (/api/auth/[^`? ]*)").FindAllStringSubmatch(string(guide), -1) {
		there[m[1]+" "+m[2]] = true
	}
	app, err := spec.LoadFS(fstest.MapFS{spec.FileName: {Data: []byte(every)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range auth.Operations(app) {
		if what := o.Method + " " + o.Path; !there[what] {
			t.Errorf("docs/identity.md says nothing of %s", what)
		} else {
			delete(there, what)
		}
	}
	for what := range there {
		t.Errorf("docs/identity.md has %s, which is not there", what)
	}
}

// What is told of the limit is the client's own: the same whomever he asks about, and whatever others do.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 1, 2, 3, 4, 10, 0, time.UTC)
	s := openWith(t, strings.Replace(agency, "name: agency", "name: agency\nserver: {trustedProxies: [127.0.0.1]}", 1), start, nil)
	s.person("ann@example.com")
	s.move(2 * time.Hour) // what she was sent is counted no more
	from := func(address, path, email, password string) answer {
		body := map[string]any{"email": email}
		if password != "" {
			body["password"] = password
		}
		return s.as("", http.MethodPost, path, body, "X-Forwarded-For", address)
	}
	for i, path := range []string{"login", "reset", "code", "register"} {
		told := map[string][]string{}
		for j, email := range []string{"ann@example.com", "nobody@example.com"} {
			for range 12 { // more than an account takes
				password := ""
				if path == "login" || path == "register" {
					password = "wrong horse, wrong battery"
				}
				a := from(fmt.Sprintf("192.0.2.%d", 10*i+j), path, email, password)
				told[email] = append(told[email], fmt.Sprint(a.status, a.header["Ratelimit"], a.header["Ratelimit-Policy"]))
			}
		}
		if known := told["ann@example.com"]; !slices.Equal(known, told["nobody@example.com"]) || !strings.HasSuffix(known[11], `["address";r=88;t=50] ["address";q=100;w=60]`) {
			t.Errorf("%s tells of somebody %q, of nobody %q", path, known, told["nobody@example.com"])
		}
	}
	// One customer is counted as one, however his address is written; the limit is told to its end.
	for i := range 101 {
		address := []string{"2001:db8:1:2::1", "[2001:db8:1:2::2]:4711", "2001:db8:1:2:3:4:5:6"}[i%3]
		a := from(address, "login", fmt.Sprintf("%d@example.com", i), "wrong")
		if want := fmt.Sprintf(`"address";r=%d;t=50`, max(99-i, 0)); a.header.Get("RateLimit") != want || a.status == http.StatusTooManyRequests != (i == 100) {
			t.Fatalf("request %d: %d, %s, want %s", i+1, a.status, a.header.Get("RateLimit"), want)
		}
		if i == 100 && a.header.Get("Retry-After") != "50" {
			t.Errorf("Retry-After: %s", a.header.Get("Retry-After"))
		}
	}
	s.wants(from("2001:db8:1:3::1", "login", "1@example.com", "wrong"), 401, "")
	s.wants(from("198.51.100.1:4711", "login", "2@example.com", "wrong"), 401, "")
}
