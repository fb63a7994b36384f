package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
	"github.com/google/go-cmp/cmp"
)

func TestProblem(t *testing.T) {
	t.Parallel()
	secret := errors.New("SELECT password FROM users /var/lib")
	for _, c := range []struct {
		err    error
		status int
		kind   string
		detail string
		header string // that must be there
	}{
		{fault.New(fault.BadRequest, "no"), 400, "bad-request", "no", ""},
		{fault.New(fault.Unauthenticated, "sign in"), 401, "unauthenticated", "sign in", "WWW-Authenticate"},
		{fault.New(fault.Denied, "no"), 403, "forbidden", "no", ""},
		{fault.New(fault.NotFound, "no"), 404, "not-found", "no", ""},
		{fault.New(fault.Method, "no"), 405, "method-not-allowed", "no", ""},
		{fault.New(fault.NotAcceptable, "no"), 406, "not-acceptable", "no", ""},
		{fault.New(fault.Conflict, "taken"), 409, "conflict", "taken", ""},
		{fault.New(fault.Precondition, "no"), 412, "precondition-failed", "no", ""},
		{fault.New(fault.TooLarge, "no"), 413, "too-large", "no", ""},
		{fault.New(fault.MediaType, "no"), 415, "unsupported-media-type", "no", "Accept-Patch"},
		{fault.New(fault.Range, "no"), 416, "range-not-satisfiable", "no", ""},
		{&fault.Error{Kind: fault.Invalid, Fields: make([]fault.Field, 2)}, 422, "validation", "2 fields need attention", ""},
		{&fault.Error{Kind: fault.Invalid, Fields: make([]fault.Field, 1)}, 422, "validation", "1 field needs attention", ""},
		{fault.New(fault.Reused, "no"), 422, "idempotency-key-reused", "no", ""},
		{&fault.Error{Kind: fault.Limited, After: 1500 * time.Millisecond}, 429, "too-many-requests", "There are too many requests", "Retry-After"},
		{&fault.Error{Kind: fault.Capability, Op: "joins"}, 501, "capability", "This database cannot do: joins", ""},
		{&fault.Error{Kind: fault.Unavailable, Msg: "busy", Err: secret}, 503, "unavailable", "busy", "Retry-After"},
		{fault.New(fault.Full, "full"), 507, "storage-full", "full", "Retry-After"},
		{&fault.Error{Kind: fault.Retry, Err: secret}, 503, "unavailable", "The service is not available at the moment", "Retry-After"},
		{context.DeadlineExceeded, 503, "unavailable", "The service is not available at the moment", "Retry-After"},
		{secret, 500, "internal", "This is our fault. It is logged under the request id.", ""},
		{&fault.Error{Kind: fault.Internal, Msg: "secret", Err: secret}, 500, "internal", "This is our fault. It is logged under the request id.", ""},
		{fmt.Errorf("outer: %w", fault.New(fault.Denied, "no")), 403, "forbidden", "no", ""},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("ETag", `"1"`)
		Problem(w, httptest.NewRequest("PATCH", "/api/x%20y?q=secret", nil), c.err, Member{"operation", []byte("3")})
		var p map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Errorf("%v: %v in %s", c.err, err, w.Body)
			continue
		}
		if w.Code != c.status || p["status"] != float64(c.status) || p["type"] != "/problems/"+c.kind || p["detail"] != c.detail ||
			p["instance"] != "/api/x%20y" || len(p["request"].(string)) != 26 || p["operation"] != 3.0 {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "SELECT") || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v is told: %s", c.err, w.Body)
		}
		if w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("ETag") != "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %v", c.err, w.Header())
		}
		if c.header != "" && w.Header().Get(c.header) == "" {
			t.Errorf("%v: no %s", c.err, c.header)
		}
	}
	w := httptest.NewRecorder()
	Problem(w, httptest.NewRequest("GET", "/", nil), &fault.Error{Kind: fault.Limited, After: 1500 * time.Millisecond})
	if w.Header().Get("Retry-After") != "2" {
		t.Errorf("never earlier: %v", w.Header())
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	names := []string{"filter", "param.*", "subscribe+"}
	for _, c := range []struct{ raw, want string }{
		{"", ""},
		{"filter=a%20b+c%2Bd", "filter=a b c+d"},
		{"filter", "filter="},
		{"filter=a=b", "filter=a=b"},
		{"&filter=1&&", "filter=1"},
		{"%66ilter=1", "filter=1"},
		{"param.a=1&param.b=%E2%82%AC", "param.a=1 param.b=€"},
		{"subscribe=1&subscribe=2", "subscribe=1 subscribe=2"},
		{"filter=%2525", "filter=%25"},
		{"filter=1&filter=2", "! filter syntax"},
		{"filter=1&%66ilter=2", "! filter syntax"},
		{"param.a=1&param.a=1", "! param.a syntax"},
		{"Filter=1", "! Filter unknown"},
		{"param.=1", "! param. unknown"},
		{"subscribe%2b=1", "! subscribe+ unknown"},
		{"param.*=1", "param.*=1"},
		{"a;b=1", "! a;b unknown"},
		{"=1", "!  unknown"},
		{"a=1&filter=1&b=%zz&filter=%ff&filter=2&b", "! a unknown! b unknown! filter syntax! filter syntax! filter syntax! b unknown"},
		{"filter=%", "! filter syntax"}, {"filter=%4", "! filter syntax"}, {"filter=%g0", "! filter syntax"},
		{"filter=%ff", "! filter syntax"}, {"filter=%00", "! filter syntax"}, {"filter=%ed%a0%80", "! filter syntax"},
	} {
		var p Params
		wrong := p.Query(&http.Request{URL: &url.URL{RawQuery: c.raw}}, names...)
		got := ""
		if len(wrong) > 0 {
			for _, w := range wrong {
				got += "! " + w.Param + " " + w.Code
			}
		} else {
			var all []string
			for _, q := range p.list {
				all = append(all, q.name+"="+q.value)
			}
			got = strings.Join(all, " ")
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.raw, got, c.want)
		}
	}
	var many strings.Builder
	for i := range 40 {
		fmt.Fprintf(&many, "param.p%d=x&", i)
	}
	var p Params
	if err := p.Query(&http.Request{URL: &url.URL{RawQuery: many.String()}}, names...).Err(); err != nil || p.Len() != 40 {
		t.Errorf("%d, %v", p.Len(), err)
	}
	for i := range 40 {
		if err := p.Query(&http.Request{URL: &url.URL{RawQuery: many.String() + fmt.Sprintf("param.p%d=x", i)}}, names...).Err(); err == nil {
			t.Errorf("p%d is there twice", i)
		}
	}
	wrong := p.Query(&http.Request{URL: &url.URL{RawQuery: strings.Repeat("nope&", maxParams+1)}}, names...)
	if len(wrong) != maxMistakes || wrong.Err() == nil {
		t.Errorf("%d mistakes are told", len(wrong))
	}
	if wrong := p.Query(&http.Request{URL: &url.URL{RawQuery: strings.Repeat("subscribe=1&", maxParams+1)}}, names...); len(wrong) != 1 {
		t.Errorf("too many parameters: %v", wrong)
	}
}

// FuzzQuery: what is taken is what url.ParseQuery reads, in UTF-8 and each name once.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"filter=a%20b", "param.a=1&param.b=2", "filter=%zz", "a=b&filter=%ff", "filter=1&filter=2", "%66ilter=+", "&&=", "filter=a;b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var p Params
		if err := p.Query(&http.Request{URL: &url.URL{RawQuery: raw}}, "filter", "param.*", "subscribe+").Err(); err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || e.Kind != fault.BadRequest {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if strings.Contains(raw, ";") {
			return // url.ParseQuery refuses it even in a value
		}
		want, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("only we take %q: %v", raw, err)
		}
		got := url.Values{}
		for _, q := range p.list {
			if !utf8.ValidString(q.value) || strings.Contains(q.value, "\x00") {
				t.Fatalf("%q gives %q", raw, q.value)
			}
			got.Add(q.name, q.value)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%q: %s", raw, d)
		}
	})
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value        string
		strong, weak *data.Match
		wrong        bool
	}{
		{`*`, &data.Match{Any: true}, &data.Match{Any: true}, false},
		{`"3"`, &data.Match{Revs: []int64{3}}, &data.Match{Revs: []int64{3}}, false},
		{`W/"3"`, &data.Match{Weak: true}, &data.Match{Revs: []int64{3}}, false},
		{` "3" , W/"4","x"`, &data.Match{Revs: []int64{3}, Weak: true}, &data.Match{Revs: []int64{3, 4}}, false},
		{`"03"`, &data.Match{}, &data.Match{}, false},
		{`"a,b", "5"`, &data.Match{Revs: []int64{5}}, &data.Match{Revs: []int64{5}}, false},
		{``, nil, nil, true}, {`3`, nil, nil, true}, {`"3`, nil, nil, true}, {`"3" "4"`, nil, nil, true}, {`w/"3"`, nil, nil, true}, {`,`, nil, nil, true}, {`*, "3"`, nil, nil, true},
	} {
		r := &http.Request{Header: http.Header{"If-Match": {c.value}, "If-None-Match": {c.value}}}
		strong, err1 := IfMatch(r)
		weak, err2 := IfNoneMatch(r)
		if (err1 != nil) != c.wrong || (err2 != nil) != c.wrong || cmp.Diff(strong, c.strong) != "" || cmp.Diff(weak, c.weak) != "" {
			t.Errorf("%s: %+v %v, %+v %v", c.value, strong, err1, weak, err2)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"abc"`: "abc", `abc-1_2`: "abc-1_2", ` "a b" `: "a b", `"a\"b\\c"`: `a"b\c`,
		strings.Repeat("x", 255): strings.Repeat("x", 255), `"` + strings.Repeat("x", 255) + `"`: strings.Repeat("x", 255),
		``: "!", `""`: "!", `"a`: "!", `a"b`: "!", `a b`: "!", `"a"b`: "!", `"a\n"`: "!", `"é"`: "!", `é`: "!", `"a";x=1`: "!", `"\`: "!",
		strings.Repeat("x", 256): "!", `"` + strings.Repeat("x", 256) + `"`: "!", "a,b": "!",
	} {
		got, err := IdempotencyKey(&http.Request{Header: http.Header{"Idempotency-Key": {in}}})
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if _, err := IdempotencyKey(&http.Request{Header: http.Header{"Idempotency-Key": {"a", "b"}}}); err == nil {
		t.Error("two keys are taken")
	}
}

func TestPreferAndAccept(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"return=minimal": true, `respond-async, Return="minimal"; x=1`: true, "return=representation": false, "minimal": false, "": false} {
		if got := Minimal(&http.Request{Header: http.Header{"Prefer": {in}}}); got != want {
			t.Errorf("Prefer %s: %v", in, got)
		}
	}
	for in, want := range map[string]bool{"": true, "*/*": true, "application/json": true, "application/*": true, "text/html, */*;q=0.1": true, "Application/JSON;charset=utf-8": true,
		"text/html": false, "application/json;q=0": false, "*/*, application/json;q=0.000": false, "application/*;q=0, */*": false, "application/json;q=0.5, */*;q=0": true, "application/jsonx": false} {
		if got := Accepts(&http.Request{Header: http.Header{"Accept": {in}}}, "application/json"); got != want {
			t.Errorf("Accept %s: %v", in, got)
		}
	}
}

func TestReadJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, body string
		status     int
	}{
		{"application/json", `{"a":1}`, 0}, {"application/json; charset=UTF-8", `{}`, 0}, {"Application/JSON", `1`, 0},
		{"", `{}`, 415}, {"text/plain", `{}`, 415}, {"application/json; charset=latin1", `{}`, 415}, {"application/json;;", `{}`, 415},
		{"application/json", ``, 400}, {"application/json", " \n", 400}, {"application/json", `{`, 400}, {"application/json", `{"a":"` + strings.Repeat("x", 100) + `"}`, 413},
	} {
		for _, length := range []int64{int64(len(c.body)), -1} {
			r := httptest.NewRequest("POST", "/", io.NopCloser(strings.NewReader(c.body)))
			r.ContentLength = length
			r.Header.Set("Content-Type", c.kind)
			_, err := ReadJSON(httptest.NewRecorder(), r, 64, PlainJSON)
			if status := Status(err); c.status == 0 != (err == nil) || err != nil && status != c.status {
				t.Errorf("%s %s: %v, want %d", c.kind, c.body, err, c.status)
			}
		}
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"a":1}`))
	r.Header["Content-Type"] = []string{"application/json", "text/plain"}
	if _, err := ReadJSON(httptest.NewRecorder(), r, 64, PlainJSON); Status(err) != 415 {
		t.Errorf("two content types: %v", err)
	}
	sum := func(body string) [32]byte {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "k")
		b, err := ReadJSON(httptest.NewRecorder(), r, 64, PlainJSON)
		if err != nil {
			t.Fatal(err)
		}
		return b.Sum
	}
	first, again, other := sum(`{"a":1}`), sum(`{"a":1}`), sum(`{"a":2}`)
	if first != again || first == other {
		t.Error("the sum is not of the body")
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	server := spec.Server{URL: "https://app.example.com", Limits: spec.Limits{Timeout: time.Minute},
		CORS: spec.CORS{Origins: []string{"https://other.example.com"}, Credentials: true}}
	mux := http.NewServeMux()
	mux.HandleFunc("/things/{id}", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := r.Context().Deadline(); !ok {
			t.Error("no deadline")
		}
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("boom with a secret") })
	h := Guard(mux, server, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ask := func(method, target string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, target, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := ask("GET", "/things/7?token=hush", "Authorization", "Bearer hush", "X-Request-Id", "forged")
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000", "Vary": "Origin", "Access-Control-Allow-Origin": ""} {
		if w.Header().Get(name) != want {
			t.Errorf("%s: %q", name, w.Header().Get(name))
		}
	}
	if line := log.String(); strings.Contains(line, "hush") || strings.Contains(line, "forged") || !strings.Contains(line, "route=/things/{id}") || !strings.Contains(line, "status=200") {
		t.Errorf("log: %s", line)
	}
	log.Reset()
	w = ask("GET", "/panic")
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 500 || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), p["request"].(string)) {
		t.Errorf("the log does not tell of %v: %s", p["request"], log.String())
	}

	allowed := func(w *httptest.ResponseRecorder) string { return w.Header().Get("Access-Control-Allow-Origin") }
	if w := ask("GET", "/things/7", "Origin", "https://other.example.com"); allowed(w) != "https://other.example.com" || w.Header().Get("Access-Control-Allow-Credentials") != "true" || w.Header().Get("Access-Control-Expose-Headers") == "" {
		t.Errorf("%v", w.Header())
	}
	for _, origin := range []string{"https://evil.example.com", "null", "https://other.example.com.evil.com", "http://other.example.com"} {
		if w := ask("GET", "/things/7", "Origin", origin); allowed(w) != "" {
			t.Errorf("%s may read", origin)
		}
		if w := ask("OPTIONS", "/things/7", "Origin", origin, "Access-Control-Request-Method", "PATCH"); allowed(w) != "" || w.Header().Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s may call", origin)
		}
		if w := ask("POST", "/things/7", "Origin", origin, "Cookie", "a=b"); w.Code != 403 {
			t.Errorf("%s may forge: %d", origin, w.Code)
		}
	}
	w = ask("OPTIONS", "/things/7", "Origin", "https://other.example.com", "Access-Control-Request-Method", "PATCH")
	if w.Code != 204 || !strings.Contains(w.Header().Get("Access-Control-Allow-Methods"), "PATCH") || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "If-Match") || len(w.Header()["Vary"]) != 2 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, headers := range [][]string{{"Cookie", "a=b"}, {"Cookie", "a=b", "Origin", "https://app.example.com"}, {"Cookie", "a=b", "Sec-Fetch-Site", "same-origin"},
		{"Cookie", "a=b", "Origin", "https://other.example.com"}, {"Cookie", "a=b", "Authorization", "Bearer x", "Origin", "https://evil.example.com"}} {
		if w := ask("POST", "/things/7", headers...); w.Code != 200 {
			t.Errorf("%v: %d %s", headers, w.Code, w.Body)
		}
	}
}

func TestCORSForAll(t *testing.T) {
	t.Parallel()
	for _, credentials := range []bool{false, true} {
		h := Guard(http.NotFoundHandler(), spec.Server{CORS: spec.CORS{Origins: []string{"*"}, Credentials: credentials}}, slog.New(slog.DiscardHandler))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Origin", "https://any.example.com")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := "*"
		if credentials {
			want = "" // never both
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != want || w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("credentials %v: %q", credentials, got)
		}
	}
}

func TestIDsSort(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := newID()
		if len(id) != 26 || id[0] != '0' || seen[id] {
			t.Fatalf("%s", id)
		}
		seen[id] = true
	}
}

// guarded asks a handler behind the guard and gives the answer and what was logged at a level.
func guarded(server spec.Server, level slog.Level, h http.HandlerFunc, r *http.Request) (*httptest.ResponseRecorder, string) {
	var log bytes.Buffer
	w := httptest.NewRecorder()
	Guard(h, server, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))).ServeHTTP(w, r)
	return w, log.String()
}

// TestDeadline: no header takes the deadline off a request; only an act that streams does.
func TestDeadline(t *testing.T) {
	t.Parallel()
	server := spec.Server{Limits: spec.Limits{Timeout: time.Minute}}
	for _, accept := range []string{"", "text/event-stream", "application/json, text/event-stream", "*/*"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		guarded(server, slog.LevelInfo, func(w http.ResponseWriter, r *http.Request) {
			if at, ok := r.Context().Deadline(); !ok || time.Until(at) > time.Minute {
				t.Errorf("Accept: %q: the deadline is %v, %v", accept, at, ok)
			}
			whole := Endless(w, r)
			if _, ok := whole.Context().Deadline(); ok {
				t.Error("a stream has a deadline")
			}
		}, r)
	}
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
	guarded(server, slog.LevelInfo, func(w http.ResponseWriter, r *http.Request) {
		whole := Endless(w, r).Context()
		cancel()
		if whole.Value(key{}) != "kept" || r.Context().Value(key{}) != "kept" || whole.Err() == nil {
			t.Errorf("%v %v", whole.Value(key{}), whole.Err())
		}
	}, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
}

func TestLongHeads(t *testing.T) {
	t.Parallel()
	server := spec.Server{Limits: spec.Limits{Header: 1 << 10}}
	reached := false
	ask := func(target, header string) int {
		r := httptest.NewRequest("GET", target, nil)
		r.Header["X-A"] = []string{header, "b"}
		w, _ := guarded(server, slog.LevelError, func(http.ResponseWriter, *http.Request) { reached = true }, r)
		if w.Code >= 400 && (w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Connection") != "close") {
			t.Errorf("%d: %v", w.Code, w.Header())
		}
		return w.Code
	}
	if got := ask("/?"+strings.Repeat("x", MaxAddress-2), strings.Repeat("x", 1000)); got != 200 || !reached {
		t.Errorf("what is allowed: %d", got)
	}
	reached = false
	if got := ask("/?"+strings.Repeat("x", MaxAddress-1), "a"); got != 414 || reached {
		t.Errorf("a long address: %d", got)
	}
	if got := ask("/", strings.Repeat("x", 1<<10)); got != 431 || reached {
		t.Errorf("a long header: %d", got)
	}
}

// TestRequestLog: one line for a request, at the level that it is worth.
func TestRequestLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		level slog.Level
		do    http.HandlerFunc
		want  string // "": no line
	}{
		{"well", slog.LevelInfo, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, ""},
		{"well, debug", slog.LevelDebug, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, "level=DEBUG msg=request .* method=GET route=\"\" status=204 ms=[0-9.]+ bytes=0\n"},
		{"silent, debug", slog.LevelDebug, func(w http.ResponseWriter, r *http.Request) {}, "status=200"},
		{"refused", slog.LevelInfo, func(w http.ResponseWriter, r *http.Request) {
			Asks(w, &data.Caller{})
			Problem(w, r, fault.New(fault.NotFound, "hush"))
		}, "level=INFO msg=request .*status=404 .*caller=nobody\n"},
		{"refused, errors only", slog.LevelError, func(w http.ResponseWriter, r *http.Request) { Problem(w, r, fault.New(fault.NotFound, "x")) }, ""},
		{"lacking", slog.LevelInfo, func(w http.ResponseWriter, r *http.Request) {
			Problem(w, r, &fault.Error{Kind: fault.Lacking, Op: "live"})
		}, "level=INFO .*status=501"},
		{"failed", slog.LevelError, func(w http.ResponseWriter, r *http.Request) {
			Asks(w, &data.Caller{SignedIn: true, Role: "staff"})
			Problem(w, r, errors.New("the cause"))
		}, "level=ERROR msg=request .*status=500 .*caller=staff error=\"the cause\"\n"},
		{"panicked", slog.LevelError, func(w http.ResponseWriter, r *http.Request) { panic("the cause") }, "level=ERROR msg=request .*status=500 .*the cause"},
		{"slow", slog.LevelInfo, func(w http.ResponseWriter, r *http.Request) { recorderOf(w).start = time.Now().Add(-2 * time.Second) }, "level=INFO .*status=200 ms=20[0-9][0-9]"},
	} {
		_, log := guarded(spec.Server{}, c.level, c.do, httptest.NewRequest("GET", "/", nil))
		if c.want == "" && log != "" || !regexp.MustCompile(c.want).MatchString(log) || strings.Count(log, "\n") > 1 || strings.Contains(log, "hush") {
			t.Errorf("%s: %q", c.name, log)
		}
	}
}

// TestBrokenAnswerIsLogged: a panic after the answer began ends the connection, and is told.
func TestBrokenAnswerIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("the cause")
	}), spec.Server{}, slog.New(slog.NewTextHandler(&log, nil)))
	defer func() {
		if v := recover(); v != http.ErrAbortHandler || !strings.Contains(log.String(), "the cause") {
			t.Errorf("%v %s", v, &log)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

// endless is a body without an end.
type endless struct{}

func (*endless) Read(b []byte) (int, error) { return len(b), nil }

// TestPaced: one who does not read is cut off; one who reads on gets a long answer, although the whole
// of it takes longer than a piece may.
func TestPaced(t *testing.T) {
	t.Parallel()
	const pause, pieces, longest = 50 * time.Millisecond, 50, 2 * time.Second // for one piece: a busy machine takes some of it
	failed := make(chan error, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &paced{ResponseWriter: w, piece: 4 << 10, time: longest}
		var err error
		switch r.URL.Path {
		case "/slow":
			_, err = io.Copy(p, io.LimitReader(&slowly{pause}, pieces*4<<10))
		case "/write":
			for err == nil {
				_, err = p.Write(make([]byte, 1<<20))
			}
		default:
			_, err = io.Copy(p, io.LimitReader(&endless{}, 1<<40))
		}
		failed <- err
	}))
	s.Config.WriteTimeout = longest
	s.Start()
	t.Cleanup(s.Close)
	resp, err := http.Get(s.URL + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if e := <-failed; err != nil || e != nil || len(b) != pieces*4<<10 {
		t.Errorf("one who reads got %d bytes: %v, %v", len(b), err, e)
	}
	for _, path := range []string{"/copy", "/write"} {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: one who does not read: %v", path, err)
		}
	}
}

// slowly is a body that comes 4 KB at a time, with a pause before each.
type slowly struct{ pause time.Duration }

func (s *slowly) Read(b []byte) (int, error) {
	<-time.After(s.pause)
	return min(len(b), 4<<10), nil
}

// stuck is an answer that nobody takes until it is let go.
type stuck struct {
	*httptest.ResponseRecorder
	taken, free chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	s.taken <- struct{}{}
	<-s.free
	return len(b), nil
}

// TestLargeAnswersAreBounded is not parallel: what is held is held for all.
func TestLargeAnswersAreBounded(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	body := make([]byte, mostHeld/8)
	slow := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { Write(slow, r, http.StatusOK, body) })
		<-slow.taken
	}
	w := httptest.NewRecorder()
	if Write(w, r, http.StatusOK, body); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("one too many: %d %v", w.Code, w.Header())
	}
	small := httptest.NewRecorder()
	if Write(small, r, http.StatusOK, body[:1000]); small.Code != http.StatusOK {
		t.Errorf("a small one: %d", small.Code)
	}
	close(slow.free)
	all.Wait()
	again := httptest.NewRecorder()
	if Write(again, r, http.StatusOK, body); again.Code != http.StatusOK {
		t.Errorf("when the slow ones are gone: %d", again.Code)
	}
}

// client is a connection of one client.
type client struct {
	Connection
	addr netip.Addr
}

func (c client) Client() netip.Addr { return c.addr }

// One client that reads slowly leaves room for others. It is not parallel either.
func TestLargeAnswersOfOne(t *testing.T) {
	from := func(addr string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.ProtoMajor = 2
		return r.WithContext(Connected(r.Context(), client{addr: netip.MustParseAddr(addr)}))
	}
	body := make([]byte, mostOfOne/4)
	slow := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { Write(slow, from("192.0.2.1"), http.StatusOK, body) })
		<-slow.taken
	}
	for addr, want := range map[string]int{"192.0.2.1": 503, "192.0.2.2": 200} {
		w := httptest.NewRecorder()
		if Write(w, from(addr), http.StatusOK, body); w.Code != want {
			t.Errorf("%s: %d, want %d", addr, w.Code, want)
		}
	}
	all.Go(func() { Write(slow, from("192.0.2.3"), http.StatusOK, make([]byte, mostOfOne+1)) }) // his only one
	<-slow.taken
	close(slow.free)
	all.Wait()
	if held.all != 0 || len(held.of) != 0 {
		t.Errorf("%d bytes of %d clients are counted that nobody holds", held.all, len(held.of))
	}
}

// Who is turned away while nothing is wrong fills no log with errors.
func TestTurnedAwayIsNoError(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if ours(r, fault.New(fault.Unavailable, "too many")) {
		t.Error("nothing was wrong")
	}
	if !ours(r, &fault.Error{Kind: fault.Unavailable, Msg: "the database is away", Err: io.ErrUnexpectedEOF}) || !ours(r, fault.New(fault.Internal, "x")) {
		t.Error("something was wrong")
	}
}

// A page whose origin is listed may call, but not with the user's cookie unless credentials are allowed: a form of it that needs
// no preflight is refused like one of any other site.
func TestForgedByListed(t *testing.T) {
	t.Parallel()
	for credentials, want := range map[bool]int{true: 200, false: 403} {
		h := Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), spec.Server{URL: "https://app.example.com",
			CORS: spec.CORS{Origins: []string{"https://blog.example.com"}, Credentials: credentials}}, slog.New(slog.DiscardHandler))
		for origin, want := range map[string]int{"https://blog.example.com": want, "https://app.example.com": 200, "https://evil.example": 403} {
			r := httptest.NewRequest("POST", "https://app.example.com/api/auth/logout", nil)
			r.Header.Set("Cookie", "__Host-plinth=x")
			r.Header.Set("Origin", origin)
			r.Header.Set("Sec-Fetch-Site", "same-site")
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != want {
				t.Errorf("credentials %v, %s: %d, want %d", credentials, origin, w.Code, want)
			}
		}
	}
}
