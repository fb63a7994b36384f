//go:build unix

package test

import (
	"errors"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server that may open few files is asked over more connections than that. It does not end, whoever has a connection
// is answered, what was acknowledged is there, and when the others have gone everybody is answered again.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	const files = 64
	dir := folder(t, liveApp)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().String()
	_ = ln.Close()
	s := &server{stdout: newLines(), stderr: newLines()}
	s.cmd = exec.Command("sh", "-c", `ulimit -n 64 && exec "$0" "$@"`, plinth, "serve", "--listen", at, dir)
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr, s.cmd.WaitDelay = environ(), s.stdout, s.stderr, 10*time.Second
	if err := launch(s.cmd); err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	if line, ok := s.stdout.first(20 * time.Second); !ok || !strings.HasPrefix(line, "plinth: listening on ") {
		t.Fatalf("it does not serve: %q %s", line, s.stderr.text())
	}
	kept := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 1}}
	post := func(c *http.Client) (int, error) {
		code, _, err := ask(c, "POST", "http://"+at+"/api/notes", "", `{"n":1,"open":true}`)
		return code, err
	}
	acknowledged := 0
	if code, err := post(kept); err != nil || code != http.StatusCreated {
		t.Fatal(code, err)
	}
	acknowledged++
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			_ = c.Close()
		}
	}()
	for range 2 * files {
		c, err := net.DialTimeout("tcp", at, 5*time.Second)
		switch {
		case errors.Is(err, syscall.ECONNRESET): // accepted, and turned away before the dialler had looked
		case err != nil:
			t.Fatal(err)
		default:
			crowd = append(crowd, c)
		}
	}
	for range 20 {
		code, err := post(kept)
		switch {
		case err == nil && code == http.StatusCreated:
			acknowledged++
		case err != nil || code < 500:
			t.Errorf("over the connection that is kept: %d %v", code, err)
		}
	}
	if err := s.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatalf("it has ended: %s", s.stderr.text())
	}
	for _, c := range crowd {
		_ = c.Close()
	}
	crowd = nil
	fresh := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	err = errors.New("never asked")
	for end := time.Now().Add(15 * time.Second); err != nil && time.Now().Before(end); {
		var code int
		if code, err = post(fresh); err == nil && code == http.StatusCreated {
			acknowledged++
		} else if err == nil {
			err = errors.New(http.StatusText(code))
		}
	}
	if err != nil {
		t.Fatalf("when the crowd has gone: %v %s", err, s.stderr.text())
	}
	code, body, err := ask(fresh, "GET", "http://"+at+"/api/notes?limit=100&fields=n", "", "")
	if n := strings.Count(string(body), `"n":1`); err != nil || n != acknowledged {
		t.Errorf("%d records are there, and %d were acknowledged: %d %v", n, acknowledged, code, err)
	}
}
