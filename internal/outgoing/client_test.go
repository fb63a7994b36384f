package outgoing

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Addresses of this machine and of private networks are refused when they are dialled, whatever name led there.
func TestOWASP17Private(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1"} {
		res, err := New(Options{Private: []string{"http://127.0.0.1:1"}}).Get("http://" + host + ":" + port + "/")
		if err == nil {
			res.Body.Close()
			t.Errorf("%s was asked", host)
		} else if host != "127.1" && !errors.Is(err, ErrAddress) { // which is a name, of nobody
			t.Errorf("%s: %v", host, err)
		}
	}
	if asked.Load() {
		t.Error("the server was asked")
	}
	res, err := New(Options{Private: []string{server.URL}}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); !asked.Load() {
		t.Error("what the operator names may be asked")
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "2606:4700:4700::1111": true, "172.32.0.1": true, "100.128.0.1": true,
		"10.1.2.3": false, "172.31.255.255": false, "192.168.0.1": false, "127.0.0.2": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false,
		"255.255.255.255": false, "224.0.0.1": false, "192.0.2.1": false, "198.19.0.1": false, "::1": false, "::": false, "fd00::1": false, "fe80::1": false, "ff02::1": false,
		"::ffff:10.0.0.1": false, "::10.0.0.1": false, "64:ff9b::a00:1": false, "2002:a00:1::": false, "2001::1": false, "2001:db8::1": false, "fd00:ec2::254": false,
		"::ffff:0:a00:1": false, "168.63.129.16": false, "168.63.129.17": true,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for text, want := range map[string]bool{"10.0.0.1": true, "127.0.0.1": true, "fd00::1": true, "169.254.169.254": false, "fe80::1": false, "::ffff:169.254.169.254": false, "0.0.0.0": false,
		"fd00:ec2::254": false, "fd20:ce::254": false, "100.100.100.200": false, "168.63.129.16": false, "::ffff:168.63.129.16": false} {
		if got := own(netip.MustParseAddr(text)); got != want {
			t.Errorf("own %s: %v", text, got)
		}
	}
}

func TestOWASP18Redirect(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	res, err := New(Options{Private: []string{server.URL}}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != http.StatusTemporaryRedirect {
		t.Error(res.Status)
	}
}

// An answer ends, in bytes and in time.
func TestOWASP19Answer(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/exact":
			io.WriteString(w, strings.Repeat("x", 1000))
		case "/said":
			w.Header().Set("Content-Length", "1001")
			io.WriteString(w, strings.Repeat("x", 1001))
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 100)); err != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		case "/slow":
			w.(http.Flusher).Flush()
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stop) })
	get := func(path string, o Options) (int, error) {
		o.Private = []string{server.URL}
		res, err := New(o).Get(server.URL + path)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return len(b), err
	}
	if n, err := get("/exact", Options{Body: 1000}); n != 1000 || err != nil {
		t.Error(n, err)
	}
	for _, path := range []string{"/said", "/endless"} {
		if n, err := get(path, Options{Body: 1000}); !errors.Is(err, ErrTooLarge) || n > 1001 {
			t.Error(path, n, err)
		}
	}
	var timeout net.Error
	if _, err := get("/slow", Options{Timeout: 50 * time.Millisecond}); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Error(err)
	}
}
