package plinth

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/bluell/plinth/internal/certs"
	"github.com/bluell/plinth/internal/serve"
	"github.com/bluell/plinth/internal/telemetry"
	"github.com/bluell/plinth/spec"
)

// defaultListen is where an app without certificates is served.
const defaultListen = "127.0.0.1:8080"

// certified is where the certificates of an app come from.
type certified struct {
	source certs.Source
	ends   func() []certs.Expiry // of what is served
	keep   func(context.Context) // obtains, renews, reads again, until its context ends
	close  func()                // for what was never kept; may be nil
	of     string                // the settings that it is made of
	end    context.CancelFunc    // of keep
}

// https are the certificates while an app is served: a reload may put others in place.
type https struct {
	mu    sync.Mutex
	now   *certified                // nil: the app is served without
	begin func(c *certified) func() // starts to keep; nil: the listeners do not answer yet
	third func(context.Context)     // answers by HTTP/3; nil: that is not wanted
}

// secured says whether an app is served by https.
func secured(s spec.Server) bool { return len(s.Domains) > 0 || s.TLS.Cert != "" }

// settings are those by which certificates are others.
func settings(s spec.Server) string {
	a := s.ACME
	text := fmt.Sprintf("%q %q %q %q %q %q %q", s.Domains, s.TLS.Cert, s.TLS.Key, a.Issuer, a.Roots, a.Email, a.Account)
	if a.Fallback != nil {
		text += fmt.Sprintf(" %q %q %q", a.Fallback.URL, a.Fallback.Roots, a.Fallback.Account)
	}
	return text
}

// certify prepares the certificates of an app that has some.
func (p *Plinth) certify(ctx context.Context, app *spec.App) (*certified, error) {
	c := &certified{of: settings(app.Server)}
	if app.Server.TLS.Cert != "" {
		f, err := certs.OpenFiles(p.dir, app.Server, p.o.log)
		if err != nil {
			return nil, err
		}
		c.source, c.ends, c.keep = f, f.Expiries, f.Keep
		return c, nil
	}
	m, err := certs.Manage(certs.Options{Dir: p.dir, Server: app.Server, DB: p.DB, Log: p.o.log})
	if err != nil {
		return nil, err
	}
	c.source, c.ends, c.keep, c.close = m, m.Expiries, m.Keep, m.Close
	return c, nil
}

// source is where certificates come from at the moment.
func (h *https) source() certs.Source {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now.source
}

// put serves with other certificates.
func (h *https) put(c *certified) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.now
	h.now = c
	if h.begin != nil {
		if old != nil {
			old.end()
		}
		c.end = h.begin(c)
	} else if old != nil && old.close != nil {
		old.close()
	}
}

// answered begins what needs listeners that answer.
func (h *https) answered(ctx context.Context, beside *sync.WaitGroup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil {
		return
	}
	h.begin = func(c *certified) func() {
		ctx, cancel := context.WithCancel(ctx)
		beside.Go(func() { c.keep(ctx) })
		return cancel
	}
	h.now.end = h.begin(h.now)
	if h.third != nil {
		beside.Go(func() { h.third(ctx) })
	}
}

// expiries tells when the certificates end that are served.
func (h *https) expiries() (all []telemetry.Certificate) {
	h.mu.Lock()
	now := h.now
	h.mu.Unlock()
	if now == nil {
		return nil
	}
	for _, e := range now.ends() {
		all = append(all, telemetry.Certificate{Domain: e.Name, Expires: e.At})
	}
	return all
}

// ended is when the app is no longer served.
func (h *https) ended() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now != nil && h.now.close != nil {
		h.now.close()
	}
	h.now, h.begin = nil, nil
}

// listeners are where the app is served, the first one for people.
func (p *Plinth) listeners(ctx context.Context, l Listening, door http.Handler) ([]serve.Listener, error) {
	server := p.App().Server
	app := serve.Listener{Name: "app", Address: cmp.Or(l.Listen, defaultListen), Handler: door, Crowd: p.crowd}
	switch {
	case l.TLS:
		host, _, _ := net.SplitHostPort(app.Address)
		local, err := certs.OpenLocal(filepath.Join(p.dir, "data"), host)
		if err != nil {
			return nil, err
		}
		app.TLS, app.Handler = certs.Config(func() certs.Source { return local }), forgetful(door)
		p.o.tell("https is by this folder's own authority: trust " + local.Root + " in your browser, or say curl --cacert " + local.Root)
		return []serve.Listener{app}, nil
	case p.o.dev || !l.does("api") || !secured(server):
		return []serve.Listener{app}, nil
	}
	c, err := p.certify(ctx, p.App())
	if err != nil {
		return nil, err
	}
	if m, is := c.source.(*certs.Managed); is {
		m.Load(ctx)
	}
	p.https.put(c)
	_, port, _ := net.SplitHostPort(server.HTTPS)
	secure := serve.Listener{Name: "https", Address: server.HTTPS, TLS: certs.Config(p.https.source), Handler: door, Crowd: p.crowd}
	if server.HTTP3 {
		third := &serve.HTTP3{Address: server.HTTPS, Port: portOf(server.URL), TLS: certs.Config(p.https.source), Handler: door, Limits: server.Limits, Crowd: p.crowd, Log: p.o.log}
		secure.Handler = third.Beside(door)
		p.https.third = third.Run
	}
	all := []serve.Listener{
		secure,
		{Name: "http", Address: server.HTTP, Handler: certs.Plain(p.https.source, port, server.Limits, p.doors, p.o.log), Crowd: p.crowd},
	}
	if l.Listen != "" {
		all = append(all, app)
	}
	return all, nil
}

// portOf is the port of an address of https as clients see it; 0 where it says nothing.
func portOf(address string) int {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0
	}
	return port
}

// forgetful lets the app answer as if it were asked without TLS: a browser that was told to ask localhost by https alone, for a
// year, would find nothing else there any more.
func forgetful(door http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plain := *r
		plain.TLS = nil
		door.ServeHTTP(w, &plain)
	})
}

// public is what to call the app where it is served by https: under its name, not at the address of a listener.
func (p *Plinth) public(url string) string {
	server := p.App().Server
	if p.o.dev || !secured(server) || len(server.Domains) == 0 {
		return url
	}
	_, port, _ := net.SplitHostPort(server.HTTPS)
	if port == "0" {
		_, port, _ = net.SplitHostPort(strings.TrimPrefix(url, "https://"))
	}
	if port == "443" {
		return "https://" + server.Domains[0]
	}
	return "https://" + net.JoinHostPort(server.Domains[0], port)
}

// recertify prepares the certificates of an app that is about to be served; nil when they stay. The listeners stay in any case.
func (p *Plinth) recertify(ctx context.Context, app *spec.App) (*certified, error) {
	p.https.mu.Lock()
	now := p.https.now
	p.https.mu.Unlock()
	old := p.App().Server
	if s := app.Server; secured(s) != secured(old) || s.HTTP != old.HTTP || s.HTTPS != old.HTTPS {
		p.o.log.Warn("the addresses of https have changed: they are taken when the process is replaced (plinth reload) or started again")
	}
	if now == nil || !secured(app.Server) || now.of == settings(app.Server) {
		return nil, nil
	}
	return p.certify(ctx, app)
}
