package spec

import (
	"slices"
	"strings"

	"github.com/bluell/plinth/expr"
)

// defaultUsers is where users live unless auth.collection says otherwise.
const defaultUsers = "users"

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
		l.app.Roles = []string{"user"}
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

// userFields adds email, verified and role, or checks that the declared ones can serve.
func (l *loader) userFields(d *draft) {
	c := d.c
	if f, ok := c.byName["password"]; ok {
		l.reportAt(f.Pos, "reserved", "", "password is kept by Plinth itself, out of reach: remove the field")
	}
	email := l.userField(d, Field{Name: "email", Type: Email, CI: true, Unique: true, Personal: true, MaxLen: emailLen})
	if !email.Unique || email.Encrypted {
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
// the app has no rule of its own.
func (l *loader) userRules() {
	a := &l.app.Auth
	c, ok := l.app.byName[a.Collection]
	if l.system || !ok || !a.On {
		return
	}
	a.RoleBy = l.compile(l.auth.values["roleBy"], c, expr.InWrite)
	for _, name := range exposable {
		f := c.byName[name]
		if f.Read == nil && !slices.Contains(a.Expose, name) {
			f.Read = l.own(c, "id == auth.id", expr.InRule)
		}
		if f.Write == nil && f.Set == nil {
			f.Write = l.own(c, "false", expr.InWrite)
			if name == "role" && a.RoleBy != nil {
				f.Write = a.RoleBy
			}
		}
	}
}

// own compiles a rule of Plinth's.
func (l *loader) own(c *Collection, src string, use expr.Use) *expr.Expr {
	e, err := expr.Compile(src, l.app.Env(), c.Name, use)
	if err != nil {
		l.reportAt(c.Pos, "rule", "", src+": "+err.Error())
	}
	return e
}

// authSection reads everything of the auth section but roleBy, which needs the fields.
func (l *loader) authSection() {
	a := &l.app.Auth
	*a = Auth{Collection: defaultUsers, Register: "closed", Verify: "required", Password: Password{MinLength: 15}}
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
	if n := s.values["providers"]; n != nil {
		for i, k := range n.keys {
			if l.name(k, "a provider") {
				l.provider(k, l.section(n.items[i], providerShape))
			}
		}
	}
}

func (l *loader) provider(k *node, s section) {
	p := Provider{
		Name: k.text, Kind: s.text("kind"), Issuer: s.text("issuer"),
		ClientID: s.text("clientId"), ClientSecret: s.text("clientSecret"),
	}
	if p.Kind == "" && k.text == "google" {
		p.Kind = "google"
	}
	issuer := s.values["issuer"]
	switch {
	case p.Kind == "" && s.get("kind") == nil:
		l.report(k, "required", "kind is missing: %s is not a provider that Plinth knows; write kind: oidc and its issuer", k.show())
	case p.Kind == "google" && issuer != nil:
		l.report(issuer, "option", "issuer is for kind: oidc; that of google is known")
	case p.Kind == "google":
		p.Issuer = "https://accounts.google.com"
	case p.Kind == "oidc" && s.get("issuer") == nil:
		l.report(k, "required", "issuer is missing: the provider's https address")
	case issuer != nil && !webAddress(p.Issuer, true):
		l.report(issuer, "value", "issuer is an https address, not %s", issuer.show())
	}
	for _, name := range []string{"clientId", "clientSecret"} {
		if n := s.values[name]; n != nil && n.text == "" {
			l.report(n, "value", "%s is empty", name)
		}
	}
	l.app.Auth.Providers = append(l.app.Auth.Providers, p)
}
