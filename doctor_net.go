package plinth

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/internal/certs"
	"github.com/bluell/plinth/internal/mail"
	"github.com/bluell/plinth/internal/oidc"
	"github.com/bluell/plinth/internal/outgoing"
	"github.com/bluell/plinth/internal/serve"
)

// askTime is how long the answer of one other is waited for.
const askTime = 5 * time.Second

// addresses looks at the servers that run here, and whether the addresses are free that none of them has.
func (d *examiner) addresses() {
	ctx, cancel := context.WithTimeout(d.ctx, askTime)
	defer cancel()
	running := serve.Running(ctx, filepath.Join(d.dir, "data"))
	d.served = len(running) > 0
	for _, p := range running {
		switch {
		case p.Err != nil:
			d.Say("server", Consider, "process %d serves this app as another user, and cannot be asked: run this as that user", p.PID)
		case len(p.Listeners) == 0:
			d.Say("server", Consider, "process %d serves this app, and does not tell where: it is older than this program, or does not answer", p.PID)
		default:
			d.ready(ctx, &p)
		}
	}
	if !d.served {
		d.Say("server", Consider, "no server of this app runs here")
	}
	for name, address := range d.wanted() {
		if d.listens(running, name, address) {
			continue
		}
		if err := serve.Free(name, address); err != nil {
			d.Say("address", Wrong, "%s: %s", name, err)
		} else {
			d.Say("address", Good, "%s is free for %s", address, name)
		}
	}
}

// wanted are the listeners that a server of the app would have.
func (d *examiner) wanted() func(yield func(name, address string) bool) {
	s := d.app.Server
	return func(yield func(name, address string) bool) {
		if secured(s) {
			if !yield("https", s.HTTPS) || !yield("http", s.HTTP) {
				return
			}
		}
		if (!secured(s) || d.Listen != "") && !yield("app", cmp.Or(d.Listen, defaultListen)) {
			return
		}
		if s.Operator.Listen != "" {
			yield("operator", s.Operator.Listen)
		}
	}
}

// listens says whether a server that runs has a listener already: that of the app at any address, others at theirs.
func (d *examiner) listens(running []serve.Process, name, address string) bool {
	_, port, _ := net.SplitHostPort(address)
	return slices.ContainsFunc(running, func(p serve.Process) bool {
		u, err := url.Parse(p.Listeners[name])
		return p.Listeners[name] != "" && err == nil && (name == "app" || u.Port() == port || port == "0")
	})
}

// ready asks a server whether it can do its work.
func (d *examiner) ready(ctx context.Context, p *serve.Process) {
	for _, name := range []string{"https", "http", "app", "operator"} {
		at := p.Listeners[name]
		if at == "" {
			continue
		}
		where := fmt.Sprintf("process %d, %s,", p.PID, at)
		if name == "http" { // it leads to https, and answers issuers: whatever it says
			if _, _, err := d.asksReady(ctx, at); err != nil {
				d.Say("server", Wrong, "%s does not answer: %v", where, err)
			} else {
				d.Say("server", Good, "%s leads to https", where)
			}
			continue
		}
		code, write, err := d.asksReady(ctx, at)
		switch {
		case err != nil:
			d.Say("server", Wrong, "%s does not answer: %v", where, err)
		case code != http.StatusOK:
			d.Say("server", Wrong, "%s is not ready (%d): its log says why", where, code)
		case !write:
			d.Say("server", Wrong, "%s can read but not write: is the disk full, or the database to be read alone?", where)
		default:
			d.Say("server", Good, "%s reads and writes", where)
		}
	}
}

// asksReady asks for /readyz, at this machine if the server listens at all of its addresses. By https any certificate will do: it is looked
// at by itself.
func (d *examiner) asksReady(ctx context.Context, at string) (code int, write bool, err error) {
	u, err := url.Parse(at)
	if err != nil {
		return 0, false, err
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("localhost", u.Port())
	}
	host := ""
	if len(d.app.Server.Domains) > 0 {
		host = d.app.Server.Domains[0]
	} else if public, err := url.Parse(d.app.Server.URL); err == nil {
		host = public.Hostname()
	}
	t := &http.Transport{TLSClientConfig: &tls.Config{ServerName: host, InsecureSkipVerify: true}}
	defer t.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String()+"/readyz", nil)
	if err != nil {
		return 0, false, err
	}
	if u.Scheme == "https" && host != "" {
		r.Host = host
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := (&http.Client{Transport: t, Timeout: askTime, CheckRedirect: stay}).Do(r)
	if err != nil {
		return 0, false, err
	}
	defer res.Body.Close()
	var said struct{ Write bool }
	_ = json.NewDecoder(res.Body).Decode(&said)
	return res.StatusCode, said.Write, nil
}

// others are asked whether they can be reached from here.
func (d *examiner) others() {
	d.names()
	d.mails()
	d.providers()
	d.issuer()
}

// names looks whether the app's names lead here.
func (d *examiner) names() {
	all := slices.Clone(d.app.Server.Domains)
	if u, err := url.Parse(d.app.Server.URL); err == nil && u.Hostname() != "" && net.ParseIP(u.Hostname()) == nil && !slices.Contains(all, u.Hostname()) {
		all = append(all, u.Hostname())
	}
	own := map[string]bool{}
	if addresses, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok {
				own[n.IP.String()] = true
			}
		}
	}
	for _, name := range all {
		ctx, cancel := context.WithTimeout(d.ctx, askTime)
		found, err := net.DefaultResolver.LookupHost(ctx, name)
		cancel()
		switch {
		case err != nil:
			d.Say("name", Wrong, "%s leads nowhere (%v): add an A or AAAA record for it", name, err)
		case slices.ContainsFunc(found, func(a string) bool { return own[a] }):
			d.Say("name", Good, "%s leads here (%s)", name, strings.Join(found, ", "))
		case slices.Contains(d.app.Server.Domains, name):
			d.Say("name", Consider, "%s leads to %s, which is no address of this machine: that is right only where ports 80 and 443 of it are led here", name, strings.Join(found, ", "))
		default:
			d.Say("name", Good, "%s leads to %s", name, strings.Join(found, ", "))
		}
	}
}

// mails goes as far with the server that takes mails as before a mail.
func (d *examiner) mails() {
	if d.app.Mail.SMTP == "" {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, 2*askTime)
	defer cancel()
	last := ""
	err := mail.Reach(ctx, d.app.Mail, func(format string, args ...any) { last = fmt.Sprintf(format, args...) })
	if err != nil {
		d.Say("mail", Wrong, "%s: see mail.smtp; plinth mail test tries it with a mail", err)
		return
	}
	d.Say("mail", Good, "%s", last)
}

// providers asks those with whom people sign in, and those whose tokens are trusted, what they say of themselves.
func (d *examiner) providers() {
	for _, conf := range d.app.Auth.Providers {
		p, err := oidc.New(conf, oidc.Options{Clock: d.o.clock})
		issuer := ""
		if err == nil {
			ctx, cancel := context.WithTimeout(d.ctx, askTime)
			issuer, err = p.Reach(ctx)
			cancel()
		}
		switch {
		case err != nil:
			d.Say("provider", Wrong, "%s: %s", conf.Name, err)
		case issuer == "":
			d.Say("provider", Good, "%s says nothing of itself that could be asked for", conf.Name)
		default:
			d.Say("provider", Good, "%s is %s, and answers", conf.Name, issuer)
		}
	}
}

// issuer asks who issues certificates for its directory (RFC 8555, 7.1.1).
func (d *examiner) issuer() {
	s := d.app.Server
	if len(s.Domains) == 0 {
		return
	}
	at := cmp.Or(s.ACME.Issuer, certs.LetsEncrypt)
	roots, err := certs.Roots(d.dir, s.ACME)
	if err != nil {
		d.Say("issuer", Wrong, "%s", err)
		return
	}
	client := outgoing.New(outgoing.Options{Timeout: askTime, Private: []string{at}, Roots: roots})
	r, err := http.NewRequestWithContext(d.ctx, http.MethodGet, at, nil)
	var res *http.Response
	if err == nil {
		res, err = client.Do(r)
	}
	if err != nil {
		d.Say("issuer", Wrong, "%s cannot be reached: %v", at, err)
		return
	}
	defer res.Body.Close()
	var directory struct{ NewOrder string }
	_ = json.NewDecoder(res.Body).Decode(&directory)
	d.Either("issuer", directory.NewOrder != "", at+" answers", Wrong, fmt.Sprintf("%s answers %d, and no directory: see server.acme.issuer", at, res.StatusCode))
}
