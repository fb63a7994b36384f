package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// The second step of a sign-in: a ticket in place of a session, and what it is ended with.

// ticket is what a sign-in goes on with after its first step.
type ticket struct {
	cookie  bool
	session string // that of a user who is signed in already
}

// secondStep is an error: who asks has proven who he is in one way, and another is needed. It is answered with the ticket.
type secondStep struct {
	ticket  string
	methods []string
	cause   error
}

func (s *secondStep) Error() string { return s.cause.Error() }
func (s *secondStep) Unwrap() error { return s.cause }

// json is the member mfa of the answer.
func (s *secondStep) json() []byte {
	b := doc.AppendString([]byte(`{"ticket":`), s.ticket)
	return append(append(append(b, `,"methods":["`...), strings.Join(s.methods, `","`)...), `"]}`...)
}

// problem answers with an error.
func problem(w http.ResponseWriter, r *http.Request, err error) {
	if s, ok := errors.AsType[*secondStep](err); ok {
		web.Problem(w, r, err, web.Member{Name: "mfa", JSON: s.json()})
		return
	}
	noteRefusal(r, err)
	web.Problem(w, r, err)
}

var (
	needsSecond  = fault.New(fault.Unauthenticated, "a second factor is needed")
	needsStepUp  = fault.New(fault.Denied, "this needs a session that was begun with a second factor")
	lacksFactor  = fault.New(fault.Denied, "your role needs a second factor: set one up, or show the one you have (/api/auth/mfa, /api/auth/passkeys)")
	bareOperator = fault.New(fault.Denied, "an operator needs a second factor: set one up, or show the one you have (/api/auth/operators/mfa, /api/auth/operators/passkeys)")
)

// lacks says whether a user whose role must have a second factor has shown none, by a token of another issuer neither: he can
// sign in, to set one up.
func (g *Gate) lacks(p *pass) bool {
	return p.user != "" && !p.caller.MFA && g.needs(p)
}

// needs says whether a user must have a second factor. Every operator must.
func (g *Gate) needs(p *pass) bool {
	return p.caller.Operator || slices.Contains(g.auth.MFA.Required, p.caller.Role)
}

// askSecond ends the first step of a sign-in.
func (g *Gate) askSecond(r *http.Request, who *person, t ticket, has factors, also func(*data.Tx) error) error {
	s := &secondStep{methods: has.methods(), cause: needsSecond}
	err := g.db.Series(r.Context(), data.System, func(tx *data.Tx) (err error) {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		c := ceremony{purpose: isTicket, user: who.id, epoch: who.epoch, session: t.session}
		if t.cookie {
			c.says = "cookie"
		}
		s.ticket, err = g.open(tx, c, ticketLife)
		return err
	})
	if err != nil {
		return err
	}
	if t.session != "" {
		s.cause = needsStepUp
	}
	return s
}

// stepUp answers POST /api/auth/mfa/step-up of somebody who is signed in: a ticket, with which his session is taken the place
// of by one that was begun with a second factor.
func (g *Gate) stepUp(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	who, has, err := g.self(r.Context(), p)
	if err != nil {
		return err
	}
	if !has.any() {
		return fault.New(fault.Conflict, "you have no second factor: set one up first")
	}
	err = g.askSecond(r, who, g.ticketOf(r, p), has, nil)
	s, ok := errors.AsType[*secondStep](err)
	if !ok {
		return err
	}
	web.JSON(w, r, http.StatusOK, append(append([]byte(`{"mfa":`), s.json()...), '}'))
	return nil
}

// ticketOf is the ticket of somebody who is signed in: the new session rests where the old one does.
func (g *Gate) ticketOf(r *http.Request, p *pass) ticket {
	return ticket{cookie: len(r.Header["Authorization"]) == 0, session: p.session}
}

// second answers POST /api/auth/mfa {ticket, method, code}: it signs in.
func (g *Gate) second(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	token, method, code := f.text("ticket"), f.text("method"), f.text("code")
	if method != "" && method != byTOTP && method != byRecovery {
		f.add("method", "enum", "is totp or recovery; a passkey is shown at /api/auth/passkeys/login")
	}
	if err := f.err(); err != nil {
		return err
	}
	ctx := r.Context()
	t, err := g.under(ctx, isTicket, token, "ticket")
	if err != nil {
		return err
	}
	who, err := g.of(ctx, &t, "ticket")
	if err != nil {
		return err
	}
	if err := g.tried(ctx, &t); err != nil {
		return err
	}
	spend, right := g.spendRecovery, func() {}
	if method == byTOTP {
		spend = g.spendTOTP
		if right, err = g.mayTry(r, who); err != nil {
			return err
		}
	}
	return g.steadily(ctx, who, func(f *factors) error {
		changes, err := spend(who, f, code)
		if err != nil {
			return err
		}
		right()
		return g.enter(w, r, who, entry{by: method, cookie: t.says != "", mfa: true, ends: t.session, also: func(tx *data.Tx) error {
			if err := g.keep(tx, who, f, unfailed(changes)); err != nil {
				return err
			}
			if err := g.spendTicket(tx, &t); err != nil || method == byTOTP {
				return err
			}
			return g.post(tx, Letter{Template: "recovery-used", To: who.email, Lang: language(r)})
		}})
	})
}

// tried counts an attempt with a ticket before it is looked at.
func (g *Gate) tried(ctx context.Context, t *ceremony) error {
	if t.tries < triesATicket {
		n, err := g.increment(ctx, g.own("_ceremonies"), t.id, "tries")
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil && n <= triesATicket {
			return nil
		}
	}
	return wrongSecret("/ticket")
}

func (g *Gate) increment(ctx context.Context, collection, id, field string) (int64, error) {
	one := doc.NewObject()
	one.Set(field, doc.NewInt(1))
	reply, err := g.db.Increment(ctx, data.System, collection, id, one, data.WriteOptions{})
	if err != nil {
		return 0, err
	}
	return countOf(reply, field)
}
