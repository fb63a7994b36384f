package test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// An app with server.http3 answers by HTTP/3, which its answers by https tell of: requests, bodies, refusals and live updates.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	dir := folder(t, fmt.Sprintf(httpsApp, "tls: {cert: cert.pem, key: key.pem}\n  http3: true"))
	root := ownCertificate(t, dir, newECDSA(t))
	s := serveHTTPS(t, "", dir)
	told := ""
	for end := time.Now().Add(20 * time.Second); told == "" && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res := s.await(t, s.client(t, root, false), "https://app.example.com/api/notes")
		_ = res.Body.Close()
		told = res.Header.Get("Alt-Svc")
	}
	if want := fmt.Sprintf(`h3=":%d"`, s.https); !strings.Contains(told, want) {
		t.Fatalf("Alt-Svc is %q, without %s", told, want)
	}
	tr := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: root}, Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
		return quic.DialAddrEarly(ctx, fmt.Sprint("127.0.0.1:", s.https), c, q)
	}}
	defer tr.Close()
	c := &http.Client{Transport: tr, Timeout: 20 * time.Second}

	heard, err := c.Do(streamOf(t, "https://app.example.com/api/notes"))
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Body.Close()
	lines := bufio.NewScanner(heard.Body)
	until := func(words string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), words) {
				return
			}
		}
		t.Fatalf("%q is not heard: %v", words, lines.Err())
	}
	until("ready")
	for body, want := range map[string]int{`{"text":"by HTTP/3"}`: 201, `{"text":`: 400, `{"text":"` + strings.Repeat("x", 2<<20) + `"}`: 413} {
		res, err := c.Post("https://app.example.com/api/notes", "application/json", strings.NewReader(body))
		if err != nil {
			t.Errorf("%.20s: %v", body, err)
			continue
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.ProtoMajor != 3 || res.StatusCode != want || res.Header.Get("Strict-Transport-Security") == "" || res.Header.Get("Alt-Svc") != "" {
			t.Errorf("%.20s: %s %s %s %v", body, res.Proto, res.Status, b, res.Header)
		}
	}
	until("by HTTP/3")

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := quic.DialAddr(ctx, fmt.Sprint("127.0.0.1:", s.https), &tls.Config{RootCAs: root, ServerName: "other.example.com", NextProtos: []string{"h3"}}, nil); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("another name: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func streamOf(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	return r
}
