package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strconv"
)

// Headers that never differ are made once: the map takes the slice as it is.
var (
	isJSON    = []string{"application/json"}
	isProblem = []string{"application/problem+json"}
	noCache   = []string{"private, no-cache"}
	vary      = []string{"Authorization, Cookie"}
	nosniff   = []string{"nosniff"}
	referrer  = []string{"no-referrer"}
	policy    = []string{"default-src 'none'; frame-ancestors 'none'"}
)

// secure sets what every answer of an API should say to browsers, as Plinth's do.
func secure(h http.Header) {
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = referrer
	h["Content-Security-Policy"] = policy
}

func quotedRev(rev int64) string {
	return `"` + strconv.FormatInt(rev, 10) + `"`
}

func replyRecord(w http.ResponseWriter, status int, etag string, body []byte) {
	w.Header()["Etag"] = []string{etag}
	reply(w, status, body)
}

func replyList(w http.ResponseWriter, body []byte) { reply(w, http.StatusOK, body) }

func reply(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	secure(h)
	h["Content-Type"] = isJSON
	h["Cache-Control"] = noCache
	h["Vary"] = vary
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body)
}

// failure is an answer that is not a record: RFC 9457 problem details.
type failure struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Errors []fieldError `json:"errors,omitempty"`
}

type fieldError struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f *failure) Error() string { return f.Title + ": " + f.Detail }

func problem(status int, code, field, message string) *failure {
	return &failure{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: message,
		Errors: []fieldError{{Pointer: "/" + field, Code: code, Message: message}},
	}
}

var errNotFound = &failure{Type: "about:blank", Title: "Not Found", Status: http.StatusNotFound, Detail: "there is no such record"}

func replyError(w http.ResponseWriter, err error) {
	var f *failure
	if !errors.As(err, &f) {
		log.Print(err)
		f = &failure{Type: "about:blank", Title: "Internal Server Error", Status: http.StatusInternalServerError}
	}
	body, err := json.Marshal(f)
	if err != nil {
		body = fmt.Appendf(nil, `{"status":%d}`, f.Status)
	}
	h := w.Header()
	secure(h)
	h["Content-Type"] = isProblem
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(f.Status)
	w.Write(body)
}
