package spec

import (
	"encoding/base64"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sections reads the parts of the app that are not collections. A section stands in one file.
func (l *loader) sections(parts []part) {
	all := section{shape: appShape, values: map[string]*node{}}
	for _, p := range parts {
		for _, k := range p.section.keys {
			n := p.section.values[k.text]
			if n == nil || k.text == "collections" || k.text == "tests" { // each file may have some
				continue
			}
			if other := all.values[k.text]; other != nil {
				l.report(k, "duplicate", "%s stands in %s already", k.text, other.src.name)
				continue
			}
			all.values[k.text] = n
		}
	}
	sub := func(name string, s *shape) section {
		if n := all.values[name]; n != nil {
			return l.section(n, s)
		}
		return section{}
	}
	l.app.Name = "app"
	if n := all.values["name"]; n != nil {
		l.app.Name = strings.TrimSpace(n.text)
	}
	l.auth = sub("auth", authShape)
	l.planned = all.values["schedules"]
	l.channeled = all.values["channels"]
	l.server(sub("server", serverShape), all)
	l.mail(sub("mail", mailShape))
	l.storage(sub("files", filesShape))
	l.changes(sub("changes", changesShape))
}

func (l *loader) server(s section, all section) {
	v := &l.app.Server
	if s.node != nil {
		v.Pos = s.node.pos()
	}
	v.SPA = s.bool("spa") || all.bool("spa")
	v.URL = strings.TrimSuffix(s.text("url"), "/")
	if n := s.values["url"]; n != nil && !webAddress(n.text, false) {
		l.report(n, "value", "url is an address like https://app.example.com, not %s", n.show())
	}
	if n := s.values["domains"]; n != nil && len(n.list()) == 0 {
		l.report(n, "value", "domains is empty: name one, or remove it")
	}
	for _, n := range s.values["domains"].list() {
		if !domain().MatchString(n.text) || net.ParseIP(n.text) != nil {
			l.report(n, "value", "%s is not a domain like app.example.com", n.show())
			continue
		}
		name := strings.ToLower(n.text)
		if slices.Contains(v.Domains, name) {
			l.report(n, "duplicate", "%s is there already", n.show())
			continue
		}
		v.Domains = append(v.Domains, name)
	}
	if n := s.values["tls"]; n != nil {
		t := l.section(n, tlsShape)
		v.TLS = TLS{Cert: l.path(t, "cert"), Key: l.path(t, "key"), CertPos: t.where("cert"), KeyPos: t.where("key"), CertShown: t.shown("cert"), KeyShown: t.shown("key")}
		if len(v.Domains) > 0 {
			l.report(n, "conflict", "tls does not go with domains: a certificate of one's own, or certificates by ACME")
		}
	}
	if n := s.values["acme"]; n != nil {
		a := l.section(n, acmeShape)
		first := l.acmeIssuer(a)
		v.ACME = ACME{Issuer: first.URL, Roots: first.Roots, Email: a.text("email"), Account: first.Account, RootsPos: first.RootsPos}
		if f := a.values["fallback"]; f != nil {
			second := l.acmeIssuer(l.section(f, fallbackShape))
			v.ACME.Fallback = &second
		}
		if i := a.values["email"]; i != nil && !address(i.text) {
			l.report(i, "value", "email is an e-mail address, not %s", i.show())
		}
		if len(v.Domains) == 0 && s.get("domains") == nil {
			l.report(n, "required", "acme is for domains: add domains: [app.example.com]")
		}
	}
	v.HTTP, v.HTTPS = l.listen(s, "http"), l.listen(s, "https")
	if len(v.Domains) > 0 || v.TLS.Cert != "" {
		if v.HTTP == "" {
			v.HTTP = ":80"
		}
		if v.HTTPS == "" {
			v.HTTPS = ":443"
		}
	} else if n := s.values["https"]; n != nil && s.get("domains") == nil && s.get("tls") == nil {
		l.report(n, "required", "https needs a certificate: add domains or tls")
	}
	if v.HTTP3 = s.bool("http3"); v.HTTP3 && s.get("domains") == nil && s.get("tls") == nil {
		l.report(s.values["http3"], "required", "http3 needs a certificate: add domains or tls")
	}
	if n := s.values["http"]; v.HTTP != "" && v.HTTPS == "" && s.get("domains") == nil && s.get("tls") == nil && s.get("https") == nil {
		p := n.pos()
		l.app.Notes = append(l.app.Notes, Problem{p.File, p.Line, p.Column, "idle", "http has no effect without domains or tls: an app without a certificate is served at --listen", ""})
	}
	if n := s.values["cors"]; n != nil {
		l.cors(l.section(n, corsShape))
	}
	l.limits(s)
	for _, n := range s.values["trustedProxies"].list() {
		p, ok := prefix(n.text)
		if !ok {
			l.report(n, "value", "%s is not an address or a range like 10.0.0.0/8", n.show())
			continue
		}
		v.TrustedProxies = append(v.TrustedProxies, p)
	}
	if n := s.values["operator"]; n != nil {
		v.Operator.Listen = l.listen(l.section(n, operatorShape), "listen")
	}
	if v.HTTPS != "" {
		l.apart(s.values["https"], v.HTTPS, "http", v.HTTP)
		l.apart(s.values["operator"], v.Operator.Listen, "http", v.HTTP)
		l.apart(s.values["operator"], v.Operator.Listen, "https", v.HTTPS)
	}
}

// apart refuses an address, of the setting at n, that another listener has; port 0 is another each time.
func (l *loader) apart(n *node, address, name, other string) {
	if n != nil && address == other && !strings.HasSuffix(address, ":0") {
		l.report(n, "conflict", "%s is the address of %s already: give each one of its own", address, name)
	}
}

// acmeIssuer reads who issues certificates: acme itself, and its fallback.
func (l *loader) acmeIssuer(s section) (i Issuer) {
	i = Issuer{URL: s.text("issuer"), Roots: l.path(s, "roots"), RootsPos: s.where("roots")}
	if n := s.values["issuer"]; n != nil && !webAddress(n.text, true) {
		l.report(n, "value", "issuer is an https address, not %s", n.show())
	}
	if n := s.values["account"]; n != nil {
		a := l.section(n, accountShape)
		i.Account = Account{ID: a.text("id"), Key: a.text("key")}
		for _, name := range []string{"id", "key"} {
			if v := a.values[name]; v != nil && v.text == "" {
				l.report(v, "value", "%s is empty", name)
			}
		}
		if v := a.values["key"]; v != nil && v.text != "" {
			if _, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(v.text, "=")); err != nil {
				l.report(v, "value", "key is in base64url, as issuers give it")
			}
		}
	}
	return i
}

// What can be meant by limits: less would refuse every request, and more would be none.
const (
	leastBody, mostBody       = 256, 1 << 30
	leastTimeout, mostTimeout = 100 * time.Millisecond, 7 * 24 * time.Hour
	mostRequests              = 1_000_000
)

func (l *loader) limits(s section) {
	v := &l.app.Server.Limits
	*v = Limits{Body: 1 << 20, Header: 16 << 10, Timeout: 30 * time.Second, Streams: 10_000, Connections: 50_000, PerAddress: 10_000}
	n := s.values["limits"]
	if n == nil {
		return
	}
	m := l.section(n, limitsShape)
	if body := m.size("body", v.Body); body < leastBody || body > mostBody {
		l.report(m.values["body"], "value", "body is from 256 to 1GB")
	} else {
		v.Body = body
	}
	header := m.size("header", int64(v.Header))
	if header < 1<<10 || header > 1<<20 {
		l.report(m.values["header"], "value", "header is from 1KB to 1MB")
	} else {
		v.Header = int(header)
	}
	if d, ok := durationOf(m.text("timeout")); ok {
		if d < leastTimeout || d > mostTimeout {
			l.report(m.values["timeout"], "value", "timeout is from 100ms to 7d")
		} else {
			v.Timeout = d
		}
	}
	if r, ok := rateOf(m.text("requests")); ok {
		if r.Count > mostRequests || r.Per < time.Second || r.Per > 24*time.Hour {
			l.report(m.values["requests"], "value", "requests is up to 1000000 in a time from 1s to 1d")
		} else {
			v.Requests = r
		}
	}
	if v.Streams = m.int("streams", v.Streams); v.Streams < 1 || v.Streams > 1_000_000 {
		l.report(m.values["streams"], "value", "streams is from 1 to 1000000")
	}
	for name, to := range map[string]*int{"connections": &v.Connections, "connectionsPerAddress": &v.PerAddress} {
		if *to = m.int(name, *to); *to < 1 || *to > 1_000_000 {
			l.report(m.values[name], "value", "%s is from 1 to 1000000", name)
		}
	}
}

func (l *loader) cors(s section) {
	v := &l.app.Server.CORS
	v.Credentials = s.bool("credentials")
	for _, n := range s.values["origins"].list() {
		switch {
		case n.text == "*" && v.Credentials:
			l.report(n, "conflict", "* does not go with credentials: name the origins")
			continue
		case n.text != "*" && !origin(n.text):
			l.report(n, "value", "%s is not an origin like https://app.example.com: as browsers write it, without a path, a pattern and the port that is the scheme's own", n.show())
			continue
		}
		v.Origins = append(v.Origins, n.text)
	}
}

func (l *loader) mail(s section) {
	v := &l.app.Mail
	if s.node != nil {
		v.Pos = s.node.pos()
	}
	v.From, v.SMTP = s.text("from"), s.text("smtp")
	if n := s.values["from"]; n != nil {
		if _, err := mail.ParseAddress(n.text); err != nil {
			l.report(n, "value", "from is a sender like Agency <hello@example.com>, not %s", n.show())
		}
	}
	if n := s.values["smtp"]; n != nil && n.text != "" {
		if why := smtpAddress(n.text); why != "" {
			l.report(n, "value", "%s", why)
		}
		if s.get("from") == nil {
			l.report(n, "required", "from is missing: whom mails are from")
		}
	}
}

// smtpAddress says what is wrong with the address of a mail server, without repeating it: there is a password in it.
func smtpAddress(s string) string {
	const form = "smtp is an address like smtp://user:password@host:587 or smtps://host"
	u, err := url.Parse(s)
	if err != nil {
		return form + "; in a user and a password @ : / ? # and % are written %40 %3A %2F %3F %23 and %25"
	}
	if u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return form
	}
	if _, set := u.User.Password(); u.User != nil && (u.User.Username() == "" || !set) {
		return form + ": a user has a password"
	}
	q, err := url.ParseQuery(u.RawQuery)
	for name, values := range q {
		if name != "tls" || len(values) != 1 || values[0] != "offered" && values[0] != "required" && values[0] != "never" {
			return "behind the ? of smtp stands tls=offered, tls=required or tls=never"
		}
	}
	switch {
	case err != nil:
		return form
	case len(q) > 0 && u.Scheme == "smtps":
		return "tls does not go with smtps, which is TLS from the first byte"
	}
	return ""
}

// storage reads the files section: files: {store: disk}, or files: {s3: {…}}.
func (l *loader) storage(s section) {
	v := &l.app.Files
	v.Store = "disk"
	n := s.values["s3"]
	switch store := s.values["store"]; {
	case n != nil && store != nil && store.text == "disk":
		l.report(store, "conflict", "store: disk does not go with s3: remove one of the two")
	case n == nil && store != nil && store.text == "s3" && s.get("s3") == nil:
		l.report(store, "required", "s3 is missing: {endpoint, bucket, key, secret}")
	}
	if n == nil {
		return
	}
	b := l.section(n, s3Shape)
	v.Store = "s3"
	v.S3 = S3{Endpoint: b.text("endpoint"), Bucket: b.text("bucket"), Key: b.text("key"), Secret: b.text("secret")}
	if e := b.values["endpoint"]; e != nil && !webAddress(e.text, false) {
		l.report(e, "value", "endpoint is an http or https address, not %s", e.show())
	}
	for _, name := range []string{"bucket", "key", "secret"} {
		if e := b.values[name]; e != nil && e.text == "" {
			l.report(e, "value", "%s is empty", name)
		}
	}
}

// changes reads how long the log goes back.
func (l *loader) changes(s section) {
	v := &l.app.Changes
	*v = Changes{Keep: 24 * time.Hour, Most: 1_000_000}
	if n := s.values["keep"]; n != nil {
		if d, ok := durationOf(n.text); ok && d >= time.Minute {
			v.Keep = d
		} else if ok {
			l.report(n, "value", "keep is at least 1m: a live list that was cut off would always begin anew")
		}
	}
	v.Most = int64(s.int("most", int(v.Most)))
	if v.Most < 1000 {
		l.report(s.values["most"], "value", "most is at least 1000")
	}
}

// path reads the name of a file: absolute, or inside the folder.
func (l *loader) path(s section, name string) string {
	n := s.values[name]
	if n == nil {
		return ""
	}
	if n.text == "" || !filepath.IsAbs(n.text) && !filepath.IsLocal(n.text) {
		l.report(n, "value", "%s is a file in the folder, or an absolute path, not %s", name, n.show())
	}
	return path.Clean(n.text)
}

// listen reads an address to listen on.
func (l *loader) listen(s section, name string) string {
	n := s.values[name]
	if n == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(n.text)
	_, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || strings.ContainsAny(host, " /") {
		l.report(n, "value", "%s is an address like 127.0.0.1:9090 or :443, not %s", name, n.show())
		return ""
	}
	return n.text
}

var domain = pattern(`(?i)^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// webAddress says whether s is an http or https address without a query; with secure, one of
// https, or of this machine.
func webAddress(s string, secure bool) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || !port(u) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	ip, _ := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || ip.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && (!secure || local)
}

// origin says whether s is an origin (RFC 6454): scheme and host, and a port where it is not the scheme's own.
func origin(s string) bool {
	u, err := url.Parse(s)
	own := map[string]string{"http": "80", "https": "443"}
	return err == nil && own[u.Scheme] != "" && u.Hostname() != "" && !strings.Contains(u.Host, "*") && u.Scheme+"://"+u.Host == s &&
		u.Port() != own[u.Scheme] && port(u)
}

// port says whether the port of an address is one, if it has any.
func port(u *url.URL) bool {
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" && !strings.HasSuffix(u.Host, ":") || err == nil && n > 0
}

func address(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// prefix reads an address or a range of them.
func prefix(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), a.Zone() == ""
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil
}
