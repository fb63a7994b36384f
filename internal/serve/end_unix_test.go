//go:build unix

package serve

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A reload that is under way when the process ends has ended before Run returns: what it works with is closed then.
func TestEndWaitsForReload(t *testing.T) {
	t.Parallel()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // so that one which comes before Run listens ends nothing
	defer signal.Stop(hup)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	returned, over := make(chan struct{}), make(chan struct{})
	reload := func(ctx context.Context) (string, error) {
		defer close(over)
		began <- struct{}{}
		<-ctx.Done()
		select {
		case <-returned:
			t.Error("Run has returned in the middle of a reload")
		case <-time.After(300 * time.Millisecond): // long enough for an end that does not wait
		}
		return "", ctx.Err()
	}
	ready := make(chan string, 1)
	go func() {
		err := Run(ctx, []Listener{{Name: "app", Address: "127.0.0.1:0", Handler: http.NotFoundHandler()}}, Options{Reload: reload, Ready: func(u string) { ready <- u }, Log: quiet})
		close(returned)
		ended <- err
	}()
	<-ready
	for begun, end := false, time.Now().Add(20*time.Second); !begun; { // it listens for the signal a moment after it is ready
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil || time.Now().After(end) {
			t.Fatalf("it does not reload: %v", err)
		}
		select {
		case <-began:
			begun = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	<-over
}

// Who opens the socket for commands and says nothing does not keep the process from ending.
func TestEndWithSilentCommand(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "serve-") // the name of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &server{o: Options{Log: quiet, Control: dir}}
	c, err := s.control()
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, controlPrefix+"*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v %v", names, err)
	}
	conn, err := net.Dial("unix", names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := ask(t.Context(), names[0], where); err != nil { // so the one before is heard by now
		t.Fatal(err)
	}
	began := time.Now()
	_ = c.Close()
	if took := time.Since(began); took >= commandTime {
		t.Errorf("it took %s", took)
	}
}
