package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

var quiet = slog.New(slog.DiscardHandler)

// httpServer is the server of one listener.
func httpServer(h http.Handler, l spec.Limits) *http.Server {
	return (&server{o: Options{Limits: l, Log: quiet}, conns: newConns()}).newServer(Listener{Handler: h})
}

// running serves h until the test cancels; it returns the address, and what Run returns.
func running(t *testing.T, h http.Handler, l spec.Limits) (url string, cancel func(), ended chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	ended = make(chan error, 1)
	go func() {
		ended <- Run(ctx, []Listener{{Name: "app", Address: "127.0.0.1:0", Handler: h}}, Options{Limits: l, Ready: func(u string) { ready <- u }, Log: quiet})
	}()
	select {
	case url = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return url, cancel, ended
}

// A request that is under way is answered, although the server was told to end; a new one is not.
func TestEndLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	url, cancel, ended := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "done")
	}), spec.Limits{})
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get(url)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	<-arrived
	cancel()
	for { // the listener closes first
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A body that comes slower than the time of a request is cut off.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	read := make(chan error, 1)
	url, _, _ := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
	}), spec.Limits{Timeout: 50 * time.Millisecond})
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the body ended with %v", err)
	}
}

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	url, _, _ := running(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), spec.Limits{Header: 1 << 10})
	r, _ := http.NewRequest(http.MethodGet, url, nil)
	r.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Error(resp.Status)
	}
}

func TestCannotListen(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for listen, words := range map[string]string{ln.Addr().String(): "another program listens there", "nonsense": "it is not an address", "192.0.2.1:0": "does not have that address; give another with --listen",
		"nosuchhost.invalid:80": "the name nosuchhost.invalid is no address of this machine; give one, such as 127.0.0.1:8080 or :8080, with --listen"} {
		err := Run(t.Context(), []Listener{{Name: "app", Address: listen}}, Options{Log: quiet})
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", listen, err)
		}
	}
	for name, setting := range map[string]string{"app": "--listen", "http": "server.http", "https": "server.https", "operator": "server.operator.listen"} {
		if err := Free(name, ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "choose another address with "+setting) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("plinth.yaml", "a")
	before := stamp(dir)
	write("data/x.yaml", "x")
	write("public/x.yaml", "x")
	write("notes.txt", "x")
	write("emails/README.md", "x")
	write("collections/emails/reset.de.txt", "x")
	if stamp(dir) != before {
		t.Error("what is no part of the app file counts as a change")
	}
	write("collections/posts.yaml", "x")
	included := stamp(dir)
	if included == before {
		t.Error("an included file is not seen")
	}
	write("collections/posts.yaml", "longer")
	if stamp(dir) == included {
		t.Error("a saved file is not seen")
	}
	for _, name := range []string{"emails/reset.de.txt", "emails/reset.de.html"} {
		before := stamp(dir)
		if write(name, "x"); stamp(dir) == before {
			t.Errorf("%s is not seen", name)
		}
	}
	told := make(chan struct{}, 1)
	go Watch(t.Context(), dir, func() { told <- struct{}{} })
	for i := range 50 { // Watch begins at some moment: saves after it are told
		write("plinth.yaml", strings.Repeat("b", i+2))
		select {
		case <-told:
			return
		case <-time.After(4 * look):
		}
	}
	t.Error("no save is told")
}
