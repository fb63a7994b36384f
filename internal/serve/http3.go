package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// HTTP3 answers by HTTP/3 (RFC 9114) beside a listener of https, at the same address by UDP. Answers of that listener tell clients
// of it as long as it listens; a client that does not reach it stays where it is.
type HTTP3 struct {
	Address string // of https
	Port    int    // where clients reach it; 0: that of Address
	TLS     *tls.Config
	Handler http.Handler
	Limits  spec.Limits
	Crowd   *Crowd // nil: connections are not counted
	Log     *slog.Logger

	srv atomic.Pointer[http3.Server] // nil: it does not listen
}

// quicConn is what web knows of a connection by HTTP/3: whom it is counted for. Its library gathers what is written, and is the only one that
// reads its heads.
type quicConn struct{ client netip.Addr }

// connected is a context of the requests of a connection from an address.
func (h *HTTP3) connected(ctx context.Context, from net.Addr) context.Context {
	return web.Connected(carrying(ctx), quicConn{h.Crowd.client(from)})
}

func (c quicConn) Client() netip.Addr        { return c.client }
func (quicConn) Doubtful(*http.Request) bool { return false }
func (quicConn) Gather()                     {}
func (quicConn) Send()                       {}

// again is how often it is tried to listen where another process does still: one that this takes over from.
const again = 250 * time.Millisecond

// Run answers until ctx ends, and then lets requests under way finish, as Run of this package does. That it cannot listen is told, and
// ends nothing else.
func (h *HTTP3) Run(ctx context.Context) {
	conn, err := h.listen(ctx)
	if err != nil {
		if ctx.Err() == nil {
			h.Log.Error("HTTP/3 is not answered", "address", h.Address, "error", err)
		}
		return
	}
	t := timeout(&h.Limits)
	under := &underway{none: make(chan struct{})}
	srv := &http3.Server{
		Port: h.Port, TLSConfig: http3.ConfigureTLSConfig(h.TLS), Handler: hurried{h.Handler, t, under, h.Crowd},
		IdleTimeout: idle, MaxHeaderBytes: web.MaxAddress + 2*h.Limits.Header, Logger: slog.New(slog.DiscardHandler),
	}
	srv.QUICConfig = &quic.Config{Allow0RTT: true}
	if h.Crowd != nil {
		srv.QUICConfig = &quic.Config{Allow0RTT: true, GetConfigForClient: func(from *quic.ClientInfo) (*quic.Config, error) {
			if h.Crowd.full(from.RemoteAddr) {
				return nil, errFull
			}
			return srv.QUICConfig, nil
		}}
		srv.ConnContext = func(ctx context.Context, c *quic.Conn) context.Context {
			if !h.Crowd.until(c.Context(), c.RemoteAddr()) { // others have come since it was let in
				_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "")
			}
			return h.connected(ctx, c.RemoteAddr())
		}
	}
	if srv.Port == 0 {
		srv.Port = conn.LocalAddr().(*net.UDPAddr).Port
	}
	via := &quic.Transport{Conn: conn, VerifySourceAddress: h.Crowd.doubts}
	ln, err := via.ListenEarly(srv.TLSConfig, srv.QUICConfig)
	if err != nil {
		h.Log.Error("HTTP/3 is not answered", "address", h.Address, "error", err)
		_ = conn.Close()
		return
	}
	h.srv.Store(srv)
	ended := make(chan error, 1)
	go func() { ended <- srv.ServeListener(ln) }()
	select {
	case <-ctx.Done():
		h.srv.Store(nil)
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), t+slack)
		defer cancel()
		_ = ln.Close()                         // those that were accepted stay
		go func() { _ = srv.Shutdown(wait) }() // it waits for clients that keep a connection, too
		select {
		case <-under.end():
		case <-wait.Done():
		}
	case err := <-ended:
		h.srv.Store(nil)
		h.Log.Error("HTTP/3 is answered no more", "address", h.Address, "error", err)
	}
	_ = srv.Close()
	_ = ln.Close()
	_ = via.Close()
	_ = conn.Close()
}

var errFull = errors.New("there are too many connections")

func (h *HTTP3) listen(ctx context.Context) (net.PacketConn, error) {
	for told := false; ; told = true {
		conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", h.Address)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return conn, err
		}
		if !told {
			h.Log.Info("HTTP/3 is not answered yet: another process has the port of UDP", "address", h.Address)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(again):
		}
	}
}

// Beside tells clients of https that they may ask by HTTP/3 (Alt-Svc, RFC 7838).
func (h *HTTP3) Beside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if srv := h.srv.Load(); srv != nil && r.ProtoMajor < 3 {
			_ = srv.SetQUICHeaders(w.Header())
		}
		next.ServeHTTP(w, r)
	})
}

// hurried gives a body and an answer the times that a server of HTTP/1.1 and HTTP/2 gives them by itself. A route may move them.
type hurried struct {
	next  http.Handler
	time  time.Duration
	under *underway
	crowd *Crowd
}

func (h hurried) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.under.count(1)
	defer h.under.count(-1)
	defer h.crowd.alongside(r)()
	c := http.NewResponseController(w)
	now := time.Now()
	_ = c.SetReadDeadline(now.Add(h.time))
	_ = c.SetWriteDeadline(now.Add(h.time + slack))
	h.next.ServeHTTP(w, r)
}

// underway counts requests.
type underway struct {
	mu     sync.Mutex
	n      int
	ending bool
	none   chan struct{} // closed when there is none, at the end
}

func (u *underway) count(by int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n += by; u.n == 0 && by < 0 && u.ending {
		u.close()
	}
}

// end says when there is no request any more.
func (u *underway) end() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ending = true; u.n == 0 {
		u.close()
	}
	return u.none
}

func (u *underway) close() {
	select {
	case <-u.none:
	default:
		close(u.none)
	}
}
