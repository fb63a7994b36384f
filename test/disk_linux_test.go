package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// confined is a server whose app lies on a small disk of its own: a tmpfs in a namespace of its own.
type confined struct {
	*server
	disk string // as it is seen from here
}

// serveOn serves the app on a disk of so many megabytes; options are those of the mount after the app was put there.
func serveOn(t *testing.T, megabytes int, options string) (*confined, error) {
	t.Helper()
	dir, app := t.TempDir(), folder(t, liveApp)
	script := fmt.Sprintf(`mount -t tmpfs -o size=%dm tmpfs "$1" && cp "$2/plinth.yaml" "$1/" && mkdir -m 700 "$1/data" && %s exec "$0" serve --listen 127.0.0.1:0 "$1"`, megabytes, options)
	args := []string{"--mount", "sh", "-c", script, plinth, dir, app}
	if os.Getuid() != 0 {
		args = append([]string{"--map-root-user"}, args...)
	}
	s := &server{cmd: exec.Command("unshare", args...), stdout: newLines(), stderr: newLines()}
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr, s.cmd.WaitDelay = environ(), s.stdout, s.stderr, 10*time.Second
	if err := launch(s.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	ended := make(chan error, 1)
	if options != "" { // it is expected to end
		go func() { ended <- s.cmd.Wait() }()
		select {
		case err := <-ended:
			return nil, fmt.Errorf("%w: %s", err, s.stderr.text())
		case <-time.After(20 * time.Second):
			return nil, errors.New("it goes on")
		}
	}
	line, ok := s.stdout.first(20 * time.Second)
	url, says := strings.CutPrefix(line, "plinth: listening on ")
	if !ok || !says {
		t.Fatalf("it does not serve: %q %s", line, s.stderr.text())
	}
	s.url = url
	return &confined{s, filepath.Join("/proc", fmt.Sprint(s.cmd.Process.Pid), "root", dir)}, nil
}

// On a full disk writes are refused by name while reads go on; when there is room again writes are taken, and what was
// acknowledged is there, and nothing else.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s, err := serveOn(t, 24, "")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	n := 0
	text := strings.Repeat("x", 20)
	post := func() (int, string, error) {
		n++
		id := fmt.Sprintf("01900000-0000-7000-8000-%012d", n)
		code, body, err := ask(client, "POST", s.url+"/api/notes", "", fmt.Sprintf(`{"id":%q,"n":%d,"open":true,"who":%q}`, id, n, text))
		if err == nil && code == http.StatusCreated {
			written[id] = true
		}
		return code, string(body), err
	}
	if code, body, err := post(); code != http.StatusCreated {
		t.Fatal(code, body, err)
	}
	filler := filepath.Join(s.disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); ; { // to the last byte
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	_ = f.Close()
	refused := 0
	for range 5000 {
		code, body, err := post()
		if err != nil || code != http.StatusCreated && code != http.StatusInsufficientStorage && code != http.StatusServiceUnavailable {
			t.Fatalf("on a full disk: %d %s %v %s", code, body, err, s.stderr.text())
		}
		if code == http.StatusInsufficientStorage {
			if refused++; refused == 20 {
				break
			}
		}
	}
	if refused == 0 {
		t.Fatal("nothing was refused with 507")
	}
	if code, body, err := ask(client, "GET", s.url+"/api/notes?limit=1", "", ""); err != nil || code != http.StatusOK {
		t.Errorf("a read on a full disk: %d %s %v", code, body, err)
	}
	if code, body, err := ask(client, "GET", s.url+"/readyz", "", ""); err != nil || code != http.StatusOK || string(body) != `{"write":false}` {
		t.Errorf("/readyz on a full disk: %d %s %v", code, body, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	recovered := false
	for end := time.Now().Add(15 * time.Second); !recovered && time.Now().Before(end); {
		code, _, err := post()
		recovered = err == nil && code == http.StatusCreated
	}
	if !recovered {
		t.Fatalf("with room again nothing is written: %s", s.stderr.text())
	}
	there := map[string]bool{}
	for next := ""; ; {
		code, body, err := ask(client, "GET", s.url+"/api/notes?limit=500&fields=id"+next, "", "")
		if err != nil || code != http.StatusOK {
			t.Fatal(code, string(body), err)
		}
		for _, part := range strings.Split(string(body), `"id":"`)[1:] {
			there[part[:36]] = true
		}
		_, cursor, more := strings.Cut(string(body), `"next":"`)
		if !more {
			break
		}
		next = "&cursor=" + cursor[:strings.IndexByte(cursor, '"')]
	}
	for id := range written {
		if !there[id] {
			t.Errorf("%s was acknowledged and is not there", id)
		}
	}
	for id := range there {
		if !written[id] {
			t.Errorf("%s was refused and is there", id)
		}
	}
}

// A disk that cannot be written says so at the start.
func TestDiskReadOnly(t *testing.T) {
	t.Parallel()
	_, err := serveOn(t, 24, `mount -o remount,ro "$1" &&`)
	if err == nil || !strings.Contains(err.Error(), "plinth: ") || !strings.Contains(err.Error(), "read-only") || strings.Contains(err.Error(), "panic") {
		t.Errorf("on a disk that is read-only: %v", err)
	}
}
