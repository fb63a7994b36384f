package certs

import (
	"crypto/tls"
	"net/http"
	"strings"
	"time"
)

// Source has the certificates that an app is served with. It is safe for concurrent use.
type Source interface {
	// Certificate is the one for a handshake. nil without an error: this server has no such name.
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Has says whether the app is served under a name: lower case, without a port.
	Has(name string) bool
	// Challenge answers a request by which an issuer looks whether a name is ours (RFC 8555, 8.3), and says whether it was one.
	Challenge(http.ResponseWriter, *http.Request) bool
}

// Expiry is when the certificate of a name ends.
type Expiry struct {
	Name string
	At   time.Time
}

// challengeProtocol is what an issuer speaks that looks by TLS whether a name is ours (RFC 8737).
const challengeProtocol = "acme-tls/1"

// suites are those of TLS 1.2 with a fresh key for each connection and authenticated encryption (RFC 9325, 4.2). Those of TLS
// 1.3 are all of that kind.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Config is TLS 1.2 and 1.3 with the certificates of a source, which is asked for at each handshake, so that it may be replaced.
// A name that the source does not have is refused with the alert unrecognized_name (RFC 6066, 3).
func Config(source func() Source) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: suites,
		NextProtos:   []string{"h2", "http/1.1", challengeProtocol},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return source().Certificate(hello)
		},
	}
}

// challenged says whether a handshake is a look by an issuer.
func challenged(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol
}

// plainName is a name as names are compared.
func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
