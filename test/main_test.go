package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bluell/plinth/test/conform"
)

// plinth is the program under test, built once.
var plinth string

const testKey = "a key of the tests, which is long enough for anything"

func TestMain(m *testing.M) {
	if os.Getenv(applyHelper) != "" {
		applyAndDie()
		return
	}
	if os.Getenv(consumeHelper) != "" {
		consumeUntilKilled()
	}
	if os.Getenv(jobsHelper) != "" {
		workUntilKilled()
		return
	}
	dir, err := os.MkdirTemp("", "plinth-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	plinth = filepath.Join(dir, "plinth")
	if out, err := exec.Command("go", "build", "-o", plinth, "github.com/bluell/plinth/cmd/plinth").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := withServers(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// server is a running plinth serve.
type server struct {
	url    string
	cmd    *exec.Cmd
	stdout *lines
	stderr *lines
}

// start runs plinth serve and waits until it says that it listens. wrap is a program to run it
// under, strace for example.
func start(env []string, wrap []string, args ...string) (*server, error) {
	argv := append(append(wrap[:len(wrap):len(wrap)], plinth, "serve", "--listen", "127.0.0.1:0"), args...)
	s := &server{cmd: exec.Command(argv[0], argv[1:]...), stdout: newLines(), stderr: newLines()}
	s.cmd.Env = env
	s.cmd.Stdout, s.cmd.Stderr = s.stdout, s.stderr
	s.cmd.WaitDelay = 10 * time.Second
	if err := launch(s.cmd); err != nil {
		return nil, err
	}
	line, ok := s.stdout.first(20 * time.Second)
	url, says := strings.CutPrefix(line, "plinth: listening on ")
	if !ok || !says {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		return nil, fmt.Errorf("serve did not become ready: %q %s", line, s.stderr.text())
	}
	s.url = url
	return s, nil
}

// launch starts a process that ends when the tests do, however those end. It ends with the thread that has started it
// (prctl(2), PR_SET_PDEATHSIG), so one starts all and stays.
func launch(cmd *exec.Cmd) error {
	cmd.SysProcAttr = attributes()
	started := make(chan error)
	launching() <- func() { started <- cmd.Start() }
	return <-started
}

var launching = sync.OnceValue(func() chan<- func() {
	starts := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
	return starts
})

// serving starts a server for a test and ends it with the test.
func serving(t testing.TB, args ...string) *server {
	t.Helper()
	return servingOn(t, "", args...)
}

// servingOn is serving on a database; "" is the app's own.
func servingOn(t testing.TB, db string, args ...string) *server {
	t.Helper()
	s, err := start(environ("PLINTH_DB="+db), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop() })
	return s
}

func environ(more ...string) []string {
	return append(append(os.Environ(), "PLINTH_KEY="+testKey), more...)
}

// stop ends the server as an operator would, and returns what became of it.
func (s *server) stop() error {
	if s.cmd.ProcessState != nil {
		return nil
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	return s.cmd.Wait()
}

// kill ends it without a warning.
func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// run runs plinth and fails the test unless it succeeds.
func run(t testing.TB, args ...string) string {
	t.Helper()
	return runOn(t, "", args...)
}

// runOn is run on a database; "" is the app's own.
func runOn(t testing.TB, db string, args ...string) string {
	t.Helper()
	cmd := exec.Command(plinth, args...)
	cmd.Env = environ("PLINTH_DB=" + db)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("plinth %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// ask sends a request; key and body may be "".
func ask(client *http.Client, method, url, key, body string) (int, []byte, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// described is a client for which every answer must be as the server describes it.
func described(t testing.TB) *http.Client {
	return &http.Client{Timeout: client.Timeout, Transport: conform.Transport(t, client.Transport)}
}

// folder makes an app's folder with this app file.
func folder(t testing.TB, app string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(app), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lines collects the output of a process.
type lines struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	begun chan string
	sent  bool
}

func newLines() *lines { return &lines{begun: make(chan string, 1)} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(b)
	if !l.sent && bytes.IndexByte(l.buf.Bytes(), '\n') >= 0 {
		line, _ := bufio.NewReader(bytes.NewReader(l.buf.Bytes())).ReadString('\n')
		l.begun <- strings.TrimSuffix(line, "\n")
		l.sent = true
	}
	return len(b), nil
}

// first waits for the first line.
func (l *lines) first(wait time.Duration) (string, bool) {
	select {
	case line := <-l.begun:
		return line, true
	case <-time.After(wait):
		return "", false
	}
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// copyExample copies an example without its data: somebody may serve it at the moment.
func copyExample(t testing.TB, dir, name string) {
	t.Helper()
	from := filepath.Join("..", "examples", name)
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch {
		case e.Name() == "data":
			continue
		case e.IsDir():
			err = os.CopyFS(filepath.Join(dir, e.Name()), os.DirFS(filepath.Join(from, e.Name())))
		default:
			var b []byte
			if b, err = os.ReadFile(filepath.Join(from, e.Name())); err == nil {
				err = os.WriteFile(filepath.Join(dir, e.Name()), b, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
