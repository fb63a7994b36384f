package web

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Guard stands before every door. Each answer gets the security headers; requests of other
// origins are allowed or refused as the app's CORS section says; a request that another site
// forged with the user's cookie is refused; a panic becomes a 500; the deadline of
// server.limits.timeout is set, but for streams; each request is logged (debug level, errors of
// ours as errors): method, route, status, time and id, never a query, a body or a credential.
func Guard(next http.Handler, server spec.Server, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.Default()
	}
	g := &guard{next: next, log: log, cors: newCORS(server.CORS), timeout: server.Limits.Timeout,
		secure: strings.HasPrefix(server.URL, "https://"), forged: http.NewCrossOriginProtection()}
	for _, origin := range append([]string{server.URL}, server.CORS.Origins...) {
		// What is no origin ("*", "") is trusted by nobody: AddTrustedOrigin refuses it.
		_ = g.forged.AddTrustedOrigin(strings.TrimSuffix(origin, "/"))
	}
	return g
}

type guard struct {
	next    http.Handler
	log     *slog.Logger
	cors    cors
	timeout time.Duration
	secure  bool
	forged  *http.CrossOriginProtection
}

var (
	nosniff     = []string{"nosniff"}
	noReferrer  = []string{"no-referrer"}
	apiPolicy   = []string{"default-src 'none'; frame-ancestors 'none'"}
	hsts        = []string{"max-age=31536000"}
	forgedError = fault.New(fault.Denied, "a page of another origin may not do this with your cookie")
)

func (g *guard) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w := &recorder{ResponseWriter: out, log: g.log}
	start := time.Now()
	h := w.Header()
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = apiPolicy // a page of ours or of the app sets its own
	if g.secure || r.TLS != nil {
		h["Strict-Transport-Security"] = hsts
	}
	defer func() {
		if v := recover(); v != nil {
			g.panicked(w, r, v)
		}
		if g.log.Enabled(r.Context(), slog.LevelDebug) {
			g.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request", RequestID(w)),
				slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Int("status", w.status),
				slog.Int64("bytes", w.bytes), slog.Duration("time", time.Since(start)))
		}
	}()
	if g.cors.on && g.cors.answer(w, r) {
		return
	}
	if len(r.Header["Cookie"]) > 0 && len(r.Header["Authorization"]) == 0 {
		if err := g.forged.Check(r); err != nil {
			Problem(w, r, forgedError)
			return
		}
	}
	if g.timeout > 0 && !Names(r, "text/event-stream") {
		ctx := &deadline{Context: r.Context(), at: start.Add(g.timeout)}
		defer ctx.end()
		timed := r.WithContext(ctx)
		defer func() { r.Pattern = timed.Pattern }() // the routes write it on the request they see
		g.next.ServeHTTP(w, timed)
		return
	}
	g.next.ServeHTTP(w, r)
}

// panicked turns a panic into an answer, or ends the connection when one has begun.
func (g *guard) panicked(w *recorder, r *http.Request, v any) {
	if v == http.ErrAbortHandler {
		panic(v)
	}
	err := &fault.Error{Kind: fault.Internal, Op: "panic", Err: fmt.Errorf("%v\n%s", v, debug.Stack())}
	if w.status != 0 {
		g.log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("request", RequestID(w)), slog.Any("error", err))
		panic(http.ErrAbortHandler)
	}
	Problem(w, r, err)
}

// recorder remembers what became of a request.
type recorder struct {
	http.ResponseWriter
	log    *slog.Logger
	id     string
	status int // 0: nothing is written yet
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom lets files go from disk to network without a copy.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := io.Copy(w.ResponseWriter, r)
	w.bytes += n
	return n, err
}

func (w *recorder) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
