package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// sort is a type of problem: its URI is /problems/NAME, and its title never changes.
type sort struct {
	status int
	name   string
	title  string
	body   []byte // `{"type":…,"title":…,"status":…`
}

// sorts is the single map from what went wrong to what HTTP says about it.
var sorts = prepare([]sort{
	fault.Internal:        {status: 500, name: "internal", title: "The server failed"},
	fault.BadRequest:      {status: 400, name: "bad-request", title: "The request cannot be understood"},
	fault.Unauthenticated: {status: 401, name: "unauthenticated", title: "Sign-in is needed"},
	fault.Denied:          {status: 403, name: "forbidden", title: "This is not allowed"},
	fault.NotFound:        {status: 404, name: "not-found", title: "There is nothing here"},
	fault.Method:          {status: 405, name: "method-not-allowed", title: "The method is not allowed here"},
	fault.NotAcceptable:   {status: 406, name: "not-acceptable", title: "There is no acceptable form of the answer"},
	fault.Conflict:        {status: 409, name: "conflict", title: "The request conflicts with what is stored"},
	fault.Precondition:    {status: 412, name: "precondition-failed", title: "The precondition does not hold"},
	fault.TooLarge:        {status: 413, name: "too-large", title: "The request is too large"},
	fault.MediaType:       {status: 415, name: "unsupported-media-type", title: "The content type is not understood here"},
	fault.Range:           {status: 416, name: "range-not-satisfiable", title: "The range lies outside the file"},
	fault.Invalid:         {status: 422, name: "validation", title: "The record is not valid"},
	fault.Limited:         {status: 429, name: "too-many-requests", title: "There are too many requests"},
	fault.Capability:      {status: 501, name: "capability", title: "This database cannot do that"},
	fault.Unavailable:     {status: 503, name: "unavailable", title: "The service is not available at the moment"},
	fault.Full:            {status: 507, name: "storage-full", title: "The storage is full"},
	fault.LongAddress:     {status: 414, name: "address-too-long", title: "The address is too long"},
	fault.LongHeader:      {status: 431, name: "header-too-large", title: "The header fields are too large"},
	fault.Lacking:         {status: 501, name: "not-offered", title: "This server does not offer that"},
	fault.Reused:          {status: 422, name: "idempotency-key-reused", title: "The Idempotency-Key was used for another request"},
	fault.Quota:           {status: 429, name: "quota-exceeded", title: "A quota is exceeded"},
	fault.Retry:           {status: 503, name: "unavailable", title: "The service is not available at the moment"},
	fault.Unique:          {status: 409, name: "conflict", title: "The request conflicts with what is stored"},
})

func prepare(s []sort) []sort {
	for i := range s {
		b := doc.AppendString([]byte(`{"type":`), "/problems/"+s[i].name)
		b = doc.AppendString(append(b, `,"title":`...), s[i].title)
		s[i].body = strconv.AppendInt(append(b, `,"status":`...), int64(s[i].status), 10)
	}
	return s
}

// Member is one more member of a problem, its value already JSON.
type Member struct {
	Name string
	JSON []byte
}

// Status is the HTTP status of an error.
func Status(err error) int { return sorts[kind(err)].status }

func kind(err error) fault.Kind {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Whoever gave up, or ran out of time, may try again: the server has not failed.
		if k := fault.Of(err); k != fault.Internal {
			return k
		}
		return fault.Unavailable
	}
	return fault.Of(err)
}

// success are the headers of an answer that is not given.
var success = []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Content-Range", "Accept-Ranges",
	"Etag", "Last-Modified", "Location", "Preference-Applied"}

// Problem answers with the problem that err is: the one exit of errors. Allow on 405 is set by
// whoever knows the route. An internal error is logged with the id that the client is told, and
// nothing of it is told.
func Problem(w http.ResponseWriter, r *http.Request, err error, more ...Member) {
	h := w.Header()
	for _, name := range success {
		delete(h, name)
	}
	k := kind(err)
	s := &sorts[k]
	var e *fault.Error
	errors.As(err, &e)
	switch k {
	case fault.Unauthenticated:
		challenge := "Bearer"
		if r.Header.Get("Authorization") != "" {
			challenge = `Bearer error="invalid_token"` // RFC 6750: only when a credential was sent
		}
		h.Set("WWW-Authenticate", challenge)
	case fault.MediaType:
		if r.Method == http.MethodPatch {
			h.Set("Accept-Patch", "application/merge-patch+json, application/json, multipart/form-data")
		}
	case fault.Limited, fault.Quota, fault.Unavailable, fault.Retry, fault.Full:
		wait := time.Second
		if k == fault.Full {
			wait = time.Minute
		}
		if e != nil && e.After > 0 {
			wait = e.After
		}
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	if rec := recorderOf(w); rec == nil {
		Report(w, r, err)
	} else if ours(r, err) {
		rec.err = err
	}
	h["Content-Type"] = problemType
	h["Cache-Control"] = noStore
	b := Borrow()
	defer b.Return()
	b.B = AppendProblem(b.B, w, r, err, more...)
	Write(w, r, s.status, b.B)
}

// Report logs an error that is ours, with the id that the client is told. It is for errors that are
// told inside a larger answer: those that Problem tells are in the line of the request.
func Report(w http.ResponseWriter, r *http.Request, err error) {
	if !ours(r, err) {
		return
	}
	logOf(w).LogAttrs(r.Context(), slog.LevelError, "request failed",
		slog.String("request", RequestID(w)), slog.String("method", MethodOf(r.Method)), slog.String("route", r.Pattern),
		slog.Int("status", Status(err)), slog.Any("error", err))
}

// ours says whether the server failed: not when the client did, or has gone, nor when it was turned away with
// nothing wrong (too many ask, a newer schema was applied).
func ours(r *http.Request, err error) bool {
	k := kind(err)
	if sorts[k].status < 500 || k == fault.Capability || k == fault.Lacking || errors.Is(r.Context().Err(), context.Canceled) {
		return false
	}
	return k != fault.Unavailable || errors.Unwrap(err) != nil
}

var (
	problemType = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
)

// AppendProblem appends the problem that err is as a JSON object.
func AppendProblem(dst []byte, w http.ResponseWriter, r *http.Request, err error, more ...Member) []byte {
	k := kind(err)
	dst = append(dst, sorts[k].body...)
	var e *fault.Error
	if !errors.As(err, &e) || k == fault.Internal {
		e = &fault.Error{Kind: k}
	}
	dst = doc.AppendString(append(dst, `,"detail":`...), detail(k, e))
	dst = doc.AppendString(append(dst, `,"instance":`...), r.URL.EscapedPath())
	dst = doc.AppendString(append(dst, `,"request":`...), RequestID(w))
	dst = appendFields(dst, e.Fields)
	if (k == fault.Capability || k == fault.Lacking) && e.Op != "" {
		dst = doc.AppendString(append(dst, `,"capability":`...), e.Op)
	}
	if k == fault.Quota {
		dst = append(dst, `,"violated-policies":["requests"]`...)
	}
	for _, m := range more {
		dst = doc.AppendString(append(dst, ','), m.Name)
		dst = append(append(dst, ':'), m.JSON...)
	}
	return append(dst, '}')
}

// AppendCause appends what an error tells a client where there is no answer to a request: {type, title, status, detail, errors}.
func AppendCause(dst []byte, err error) []byte {
	k := kind(err)
	var e *fault.Error
	if !errors.As(err, &e) || k == fault.Internal {
		e = &fault.Error{Kind: k}
	}
	dst = doc.AppendString(append(append(dst, sorts[k].body...), `,"detail":`...), detail(k, e))
	dst = appendFields(dst, e.Fields)
	return append(dst, '}')
}

// appendFields appends the member errors, if there are any.
func appendFields(dst []byte, all []fault.Field) []byte {
	if len(all) == 0 {
		return dst
	}
	dst = append(dst, `,"errors":[`...)
	for i, f := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendField(dst, f)
	}
	return append(dst, ']')
}

func appendField(dst []byte, f fault.Field) []byte {
	if f.Param != "" {
		dst = doc.AppendString(append(dst, `{"parameter":`...), f.Param)
	} else {
		dst = doc.AppendString(append(dst, `{"pointer":`...), f.Pointer)
	}
	if f.At > 0 {
		dst = strconv.AppendInt(append(dst, `,"at":`...), int64(f.At), 10)
	}
	dst = doc.AppendString(append(dst, `,"code":`...), f.Code)
	dst = doc.AppendString(append(dst, `,"message":`...), f.Message)
	return append(dst, '}')
}

// detail is the sentence about this occurrence.
func detail(k fault.Kind, e *fault.Error) string {
	switch {
	case k == fault.Internal:
		return "This is our fault. It is logged under the request id."
	case e.Msg != "":
		return e.Msg
	case len(e.Fields) == 1 && k == fault.Invalid:
		return "1 field needs attention"
	case len(e.Fields) > 1 && k == fault.Invalid:
		return strconv.Itoa(len(e.Fields)) + " fields need attention"
	case k == fault.Capability && e.Op != "":
		return "This database cannot do: " + e.Op
	}
	return sorts[k].title
}
