package certs_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/certs/acmetest"
)

func acme(i *acmetest.Issuer) string {
	return fmt.Sprintf(`{issuer: "%s", roots: "%s", email: ops@example.com}`, i.Directory, i.Roots)
}

// Names differ from test to test: in one process certmagic finds what an issuer has asked by the name alone.
//
// By either challenge, the other port being one at which nobody listens, a first certificate is obtained. It is kept in
// the database, sealed, and another process serves it without an order.
func TestFirstCertificate(t *testing.T) {
	t.Parallel()
	for name, wanted := range map[string]struct {
		name        string
		http, https bool
	}{"HTTP-01": {"first", true, false}, "TLS-ALPN-01": {"second", false, true}, "either": {"third", true, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := freePorts(t)
			asked := acmetest.Options{HTTP: p.http, TLS: p.https}
			if !wanted.http {
				asked.HTTP = acmetest.Port(t)
			}
			if !wanted.https {
				asked.TLS = acmetest.Port(t)
			}
			i := acmetest.Start(t, asked)
			app, www := wanted.name+".example.com", "www."+wanted.name+".example.com"
			s := open(t, p, acme(i), app, www)
			if _, err := s.shake(app, nil); err == nil {
				t.Error("there is a certificate already")
			}
			s.keep()
			root := i.Root()
			for _, d := range []string{app, www} {
				s.await(time.Minute, d, root, anyOne)
			}
			if n := i.Orders(); name == "either" && n != 2 {
				t.Errorf("%d orders of 2 names", n)
			}
			orders := i.Orders()
			if n := strings.Count(s.log.String(), "a certificate was obtained"); n != 2 {
				t.Errorf("it is told %d times:\n%s", n, s.log)
			}
			if strings.Contains(s.log.String(), "level=ERROR") {
				t.Errorf("%s", s.log)
			}
			s.stop()

			// The next process takes what is there.
			p2 := freePorts(t)
			next := openWith(t, p2, s.app, s.db)
			next.m.Load(t.Context())
			if _, err := next.shake(app, root); err != nil {
				t.Error(err)
			}
			next.keep()
			if _, err := next.shake(www, root); err != nil || i.Orders() != orders {
				t.Errorf("%v, %d orders", err, i.Orders())
			}
			sealed(t, s)
		})
	}
}

// sealed checks that what is stored of certificates is encrypted, and that the collection is not there for operators.
func sealed(t *testing.T, s *site) {
	t.Helper()
	records, err := s.db.List(t.Context(), data.Caller{Operator: true}, &data.ListQuery{Collection: "_certificates", Limit: 100}, nil)
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("an operator lists certificates: %s %v", records, err)
	}
	c, _ := s.app.Collection("_certificates")
	f, _ := c.Field("value")
	if !f.Encrypted {
		t.Error("values are not encrypted")
	}
}

// A certificate is renewed before it ends, and no handshake fails meanwhile.
func TestRenewal(t *testing.T) {
	t.Parallel()
	p := freePorts(t)
	i := acmetest.Start(t, acmetest.Options{HTTP: p.http, TLS: p.https, Validity: 3 * time.Minute})
	s := open(t, p, acme(i), "renewal.example.com")
	s.keep()
	root := i.Root()
	first := s.await(time.Minute, "renewal.example.com", root, anyOne)
	second := s.await(time.Minute, "renewal.example.com", root, func(c *x509.Certificate) bool { return c.SerialNumber.Cmp(first.SerialNumber) != 0 })
	if !second.NotAfter.After(first.NotAfter) || first.PublicKey.(*ecdsa.PublicKey).Equal(second.PublicKey) {
		t.Errorf("%s, %s", first.NotAfter, second.NotAfter)
	}
	s.log.await(t, 10*time.Second, "renewal=true")
}

// Where the issuer is down at the start, the reason is told, once for each attempt, and it is tried again by itself.
func TestIssuerDownAtStart(t *testing.T) {
	t.Parallel()
	p := freePorts(t)
	i := acmetest.Start(t, acmetest.Options{HTTP: p.http, TLS: p.https})
	i.Down()
	s := open(t, p, acme(i), "start.example.com")
	s.keep()
	s.log.await(t, 30*time.Second, "a certificate was not obtained")
	if _, err := s.shake("start.example.com", nil); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("%v", err)
	}
	s.log.await(t, 30*time.Second, "times=2")
	if text := s.log.String(); !strings.Contains(text, "connection refused") || strings.Count(text, "times=1 ") != 1 || strings.Contains(text, "level=ERROR") {
		t.Errorf("%s", text)
	}
	i.Up()
	s.await(time.Minute, "start.example.com", i.Root(), anyOne)
	if _, err := s.m.Stored().Load(t.Context(), "failures/start.example.com.json"); err == nil {
		t.Error("failures are remembered after a success")
	}
}

// Where the issuer is down when a certificate is to be renewed, the old one goes on being served, and the new one comes by
// itself.
func TestIssuerDownAtRenewal(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("LEFT OUT, for the time that it takes: certmagic waits for a minute before it renews again")
	}
	p := freePorts(t)
	i := acmetest.Start(t, acmetest.Options{HTTP: p.http, TLS: p.https, Validity: 10 * time.Minute})
	s := open(t, p, acme(i), "down.example.com")
	s.keep()
	root := i.Root()
	first := s.await(time.Minute, "down.example.com", root, anyOne)
	i.Down()
	s.log.await(t, time.Minute, "a certificate was not renewed: the present one is served")
	if now, err := s.shake("down.example.com", root); err != nil || now.NotAfter.Before(first.NotAfter) {
		t.Errorf("%v %v", now, err)
	}
	i.Up()
	s.await(2*time.Minute, "down.example.com", root, func(c *x509.Certificate) bool { return c.SerialNumber.Cmp(first.SerialNumber) != 0 })
}

// The second issuer is asked when the first has failed; it asks for an account that one has already.
func TestFallback(t *testing.T) {
	t.Parallel()
	p := freePorts(t)
	secret := base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	i := acmetest.Start(t, acmetest.Options{HTTP: p.http, TLS: p.https, Account: [2]string{"kid-1", secret}})
	nobody := fmt.Sprintf("https://127.0.0.1:%d/dir", acmetest.Port(t))
	s := open(t, p, fmt.Sprintf(`{issuer: "%s", fallback: {issuer: "%s", roots: "%s", account: {id: kid-1, key: %s}}}`, nobody, i.Directory, i.Roots, secret), "fallback.example.com")
	s.keep()
	s.await(time.Minute, "fallback.example.com", i.Root(), anyOne)
	if strings.Contains(s.log.String(), secret) {
		t.Error("the account's key is in the log")
	}
}

// What an issuer refuses is told in its words.
func TestRefused(t *testing.T) {
	t.Parallel()
	p := freePorts(t)
	i := acmetest.Start(t, acmetest.Options{HTTP: p.http, TLS: p.https, Refuse: []string{"bad.example.com"}})
	s := open(t, p, acme(i), "bad.example.com", "good.example.com")
	s.keep()
	s.await(time.Minute, "good.example.com", i.Root(), anyOne)
	s.log.await(t, time.Minute, "rejectedIdentifier")
}

// A name that is not the app's is refused by the alert for it, and costs the database nothing.
func TestUnknownNames(t *testing.T) {
	t.Parallel()
	p := freePorts(t)
	s := open(t, p, `{issuer: "https://127.0.0.1:1/dir"}`, "unknown.example.com")
	t.Cleanup(s.m.Close)
	before := s.asked.Load()
	if _, err := s.shake("other.example.com", nil); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("%v", err)
	}
	if n := s.asked.Load() - before; n != 0 {
		t.Errorf("the database is asked %d times", n)
	}
	if s.m.Load(t.Context()); s.asked.Load() == before {
		t.Error("it is not seen when the database is asked")
	}
}

// A process that ended while it stored a certificate has left the key of another. It is ordered anew.
func TestTwoHalves(t *testing.T) {
	t.Parallel()
	p := freePorts(t)
	i := acmetest.Start(t, acmetest.Options{HTTP: p.http, TLS: p.https})
	s := open(t, p, acme(i), "halves.example.com")
	s.keep()
	root := i.Root()
	s.await(time.Minute, "halves.example.com", root, anyOne)
	s.stop()
	k, err := certmagic.StandardKeyGenerator{KeyType: certmagic.P256}.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := certmagic.PEMEncodePrivateKey(k)
	if err == nil {
		err = s.m.Stored().Store(t.Context(), certmagic.StorageKeys.SitePrivateKey(s.m.IssuerKeys()[0], "halves.example.com"), text)
	}
	if err != nil {
		t.Fatal(err)
	}
	next := openWith(t, freePorts(t), s.app, s.db)
	next.m.Load(t.Context())
	next.log.await(t, time.Second, "cannot be used")
	// The issuer looks at the first site's ports, whose challenges are any process's to answer.
	next.keep()
	next.await(time.Minute, "halves.example.com", root, anyOne)
	if !strings.Contains(next.log.String(), "two halves") {
		t.Errorf("%s", next.log)
	}
}
