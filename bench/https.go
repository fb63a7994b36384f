package main

import (
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
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// httpsLine measures what TLS costs: Plinth alone, one process that answers by http and by https.
const httpsLine = "https"

const httpsGoal = 0.8 // reads over kept connections by https, of those by http

// encrypted is what was measured. The client's own share of TLS is in it: it runs on the same cores.
type encrypted struct {
	HTTP  []slot `json:"http"`
	HTTPS []slot `json:"https"`
}

func measureHTTPS(ctx context.Context, o options, p peer, dir string) (*encrypted, error) {
	app, err := os.ReadFile(filepath.Join("app", "plinth.yaml"))
	if err != nil {
		return nil, err
	}
	secure, err := freeAddress()
	if err != nil {
		return nil, err
	}
	plain, err := freeAddress()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	p.prepare = func(dir string) error {
		server := fmt.Sprintf("\nserver: {tls: {cert: cert.pem, key: key.pem}, https: %q, http: %q}\n", secure, plain)
		return errors.Join(os.WriteFile(filepath.Join(dir, "plinth.yaml"), append(app, server...), 0o644), ownCertificate(dir, roots))
	}
	s, err := openSite(ctx, p, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := s.load(o.posts); err != nil {
		return nil, err
	}
	over := *s
	over.addr, over.tls = secure, &tls.Config{RootCAs: roots, ServerName: "bench.example.com"}
	m := &encrypted{}
	kinds := []struct {
		name string
		site *site
		to   *[]slot
	}{{"http", s, &m.HTTP}, {"https", &over, &m.HTTPS}}
	next := reads(s)
	for round := range o.rounds {
		for i := range kinds {
			k := kinds[(i+round)%len(kinds)]
			if _, err := k.site.fire(ctx, o.conns, o.slot()/5, next, http.StatusOK); err != nil {
				return nil, err
			}
			got, err := k.site.fireQuietly(ctx, o, next, http.StatusOK)
			if err != nil {
				return nil, err
			}
			progress("https    round %d  %-14s %9.0f/s  p99 %.2f ms  cpu %3.0f us  noise %2.0f%%", round+1, k.name, got.PerSecond, got.P99, got.CPU, 100*got.Noise)
			*k.to = append(*k.to, got)
		}
	}
	return m, nil
}

// ownCertificate writes a certificate to a folder, and puts it among those that are trusted.
func ownCertificate(dir string, roots *x509.CertPool) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"bench.example.com"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(text)
	return errors.Join(os.WriteFile(filepath.Join(dir, "cert.pem"), text, 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

func (m *encrypted) print(w io.Writer) {
	http, https := middle(m.HTTP), middle(m.HTTPS)
	ratio := https.PerSecond / http.PerSecond
	verdict := "met"
	if ratio < httpsGoal {
		verdict = "MISSED"
	}
	fmt.Fprintf(w, "\nread one over kept connections: http %.0f/s, https %.0f/s: %.2f of it (goal %.1f, %s); server cpu %.0f and %.0f us\n",
		http.PerSecond, https.PerSecond, ratio, httpsGoal, verdict, http.CPU, https.CPU)
}
