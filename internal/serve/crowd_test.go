package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bluell/plinth/spec"
)

// What files and streams need of a connection is there when it is counted.
var (
	_ io.ReaderFrom = (*counted)(nil)
	_ syscall.Conn  = (*counted)(nil)
)

func crowdOf(s spec.Server, log *slog.Logger) *Crowd {
	c := NewCrowd(func() *spec.Server { return &s }, log)
	c.files = 0
	return c
}

// TestAddresses: who is counted as one, and who is not.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s := spec.Server{Limits: spec.Limits{Connections: 100, PerAddress: 2},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}}
	for _, c := range []struct {
		name string
		from []string
		last bool // the last one has room
	}{
		{"one address", []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3"}, false},
		{"the same, as IPv6", []string{"192.0.2.1:1", "[::ffff:192.0.2.1]:2", "192.0.2.1:3"}, false},
		{"two addresses", []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:3"}, true},
		{"a network of IPv6", []string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3:4:5:6]:1"}, false},
		{"two networks of IPv6", []string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"}, true},
		{"zones do not matter", []string{"[fe80::1%1]:1", "[fe80::1%2]:1", "[fe80::1%3]:1"}, false},
		{"a trusted proxy", []string{"10.1.2.3:1", "10.1.2.3:2", "10.1.2.3:3"}, true},
		{"a trusted proxy by IPv6", []string{"[2001:db8:ffff::1]:1", "[2001:db8:ffff::1]:2", "[2001:db8:ffff::1]:3"}, true},
		{"this machine", []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, true},
		{"this machine by IPv6", []string{"[::1]:1", "[::1]:2", "[::1]:3"}, true},
	} {
		crowd := crowdOf(s, quiet)
		var frees []func()
		for i, text := range c.from {
			free := crowd.enter(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)))
			if got, want := free != nil, i < len(c.from)-1 || c.last; got != want {
				t.Errorf("%s: %s has room: %t", c.name, text, got)
			}
			if free != nil {
				frees = append(frees, free)
			}
		}
		for _, free := range frees {
			free()
			free() // closed twice
		}
		open, refused := crowd.Count()
		want := int64(1)
		if c.last {
			want = 0
		}
		if open != 0 || len(crowd.from) != 0 || refused["connectionsPerAddress"] != want || refused["connections"] != 0 {
			t.Errorf("%s: %d are open, %v, %v", c.name, open, crowd.from, refused)
		}
	}
}

// TestAllRefusalsAreTold: the last ones too, after which none comes.
func TestAllRefusalsAreTold(t *testing.T) {
	t.Parallel()
	said := make(lines, 10)
	crowd := crowdOf(spec.Server{Limits: spec.Limits{Connections: 0, PerAddress: 1}}, slog.New(slog.NewTextHandler(said, nil)))
	for range 5 {
		if crowd.enter(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}) != nil {
			t.Fatal("there was room")
		}
	}
	told := 0
	for told < 5 {
		select {
		case line := <-said:
			_, n, _ := strings.Cut(strings.TrimSpace(line), "refused=")
			more, err := strconv.Atoi(n)
			if err != nil || !strings.Contains(line, "limit=connections") {
				t.Fatal(line)
			}
			told += more
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of 5 were told", told)
		}
	}
	if told != 5 {
		t.Errorf("%d were told", told)
	}
}

// TestFilesBoundConnections: a process that may open few files has fewer connections than that.
func TestFilesBoundConnections(t *testing.T) {
	t.Parallel()
	c := crowdOf(spec.Server{}, quiet)
	for _, n := range []struct {
		files       uint64
		limit, most int
	}{{0, 50, 50}, {100, 50, 50}, {100, 90, 80}, {50_000, 50_000, 40_000}, {math.MaxUint64, 50, 50}} {
		c.files = n.files
		if got := c.most(&spec.Limits{Connections: n.limit}); got != n.most {
			t.Errorf("%+v: %d", n, got)
		}
	}
}

// TestTooManyConnections: the one too many is closed at once, whoever is there is answered, and a connection that is taken over
// counts until it is closed. A listener without a crowd, as the operator's, is not counted.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	var mu sync.Mutex
	log := slog.New(slog.NewTextHandler(locked{&mu, &text}, nil))
	crowd := crowdOf(spec.Server{Limits: spec.Limits{Connections: 3, PerAddress: 1}}, log)
	taken := make(chan net.Conn, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/take" {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			taken <- conn
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	ctx, cancel := context.WithCancel(t.Context())
	ready, own := make(chan string, 1), make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, []Listener{{Name: "app", Address: "127.0.0.1:0", Handler: h, Crowd: crowd}, {Name: "operator", Address: "127.0.0.1:0", Handler: h, Opened: func(u string) { own <- u }}},
			Options{Ready: func(u string) { ready <- u }, Log: log})
	}()
	defer func() {
		cancel()
		<-ended
	}()
	addr := strings.TrimPrefix(<-ready, "http://")
	const get = "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
	var conns []*client
	for _, path := range []string{"", "", "take"} {
		c := connect(t, addr, strings.Replace(get, "%s", path, 1))
		if status, _, _ := c.answer(http.MethodGet); status != 200 {
			t.Fatal(status)
		}
		conns = append(conns, c)
	}
	for range 3 {
		conn, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNRESET) {
			continue // before it was noticed that it was there
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil || isTimeout(err) {
			t.Errorf("one too many: %d bytes, %v", n, err)
		}
		conn.Close()
	}
	if open, refused := crowd.Count(); open != 3 || refused["connections"] != 3 {
		t.Errorf("%d are open, %v", open, refused)
	}
	c := connect(t, strings.TrimPrefix(<-own, "http://"), strings.Replace(get, "%s", "", 1))
	if status, _, _ := c.answer(http.MethodGet); status != 200 {
		t.Errorf("the operator is answered %d", status)
	}
	_, _ = io.WriteString(conns[0], strings.Replace(get, "%s", "", 1))
	if status, _, _ := conns[0].answer(http.MethodGet); status != 200 {
		t.Errorf("one who was there is answered %d", status)
	}
	(<-taken).Close()
	conns[2].ended("the one that was taken over")
	c = connect(t, addr, strings.Replace(get, "%s", "", 1))
	if status, _, _ := c.answer(http.MethodGet); status != 200 {
		t.Errorf("after one has gone: %d", status)
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(text.String(), "some were refused"); n < 1 || n > 1+int(time.Since(crowd.start)/tellEvery) || !strings.Contains(text.String(), "limit=connections") {
		t.Errorf("told %d times: %s", n, text.String())
	}
}

func isTimeout(err error) bool {
	late, ok := err.(net.Error)
	return ok && late.Timeout()
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
