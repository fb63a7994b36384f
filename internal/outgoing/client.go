package outgoing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// Options of New. Zero values are the defaults.
type Options struct {
	// Private are addresses, as https://host:port, that the operator has named himself: they may be private or of this
	// machine. Those at which cloud providers keep the keys of a machine are refused even then, link-local ones among them.
	Private []string
	Timeout time.Duration  // of a request with its answer; default 10 s
	Body    int64          // the most bytes of an answer; default 1 MB
	Roots   *x509.CertPool // whose certificates are believed; nil: the system's
}

// New makes a client.
func New(o Options) *http.Client {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Body <= 0 {
		o.Body = 1 << 20
	}
	d := dialer{}
	for _, address := range o.Private {
		if host := hostPort(address); host != "" {
			d.private = append(d.private, host)
		}
	}
	return &http.Client{
		Timeout: o.Timeout,
		Transport: bounded{body: o.Body, next: &http.Transport{
			DialContext:            d.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
			TLSHandshakeTimeout:    o.Timeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           20,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// hostPort is where a URL leads, with the port that its scheme implies; "" when it leads nowhere.
func hostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	case u.Scheme == "http":
		port = "80"
	default:
		return ""
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// ErrAddress is that an address is none that may be asked.
var ErrAddress = errors.New("the address is not of the public internet")

type dialer struct{ private []string }

// dial connects to an address that may be asked: it is looked at when it is known, so a name that leads elsewhere the second
// time is of no use.
func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	named := slices.Contains(d.private, address)
	at := net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if ip := to.Addr(); !public(ip) && !(named && own(ip)) {
			return fmt.Errorf("%w: %s", ErrAddress, ip)
		}
		return nil
	}}
	return at.DialContext(ctx, network, address)
}

// own says whether an address may be one of the operator's own servers.
func own(ip netip.Addr) bool {
	ip = ip.Unmap()
	return !slices.Contains(metadata, ip) && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast() && ip != broadcast
}

// metadata is where clouds keep the keys of a machine at addresses that are not link-local: Amazon's and Google's of IPv6, Alibaba's,
// and Azure's, which is one of the public internet
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html,
// https://cloud.google.com/compute/docs/metadata/querying-metadata, https://learn.microsoft.com/en-us/azure/virtual-network/what-is-ip-address-168-63-129-16).
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16")}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// special are the ranges that the IANA registries of special-purpose addresses (RFC 6890 and those that update it) say are not
// globally reachable, and those that carry an IPv4 address inside.
var special = func() []netip.Prefix {
	var list []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// public says whether an address is one of the public internet.
func public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" {
		return false
	}
	if ip = ip.Unmap(); slices.Contains(metadata, ip) {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// bounded ends answers that are too long.
type bounded struct {
	next http.RoundTripper
	body int64
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.ContentLength > b.body {
		_ = res.Body.Close()
		return nil, fmt.Errorf("%w: %d", ErrTooLarge, b.body)
	}
	res.Body = &limited{res.Body, b.body}
	return res, nil
}

// ErrTooLarge is that an answer has more bytes than are read.
var ErrTooLarge = errors.New("the answer has more bytes than are read")

type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, ErrTooLarge
	}
	return n, err
}
