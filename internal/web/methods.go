package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/bluell/plinth/fault"
)

// Act answers one method of a route.
type Act func(w http.ResponseWriter, r *http.Request) error

// Methods are the acts of a route. GET serves HEAD too; OPTIONS, and the Allow of a 405, tell which
// there are. Headers that claim another method are not looked at.
type Methods map[string]Act

// Handler answers with the act of a request's method. The error of an act is told by fail; nil is Problem.
func (m Methods) Handler(fail func(http.ResponseWriter, *http.Request, error)) http.Handler {
	if fail == nil {
		fail = func(w http.ResponseWriter, r *http.Request, err error) { Problem(w, r, err) }
	}
	var allow []string
	for _, name := range []string{"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"} {
		if name == "OPTIONS" || m[name] != nil || name == "HEAD" && m["GET"] != nil {
			allow = append(allow, name)
		}
	}
	allowed := []string{strings.Join(allow, ", ")}
	get := m[http.MethodGet]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		do := get
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions:
			w.Header()["Allow"] = allowed
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			do = m[r.Method]
		}
		if do == nil {
			w.Header()["Allow"] = allowed
			Problem(w, r, &fault.Error{Kind: fault.Method, Msg: "this route answers " + allowed[0]})
			return
		}
		if err := do(w, r); err != nil {
			fail(w, r, err)
		}
	})
}

// named are the methods that are called by their names in what is told of requests.
var named = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// MethodOf is a method as the log names it: what is none of HTTP's is _OTHER. A client of HTTP/2 may write a whole line there, which
// would look like ours.
func MethodOf(method string) string {
	if slices.Contains(named[:], method) {
		return method
	}
	return "_OTHER"
}
