package serve

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// pair is a connection of a server's and its client's end.
func pair(t *testing.T) (*counted, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{TCPConn: conn.(*net.TCPConn), free: func() {}}
	t.Cleanup(func() { _, _ = client.Close(), c.Close() })
	return c, client
}

// What an answer writes arrives in its order, be it little that is gathered or much that is not.
func TestGathered(t *testing.T) {
	for _, sizes := range [][]int{{}, {1}, {4096, 10_000}, {4096, 100_000, 7}, {20 << 10, 1}, {30_000}, {5, 30_000, 5}} {
		c, client := pair(t)
		var want []byte
		c.Gather()
		for i, n := range sizes {
			piece := bytes.Repeat([]byte{byte('a' + i)}, n)
			want = append(want, piece...)
			if wrote, err := c.Write(piece); wrote != n || err != nil {
				t.Fatalf("%v: %d %v", sizes, wrote, err)
			}
			if len(want) <= 20<<10 && (c.gathered == nil || len(*c.gathered) != len(want)) {
				t.Errorf("%v: piece %d is not kept", sizes, i)
			}
		}
		c.Send()
		if c.gathered != nil {
			t.Errorf("%v: something is kept for no answer", sizes)
		}
		last := []byte("the next answer")
		if _, err := c.Write(last); err != nil {
			t.Fatal(err)
		}
		want = append(want, last...)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %d bytes are others than what was written: %v", sizes, len(got), err)
		}
	}
}

// Behind an answer of which a part may be written no other may follow: a client would take it for the rest.
func TestGatheredIsBroken(t *testing.T) {
	c, _ := pair(t)
	c.Gather()
	if _, err := c.Write([]byte("the first answer")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetWriteDeadline(time.Unix(1, 0))
	c.Send()
	_ = c.SetWriteDeadline(time.Time{})
	for range 2 {
		if n, err := c.Write([]byte("the next")); n != 0 || err == nil {
			t.Errorf("%d bytes of the next answer are written", n)
		}
	}
	if n, err := c.ReadFrom(strings.NewReader("a file")); n != 0 || err == nil {
		t.Errorf("%d bytes of a file are written", n)
	}
}

// Answers of all lengths arrive whole and in their order over a connection that is kept, with and without TLS, HTTP/2 and codings.
func TestAnswersTravelWhole(t *testing.T) {
	t.Parallel()
	body := func(n int) string { return `{"x":"` + strings.Repeat("abcdefghij", n)[:n] + `"}` }
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		web.JSON(w, r, http.StatusOK, []byte(body(n)))
	})
	plain, _, _ := running(t, web.Guard(h, spec.Server{}, quiet), spec.Limits{})
	for _, c := range []struct {
		url string
		two bool // HTTP/2
	}{{plain, false}, {"https://" + encrypted(t, h, nil, quiet), false}, {"https://" + encrypted(t, h, nil, quiet), true}} {
		for _, coding := range []string{"", "gzip"} {
			tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxConnsPerHost: 1, ForceAttemptHTTP2: c.two, DisableCompression: coding == ""}
			client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
			for _, n := range []int{0, 100, 2030, 2039, 2040, 2041, 3700, 4096, 5000, 8192, 14_600, 20_400, 20_480, 40_000, 400_000, 1} {
				res, err := client.Get(c.url + "/?n=" + strconv.Itoa(n))
				if err != nil {
					t.Fatal(c, coding, n, err)
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || string(got) != body(n) || res.ProtoMajor == 2 != c.two {
					t.Errorf("%v %q: of %d bytes came %d: %v", c, coding, n, len(got), err)
				}
			}
			tr.CloseIdleConnections()
		}
	}
}
