package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Where another process has the port, that is told once, and the port is taken when it is free.
func TestHTTP3WaitsForItsPort(t *testing.T) {
	t.Parallel()
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	said := make(lines, 10)
	h := &HTTP3{Address: other.LocalAddr().String(), TLS: &tls.Config{}, Handler: http.NotFoundHandler(), Log: slog.New(slog.NewTextHandler(said, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		h.Run(ctx)
		close(ended)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	select {
	case line := <-said:
		if !strings.Contains(line, "another process has the port") || !strings.Contains(line, h.Address) {
			t.Error(line)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is told")
	}
	other.Close()
	for end := time.Now().Add(20 * time.Second); h.srv.Load() == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not listen")
		}
	}
	if len(said) > 0 {
		t.Errorf("told again: %s", <-said)
	}
}

// lines are those of a log.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// selfSigned is a certificate for x.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"x"}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// third answers by HTTP/3 until the test ends.
func third(t *testing.T, crowd *Crowd) (addr string) {
	t.Helper()
	h := &HTTP3{Address: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}},
		Handler: http.NotFoundHandler(), Crowd: crowd, Log: quiet}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		h.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	for end := time.Now().Add(20 * time.Second); h.srv.Load() == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not listen")
		}
	}
	return "127.0.0.1:" + strconv.Itoa(h.srv.Load().Port) // that of the socket, since none is given
}

// TestTooManyConnectionsByHTTP3: they are counted with the others, for as long as they are there.
func TestTooManyConnectionsByHTTP3(t *testing.T) {
	t.Parallel()
	crowd := crowdOf(spec.Server{Limits: spec.Limits{Connections: 2, PerAddress: 1}}, quiet)
	addr := third(t, crowd)
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	dial := func() (*quic.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return quic.DialAddr(ctx, addr, &tls.Config{InsecureSkipVerify: true, ServerName: "x", NextProtos: []string{"h3"}}, nil)
	}
	counted := func(n int) func() bool {
		return func() bool { open, _ := crowd.Count(); return open == n }
	}
	var conns []*quic.Conn
	for range 2 {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		until("it is not counted", counted(len(conns)))
	}
	if c, err := dial(); err == nil {
		t.Errorf("one too many: %v", c.Context().Err())
	}
	if _, refused := crowd.Count(); refused["connections"] == 0 {
		t.Error("it is not counted as refused")
	}
	_ = conns[0].CloseWithError(0, "")
	until("one that has gone is counted still", counted(1))
	if _, err := dial(); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}

// heard notes whether a server has told its client to show that it is at its address (a Retry packet, RFC 9000, 17.2.5).
type heard struct {
	net.PacketConn
	retry atomic.Bool
}

func (h *heard) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := h.PacketConn.ReadFrom(b)
	if n > 0 && b[0]&0xf0 == 0xf0 {
		h.retry.Store(true)
	}
	return n, from, err
}

// TestAddressesOfHTTP3: when there are many connections, clients show first that they are where they say: packets with others' addresses take no room from these.
func TestAddressesOfHTTP3(t *testing.T) {
	t.Parallel()
	crowd := crowdOf(spec.Server{Limits: spec.Limits{Connections: 2 * few, PerAddress: 100}}, quiet)
	addr, err := net.ResolveUDPAddr("udp", third(t, crowd))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, true, true} {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		h := &heard{PacketConn: conn}
		via := &quic.Transport{Conn: h}
		t.Cleanup(func() {
			_ = via.Close()
			_ = conn.Close()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := via.Dial(ctx, addr, &tls.Config{InsecureSkipVerify: true, ServerName: "x", NextProtos: []string{"h3"}}, nil); err != nil {
			t.Fatal(err)
		}
		if got := h.retry.Load(); got != want {
			t.Errorf("connection %d has to show its address: %t", i, got)
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if n, _ := crowd.Count(); n == i+1 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("it is not counted")
			}
		}
	}
	for _, c := range []struct {
		at   string
		want bool
	}{{"192.0.2.1:1", false}, {"192.0.2.2:1", true}} {
		crowd := crowdOf(spec.Server{Limits: spec.Limits{Connections: 1000, PerAddress: few}}, quiet)
		if crowd.enter(net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:2"))) == nil {
			t.Fatal("there is no room")
		}
		if got := crowd.doubts(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(c.at))); got != c.want {
			t.Errorf("%s has to show its address: %t", c.at, got)
		}
	}
}

// stuck is a client that reads nothing until it is let go.
type stuck struct {
	*httptest.ResponseRecorder
	taken, free chan struct{}
}

func (s stuck) Write(b []byte) (int, error) {
	close(s.taken)
	<-s.free
	return len(b), nil
}

// TestLargeAnswersByHTTP3: one client that reads slowly leaves room for others, whatever carries his answers.
func TestLargeAnswersByHTTP3(t *testing.T) {
	t.Parallel()
	h := &HTTP3{Crowd: crowdOf(spec.Server{Limits: spec.Limits{Connections: 10, PerAddress: 10}}, quiet)}
	from := func(addr string) *http.Request {
		at := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr))
		r := httptest.NewRequestWithContext(h.connected(t.Context(), at), http.MethodGet, "/", nil)
		r.ProtoMajor = 3
		return r
	}
	body := make([]byte, 20<<20)
	slow := stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() { web.Write(slow, from("192.0.2.1:1"), http.StatusOK, body) })
	<-slow.taken
	for addr, want := range map[string]int{"192.0.2.1:2": 503, "192.0.2.2:1": 200} {
		w := httptest.NewRecorder()
		if web.Write(w, from(addr), http.StatusOK, body); w.Code != want {
			t.Errorf("%s: %d, want %d", addr, w.Code, want)
		}
	}
	close(slow.free)
	all.Wait()
}
