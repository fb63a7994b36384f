package spec

import (
	"strings"
	"unicode/utf8"
)

// Pages are the ready pages for signing in, at /auth/ (docs/identity.md).
type Pages struct {
	Off    bool   // there are none
	Title  string // what they call the app; "" is its name
	Logo   string // a path of the app's own; "" is none
	Accent string // a colour like #1d4ed8, in lower case; "" is Plinth's
	CSS    string // a stylesheet of the app's own, by its path; "" is none
}

// longestTitle is how many characters a title may have: it stands in one line.
const longestTitle = 80

// pages reads auth.pages: false, or how they look.
func (l *loader) pages(n *node) {
	v := &l.app.Auth.Pages
	if n.kind == scalar {
		on, _ := boolOf(n.text) // fits has looked
		v.Off = !on
		return
	}
	s := l.section(n, pagesShape)
	v.Title = strings.TrimSpace(s.text("title"))
	if utf8.RuneCountInString(v.Title) > longestTitle {
		l.report(s.values["title"], "value", "title has at most %d characters", longestTitle)
	}
	v.Logo, v.CSS = l.ownFile(s, "logo", "/img/logo.svg"), l.ownFile(s, "css", "/css/sign-in.css")
	v.Accent = strings.ToLower(s.text("accent"))
	if n := s.values["accent"]; n != nil && !colour().MatchString(v.Accent) {
		l.report(n, "value", `accent is a colour like "#1d4ed8", not %s`, n.show())
	}
}

// ownFile reads the path of a file of the app's own: pages load nothing from elsewhere.
func (l *loader) ownFile(s section, name, like string) string {
	n := s.values[name]
	if n != nil && (!ownPath().MatchString(n.text) || strings.HasPrefix(n.text, "//") || strings.Contains(n.text, "/.")) {
		l.report(n, "value", "%s is the path of a file in public/, like %s, not %s", name, like, n.show())
	}
	return s.text(name)
}

var (
	colour  = pattern(`^#[0-9a-f]{6}$`)
	ownPath = pattern(`^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]+$`)
)
