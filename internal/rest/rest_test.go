package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/rest"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	a := s.ask("POST /api/posts", "", `{"title":"Hello","stars":3}`).want(201)
	id := a.json()["id"].(string)
	if a.header.Get("Location") != "/api/posts/"+id || a.header.Get("ETag") != `"1"` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers: %v", a.header)
	}
	if a.header.Get("Cache-Control") != "private, no-cache" || a.header.Get("Vary") != "Authorization, Cookie" {
		t.Errorf("caching: %v", a.header)
	}
	a = s.ask("POST /api/posts", "Prefer: return=minimal", `{"title":"Hello"}`).want(201)
	if a.body != "" || a.header.Get("Preference-Applied") != "return=minimal" || a.header.Get("Location") == "" {
		t.Errorf("minimal: %q %v", a.body, a.header)
	}
	for _, c := range []struct {
		name, line, headers, body string
		status                    int
		fields                    string
	}{
		{"not JSON", "POST /api/posts", "", `{"title":`, 400, "/title syntax"},
		{"duplicate key", "POST /api/posts", "", `{"title":"a","title":"b"}`, 400, "/title syntax"},
		{"case variant", "POST /api/posts", "", `{"title":"a","Title":"b"}`, 400, "/Title syntax"},
		{"trailing data", "POST /api/posts", "", `{"title":"ab"} {}`, 400, " syntax"},
		{"empty", "POST /api/posts", "Content-Type: application/json", ``, 400, ""},
		{"a list", "POST /api/posts", "", `[]`, 400, ""},
		{"unknown field", "POST /api/posts", "", `{"title":"ab","nope":1}`, 422, "/nope unknown"},
		{"required", "POST /api/posts", "", `{}`, 422, "/title required"},
		{"type", "POST /api/posts", "", `{"title":1}`, 422, "/title type"},
		{"may not write", "POST /api/posts", "", `{"title":"ab","secret":"x"}`, 422, "/secret unknown"},
		{"form", "POST /api/posts", "Content-Type: application/x-www-form-urlencoded", `title=a`, 415, ""},
		{"charset", "POST /api/posts", "Content-Type: application/json; charset=latin1", `{}`, 415, ""},
		{"compressed", "POST /api/posts", "Content-Encoding: gzip", `{}`, 415, ""},
		{"parameter", "POST /api/posts?x=1", "", `{}`, 400, "x unknown"},
		{"bad key", "POST /api/posts", `Idempotency-Key: "a`, `{"title":"ab"}`, 400, ""},
		{"no rule, nobody", "POST /api/locked", "", `not even JSON`, 401, ""},
		{"no rule, member", "POST /api/locked", "Authorization: Bearer member", `{}`, 403, ""},
		{"rule", "POST /api/people", "Authorization: Bearer member", `{`, 403, ""},
		{"read-only key", "POST /api/posts", "Authorization: Bearer readonly", `{}`, 403, ""},
		{"invalid credential on an open route", "POST /api/posts", "Authorization: Bearer wrong", `{}`, 401, ""},
		{"no collection", "POST /api/nope", "", `{}`, 404, ""},
		{"kept by Plinth", "POST /api/_answers", "Authorization: Bearer operator", `{}`, 404, ""},
		{"accept", "POST /api/posts", "Accept: text/html", `{"title":"ab"}`, 406, ""},
		{"method override", "POST /api/posts", "X-HTTP-Method-Override: DELETE", `{}`, 422, "/title required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.ask(c.line, c.headers, c.body)
			if a.status != c.status {
				t.Fatalf("status %d, want %d: %s", a.status, c.status, a.body)
			}
			if got := a.fields(); got != c.fields {
				t.Errorf("errors %q, want %q: %s", got, c.fields, a.body)
			}
			if challenge := a.header.Get("WWW-Authenticate"); (challenge != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			} else if strings.Contains(c.headers, "wrong") != strings.Contains(challenge, "invalid_token") {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s := open(t, agency+"server: {limits: {body: 1KB}}\n", "")
	s.ask("POST /api/posts", "", `{"title":"`+strings.Repeat("x", 2000)+`"}`).want(413)
	// the same without a length to refuse it by
	r := httptest.NewRequest("POST", "/api/posts", strings.NewReader(`{"title":"`+strings.Repeat("x", 2000)+`"}`))
	r.ContentLength = -1
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("chunked: %d %s", w.Code, w.Body)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	id := s.create(`{"title":"Hello","slug":"a/b c%2F","secret":"s"}`)
	one := "/api/posts/" + id
	a := s.ask("GET "+one, "", "").want(200)
	if a.header.Get("ETag") != `"1"` || strings.Contains(a.body, "secret") {
		t.Errorf("%v %s", a.header, a.body)
	}
	head := s.ask("HEAD "+one, "", "").want(200)
	if head.body != "" || head.header.Get("ETag") != `"1"` || head.header.Get("Content-Length") != fmt.Sprint(len(a.body)) {
		t.Errorf("HEAD: %q %v", head.body, head.header)
	}
	for _, c := range []struct {
		line, headers string
		status        int
	}{
		{"GET " + one, `If-None-Match: "1"`, 304},
		{"GET " + one, `If-None-Match: W/"1"`, 304},
		{"GET " + one, `If-None-Match: "7", "1"`, 304},
		{"HEAD " + one, `If-None-Match: *`, 304},
		{"GET " + one, `If-None-Match: "2"`, 200},
		{"GET " + one, `If-None-Match: "01"`, 200},
		{"GET " + one, `If-None-Match: 1`, 400},
		{"GET " + one, `If-Match: "1"`, 200},
		{"GET " + one, `If-Match: W/"1"`, 412},
		{"GET " + one, `If-Match: "2"`, 412},
		{"GET " + one + "?fields=title", `If-None-Match: "1"`, 200},
		{"GET " + one + "?nope=1", "", 400},
		{"GET " + one + "?fields=a&fields=b", "", 400},
		{"GET " + one + "?fields=nope", "", 400},
		{"GET /api/posts/01900000-0000-7000-8000-000000000000", "", 404},
		{"GET /api/posts/zzz", "", 404},
		{"GET " + one, "Accept: application/xml", 406},
		{"GET " + one, "Accept: application/*;q=0.5, text/html", 200},
		{"GET " + one, "Accept: */*, application/json;q=0", 406},
		{"GET " + one, "Accept: text/event-stream", 501},
		{"GET /api/posts", "Accept: text/event-stream", 501},
		{"GET /api/live?subscribe=a&subscribe=b", "Accept: text/event-stream", 501},
		{"GET " + one, "Authorization: Bearer wrong", 401},
		{"GET /api/posts/by/slug/a%2Fb%20c%252F", "", 200},
		{"GET /api/posts/by/slug/a%2Fb%20c%2F", "", 404},
		{"GET /api/posts/by/title/Hello", "", 404},
		{"GET /api/posts/by/nope/Hello", "", 404},
		{"GET /api/vault/01900000-0000-7000-8000-000000000000", "", 404},
		{"GET /api/locked/01900000-0000-7000-8000-000000000000", "", 401},
		{"GET /api/locked/01900000-0000-7000-8000-000000000000", "Authorization: Bearer member", 403},
	} {
		a := s.ask(c.line, c.headers, "")
		if a.status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.line, c.headers, a.status, c.status, a.body)
		}
		if a.status == 304 && (a.body != "" || a.header.Get("ETag") != `"1"` || a.header.Get("Vary") == "" || a.header.Get("Cache-Control") != "private, no-cache") {
			t.Errorf("%s: 304 with %v", c.headers, a.header)
		}
	}
	if a := s.ask("GET "+one+"?fields=title", "", "").want(200); a.header.Get("ETag") != "" || a.body != `{"id":"`+id+`","title":"Hello"}` {
		t.Errorf("fields: %v %s", a.header, a.body)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	for i := range 5 {
		s.create(fmt.Sprintf(`{"title":"post %d","stars":%d,"status":"open","price":"%d.50"}`, i, i, i))
	}
	for _, c := range []struct{ query, want string }{
		{"?filter=stars%20%3E%3D%203&sort=-stars&fields=stars", "4 3"},
		{"?filter=stars+==+param.n&param.n=2&fields=stars", "2"},
		{"?sort=stars&limit=2&fields=stars", "0 1 next"},
		{"?sort=stars&limit=5&fields=stars&count=exact", "0 1 2 3 4 total=5"},
		{"?filter=&sort=stars&cursor=&limit=1", "0 next"},
	} {
		a := s.ask("GET /api/posts"+c.query, "", "").want(200)
		if got := summary(a.json()); got != c.want {
			t.Errorf("%s: %s, want %s", c.query, got, c.want)
		}
		if a.header.Get("ETag") != "" || a.header.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("headers: %v", a.header)
		}
	}
	page := s.ask("GET /api/posts?sort=stars&limit=2", "", "").want(200).json()
	next := page["next"].(string)
	if got := summary(s.ask("GET /api/posts?sort=stars&limit=2&cursor="+next, "", "").want(200).json()); got != "2 3 next" {
		t.Error(got)
	}
	s.ask("GET /api/posts?sort=-stars&limit=2&cursor="+next, "", "").want(400)
	a := s.ask("POST /api/posts/query", "", `{"filter":"stars > param.n","param":{"n":2},"sort":"stars","limit":10,"count":"exact"}`).want(200)
	if got := summary(a.json()); got != "3 4 total=2" {
		t.Error(got)
	}
	a = s.ask("GET /api/posts?group=status&aggregate=count,sum(price)", "", "").want(200)
	if a.body != `{"groups":[{"status":"open","count":5,"sum(price)":"12.50"}]}` {
		t.Error(a.body)
	}
	s.ask("POST /api/posts/query", "", `{"group":"status","aggregate":"count"}`).want(200)
	if a := s.ask("GET /api/vault", "", "").want(200); a.body != `{"items":[]}` {
		t.Error(a.body)
	}
	for _, c := range []struct {
		line, body string
		status     int
		fields     string
	}{
		{"GET /api/posts?filter=nope%20==%201", "", 400, "filter unknown"},
		{"GET /api/posts?filter=secret%20==%20%22s%22", "", 400, "filter unknown"},
		{"GET /api/posts?filter=stars%20==", "", 400, "filter syntax"},
		{"GET /api/posts?sort=nope", "", 400, "sort unknown"},
		{"GET /api/posts?limit=0", "", 400, "limit type"},
		{"GET /api/posts?limit=501", "", 400, "limit type"},
		{"GET /api/posts?limit=", "", 400, "limit type"},
		{"GET /api/posts?limit=1&limit=1", "", 400, "limit syntax"},
		{"GET /api/posts?count=yes", "", 400, "count type"},
		{"GET /api/posts?Filter=1", "", 400, "Filter unknown"},
		{"GET /api/posts?filter=%zz", "", 400, "filter syntax"},
		{"GET /api/posts?filter=%ff", "", 400, "filter syntax"},
		{"GET /api/posts?group=status&limit=3", "", 400, "limit unknown"},
		{"GET /api/locked", "", 401, ""},
		{"GET /api/nope", "", 404, ""},
		{"POST /api/posts/query", `{"nope":1}`, 400, "/nope unknown"},
		{"POST /api/posts/query", `{"filter":1}`, 400, "/filter type"},
		{"POST /api/posts/query", `[]`, 400, " type"},
		{"GET /api/posts?limit=0&nope=1&count=no&filter=%ff&sort=a&sort=b", "", 400, "nope unknown, filter syntax, sort syntax, limit type, count type"},
		{"GET /api/posts?group=status&limit=x&sort=stars", "", 400, "limit type, sort unknown, limit unknown"},
		{"POST /api/posts/query", `{"limit":501,"a/b~c":1,"filter":1,"count":"no","param":[]}`, 400, "/limit type, /a~1b~0c unknown, /filter type, /count type, /param type"},
		{"POST /api/posts/query", `{"group":"status","limit":3,"cursor":"x"}`, 400, "/limit unknown, /cursor unknown"},
		{"POST /api/posts/query?limit=1", `{}`, 400, "limit unknown"},
		{"POST /api/locked/query", `{}`, 401, ""},
	} {
		a := s.ask(c.line, "", c.body)
		if a.status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.line, c.body, a.status, c.status, a.body)
			continue
		}
		if got := a.fields(); got != c.fields {
			t.Errorf("%s %s: %q, want %q", c.line, c.body, got, c.fields)
		}
	}
}

func summary(page map[string]any) string {
	var out []string
	for _, item := range page["items"].([]any) {
		out = append(out, fmt.Sprint(item.(map[string]any)["stars"]))
	}
	if page["next"] != nil {
		out = append(out, "next")
	}
	if page["total"] != nil {
		out = append(out, fmt.Sprintf("total=%v", page["total"]))
	}
	return strings.Join(out, " ")
}

func TestWrites(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	id := s.create(`{"title":"Hello","stars":1,"meta":{"a":1,"b":2}}`)
	one := "/api/posts/" + id
	a := s.ask("PATCH "+one, "Content-Type: application/merge-patch+json", `{"meta":{"a":null,"c":3}}`).want(200)
	if a.header.Get("ETag") != `"2"` || !strings.Contains(a.body, `"meta":{"b":2,"c":3}`) {
		t.Errorf("%v %s", a.header, a.body)
	}
	if a := s.ask("PATCH "+one, "", `{"title":"Hello"}`).want(200); a.header.Get("ETag") != `"2"` {
		t.Errorf("nothing changed, and it is %s", a.header.Get("ETag"))
	}
	a = s.ask("PATCH "+one, "Prefer: return=minimal", `{"title":"Hi there"}`).want(204)
	if a.body != "" || a.header.Get("ETag") != `"3"` || a.header.Get("Preference-Applied") == "" {
		t.Errorf("%v %s", a.header, a.body)
	}
	s.ask("PATCH "+one, `If-Match: "2"`, `{"title":"xx"}`).want(412)
	for condition, detail := range map[string]string{
		`If-Match: "2"`:           "the record has changed: it is at revision 3",
		`If-Match: W/"3"`:         `a weak tag, W/"…", never matches If-Match; the record is at revision 3`,
		`If-Match: "9", "x"`:      "the record is at revision 3, which If-Match does not name",
		`If-None-Match: "1", "3"`: "the record is at revision 3, which If-None-Match names",
		`If-None-Match: *`:        "the record exists",
	} {
		for _, line := range []string{"PATCH " + one, "PUT " + one, "GET " + one} {
			if strings.HasPrefix(line, "GET") && strings.HasPrefix(condition, "If-None") {
				continue // 304
			}
			if a := s.ask(line, condition, `{"title":"xx"}`).want(412); a.json()["detail"] != detail {
				t.Errorf("%s %s: %v", line, condition, a.json()["detail"])
			}
		}
	}
	s.ask("PATCH "+one, `If-Match: W/"2", "3"`, `{"title":"Hi there"}`).want(200)
	s.ask("PATCH "+one, `If-Match: "3"`, `{"title":"Hi you"}`).want(200)
	if a := s.ask("PATCH "+one, "Content-Type: text/plain", `{}`).want(415); !strings.Contains(a.header.Get("Accept-Patch"), "merge-patch+json") {
		t.Errorf("Accept-Patch: %v", a.header)
	}
	if a := s.ask("POST "+one+"/increment", "", `{"stars":2}`).want(200); a.json()["stars"] != 3.0 {
		t.Error(a.body)
	}
	s.ask("POST "+one+"/increment", "", `{"stars":100}`).want(422)
	s.ask("PUT "+one, "If-None-Match: *", `{"title":"xx"}`).want(412)
	s.ask("PUT "+one, "", `{"title":"Whole","stars":5}`).want(200)
	fresh := "/api/posts/01900000-0000-7000-8000-0000000000aa"
	if a := s.ask("PUT "+fresh, "If-None-Match: *", `{"title":"New"}`).want(201); a.header.Get("Location") != fresh {
		t.Errorf("%v", a.header)
	}
	s.ask("DELETE "+one, "", "").want(401)
	s.ask("DELETE "+one, "Authorization: Bearer member", "").want(403)
	s.ask("DELETE "+one, "Authorization: Bearer staff\nIf-Match: \"1\"", "").want(412)
	if a := s.ask("DELETE "+one, "Authorization: Bearer staff", "").want(204); a.body != "" || a.header.Get("ETag") != "" {
		t.Errorf("%v", a.header)
	}
	s.ask("DELETE "+one, "Authorization: Bearer staff", "").want(404)
	s.ask("DELETE "+one, "Authorization: Bearer staff\nIf-Match: *", "").want(404)
	s.ask("PUT "+one, "If-Match: *", `{"title":"xx"}`).want(412)
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	first := s.ask("POST /api/posts", `Idempotency-Key: "k1"`, `{"title":"Once"}`).want(201)
	again := s.ask("POST /api/posts", `Idempotency-Key: k1`, `{"title":"Once"}`).want(201)
	if first.body != again.body || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("%s\n%s", first.body, again.body)
	}
	s.ask("POST /api/posts", `Idempotency-Key: "k1"`, `{"title":"Other"}`).want(422)
	s.ask("POST /api/posts", "Authorization: Bearer member\nIdempotency-Key: \"k1\"", `{"title":"Other"}`).want(201)
	if n := len(s.ask("GET /api/posts", "", "").want(200).json()["items"].([]any)); n != 2 {
		t.Errorf("%d posts", n)
	}
	for i := range 2 {
		a := s.ask("POST /api/batch", `Idempotency-Key: "b"`, `{"atomic":false,"operations":[{"op":"create","collection":"posts","body":{"title":"one"}},{"op":"create","collection":"posts","body":{}}]}`).want(200)
		if n := len(s.ask("GET /api/posts", "", "").want(200).json()["items"].([]any)); n != 3 {
			t.Errorf("run %d: %d posts: %s", i, n, a.body)
		}
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	id := s.create(`{"title":"Hello"}`)
	count := func() int { return len(s.ask("GET /api/posts", "", "").want(200).json()["items"].([]any)) }
	a := s.ask("POST /api/batch", "Authorization: Bearer staff", `{"operations":[
		{"op":"create","collection":"posts","body":{"title":"two"}},
		{"op":"update","collection":"posts","id":"`+id+`","body":{"title":"Hello you"},"ifMatch":"1"},
		{"op":"create","collection":"people","body":{"name":"Ann"}}]}`).want(200)
	results := a.json()["results"].([]any)
	if len(results) != 3 || results[0].(map[string]any)["status"] != 201.0 || results[1].(map[string]any)["status"] != 200.0 ||
		results[2].(map[string]any)["body"].(map[string]any)["name"] != "Ann" {
		t.Error(a.body)
	}
	before := count()
	a = s.ask("POST /api/batch", "", `{"operations":[{"op":"create","collection":"posts","body":{"title":"three"}},{"op":"delete","collection":"posts","id":"`+id+`"}]}`).want(401)
	if a.problem()["operation"] != 1.0 || count() != before {
		t.Errorf("%d of %d: %s", count(), before, a.body)
	}
	a = s.ask("POST /api/batch", "", `{"operations":[{"op":"create","collection":"posts","body":{"title":"three"}},{"op":"create","collection":"posts","body":{"nope":1}}]}`).want(422)
	if a.problem()["operation"] != 1.0 || !strings.Contains(a.fields(), "/nope unknown") {
		t.Error(a.body)
	}
	a = s.ask("POST /api/batch", "", `{"atomic":false,"operations":[{"op":"create","collection":"posts","body":{"title":"three"}},{"op":"create","collection":"posts","body":{}},
		{"op":"delete","collection":"posts","id":"`+id+`"},{"op":"update","collection":"posts","id":"`+id+`","body":{},"ifMatch":"77"}]}`).want(200)
	var statuses []any
	for _, r := range a.json()["results"].([]any) {
		statuses = append(statuses, r.(map[string]any)["status"])
	}
	if fmt.Sprint(statuses) != "[201 422 401 412]" || count() != before+1 {
		t.Errorf("%v: %s", statuses, a.body)
	}
	many := strings.Repeat(`{"op":"delete","collection":"posts","id":"x"},`, 501)
	for _, c := range []struct{ body, fields string }{
		{`[]`, " type"}, {`{}`, "/operations type"}, {`{"operations":{}}`, "/operations type"}, {`{"atomic":1,"operations":[]}`, "/atomic type"},
		{`{"operations":[],"x":1}`, "/x unknown"}, {`{"operations":[1]}`, "/operations/0 type"},
		{`{"operations":[{"op":"drop","collection":"posts"}]}`, "/operations/0/op type"},
		{`{"atomic":1,"x~":2,"operations":[1,{"op":"create","collection":1,"b/c":1},{"op":"delete","body":{}}]}`, "/atomic type, /x~0 unknown, /operations/0 type, " +
			"/operations/1/collection type, /operations/1/b~1c unknown, /operations/1/body type, /operations/2/collection type, /operations/2/id type, /operations/2/body unknown"},
		{`{"operations":[{"op":"create","collection":"posts","body":{},"ifMatch":"1"}]}`, "/operations/0/ifMatch unknown"},
		{`{"operations":[{"op":"delete","collection":"posts","id":"x","ifMatch":"+1"}]}`, "/operations/0/ifMatch type"},
		{`{"operations":[{"op":"delete","collection":"posts","id":"x","ifMatch":"01"}]}`, "/operations/0/ifMatch type"},
		{`{"operations":[{"op":"create","collection":"posts","body":{},"id":"x"}]}`, "/operations/0/id unknown"},
		{`{"operations":[{"op":"update","collection":"posts","body":{}}]}`, "/operations/0/id type"},
		{`{"operations":[{"op":"update","collection":"posts","id":"x","body":{},"ifMatch":"a"}]}`, "/operations/0/ifMatch type"},
		{`{"operations":[{"op":"delete","collection":"posts","id":"x","extra":1}]}`, "/operations/0/extra unknown"},
		{`{"operations":[` + many[:len(many)-1] + `]}`, "/operations type"},
	} {
		if a := s.ask("POST /api/batch", "", c.body).want(400); a.fields() != c.fields {
			t.Errorf("%.80s: %s, want %s", c.body, a.fields(), c.fields)
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	for _, c := range []struct {
		line   string
		status int
		allow  string
	}{
		{"DELETE /api/posts", 405, "GET, HEAD, POST, OPTIONS"},
		{"PUT /api/posts", 405, "GET, HEAD, POST, OPTIONS"},
		{"POST /api/posts/x", 405, "GET, HEAD, PATCH, PUT, DELETE, OPTIONS"},
		{"GET /api/posts/query/", 404, ""},
		{"PATCH /api/posts/query", 405, "POST, OPTIONS"},
		{"GET /api/posts/x/increment", 405, "POST, OPTIONS"},
		{"GET /api/batch", 405, "POST, OPTIONS"},
		{"POST /api/openapi.json", 405, "GET, HEAD, OPTIONS"},
		{"POST /healthz", 405, "GET, HEAD, OPTIONS"},
		{"TRACE /api/posts", 405, "GET, HEAD, POST, OPTIONS"},
		{"BREW /api/posts", 405, "GET, HEAD, POST, OPTIONS"},
		{"OPTIONS /api/posts", 204, "GET, HEAD, POST, OPTIONS"},
		{"GET /api", 404, ""}, {"GET /api/", 404, ""}, {"GET /api/posts/", 404, ""}, {"GET /api//posts", 404, ""},
		{"GET /api/posts/a/b/c/d/e", 404, ""}, {"GET /api/../api/posts", 404, ""}, {"GET /nothing", 404, ""}, {"POST /nothing", 405, "GET, HEAD, OPTIONS"},
		{"GET /healthz", 200, ""}, {"GET /readyz", 200, ""}, {"GET /metrics", 404, ""},
	} {
		a := s.ask(c.line, "", "")
		if a.status != c.status || a.header.Get("Allow") != c.allow {
			t.Errorf("%s: %d %q, want %d %q: %s", c.line, a.status, a.header.Get("Allow"), c.status, c.allow, a.body)
		}
	}
	if a := s.ask("GET /readyz", "", ""); a.body != `{"write":true}` {
		t.Error(a.body)
	}
	a := s.ask("GET /api/posts", "", "")
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
		if a.header.Get(name) != want {
			t.Errorf("%s: %q", name, a.header.Get(name))
		}
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	page := s.ask("GET /api/docs", "", "").want(200)
	if !strings.Contains(page.header.Get("Content-Security-Policy"), "script-src 'self'") || strings.Contains(page.body, "<style") || strings.Contains(page.body, "onclick") {
		t.Errorf("%v", page.header)
	}
	for part, kind := range map[string]string{"docs.js": "text/javascript; charset=utf-8", "docs.css": "text/css; charset=utf-8"} {
		if !strings.Contains(page.body, "/api/docs/"+part) {
			t.Errorf("the page does not load %s", part)
		}
		if a := s.ask("GET /api/docs/"+part, "", "").want(200); a.header.Get("Content-Type") != kind || len(a.body) < 100 {
			t.Errorf("%s: %v", part, a.header)
		}
	}
}

// BenchmarkRead is one record over the whole door, without a network.
func BenchmarkRead(b *testing.B) {
	s, target := benchSite(b)
	r := httptest.NewRequest("GET", target, nil)
	bench(b, s, r)
}

// BenchmarkList is a page of 30, filtered and sorted.
func BenchmarkList(b *testing.B) {
	s, _ := benchSite(b)
	bench(b, s, httptest.NewRequest("GET", "/api/posts?filter=stars+%3E+1&sort=-created&limit=30", nil))
}

func benchSite(b *testing.B) (*site, string) {
	s := open(b, agency, "")
	target := ""
	for range 40 {
		r := httptest.NewRequest("POST", "/api/posts", strings.NewReader(`{"title":"A title of usual length","stars":3,"status":"open","price":"12.50","tags":["a","b"]}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.http.ServeHTTP(w, r)
		if w.Code != 201 {
			b.Fatal(w.Body)
		}
		target = w.Header().Get("Location")
	}
	return s, target
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

func bench(b *testing.B, s *site, r *http.Request) {
	b.ReportAllocs()
	w := &sink{header: http.Header{}}
	for b.Loop() {
		clear(w.header)
		s.http.ServeHTTP(w, r)
		if w.status != 200 {
			b.Fatal(w.status)
		}
	}
}

var _ rest.Store = (*data.DB)(nil)
