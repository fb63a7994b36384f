// Package pgtest gives tests a PostgreSQL of their own: one server for a test binary, in a folder that is
// removed at its end, and an empty database for each test. Only tests import it.
//
// A package that uses it says
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
package pgtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Server is a running PostgreSQL.
type Server struct {
	Dir string // has the socket

	bin      string
	settings []string
	cmd      *exec.Cmd
	gone     chan struct{} // closed when it has ended
	mu       sync.Mutex    // of admin
	admin    *pgconn.PgConn
	made     int // databases
}

var (
	starting sync.Once
	shared   *Server
	failed   error
)

// Main runs the tests and then stops the server that they share, if they have started it.
func Main(m interface{ Run() int }) int {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go orphaned(interrupted)
	go func() {
		<-interrupted
		stop(shared)
		os.Exit(1)
	}()
	code := m.Run()
	stop(shared)
	return code
}

// orphaned interrupts when who has started this program has ended: go test that is killed does not end the tests, which
// would go on with their servers, unheard.
func orphaned(interrupted chan<- os.Signal) {
	for parent := os.Getppid(); os.Getppid() == parent; time.Sleep(time.Second) {
	}
	interrupted <- syscall.SIGTERM
}

// Database is the address of a new, empty database on the server that all tests share. Its own order of
// texts is not that of code points. Where there is no PostgreSQL the test is skipped, and says so; with
// PLINTH_TEST_ALL=1 it fails.
func Database(t testing.TB) string {
	t.Helper()
	starting.Do(func() { shared, failed = start(nil) })
	if failed != nil {
		leftOut(t, failed)
	}
	return shared.Database(t)
}

// Start starts a server that is the test's own, to be crashed, or to have settings ("name=value") of its own.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(settings)
	if err != nil {
		leftOut(t, err)
	}
	t.Cleanup(func() { stop(s) })
	return s
}

func leftOut(t testing.TB, why error) {
	t.Helper()
	if os.Getenv("PLINTH_TEST_ALL") == "1" {
		t.Fatalf("PostgreSQL: %v", why)
	}
	t.Skipf("LEFT OUT, for want of a PostgreSQL: %v", why)
}

// Database is the address of a new, empty database, which is dropped when the test ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	s.made++
	name := fmt.Sprintf("t%d", s.made)
	s.mu.Unlock()
	if err := s.exec("CREATE DATABASE " + name + " TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return "host=" + s.Dir + " user=postgres dbname=" + name
}

// Crash ends the server as if its processes were killed, and starts it anew.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-s.gone
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) exec(sql string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.admin.Exec(context.Background(), sql).ReadAll()
	return err
}

// binaries finds where PostgreSQL's programs are.
func binaries() (string, error) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres"); len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", fmt.Errorf("postgres is neither in /usr/lib/postgresql nor on the path")
	}
	return filepath.Dir(path), nil
}

func start(settings []string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "plinth-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, bin: bin, settings: settings}
	if err := own(dir); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	base := []string{"-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"}
	if _, err := s.command("initdb", append(base, "--locale-provider=icu", "--icu-locale=en")...).CombinedOutput(); err != nil { // an old one, or one without ICU
		os.RemoveAll(data)
		if text, err := s.command("initdb", base...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("initdb: %w: %s", err, text)
		}
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	return s, nil
}

// command runs one of PostgreSQL's programs, not as root, and not longer than this program.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.Dir, attributes()
	return cmd
}

// run starts the server and returns when it answers.
func (s *Server) run() error {
	args := []string{"-D", filepath.Join(s.Dir, "data"), "-c", "listen_addresses=", "-c", "unix_socket_directories=" + s.Dir,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=400", "-c", "shared_buffers=128MB", "-c", "deadlock_timeout=100ms",
		"-c", "log_destination=stderr", "-c", "logging_collector=off", "-c", "autovacuum_naptime=1h"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	s.cmd = s.command("postgres", args...)
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	s.gone = make(chan struct{})
	started := make(chan error)
	go func(cmd *exec.Cmd, gone chan struct{}) { // the server ends when this thread does (see attributes)
		runtime.LockOSThread()
		started <- cmd.Start()
		<-gone
	}(s.cmd, s.gone)
	if err := <-started; err != nil {
		return err
	}
	ready := make(chan bool, 1)
	var said strings.Builder
	go func(cmd *exec.Cmd, gone chan struct{}) {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "ready to accept connections") {
				ready <- true
				break
			}
			said.WriteString(lines.Text() + "\n")
		}
		_, _ = io.Copy(io.Discard, log)
		_ = cmd.Wait()
		close(gone)
	}(s.cmd, s.gone)
	select {
	case <-ready:
	case <-s.gone:
		return fmt.Errorf("postgres ended: %s", said.String())
	case <-time.After(time.Minute):
		return fmt.Errorf("postgres does not come up: %s", said.String())
	}
	s.admin, err = pgconn.Connect(context.Background(), "host="+s.Dir+" user=postgres dbname=postgres")
	return err
}

func stop(s *Server) {
	if s == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	<-s.gone
	os.RemoveAll(s.Dir)
}
