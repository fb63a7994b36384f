package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bluell/plinth/internal/certs"
)

// The authority is made once; its certificate verifies for this machine, and for nobody's site.
func TestLocal(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	l, err := certs.OpenLocal(dir, "192.168.1.7")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "authority.pem")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	text, err := os.ReadFile(l.Root)
	if err != nil || strings.Contains(string(text), "KEY") {
		t.Errorf("%s %v", text, err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	c, err := l.Certificate(&tls.ClientHelloInfo{ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "192.168.1.7"} {
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.Age()
	next, err := l.Certificate(&tls.ClientHelloInfo{})
	if err != nil || next.Leaf.SerialNumber.Cmp(c.Leaf.SerialNumber) == 0 {
		t.Errorf("it is not renewed: %v", err)
	}
	again, err := certs.OpenLocal(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if c, err = again.Certificate(&tls.ClientHelloInfo{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "localhost"}); err != nil {
		t.Errorf("another authority was made: %v", err)
	}
	for _, host := range []string{"example.com", "8.8.8.8", "bank.example"} {
		if _, err := certs.OpenLocal(dir, host); err == nil || !strings.Contains(err.Error(), "private networks alone") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(filepath.Join(dir, "authority.pem"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := certs.OpenLocal(dir, ""); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("others can read it: %v", err)
		}
	}
}
