package certs_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/certs"
	"github.com/bluell/plinth/spec"
)

// A certificate that is replaced is served; what cannot be used leaves the one before in place.
func TestFilesReadAgain(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), &said{}
	cert, secret := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	now := time.Now()
	first := pair(t, cert, secret, now.Add(-time.Hour), now.Add(90*24*time.Hour), "app.example.com", "*.example.org")
	f, err := certs.OpenFiles(dir, spec.Server{URL: "https://app.example.com", TLS: spec.TLS{Cert: "c.pem", Key: "k.pem"}}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	served := func(name string) *big.Int {
		t.Helper()
		c, err := f.Certificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			return nil
		}
		return c.Leaf.SerialNumber
	}
	for name, has := range map[string]bool{"app.example.com": true, "APP.example.com.": true, "": true, "a.example.org": true, "example.org": false, "a.b.example.org": false, "evil.example.com": false} {
		if got := served(name); (got != nil) != has {
			t.Errorf("%s: %v", name, got)
		}
	}
	if log.String() != "" {
		t.Errorf("%s", log)
	}

	later := func() { now = now.Add(time.Minute) }
	set := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set(cert, "nonsense")
	later()
	f.Look(now)
	if got := served("app.example.com"); got.Cmp(first.SerialNumber) != 0 || strings.Count(log.String(), "cannot be used") != 1 {
		t.Errorf("%v: %s", got, log)
	}
	f.Look(now) // nothing has changed: nothing is said again
	second := pair(t, cert, filepath.Join(dir, "other.pem"), now.Add(-time.Hour), now.Add(90*24*time.Hour), "app.example.com")
	f.Look(now) // the certificate is new, its key has not come
	if got := served("app.example.com"); got.Cmp(first.SerialNumber) != 0 || strings.Count(log.String(), "cannot be used") != 2 {
		t.Errorf("%v: %s", got, log)
	}
	text, err := os.ReadFile(filepath.Join(dir, "other.pem"))
	if err != nil {
		t.Fatal(err)
	}
	set(secret, string(text))
	f.Look(now)
	if got := served("app.example.com"); got.Cmp(second.SerialNumber) != 0 || !strings.Contains(log.String(), "read again") {
		t.Errorf("%v: %s", got, log)
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	f.Look(now)
	if got := served("app.example.com"); got.Cmp(second.SerialNumber) != 0 {
		t.Errorf("%v", got)
	}
	pair(t, cert, secret, now.Add(-time.Hour), now.Add(24*time.Hour), "app.example.com")
	f.Look(now)
	if !strings.Contains(log.String(), "ends soon") || strings.Contains(log.String(), "not for this name") {
		t.Errorf("%s", log)
	}
	pair(t, cert, secret, now.Add(-time.Hour), now.Add(90*24*time.Hour), "other.example.com")
	f.Look(now)
	if strings.Count(log.String(), "not for this name") != 1 || !strings.Contains(log.String(), "name=app.example.com") {
		t.Errorf("%s", log)
	}
	f.Look(now) // once a day
	if n := strings.Count(log.String(), "not for this name"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// What is wrong with the files at the start is a problem at the setting.
func TestFilesWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	pair(t, filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"), now.Add(-time.Hour), now.Add(time.Hour), "a.example.com")
	pair(t, filepath.Join(dir, "c2.pem"), filepath.Join(dir, "k2.pem"), now.Add(-2*time.Hour), now.Add(-time.Hour), "a.example.com")
	if err := os.WriteFile(filepath.Join(dir, "text.pem"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(line int) spec.Pos { return spec.Pos{File: "plinth.yaml", Line: line, Column: 7} }
	for _, c := range []struct{ cert, key, says string }{
		{"no.pem", "k.pem", "plinth.yaml:1:7: the file cannot be read: no such file or directory"},
		{"c.pem", "no.pem", "plinth.yaml:2:7: the file cannot be read: no such file or directory"},
		{"text.pem", "k.pem", "plinth.yaml:1:7: this is no certificate with its key: failed to find any PEM data in certificate input"},
		{"c.pem", "text.pem", "plinth.yaml:1:7: this is no certificate with its key: failed to find any PEM data in key input"},
		{"c.pem", "k2.pem", "plinth.yaml:2:7: this is no certificate with its key: private key does not match public key"},
	} {
		_, err := certs.OpenFiles(dir, spec.Server{TLS: spec.TLS{Cert: c.cert, Key: c.key, CertPos: at(1), KeyPos: at(2)}}, slog.New(slog.DiscardHandler))
		var wrong *spec.Problems
		if !errors.As(err, &wrong) || err.Error() != c.says {
			t.Errorf("%s %s: %v", c.cert, c.key, err)
		}
	}
	_, err := certs.OpenFiles(dir, spec.Server{TLS: spec.TLS{Cert: "c.pem", Key: "no.pem", KeyPos: at(2), KeyShown: "the value of KEY"}}, slog.New(slog.DiscardHandler))
	if want := "plinth.yaml:2:7: the file, the value of KEY, cannot be read: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	log := &said{}
	if _, err := certs.OpenFiles(dir, spec.Server{TLS: spec.TLS{Cert: "c2.pem", Key: "k2.pem"}}, slog.New(slog.NewTextHandler(log, nil))); err != nil || !strings.Contains(log.String(), "has ended") {
		t.Errorf("an old certificate: %v %s", err, log)
	}
}
