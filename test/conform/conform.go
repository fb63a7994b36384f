// Package conform holds the answers that tests receive against the OpenAPI description of the app, as
// whoever asked is given it: the route and the status are described, required headers are there, and
// the body is what its schema says, with no member that the description does not name.
//
// It knows nothing of how Plinth makes its description. What it is asked to judge comes over HTTP.
package conform

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Handler is h, every answer of which is held against its own /api/openapi.json. A difference is an
// error of t.
func Handler(t testing.TB, h http.Handler) http.Handler {
	c := watch(t, func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result(), nil
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &recorder{ResponseWriter: w, status: http.StatusOK}
		asked := r.Clone(r.Context()) // the router writes into the one that it is given
		asked.Body = nil
		h.ServeHTTP(out, r)
		c.check(asked, out.status, w.Header(), out.body.Bytes())
	})
}

// Transport is base (nil: http.DefaultTransport) for a client whose every answer is held against the
// /api/openapi.json of the server that gave it. A difference is an error of t.
func Transport(t testing.TB, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	c := watch(t, base.RoundTrip)
	return transport(func(r *http.Request) (*http.Response, error) {
		c.expect(r)
		resp, err := base.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
		if err == nil { // an answer that was cut off is judged by whoever reads it
			c.check(r, resp.StatusCode, resp.Header, body)
		}
		return resp, nil
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// failing ends a body as it ended.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// recorder keeps what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	begun  bool
}

func (w *recorder) WriteHeader(status int) {
	if !w.begun && status >= 200 {
		w.status, w.begun = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	w.begun = true
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// watcher judges the answers that one test receives.
type watcher struct {
	t   testing.TB
	ask func(*http.Request) (*http.Response, error)

	mu      sync.Mutex
	judges  map[string]*judge // by who asks, and whom
	answers int
	bodies  int
}

func watch(t testing.TB, ask func(*http.Request) (*http.Response, error)) *watcher {
	c := &watcher{t: t, ask: ask, judges: map[string]*judge{}}
	t.Cleanup(func() {
		if c.answers < 2 {
			return // one request of a script
		}
		t.Logf("%d answers were held against the description, %d of them with a body", c.answers, c.bodies)
	})
	return c
}

// expect reads the description before the answer is asked for, if it was not read yet: the app may be replaced
// meanwhile. Where it cannot be read, check says so.
func (c *watcher) expect(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.judge(r)
}

// check holds one answer against the description that whoever asked is given.
func (c *watcher) check(r *http.Request, status int, header http.Header, body []byte) {
	c.t.Helper()
	if strings.HasPrefix(r.URL.Path, "/api/auth/operators/") {
		return // where operators sign in is Plinth's own: the description is of the app
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	j, err := c.judge(r)
	var instead *unexpected
	silent := errors.As(err, &instead) && instead.status == http.StatusServiceUnavailable
	if silent && (status == instead.status || !strings.HasPrefix(r.URL.Path, "/api/")) {
		return // a server that does not serve, or no longer, describes nothing
	}
	if err != nil {
		c.t.Errorf("%s %s: there is no description to hold the answer against: %v", r.Method, r.URL, err)
		return
	}
	c.answers++
	if len(body) > 0 {
		c.bodies++
	}
	wrong := j.judge(r, status, header, body)
	if len(wrong) > 0 && c.replaced(r) {
		wrong = c.judges[asking(r)].judge(r, status, header, body)
	}
	if len(wrong) > 0 {
		c.t.Errorf("%s %s was answered with %d, not as described:\n  %s\n  %.1000s", r.Method, r.URL, status, strings.Join(wrong, "\n  "), body)
	}
}

// replaced reads the description again: the app may have been replaced since. It says whether there is one.
func (c *watcher) replaced(r *http.Request) bool {
	delete(c.judges, asking(r))
	_, err := c.judge(r)
	return err == nil
}

// asking is who asks, and whom.
func asking(r *http.Request) string {
	return r.URL.Host + " " + strings.Join(r.Header["Authorization"], ",")
}

// judge is made once for everybody who asks. Whose credential is refused is given the description that
// nobody is given.
func (c *watcher) judge(r *http.Request) (*judge, error) {
	credential := strings.Join(r.Header["Authorization"], ",")
	who := asking(r)
	if j := c.judges[who]; j != nil {
		return j, nil
	}
	document, err := c.document(r, credential)
	if err == nil && document == nil && credential != "" {
		document, err = c.document(r, "")
	}
	if err != nil {
		return nil, err
	}
	j, err := newJudge(document)
	if err == nil {
		c.judges[who] = j
	}
	return j, err
}

// document is nil for a credential that is refused.
func (c *watcher) document(r *http.Request, credential string) ([]byte, error) {
	ask := httptest.NewRequest(http.MethodGet, "/api/openapi.json", nil).WithContext(r.Context())
	ask.RequestURI, ask.URL.Scheme, ask.URL.Host, ask.Host = "", r.URL.Scheme, r.URL.Host, r.Host
	if credential != "" {
		ask.Header["Authorization"] = r.Header["Authorization"]
	}
	resp, err := c.ask(ask)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case credential != "" && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden):
		return nil, nil // the latter of who lacks the second factor that his role must have
	case resp.StatusCode != http.StatusOK:
		return nil, &unexpected{resp.StatusCode, string(body)}
	}
	return body, nil
}
