package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Options of Run. What is called may be nil.
type Options struct {
	Limits spec.Limits
	Log    *slog.Logger

	Ready  func(url string)                               // called once, when requests are answered: the first listener's address
	Reload func(context.Context) (told string, err error) // reads the app file again: at SIGHUP
	Leave  func()                                         // the process begins to end: it is no longer ready
	Cut    func()                                         // no new connections come: answers without an end should end

	Drain   time.Duration // for how long requests are still taken after the process was told to end
	Control string        // the folder for the socket by which a command finds this process; "": none
}

const (
	readHeader = 10 * time.Second // a client that sends its headers slower than this is cut off
	idle       = 2 * time.Minute
	slack      = 10 * time.Second // for a client to take the answer of a request that used all its time
	linger     = 2 * time.Second  // in which a client that keeps a connection may ask once more, and is told to let go
)

// Run answers requests until ctx ends, the process is told to end (SIGTERM, SIGINT), or another has taken over
// from it (Control). Then it lets the requests under way finish, for as long as the app gives a request, and
// returns nil. A second signal ends the process at once.
//
// Sockets that the process was given by systemd or by the process that it takes over from are used for the listeners whose
// names they have. systemd is told what the process does, where it wants to know (sd_notify(3)).
func Run(ctx context.Context, listeners []Listener, o Options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s := &server{o: o, conns: newConns(), failed: make(chan error, len(listeners)), over: make(chan int, 1)}
	if err := s.listen(ctx, listeners); err != nil {
		return err
	}
	defer s.close()
	for i := range s.doors {
		d := &s.doors[i]
		go s.serve(d)
		if d.Opened != nil {
			d.Opened(d.url(d.ln.Addr()))
		}
	}
	control, err := s.control()
	if err != nil {
		o.Log.Warn("plinth reload cannot find this process", "error", err)
	}
	defer control.Close()
	if o.Ready != nil {
		o.Ready(s.doors[0].url(s.doors[0].ln.Addr()))
	}
	taken()
	notify("READY=1")
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer func() {
		cancel()
		beside.Wait() // whoever called may close what a reload works with
	}()
	beside.Go(func() { watchdog(ctx) })
	beside.Go(func() { s.hear(ctx) })
	select {
	case err := <-s.failed:
		return fault.Wrap(fault.Internal, "serve", err)
	case <-ctx.Done():
		stop() // from here on a signal has its usual effect
		notify("STOPPING=1")
		return s.end(false)
	case pid := <-s.over:
		notifyMain(pid)
		return s.end(true)
	}
}

// server is what Run runs.
type server struct {
	o       Options
	doors   []door
	conns   *conns
	leaving atomic.Bool
	failed  chan error
	taking  sync.Mutex // held while another process takes over, and from then on
	over    chan int   // the process that has taken over
}

// door is a listener that is open.
type door struct {
	Listener
	ln  net.Listener
	srv *http.Server
}

func (s *server) listen(ctx context.Context, listeners []Listener) error {
	given, err := givenSockets()
	if err != nil {
		return err
	}
	for _, l := range listeners {
		ln, err := l.open(ctx, given)
		if err != nil {
			s.close()
			return err
		}
		s.doors = append(s.doors, door{l, ln, s.newServer(l)})
	}
	for _, name := range given.rest() {
		s.o.Log.Warn("this process was given a socket that it has no use for", "socket", name)
	}
	return nil
}

func (s *server) close() {
	for _, d := range s.doors {
		_ = d.srv.Close()
		_ = d.ln.Close()
	}
}

// newServer reads more before the body than an app allows: web.Guard refuses what is too long with a
// problem. Only what is far too long gets the plain 431 of net/http.
func (s *server) newServer(l Listener) *http.Server {
	t := timeout(&s.o.Limits)
	return &http.Server{
		Handler:                      patient{l.Handler, t, &s.leaving, l.Crowd},
		TLSConfig:                    l.TLS,
		ReadHeaderTimeout:            readHeader,
		WriteTimeout:                 t + slack,
		IdleTimeout:                  idle,
		MaxHeaderBytes:               web.MaxAddress + 2*s.o.Limits.Header,
		DisableGeneralOptionsHandler: true, // OPTIONS * has the answer of our own router
		ConnState:                    s.conns.state,
		ConnContext:                  within,
		ErrorLog:                     slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
}

func (s *server) serve(d *door) {
	var err error
	ln := bounded{d.ln, d.Crowd, d.TLS == nil}
	if d.TLS != nil {
		err = d.srv.ServeTLS(ln, "", "")
	} else {
		err = d.srv.Serve(ln)
	}
	if !s.leaving.Load() && !errors.Is(err, http.ErrServerClosed) {
		s.failed <- err
	}
}

// timeout is the time of a request; an embedder may have set none.
func timeout(l *spec.Limits) time.Duration {
	if l.Timeout > 0 {
		return l.Timeout
	}
	return 30 * time.Second
}

// hear reads the app file again whenever the process is told to.
func (s *server) hear(ctx context.Context) {
	if s.o.Reload == nil {
		return
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		notifyReloading()
		told, err := s.o.Reload(ctx)
		notify("READY=1")
		if err != nil {
			s.o.Log.Error("the app file was not taken: what was served before goes on", "error", err)
		} else {
			s.o.Log.Info(told)
		}
	}
}

// patient gives a body the time of a request to arrive in. What is meant to take long (files, streams)
// moves or lifts the deadline of its answer itself: a route may, a client may not. When the process is about to end,
// each answer tells its client to ask for the next on another connection.
type patient struct {
	next    http.Handler
	time    time.Duration
	leaving *atomic.Bool
	crowd   *Crowd
}

func (p patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer p.crowd.alongside(r)()
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(p.time))
	}
	// There may have been a length beside chunks: net/http takes it away and tells nobody. Such
	// a connection must end (RFC 9112, 6.1), or a proxy that believed the length could be led to
	// take the answer to one request for that to another.
	// So it does with a coding in HTTP/1.0, of which it knows no end; what is encrypted cannot be looked at (heads).
	if len(r.TransferEncoding) > 0 || r.TLS != nil && !r.ProtoAtLeast(1, 1) || p.leaving.Load() {
		w.Header()["Connection"] = []string{"close"}
	}
	p.next.ServeHTTP(w, r)
}
