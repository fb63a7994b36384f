// Package mongotest gives tests a database that speaks MongoDB's protocol: FerretDB 1, built from test/ferretdb, one
// server for a test binary in a folder that is removed at its end; or the server at PLINTH_TEST_MONGO_URL; or one whose
// language is that of mingo, in a process of Node's (Alone). Each test has an empty database of its own. Only tests import
// it.
//
// A package that uses it ends its TestMain with Stop.
package mongotest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// server is what the tests share.
type server struct {
	address string // without a database
	dir     string
	in      io.WriteCloser
	cmd     *exec.Cmd

	mu   sync.Mutex
	made int
}

var (
	starting sync.Once
	shared   *server
	failed   error
)

// Database is the address of a new, empty database. Where there is no server the test is skipped, and says so;
// with PLINTH_TEST_ALL=1 it fails.
func Database(t testing.TB) string {
	t.Helper()
	starting.Do(func() { shared, failed = start() })
	if failed != nil {
		if os.Getenv("PLINTH_TEST_ALL") == "1" {
			t.Fatalf("MongoDB: %v", failed)
		}
		t.Skipf("LEFT OUT, for want of a server with MongoDB's protocol: %v", failed)
	}
	shared.mu.Lock()
	shared.made++
	name := fmt.Sprintf("plinth_%d_%d", os.Getpid(), shared.made)
	shared.mu.Unlock()
	address := shared.with(name)
	t.Cleanup(func() { drop(t, address, name) })
	return address
}

// Given says that the server is one that the environment names, and so may be any.
func Given() bool { return os.Getenv("PLINTH_TEST_MONGO_URL") != "" }

// with is the server's address with a database.
func (s *server) with(name string) string {
	base, query, found := strings.Cut(s.address, "?")
	scheme, hosts, _ := strings.Cut(base, "://")
	hosts, _, _ = strings.Cut(hosts, "/")
	address := scheme + "://" + hosts + "/" + name
	if found {
		address += "?" + query
	}
	return address
}

func drop(t testing.TB, address, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := mongo.Connect(options.Client().ApplyURI(address))
	if err == nil {
		err = c.Database(name).Drop(ctx)
		_ = c.Disconnect(ctx)
	}
	if err != nil {
		t.Errorf("drop the database: %v", err)
	}
}

// Stop ends the servers that were started.
func Stop() {
	if lonely != nil {
		lonely.stop()
	}
	if shared == nil || shared.cmd == nil {
		return
	}
	_ = shared.in.Close() // it ends with its input
	_ = shared.cmd.Wait()
	os.RemoveAll(shared.dir)
}

func start() (*server, error) {
	if address := os.Getenv("PLINTH_TEST_MONGO_URL"); address != "" {
		return &server{address: address}, nil
	}
	dir, err := os.MkdirTemp("", "plinth-mongo-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if err := s.run(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// beside is a folder of test, beside the packages of this module.
func beside(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "test", name)
}

func (s *server) run() error {
	s.cmd = exec.Command("go", "run", "-tags", "ferretdb_sqlite", ".", s.dir) // go keeps what run has linked
	s.cmd.Dir, s.cmd.Stderr = beside("ferretdb"), os.Stderr
	s.cmd.Env = append(os.Environ(), "GOGC=400") // of its small heap it throws most away: a fifth of its time is the collector's
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		return fmt.Errorf("FerretDB cannot be built, or does not come up: %w", err)
	}
	s.address = strings.TrimSpace(line)
	return nil
}
