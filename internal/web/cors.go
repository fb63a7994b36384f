package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// cors is the app's CORS section. Without it no other origin is answered in a way that its pages
// could read.
type cors struct {
	on, any, credentials bool
	origins              []string
}

func newCORS(s spec.CORS) cors {
	c := cors{on: len(s.Origins) > 0, credentials: s.Credentials}
	for _, o := range s.Origins {
		if o == "*" {
			c.any = !s.Credentials // never both: every site could act as the user
			continue
		}
		c.origins = append(c.origins, strings.ToLower(strings.TrimSuffix(o, "/")))
	}
	return c
}

var (
	corsMethods = []string{"GET, HEAD, POST, PATCH, PUT, DELETE"}
	corsHeaders = []string{"Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, Range"}
	corsExposed = []string{"Accept-Patch, Allow, Content-Disposition, ETag, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate"}
	corsMaxAge  = []string{"600"}
	yes         = []string{"true"}
	anyOrigin   = []string{"*"}
)

// MayConnect refuses a connection that a page of another origin opens, unless the app's CORS section lets it: browsers do not
// ask before they open a WebSocket. What is no page names no origin. byCookie says that the user is known by his cookie, which
// browsers send whoever's page it is, as long as it is of the same site: such pages may use it where credentials are allowed.
func MayConnect(server spec.Server, r *http.Request, byCookie bool) error {
	origin := r.Header["Origin"]
	if len(origin) == 0 {
		return nil
	}
	c := newCORS(server.CORS)
	named := strings.ToLower(origin[0])
	_, host, _ := strings.Cut(named, "://")
	switch {
	case len(origin) > 1 || named == "null" || host == "":
	case strings.EqualFold(host, r.Host), named == strings.ToLower(server.URL):
		return nil
	case c.any, slices.Contains(c.origins, named):
		if byCookie && !c.credentials {
			return fault.New(fault.Denied, "pages of this origin may not connect with your cookie: server.cors.credentials is not set in the app file")
		}
		return nil
	}
	return fault.New(fault.Denied, "pages of this origin may not connect: the app file names those that may, in server.cors.origins")
}

// answer sets the headers for the request's origin; it reports whether that was all, which it is
// for a preflight of an origin that may call.
func (c *cors) answer(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	if !c.any {
		h.Add("Vary", "Origin")
	}
	if preflight {
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	origin := r.Header.Get("Origin")
	switch {
	case origin == "":
		return false
	case slices.Contains(c.origins, strings.ToLower(origin)) && origin != "null":
		h["Access-Control-Allow-Origin"] = []string{origin}
		if c.credentials {
			h["Access-Control-Allow-Credentials"] = yes
		}
	case c.any:
		h["Access-Control-Allow-Origin"] = anyOrigin
	default:
		return false
	}
	if !preflight {
		h["Access-Control-Expose-Headers"] = corsExposed
		return false
	}
	h["Access-Control-Allow-Methods"] = corsMethods
	h["Access-Control-Allow-Headers"] = corsHeaders
	h["Access-Control-Max-Age"] = corsMaxAge
	w.WriteHeader(http.StatusNoContent)
	return true
}
