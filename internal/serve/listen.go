package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bluell/plinth/fault"
)

// Listener is an address at which a process answers, and what answers there.
type Listener struct {
	Name    string      // of its socket, for those who hand sockets over: app, http, https, operator
	Address string      // host:port; port 0 picks a free one
	TLS     *tls.Config // nil: plain HTTP
	Handler http.Handler
	Crowd   *Crowd           // that its connections belong to; nil: they are not counted
	Opened  func(url string) // called when it listens; may be nil
}

const keepAlive = 15 * time.Second

// open listens at the address of l: with the socket that this process was given for it, if any.
func (l Listener) open(ctx context.Context, given *sockets) (net.Listener, error) {
	if ln := given.take(l); ln != nil {
		return ln, nil
	}
	lc := net.ListenConfig{KeepAlive: keepAlive}
	ln, err := lc.Listen(ctx, "tcp", l.Address)
	if err != nil {
		return nil, cannotListen(l.Name, l.Address, err)
	}
	return ln, nil
}

// url is what a person can open: the host as it was asked for, the port as it was given.
func (l Listener) url(got net.Addr) string {
	scheme := "http://"
	if l.TLS != nil {
		scheme = "https://"
	}
	host, _, err := net.SplitHostPort(l.Address)
	_, port, err2 := net.SplitHostPort(got.String())
	if err != nil || err2 != nil || host == "" {
		return scheme + got.String()
	}
	return scheme + net.JoinHostPort(host, port)
}

// cannotListen says why, and which setting helps: that of the listener with this name.
func cannotListen(name, asked string, err error) error {
	setting := "--listen, or port 0 for a free one"
	switch name {
	case "http", "https":
		setting = "server." + name
	case "operator":
		setting = "server.operator.listen"
	}
	var unknown *net.DNSError
	why := "it is not an address like 127.0.0.1:8080; give one with " + setting
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why = "another program listens there, or another listener of this one; choose another address with " + setting
	case errors.As(err, &unknown):
		why = "the name " + unknown.Name + " is no address of this machine; give one, such as 127.0.0.1:8080 or :8080, with " + setting
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		why = "that is not allowed to this user"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "this machine does not have that address; give another with " + setting
	}
	return &fault.Error{Kind: fault.Unavailable, Msg: "cannot listen on " + asked + ": " + why}
}

// sockets are those that a process was given when it was started: by systemd (sd_listen_fds(3)), or by the
// process that it takes over from.
type sockets struct {
	mu   sync.Mutex // a process may run more than one server
	list []socket
}

type socket struct {
	name  string
	asked string // the address that it was opened for; "": whoever opened it knows
	ln    net.Listener
}

// firstSocket is the descriptor of the first socket that is given, in both ways.
const firstSocket = 3

// givenSockets are those that this process was given. They can be taken once: what is started by it has none of them.
var givenSockets = sync.OnceValues(func() (*sockets, error) {
	s := &sockets{}
	if text, ok := takeEnv(handedSockets); ok {
		return s, s.handed(text)
	}
	pid, _ := takeEnv("LISTEN_PID")
	count, ok := takeEnv("LISTEN_FDS")
	names, _ := takeEnv("LISTEN_FDNAMES")
	if !ok || pid != strconv.Itoa(os.Getpid()) {
		return s, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 64 {
		return s, fault.New(fault.Invalid, "LISTEN_FDS is %q, not how many sockets there are", count)
	}
	named := strings.Split(names, ":")
	for i := range n {
		name := ""
		if i < len(named) {
			name = named[i]
		}
		if err := s.add(name, "", firstSocket+i); err != nil {
			return s, err
		}
	}
	return s, nil
})

func (s *sockets) add(name, asked string, fd int) error {
	f := os.NewFile(uintptr(fd), name)
	if f == nil {
		return fault.New(fault.Invalid, "the socket %s, which this process was given, is not there", name)
	}
	ln, err := net.FileListener(f)
	_ = f.Close() // ln has a descriptor of its own
	if err != nil {
		return &fault.Error{Kind: fault.Invalid, Msg: "the socket " + name + ", which this process was given, does not listen", Err: err}
	}
	s.list = append(s.list, socket{name, asked, ln})
	return nil
}

// take gives l's socket: the one with its name, or else with its address, or else the only one there is, for the app.
func (s *sockets) take(l Listener) net.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.list, func(g socket) bool { return g.name == l.Name && (g.asked == "" || g.asked == l.Address) })
	if at < 0 {
		at = slices.IndexFunc(s.list, func(g socket) bool { return g.asked == "" && g.ln.Addr().String() == l.Address })
	}
	if at < 0 && len(s.list) == 1 && s.list[0].asked == "" && l.Name == "app" {
		at = 0
	}
	if at < 0 {
		return nil
	}
	ln := s.list[at].ln
	s.list = slices.Delete(s.list, at, at+1)
	return ln
}

// rest closes those that nobody took and returns their names.
func (s *sockets) rest() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.list {
		names = append(names, g.name+" "+g.ln.Addr().String())
		_ = g.ln.Close()
	}
	s.list = nil
	return names
}

// takeEnv is a variable that processes started by this one shall not see.
func takeEnv(name string) (string, bool) {
	text, ok := os.LookupEnv(name)
	_ = os.Unsetenv(name)
	return text, ok
}
