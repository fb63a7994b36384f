package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/bluell/plinth/fault"
)

// What an account goes through is a line of the log each (OWASP ASVS 5.0, 16.3.1): "security", with what it was (event), whose
// account it is (user or operator), where the request came from (from), and by what. There is no secret in it, no address of mail and no name.

// Ways in, as the log names them, beside those of second factors.
const (
	byPassword = "password"
	byCode     = "code"
	byProvider = "provider"
)

// attempt is a request under /api/auth/, as far as it concerns somebody.
type attempt struct {
	log  *slog.Logger
	from string // the address
	user string // whom it is about; "" as long as nobody is known
	of   string // what he is: user or operator

	observer Observer
}

type attemptKey struct{}

// watched is a request whose events are logged.
func (g *Gate) watched(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), attemptKey{}, &attempt{log: g.log, from: clip(g.address(r), 64), of: g.whose(), observer: g.observer}))
}

// concerns notes whom a request is about, should it be refused.
func (g *Gate) concerns(ctx context.Context, who *person) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok && who != nil {
		a.user = who.id
	}
}

// whose says what those are whom the gate lets in.
func (g *Gate) whose() string {
	if g.ofOperators {
		return "operator"
	}
	return "user"
}

// note logs what has happened to an account.
func (g *Gate) note(ctx context.Context, event, user string, more ...slog.Attr) {
	attrs := []slog.Attr{slog.String("event", event), slog.String(g.whose(), user)}
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		attrs = append(attrs, slog.String("from", a.from))
	}
	g.log.LogAttrs(ctx, slog.LevelInfo, "security", append(attrs, more...)...)
}

// noteRefusal logs that a credential was not good, or not good enough, or that there were too many.
func noteRefusal(r *http.Request, err error) {
	a, ok := r.Context().Value(attemptKey{}).(*attempt)
	if !ok || !refusal(err) {
		return
	}
	if a.observer != nil {
		a.observer.Refused(r.Pattern, fault.Of(err).String())
	}
	a.log.LogAttrs(r.Context(), slog.LevelInfo, "security", slog.String("event", "refused"), slog.String(a.of, a.user), slog.String("from", a.from),
		slog.String("route", r.Pattern), slog.String("why", fault.Of(err).String()))
}

func refusal(err error) bool {
	if _, ok := errors.AsType[*secondStep](err); ok || err == error(signInFirst) {
		return false // nothing was wrong
	}
	switch fault.Of(err) {
	case fault.Unauthenticated, fault.Denied, fault.Limited:
		return true
	case fault.Invalid:
		e, ok := errors.AsType[*fault.Error](err)
		for i := 0; ok && i < len(e.Fields); i++ {
			if e.Fields[i].Code == "secret" {
				return true
			}
		}
	}
	return false
}
