package auth

import (
	"net/http"
	"net/netip"
	"strings"
)

// hopsOf are those for whom a request was forwarded, the nearest last: by X-Forwarded-For or, where there is none, by Forwarded
// (RFC 7239). Not both: a proxy writes one of them, and what a client has put into the other goes through it.
func hopsOf(r *http.Request) (hops []string) {
	if lines := r.Header["X-Forwarded-For"]; len(lines) > 0 {
		return strings.Split(strings.Join(lines, ","), ",")
	}
	for _, element := range split(strings.Join(r.Header["Forwarded"], ","), ',') {
		hop := "" // what names nobody is a hop too: nothing further left counts
		for _, pair := range split(element, ';') {
			if name, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && strings.EqualFold(name, "for") {
				hop = unquote(value)
			}
		}
		hops = append(hops, hop)
	}
	return hops
}

// hopAddress reads a hop: an address, which may have a port; one of IPv6 stands in brackets then (RFC 7239, 6).
func hopAddress(hop string) (netip.Addr, bool) {
	hop = strings.TrimSpace(hop)
	if at, err := netip.ParseAddrPort(hop); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(hop, "["); ok {
		if hop, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(hop)
	return addr.Unmap().WithZone(""), err == nil
}

// split cuts at a separator that is not within quotes (RFC 9110, 5.6.4).
func split(s string, separator byte) (parts []string) {
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:])
}

// unquote reads a token or a quoted string.
func unquote(s string) string {
	inner, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return s
	}
	inner, ok = strings.CutSuffix(inner, `"`)
	if !ok || strings.ContainsAny(inner, `"\`) { // no address has either
		return ""
	}
	return inner
}
