package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const slowApp = `
name: slow
collections:
  notes:
    fields: {text: {type: text, required: true, max: 5000}}
    access: {read: true, create: true}
server:
  limits: {timeout: 5s}
  operator: {listen: "%s"}
`

// TestSlowClients: clients that send their header, or their body, or take their answers as slowly as they can, and those that ask for a
// thousand ranges, all at once. Whoever else asks is answered, and they are cut off while they go on.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	program := installed(t, "slowhttptest")
	if program == "" {
		t.Skip("LEFT OUT: slowhttptest is not installed")
	}
	const each = 100
	operator := freeAddress(t)
	dir := folder(t, fmt.Sprintf(slowApp, operator))
	if err := os.Mkdir(filepath.Join(dir, "public"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "public", "long.txt"), []byte(strings.Repeat("x", 1<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serving(t, dir)
	create := `{"op":"create","collection":"notes","body":` + noted(strings.Repeat("x", 1500)) + `},`
	if code, b, err := ask(http.DefaultClient, "POST", s.url+"/api/batch", "", `{"operations":[`+strings.TrimSuffix(strings.Repeat(create, 500), ",")+`]}`); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s %v", code, b, err)
	}
	connections := func() int {
		code, b, err := ask(http.DefaultClient, "GET", "http://"+operator+"/metrics", "", "")
		m := regexp.MustCompile(`(?m)^plinth_http_connections (\d+)$`).FindSubmatch(b)
		if err != nil || code != http.StatusOK || m == nil {
			t.Fatalf("the metrics: %d %v", code, err)
		}
		n, _ := strconv.Atoi(string(m[1]))
		return n
	}
	until := func(what string, done func(n int) bool) {
		t.Helper()
		n := 0
		for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if n = connections(); done(n) {
				return
			}
		}
		t.Errorf("%s: there are %d connections", what, n)
	}
	all := map[string][]string{
		"header": {"-H", "-i", "1", "-u", s.url + "/"},
		"body":   {"-B", "-i", "1", "-s", "8192", "-f", "application/json", "-u", s.url + "/api/notes"},
		"answer": {"-X", "-n", "5", "-z", "32", "-w", "10", "-y", "20", "-k", "10", "-u", s.url + "/api/notes?limit=500"},
		"ranges": {"-R", "-t", "GET", "-a", "1", "-b", "1500", "-u", s.url + "/long.txt"},
	}
	ended := map[string]chan error{}
	for name, args := range all {
		many := each
		if name == "answer" { // each of these costs as much as hundreds of the others
			many = each / 2
		}
		cmd, said := exec.Command(program, append(args, "-c", strconv.Itoa(many), "-r", strconv.Itoa(many), "-l", "240", "-v", "0")...), newLines()
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, 10*time.Second
		if err := launch(cmd); err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		ended[name] = over
		go func() { over <- cmd.Wait() }()
		t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	}
	var stop atomic.Bool
	asked := make(chan int)
	go func() {
		client, n := &http.Client{Timeout: 30 * time.Second}, 0
		tick := time.NewTicker(10 * time.Millisecond) // other tests run beside
		defer tick.Stop()
		for ; !stop.Load(); n++ {
			<-tick.C
			body, method := "", "GET"
			if n%10 == 0 {
				method, body = "POST", noted("one who is not slow")
			}
			code, b, err := ask(client, method, s.url+"/api/notes", "", body)
			if err != nil || code >= 300 {
				t.Errorf("one who is not slow is answered %d %.200s %v", code, b, err)
			}
		}
		asked <- n
	}()
	// Those that send a body slowly are cut off after five seconds, those that send a header after ten, those that take an answer after fifteen.
	until("the slow ones do not come", func(n int) bool { return n > 5*each/4 })
	until("the slow ones are not cut off", func(n int) bool { return n < each/10 })
	stop.Store(true)
	if n := <-asked; n < 100 {
		t.Errorf("%d requests were asked", n)
	}
	for _, name := range []string{"header", "body", "ranges"} { // the one that reads slowly does not look so soon whether it still may
		select {
		case <-ended[name]:
		case <-time.After(60 * time.Second):
			t.Errorf("%s: it has connections still", name)
		}
	}
}
