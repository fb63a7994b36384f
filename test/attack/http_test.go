package attack_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// TestHostileBodies: OWASP 7, hostile input. A clear 4xx, whatever the body is.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	for _, body := range []string{`{"name":"a","name":"b"}`, `{"name":"a","Name":"b"}`, `{"name":"a","\u006eame":"b"}`, `{"name":"\ud800"}`, `{"name":"\u0000"}`, "{\"name\":\"\xff\"}", `{"name":NaN}`,
		`{"name":"a"}x`, `{"name":"a"}{}`, strings.Repeat("[", 100000), strings.Repeat(`{"a":`, 100000), `{"name":1e999999999}`, `{"name":"a","stock":1e400}`, `{"name":"a","stock":1.5}`,
		`{"name":"a","stock":-1e-999999999}`, `{"name":"a","stock":9007199254740993}`, `{"__proto__":{"a":1}}`, "null", "[]", `""`, "", " ", "\ufeff{}", `{"name":"a",}`, `{"name":'a'}`, `{name:"a"}`,
		`{"name":"` + strings.Repeat("a", 2<<20) + `"}`, `{"name":"a","stock":` + strings.Repeat("9", 100000) + `}`, `{"name":"a","/~":1}`, `{"":1}`, `{"name":"` + strings.Repeat("a", 101) + `"}`} {
		a.expect(a.ask("", "POST", "/api/people", body, "Content-Type", "application/json"), "body "+body[:min(len(body), 40)], 400, 413, 422)
	}
	id := a.made("", "papers", `{"price":"1.00"}`)
	for _, body := range []string{`{"price":1e999999999}`, `{"price":"1e9999"}`, `{"price":99999999999}`, `{"count":1e999999999}`, `{"count":"` + strings.Repeat("9", 5000) + `"}`, `{"price":null}`, `{"price":{}}`, `{}`, `{"title":1}`} {
		a.expect(a.ask("", "POST", "/api/papers/"+id+"/increment", body), "increment "+body[:min(len(body), 40)], 400, 422)
	}
	for _, ct := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/jsonx", "", "application/json, text/plain", "multipart/form-data"} {
		a.expect(a.ask("", "POST", "/api/people", `{"name":"a"}`, "Content-Type", ct), "content type "+ct, 415)
	}
	a.expect(a.ask("", "POST", "/api/people", `{"name":"a"}`, "Content-Encoding", "gzip"), "compressed", 415)
	for _, body := range []string{`{"operations":{}}`, `{"operations":[1]}`, `{"operations":[{"op":"put","collection":"people"}]}`, `{"operations":[{"op":"create","collection":"_keys","body":{}}]}`, `{"operations":[{"op":"create","collection":"people","id":"x","body":{}}]}`,
		`{"operations":[` + strings.TrimSuffix(strings.Repeat(`{"op":"delete","collection":"people","id":"x"},`, 501), ",") + `]}`, `{"atomic":"false","operations":[]}`, `{"operations":[],"x":1}`} {
		a.expect(a.ask("", "POST", "/api/batch", body), "batch "+body[:min(len(body), 60)], 400, 404, 422)
	}
}

// TestHostileUploads: lesson 25, OWASP 24 to 28. Names are harmless and nothing is rendered.
func TestHostileUploads(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	for _, name := range []string{"../../x.html", `a\..\b.txt`, "..", ".", "/etc/passwd", "CON", "a.svg", "x%2f..%2fy", "a;b=c.txt", "e\u202etxt.exe", strings.Repeat("n", 3000)} {
		body := multipart(`name="record"`, `{"title":"m"}`, `name="pics"; filename="`+name+`"`, `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`)
		got := a.ask("", "POST", "/api/papers", body, "Content-Type", form)
		a.expect(got, "upload "+name[:min(len(name), 30)], 201, 400, 422)
		if got.status != 201 {
			continue
		}
		file := got.json()["pics"].([]any)[0].(map[string]any)
		if strings.ContainsAny(file["name"].(string), "/\\\u202e%") || strings.HasPrefix(file["name"].(string), ".") {
			t.Errorf("the name %q became %q", name, file["name"])
		}
		down := a.ask("", "GET", file["url"].(string), "")
		a.expect(down, "download", 200)
		h := down.header
		if !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("a file could be rendered: %v", h)
		}
		for _, r := range []string{"bytes=0-0", "bytes=-1", "bytes=99999-", "bytes=5-1", "bytes=0-18446744073709551616", "bytes=" + strings.TrimSuffix(strings.Repeat("0-,", 5000), ","), "bytes=a-b", "chars=0-1", "bytes=--1"} {
			a.expect(a.ask("", "GET", file["url"].(string), "", "Range", r), "Range: "+r[:min(len(r), 30)], 200, 206, 416)
		}
		for _, p := range []string{"/../pics/", "/%2e%2e/pics/", "/..%2f", "/x%00"} {
			a.expect(a.ask("", "GET", "/api/files/papers/"+got.text("id")+p+"x", ""), "a path beside it", 404)
		}
	}
	record := `name="record"`
	for what, body := range map[string]string{
		"a thousand parts":    multipart(append([]string{record, `{}`}, strings.Split(strings.TrimSuffix(strings.Repeat(`name="pics"; filename="a"|x|`, 1000), "|"), "|")...)...),
		"no record":           multipart(`name="pics"; filename="a"`, "x"),
		"two records":         multipart(record, `{}`, record, `{}`),
		"an unknown field":    multipart(record, `{}`, `name="../x"; filename="a"`, "x"),
		"no file field":       multipart(record, `{}`, `name="title"; filename="a"`, "x"),
		"a hidden name":       multipart(record, `{}`, `name="id"; filename="a"`, "x"),
		"in both":             multipart(record, `{"pics":null}`, `name="pics"; filename="a"`, "x"),
		"too large":           multipart(record, `{}`, `name="pics"; filename="a"`, strings.Repeat("x", 65<<10)),
		"cut":                 strings.TrimSuffix(multipart(record, `{}`, `name="pics"; filename="a"`, "x"), "--XX--\r\n"),
		"headers without end": "--XX\r\nContent-Disposition: form-data; name=\"record\"\r\n" + strings.Repeat("X-A: b\r\n", 50000),
		"not what it says":    "--XX\r\nContent-Disposition: form-data; name=\"record\"\r\n\r\n{}\r\n--XX\r\nContent-Disposition: form-data; name=\"pics\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n<html>\r\n--XX--\r\n",
	} {
		a.expect(a.ask("", "POST", "/api/papers", body, "Content-Type", form), what, 400, 413, 415, 422)
	}
	id := a.made("", "papers", `{}`)
	a.expect(a.ask("", "PATCH", "/api/papers/"+id, `{"pics":[{"name":"x","blob":"aaaaaaaaaaaaaaaaaaaaaaaaaa","type":"text/html","size":1}]}`), "a blob by its key", 422)
}

// TestFilesObeyFieldRules: OWASP 2. A file of a field that the caller may not read is not there.
func TestFilesObeyFieldRules(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	got := a.ask("staff", "POST", "/api/papers", multipart(`name="record"`, `{"title":"m"}`, `name="slip"; filename="a.txt"`, "hello"), "Content-Type", form)
	a.expect(got, "upload", 201)
	path := "/api/files/papers/" + got.text("id") + "/slip/a.txt"
	a.expect(a.ask("staff", "GET", path, ""), "the file, by one who may", 200)
	for _, by := range []string{"", "member"} {
		there, not := a.ask(by, "GET", path, ""), a.ask(by, "GET", path+"x", "")
		if there.status != 404 || there.essence() != not.essence() {
			t.Errorf("%q: %d %s, of a file that is not there %s", by, there.status, there.body, not.body)
		}
	}
}

// TestStaticPaths: OWASP 23, 27, 49. Nothing outside of public, nothing hidden.
func TestStaticPaths(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	for _, p := range []string{"/.hidden", "/%2ehidden", "/../.env", "/%2e%2e/.env", "/..%2f.env", "/..%5c.env", "/%252e%252e%252f.env", "/docs/../../.env", "/docs/%2e%2e/%2e%2e/.env", "/index.html%00", "/%00", "/%ff", "/%c0%ae%c0%ae/.env",
		"//evil.example/", "/%5cevil.example", "/plinth.yaml", "/data/plinth.db", "/.git/config", "/debug/pprof/", "/metrics", "/index.html/", "/docs/index.html/..", "/api", "/api/", "/api/../index.html", "/api//people"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI = p
		u, err := url.ParseRequestURI("http://example.com" + p) // leaves .. as it is, as a server does
		if err != nil {
			continue
		}
		r.URL = u
		w := httptest.NewRecorder()
		a.http.ServeHTTP(w, r)
		if w.Code != 404 && w.Code != 400 {
			t.Errorf("%s: %d %s", p, w.Code, w.Body)
		}
	}
	if got := a.ask("", "GET", "/docs", ""); got.status != 308 || got.header.Get("Location") != "/docs/" {
		t.Errorf("/docs: %d %s", got.status, got.header.Get("Location"))
	}
}

// TestMethodsAndHeaders: OWASP 10, 29, 31, 49; points 30 to 39. Overrides, forwarded headers and origins count for nothing.
func TestMethodsAndHeaders(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	id := a.made("", "people", `{"name":"Ann"}`)
	for _, m := range []string{"TRACE", "CONNECT", "PROPFIND", "get", "FOO"} {
		got := a.ask("", m, "/api/people", "")
		a.expect(got, m, 405)
		if got.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", m)
		}
	}
	for _, h := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		a.expect(a.ask("", "POST", "/api/people/"+id, `{}`, h, "DELETE"), h, 405)
	}
	got := a.ask("", "GET", "/api/people", "", "Origin", "https://evil.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "Host", "evil.example", "X-Original-URL", "/api/closed", "X-Forwarded-For", "127.0.0.1")
	a.expect(got, "forwarded headers", 200)
	for name, values := range got.header {
		if strings.Contains(strings.Join(values, ","), "evil") || strings.HasPrefix(name, "Access-Control") {
			t.Errorf("%s: %v", name, values)
		}
	}
	for name, value := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"} {
		if got.header.Get(name) != value {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
	a.expect(a.ask("", "GET", "/api/people", "", "Cookie", "session=x; plinth=y"), "a cookie of others", 200)
	a.expect(a.ask("", "GET", "/api/people", "", "Cookie", "session=x; __Host-plinth=y"), "a cookie that is false", 401)
	if got := a.ask("", "HEAD", "/api/people/"+id, ""); got.status != 200 {
		t.Errorf("HEAD: %d", got.status)
	}
	a.expect(a.ask("", "PATCH", "/api/people/"+id, `{"name":"x"}`, "If-Match", `W/"1"`), "a weak tag", 412)
	a.expect(a.ask("", "PATCH", "/api/people/"+id, `{"name":"x"}`, "If-Match", `1`), "a bare tag", 400, 412)
	a.expect(a.ask("", "PATCH", "/api/closed/"+id, `{"name":"x"}`, "If-Match", `"7"`), "a precondition is no oracle", 401)
	other := a.made("", "sealed", `{"place":"there"}`)
	a.expect(a.ask("member", "PATCH", "/api/sealed/"+other, `{"place":"here"}`, "If-Match", `"7"`), "403 before 412", 403)
	a.expect(a.ask("member", "DELETE", "/api/sealed/"+other, "", "If-Match", `"7"`), "403 before 412", 403)
	a.expect(a.ask("member", "PUT", "/api/sealed/"+other, `{"place":"here"}`, "If-None-Match", `*`), "403 before 412", 403)
}

// TestCORS: point 69. Only origins of the list, never with a star, never null.
func TestCORS(t *testing.T) {
	t.Parallel()
	a := open(t, app+`server: {cors: {origins: ["https://good.example"], credentials: true}}`+"\n")
	for _, origin := range []string{"null", "https://evil.example", "https://good.example.evil.example", "http://good.example", "https://good.example:444", "https://xgood.example", "https://good.example/", ""} {
		got := a.ask("", "GET", "/api/people", "", "Origin", origin)
		if o := got.header.Get("Access-Control-Allow-Origin"); o != "" {
			t.Errorf("%q is answered with %q", origin, o)
		}
		if !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Origin") {
			t.Errorf("%q: Vary is %v", origin, got.header.Values("Vary"))
		}
	}
	if got := a.ask("", "GET", "/api/people", "", "Origin", "https://good.example"); got.header.Get("Access-Control-Allow-Origin") != "https://good.example" {
		t.Error("the good origin is refused")
	}
	a.expect(a.ask("", "POST", "/api/people", `{"name":"x"}`, "Cookie", "a=b", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), "a forged request", 403)
}

// TestSmuggling: OWASP 32. Requests of two lengths are refused and the connection ends.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	s := httptest.NewServer(a.http)
	t.Cleanup(s.Close)
	body := `{"name":"smuggler"}`
	for what, head := range map[string]string{
		"two lengths":      "Content-Length: 5\r\nContent-Length: 19\r\n",
		"a list of length": "Content-Length: 19, 20\r\n",
		"a signed length":  "Content-Length: +19\r\n",
		"a bad coding":     "Transfer-Encoding: chunked, identity\r\n",
		"a coding twice":   "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"a broken chunk":   "Transfer-Encoding: chunked\r\n",
		"a spaced name":    "Content-Length : 19\r\n",
		"a folded header":  "X-A: b\r\n c\r\nContent-Length: 19\r\n Transfer-Encoding: chunked\r\n",
	} {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(3 * time.Second))
		fmt.Fprintf(c, "POST /api/people HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n%s\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", head, body)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && r.StatusCode < 400 {
			t.Errorf("%s: %d", what, r.StatusCode)
		}
		if err == nil {
			io.Copy(io.Discard, r.Body)
		}
		c.Close()
	}
	if got := a.ask("operator", "GET", "/api/people", ""); contains(got.body, "smuggler") {
		t.Errorf("a smuggled record was written: %s", got.body)
	}
}

// each calls f n times at once and counts the statuses.
func each(n int, f func(i int) int) map[int]int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	start := make(chan struct{})
	counts := map[int]int{}
	for i := range n {
		wg.Go(func() {
			<-start
			s := f(i)
			mu.Lock()
			counts[s]++
			mu.Unlock()
		})
	}
	close(start)
	wg.Wait()
	return counts
}

// TestRaces: lesson 7, OWASP 14. One key, one effect; one value, one owner; no stock below its minimum.
func TestRaces(t *testing.T) {
	t.Parallel()
	a := open(t, app)
	counts := each(100, func(int) int {
		return a.ask("member", "POST", "/api/people", `{"name":"once"}`, "Idempotency-Key", "race").status
	})
	if got := a.ask("operator", "GET", "/api/people"+query("filter", `name == "once"`, "count", "exact"), ""); got.json()["total"] != 1.0 || counts[201] < 1 || counts[201]+counts[409] != 100 {
		t.Errorf("100 uses of a key: %v, %v records", counts, got.json()["total"])
	}
	counts = each(32, func(int) int { return a.ask("", "POST", "/api/vaults", `{"code":"one"}`).status })
	if counts[201] != 1 || counts[409] != 31 {
		t.Errorf("a unique value: %v", counts)
	}
	id := a.made("", "people", `{"name":"Ann","stock":10}`)
	counts = each(32, func(int) int { return a.ask("", "PATCH", "/api/people/"+id, `{"name":"B"}`, "If-Match", `"1"`).status })
	if counts[200] != 1 || counts[412] != 31 {
		t.Errorf("If-Match: %v", counts)
	}
	counts = each(40, func(int) int { return a.ask("", "POST", "/api/people/"+id+"/increment", `{"stock":-1}`).status })
	if counts[200] != 10 || counts[422] != 30 {
		t.Errorf("a stock of 10: %v", counts)
	}
	var made atomic.Int32
	fixed := "01a20405-9198-7f08-9d1c-8eaa6553ca8b"
	counts = each(32, func(i int) int {
		s := a.ask("", "PUT", "/api/people/"+fixed, fmt.Sprintf(`{"name":"n%d"}`, i), "If-None-Match", "*").status
		if s == 201 {
			made.Add(1)
		}
		return s
	})
	if made.Load() != 1 {
		t.Errorf("PUT with If-None-Match: *: %v", counts)
	}
}
