package spec

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/expr"
)

// defaultUsers is where users live unless auth.collection says otherwise.
const defaultUsers = "users"

// defaultRole is the one role of an app that names none.
const defaultRole = "user"

// exposable are the fields of a user that only the user and operators read, unless they are in
// auth.expose.
var exposable = []string{"email", "verified", "role"}

// users reads the auth section, makes the collection where users live if it is not declared, and
// gives it what sign-in needs. People can sign in where there is an auth section, or where
// something refers to users and nobody declared them.
func (l *loader) users() {
	l.authSection()
	a := &l.app.Auth
	c, declared := l.app.byName[a.Collection]
	if !declared && !a.On {
		for _, d := range l.drafts {
			a.On = a.On || slices.ContainsFunc(d.fields, func(fd *fieldDraft) bool { return fd.s.text("to") == defaultUsers })
		}
	}
	if !a.On {
		if !declared {
			a.Collection = ""
		}
		return
	}
	if len(l.app.Roles) == 0 {
		l.app.Roles = []string{defaultRole}
	}
	var d *draft
	if declared {
		d = l.drafts[slices.IndexFunc(l.drafts, func(d *draft) bool { return d.c == c })]
	} else {
		at := Pos{File: FileName, Line: 1, Column: 1}
		if l.auth.node != nil {
			at = l.auth.pos()
		}
		c = &Collection{Name: a.Collection, Label: "email", Made: true, Pos: at, byName: map[string]*Field{}}
		d = &draft{c: c}
		addBase(c)
		l.app.Collections = append(l.app.Collections, c)
		l.app.byName[c.Name] = c
		l.drafts = append(l.drafts, d)
	}
	c.Users = true
	l.userFields(d)
}

// userFields adds email, verified, role and disabled (and anonymous, where there are such users), or checks that the declared ones
// can serve.
func (l *loader) userFields(d *draft) {
	c := d.c
	if f, ok := c.byName["password"]; ok {
		l.reportAt(f.Pos, "reserved", "", "password is kept by Plinth itself, out of reach: remove the field")
	}
	if f, ok := c.byName["mfa"]; ok {
		l.reportAt(f.Pos, "reserved", "", "auth.mfa is whether somebody signed in with a second factor: give the field another name")
	}
	email := l.userField(d, Field{Name: "email", Type: Email, CI: true, Unique: true, Personal: true, MaxLen: emailLen})
	if !email.Unique || !email.CI || email.Encrypted {
		l.reportAt(email.Pos, "option", "", "people sign in by email: it is unique: true, ci: true and not encrypted")
	}
	no := expr.BoolOf(false)
	l.userField(d, Field{Name: "verified", Type: Bool, Default: &no})
	made := Field{Name: "role", Type: Enum}
	for _, r := range l.app.Roles {
		made.Values = append(made.Values, EnumValue{Value: r})
		made.MaxLen = max(made.MaxLen, len(r))
	}
	first := expr.TextOf(l.app.Roles[0])
	made.Default = &first
	role := l.userField(d, made)
	for _, r := range l.app.Roles {
		if role.Type == Enum && !role.allows(r) {
			l.reportAt(role.Pos, "value", "", "the role "+quoted(r)+" is missing among the values of role: add it, or remove the field and Plinth makes it")
		}
	}
	if role.Default == nil {
		role.Default = &first
	}
	l.userField(d, Field{Name: "disabled", Type: Bool, Default: &no})
	if l.app.Auth.Anonymous > 0 {
		l.anonymousField(d, email, role)
	}
}

// userField finds a declared field and checks its type, or adds it.
func (l *loader) userField(d *draft, want Field) *Field {
	f, ok := d.c.byName[want.Name]
	if !ok {
		want.Made = true
		d.c.add(&want)
		return &want
	}
	if f.Type != want.Type && !l.broken[member{d.c.Name, f.Name}] {
		l.reportAt(f.Pos, "option", "", "the field "+f.Name+" of "+d.c.Name+" has type "+want.Type.String()+": change it, or remove it and Plinth makes it")
	}
	return f
}

// userRules closes what users must not change of themselves, and what nobody else reads, where
// the app has no rule of its own for that.
func (l *loader) userRules() {
	a := &l.app.Auth
	c, ok := l.app.byName[a.Collection]
	if l.system || !ok || !a.On {
		return
	}
	l.profile(c)
	a.RoleBy = l.compile(l.auth.values["roleBy"], c, expr.InWrite)
	for _, name := range exposable {
		f := c.byName[name]
		if f.Read == nil && !slices.Contains(a.Expose, name) {
			f.Read = l.own(c, "id == auth.id", expr.InRule)
		}
		if f.Write != nil || f.Set != nil {
			l.reportAt(f.Pos, "option", "", onlySignIn(name))
			continue
		}
		f.Write = l.own(c, "false", expr.InWrite)
		if name == "role" && a.RoleBy != nil {
			f.Write = a.RoleBy
		}
	}
	if f := c.byName["verified"]; f.Type == Bool && f.Default != nil && f.Default.Bool() {
		l.reportAt(f.Pos, "option", "", "nobody has proven his address when he becomes a user: remove default")
	}
	l.closed(c, "disabled", "false")
	if a.Anonymous > 0 {
		if f := c.byName["anonymous"]; f.Write != nil || f.Set != nil {
			l.reportAt(f.Pos, "option", "", onlySignIn("anonymous"))
		}
		l.closed(c, "anonymous", "id == auth.id")
	}
	a.Invite = l.compile(l.auth.values["invite"], c, expr.InWrite)
}

// onlySignIn says who changes a field of sign-in. With a rule of the app's own whoever it lets write would choose his address, say
// that it is proven, or give himself a role.
func onlySignIn(field string) string {
	if field == "role" {
		return "role is changed by operators, and by whom auth.roleBy lets: remove write and set, and write auth: {roleBy: …}"
	}
	return field + " is changed under /api/auth/, and by operators: remove write and set"
}

// own compiles a rule of Plinth's.
func (l *loader) own(c *Collection, src string, use expr.Use) *expr.Expr {
	e, err := expr.Compile(src, l.app.Env(), c.Name, use)
	if err != nil {
		l.reportAt(c.Pos, "rule", "", src+": "+err.Error())
	}
	return e
}

// authSection reads everything of the auth section but roleBy and invite, which need the fields.
func (l *loader) authSection() {
	a := &l.app.Auth
	*a = Auth{Collection: defaultUsers, Register: "closed", Verify: "required", Password: Password{MinLength: 15},
		Sessions: Sessions{Idle: 14 * 24 * time.Hour, Longest: 90 * 24 * time.Hour}}
	if url := l.app.Server.URL; domainOf(url) != "" {
		a.Passkeys = Passkeys{Domain: domainOf(url), Origins: []string{originOf(url)}}
	}
	if l.auth.node == nil {
		return
	}
	s := l.auth
	a.On = true
	if n := s.values["collection"]; n != nil && l.name(n, "a collection", slices.Concat(reservedCollections, reservedWords)...) {
		a.Collection = n.text
	}
	for _, n := range s.values["roles"].list() {
		switch {
		case !l.name(n, "a role"):
		case n.text == "operator":
			l.report(n, "reserved", "%s is no role of an app: an operator passes every rule; give the role another name", n.show())
		case slices.Contains(l.app.Roles, n.text):
			l.report(n, "duplicate", "the role %s stands twice", n.show())
		default:
			l.app.Roles = append(l.app.Roles, n.text)
		}
	}
	if n := s.values["roles"]; n != nil && len(n.list()) == 0 {
		l.report(n, "value", "roles is empty: there is at least one")
	}
	if w := s.text("register"); w != "" {
		a.Register = w
	}
	if w := s.text("verify"); w != "" {
		a.Verify = w
	}
	for _, n := range s.values["expose"].list() {
		if !slices.Contains(exposable, n.text) {
			l.suggest(n, exposable, "value", "%s is not one of %s", n.show(), strings.Join(exposable, " "))
			continue
		}
		a.Expose = append(a.Expose, n.text)
	}
	if n := s.values["password"]; n != nil {
		p := l.section(n, passwordShape)
		a.Password.MinLength = p.int("minLength", a.Password.MinLength)
		if a.Password.MinLength < 8 || a.Password.MinLength > 64 {
			l.report(p.values["minLength"], "value", "minLength is from 8 to 64")
		}
	}
	if n := s.values["sessions"]; n != nil {
		l.sessions(l.section(n, sessionsShape))
	}
	if n := s.values["mfa"]; n != nil {
		for _, n := range l.section(n, mfaShape).values["required"].list() {
			roles := l.app.Roles
			if len(roles) == 0 {
				roles = []string{defaultRole}
			}
			if !slices.Contains(roles, n.text) {
				l.suggest(n, roles, "unknown", "%s is not one of the roles: %s", n.show(), strings.Join(roles, " "))
				continue
			}
			a.MFA.Required = append(a.MFA.Required, n.text)
		}
	}
	if n := s.values["passkeys"]; n != nil {
		l.passkeys(l.section(n, passkeysShape))
	}
	l.guests(s)
	if n := s.values["teams"]; n != nil {
		l.teamsSection(n)
	}
	if n := s.values["pages"]; n != nil {
		l.pages(n)
	}
	l.providers(s)
	l.trust(s)
}

func (l *loader) sessions(s section) {
	v := &l.app.Auth.Sessions
	for _, k := range []struct {
		name string
		of   *time.Duration
	}{{"idle", &v.Idle}, {"longest", &v.Longest}} {
		n := s.values[k.name]
		if n == nil {
			continue
		}
		d, ok := durationOf(n.text)
		if ok && d < time.Hour {
			l.report(n, "value", "%s is at least 1h", k.name)
		} else if ok {
			*k.of = d
		}
	}
	if v.Idle > v.Longest {
		v.Idle = v.Longest
	}
}

// passkeys reads for which pages passkeys are. Browsers let a page use those of its own host and of domains above it, and
// a domain is not a public suffix: that only they can tell.
func (l *loader) passkeys(s section) {
	v := &l.app.Auth.Passkeys
	if n := s.values["domain"]; n != nil {
		switch host := domainOf(l.app.Server.URL); {
		case host == "":
			l.report(n, "missing", "domain is the host of server.url or a domain above it, and server.url has none: write server: {url: https://app.example.com}")
		case !within(host, n.text):
			l.report(n, "value", "%s is neither the host of server.url (%s) nor a domain above it", n.show(), host)
		default:
			v.Domain = n.text
		}
	}
	for _, n := range s.values["origins"].list() {
		switch {
		case !origin(n.text) || !webAddress(n.text, true):
			l.report(n, "value", "%s is not an origin like https://www.example.com", n.show())
		case v.Domain == "":
			l.report(n, "missing", "nothing says which domain passkeys belong to: write server: {url: https://app.example.com}")
		case !within(domainOf(n.text), v.Domain):
			l.report(n, "value", "%s is not within %s: browsers let no page of it use these passkeys", n.show(), v.Domain)
		default:
			v.Origins = append(v.Origins, n.text)
		}
	}
}

// domainOf is the host of an address where that is a domain; else "".
func domainOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return host
}

// originOf is the origin of pages at an address (RFC 6454).
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if own := map[string]string{"http": ":80", "https": ":443"}[scheme]; own != "" {
		host = strings.TrimSuffix(host, own)
	}
	return scheme + "://" + host
}

// within says whether a host is of a domain.
func within(host, domain string) bool {
	return host != "" && (host == domain || strings.HasSuffix(host, "."+domain) && strings.Contains(domain, "."))
}
