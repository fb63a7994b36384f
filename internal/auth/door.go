package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Door answers what is under /api/auth/: how people become users, sign in and out, and prove who they are. Nothing it
// answers is kept by anybody (Cache-Control: no-store), and what asks for a mail answers the same, and in the same time,
// whether anybody has the address: the request only leaves a job, which looks (see letters.go).
func (g *Gate) Door() http.Handler {
	mux := http.NewServeMux()
	g.handle(mux, below, allRoutes())
	g.operators.handle(mux, belowOperators, operatorRoutes())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { web.Problem(w, r, noRoute) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Cache-Control"] = noStore
		own := g
		switch {
		case strings.HasPrefix(r.URL.Path, belowOperators):
			own = g.operators
		case g.people == nil:
			web.Problem(w, r, noPeople)
			return
		}
		watched := own.watched(r)
		mux.ServeHTTP(w, watched)
		r.Pattern = watched.Pattern // for the log of requests
	})
}

// Where the routes are.
const (
	below          = "/api/auth/"
	belowOperators = "/api/auth/operators/"
)

var noStore = []string{"no-store"}

// accountRoutes are those about accounts, the ways into them by password and mail, and sessions.
var accountRoutes = []route{
	{method: http.MethodPost, path: "register", act: (*Gate).register, when: opens, counted: true,
		tag: "auth", name: "register", summary: "Register",
		text:  "With `verify: required` the answer is the same for an address that is taken: its owner is told by mail.",
		takes: "email address, password password", user: true, fails: []int{http.StatusConflict},
		gives: []Answer{
			{Status: http.StatusAccepted, Text: "A mail is on its way", shape: "verify mail", when: verifies, Headers: asked},
			{Status: http.StatusCreated, Text: "The user is there", shape: "user Me", when: func(a *spec.Auth) bool { return !verifies(a) }, Headers: asked},
		}},
	{method: http.MethodPost, path: "verify", act: (*Gate).verify, when: opens, counted: true,
		tag: "auth", name: "verify", summary: "Confirm an address", text: "The token is that of the mail which registering sends. The password is needed in another browser than the one that asked.",
		takes: "token text, password? text|null", fails: []int{http.StatusConflict}, gives: done("The account is there")},
	{method: http.MethodPost, path: "login", act: (*Gate).login, theirs: true, counted: true, enters: true,
		tag: "auth", name: "login", summary: "Sign in with a password", text: "An account with a second factor is answered 401 with a ticket: the second step goes on with it.",
		takes: "email text, password text, cookie? flag|null", gives: begins("Session")},
	{method: http.MethodGet, path: "me", act: (*Gate).me, theirs: true, signed: true,
		tag: "auth", name: "me", summary: "Who is signed in", text: "The user's own record, and when the session ends in any case.",
		gives: tells("The user", "user Me, expires time")},
	{method: http.MethodDelete, path: "me", act: (*Gate).leave, counted: true, signed: true, sure: true, may: true,
		tag: "auth", name: "leave", summary: "Delete the account", text: "With all that proves whose it is and, as the references of the app say, with what is the user's. The password may be left out within 10 minutes of signing in.",
		takes: "password? text|null", fails: []int{http.StatusConflict},
		gives: []Answer{{Status: http.StatusNoContent, Text: "It is deleted", Headers: []Header{{"Set-Cookie", "The cookie, dropped, where one was shown", false}}}}},
	{method: http.MethodPost, path: "anonymous", act: (*Gate).comeIn, when: anonymous, counted: true, may: true,
		tag: "auth", name: "anonymous", summary: "Come in without saying who", text: "Makes a user without an address and without a role, who becomes somebody when he registers or signs in with a provider.",
		takes: "cookie? flag|null", user: true, fails: []int{http.StatusConflict}, gives: begins("Session")},
	{method: http.MethodPost, path: "logout", act: (*Gate).logout, theirs: true, signed: true,
		tag: "auth", name: "logout", summary: "Sign out", text: "The session that asks ends. A cookie of it is dropped, also when it has ended before.",
		gives: []Answer{{Status: http.StatusNoContent, Text: "Signed out", Headers: []Header{{"Set-Cookie", "The cookie, dropped, where one was shown", false}}}}},
	{method: http.MethodGet, path: "sessions", act: (*Gate).listSessions, theirs: true, signed: true,
		tag: "auth", name: "sessions", summary: "List the user's sessions", text: "Those that have not ended, the newest first, at most 100.",
		gives: tells("The sessions", "items [SignedInAt]")},
	{method: http.MethodDelete, path: "sessions", act: (*Gate).endOthers, theirs: true, signed: true,
		tag: "auth", name: "sessions.endOthers", summary: "End the other sessions", text: "All of the user's sessions end but the one that asks.",
		fails: []int{http.StatusConflict}, gives: done("They have ended")},
	{method: http.MethodDelete, path: "sessions/{id}", act: (*Gate).endSession, theirs: true, signed: true,
		tag: "auth", name: "sessions.end", summary: "End a session", text: "One of the user's sessions ends.",
		fails: []int{http.StatusNotFound},
		gives: []Answer{{Status: http.StatusNoContent, Text: "It has ended", Headers: []Header{{"Set-Cookie", "The cookie, dropped, where it was the session that asks", false}}}}},
	{method: http.MethodPost, path: "password", act: (*Gate).changePassword, theirs: true, counted: true, signed: true, sure: true,
		tag: "auth", name: "password", summary: "Change the password", text: "The other sessions end. Who has no password yet leaves `old` out.",
		takes: "old? text|null, new password", fails: []int{http.StatusConflict}, gives: done("It is changed")},
	{method: http.MethodPost, path: "reset", act: (*Gate).reset, counted: true,
		tag: "auth", name: "reset", summary: "Ask for a new password", text: "Sends a mail to the owner of the address, if there is one. The answer does not tell.",
		takes: "email address", gives: mailed()},
	{method: http.MethodPost, path: "reset/confirm", act: (*Gate).confirmReset, theirs: true, counted: true,
		tag: "auth", name: "reset.confirm", summary: "Set a new password", text: "The token is that of the mail. All sessions end, and none begins.",
		takes: "token text, password password", fails: []int{http.StatusConflict}, gives: done("It is set")},
	{method: http.MethodPost, path: "code", act: (*Gate).sendCode, counted: true,
		tag: "auth", name: "code", summary: "Ask for a code", text: "Sends a code of 8 digits to the owner of the address, if there is one. The answer does not tell.",
		takes: "email address", gives: mailed()},
	{method: http.MethodPost, path: "code/confirm", act: (*Gate).confirmCode, counted: true, enters: true,
		tag: "auth", name: "code.confirm", summary: "Sign in with a code", text: "The code is good for 10 minutes and 5 tries. It confirms the address too.",
		takes: "email address, code text, cookie? flag|null", gives: begins("Session")},
	{method: http.MethodPost, path: "email", act: (*Gate).move, counted: true, signed: true, sure: true,
		tag: "auth", name: "email", summary: "Ask for another address", text: "Sends a mail to the new address. The password may be left out within 10 minutes of signing in.",
		takes: "email address, password? text|null", gives: mailed()},
	{method: http.MethodPost, path: "email/confirm", act: (*Gate).confirmMove, counted: true,
		tag: "auth", name: "email.confirm", summary: "Confirm the other address", text: "The token is that of the mail. The old address is told. The password is needed in another browser than the one that asked, without a session of the user.",
		takes: "token text, password? text|null", fails: []int{http.StatusConflict}, gives: done("It is the user's address")},
}

func anonymous(a *spec.Auth) bool { return a.Anonymous > 0 }

func verifies(a *spec.Auth) bool { return a.Verify == "required" }

// signedIn is the user who asks, with his session.
func (g *Gate) signedIn(w http.ResponseWriter, r *http.Request) (*pass, error) {
	p, err := g.pass(r)
	if err != nil {
		_ = web.Asks(w, nil)
		return nil, err
	}
	if err := web.Asks(w, &p.caller); err != nil {
		return nil, err
	}
	switch {
	case p.caller.Operator && !g.ofOperators:
		return nil, fault.New(fault.Denied, "an operator is no user: his routes are below %s", belowOperators)
	case p.session != "":
		return p, nil
	case p.caller.SignedIn:
		return nil, fault.New(fault.Denied, "a key is not somebody who signs in")
	}
	return nil, signInFirst
}

var signInFirst = fault.New(fault.Unauthenticated, "sign in first")

// me answers GET /api/auth/me.
func (g *Gate) me(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	body, err := g.appendSelf(r.Context(), p.user, p.caller, []byte(`{"user":`))
	if fault.Is(err, fault.NotFound) {
		return refused // removed meanwhile
	}
	if err != nil {
		return err
	}
	body = append(append(append(body, `,"expires":"`...), p.ends.UTC().Format(timeFormat)...), `"}`...)
	web.JSON(w, r, http.StatusOK, body)
	return nil
}

// appendSelf appends who is signed in, as he is told: what he may read of his record.
func (g *Gate) appendSelf(ctx context.Context, id string, by data.Caller, dst []byte) ([]byte, error) {
	if !g.ofOperators {
		return g.db.Me(ctx, by, dst)
	}
	rec, err := g.record(ctx, g.people.users.Name, id)
	if err != nil {
		return dst, err
	}
	if rec == nil {
		return dst, fault.New(fault.NotFound, "the operator was removed")
	}
	dst = doc.AppendString(append(dst, `{"id":`...), id)
	dst = doc.AppendString(append(dst, `,"email":`...), rec[g.people.email].Text())
	return append(at(rec[spec.OrdCreated].Int()).AppendFormat(append(dst, `,"created":"`...), timeFormat), `"}`...), nil
}

// wantsCookie says whether a form asks for a session that rests in a cookie. That of an operator does not: it would be shown with every
// request of the app's own pages too, and what they ask must not be asked by somebody who passes every rule.
func (g *Gate) wantsCookie(f *form) bool {
	wants := f.flag("cookie")
	if wants && g.ofOperators {
		f.add("cookie", "unknown", "an operator's session rests in no cookie: keep the token")
	}
	return wants
}

// logout answers POST /api/auth/logout: the session that asks is none any more.
func (g *Gate) logout(w http.ResponseWriter, r *http.Request) error {
	if _, shown := g.cookie.in(r); shown { // else another site's page could have it dropped: its requests do not have it
		g.cookie.drop(w) // of a session that has ended too: the browser would show it for ever
	}
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	if err := g.end(r.Context(), p.user, p.session); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	g.note(r.Context(), "signed-out", p.user)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// signIn lets a user in who has proven who he is in one way: every such way ends here. It begins a session and answers with
// it or, where he has a second factor, asks for that (a secondStep): what also does is done in either case. by is the way; also
// is what the proof costs, in the same transaction.
func (g *Gate) signIn(w http.ResponseWriter, r *http.Request, who *person, by string, cookie bool, also func(*data.Tx) error) error {
	has, err := g.factorsOf(r.Context(), who)
	if err != nil {
		return err
	}
	if has.any() {
		err := g.askSecond(r, who, ticket{cookie: cookie}, has, also)
		if _, ok := errors.AsType[*secondStep](err); ok {
			g.note(r.Context(), "asked-for-a-factor", who.id, slog.String("by", by))
		}
		return err
	}
	return g.enter(w, r, who, entry{by: by, cookie: cookie, also: also})
}

// entry is how somebody comes in.
type entry struct {
	by     string // the way, for the log; "": it is told elsewhere
	cookie bool
	mfa    bool                 // he has shown a second factor
	ends   string               // the id of the session that the new one takes the place of; "": none
	also   func(*data.Tx) error // what is done in the same transaction
	more   []byte               // more members of the answer: ,"name":value
}

// enter begins a session and answers with it.
func (g *Gate) enter(w http.ResponseWriter, r *http.Request, who *person, e entry) error {
	var b begun
	oldest, err := g.surplus(r.Context(), who, e.ends)
	if err != nil {
		return err
	}
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) (err error) {
		if e.also != nil {
			if err := e.also(tx); err != nil {
				return err
			}
		}
		if e.ends != "" {
			if err := g.present(tx, who, e.ends); err != nil {
				return err
			}
			if err := tx.Delete(g.own("_sessions"), e.ends); fault.Is(err, fault.NotFound) {
				return refused // it has ended meanwhile: nothing begins by it
			} else if err != nil {
				return err
			}
		}
		for _, id := range oldest {
			if err := tx.Delete(g.own("_sessions"), id); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		b, err = g.begin(tx, r, who, e.mfa)
		return err
	})
	if err != nil {
		return err
	}
	if e.ends != "" {
		oldest = append(oldest, e.ends)
	}
	if len(oldest) > 0 {
		g.forget(func(p *pass) bool { return slices.Contains(oldest, p.session) })
	}
	if g.ofOperators && e.mfa {
		g.isKnown(r, g.cameID(who.id, who.epoch, network(g.address(r))), came)
	}
	if e.by != "" {
		g.note(r.Context(), "signed-in", who.id, slog.String("by", e.by), slog.Bool("mfa", e.mfa))
		if g.observer != nil {
			g.observer.SignedIn(e.by)
		}
	}
	by, err := g.callerOf(r.Context(), who.rec)
	if err != nil {
		return err
	}
	by.MFA = e.mfa
	body := append(append([]byte(`{"token":"`), b.token...), `","expires":"`...)
	body = append(append(body, b.expires.Format(timeFormat)...), `","user":`...)
	if body, err = g.appendSelf(r.Context(), who.id, by, body); err != nil {
		return err
	}
	if e.cookie {
		g.cookie.set(w, b)
	}
	_ = web.Asks(w, &by) // he has asked as somebody else
	web.JSON(w, r, http.StatusOK, append(append(body, e.more...), '}'))
	return nil
}
