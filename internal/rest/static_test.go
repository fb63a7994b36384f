package rest_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func public(t *testing.T) string {
	t.Helper()
	outer := t.TempDir()
	dir := filepath.Join(outer, "public")
	for name, content := range map[string]string{
		"public/index.html": "<h1>home</h1>", "public/app.js": strings.Repeat("let x = 1;\n", 200), "public/docs/index.html": "<h1>docs</h1>",
		"public/empty/x.txt": "x", "public/.env": "SECRET", "public/.git/config": "SECRET", "public/.well-known/security.txt": "Contact: a",
		"public/logo.png": "\x89PNG\r\n\x1a\n", "secret.txt": "SECRET",
	} {
		full := filepath.Join(outer, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outer, "secret.txt"), filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.txt"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStatic(t *testing.T) {
	t.Parallel()
	dir := public(t)
	s := open(t, agency, dir)
	for _, c := range []struct {
		target string
		status int
		kind   string
		body   string
	}{
		{"/", 200, "text/html; charset=utf-8", "<h1>home</h1>"},
		{"/index.html", 200, "text/html; charset=utf-8", "<h1>home</h1>"},
		{"/docs/", 200, "text/html; charset=utf-8", "<h1>docs</h1>"},
		{"/docs", 308, "", ""},
		{"/logo.png", 200, "image/png", ""},
		{"/.well-known/security.txt", 200, "text/plain; charset=utf-8", "Contact: a"},
		{"/empty/", 404, "", ""}, {"/empty", 404, "", ""}, {"/.env", 404, "", ""}, {"/.git/config", 404, "", ""},
		{"/link.txt", 404, "", ""}, {"/pipe.txt", 404, "", ""}, {"/app.js/", 404, "", ""}, {"/nope", 404, "", ""},
		{"/..%2fsecret.txt", 404, "", ""}, {"/%2e%2e/secret.txt", 404, "", ""}, {"/..%5csecret.txt", 404, "", ""}, {"/index.html%00", 404, "", ""},
		{"/docs/..%2f..%2fsecret.txt", 404, "", ""},
	} {
		a := s.ask("GET "+c.target, "", "")
		if a.status != c.status || c.kind != "" && a.header.Get("Content-Type") != c.kind || c.body != "" && a.body != c.body || strings.Contains(a.body, "SECRET") {
			t.Errorf("%s: %d %s %q", c.target, a.status, a.header.Get("Content-Type"), a.body)
		}
	}
	if a := s.ask("GET /docs?x=1", "", ""); a.header.Get("Location") != "/docs/?x=1" {
		t.Errorf("%v", a.header)
	}
	s.ask("POST /index.html", "", `{}`).want(405)

	plain := s.ask("GET /app.js", "", "").want(200)
	small := s.ask("GET /app.js", "Accept-Encoding: br, gzip", "").want(200)
	z, err := gzip.NewReader(strings.NewReader(small.body))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(z); string(b) != plain.body || small.header.Get("Content-Encoding") != "gzip" || len(small.body) > len(plain.body)/2 {
		t.Errorf("%v", small.header)
	}
	if small.header.Get("ETag") == plain.header.Get("ETag") || plain.header.Get("Vary") != "Accept-Encoding" || small.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v %v", plain.header, small.header)
	}
	smaller := s.ask("GET /app.js", "Accept-Encoding: gzip, zstd", "").want(200)
	d, err := zstd.NewReader(strings.NewReader(smaller.body))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if b, err := io.ReadAll(d); err != nil || string(b) != plain.body || smaller.header.Get("Content-Encoding") != "zstd" || smaller.header.Get("ETag") == small.header.Get("ETag") {
		t.Errorf("%v %v", err, smaller.header)
	}
	s.ask("GET /app.js", "Accept-Encoding: gzip\nIf-None-Match: "+small.header.Get("ETag"), "").want(304)
	s.ask("GET /app.js", "If-None-Match: "+plain.header.Get("ETag"), "").want(304)
	if a := s.ask("GET /app.js", "Accept-Encoding: gzip;q=0", ""); a.header.Get("Content-Encoding") != "" {
		t.Errorf("%v", a.header)
	}
	if a := s.ask("GET /app.js", "Accept-Encoding: gzip\nRange: bytes=0-4", "").want(206); a.body != "let x" {
		t.Errorf("%q", a.body)
	}
	s.ask("GET /app.js", "Range: bytes=99999-", "").want(416)
	// a change is seen at once, compressed too
	if err := os.WriteFile(filepath.Join(dir, "app.js"), []byte(strings.Repeat("let y = 2;\n", 300)), 0o644); err != nil {
		t.Fatal(err)
	}
	if a := s.ask("GET /app.js", "", "").want(200); !strings.HasPrefix(a.body, "let y") {
		t.Error("the old file is served")
	}
	if a := s.ask("GET /app.js", "Accept-Encoding: gzip\nIf-None-Match: "+small.header.Get("ETag"), "").want(200); a.body == small.body {
		t.Error("the old file is served compressed")
	}
}

func TestStaticApp(t *testing.T) {
	t.Parallel()
	s := open(t, agency+"server: {spa: true}\n", public(t))
	for target, want := range map[string]string{"/users/5": "<h1>home</h1>", "/docs/": "<h1>docs</h1>", "/empty/": "<h1>home</h1>"} {
		if a := s.ask("GET "+target, "", "").want(200); a.body != want {
			t.Errorf("%s: %q", target, a.body)
		}
	}
	s.ask("GET /missing.js", "", "").want(404)
	s.ask("GET /john.doe", "Accept: text/html,*/*", "").want(200)
	s.ask("GET /api/nope/x/y/z/u/v", "Accept: text/html", "").want(404)
}

// TestLongDownload: a file may take longer than an answer may, as long as it is taken.
func TestLongDownload(t *testing.T) {
	t.Parallel()
	dir := public(t)
	const size = 64 << 20
	if err := os.WriteFile(filepath.Join(dir, "film.mp4"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "film.mp4"), size); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(open(t, agency, dir).http)
	server.Config.WriteTimeout = 50 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	resp, err := http.Get(server.URL + "/film.mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-time.After(4 * server.Config.WriteTimeout) // more is sent than the system keeps
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d of %d bytes: %v", n, size, err)
	}
}
