package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// encrypted is Run by TLS, behind the guard.
func encrypted(t *testing.T, h http.Handler, crowd *Crowd, log *slog.Logger) (addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	l := Listener{Name: "https", Address: "127.0.0.1:0", Handler: web.Guard(h, spec.Server{}, log), Crowd: crowd,
		TLS: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, NextProtos: []string{"h2", "http/1.1"}}}
	go func() {
		ended <- Run(ctx, []Listener{l}, Options{Log: quiet, Limits: spec.Limits{Timeout: time.Millisecond}, Ready: func(u string) { ready <- u }})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return strings.TrimPrefix(<-ready, "https://")
}

// framed is a client of HTTP/2 that sends frames, and takes what is answered only when it is asked to.
type framed struct {
	*http2.Framer
	net.Conn
	t    *testing.T
	next uint32
}

func frames(t *testing.T, addr string, settings ...http2.Setting) *framed {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	f := &framed{http2.NewFramer(c, c), c, t, 1}
	_, err = io.WriteString(c, http2.ClientPreface)
	if err == nil {
		err = f.WriteSettings(settings...)
	}
	if err == nil {
		err = f.WriteSettingsAck()
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ask sends a request and returns the number of its stream.
func (f *framed) ask(method, path string) uint32 {
	f.t.Helper()
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", "x"}, {":path", path}} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}) // a buffer takes all
	}
	stream := f.next
	f.next += 2
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndStream: true, EndHeaders: true, BlockFragment: b.Bytes()}); err != nil {
		f.t.Fatal(err)
	}
	return stream
}

// until reads frames until one is what is awaited.
func (f *framed) until(what string, done func(http2.Frame) bool) {
	f.t.Helper()
	for range 10_000 {
		frame, err := f.ReadFrame()
		if err != nil {
			f.t.Fatalf("%s: %v", what, err)
		}
		if done(frame) {
			return
		}
	}
	f.t.Fatal(what)
}

func answered(stream uint32) func(http2.Frame) bool {
	return func(f http2.Frame) bool {
		_, is := f.(*http2.HeadersFrame)
		return is && f.Header().StreamID == stream
	}
}

func reset(stream uint32) func(http2.Frame) bool {
	return func(f http2.Frame) bool {
		_, is := f.(*http2.RSTStreamFrame)
		return is && f.Header().StreamID == stream
	}
}

// TestClosedWindows: clients whose windows are of no bytes take no place from others, however many answers they ask for, and however short these are.
func TestClosedWindows(t *testing.T) {
	t.Parallel()
	const connections, streams, bytes = 6, 100, 5 << 10 // more than the 512 that are worked on at once
	begun := make(chan struct{}, connections*streams)
	addr := encrypted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		web.Write(w, r, http.StatusOK, make([]byte, bytes))
	}), nil, quiet)
	for range connections {
		f := frames(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range streams {
			f.ask(http.MethodGet, "/")
			select {
			case <-begun:
			case <-time.After(5 * time.Second): // many times what one waits for its place
				t.Fatal("there is no place for one more")
			}
		}
	}
	f := frames(t, addr)
	f.until("one who takes its answer is not answered", answered(f.ask(http.MethodGet, "/")))
}

// TestRequestsOfAConnection: a connection that carries many requests at once counts as that many.
func TestRequestsOfAConnection(t *testing.T) {
	t.Parallel()
	crowd := crowdOf(spec.Server{Limits: spec.Limits{Connections: 3, PerAddress: 1}}, quiet)
	release := make(chan struct{})
	var inside atomic.Int64
	addr := encrypted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			inside.Add(1)
			<-release
			inside.Add(-1)
		}
		web.Write(w, r, http.StatusOK, []byte("ok"))
	}), crowd, quiet)
	open := sync.OnceFunc(func() { close(release) })
	defer open()
	f := frames(t, addr)
	for range 3 {
		f.ask(http.MethodGet, "/wait")
	}
	for end := time.Now().Add(20 * time.Second); inside.Load() < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d are under way", inside.Load())
		}
	}
	f.until("one too many is not reset", reset(f.ask(http.MethodGet, "/")))
	if n, refused := crowd.Count(); n != 3 || refused["connections"] != 1 {
		t.Errorf("%d are counted, %v", n, refused)
	}
	open()
	left := 3
	f.until("those that wait are not answered", func(frame http2.Frame) bool {
		if _, is := frame.(*http2.HeadersFrame); is {
			left--
		}
		return left == 0
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		n, _ := crowd.Count()
		if n == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d are counted when all have been answered", n)
		}
	}
	f.until("the next is not answered", answered(f.ask(http.MethodGet, "/")))
}

// TestMethodsInTheLog: what a client of HTTP/2 calls its method does not look like a line of ours, and makes no long one.
func TestMethodsInTheLog(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	var mu sync.Mutex
	addr := encrypted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.Problem(w, r, fault.New(fault.NotFound, "there is nothing"))
	}), nil, slog.New(NewLines(locked{&mu, &text}, slog.LevelInfo, false)))
	f := frames(t, addr)
	const forged = "GET     /api/{collection}   200    1.000 ms caller=operator"
	f.until("it is not answered", answered(f.ask(forged, "/")))
	f.until("it is not answered", answered(f.ask(strings.Repeat("M", 4000), "/")))
	mu.Lock()
	defer mu.Unlock()
	if s := text.String(); strings.Contains(s, "operator") || strings.Contains(s, strings.Repeat("M", 27)) || !strings.Contains(s, "_OTHER") {
		t.Errorf("the log has: %.300s", s)
	}
}
