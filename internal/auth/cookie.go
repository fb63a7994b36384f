package auth

import (
	"net/http"
	"strings"
	"time"

	"github.com/bluell/plinth/spec"
)

// cookie is how a session rests in a browser: out of reach of scripts, for this host alone, and not sent with what other
// sites begin, but for links that are followed (RFC 6265bis, 4.1.3). Who may do something with it is web.Guard's to say. Without
// a name there is none.
type cookie struct {
	name   string
	secure bool
}

// cookieOf: the name begins with __Host-, which browsers take over https alone. With Dev, and where the app says that it is
// at an address of http, the name is plain.
func cookieOf(app *spec.App, dev bool) cookie {
	if strings.HasPrefix(app.Server.URL, "http://") || dev && !strings.HasPrefix(app.Server.URL, "https://") {
		return cookie{name: "plinth"}
	}
	return cookie{name: "__Host-plinth", secure: true}
}

// CookieName is the name of the session's cookie, without Dev.
func CookieName(app *spec.App) string { return cookieOf(app, false).name }

func (c cookie) set(w http.ResponseWriter, b begun) {
	http.SetCookie(w, c.of(b.token, b.expires))
}

func (c cookie) drop(w http.ResponseWriter) {
	if c.name == "" {
		return
	}
	gone := c.of("", time.Unix(0, 0))
	gone.MaxAge = -1
	http.SetCookie(w, gone)
}

func (c cookie) of(value string, expires time.Time) *http.Cookie {
	return &http.Cookie{Name: c.name, Value: value, Path: "/", Expires: expires, Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// in is the value of the cookie in a request; many of one name are none: one was set by somebody else.
func (c cookie) in(r *http.Request) (string, bool) {
	if len(r.Header["Cookie"]) == 0 || c.name == "" {
		return "", false
	}
	all := r.CookiesNamed(c.name)
	if len(all) == 0 {
		return "", false
	}
	for _, other := range all[1:] {
		if other.Value != all[0].Value {
			return "", true
		}
	}
	return all[0].Value, true
}
