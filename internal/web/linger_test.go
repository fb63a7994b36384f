package web

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// A client that sends its whole body before it reads sees why it was refused, whenever that was decided.
func TestRefusedWhileSending(t *testing.T) {
	t.Parallel()
	const size = 16 << 20 // more than the buffers between them hold
	tooLong := make([]byte, 2<<10)
	for name, c := range map[string]struct {
		head   string
		status int
		server spec.Server
	}{
		"before the body":     {"POST /denied HTTP/1.1\r\nContent-Length: %d\r\n", 403, spec.Server{}},
		"with a deadline":     {"POST /denied HTTP/1.1\r\nContent-Length: %d\r\n", 403, spec.Server{Limits: spec.Limits{Timeout: time.Minute}}},
		"to be closed":        {"POST /denied HTTP/1.0\r\nContent-Length: %d\r\n", 403, spec.Server{}},
		"by its length":       {"POST /json HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", 413, spec.Server{}},
		"while it is read":    {"POST /json HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n", 413, spec.Server{}},
		"for its head":        {"POST /json HTTP/1.1\r\nContent-Length: %d\r\nX-A: " + string(tooLong) + "\r\n", 431, spec.Server{Limits: spec.Limits{Header: 1 << 10}}},
		"after the first 1 K": {"POST /some HTTP/1.1\r\nContent-Length: %d\r\n", 422, spec.Server{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				err := fault.New(fault.Denied, "no")
				switch r.URL.Path {
				case "/json":
					_, err := ReadJSON(w, r, 0, PlainJSON)
					Problem(w, r, err)
					return
				case "/some":
					_, _ = io.CopyN(io.Discard, r.Body, 1<<10)
					err = fault.New(fault.Invalid, "no")
				}
				Problem(w, r, err)
			}), c.server, slog.New(slog.DiscardHandler)))
			defer s.Close()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			head := strings.ReplaceAll(c.head, "\x00", "x")
			chunked := !strings.Contains(head, "%d")
			if !chunked {
				head = fmt.Sprintf(head, size)
			}
			out := bufio.NewWriterSize(conn, 64<<10)
			_, _ = out.WriteString(head + "Host: localhost\r\n\r\n")
			piece := strings.Repeat(" ", 64<<10)
			for range size / len(piece) {
				if chunked {
					_, _ = out.WriteString(strconv.FormatInt(int64(len(piece)), 16) + "\r\n" + piece + "\r\n")
				} else {
					_, _ = out.WriteString(piece)
				}
			}
			if chunked {
				_, _ = out.WriteString("0\r\n\r\n")
			}
			if err := out.Flush(); err != nil {
				t.Fatalf("the body could not be sent: %v", err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || !resp.Close || !strings.Contains(string(b), `"/problems/`) {
				t.Errorf("%v %d close=%v %s", err, resp.StatusCode, resp.Close, b)
			}
		})
	}
}

// A small body that was refused unread does not cost the connection, and an endless one is not read for ever.
func TestLingerEnds(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := ReadJSON(w, r, 10, PlainJSON)
		Problem(w, r, err)
	}), spec.Server{}, slog.New(slog.DiscardHandler)))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	ask := func(length int, body string) *http.Response {
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, body)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp
	}
	for range 2 {
		if resp := ask(1000, strings.Repeat(" ", 1000)); resp.StatusCode != 413 || resp.Close {
			t.Errorf("%d close=%v", resp.StatusCode, resp.Close)
		}
	}
	if resp := ask(1<<30, " "); resp.StatusCode != 413 || !resp.Close {
		t.Errorf("%d close=%v", resp.StatusCode, resp.Close)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("the connection stays: %v", err)
	}
}
