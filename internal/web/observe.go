package web

import (
	"context"
	"net/http"
	"time"
)

// Observer is told of each request, so that it can be counted, timed and traced. Many goroutines call it.
type Observer interface {
	// Began is told first. The request goes on with the context that is returned.
	Began(r *http.Request) context.Context
	// Answers may add to the header of an answer before it is sent.
	Answers(ctx context.Context, h http.Header)
	// Trace is the id of the request's trace, for the log; "": nobody looks at it.
	Trace(ctx context.Context) string
	// Streams is told that a request is from now on a stream, which ends when its client wants.
	Streams(ctx context.Context)
	// Ended is told when the request's handler has returned.
	Ended(ctx context.Context, e Exchange)
}

// Exchange is a request and its answer, without anything that is somebody's own.
type Exchange struct {
	Method  string // as the client wrote it
	Route   string // its pattern; "": there is no such route
	Status  int
	Caller  string // the role, operator, nobody, refused; "": it did not matter
	Request string // its id; "": nobody asked for one
	Start   time.Time
	Took    time.Duration
	In, Out int64 // bytes of the bodies
	Stream  bool  // it went on for as long as its client wanted
	Shed    bool  // it was refused for the load of the server
	Limited bool  // it was refused for its caller asks too often
	Err     error // ours
}
