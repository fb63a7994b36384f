package mail

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// shownBy serves a room's pages as plinth does, and tells the answer to a request.
func shownBy(t *testing.T, r *Room) func(method, path string, change ...func(*http.Request)) (int, http.Header, string) {
	t.Helper()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the app") })
	s := httptest.NewServer(web.Guard(r.Show(next), spec.Server{CORS: spec.CORS{Origins: []string{"*"}}}, slog.New(slog.DiscardHandler)))
	t.Cleanup(s.Close)
	return func(method, path string, change ...func(*http.Request)) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, do := range change {
			do(req)
		}
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(b)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	told := 0
	r := open(t, "name: Agency\n", map[string]string{
		"emails/taken.en.txt":  "Subject: <b>Hello</b> ü\n\nlook <i>here</i> {{.URL}} now",
		"emails/taken.en.html": "<html><head lang=en><title>x</title></head><body><script>alert(1)</script><a href='{{.URL}}'>x</a>",
	}, Options{Dev: true, Address: func() string { return "http://127.0.0.1:9" }, Kept: func() { told++ }})
	ask := shownBy(t, r)
	if status, _, body := ask("GET", Page); status != 200 || !strings.Contains(body, "There is none yet") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := ask("GET", Page+".json"); status != 200 || body != `{"mails":[]}` {
		t.Errorf("%d %s", status, body)
	}
	j := posted(t, r, example(Taken, ""))
	for range 2 { // the second time it is the same mail
		if err := r.Deliver(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	j2 := posted(t, r, example(Code, "de"))
	j2.ID = strings.Replace(jobID, "0001", "0002", 1)
	if err := r.Deliver(t.Context(), j2); err != nil {
		t.Fatal(err)
	}
	if told != 3 {
		t.Errorf("it is told %d times", told)
	}

	status, h, body := ask("GET", Page)
	if status != 200 || strings.Count(body, "<tr>") != 3 || !strings.Contains(body, `<a href="/_dev/mail/`+jobID+`">&lt;b&gt;Hello&lt;/b&gt; ü</a>`) || h.Get("Cache-Control") != "no-store" || h.Get("Content-Security-Policy") != pagePolicy {
		t.Errorf("%d %s\n%v", status, body, h)
	}
	status, h, body = ask("GET", Page+"/"+jobID)
	if status != 200 || !strings.Contains(body, `look &lt;i&gt;here&lt;/i&gt; <a href="http://127.0.0.1:9" rel="noreferrer">http://127.0.0.1:9</a> now`) || !strings.Contains(body, `sandbox="allow-popups allow-popups-to-escape-sandbox"`) || h.Get("Content-Security-Policy") != pagePolicy {
		t.Errorf("%d %s\n%v", status, body, h)
	}
	status, h, body = ask("GET", Page+"/"+jobID+"/html")
	if status != 200 || !strings.HasPrefix(body, `<html><head lang=en><base target="_blank"><title>`) || h.Get("Content-Security-Policy") != bodyPolicy || !strings.Contains(bodyPolicy, "sandbox") || strings.Contains(bodyPolicy, "allow-scripts") || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %s\n%v", status, body, h)
	}
	status, h, body = ask("GET", Page+"/"+jobID+"/source")
	if status != 200 || !strings.Contains(body, "Message-ID: <"+jobID+"@localhost>") || h.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %s\n%v", status, body, h)
	}
	status, _, body = ask("GET", Page+".json")
	var all struct{ Mails []kept }
	if err := json.Unmarshal([]byte(body), &all); status != 200 || err != nil || len(all.Mails) != 2 {
		t.Fatalf("%d %v %s", status, err, body)
	}
	if k := all.Mails[0]; k.ID != j2.ID || k.Lang != "de" || !strings.Contains(k.Text, "493817") || !strings.Contains(k.HTML, "493817") || k.To != "<anna@example.org>" {
		t.Errorf("%+v", k)
	}
	if k := all.Mails[1]; k.Subject != "<b>Hello</b> ü" || !k.Date.Equal(noon) {
		t.Errorf("%+v", k)
	}
	for path, want := range map[string]int{Page + "/none": 404, Page + "/..%2f..%2fplinth": 404, Page + "/.x": 404, Page + "/a/b/c": 404, Page + "s": 200, "/": 200} {
		if status, _, body := ask("GET", path); status != want || want == 200 && body != "the app" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, h, _ := ask("POST", Page); status != 405 || h.Get("Allow") != "GET, HEAD" {
		t.Errorf("%d", status)
	}
	if status, _, body := ask("HEAD", Page); status != 200 || body != "" {
		t.Errorf("%d %s", status, body)
	}
	if info, err := os.Stat(filepath.Join(r.o.Folder, jobID+keptEnd)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// Nobody but a person at this machine sees a mail: not from elsewhere, not through a proxy, not another site's page.
func TestPageIsLocal(t *testing.T) {
	t.Parallel()
	r := open(t, plain, nil, Options{Dev: true})
	if err := r.Deliver(t.Context(), posted(t, r, example(Reset, ""))); err != nil {
		t.Fatal(err)
	}
	ask := shownBy(t, r)
	for what, change := range map[string]func(*http.Request){
		"another name":        func(req *http.Request) { req.Host = "evil.example" },
		"another name's port": func(req *http.Request) { req.Host = "evil.example:8080" },
		"an address":          func(req *http.Request) { req.Host = "192.0.2.1" },
		"a proxy":             func(req *http.Request) { req.Header.Set("X-Forwarded-For", "127.0.0.1") },
		"another proxy":       func(req *http.Request) { req.Header.Set("Forwarded", "for=127.0.0.1") },
		"another origin":      func(req *http.Request) { req.Header.Set("Origin", "https://evil.example") },
		"no origin":           func(req *http.Request) { req.Header.Set("Origin", "null") },
	} {
		for _, path := range []string{Page, Page + ".json", Page + "/" + jobID, Page + "/" + jobID + "/html", Page + "/" + jobID + "/source"} {
			if status, _, body := ask("GET", path, change); status != 404 || strings.Contains(body, "s3cret") {
				t.Errorf("%s: %s: %d", what, path, status)
			}
		}
	}
	for _, host := range []string{"localhost:8080", "127.0.0.1", "[::1]:8080", "app.localhost"} {
		if status, _, _ := ask("GET", Page, func(req *http.Request) { req.Host = host }); status != 200 {
			t.Errorf("%s: %d", host, status)
		}
	}
	for _, from := range []string{"192.0.2.1:1", "[2001:db8::1]:1", "@", ""} {
		req := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost"+Page, nil)
		req.RemoteAddr = from
		w := httptest.NewRecorder()
		r.Show(http.NotFoundHandler()).ServeHTTP(w, req)
		if w.Code != 404 {
			t.Errorf("from %s: %d", from, w.Code)
		}
	}
	for what, o := range map[string]Options{"without Dev": {}, "with a server": {Dev: true}} {
		yaml := plain
		if o.Dev {
			yaml = plain[:len(plain)-2] + ", smtp: 'smtp://127.0.0.1:1'}\n"
		}
		if _, _, body := shownBy(t, open(t, yaml, nil, o))("GET", Page); body != "the app" {
			t.Errorf("%s mails are shown: %s", what, body)
		}
	}
}

// The last 200 mails are kept.
func TestKept(t *testing.T) {
	t.Parallel()
	r := open(t, plain, nil, Options{Dev: true})
	j := posted(t, r, example(Reset, ""))
	id := func(n int) string { return fmt.Sprintf("019c1f0a-5c00-7a10-8b01-%012d", n) }
	for n := range mostKept + 5 {
		if err := r.Deliver(t.Context(), data.Job{ID: id(n), Payload: j.Payload, Created: noon}); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := r.ids()
	if err != nil || len(ids) != mostKept || ids[0] != id(mostKept+4) || ids[mostKept-1] != id(5) {
		t.Errorf("%v, %d mails: %v", err, len(ids), ids)
	}
	entries, err := os.ReadDir(r.o.Folder)
	if err != nil || len(entries) != mostKept {
		t.Errorf("%v, %d files", err, len(entries))
	}
}
