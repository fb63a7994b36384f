package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/certs/acmetest"
)

const httpsApp = `
server:
  %s
  http: "127.0.0.1:${HTTP_PORT}"
  https: "127.0.0.1:${HTTPS_PORT}"
collections:
  notes:
    fields: {text: {type: text, max: 100}}
    access: {read: true, create: true}
`

// site is a server that is asked by the names of its domains.
type site struct {
	*server
	http, https int
}

// serveHTTPS starts a process of an app that has certificates.
func serveHTTPS(t testing.TB, db, dir string) *site {
	t.Helper()
	s := &site{http: acmetest.Port(t), https: acmetest.Port(t)}
	return s.start(t, db, dir)
}

func (s *site) start(t testing.TB, db, dir string) *site {
	t.Helper()
	started, err := start(environ("PLINTH_DB="+db, fmt.Sprint("HTTP_PORT=", s.http), fmt.Sprint("HTTPS_PORT=", s.https)), nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = started.stop() })
	s.server = started
	return s
}

// client asks the site under any name; old speaks HTTP/1.1.
func (s *site) client(t testing.TB, roots *x509.CertPool, old bool) *http.Client {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			port := s.https
			if strings.HasSuffix(address, ":80") {
				port = s.http
			}
			return (&net.Dialer{}).DialContext(ctx, network, fmt.Sprint("127.0.0.1:", port))
		},
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: !old,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// await waits until a name is answered by https.
func (s *site) await(t testing.TB, c *http.Client, url string) *http.Response {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var res *http.Response
		if res, err = c.Get(url); err == nil {
			return res
		}
	}
	t.Fatalf("%s: %v\n%s", url, err, s.stderr.text())
	return nil
}

// Three processes on one database have one certificate for each name between them, ordered once: whichever orders it, the issuer asks
// one of them. They serve it by HTTP/2 and HTTP/1.1; http leads pages there and refuses the API. A process that starts anew,
// and one that takes over, order nothing.
func TestHTTPSOfReplicas(t *testing.T) {
	for _, e := range engines {
		if e.name != "sqlite" && e.name != "postgres" {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			db := e.db(t)
			first := &site{http: acmetest.Port(t), https: acmetest.Port(t)}
			issuer := acmetest.Start(t, acmetest.Options{HTTP: first.http, TLS: first.https})
			dir := folder(t, fmt.Sprintf(httpsApp, fmt.Sprintf("domains: [app.example.com, www.example.com]\n  acme: {issuer: %q, roots: %q}", issuer.Directory, issuer.Roots)))
			public := filepath.Join(dir, "public")
			if err := errors.Join(os.Mkdir(public, 0o755), os.WriteFile(filepath.Join(public, "index.html"), []byte("<!doctype html><title>x</title>"), 0o644)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(plinth, "apply", dir)
			cmd.Env = environ("PLINTH_DB="+db, "HTTP_PORT=1", "HTTPS_PORT=2")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			all := []*site{first.start(t, db, dir), serveHTTPS(t, db, dir), serveHTTPS(t, db, dir)}
			root := issuer.Root()
			for _, s := range all {
				for _, name := range []string{"app.example.com", "www.example.com"} {
					res := s.await(t, s.client(t, root, false), "https://"+name+"/api/notes")
					_ = res.Body.Close()
					if res.StatusCode != 200 || res.ProtoMajor != 2 || res.TLS.Version != tls.VersionTLS13 || res.Header.Get("Strict-Transport-Security") == "" {
						t.Errorf("%s: %s %s %v", name, res.Proto, res.Status, res.Header)
					}
				}
			}
			if n := issuer.Orders(); n != 2 {
				t.Errorf("%d orders of 2 names by 3 processes", n)
			}
			if want := fmt.Sprintf("https://app.example.com:%d", first.https); first.url != want {
				t.Errorf("it says that it is at %s, not %s", first.url, want)
			}
			behindHTTPS(t, first, root)
			all[1].kill()
			all[2].kill()
			all[1].start(t, db, dir)
			res := all[1].await(t, all[1].client(t, root, true), "https://app.example.com/api/notes")
			_ = res.Body.Close()
			if res.ProtoMajor != 1 {
				t.Error(res.Proto)
			}
			if n := issuer.Orders(); n != 2 {
				t.Errorf("%d orders after a start", n)
			}
			for _, s := range []*site{all[0], all[1]} {
				if err := s.stop(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// behindHTTPS checks what is beside the answers of the API by https.
func behindHTTPS(t *testing.T, s *site, root *x509.CertPool) {
	t.Helper()
	c := s.client(t, root, false)
	res, err := c.Get("http://www.example.com/a?b=c")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if want := fmt.Sprintf("https://www.example.com:%d/a?b=c", s.https); res.StatusCode != 308 || res.Header.Get("Location") != want || res.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	res, err = c.Post("http://app.example.com/api/notes", "application/json", strings.NewReader(`{"text":"in clear"}`))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != 403 || !strings.Contains(string(b), "https") {
		t.Errorf("%s %s", res.Status, b)
	}
	if _, err = c.Get("https://other.example.com/"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("%v", err)
	}
	for _, old := range []bool{true, false} { // what happens is heard over TLS, in either form
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://app.example.com/api/notes", nil)
		r.Header.Set("Accept", "text/event-stream")
		heard, err := s.client(t, root, old).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(heard.Body)
		until := func(words string) {
			t.Helper()
			for lines.Scan() {
				if strings.Contains(lines.Text(), words) {
					return
				}
			}
			t.Fatalf("%q is not heard by %s: %v", words, heard.Proto, lines.Err())
		}
		until("ready")
		text := "heard by " + heard.Proto
		res, err := c.Post("https://app.example.com/api/notes", "application/json", strings.NewReader(`{"text":"`+text+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		until(text)
		_ = heard.Body.Close()
	}
}

// ownCertificate writes a certificate of one's own, which its key has signed.
func ownCertificate(t *testing.T, dir string, key any) *x509.CertPool {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		DNSNames: []string{"app.example.com", "localhost"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, SignatureAlgorithm: x509.UnknownSignatureAlgorithm}
	var public any
	switch k := key.(type) {
	case *rsa.PrivateKey:
		public = k.Public()
	case *ecdsa.PrivateKey:
		public = k.Public()
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
		os.WriteFile(filepath.Join(dir, "cert.pem"), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

func newECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// withOwn serves an app with a certificate of its own.
func withOwn(t *testing.T, key any) (s *site, dir string, root *x509.CertPool) {
	t.Helper()
	dir = folder(t, fmt.Sprintf(httpsApp, "tls: {cert: cert.pem, key: key.pem}"))
	root = ownCertificate(t, dir, key)
	return serveHTTPS(t, "", dir), dir, root
}

// A certificate of one's own is served, and the one that replaces it, without a start; what is broken is not.
func TestHTTPSOwnCertificate(t *testing.T) {
	t.Parallel()
	s, dir, root := withOwn(t, newECDSA(t))
	res := s.await(t, s.client(t, root, false), "https://app.example.com/api/notes")
	_ = res.Body.Close()
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.says(t, "cannot be used")
	res = s.await(t, s.client(t, root, false), "https://app.example.com/api/notes")
	_ = res.Body.Close()
	next := ownCertificate(t, dir, newECDSA(t))
	res = s.await(t, s.client(t, next, false), "https://app.example.com/api/notes")
	_ = res.Body.Close()
	if _, err := s.client(t, root, false).Get("https://app.example.com/api/notes"); err == nil {
		t.Error("the old certificate is served still")
	}

	if err := os.Remove(filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(plinth, "serve", dir)
	cmd.Env = environ("HTTP_PORT=1", "HTTPS_PORT=2")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "plinth.yaml:3:30: the file, \"key.pem\", cannot be read: no such file or directory") {
		t.Errorf("%v: %s", err, out)
	}
}

// says waits until the process has said something.
func (s *site) says(t testing.TB, words string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.stderr.text(), words); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not said: %s", words, s.stderr.text())
		}
	}
}

// sslscan asks for all protocols, cipher suites and groups that OpenSSL knows, and finds TLS 1.2 and 1.3 with a fresh key for each connection and
// authenticated encryption, and nothing else.
func TestSSLScan(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("sslscan")
	if err != nil {
		acmetest.Missing(t, "sslscan (Debian's package)")
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"ECDSA": newECDSA(t), "RSA": big} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := withOwn(t, key)
			out, err := exec.CommandContext(t.Context(), tool, "--xml=-", "--no-colour", "--show-sigs", "--sni-name=app.example.com", fmt.Sprint("127.0.0.1:", s.https)).Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			weaknesses(t, out)
		})
	}
}

// weaknesses reports what sslscan has found that is weak, or that it has found too little.
func weaknesses(t *testing.T, report []byte) {
	t.Helper()
	var r struct {
		Scan struct {
			Protocols []struct {
				Type    string `xml:"type,attr"`
				Version string `xml:"version,attr"`
				Enabled bool   `xml:"enabled,attr"`
			} `xml:"protocol"`
			Renegotiation struct {
				Supported bool `xml:"supported,attr"`
				Secure    bool `xml:"secure,attr"`
			} `xml:"renegotiation"`
			Compression struct {
				Supported bool `xml:"supported,attr"`
			} `xml:"compression"`
			Heartbleed []struct {
				Vulnerable bool `xml:"vulnerable,attr"`
			} `xml:"heartbleed"`
			Ciphers []struct {
				TLS      string `xml:"sslversion,attr"`
				Bits     int    `xml:"bits,attr"`
				Name     string `xml:"cipher,attr"`
				Strength string `xml:"strength,attr"`
			} `xml:"cipher"`
			Groups []struct {
				Name string `xml:"name,attr"`
				Bits int    `xml:"bits,attr"`
			} `xml:"group"`
			Signatures []struct {
				Name string `xml:"name,attr"`
			} `xml:"connection-signature-algorithm"`
		} `xml:"ssltest"`
	}
	if err := xml.Unmarshal(report, &r); err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	protocols := map[string]bool{}
	for _, p := range r.Scan.Protocols {
		protocols[p.Type+p.Version] = p.Enabled
	}
	for name, wanted := range map[string]bool{"ssl2": false, "ssl3": false, "tls1.0": false, "tls1.1": false, "tls1.2": true, "tls1.3": true} {
		if on, asked := protocols[name]; !asked || on != wanted {
			t.Errorf("%s: asked for: %t, on: %t", name, asked, on)
		}
	}
	if r.Scan.Compression.Supported || r.Scan.Renegotiation.Supported && !r.Scan.Renegotiation.Secure || len(r.Scan.Heartbleed) == 0 {
		t.Errorf("%+v %+v %d", r.Scan.Compression, r.Scan.Renegotiation, len(r.Scan.Heartbleed))
	}
	for _, h := range r.Scan.Heartbleed {
		if h.Vulnerable {
			t.Error("Heartbleed")
		}
	}
	modern := regexp.MustCompile(`^(TLS_(AES_128_GCM_SHA256|AES_256_GCM_SHA384|CHACHA20_POLY1305_SHA256)|ECDHE-(ECDSA|RSA)-(AES128-GCM-SHA256|AES256-GCM-SHA384|CHACHA20-POLY1305))$`)
	count := map[string]int{}
	for _, c := range r.Scan.Ciphers {
		count[c.TLS]++
		if !modern.MatchString(c.Name) || c.Bits < 128 || !slices.Contains([]string{"strong", "acceptable"}, c.Strength) {
			t.Errorf("%s %s has %d bits and is called %s", c.TLS, c.Name, c.Bits, c.Strength)
		}
	}
	if count["TLSv1.2"] != 3 || count["TLSv1.3"] != 3 {
		t.Errorf("cipher suites: %v", count)
	}
	if len(r.Scan.Groups) == 0 || len(r.Scan.Signatures) == 0 {
		t.Errorf("%d groups, %d signatures: the report is not whole\n%s", len(r.Scan.Groups), len(r.Scan.Signatures), report)
	}
	for _, g := range r.Scan.Groups {
		if g.Bits < 112 {
			t.Errorf("group %s has %d bits", g.Name, g.Bits)
		}
	}
	for _, s := range r.Scan.Signatures {
		if name := strings.ToLower(s.Name); strings.Contains(name, "sha1") || strings.Contains(name, "md5") || strings.Contains(name, "dsa_sha224") {
			t.Errorf("signatures by %s", s.Name)
		}
	}
}

// deviations are what h2spec, which is of RFC 7540, asks for and net/http does not do. Each is told when it passes: then it goes.
var deviations = map[string]string{
	"http2/6.5.3 Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE":                                            "net/http ends a connection whose SETTINGS frame names a setting twice: stricter than RFC 9113, 6.5",
	"http2/8.1.2.2 Sends a HEADERS frame that contains the connection-specific header field":                       "net/http answers 400: RFC 9113, 8.1.1, lets a server send an answer to a malformed request",
	"http2/8.1.2.2 Sends a HEADERS frame that contains the TE header field with any value other than \"trailers\"": "net/http answers 400: RFC 9113, 8.1.1, lets a server send an answer to a malformed request",
}

// early are cases that pass or not as it happens: the request has no media type and is refused, and the refusal may be on its way when the
// bytes come that its length does not name, or the window that is too large. RFC 9113, 8.1, lets a server answer before it has the whole request. The length is checked by
// net/http, as their passing shows whenever the bytes are faster.
var early = []string{
	"http2/8.1.2.6 Sends a HEADERS frame with the \"content-length\" header field which does not equal the DATA frame payload length",
	"http2/6.9.1 Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
	"http2/8.1.2.6 Sends a HEADERS frame with the \"content-length\" header field which does not equal the sum of the multiple DATA frames payload length",
}

// h2spec asks for all that RFC 7540 says of a server.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	tool := acmetest.Tool(t, "h2spec")
	s, dir, root := withOwn(t, newECDSA(t))
	res := s.await(t, s.client(t, root, false), "https://localhost/api/notes")
	_ = res.Body.Close()
	report := filepath.Join(dir, "report.xml")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, "--strict", "--host", "localhost", "--port", fmt.Sprint(s.https), "--tls", "--insecure", "--path", "/api/notes", "--junit-report", report)
	out, _ := cmd.CombinedOutput() // its code is that something failed
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r struct {
		Suites []struct {
			Package string `xml:"package,attr"`
			Cases   []struct {
				Class   string  `xml:"classname,attr"`
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
				Skipped *string `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.NewDecoder(bytes.NewReader(text)).Decode(&r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	cases, met := 0, map[string]bool{}
	for _, suite := range r.Suites {
		for _, c := range suite.Cases {
			cases++
			name := suite.Package + " " + c.Class
			bad := c.Failure
			if bad == nil {
				bad = c.Error
			}
			why, known := deviations[name]
			switch {
			case c.Skipped != nil:
				t.Errorf("%s was left out", name)
			case bad != nil && slices.Contains(early, name):
				t.Logf("answered before the body was there: %s", name)
			case bad != nil && !known:
				t.Errorf("%s: %s", name, *bad)
			case bad == nil && known:
				t.Errorf("%s passes: it is no deviation any more (%s)", name, why)
			}
			met[name] = true
		}
	}
	for _, name := range append(slices.Collect(maps.Keys(deviations)), early...) {
		if !met[name] {
			t.Errorf("%q was not asked", name)
		}
	}
	if cases < 146 {
		t.Errorf("%d cases\n%s", cases, out)
	}
	t.Logf("h2spec: %d cases, %d of which deviate", cases, len(deviations))
}
