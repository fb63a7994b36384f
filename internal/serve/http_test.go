package serve

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// reached counts the requests that got to each path.
type reached struct {
	mu    sync.Mutex
	paths map[string]int
}

func (c *reached) count(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paths[path]
}

// raw is a real server behind the guard, asked with bytes. /echo answers with the body, /refuse
// refuses without reading it, every other path with "ok".
func raw(t *testing.T, l spec.Limits, change func(*http.Server)) (addr string, got *reached) {
	t.Helper()
	got = &reached{paths: map[string]int{}}
	h := web.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.mu.Lock()
		got.paths[r.URL.Path]++
		got.mu.Unlock()
		switch r.URL.Path {
		case "/echo":
			if err := web.Limit(w, r, l.Body); err != nil {
				web.Problem(w, r, err)
				return
			}
			b, err := io.ReadAll(r.Body)
			if err != nil {
				web.Problem(w, r, web.ReadError(err))
				return
			}
			_, _ = w.Write(b)
		case "/refuse":
			web.Problem(w, r, fault.New(fault.Unauthenticated, "no"))
		default:
			web.Write(w, r, http.StatusOK, []byte("ok"))
		}
	}), spec.Server{Limits: l}, quiet)
	srv := httpServer(h, l)
	if change != nil {
		change(srv)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().String(), got
}

// client is a connection that bytes are written to.
type client struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func connect(t *testing.T, addr, text string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return &client{c, t, bufio.NewReader(c)}
}

// answer reads one answer to a request of a method.
func (c *client) answer(method string) (status int, header http.Header, body string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(b)
}

// ended checks that the server closed the connection and sent nothing more.
func (c *client) ended(what string) {
	c.t.Helper()
	b, err := io.ReadAll(c.in)
	var late net.Error
	if len(b) > 0 || errors.As(err, &late) && late.Timeout() {
		c.t.Errorf("%s: the connection goes on: %q %v", what, b, err)
	}
}

// TestSmuggling: a request whose end is in doubt is refused, and nothing after it is a request.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	addr, got := raw(t, spec.Limits{}, nil)
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, head := range map[string]string{
		"two lengths":         "Content-Length: 0\r\nContent-Length: 35\r\n\r\n",
		"a list of lengths":   "Content-Length: 0, 35\r\n\r\n",
		"a signed length":     "Content-Length: +0\r\n\r\n",
		"a length in hex":     "Content-Length: 0x0\r\n\r\n",
		"a length below 0":    "Content-Length: -1\r\n\r\n",
		"an unknown coding":   "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked, not last":   "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"chunked twice":       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a spaced coding":     "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"a hidden coding":     "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"a folded length":     "Content-Length: 0\r\n 35\r\n\r\n",
		"a control character": "X-A: b\x00\r\nContent-Length: 0\r\n\r\n",
		"a bad chunk":         "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
		"a chunk below 0":     "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
		"a chunk beyond all":  "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
		"a chunk without end": "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
	} {
		c := connect(t, addr, "POST /echo HTTP/1.1\r\nHost: x\r\n"+head+smuggled)
		status, _, body := c.answer(http.MethodPost)
		if status != 400 && status != 501 || strings.Contains(body, "ok") {
			t.Errorf("%s: %d %q", name, status, body)
		}
		c.ended(name)
	}
	for name, line := range map[string]string{"no host": "GET /x HTTP/1.1\r\n\r\n", "two hosts": "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "a bad host": "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
		"no version": "GET /x\r\n\r\n", "HTTP/2 by name": "GET /x HTTP/2.0\r\nHost: a\r\n\r\n", "a bad method": "GE(T /x HTTP/1.1\r\nHost: a\r\n\r\n", "no path": "GET x HTTP/1.1\r\nHost: a\r\n\r\n"} {
		c := connect(t, addr, line+smuggled)
		if status, _, _ := c.answer(http.MethodGet); status != 400 && status != 505 {
			t.Errorf("%s: %d", name, status)
		}
		c.ended(name)
	}
	if got.count("/smuggled") > 0 || got.count("/x") > 0 {
		t.Errorf("reached: %v", got.paths)
	}
}

// TestChunkedWinsOverLength: RFC 9112, 6.1. Where nobody looks at the head (by https) of a length and chunks the chunks count, and the connection
// ends: nothing after it is a request.
func TestChunkedWinsOverLength(t *testing.T) {
	t.Parallel()
	addr, got := raw(t, spec.Limits{}, nil)
	for _, length := range []string{"Content-Length: 60\r\n", "Content-Length: 3\r\n", ""} {
		c := connect(t, addr, "POST /echo HTTP/1.1\r\nHost: x\r\n"+length+"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
		if status, _, body := c.answer(http.MethodPost); status != 200 || body != "abc" {
			t.Errorf("%d %q", status, body)
		}
		c.ended(length + "and chunks")
	}
	if n := got.count("/smuggled"); n != 0 {
		t.Errorf("/smuggled was reached %d times", n)
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	addr, got := raw(t, spec.Limits{}, func(s *http.Server) { s.ReadHeaderTimeout = 50 * time.Millisecond })
	c := connect(t, addr, "GET /never HTTP/1.1\r\nHost: x\r\nX-A: ")
	c.ended("headers that do not end")
	if got.count("/never") != 0 {
		t.Error("it was reached")
	}
	if s := httpServer(nil, spec.Limits{}); s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 15*time.Second || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 {
		t.Errorf("a real server waits without end: %v %v %v", s.ReadHeaderTimeout, s.WriteTimeout, s.IdleTimeout)
	}
}

// TestSlowBodyIsAnswered: a body that stays away is answered with a problem, and the connection ends.
func TestSlowBodyIsAnswered(t *testing.T) {
	t.Parallel()
	addr, _ := raw(t, spec.Limits{Timeout: 50 * time.Millisecond}, nil)
	for name, body := range map[string]string{"with a length": "Content-Length: 5\r\n\r\nab", "in chunks": "Transfer-Encoding: chunked\r\n\r\n2\r\nab"} {
		c := connect(t, addr, "POST /echo HTTP/1.1\r\nHost: x\r\n"+body)
		if status, h, _ := c.answer(http.MethodPost); status != 400 || h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v", name, status, h)
		}
		c.ended(name)
	}
}

// TestLongHeads: what is too long is a problem; only what is far too long has the words of net/http.
func TestLongHeads(t *testing.T) {
	t.Parallel()
	addr, got := raw(t, spec.Limits{Header: 4 << 10}, nil)
	for _, c := range []struct {
		name    string
		path    string
		header  int
		status  int
		problem bool
	}{
		{"as long as allowed", "/" + strings.Repeat("p", web.MaxAddress-1), 3 << 10, 200, false},
		{"a long address", "/" + strings.Repeat("p", web.MaxAddress), 10, 414, true},
		{"a long header", "/long", 5 << 10, 431, true},
		{"a giant header", "/giant", 4 << 20, 431, false},
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		go func() { // a giant one is not read to its end
			_, _ = io.WriteString(conn, "GET "+c.path+" HTTP/1.1\r\nHost: x\r\nX-A: "+strings.Repeat("h", c.header)+"\r\n\r\n")
		}()
		r := &client{conn, t, bufio.NewReader(conn)}
		status, h, _ := r.answer(http.MethodGet)
		if status != c.status || (h.Get("Content-Type") == "application/problem+json") != c.problem {
			t.Errorf("%s: %d %v", c.name, status, h)
		}
	}
	if got.count("/long")+got.count("/giant") > 0 {
		t.Error("a request that was refused was reached")
	}
}

func TestOldClients(t *testing.T) {
	t.Parallel()
	addr, _ := raw(t, spec.Limits{}, nil)
	c := connect(t, addr, "GET /old HTTP/1.0\r\n\r\n")
	if status, h, body := c.answer(http.MethodGet); status != 200 || body != "ok" || h.Get("Transfer-Encoding") != "" {
		t.Errorf("%d %q %v", status, body, h)
	}
	c.ended("HTTP/1.0")
	c = connect(t, addr, "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /old HTTP/1.0\r\n\r\n")
	for range 2 {
		if status, _, body := c.answer(http.MethodGet); status != 200 || body != "ok" {
			t.Errorf("%d %q", status, body)
		}
	}
	c.ended("HTTP/1.0, kept once")
}

// TestPipelining: answers come in the order of the requests, and HEAD has no body that could shift them.
func TestPipelining(t *testing.T) {
	t.Parallel()
	addr, _ := raw(t, spec.Limits{}, nil)
	var all strings.Builder
	for i := range 20 {
		n := strconv.Itoa(i)
		all.WriteString("HEAD /h HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(n)) + "\r\n\r\n" + n)
	}
	c := connect(t, addr, all.String())
	for i := range 20 {
		if status, h, body := c.answer(http.MethodHead); status != 200 || body != "" || h.Get("Content-Length") != "2" {
			t.Fatalf("HEAD %d: %d %q %v", i, status, body, h)
		}
		if status, _, body := c.answer(http.MethodPost); status != 200 || body != strconv.Itoa(i) {
			t.Fatalf("%d: %d %q", i, status, body)
		}
	}
}

// TestContinue: the body of a request that is refused is not asked for.
func TestContinue(t *testing.T) {
	t.Parallel()
	addr, _ := raw(t, spec.Limits{Body: 100, Timeout: 100 * time.Millisecond}, nil)
	for path, length := range map[string]string{"/refuse": "50", "/echo": "101"} {
		c := connect(t, addr, "POST "+path+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "+length+"\r\n\r\n")
		r, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.StatusCode != 401 && r.StatusCode != 413 || !r.Close {
			t.Errorf("%s: %d, the end is told: %t", path, r.StatusCode, r.Close)
		}
		c.ended(path)
	}
	c := connect(t, addr, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	if status, _, _ := c.answer(http.MethodPost); status != 100 {
		t.Fatalf("no 100: %d", status)
	}
	_, _ = io.WriteString(c, "hi")
	if status, _, body := c.answer(http.MethodPost); status != 200 || body != "hi" {
		t.Errorf("%d %q", status, body)
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	addr, _ := raw(t, spec.Limits{}, func(s *http.Server) { s.IdleTimeout = 50 * time.Millisecond })
	c := connect(t, addr, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	c.answer(http.MethodGet)
	c.ended("an idle connection")
}

// TestEndClosesIdleConnections: a connection without a request does not keep the process.
func TestEndClosesIdleConnections(t *testing.T) {
	t.Parallel()
	url, cancel, ended := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }), spec.Limits{})
	c := connect(t, strings.TrimPrefix(url, "http://"), "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	c.answer(http.MethodGet)
	cancel()
	c.ended("an idle connection, at the end")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestEndDoesNotWaitForEver: what is still under way when the time of a request has passed is cut off,
// and that is told.
func TestEndDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	sv := &server{o: Options{Log: quiet}, conns: newConns(), failed: make(chan error, 1)}
	err := sv.listen(t.Context(), []Listener{{Name: "app", Address: "127.0.0.1:0", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})}})
	if err != nil {
		t.Fatal(err)
	}
	defer sv.close()
	go sv.serve(&sv.doors[0])
	c := connect(t, sv.doors[0].ln.Addr().String(), "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	<-arrived
	if err := sv.finish(20 * time.Millisecond); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	c.ended("a request that does not end")
}
