package certs

import (
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

var (
	inClear = fault.New(fault.Denied, "the API is answered by https alone: what was sent with this request was sent in clear, so change a password or a key that was in it")
	notHere = fault.New(fault.NotFound, "this server has no such name")
	noPage  = fault.New(fault.Denied, "this is answered by https alone")
)

// Plain is the handler of the http listener beside an https one. It answers what issuers of certificates ask, leads who asks for a
// page to https, under a name that the app has and never under one that a request has invented, and refuses the API: a
// redirect would hide that credentials are sent in clear, each time anew. Nothing else is served.
//
// port is where https answers, load what is shared with it.
func Plain(source func() Source, port string, limits spec.Limits, load *web.Load, log *slog.Logger) http.Handler {
	if port == "443" {
		port = ""
	}
	plain := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostOf(r.Host)
		has := source().Has(name)
		switch {
		case has && strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/"):
			if !source().Challenge(w, r) {
				web.Problem(w, r, notHere)
			}
		case r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/"):
			web.Problem(w, r, inClear)
		case !has || !strings.HasPrefix(r.URL.Path, "/"):
			web.Problem(w, r, notHere)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			web.Problem(w, r, noPage)
		default:
			if port != "" {
				name = net.JoinHostPort(name, port)
			}
			w.Header().Set("Location", "https://"+name+r.URL.RequestURI())
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusPermanentRedirect)
		}
	})
	return web.Observed(plain, spec.Server{Limits: limits}, load, nil, log, nil)
}

// hostOf is the name in a Host header.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return plainName(strings.Trim(host, "[]"))
}
