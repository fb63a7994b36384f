package certs_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/internal/certs"
	"github.com/bluell/plinth/internal/certs/acmetest"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

var key = []byte("0123456789abcdef0123456789abcdef")

// readApp reads an app file, with what is kept for certificates.
func readApp(t testing.TB, yaml string) *spec.App {
	t.Helper()
	app, err := spec.LoadFS(fstest.MapFS{spec.FileName: {Data: []byte(yaml)}}, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{data.Collections, certs.Collections(app)} {
		if err := app.Extend("test", []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	return app
}

func openOn(t testing.TB, app *spec.App, eng driver.Engine) *data.DB {
	t.Helper()
	m, err := data.Plan(t.Context(), app, eng, key)
	if err == nil {
		err = m.Apply(t.Context(), eng, data.ApplyOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := data.Open(t.Context(), app, eng, data.Options{Key: key, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// site is a process with domains whose listeners answer.
type site struct {
	t           testing.TB
	app         *spec.App
	db          *data.DB
	asked       atomic.Int64 // how often somebody wanted to ask the database
	m           *certs.Managed
	http, https string
	log         *said
	stop        func()
}

// ports are where a site listens.
type ports struct{ http, https int }

func freePorts(t testing.TB) ports { return ports{acmetest.Port(t), acmetest.Port(t)} }

// open prepares a site, whose Keep has not begun; acme is what the app file says of issuers.
func open(t testing.TB, p ports, acme string, domains ...string) *site {
	t.Helper()
	app := readApp(t, fmt.Sprintf("server: {domains: [%s], http: \"127.0.0.1:%d\", https: \"127.0.0.1:%d\", acme: %s}\n", strings.Join(domains, ", "), p.http, p.https, acme))
	return openWith(t, p, app, openOn(t, app, memory.Open()))
}

func openWith(t testing.TB, p ports, app *spec.App, db *data.DB) *site {
	t.Helper()
	s := &site{t: t, app: app, db: db, log: &said{}}
	o := certs.Options{Server: app.Server, DB: func() *data.DB { s.asked.Add(1); return db }, Log: slog.New(slog.NewTextHandler(s.log, nil))}
	o.Hurry(time.Second, 600*time.Millisecond, 0.98)
	m, err := certs.Manage(o)
	if err != nil {
		t.Fatal(err)
	}
	s.m = m
	source := func() certs.Source { return m }
	s.http, s.https = "127.0.0.1:"+strconv.Itoa(p.http), "127.0.0.1:"+strconv.Itoa(p.https)
	serve := func(address string, h http.Handler, c *tls.Config) {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: h, TLSConfig: c, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		go func() {
			if c == nil {
				_ = srv.Serve(ln)
			} else {
				_ = srv.ServeTLS(ln, "", "")
			}
		}()
		t.Cleanup(func() { _ = srv.Close() })
	}
	if p.http > 0 {
		serve(s.http, certs.Plain(source, strconv.Itoa(p.https), app.Server.Limits, web.NewLoad(), slog.New(slog.DiscardHandler)), nil)
	}
	if p.https > 0 {
		serve(s.https, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), certs.Config(source))
	}
	return s
}

// keep begins Keep, and ends it with the test.
func (s *site) keep() {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { s.m.Keep(ctx) })
	s.stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	s.t.Cleanup(s.stop)
}

// shake shakes hands with the site, and returns its certificate.
func (s *site) shake(name string, roots *x509.CertPool) (*x509.Certificate, error) {
	c, err := (&tls.Dialer{Config: &tls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: roots == nil}}).Dial("tcp", s.https)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// await waits for a certificate that satisfies fn.
func (s *site) await(within time.Duration, name string, roots *x509.CertPool, fn func(*x509.Certificate) bool) *x509.Certificate {
	s.t.Helper()
	var err error
	var leaf *x509.Certificate
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if leaf, err = s.shake(name, roots); err == nil && fn(leaf) {
			return leaf
		}
	}
	s.t.Fatalf("no such certificate of %s after %s: %v\n%s", name, within, err, s.log)
	return nil
}

func anyOne(*x509.Certificate) bool { return true }

// said is a log.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// await waits until some words are in the log.
func (s *said) await(t testing.TB, within time.Duration, words string) {
	t.Helper()
	for end := time.Now().Add(within); !strings.Contains(s.String(), words); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not said after %s:\n%s", words, within, s)
		}
	}
}

// pair writes a new certificate for names and its key to files.
func pair(t testing.TB, cert, key string, from, until time.Time, names ...string) *x509.Certificate {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{SerialNumber: n, NotBefore: from, NotAfter: until, DNSNames: names, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(cert), 0o700), os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
			os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}
