package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Options of Run.
type Options struct {
	Listen string // host:port; port 0 picks a free one
	Limits spec.Limits
	Ready  func(url string) // called once, when requests are answered
	Log    *slog.Logger
}

const (
	readHeader = 10 * time.Second // a client that sends its headers slower than this is cut off
	idle       = 2 * time.Minute
	keepAlive  = 15 * time.Second
	slack      = 10 * time.Second // for a client to take the answer of a request that used all its time
)

// Run answers requests until ctx ends or the process is told to end (SIGTERM, SIGINT). Then it takes
// no new ones, lets those under way finish, for as long as the app gives a request, and returns nil.
// A second signal ends the process at once.
func Run(ctx context.Context, h http.Handler, o Options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	lc := net.ListenConfig{KeepAlive: keepAlive}
	ln, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return cannotListen(o.Listen, err)
	}
	srv := newServer(h, o)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	if o.Ready != nil {
		o.Ready(address(o.Listen, ln.Addr()))
	}
	select {
	case err := <-failed:
		return fault.Wrap(fault.Internal, "serve", err)
	case <-ctx.Done():
	}
	stop() // from here on a signal has its usual effect
	return end(srv, timeout(o)+slack)
}

// newServer reads more before the body than an app allows: web.Guard refuses what is too long with a
// problem. Only what is far too long gets the plain 431 of net/http.
func newServer(h http.Handler, o Options) *http.Server {
	t := timeout(o)
	return &http.Server{
		Handler:                      patient{h, t},
		ReadHeaderTimeout:            readHeader,
		WriteTimeout:                 t + slack,
		IdleTimeout:                  idle,
		MaxHeaderBytes:               web.MaxAddress + 2*o.Limits.Header,
		DisableGeneralOptionsHandler: true, // OPTIONS * has the answer of our own router
		ErrorLog:                     slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
}

func timeout(o Options) time.Duration {
	if o.Limits.Timeout > 0 {
		return o.Limits.Timeout
	}
	return 30 * time.Second
}

// end lets the requests under way finish, for at most so long.
func end(srv *http.Server, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close()
		return fault.New(fault.Unavailable, "requests were still under way after %s: they were cut off", wait)
	}
	return nil
}

// patient gives a body the time of a request to arrive in. What is meant to take long (files, streams)
// moves or lifts the deadline of its answer itself: a route may, a client may not.
type patient struct {
	next http.Handler
	time time.Duration
}

func (p patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(p.time))
	}
	if len(r.TransferEncoding) > 0 {
		// There may have been a length beside the chunks: net/http takes it away and tells nobody. Such
		// a connection must end (RFC 9112, 6.1), or a proxy that believed the length could be led to
		// take the answer to one request for that to another.
		w.Header()["Connection"] = []string{"close"}
	}
	p.next.ServeHTTP(w, r)
}

// address is what a person can open: the host as it was asked for, the port as it was given.
func address(asked string, got net.Addr) string {
	host, _, err := net.SplitHostPort(asked)
	_, port, err2 := net.SplitHostPort(got.String())
	if err != nil || err2 != nil || host == "" {
		return "http://" + got.String()
	}
	return "http://" + net.JoinHostPort(host, port)
}

func cannotListen(asked string, err error) error {
	why := "it is not an address like 127.0.0.1:8080"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		why = "another program listens there; choose another with --listen, or port 0 for a free one"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		why = "that is not allowed to this user"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		why = "this machine does not have that address"
	}
	return &fault.Error{Kind: fault.Unavailable, Msg: "cannot listen on " + asked + ": " + why}
}
