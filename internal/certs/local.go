package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/bluell/plinth/fault"
)

// Local is an authority for the machine of a developer, and what it has issued to this process. It vouches for this machine and
// private networks alone, which its certificate says: with its key nobody can pass for a site of the internet.
type Local struct {
	Root string // the file with its certificate

	root tls.Certificate
	host string // one more name or address; may be ""

	mu   sync.Mutex
	leaf *tls.Certificate
}

const (
	rootLife = 10 * 365 * 24 * time.Hour
	leafLife = 30 * 24 * time.Hour // renewed at half of it
)

var localNames = []string{"localhost", "test", "local", "internal", "home.arpa"}

var localNetworks = []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"}

// OpenLocal opens the authority that is kept in a folder: authority.pem, its certificate and its key, which only this user may
// read, and authority.crt, its certificate alone. It is made when it is not there, or has ended. host is the host that is
// listened on, "" for any.
func OpenLocal(dir, host string) (*Local, error) {
	l := &Local{Root: filepath.Join(dir, "authority.crt"), host: host}
	name := filepath.Join(dir, "authority.pem")
	err := l.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeAuthority(name); err == nil {
			err = l.read(name)
		}
	}
	if err != nil {
		return nil, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.root.Certificate[0]})
	if old, err := os.ReadFile(l.Root); err != nil || !bytes.Equal(old, public) {
		if err := os.WriteFile(l.Root, public, 0o644); err != nil {
			return nil, &fault.Error{Kind: fault.Internal, Msg: l.Root + " cannot be written", Err: err}
		}
	}
	_, err = l.Certificate(nil)
	return l, err
}

// read reads the authority. One that has ended, or ends before a leaf would, is as if it were not there.
func (l *Local) read(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fault.New(fault.Invalid, "%s can be read by others: chmod 600 it, or remove it and no longer trust %s", name, l.Root)
	}
	if l.root, err = tls.LoadX509KeyPair(name, name); err == nil && l.root.Leaf == nil {
		l.root.Leaf, err = x509.ParseCertificate(l.root.Certificate[0])
	}
	if err != nil {
		return &fault.Error{Kind: fault.Invalid, Msg: name + " is no authority: remove it, and another is made", Err: err}
	}
	if time.Until(l.root.Leaf.NotAfter) < leafLife {
		if err := os.Remove(name); err != nil {
			return &fault.Error{Kind: fault.Internal, Msg: name + " has ended and cannot be removed", Err: err}
		}
		return fs.ErrNotExist
	}
	return nil
}

// makeAuthority writes a new authority: whole, or not at all, and never over another.
func makeAuthority(name string) error {
	fail := func(err error) error {
		return &fault.Error{Kind: fault.Internal, Msg: name + " cannot be written", Err: err}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	host, _ := os.Hostname()
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Plinth development, " + host, Organization: []string{"Plinth"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: localNames,
	}
	for _, n := range localNetworks {
		_, network, _ := net.ParseCIDR(n)
		t.PermittedIPRanges = append(t.PermittedIPRanges, network)
	}
	cert, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return fail(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fail(err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".authority-*") // 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: secret}), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), name)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(err)
	}
	return nil
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails
	return n.Add(n, big.NewInt(1))
}

// Certificate is one for this machine, issued anew when half of its life is over.
func (l *Local) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello != nil && challenged(hello) {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaf != nil && time.Until(l.leaf.Leaf.NotAfter) > leafLife/2 {
		return l.leaf, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(leafLife),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(l.host); ip != nil {
		if !ip.IsUnspecified() && !ip.IsLoopback() {
			t.IPAddresses = append(t.IPAddresses, ip)
		}
	} else if l.host != "" && l.host != "localhost" {
		t.DNSNames = append(t.DNSNames, l.host)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, l.root.Leaf, key.Public(), l.root.PrivateKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(l.root.Leaf)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
		return nil, fault.New(fault.Invalid, "the development authority vouches for localhost and private networks alone, not for %s: listen on another address, or serve without --tls", l.host)
	}
	l.leaf = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return l.leaf, nil
}

// Has is for the http listener, which there is none of.
func (l *Local) Has(string) bool { return false }

// Challenge has nothing to answer.
func (l *Local) Challenge(http.ResponseWriter, *http.Request) bool { return false }
