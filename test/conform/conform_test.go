package conform

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const described = `{"openapi":"3.1.0","paths":{
  "/api/posts":{"get":{"responses":{"200":{"description":"","content":{"application/json":{"schema":{"$ref":"#/components/schemas/post"}}}},
    "401":{"$ref":"#/components/responses/problem401"}}},
    "delete":{"responses":{"204":{"description":"","headers":{"ETag":{"required":true}}}}}},
  "/api/posts/{id}":{"get":{"responses":{"200":{"description":"","content":{"*/*":{"schema":{"type":"string"}}}},"304":{"description":""}}}}},
 "components":{"schemas":{"post":{"type":"object","required":["id"],"properties":{"id":{"type":"string","format":"uuid"},"any":{}}},
    "Problem":{"type":"object","required":["type"],"properties":{"type":{"type":"string"},"title":{},"status":{},"detail":{},"instance":{},"request":{}}}},
  "responses":{"problem401":{"description":"","headers":{"WWW-Authenticate":{"required":true}},
    "content":{"application/problem+json":{"schema":{"$ref":"#/components/schemas/Problem"}}}}}}}`

const id = `"id":"01a20405-9198-7f08-9d1c-8eaa6553ca8b"`

func problem(status int, path, more string) string {
	return fmt.Sprintf(`{"type":"/problems/x","title":"t","status":%d,"detail":"d","instance":%q,"request":"r"%s}`, status, path, more)
}

// answers are what a server could say, and what is wrong with it: "" when nothing is.
var answers = []struct {
	what, method, path string
	status             int
	headers, body      string
	wrong              string
}{
	{"as described", "GET", "/api/posts", 200, "Content-Type: application/json", `{` + id + `}`, ""},
	{"with a charset", "GET", "/api/posts", 200, "Content-Type: application/json; charset=utf-8", `{` + id + `,"any":[1]}`, ""},
	{"HEAD", "HEAD", "/api/posts", 200, "Content-Type: application/json", ``, ""},
	{"no body where one is due", "GET", "/api/posts", 200, "Content-Type: application/json", ``, "no JSON"},
	{"half a body", "GET", "/api/posts", 200, "Content-Type: application/json", `{"id"`, "no JSON"},
	{"nothing expanded", "GET", "/api/posts", 200, "Content-Type: application/json", `{` + id + `,"expand":{"hidden":[]}}`, ""},
	{"something expanded of no description", "GET", "/api/posts", 200, "Content-Type: application/json", `{` + id + `,"expand":{"hidden":[1]}}`, "'expand' not allowed"},
	{"a member is missing", "GET", "/api/posts", 200, "Content-Type: application/json", `{}`, "missing property 'id'"},
	{"a member too many", "GET", "/api/posts", 200, "Content-Type: application/json", `{` + id + `,"more":1}`, "'more' not allowed"},
	{"another type", "GET", "/api/posts", 200, "Content-Type: application/json", `{"id":1}`, "want string"},
	{"another format", "GET", "/api/posts", 200, "Content-Type: application/json", `{"id":"x"}`, "not valid uuid"},
	{"another content type", "GET", "/api/posts", 200, "Content-Type: text/plain", `{` + id + `}`, "content type"},
	{"a status of no description", "GET", "/api/posts", 201, "Content-Type: application/json", `{` + id + `}`, "status is not described"},
	{"a problem of no description", "GET", "/api/posts", 404, "Content-Type: application/problem+json", problem(404, "/api/posts", ""), "status is not described"},
	{"a problem", "GET", "/api/posts", 401, "Content-Type: application/problem+json\nWWW-Authenticate: Bearer", problem(401, "/api/posts", ""), ""},
	{"a problem without a header", "GET", "/api/posts", 401, "Content-Type: application/problem+json", problem(401, "/api/posts", ""), "WWW-Authenticate"},
	{"a problem with more", "GET", "/api/posts", 401, "Content-Type: application/problem+json\nWWW-Authenticate: Bearer", problem(401, "/api/posts", `,"more":1`), "'more' not allowed"},
	{"a problem of another status", "GET", "/api/posts", 401, "Content-Type: application/problem+json\nWWW-Authenticate: Bearer", problem(403, "/api/posts", ""), "about 403"},
	{"a problem about elsewhere", "GET", "/api/posts", 401, "Content-Type: application/problem+json\nWWW-Authenticate: Bearer", problem(401, "/api", ""), "of /api"},
	{"no body", "DELETE", "/api/posts", 204, "ETag: \"1\"", "", ""},
	{"a body of no description", "DELETE", "/api/posts", 204, "ETag: \"1\"", "x", "body is not described"},
	{"no ETag", "DELETE", "/api/posts", 204, "", "", "ETag is missing"},
	{"bytes", "GET", "/api/posts/1", 200, "Content-Type: image/png", "\x89", ""},
	{"not changed", "GET", "/api/posts/1", 304, "", "", ""},
	{"not changed, with a body", "GET", "/api/posts/1", 304, "", "x", "no body"},
	{"minimal", "GET", "/api/posts", 200, "Preference-Applied: return=minimal", "", ""},
	{"no such route", "GET", "/api/nope", 404, "Content-Type: application/problem+json", problem(404, "/api/nope", ""), ""},
	{"no such route, in plain text", "GET", "/api/nope", 404, "Content-Type: text/plain", "404", "a problem is"},
	{"no such route, with success", "GET", "/api/nope", 200, "Content-Type: application/json", `{}`, "operation is not described"},
	{"an empty list of what may not be read", "GET", "/api/nope", 200, "Content-Type: application/json", `{"items":[]}`, ""},
	{"a summary of it", "GET", "/api/nope", 200, "Content-Type: application/json", `{"groups":[{"count":0,"min(a)":null}]}`, ""},
	{"a list of what may not be read", "GET", "/api/nope", 200, "Content-Type: application/json", `{"items":[1]}`, "operation is not described"},
	{"a summary of what may not be read", "GET", "/api/nope", 200, "Content-Type: application/json", `{"groups":[{"count":1}]}`, "operation is not described"},
	{"a total of what may not be read", "GET", "/api/nope", 200, "Content-Type: application/json", `{"items":[],"total":1}`, "operation is not described"},
	{"another method of that name", "get", "/api/posts", 405, "Allow: GET\nContent-Type: application/problem+json", problem(405, "/api/posts", ""), ""},
	{"an operation of no description", "POST", "/api/posts", 201, "Content-Type: application/json", `{}`, "operation is not described"},
	{"a method that is not there", "PUT", "/api/posts", 405, "Allow: GET\nContent-Type: application/problem+json", problem(405, "/api/posts", ""), ""},
	{"and no Allow", "PUT", "/api/posts", 405, "Content-Type: application/problem+json", problem(405, "/api/posts", ""), "without Allow"},
	{"a page", "GET", "/", 200, "Content-Type: text/html", "<h1>", ""},
	{"no page", "GET", "/nope", 404, "Content-Type: text/html", "<h1>", ""},
	{"a page in the API", "GET", "/api/nope", 404, "Content-Type: text/html", "<h1>", "a problem is"},
	{"OPTIONS", "OPTIONS", "/api/posts", 204, "Allow: GET", "", ""},
}

func TestJudge(t *testing.T) {
	t.Parallel()
	j, err := newJudge([]byte(described))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		got := strings.Join(j.judge(httptest.NewRequest(a.method, a.path, nil), a.status, headers(a.headers), []byte(a.body)), "; ")
		if (got == "") != (a.wrong == "") || !strings.Contains(got, a.wrong) {
			t.Errorf("%s: %q, want %q", a.what, got, a.wrong)
		}
	}
}

func headers(lines string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Set(name, value)
		}
	}
	return h
}

// told is a testing.TB that notes what it is told.
type told struct {
	testing.TB
	errors []string
}

func (t *told) Errorf(format string, args ...any) {
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

// server answers the row that the request names, and its description to whoever is not refused.
var server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/openapi.json" {
		if r.Header.Get("Authorization") == "wrong" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Write([]byte(described))
		return
	}
	for _, a := range answers {
		if a.what == r.Header.Get("What") {
			for name, values := range headers(a.headers) {
				w.Header()[name] = values
			}
			w.WriteHeader(a.status)
			w.Write([]byte(a.body))
		}
	}
})

// TestWrappers: both forms pass an answer on as it is, and tell the test of one that is not as described.
func TestWrappers(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(server)
	t.Cleanup(s.Close)
	for form, ask := range map[string]func(t testing.TB, r *http.Request) (int, string){
		"handler": func(t testing.TB, r *http.Request) (int, string) {
			w := httptest.NewRecorder()
			Handler(t, server).ServeHTTP(w, r)
			return w.Code, w.Body.String()
		},
		"transport": func(t testing.TB, r *http.Request) (int, string) {
			r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", s.Listener.Addr().String()
			resp, err := Transport(t, nil).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(b)
		},
	} {
		for _, credential := range []string{"", "good", "wrong"} {
			for what, wrong := range map[string]bool{"as described": false, "another type": true} {
				r := httptest.NewRequest("GET", "/api/posts", nil)
				r.Header.Set("What", what)
				if credential != "" {
					r.Header.Set("Authorization", credential)
				}
				note := &told{TB: t}
				status, body := ask(note, r)
				if status != 200 || !strings.HasPrefix(body, `{"id"`) {
					t.Errorf("%s, %s: %d %q", form, what, status, body)
				}
				if len(note.errors) > 0 != wrong {
					t.Errorf("%s, %s, %q: %q", form, what, credential, note.errors)
				}
			}
		}
	}
}
