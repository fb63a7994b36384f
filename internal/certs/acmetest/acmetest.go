// Package acmetest starts Pebble, the ACME server of Let's Encrypt for tests, built from test/pebble: strict, and with random
// refusals. It resolves every name to this machine. Only tests import it.
package acmetest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Options of Start.
type Options struct {
	HTTP, TLS int           // the ports at which it looks whether a name is ours
	Validity  time.Duration // of certificates; default 90 days
	Account   [2]string     // id and key of the account without which it issues nothing; default: none is asked for
	Refuse    []string      // domains that it refuses
}

// Issuer is a running Pebble.
type Issuer struct {
	Directory string // what acme.issuer is
	Roots     string // the file by which its https is trusted

	t      testing.TB
	tool   string
	dir    string
	api    string // where it is itself
	front  string // where it is asked
	manage string
	dns    string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
	lines []string
	door  net.Listener // nil while it is down
	conns []net.Conn
}

// Tool is the path of a program of test/pebble, built if need be. Where it cannot be built the test is skipped, and says so; with
// PLINTH_TEST_ALL=1 it fails.
func Tool(t testing.TB, name string) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "tool", "-n", name)
	cmd.Dir = filepath.Join(filepath.Dir(file), "..", "..", "..", "test", "pebble")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		Missing(t, fmt.Sprintf("%s: %v: %s", name, err, said.String()))
	}
	return strings.TrimSpace(string(out))
}

// Missing skips a test for want of something; with PLINTH_TEST_ALL=1 it fails.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PLINTH_TEST_ALL") == "1" {
		t.Fatal(what)
	}
	t.Skipf("LEFT OUT, for want of %s", what)
}

// given are the ports that Port has given: of a hundred two would else be the same in one run of four.
var given sync.Map

// Port is a port of this machine that nobody listens at, and that it has not given before. It is below those that systems give to
// whoever asks for any, who would else have it before it is used.
func Port(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10_000 + mathrand.IntN(20_000)
		if _, before := given.LoadOrStore(port, true); before {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Start starts an issuer, which ends with the test.
func Start(t testing.TB, o Options) *Issuer {
	t.Helper()
	i := &Issuer{t: t, tool: Tool(t, "pebble"), dir: t.TempDir(), dns: names(t)}
	i.Roots = filepath.Join(i.dir, "roots.pem")
	i.api, i.front = fmt.Sprintf("127.0.0.1:%d", Port(t)), fmt.Sprintf("127.0.0.1:%d", Port(t))
	manage := fmt.Sprintf("127.0.0.1:%d", Port(t))
	i.Directory, i.manage = "https://"+i.front+"/dir", "https://"+manage
	i.certificate()
	if o.Validity == 0 {
		o.Validity = 90 * 24 * time.Hour
	}
	profiles := map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(o.Validity.Seconds())}}
	pebble := map[string]any{
		"listenAddress": i.api, "managementListenAddress": manage, "certificate": i.Roots, "privateKey": filepath.Join(i.dir, "key.pem"),
		"httpPort": o.HTTP, "tlsPort": o.TLS, "keyAlgorithm": "ecdsa", "profiles": profiles, "domainBlocklist": o.Refuse,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
	}
	if o.Account[0] != "" {
		pebble["externalAccountBindingRequired"], pebble["externalAccountMACKeys"] = true, map[string]string{o.Account[0]: o.Account[1]}
	}
	text, err := json.Marshal(map[string]any{"pebble": pebble})
	if err == nil {
		err = os.WriteFile(filepath.Join(i.dir, "config.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.stop)
	i.run()
	i.Up()
	return i
}

// certificate is that of its own https.
func (i *Issuer) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		i.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{i.Roots: {Type: "CERTIFICATE", Bytes: der}, filepath.Join(i.dir, "key.pem"): {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			i.t.Fatal(err)
		}
	}
}

func (i *Issuer) run() {
	i.t.Helper()
	cmd := exec.Command(i.tool, "-config", filepath.Join(i.dir, "config.json"), "-strict", "-dnsserver", i.dns)
	cmd.Env = append(os.Environ(), "PEBBLE_WFE_NONCEREJECT=10", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0")
	out, err := cmd.StdoutPipe()
	if err == nil {
		cmd.Stderr = cmd.Stdout
		err = cmd.Start()
	}
	if err != nil {
		i.t.Fatal(err)
	}
	ended, listens := make(chan struct{}), make(chan struct{})
	i.mu.Lock()
	i.cmd, i.ended = cmd, ended
	i.mu.Unlock()
	go func() {
		defer close(ended)
		said := sync.OnceFunc(func() { close(listens) })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			i.mu.Lock()
			i.lines = append(i.lines, lines.Text())
			i.mu.Unlock()
			if strings.Contains(lines.Text(), "ACME directory available") {
				said()
			}
		}
		_ = cmd.Wait()
	}()
	select {
	case <-listens:
	case <-ended:
		i.t.Fatalf("pebble ended: %s", strings.Join(i.Said(), "\n"))
	case <-time.After(30 * time.Second):
		i.t.Fatal("pebble does not begin")
	}
	for end := time.Now().Add(10 * time.Second); ; { // it says so before it listens
		c, err := net.Dial("tcp", strings.TrimPrefix(i.manage, "https://"))
		if err == nil {
			c.Close()
			if c, err = net.Dial("tcp", i.api); err == nil {
				c.Close()
				return
			}
		}
		if time.Now().After(end) {
			i.t.Fatalf("pebble: %v\n%s", err, strings.Join(i.Said(), "\n"))
		}
		select {
		case <-ended:
			i.t.Fatalf("pebble ended: %s", strings.Join(i.Said(), "\n"))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Up lets it be asked. It is when it starts.
func (i *Issuer) Up() {
	i.t.Helper()
	l, err := net.Listen("tcp", i.front)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	i.door = l
	i.mu.Unlock()
	go func() {
		for {
			out, err := l.Accept()
			if err != nil {
				return
			}
			in, err := net.Dial("tcp", i.api)
			if err != nil {
				out.Close()
				continue
			}
			i.mu.Lock()
			i.conns = append(i.conns, out, in)
			i.mu.Unlock()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
			go func() { _, _ = io.Copy(out, in); out.Close() }()
		}
	}()
}

// Down refuses the connections of those who ask. What it knows it keeps.
func (i *Issuer) Down() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.door != nil {
		_ = i.door.Close()
		i.door = nil
	}
	for _, c := range i.conns {
		_ = c.Close()
	}
	i.conns = nil
}

func (i *Issuer) stop() {
	i.Down()
	i.mu.Lock()
	cmd, ended := i.cmd, i.ended
	i.cmd = nil
	i.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-ended
	}
}

// Said is what it has said.
func (i *Issuer) Said() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.lines...)
}

// Count is how many of the lines that it has said have some words.
func (i *Issuer) Count(words string) (n int) {
	for _, line := range i.Said() {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}

// Orders is how many certificates were ordered.
func (i *Issuer) Orders() int { return i.Count("Added order ") }

// Root is by which the certificates that it issues are trusted.
func (i *Issuer) Root() *x509.CertPool {
	i.t.Helper()
	own, err := os.ReadFile(i.Roots)
	if err != nil {
		i.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(own)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := c.Get(i.manage + "/roots/0")
	if err != nil {
		i.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	root := x509.NewCertPool()
	if !root.AppendCertsFromPEM(text) {
		i.t.Fatalf("no root: %s", text)
	}
	return root
}

// names is a resolver for which every name is this machine; it is asked by TCP (RFC 1035, 4.2.2). It ends with the test.
func names(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go resolve(c)
		}
	}()
	return l.Addr().String()
}

func resolve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b) != nil || len(m.Questions) != 1 {
			return
		}
		q := m.Questions[0]
		answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: m.Questions}
		if q.Type == dnsmessage.TypeA {
			answer.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}
		out, err := answer.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}
