//go:build unix

package test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The program is replaced and the app file is read again, twenty times each (fewer with -short, and on servers unless PLINTH_TEST_KILLS says otherwise), while clients read, write and listen over
// connections that they keep. No request fails, no write is lost, and what each listener has seen is what was
// committed, in order. The first socket is given by the test, as systemd gives one.
func TestTakeOver(t *testing.T) {
	onEach(t, func(t *testing.T, db string) {
		w := &liveWorld{t: t, db: db, dir: folder(t, liveApp), answered: map[string]map[int]note{}, strict: true}
		if db != "" {
			runOn(t, db, "apply", w.dir)
		}
		p := startReplaceable(t, w)
		var all []*liveListener
		var listening sync.WaitGroup
		ready := make(chan struct{}, 9)
		for i := range cap(ready) {
			l := &liveListener{w: w, list: liveLists[i%len(liveLists)], rng: rand.New(rand.NewPCG(uint64(i), 7)), seen: map[string]uint64{}}
			all = append(all, l)
			listening.Go(func() { l.listen(ready) })
		}
		for range cap(ready) {
			select {
			case <-ready:
			case <-time.After(time.Minute):
				t.Fatal("a listener is not ready: " + p.log())
			}
		}
		var stop atomic.Bool
		var busy sync.WaitGroup
		var reads atomic.Int64
		for n := range 4 {
			busy.Go(func() { w.write(n, &stop) })
			busy.Go(func() {
				tick := time.NewTicker(5 * time.Millisecond) // other tests run beside
				defer tick.Stop()
				for !stop.Load() {
					<-tick.C
					code, body, err := ask(liveClient, "GET", p.server.url+"/api/notes?limit=20", "", "")
					if err != nil || code != http.StatusOK {
						w.fail("GET", code, body, err)
					}
					reads.Add(1)
				}
			})
		}
		began := reads.Load()
		rounds := max(3, kills()*2/5)
		if db != "" && os.Getenv("PLINTH_TEST_KILLS") == "" {
			rounds = min(rounds, 6) // a server's processes take longer to come
		}
		for round := range rounds {
			w.until(w.count() + 20)
			p.replace()
			w.until(w.count() + 20)
			p.readAgain(round)
		}
		w.until(w.count() + 20)
		stop.Store(true)
		busy.Wait()
		w.end()
		listening.Wait()
		w.judge(all)
		if w.failed > 0 {
			t.Errorf("%d requests failed, of %d writes and %d reads; the first: %s", w.failed, w.count(), reads.Load(), w.failure)
		}
		if t.Failed() {
			t.Log(p.log())
		}
		t.Logf("%d writes and %d reads by way of %d processes and %d app files", w.count(), reads.Load()-began, rounds+1, rounds)
	})
}

// A new process that cannot serve says why, and the old one goes on.
func TestTakeOverRefused(t *testing.T) {
	t.Parallel()
	w := &liveWorld{t: t, dir: folder(t, liveApp)}
	p := startReplaceable(t, w)
	pid := p.pid
	for change, words := range map[string]string{
		liveApp + "nonsense: 1\n": "nonsense",
		strings.Replace(liveApp, "n: {type: int", "more: {type: int}, n: {type: int", 1): "plinth apply",
	} {
		write(t, filepath.Join(w.dir, "plinth.yaml"), change)
		out, err := exec.Command(plinth, "reload", w.dir).CombinedOutput()
		if err == nil || !strings.Contains(string(out), words) {
			t.Errorf("plinth reload: %v %s, should name %q", err, out, words)
		}
		if code, body, err := ask(client, "GET", p.server.url+"/readyz", "", ""); err != nil || code != http.StatusOK {
			t.Errorf("afterwards /readyz is %d %s %v", code, body, err)
		}
		if err := syscall.Kill(pid, 0); err != nil {
			t.Fatal("the old process has ended: " + p.log())
		}
	}
	write(t, filepath.Join(w.dir, "plinth.yaml"), liveApp)
	if p.replace(); p.pid == pid {
		t.Error("it cannot be replaced after a refusal")
	}
	other := folder(t, liveApp)
	if out, err := exec.Command(plinth, "reload", other).CombinedOutput(); err == nil || !strings.Contains(string(out), "no server of this app runs here") {
		t.Errorf("of an app that is not served: %v %s", err, out)
	}
}

// replaceable is a server whose program is a file of its own.
type replaceable struct {
	t       *testing.T
	w       *liveWorld
	server  *server
	program string
	out     string
	pid     int
}

// startReplaceable starts it with a socket that the test has opened: there is nothing to wait for.
func startReplaceable(t *testing.T, w *liveWorld) *replaceable {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	p := &replaceable{t: t, w: w, program: filepath.Join(t.TempDir(), "plinth"), server: &server{url: "http://" + ln.Addr().String()}}
	p.out = p.program + ".log"
	out, err := os.Create(p.out)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.install()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, p.program, "serve", w.dir)
	cmd.Env = environ("PLINTH_DB="+w.db, "LISTEN_FDS=1", "LISTEN_FDNAMES=app.socket")
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stdout, cmd.Stderr = out, out
	if err := launch(cmd); err != nil {
		t.Fatal(err)
	}
	_ = socket.Close()
	_ = ln.Close()
	p.pid = cmd.Process.Pid
	t.Cleanup(func() { // whichever of them is left
		left, _ := filepath.Glob(filepath.Join(w.dir, "data", "serve-*.sock"))
		for _, name := range append(left, fmt.Sprintf("serve-%d.sock", p.pid)) {
			var pid int
			if n, _ := fmt.Sscanf(filepath.Base(name), "serve-%d.sock", &pid); n == 1 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	go func() { _ = cmd.Wait() }()
	pointer := &atomic.Pointer[server]{}
	pointer.Store(p.server)
	w.servers = append(w.servers, pointer)
	if code, body, err := ask(liveClient, "GET", p.server.url+"/healthz", "", ""); err != nil || code != http.StatusOK {
		t.Fatalf("/healthz is %d %s %v: %s", code, body, err, p.log())
	}
	return p
}

// install puts the program in its place, as an upgrade does: another file with the same name.
func (p *replaceable) install() {
	p.t.Helper()
	if err := errors.Join(copyProgram(p.program+".new"), os.Rename(p.program+".new", p.program)); err != nil {
		p.t.Fatal(err)
	}
}

// copyProgram puts the program at path. A process that is forked while a file is written has it open too, until it has become
// another program, and a file that is open for writing cannot be run.
func copyProgram(path string) error {
	program, err := os.ReadFile(plinth)
	if err != nil {
		return err
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, program, 0o755)
}

var hasTakenOver = regexp.MustCompile(`^process (\d+) has taken over from process (\d+)\n$`)

func (p *replaceable) replace() {
	p.t.Helper()
	p.install()
	out, err := exec.Command(plinth, "reload", p.w.dir).CombinedOutput()
	m := hasTakenOver.FindStringSubmatch(string(out))
	if err != nil || m == nil || m[2] != strconv.Itoa(p.pid) {
		p.t.Fatalf("plinth reload: %v %s\n%s", err, out, p.log())
	}
	p.pid, _ = strconv.Atoi(m[1])
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid)); err == nil && exe != p.program { // where there is /proc
		p.t.Errorf("what serves now is %s", exe)
	}
}

// readAgain changes the app file and waits until it is served.
func (p *replaceable) readAgain(round int) {
	p.t.Helper()
	longest := 20 + round%2
	write(p.t, filepath.Join(p.w.dir, "plinth.yaml"), strings.Replace(liveApp, "max: 20", "max: "+strconv.Itoa(longest), 1))
	if err := syscall.Kill(p.pid, syscall.SIGHUP); err != nil {
		p.t.Fatal(err, p.log())
	}
	sign := fmt.Sprintf(`"maxLength":%d`, longest)
	for end := time.Now().Add(20 * time.Second); ; {
		code, body, err := ask(liveClient, "GET", p.server.url+"/api/openapi.json", "", "")
		if err != nil || code != http.StatusOK {
			p.w.fail("openapi.json", code, body, err)
		}
		if strings.Contains(string(body), sign) {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("the app file with %s is not served: %s", sign, p.log())
		}
	}
}

func (p *replaceable) log() string {
	b, _ := os.ReadFile(p.out)
	return string(b)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}
