package auth

import (
	"net/http"
	"slices"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// route is one method of a path of the door, with all that the description of the API says of it. What follows from the rest of
// it is not said: that a body may be too large, that who is not signed in is refused.
type route struct {
	method, path string // below /api/auth/ and, where it is theirs too, /api/auth/operators/
	act          func(*Gate, http.ResponseWriter, *http.Request) error
	when         func(*spec.Auth) bool // it is described where that holds, else nowhere does it lead to anything; nil: in every app with people

	counted bool // limit counts it before it is looked at: it carries a credential, or asks for one
	signed  bool // it is for who is signed in
	sure    bool // and wants to know that it is he himself: 403 may have a ticket
	enters  bool // it signs in: 200 is a session, 401 may have a ticket
	may     bool // there need be no body
	theirs  bool // operators have it too

	tag, name, summary, text string
	query                    shape // parameters; "": there are none, and any is refused
	takes                    shape // members of the body; "": there is none
	more                     bool  // and there may be more
	form                     bool  // of which is application/x-www-form-urlencoded
	user                     bool  // to which fields of a user are added
	gives                    []Answer
	fails                    []int // statuses of problems that do not follow from the rest
}

// Answer is one that is no problem.
type Answer struct {
	Status  int
	Text    string
	Schema  *doc.Node // of its JSON; nil: there is none
	Headers []Header

	shape shape
	when  func(*spec.Auth) bool
}

// Header is one of an answer. Always says that it is there each time.
type Header struct {
	Name, Text string
	Always     bool
}

// Operation is what the description of the API says of one method of a route of the door.
type Operation struct {
	Method, Path           string // with {placeholders}
	Tag, ID, Summary, Text string
	Signed                 bool        // a session is needed
	Parameters             []Parameter // of path and query
	Body                   *doc.Node   // the schema; nil: there is none
	MediaType              string      // of the body
	BodyMay                bool        // there need be none
	User                   bool        // the body has fields of a user too
	Answers                []Answer
	Problems               []int // statuses
	Ticket                 int   // the status among them that may have a ticket for a second step; 0: none
}

// Parameter is one of an operation.
type Parameter struct {
	Name, In, Text string
	Must           bool
	Schema         *doc.Node
}

// Tags are those of operations, each with what it is about.
var Tags = [][2]string{
	{"auth", "Accounts: signing in and out, addresses and passwords"},
	{"auth.invitations", "Inviting people, and accepting"},
	{"auth.teams", "Teams: who belongs to them, with which role"},
	{"auth.providers", "Signing in with others"},
	{"auth.mfa", "Second factors and passkeys"},
}

func allRoutes() []route {
	return slices.Concat(accountRoutes, invitationRoutes, teamRoutes, providerRoutes, factorRoutes)
}

// operatorRoutes are those by which operators sign in and look after what they sign in with.
func operatorRoutes() (list []route) {
	for _, r := range allRoutes() {
		if r.theirs {
			list = append(list, r)
		}
	}
	return list
}

// Operations are those of an app. There are none where nobody signs in.
func Operations(app *spec.App) []Operation {
	var list []Operation
	for _, r := range allRoutes() {
		if app.Auth.On && (r.when == nil || r.when(&app.Auth)) {
			list = append(list, r.operation(app))
		}
	}
	return list
}

func (r *route) operation(app *spec.App) Operation {
	o := Operation{Method: r.method, Path: below + r.path, Tag: r.tag, ID: r.tag + "." + r.name, Summary: r.summary, Text: r.text, Signed: r.signed,
		Parameters: r.parameters(app), BodyMay: r.may, User: r.user, MediaType: "application/json", Problems: r.problems()}
	if r.takes != "" {
		o.Body = r.takes.schema(app)
		o.Body.Set("additionalProperties", doc.NewBool(r.more))
	}
	if r.form {
		o.MediaType = "application/x-www-form-urlencoded"
	}
	if r.enters {
		o.Ticket = http.StatusUnauthorized
	} else if r.sure {
		o.Ticket = http.StatusForbidden
	}
	for _, a := range r.gives {
		if a.when != nil && !a.when(&app.Auth) {
			continue
		}
		if a.shape != "" {
			a.Schema = a.shape.schema(app)
		}
		a.Headers = slices.Concat(a.Headers, []Header{{"Cache-Control", "`no-store`", true}})
		if r.counted {
			a.Headers = append(a.Headers, Header{"RateLimit-Policy", limitText, true}, Header{"RateLimit", limitedText, true})
		}
		o.Answers = append(o.Answers, a)
	}
	return o
}

// problems are the statuses of what may go wrong, but for those that every operation of the API may have.
func (r *route) problems() []int {
	list := []int{http.StatusBadRequest} // a parameter that it has not
	list = append(list, r.fails...)
	if r.counted || r.method != http.MethodGet {
		list = append(list, http.StatusInsufficientStorage)
	}
	if r.signed || r.enters {
		list = append(list, http.StatusUnauthorized)
	}
	if r.signed || r.method != http.MethodGet { // a key; another site's page with the user's cookie
		list = append(list, http.StatusForbidden)
	}
	if r.takes != "" {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if r.takes != "" && !r.form {
		list = append(list, http.StatusUnprocessableEntity)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// handle adds the routes to a mux, each path with all its methods.
func (g *Gate) handle(mux *http.ServeMux, at string, routes []route) {
	paths := map[string]web.Methods{}
	for _, r := range routes {
		m := paths[r.path]
		if m == nil {
			m = web.Methods{}
			paths[r.path] = m
		}
		m[r.method] = g.answer(r)
	}
	for path, m := range paths {
		mux.Handle(at+path, m.Handler(problem))
	}
}

// answer refuses parameters where there are none, for secrets do not stand in addresses, and counts a request before it is
// looked at.
func (g *Gate) answer(rt route) web.Act {
	return func(w http.ResponseWriter, r *http.Request) error {
		if rt.query == "" {
			var p web.Params
			if err := p.Query(r).Err(); err != nil {
				return err
			}
		}
		if rt.counted {
			if err := g.limit(w, r); err != nil {
				return err
			}
		}
		return rt.act(g, w, r)
	}
}

var noRoute = fault.New(fault.NotFound, "there is no such route")

// What is said of answers more than once.
const (
	sessionCookie = "The session's cookie, where `cookie` is true"
	limitText     = "How many requests with credentials an address may send (draft-ietf-httpapi-ratelimit-headers)"
	limitedText   = "How many are left, and for how many seconds that holds"
)

func begins(of shape) []Answer {
	return []Answer{{Status: http.StatusOK, Text: "The session", shape: of, Headers: []Header{{"Set-Cookie", sessionCookie, false}}}}
}

func done(text string) []Answer { return []Answer{{Status: http.StatusNoContent, Text: text}} }

func mailed() []Answer {
	return []Answer{{Status: http.StatusAccepted, Text: "A mail is on its way, if the address is somebody's", Headers: asked}}
}

// asked is of answers to who asks for a mail.
var asked = []Header{{"Set-Cookie", "What the browser is known by that has asked, where the link of the mail is followed", false}}

func tells(text string, of shape) []Answer {
	return []Answer{{Status: http.StatusOK, Text: text, shape: of}}
}

func opens(a *spec.Auth) bool { return a.Register == "open" }

func others(a *spec.Auth) bool { return len(a.Providers) > 0 }
