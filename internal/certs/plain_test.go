package certs_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bluell/plinth/internal/certs"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// named is a source with names alone.
type named []string

func (n named) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
func (n named) Has(name string) bool                                       { return slices.Contains(n, name) }
func (n named) Challenge(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/.well-known/acme-challenge/known" {
		return false
	}
	_, _ = io.WriteString(w, "known.thumb")
	return true
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, host, path, port string
		status                   int
		location                 string
	}{
		{"GET", "app.example.com", "/", "443", 308, "https://app.example.com/"},
		{"HEAD", "app.example.com", "/a/b?c=d%20e&f", "443", 308, "https://app.example.com/a/b?c=d%20e&f"},
		{"GET", "APP.example.com.:80", "/x", "443", 308, "https://app.example.com/x"},
		{"GET", "app.example.com:8080", "/x", "8443", 308, "https://app.example.com:8443/x"},
		{"GET", "app.example.com", "//evil.example/x", "443", 308, "https://app.example.com//evil.example/x"},
		{"GET", "app.example.com", "/healthz", "443", 308, "https://app.example.com/healthz"},
		{"GET", "evil.example", "/", "443", 404, ""},
		{"GET", "app.example.com@evil.example", "/", "443", 404, ""},
		{"GET", "127.0.0.1", "/", "443", 404, ""},
		{"GET", "[::1]:80", "/", "443", 404, ""},
		{"POST", "app.example.com", "/", "443", 403, ""},
		{"GET", "app.example.com", "/api/posts", "443", 403, ""},
		{"POST", "app.example.com", "/api/auth/login", "443", 403, ""},
		{"GET", "evil.example", "/api/posts", "443", 403, ""},
		{"GET", "app.example.com", "/api", "443", 403, ""},
		{"OPTIONS", "app.example.com", "/api/posts", "443", 403, ""},
		{"GET", "app.example.com", "/.well-known/acme-challenge/known", "443", 200, ""},
		{"GET", "app.example.com", "/.well-known/acme-challenge/other", "443", 404, ""},
		{"GET", "evil.example", "/.well-known/acme-challenge/known", "443", 404, ""},
	} {
		h := certs.Plain(func() certs.Source { return named{"app.example.com"} }, c.port, spec.Limits{}, web.NewLoad(), slog.New(slog.DiscardHandler))
		r := httptest.NewRequest(c.method, "http://x"+c.path, nil)
		r.Host, r.RequestURI = c.host, c.path
		r.Header.Set("Authorization", "Bearer pk_secret")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		head := w.Result().Header
		if w.Code != c.status || head.Get("Location") != c.location {
			t.Errorf("%s %s%s: %d %q, want %d %q", c.method, c.host, c.path, w.Code, head.Get("Location"), c.status, c.location)
		}
		if w.Code >= 400 && head.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s%s: %v", c.method, c.host, c.path, head)
		}
		if head.Get("Strict-Transport-Security") != "" || head.Get("Set-Cookie") != "" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s %s%s: %v %s (RFC 6797, 7.2)", c.method, c.host, c.path, head, w.Body)
		}
	}
}
