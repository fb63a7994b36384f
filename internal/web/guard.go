package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Guard stands before every door. Each answer gets the security headers; an address or header fields
// that are too long are refused; requests of other origins are allowed or refused as the app's CORS
// section says; a request that another site forged with the user's cookie is refused; a panic becomes
// a 500; every request gets the deadline of server.limits.timeout (see Endless).
//
// Each request is one line of the log: what failed in us as an error, what was refused or slow as
// info, the rest as debug. It has the method, the route, the status, the time, who asked and the id,
// never a query, a body or a credential.
func Guard(next http.Handler, server spec.Server, log *slog.Logger) http.Handler {
	return Observed(next, server, NewLoad(), NewRates(server.Limits.Requests, nil), log, nil)
}

// Observed is Guard with a load that others have part in, with counts of callers that are kept elsewhere too, and with somebody who is told of
// each request; nil is nobody.
func Observed(next http.Handler, server spec.Server, load *Load, rates *Rates, log *slog.Logger, o Observer) http.Handler {
	if log == nil {
		log = slog.Default()
	}
	g := &guard{next: next, log: log, observer: o, cors: newCORS(server.CORS), timeout: server.Limits.Timeout, header: server.Limits.Header,
		secure: strings.HasPrefix(server.URL, "https://"), forged: http.NewCrossOriginProtection(),
		rates: rates, load: load}
	trusted := []string{server.URL}
	if server.CORS.Credentials { // else their pages have nothing to do with cookies
		trusted = append(trusted, server.CORS.Origins...)
	}
	for _, origin := range trusted {
		// What is no origin ("*", "") is trusted by nobody: AddTrustedOrigin refuses it.
		_ = g.forged.AddTrustedOrigin(strings.TrimSuffix(origin, "/"))
	}
	// The form by which a provider of sign-ins answers is another site's; nothing is done with it but to go on with GET.
	g.forged.AddInsecureBypassPattern("POST /api/auth/oauth/{provider}/callback")
	return g
}

type guard struct {
	next     http.Handler
	log      *slog.Logger
	observer Observer
	cors     cors
	timeout  time.Duration
	header   int // bytes; 0: as many as the server reads
	secure   bool
	forged   *http.CrossOriginProtection
	rates    *Rates // nil: no limit
	load     *Load
}

// MaxAddress is how many bytes the path and the query string may have together. What is longer goes
// into the body of POST …/query.
const MaxAddress = 32 << 10

// slow is the time from which a request is worth a line of the log although it went well.
const slow = time.Second

var (
	nosniff     = []string{"nosniff"}
	noReferrer  = []string{"no-referrer"}
	apiPolicy   = []string{"default-src 'none'; frame-ancestors 'none'"}
	hsts        = []string{"max-age=31536000"}
	forgedError = fault.New(fault.Denied, "a page of another origin may not do this with your cookie")
	longAddress = fault.New(fault.LongAddress, "the path and the query string may have at most %d KB: ask with POST and a body", MaxAddress>>10)
)

func (g *guard) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w := &recorder{ResponseWriter: out, log: g.log, rates: g.rates, start: time.Now(), conn: connectionOf(r)}
	h := w.Header()
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = apiPolicy // a page of ours or of the app sets its own
	if g.secure || r.TLS != nil {
		h["Strict-Transport-Security"] = hsts
	}
	ctx, body := r.Context(), r.Body != nil && r.Body != http.NoBody
	if g.observer != nil {
		ctx = g.observer.Began(r)
		w.observer, w.ctx = g.observer, ctx
	}
	if g.timeout > 0 {
		w.deadline.Context, w.deadline.at, w.deadline.by = ctx, w.start.Add(g.timeout), w
		defer w.deadline.end()
		ctx = &w.deadline
	}
	if g.timeout > 0 || body || ctx != r.Context() {
		r = r.WithContext(ctx) // net/http looks again at the one that it made
	}
	if body {
		w.body.ReadCloser, w.body.by, r.Body = r.Body, w, &w.body
	}
	defer func() { g.done(w, r, recover()) }()
	if err := g.refuse(w, r); err != nil {
		h["Connection"] = []string{"close"}
		Problem(w, r, err)
		return
	}
	if g.cors.on && g.cors.answer(w, r) {
		return
	}
	if len(r.Header["Cookie"]) > 0 && len(r.Header["Authorization"]) == 0 {
		if err := g.forged.Check(r); err != nil {
			Problem(w, r, forgedError)
			return
		}
	}
	if !unbounded(r) {
		if err := g.load.enter(r); err != nil {
			w.shed = true
			Problem(w, r, err)
			return
		}
		w.load = g.load
		defer w.leave()
	}
	g.next.ServeHTTP(w, r)
}

var ambiguous = fault.New(fault.BadRequest, "it is not certain where the request ends: lines of its header end with CR and LF and are not folded, and its length is told once")

// refuse bounds what stands before the body.
func (g *guard) refuse(w *recorder, r *http.Request) error {
	if w.conn != nil && w.conn.Doubtful(r) {
		return ambiguous
	}
	if len(r.RequestURI) > MaxAddress {
		return longAddress
	}
	if g.header <= 0 {
		return nil
	}
	size := 0
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	if size > g.header {
		return fault.New(fault.LongHeader, "the header fields may have at most %d bytes", g.header)
	}
	return nil
}

// done turns a panic into an answer, or ends the connection when an answer has begun, and logs the
// request.
func (g *guard) done(w *recorder, r *http.Request, panicked any) {
	begun := w.status != 0
	if panicked != nil && panicked != http.ErrAbortHandler {
		err := &fault.Error{Kind: fault.Internal, Op: "panic", Err: fmt.Errorf("%v\n%s", panicked, debug.Stack())}
		if !begun {
			Problem(w, r, err)
		}
		w.err = err
	}
	if panicked == nil && !begun {
		w.status = http.StatusOK // what net/http says for a handler that says nothing
	}
	took := time.Since(w.start)
	g.tell(w, r, took)
	if g.observer != nil {
		g.observer.Ended(w.ctx, Exchange{Method: r.Method, Route: r.Pattern, Status: w.status, Caller: w.caller, Request: w.id, Start: w.start, Took: took,
			In: w.body.bytes, Out: w.bytes, Stream: w.taken || w.endless, Shed: w.shed, Limited: w.limited, Err: w.err})
	}
	if panicked == http.ErrAbortHandler || panicked != nil && begun {
		panic(http.ErrAbortHandler)
	}
	if !w.taken {
		w.linger(r)
	}
}

// tell logs a request.
func (g *guard) tell(w *recorder, r *http.Request, took time.Duration) {
	level := slog.LevelDebug
	if n := g.load.tell(); n > 0 {
		g.log.Warn("the server has more to do than it can: requests were refused", "refused", n)
	}
	switch {
	case w.shed:
		// they are counted: a line for each would be work
	case w.err != nil:
		level = slog.LevelError
	case w.status >= 400 || took > slow && !w.endless:
		level = slog.LevelInfo
	}
	if !g.log.Enabled(r.Context(), level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 9), slog.String("request", RequestID(w)), slog.String("method", MethodOf(r.Method)), slog.String("route", r.Pattern),
		slog.Int("status", w.status), slog.Float64("ms", math.Round(took.Seconds()*1e6)/1e3), slog.Int64("bytes", w.bytes))
	if w.caller != "" {
		attrs = append(attrs, slog.String("caller", w.caller))
	}
	if g.observer != nil {
		if id := g.observer.Trace(w.ctx); id != "" {
			attrs = append(attrs, slog.String("trace", id))
		}
	}
	if w.err != nil {
		attrs = append(attrs, slog.Any("error", w.err))
	}
	g.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// Asks notes for the log what sort of caller asks: nobody, operator, or the role; refused when the
// credential was not good, for which by is nil. It fails with fault.Quota when he asks more often than
// server.limits.requests allows; operators may.
func Asks(w http.ResponseWriter, by *data.Caller) error {
	rec := recorderOf(w)
	if rec == nil {
		return nil
	}
	rec.asks(by)
	if rec.rates == nil || by == nil || by.Operator || by.Scope == "" || rec.counted {
		return nil
	}
	rec.counted = true
	err := rec.rates.take(rec.Header(), by.Scope, rec.start)
	rec.limited = err != nil
	return err
}

func (w *recorder) asks(by *data.Caller) {
	switch {
	case by == nil:
		w.caller = "refused"
	case by.Operator:
		w.caller = "operator"
	case by.Role != "":
		w.caller = by.Role
	case by.SignedIn:
		w.caller = "signed in"
	default:
		w.caller = "nobody"
	}
}

// Taken notes that the connection was taken over (http.Hijacker) by who answers with this status himself.
func Taken(w http.ResponseWriter, status int) {
	if rec := recorderOf(w); rec != nil {
		rec.status, rec.taken = status, true
		rec.leave()
	}
}

// recorder remembers what became of a request.
type recorder struct {
	http.ResponseWriter
	conn     Connection // nil: not one that the server knows
	log      *slog.Logger
	rates    *Rates
	load     *Load // nil: it is not counted as work
	start    time.Time
	deadline deadline // here, so that it costs no allocation of its own
	id       string
	caller   string // "": it did not matter who it is
	err      error  // ours
	status   int    // 0: nothing is written yet
	bytes    int64
	taken    bool // the connection is another's
	endless  bool // it goes on for as long as its client wants
	shed     bool // refused for the load of the server, or for what it keeps for clients that read slowly
	counted  bool // in rates
	limited  bool // by rates
	body     sent

	observer Observer
	ctx      context.Context // the observer's
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.answers(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.answers(http.StatusOK)
	}
	if w.bytes+int64(len(b)) > shortAnswer {
		w.pause()
		defer w.resume()
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// whole writes all of an answer. A long one travels as one.
func (w *recorder) whole(b []byte) {
	if w.conn == nil || len(b) <= shortAnswer {
		_, _ = w.Write(b) // a client that has gone is nobody's error
		return
	}
	w.pause()
	defer w.resume()
	w.conn.Gather()
	defer w.conn.Send()
	n, _ := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	_ = http.NewResponseController(w.ResponseWriter).Flush() // what net/http keeps until the handler has returned would travel alone
}

// answers notes the status, before the header is sent.
func (w *recorder) answers(status int) {
	w.status = status
	if w.observer != nil {
		w.observer.Answers(w.ctx, w.Header())
	}
}

// shortAnswer is how many bytes of an answer net/http keeps until its handler has returned. What is longer may have to wait for its
// client, whose window may be of no bytes at all.
const shortAnswer = 2 << 10

// pause says that w waits for its client, until resume.
func (w *recorder) pause() {
	if w.load != nil {
		w.load.pause()
	}
}

func (w *recorder) resume() {
	if w.load != nil {
		w.load.resume()
	}
}

// leave says that w does no more work, or none that ends.
func (w *recorder) leave() {
	if w.load != nil {
		w.load.leave()
		w.load = nil
	}
}

// ReadFrom lets files go from disk to network without a copy.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.answers(http.StatusOK)
	}
	w.pause()
	n, err := io.Copy(w.ResponseWriter, r)
	w.resume()
	w.bytes += n
	return n, err
}

func (w *recorder) Flush() {
	w.pause()
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	w.resume()
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
