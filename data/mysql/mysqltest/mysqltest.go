// Package mysqltest gives tests a MariaDB of their own: one server for a test binary, in a folder that is
// removed at its end, and an empty database for each test. Only tests import it.
//
// A package that uses it says
//
//	func TestMain(m *testing.M) { os.Exit(mysqltest.Main(m)) }
//
// PLINTH_TEST_MYSQL_URL names another server to share, as mysql://user:password@host:port/: one that may be
// given databases t1, t2 … and be robbed of them.
package mysqltest

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"net/url"
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

	"github.com/go-sql-driver/mysql"
)

// Server is a running MariaDB.
type Server struct {
	Dir string // has the socket and, in data, what is stored

	address url.URL // without a database
	durable bool
	cmd     *exec.Cmd
	gone    chan struct{} // closed when it has ended
	mu      sync.Mutex
	admin   *sql.DB
	made    int // databases
}

var (
	starting sync.Once
	shared   *Server
	failed   error

	installing sync.Once
	template   string // a folder with what is stored in a new server
	installed  error
)

// Main runs the tests and then stops the server that they share, if they have started it.
func Main(m interface{ Run() int }) int {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go orphaned(interrupted)
	go func() {
		<-interrupted
		clear()
		os.Exit(1)
	}()
	code := m.Run()
	clear()
	return code
}

func clear() {
	stop(shared)
	if template != "" {
		os.RemoveAll(template)
	}
}

// orphaned interrupts when who has started this program has ended: go test that is killed does not end the tests, which
// would go on with their servers, unheard.
func orphaned(interrupted chan<- os.Signal) {
	for parent := os.Getppid(); os.Getppid() == parent; time.Sleep(time.Second) {
	}
	interrupted <- syscall.SIGTERM
}

// Database is the address of a new, empty database on the server that all tests share, which syncs nothing. Its
// own order of texts is not that of code points. Where there is no MariaDB the test is skipped, and says so;
// with PLINTH_TEST_ALL=1 it fails.
func Database(t testing.TB) string {
	t.Helper()
	starting.Do(func() {
		if address := os.Getenv("PLINTH_TEST_MYSQL_URL"); address != "" {
			shared, failed = reach(address)
		} else {
			shared, failed = start(false)
		}
	})
	if failed != nil {
		leftOut(t, failed)
	}
	return shared.Database(t)
}

// Start starts a server that is the test's own, to be crashed: it syncs every commit, as servers do.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := start(true)
	if err != nil {
		leftOut(t, err)
	}
	t.Cleanup(func() { stop(s) })
	return s
}

func leftOut(t testing.TB, why error) {
	t.Helper()
	if os.Getenv("PLINTH_TEST_ALL") == "1" {
		t.Fatalf("MariaDB: %v", why)
	}
	t.Skipf("LEFT OUT, for want of a MariaDB: %v", why)
}

// Database is the address of a new, empty database, which is dropped when the test ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	s.made++
	name := fmt.Sprintf("t%d", s.made)
	s.mu.Unlock()
	if _, err := s.admin.Exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.admin.Exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	u := s.address
	u.Path = "/" + name
	return u.String()
}

// Exec runs a statement as one who may do everything.
func (s *Server) Exec(t testing.TB, statement string) {
	t.Helper()
	if _, err := s.admin.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// Crash kills the server and starts it anew.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	s.Kill()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// Kill kills the server. Run starts it again.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.gone
}

// Run starts a server that was killed.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// binary finds one of MariaDB's programs.
func binary(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/bin"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name), nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is nowhere where programs are", name)
	}
	return path, nil
}

// logSize keeps new servers small.
const logSize = "--innodb-log-file-size=16M"

// install makes what is stored in a new server, once.
func install() (string, error) {
	installing.Do(func() {
		program, err := binary("mariadb-install-db")
		if err != nil {
			installed = err
			return
		}
		dir, err := os.MkdirTemp("", "plinth-my-")
		if err != nil {
			installed = err
			return
		}
		template = dir
		if installed = own(dir); installed != nil {
			return
		}
		// A server that starts removes the temporary tables of others from a folder that they share.
		cmd := exec.Command(program, "--no-defaults", "--datadir="+filepath.Join(dir, "data"), "--tmpdir="+dir, "--auth-root-authentication-method=normal",
			"--skip-test-db", "--skip-name-resolve", logSize)
		cmd.Dir, cmd.SysProcAttr = dir, attributes()
		if text, err := cmd.CombinedOutput(); err != nil {
			installed = fmt.Errorf("mariadb-install-db: %w: %s", err, text)
		}
	})
	return filepath.Join(template, "data"), installed
}

func start(durable bool) (*Server, error) {
	if _, err := binary("mariadbd"); err != nil {
		return nil, err
	}
	from, err := install()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "plinth-my-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, durable: durable, address: url.URL{Scheme: "mysql", User: url.User("root"), Path: "/", RawQuery: "socket=" + filepath.Join(dir, "socket")}}
	if err := own(dir); err != nil {
		return nil, err
	}
	copied := exec.Command("cp", "-R", from, filepath.Join(dir, "data"))
	copied.SysProcAttr = attributes()
	if text, err := copied.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cp: %w: %s", err, text)
	}
	if err := s.run(); err != nil {
		stop(s)
		return nil, err
	}
	return s, nil
}

// reach uses a server that is there.
func reach(address string) (*Server, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	s := &Server{address: *u}
	return s, s.connect()
}

func (s *Server) connect() (err error) {
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr = s.address.User.Username(), "tcp", s.address.Host
	config.Passwd, _ = s.address.User.Password()
	if socket := s.address.Query().Get("socket"); socket != "" {
		config.Net, config.Addr = "unix", socket
	}
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	s.admin = sql.OpenDB(connector)
	return s.admin.Ping()
}

// run starts the server and returns when it answers.
func (s *Server) run() error {
	program, err := binary("mariadbd")
	if err != nil {
		return err
	}
	sync := []string{"--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"}
	if s.durable {
		sync = []string{"--innodb-flush-log-at-trx-commit=1"}
	}
	s.cmd = exec.Command(program, append([]string{"--no-defaults", "--datadir=" + filepath.Join(s.Dir, "data"), "--socket=" + filepath.Join(s.Dir, "socket"),
		"--pid-file=" + filepath.Join(s.Dir, "pid"), "--tmpdir=" + s.Dir, "--skip-networking", "--skip-name-resolve", "--performance-schema=0", logSize,
		"--innodb-buffer-pool-size=96M", "--max-connections=500", "--max-prepared-stmt-count=1000000", "--table-open-cache=4000", "--skip-log-bin"}, sync...)...)
	s.cmd.Dir, s.cmd.SysProcAttr = s.Dir, attributes()
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
		close(s.gone)
		return err
	}
	ready := make(chan bool, 1)
	var said strings.Builder
	go func(cmd *exec.Cmd, gone chan struct{}) {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "ready for connections") {
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
		return fmt.Errorf("mariadbd ended: %s", said.String())
	case <-time.After(time.Minute):
		return fmt.Errorf("mariadbd does not come up")
	}
	if s.admin != nil {
		return nil
	}
	return s.connect()
}

func stop(s *Server) {
	if s == nil {
		return
	}
	if s.admin != nil {
		_ = s.admin.Close()
	}
	if s.cmd != nil {
		s.Kill()
		os.RemoveAll(s.Dir)
	}
}
