package auth

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// refused is the answer to every credential that is not good, whatever is wrong with it.
var refused = fault.New(fault.Unauthenticated, "the credential is not valid")

// Caller says who makes a request. Without a credential he is nobody, known by his address. A
// credential that is not good is an error (fault.Unauthenticated), on open routes too. Credentials
// stand in the Authorization header, which beats the cookie, or in the cookie, and nowhere else: not in the address.
func (g *Gate) Caller(r *http.Request) (data.Caller, error) {
	if len(r.Header["Authorization"]) == 0 && (g.people == nil || len(r.Header["Cookie"]) == 0) {
		return g.stranger(r), nil
	}
	p, err := g.pass(r)
	if err != nil {
		return data.Caller{}, err
	}
	switch {
	case g.lacks(p) && p.caller.Operator:
		return data.Caller{}, bareOperator
	case g.lacks(p):
		return data.Caller{}, lacksFactor
	}
	return p.caller, nil
}

func (g *Gate) stranger(r *http.Request) data.Caller {
	return data.Caller{Scope: "address:" + network(g.address(r))}
}

// pass is what a request shows; of one that shows nothing it has no session.
func (g *Gate) pass(r *http.Request) (*pass, error) {
	lines := r.Header["Authorization"]
	if len(lines) == 0 {
		text, ok := g.cookie.in(r)
		if !ok {
			return &pass{caller: g.stranger(r)}, nil
		}
		return g.find(r.Context(), text)
	}
	text, ok := bearer(lines)
	if !ok {
		return nil, refused
	}
	return g.find(r.Context(), text)
}

// bearer reads the one Authorization header (RFC 6750; the scheme in any case, RFC 9110 11.1).
func bearer(lines []string) (string, bool) {
	if len(lines) != 1 {
		return "", false
	}
	scheme, rest, ok := strings.Cut(lines[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.Trim(rest, " "), true
}

// Address is the address that a request comes from. What is forwarded counts only as far as it was
// written by proxies of the app file: it is read from the right, and the first address that is no
// such proxy is the client's. What stands further left is what the client claims.
func Address(r *http.Request, proxies spec.Proxies) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if len(proxies) == 0 || !trusted(host, proxies) {
		return host
	}
	hops := hopsOf(r)
	for i := len(hops) - 1; i >= 0; i-- {
		addr, ok := hopAddress(hops[i])
		if !ok {
			break
		}
		host = addr.String()
		if !trusted(host, proxies) {
			break
		}
	}
	return host
}

func trusted(host string, proxies spec.Proxies) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && proxies.Has(addr)
}

// As is somebody with a role of the app, for people who ask what such a one could do. "" is nobody,
// "operator" is an operator unless the app has a role of that name.
func As(app *spec.App, role string) (data.Caller, error) {
	switch {
	case role == "":
		return data.Caller{}, nil
	case hasRole(app, role):
		return data.Caller{SignedIn: true, Role: role, Scope: "role:" + role}, nil
	case role == "operator":
		return data.Caller{SignedIn: true, Operator: true, Scope: "role:operator"}, nil
	}
	return data.Caller{}, noRole(app, role)
}
