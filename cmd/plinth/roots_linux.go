package main

import (
	"crypto/x509"
	"os"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// certificates are where distributions have those of the authorities that are trusted (crypto/x509 looks there).
var certificates = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem", "/etc/ssl/certs", "/etc/pki/tls/certs",
}

// trustRoots lets outgoing connections trust the authorities that Mozilla trusts, as this program was built with them, on
// a system that has no list of its own: an empty container. Where there is one nothing is done, and nothing costs time.
func trustRoots() {
	if systemRoots() != "" {
		return
	}
	pool := x509.NewCertPool()
	for c := range bundle.Roots() {
		cert, err := x509.ParseCertificate(c.Certificate)
		switch {
		case err != nil: // a later build will have another list
		case c.Constraint == nil:
			pool.AddCert(cert)
		default:
			pool.AddCertWithConstraint(cert, c.Constraint)
		}
	}
	x509.SetFallbackRoots(pool)
}

// systemRoots is where the system has a list of authorities that it trusts; "": nowhere.
func systemRoots() string {
	for _, name := range append([]string{os.Getenv("SSL_CERT_FILE"), os.Getenv("SSL_CERT_DIR")}, certificates...) {
		if _, err := os.Stat(name); name != "" && err == nil {
			return name
		}
	}
	return ""
}
