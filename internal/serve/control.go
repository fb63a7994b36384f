package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluell/plinth/fault"
)

// A server listens at a socket in its app's data folder, which only its user can open, for commands of whoever runs
// `plinth reload`. Each process has a socket of its own: serve-PID.sock. A command is a line; the answer is lines,
// of which the last is "ok" or "error", a space, and a quoted text.
const (
	controlPrefix = "serve-"
	controlSuffix = ".sock"

	takeOver = "take over" // start the program as it is now, and hand over to it
	where    = "where"     // tell the addresses of the listeners: NAME=URL, with spaces between
)

// openTime is how long another process may take to open the app: it may wait for a change of the schema.
const openTime = 2 * time.Minute

// commandTime is how long a command may take to be said.
const commandTime = 10 * time.Second

type nothing struct{}

func (nothing) Close() error { return nil }

// control listens for commands.
func (s *server) control() (io.Closer, error) {
	if s.o.Control == "" {
		return nothing{}, nil
	}
	name := filepath.Join(s.o.Control, controlPrefix+strconv.Itoa(os.Getpid())+controlSuffix)
	_ = os.Remove(name) // of a process that was killed and had this number
	ln, err := net.Listen("unix", name)
	if err != nil {
		return nothing{}, err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		_ = ln.Close()
		return nothing{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &control{ln: ln, cancel: cancel}
	c.busy.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c.busy.Go(func() { s.command(ctx, conn, ln) })
		}
	})
	return c, nil
}

// control is open until Run returns; then its socket is gone.
type control struct {
	ln     net.Listener
	cancel context.CancelFunc
	busy   sync.WaitGroup
}

func (c *control) Close() error {
	c.cancel()
	err := c.ln.Close()
	c.busy.Wait()
	return err
}

// command does what one connection to ln asks for.
func (s *server) command(ctx context.Context, conn net.Conn, ln net.Listener) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(commandTime))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) }) // Run does not wait for who says nothing
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(conn, 4096)).ReadString('\n')
	if err != nil {
		return
	}
	switch strings.TrimSuffix(line, "\n") {
	case takeOver:
		if !s.taking.TryLock() {
			fmt.Fprintf(conn, "error %q\n", "another process is taking over already")
			return
		}
		pid, err := s.handOver(ctx, openTime)
		if err != nil {
			s.taking.Unlock()
			s.o.Log.Error("no other process has taken over: this one goes on", "error", err)
			fmt.Fprintf(conn, "error %q\n", err.Error())
			return
		}
		_ = ln.Close() // before the answer: from now on the other process is the one to tell
		s.o.Log.Info("another process has taken over", "process", pid)
		fmt.Fprintf(conn, "ok %q\n", fmt.Sprintf("process %d has taken over from process %d", pid, os.Getpid()))
		s.over <- pid // taking stays locked: it is over
	case where:
		var all []string
		for i := range s.doors {
			all = append(all, s.doors[i].Name+"="+s.doors[i].url(s.doors[i].ln.Addr()))
		}
		fmt.Fprintf(conn, "ok %q\n", strings.Join(all, " "))
	default:
		fmt.Fprintf(conn, "error %q\n", "this server does not know that command")
	}
}

// TakeOver tells every server whose sockets are in a folder to hand over to a new process, one after the other; told
// is called with what each has done. It is an error when there is none, or when one could not.
func TakeOver(ctx context.Context, dir string, told func(string)) error {
	names, err := filepath.Glob(filepath.Join(escape(dir), controlPrefix+"*"+controlSuffix))
	if err != nil {
		return err
	}
	found := 0
	var failed []error
	for _, name := range names {
		text, err := ask(ctx, name, takeOver)
		switch {
		case errors.Is(err, errGone):
			_ = os.Remove(name)
		case err != nil:
			found++
			failed = append(failed, err)
		default:
			found++
			told(text)
		}
	}
	if found == 0 {
		return fault.New(fault.NotFound, "no server of this app runs here")
	}
	return errors.Join(failed...)
}

// Process is a server that runs.
type Process struct {
	PID       int
	Listeners map[string]string // their addresses, http://host:port, by name; empty: it does not tell
	Err       error             // it could not be asked
}

// Running finds the servers whose sockets are in a folder. Those of processes that were killed are left where they are.
func Running(ctx context.Context, dir string) (all []Process) {
	names, _ := filepath.Glob(filepath.Join(escape(dir), controlPrefix+"*"+controlSuffix))
	for _, name := range names {
		p := Process{Listeners: map[string]string{}}
		p.PID, _ = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), controlPrefix), controlSuffix))
		text, err := ask(ctx, name, where)
		switch {
		case errors.Is(err, errGone):
			continue
		case fault.Is(err, fault.Denied):
			p.Err = err
		}
		for one := range strings.FieldsSeq(text) {
			if listener, url, ok := strings.Cut(one, "="); ok {
				p.Listeners[listener] = url
			}
		}
		all = append(all, p)
	}
	return all
}

// Free says why a process of this user could not open the listener of a name at an address; nil: it could.
func Free(name, address string) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return cannotListen(name, address, err)
	}
	return ln.Close()
}

// errGone is a socket whose process was killed.
var errGone = errors.New("nobody listens there")

func ask(ctx context.Context, name, command string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", fault.New(fault.Denied, "%s belongs to another user: run this as the one who runs the server", name)
	case err != nil:
		return "", errGone
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(openTime + 10*time.Second))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", fault.New(fault.Unavailable, "the server ended without an answer")
	}
	word, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	text, err := strconv.Unquote(quoted)
	if err != nil {
		return "", fault.New(fault.Internal, "the server answered what this program does not know")
	}
	if word != "ok" {
		return "", fault.New(fault.Unavailable, "%s", text)
	}
	return text, nil
}

// escape makes a folder's name mean itself in a pattern.
func escape(dir string) string {
	return strings.NewReplacer(`[`, `[[]`, `*`, `[*]`, `?`, `[?]`).Replace(dir)
}
