package test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The program needs nothing of the system that it runs on: in a root folder where there is nothing but it and the app,
// as a user who is nobody, it serves, knows time zones, and whom to trust over https.
func TestEmptyRoot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	static := filepath.Join(root, "plinth")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", static, "github.com/bluell/plinth/cmd/plinth")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	const most = 45_000_000 // text/template alone, which lets no method go, would make it more
	info, err := os.Stat(static)
	if err != nil || info.Size() > most {
		t.Errorf("the program has %d bytes, and may have %d: %v", info.Size(), most, err)
	}
	t.Logf("the program has %.1f MB", float64(info.Size())/1e6)
	app := filepath.Join(root, "app")
	if err := os.Mkdir(app, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(app, "plinth.yaml"), strings.TrimSpace(liveApp)+`
schedules:
  daily: {cron: "0 3 * * *", zone: Europe/Berlin, create: {collection: notes, body: {n: 1, open: true}}}
`)
	if os.Getuid() == 0 {
		if err := os.Chown(app, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := newLines()
	var errs bytes.Buffer
	serve := exec.Command("/plinth", "serve", "--listen", "127.0.0.1:0", "/app")
	serve.Dir, serve.Stdout, serve.Stderr = "/", out, &errs
	serve.Env = []string{"PLINTH_KEY=" + testKey}
	serve.WaitDelay = 10 * time.Second
	if err := launchIn(serve, root); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			_ = serve.Process.Kill()
			_ = serve.Wait()
		}
	}()
	line, ok := out.first(20 * time.Second)
	url, says := strings.CutPrefix(line, "plinth: listening on ")
	if !ok || !says {
		_ = serve.Process.Kill()
		_ = serve.Wait()
		ended = true
		t.Fatalf("it does not serve: %q %s", line, errs.String())
	}
	for _, r := range []struct {
		method, path, body string
		status             int
	}{{"GET", "/readyz", "", http.StatusOK}, {"POST", "/api/notes", `{"n":1,"open":true}`, http.StatusCreated}, {"GET", "/api/notes", "", http.StatusOK}} {
		code, body, err := ask(client, r.method, url+r.path, "", r.body)
		if err != nil || code != r.status {
			t.Errorf("%s %s: %d %s %v", r.method, r.path, code, body, err)
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended = true
	if err := serve.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, errs.String())
	}
}

const nobody = 65534

// launchIn is launch in another root folder: by a user namespace, where one is not root.
func launchIn(cmd *exec.Cmd, root string) error {
	a := attributes()
	a.Chroot = root
	if os.Getuid() == 0 {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	} else {
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	started := make(chan error)
	launching() <- func() {
		cmd.SysProcAttr = a
		started <- cmd.Start()
	}
	return <-started
}
