// Package fault is the one error of Plinth: a kind for programs, a message for
// people, fields for forms and a cause for the log.
//
// Every room returns *Error (or wraps one); the HTTP door maps Kind to a status
// in one place and the command line maps it to an exit code in one place.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what went wrong in terms a program can act on.
type Kind uint8

const (
	Internal        Kind = iota // ours: logged with its cause, told to nobody
	BadRequest                  // the question itself cannot be understood (400)
	Unauthenticated             // nobody is signed in, or the credential is invalid (401)
	Denied                      // signed in, and not allowed (403)
	NotFound                    // no such record, or one the caller may not read (404)
	Method                      // the route exists, the method does not (405)
	NotAcceptable               // no representation the client accepts (406)
	Conflict                    // value or id taken, record still referred to (409)
	Precondition                // If-Match, If-None-Match failed (412)
	TooLarge                    // a body over the limit (413)
	MediaType                   // a content type that is not understood here (415)
	Range                       // a byte range outside the file (416)
	Invalid                     // well-formed, but not a valid record (422)
	Limited                     // too many requests (429)
	Capability                  // this database cannot do it; Op names the capability (501)
	Unavailable                 // busy, shutting down, or the database is away (503)
	Full                        // the disk is full (507)
	LongAddress                 // the path and the query string are longer than is read (414)
	LongHeader                  // the header fields are longer than is read (431)
	Lacking                     // this server was started without it; Op names what (501)
	Reused                      // an Idempotency-Key that came with another request before (422)
	Quota                       // more requests than the app gives one caller (429)

	// The next two are spoken between an engine and package data only.

	Retry  // the transaction lost against another and may be run again
	Unique // a unique index refused the row; Index names it
)

var kindNames = [...]string{
	Internal: "internal", BadRequest: "bad request", Unauthenticated: "unauthenticated", Denied: "denied",
	NotFound: "not found", Method: "method", NotAcceptable: "not acceptable", Conflict: "conflict",
	Precondition: "precondition", TooLarge: "too large", MediaType: "media type", Range: "range",
	Invalid: "invalid", Limited: "limited", Capability: "capability", Unavailable: "unavailable",
	Full: "full", LongAddress: "long address", LongHeader: "long header", Lacking: "lacking", Reused: "reused", Quota: "quota",
	Retry: "retry", Unique: "unique",
}

func (k Kind) String() string { return kindNames[k] }

// Error is the one error.
type Error struct {
	Kind   Kind
	Op     string        // what was being done: "create posts", or the capability that is lacking
	Msg    string        // for the person who asked; never SQL, never a path, never a secret
	Fields []Field       // what needs attention, one entry each
	Index  string        // Kind Unique: the index that refused
	After  time.Duration // Limited, Quota, Unavailable, Full: how long to wait before trying again; 0: not known
	Err    error         // the cause, for the log
}

// Field is one thing that needs attention: a field of a record, or a place in a filter.
type Field struct {
	Pointer string // JSON pointer (RFC 6901) into the body, or "" when At is used
	Param   string // the query parameter, when it is not the body
	Code    string // required type min max pattern scale enum ref rule unknown readonly unique referenced syntax
	Message string // "is required"
	At      int    // byte position in the parameter, counted from 1; 0: none
}

// Pointer is the JSON pointer (RFC 6901) of what is reached by these steps, each escaped.
func Pointer(steps ...string) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteByte('/')
		_, _ = escapes.WriteString(&b, s) // a Builder takes everything
	}
	return b.String()
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	switch {
	case e.Msg != "":
		b.WriteString(e.Msg)
	case len(e.Fields) > 0:
		for i, f := range e.Fields {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(strings.TrimPrefix(f.Pointer, "/") + f.Param + " " + f.Message)
		}
	default:
		b.WriteString(e.Kind.String())
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// New returns an error of a kind with a message for people.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Msg: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause a kind and says what was being done. A nil cause gives nil.
func Wrap(k Kind, op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: k, Op: op, Err: err}
}

// At is an error at a byte position (from 1) of a query parameter.
func At(param string, at int, code, format string, args ...any) *Error {
	msg := fmt.Sprintf(format, args...)
	return &Error{Kind: BadRequest, Msg: param + ": " + msg,
		Fields: []Field{{Param: param, At: at, Code: code, Message: msg}}}
}

// Join makes one error of those that are not nil: of the kind of the first, with all that needs attention.
// One that does not say what needs attention stands for itself.
func Join(errs ...error) error {
	var all *Error
	for _, err := range errs {
		if err == nil {
			continue
		}
		e, ok := err.(*Error)
		switch {
		case !ok || len(e.Fields) == 0:
			return err
		case all == nil:
			joined := *e
			all = &joined
		default:
			all.Fields = append(all.Fields[:len(all.Fields):len(all.Fields)], e.Fields...)
			all.Msg += "; " + e.Msg
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// Of is the kind of err: Internal for any error that is not ours.
func Of(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is says whether err is ours and of kind k. Of a nil error it is false.
func Is(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}
