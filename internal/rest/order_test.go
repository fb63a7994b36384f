package rest_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
	"github.com/bluell/plinth/test/conform"
)

// watched is a body that notes that it is read.
type watched struct{ read bool }

func (w *watched) Read([]byte) (int, error) {
	w.read = true
	return 0, errors.New("gone")
}

// TestBodyAfterRights: who asks, and whether he may at all, is decided before a body is read.
func TestBodyAfterRights(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	one := "/api/posts/" + s.create(`{"title":"Hello"}`)
	const nowhere = "/01900000-0000-7000-8000-000000000000"
	for _, c := range []struct {
		line, key, kind string
		status          int
	}{
		{"POST /api/locked/query", "", "application/json", 401},
		{"POST /api/locked/query", "Bearer member", "application/json", 403},
		{"POST /api/nope/query", "", "application/json", 404},
		{"POST /api/posts/query", "Bearer wrong", "application/json", 401},
		{"POST /api/posts", "Bearer wrong", "application/json", 401},
		{"POST /api/posts", "Bearer readonly", "application/json", 403},
		{"POST /api/people", "", "multipart/form-data; boundary=x", 401},
		{"POST /api/people", "Bearer member", "multipart/form-data; boundary=x", 403},
		{"PATCH " + one, "Bearer readonly", "multipart/form-data; boundary=x", 403},
		{"POST /api/locked" + nowhere + "/increment", "", "application/json", 401},
		{"POST /api/posts" + nowhere + "/increment", "Bearer readonly", "application/json", 403},
		{"PUT /api/locked" + nowhere, "Bearer member", "application/json", 403},
		{"POST /api/nope" + nowhere + "/increment", "", "application/json", 404},
		{"POST /api/batch", "Bearer wrong", "application/json", 401},
		{"POST /api/batch", "Bearer readonly", "application/json", 403},
		{"DELETE " + one, "Bearer staff", "application/json", 204},
	} {
		body := &watched{}
		method, target, _ := strings.Cut(c.line, " ")
		r := httptest.NewRequest(method, target, body)
		r.ContentLength = 1000
		r.Header.Set("Content-Type", c.kind)
		if c.key != "" {
			r.Header.Set("Authorization", c.key)
		}
		w := httptest.NewRecorder()
		s.http.ServeHTTP(w, r)
		if w.Code != c.status || body.read {
			t.Errorf("%s by %q: %d, want %d; the body was read: %t", c.line, c.key, w.Code, c.status, body.read)
		}
	}
}

// TestReservedNames: what is no collection's has the routes that it has, and no others.
func TestReservedNames(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	for _, line := range []string{"POST /api/auth/login", "GET /api/auth", "DELETE /api/auth", "GET /api/auth/me", "POST /api/auth/a/increment", "GET /api/auth/by/id/x", "POST /api/auth/query",
		"PATCH /api/live/x", "GET /api/docs/nope.js", "PUT /api/docs/x", "GET /api/changes/x", "GET /api/files", "GET /api/files/posts", "POST /api/batch/query", "GET /api/batch/x",
		"OPTIONS /api/nope", "PUT /api/nope", "DELETE /api/_answers", "GET /api/openapi", "OPTIONS /api/auth/login", "GET /api/openapi.json/x"} {
		if a := s.ask(line, "", ""); a.status != 404 || a.header.Get("Allow") != "" {
			t.Errorf("%s: %d %s", line, a.status, a.body)
		}
	}
}

// live notes what a stream is given.
type live struct {
	ids      []string
	deadline bool
}

func (l *live) answer(w http.ResponseWriter, r *http.Request, id string) {
	_, l.deadline = r.Context().Deadline()
	l.ids = append(l.ids, id)
	w.WriteHeader(http.StatusOK)
}

func (l *live) Stream(w http.ResponseWriter, r *http.Request, _ data.Caller, collection, id string) {
	l.answer(w, r, collection+"/"+id)
}

func (l *live) Multiplex(w http.ResponseWriter, r *http.Request, _ data.Caller) {
	l.answer(w, r, "multiplex")
}

func (l *live) Log(w http.ResponseWriter, r *http.Request, _ data.Caller) {
	l.answer(w, r, "log")
}

func (l *live) Socket(w http.ResponseWriter, r *http.Request, _ data.Caller) {
	l.answer(w, r, "socket")
}

func (l *live) Channel(w http.ResponseWriter, r *http.Request, _ data.Caller, name, key string) {
	l.answer(w, r, "channel "+name+" "+key)
}

func (l *live) Presence(w http.ResponseWriter, r *http.Request, _ data.Caller, name, key string) {
	l.answer(w, r, "presence "+name+" "+key)
}

// TestStreams: a stream has no deadline, and is reached by those who may read only.
func TestStreams(t *testing.T) {
	t.Parallel()
	s := open(t, agency+"server: {limits: {timeout: 1s}}\n", "")
	l := &live{}
	s.http = web.Guard(rest.New(s.db, caller, rest.Options{Live: l}), spec.Server{Limits: s.db.App().Server.Limits}, slog.New(slog.DiscardHandler))
	const sse = "Accept: text/event-stream"
	s.ask("GET /api/posts", sse, "").want(200)
	s.ask("GET /api/posts/x", sse, "").want(200)
	s.ask("GET /api/live", sse, "").want(200)
	s.ask("GET /api/locked", sse, "").want(401)
	s.ask("GET /api/nope", sse, "").want(404)
	s.ask("GET /api/live", "Accept: application/json", "").want(406)
	s.ask("GET /api/live", sse+"\nAuthorization: Bearer wrong", "").want(401)
	if got := strings.Join(l.ids, " "); got != "posts/ posts/x multiplex" || l.deadline {
		t.Errorf("%s, a deadline: %t", got, l.deadline)
	}
}

// waiting is a store that answers no question before its time is up.
type waiting struct{ rest.Store }

func (waiting) List(ctx context.Context, _ data.Caller, _ *data.ListQuery, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestDeadline: no header of the client takes the deadline of server.limits.timeout off a request that
// is no stream.
func TestDeadline(t *testing.T) {
	t.Parallel()
	s := open(t, agency+"server: {limits: {timeout: 100ms}}\n", "")
	s.http = conform.Handler(t, web.Guard(rest.New(waiting{s.db}, caller, rest.Options{Live: &live{}}), s.db.App().Server, slog.New(slog.DiscardHandler)))
	for _, accept := range []string{"application/json", "*/*", "text/event-stream, application/json", "text/event-stream;q=0, */*"} {
		if a := s.ask("POST /api/posts/query", "Accept: "+accept, `{}`).want(503); a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %v", accept, a.header)
		}
	}
	s.ask("GET /api/posts", "Accept: application/json", "").want(503)
}

// TestLacking: what this server was started without is told as that, not as a matter of the database.
func TestLacking(t *testing.T) {
	t.Parallel()
	s := open(t, agency, "")
	a := s.ask("GET /api/posts", "Accept: text/event-stream", "").want(501).problem()
	if a["type"] != "/problems/not-offered" || a["title"] != "This server does not offer that" || a["capability"] != "live" {
		t.Error(a)
	}
}
