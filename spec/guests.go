package spec

import (
	"time"

	"github.com/bluell/plinth/expr"
)

// anonymousFor is how long an anonymous user is kept who has no session, unless auth.anonymousFor says otherwise.
const anonymousFor = 30 * 24 * time.Hour

// guests reads who may invite, and whether people come in without saying who they are. The rule of auth.invite needs the
// fields: it is compiled with those of the users.
func (l *loader) guests(s section) {
	a := &l.app.Auth
	if n := s.values["invite"]; n != nil && a.Register == "closed" {
		l.report(n, "conflict", "auth.invite says who may invite, and register is closed: write register: invite, or open")
	}
	if s.bool("anonymous") {
		a.Anonymous = anonymousFor
	}
	n := s.values["anonymousFor"]
	if n == nil {
		return
	}
	d, ok := durationOf(n.text)
	switch {
	case a.Anonymous == 0:
		l.report(n, "conflict", "anonymousFor says how long anonymous users are kept, and there are none: write anonymous: true")
	case ok && d < time.Hour:
		l.report(n, "value", "anonymousFor is at least 1h")
	case ok:
		a.Anonymous = d
	}
}

// anonymousField adds what tells an anonymous user, who has neither an address nor a role.
func (l *loader) anonymousField(d *draft, email, role *Field) {
	no := expr.BoolOf(false)
	l.userField(d, Field{Name: "anonymous", Type: Bool, Default: &no})
	for _, f := range []*Field{email, role} {
		if f.Required {
			l.reportAt(f.Pos, "conflict", "", "an anonymous user has no "+f.Name+", and it is required here: remove required, or auth.anonymous")
		}
	}
}

// closed gives a field of users, where the app has no rules for it, those by which operators alone write it.
func (l *loader) closed(c *Collection, name, read string) {
	f := c.byName[name]
	if f.Read == nil {
		f.Read = l.own(c, read, expr.InRule)
	}
	if f.Write == nil && f.Set == nil {
		f.Write = l.own(c, "false", expr.InWrite)
	}
}
