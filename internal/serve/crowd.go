package serve

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/internal/machine"
	"github.com/bluell/plinth/spec"
)

// Crowd counts the connections that a process has with clients, all and those of each address, and refuses what server.limits says
// are too many: they are reset before a byte is read. A connection that is taken over for a stream counts until it is closed. Where a
// connection carries many requests at once (HTTP/2, HTTP/3), each of them but one counts as one more: or one connection would be hundreds.
//
// Addresses of IPv6 are told apart by networks of 64 bits, as elsewhere. Those of trusted proxies and of this machine, where a proxy may
// be, stand for many clients: only all together bound them.
type Crowd struct {
	server func() *spec.Server // as it is served at the moment
	log    *slog.Logger
	files  uint64 // that the process may open; 0: that is not known

	mu   sync.Mutex
	open int
	from map[netip.Addr]int

	refused [len(limitNames)]atomic.Int64
	untold  [len(limitNames)]atomic.Int64
	start   time.Time
	told    atomic.Int64 // when refusals were logged last, in nanoseconds after start
}

// limitNames are the limits by which a connection is refused.
var limitNames = [...]string{"connections", "connectionsPerAddress"}

const (
	byProcess = iota
	byAddress
)

const tellEvery = time.Second

// NewCrowd counts for the app that server gives. It may be used by many goroutines.
func NewCrowd(server func() *spec.Server, log *slog.Logger) *Crowd {
	return &Crowd{server: server, log: log, files: machine.Descriptors(), from: map[netip.Addr]int{}, start: time.Now().Add(-tellEvery)}
}

// Count says how many connections there are, and how many were refused by each limit.
func (c *Crowd) Count() (open int, refused map[string]int64) {
	refused = map[string]int64{}
	for i, name := range limitNames {
		refused[name] = c.refused[i].Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, refused
}

// most is how many connections there may be: a fifth of the files that the process may open is left for what it does for them.
func (c *Crowd) most(l *spec.Limits) int {
	if c.files > 0 {
		return int(min(uint64(l.Connections), c.files/5*4)) // it may be as many as there are numbers
	}
	return l.Connections
}

// client is whom a connection is counted for; not valid: many.
func (c *Crowd) client(at net.Addr) netip.Addr { return clientOf(at, c.server().TrustedProxies) }

// enter counts a connection from an address; free takes it back, once. nil: there is no room.
func (c *Crowd) enter(at net.Addr) (free func()) {
	s := c.server()
	from := clientOf(at, s.TrustedProxies)
	if limit, ok := c.add(from, &s.Limits); !ok {
		c.refuse(limit)
		return nil
	}
	return sync.OnceFunc(func() { c.remove(from) })
}

// add says which limit is reached, if any.
func (c *Crowd) add(from netip.Addr, l *spec.Limits) (limit int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.open >= c.most(l):
		return byProcess, false
	case from.IsValid() && c.from[from] >= l.PerAddress:
		return byAddress, false
	}
	c.open++
	if from.IsValid() {
		c.from[from]++
	}
	return 0, true
}

func (c *Crowd) remove(from netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if !from.IsValid() {
		return
	}
	if c.from[from]--; c.from[from] == 0 {
		delete(c.from, from)
	}
}

// clientOf is whom an address stands for; not valid: for many.
func clientOf(at net.Addr, proxies spec.Proxies) (none netip.Addr) {
	given, ok := at.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return none
	}
	addr := given.AddrPort().Addr().Unmap().WithZone("")
	if !addr.IsValid() || addr.IsLoopback() || proxies.Has(addr) {
		return none
	}
	if addr.Is6() {
		network, _ := addr.Prefix(64) // there are as many bits
		return network.Addr()
	}
	return addr
}

// refuse counts a refusal. Whichever is the first since it was told has all told, within a second.
func (c *Crowd) refuse(limit int) {
	c.refused[limit].Add(1)
	if c.untold[limit].Add(1) > 1 {
		return
	}
	if wait := tellEvery - time.Since(c.start) + time.Duration(c.told.Load()); wait > 0 {
		time.AfterFunc(wait, c.tell)
		return
	}
	c.tell()
}

// tell logs how many were refused since it did so before.
func (c *Crowd) tell() {
	c.told.Store(int64(time.Since(c.start)))
	for i, name := range limitNames {
		if n := c.untold[i].Swap(0); n > 0 {
			c.log.Warn("there were more connections than server.limits allows: some were refused", "limit", name, "refused", n)
		}
	}
}

// bounded is a listener whose connections are counted and, where what they say can be read, looked at (heads).
type bounded struct {
	net.Listener
	crowd *Crowd // nil: they are not counted
	plain bool   // they are not encrypted
}

func (b bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := conn.(*net.TCPConn)
		if !ok { // a socket of the system: whoever may open it is counted there
			return conn, nil
		}
		if b.crowd == nil {
			return &counted{TCPConn: tcp, plain: b.plain, free: func() {}}, nil
		}
		if free := b.crowd.enter(tcp.RemoteAddr()); free != nil {
			return &counted{TCPConn: tcp, client: b.crowd.client(tcp.RemoteAddr()), plain: b.plain, free: free}, nil
		}
		_ = tcp.SetLinger(0) // no farewell that would have to wait for an answer
		_ = tcp.Close()
	}
}

// carried is the key of how many requests a connection carries at the moment (*atomic.Int32).
type carried struct{}

func carrying(ctx context.Context) context.Context {
	return context.WithValue(ctx, carried{}, new(atomic.Int32))
}

// alongside counts a request that comes while its connection carries others, until leave is called. What is one too many is reset, as a
// connection would be. A nil crowd counts nothing.
func (c *Crowd) alongside(r *http.Request) (leave func()) {
	n, ok := r.Context().Value(carried{}).(*atomic.Int32)
	if c == nil || !ok || r.ProtoMajor < 2 {
		return func() {}
	}
	if n.Add(1) == 1 {
		return func() { n.Add(-1) }
	}
	at, _ := netip.ParseAddrPort(r.RemoteAddr) // what cannot be read counts among all alone
	free := c.enter(net.TCPAddrFromAddrPort(at))
	if free == nil {
		n.Add(-1)
		panic(http.ErrAbortHandler)
	}
	return func() {
		n.Add(-1)
		free()
	}
}

// full says whether a connection by HTTP/3 would be refused; if so, it is counted as refused.
func (c *Crowd) full(at net.Addr) bool {
	free := c.enter(at)
	if free == nil {
		return true
	}
	free()
	return false
}

// until counts a connection by HTTP/3 for as long as ctx goes on; false: there is no room.
func (c *Crowd) until(ctx context.Context, at net.Addr) bool {
	free := c.enter(at)
	if free != nil {
		context.AfterFunc(ctx, free)
	}
	return free != nil
}

// few is the part of a limit up to which connections by HTTP/3 are counted whose clients have not shown that they are at their addresses:
// anybody can write another's into a packet.
const few = 8

// doubts says whether a client by HTTP/3 shall show first that it is at its address (RFC 9000, 8.1.2), which costs it a round trip.
func (c *Crowd) doubts(at net.Addr) bool {
	if c == nil {
		return false
	}
	s := c.server()
	from := clientOf(at, s.TrustedProxies)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open >= c.most(&s.Limits)/few || from.IsValid() && c.from[from] >= s.Limits.PerAddress/few
}
