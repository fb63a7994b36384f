package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Second factors: what a user proves himself with beside the first way in. They are codes of an authenticator app (totp.go),
// passkeys (passkey.go) and, for when these are lost, recovery codes (recovery.go).
//
// A sign-in of an account that has one is in two steps. The first ends with a ticket in place of a session; the second shows
// the ticket and the factor, and begins the session. A user who is signed in already shows a factor in the same way: his
// session is taken the place of by one that is begun with it.

// ofFactors is what is kept of factors.
//
// _factors: one record of a user. What is good once is taken out of it at the revision at which it was found there, so that
// of all who try, in whatever process and on whatever database, one is not told that it is spent. What is of another era
// than the account is nothing: whoever made the account before its owner did may have set it up. step is the last time step
// that was accepted; failed counts the codes that were wrong since the last that was right, failed_here those from where the
// user has a session. turn is counted up by each change, for a change of nothing would have no revision.
//
// _passkeys: key is the SHA-256 of the credential's id. _ceremonies: what was begun, and is ended by a second request.
const ofFactors = `
_factors:
  fields:
    user:        {type: ref, to: USERS, required: true, unique: true, onDelete: cascade}
    era:         {type: int, required: true}
    totp:        {type: text, max: 64, encrypted: true}
    step:        {type: int, required: true, default: 0}
    pending:     {type: text, max: 64, encrypted: true}
    begun:       {type: time}
    codes:       {type: text, max: 2000, encrypted: true}
    failed:      {type: int, required: true, default: 0, min: 0}
    failed_here: {type: int, required: true, default: 0, min: 0}
    turn:        {type: int, required: true, default: 0, min: 0}
_passkeys:
  fields:
    user:     {type: ref, to: USERS, required: true, onDelete: cascade}
    era:      {type: int, required: true}
    name:     {type: text, max: 60, required: true}
    key:      {type: text, max: 64, required: true, unique: true}
    says:     {type: text, required: true, encrypted: true}
    counter:  {type: int, required: true, min: 0}
    eligible: {type: bool, required: true}
    backed:   {type: bool, required: true}
    used:     {type: time}
_ceremonies:
  fields:
    purpose: {type: enum, values: [ticket, register, assert], required: true}
    hash:    {type: text, max: 64, required: true}
    user:    {type: ref, to: USERS, onDelete: cascade}
    epoch:   {type: int, required: true, default: 0}
    session: {type: text, max: 36}
    says:    {type: text, encrypted: true}
    tries:   {type: int, required: true, default: 0, min: 0}
    expires: {type: time, required: true}
  indexes:
    - [expires]
`

// Ways to show a second factor, as the answers name them.
const (
	byPasskey  = "passkey"
	byTOTP     = "totp"
	byRecovery = "recovery"
)

// factors are the second factors of a user, as they are kept.
type factors struct {
	id      string // of the record; "": there is none
	rev     int64
	past    bool   // the record is of an earlier era: nothing of it holds
	totp    string // the secret; "": there is none
	step    int64
	pending string // a secret that was begun with
	begun   time.Time
	codes   []string // hashes of the recovery codes that are left
	failed  int64
	here    int64
	turn    int64

	passkeys []passkey
}

// any says whether a second factor is asked for.
func (f *factors) any() bool { return f.totp != "" || len(f.passkeys) > 0 }

// methods are the ways to show one.
func (f *factors) methods() (ways []string) {
	if len(f.passkeys) > 0 {
		ways = append(ways, byPasskey)
	}
	if f.totp != "" {
		ways = append(ways, byTOTP)
	}
	if len(f.codes) > 0 {
		ways = append(ways, byRecovery)
	}
	return ways
}

// factorsOf finds the factors of a user.
func (g *Gate) factorsOf(ctx context.Context, who *person) (f factors, err error) {
	c := &g.people.factor
	rec, err := g.first(ctx, g.own("_factors"), "user == param.a", who.id)
	if err != nil {
		return f, err
	}
	if rec != nil {
		f.id, f.rev, f.turn = rec[spec.OrdID].Text(), rec[spec.OrdRev].Int(), rec[c.turn].Int()
		f.past = rec[c.era].Int() != int64(who.era)
	}
	if rec != nil && !f.past {
		f.totp, f.step, f.pending = rec[c.totp].Text(), rec[c.step].Int(), rec[c.pending].Text()
		if v := rec[c.begun]; !v.IsNull() {
			f.begun = at(v.Int())
		}
		f.codes, f.failed, f.here = strings.Fields(rec[c.codes].Text()), rec[c.failed].Int(), rec[c.failedHere].Int()
	}
	f.passkeys, err = g.passkeysOf(ctx, who)
	return f, err
}

// keep stores changes of a user's factors in a transaction, if nobody has changed them since they were read; else it is
// fault.Precondition, and steadily reads them again.
func (g *Gate) keep(tx *data.Tx, who *person, f *factors, changes *doc.Node) error {
	era := doc.NewInt(int64(who.era))
	changes.Set("turn", doc.NewInt(f.turn+1))
	switch {
	case f.id == "":
		changes.Set("user", doc.NewString(who.id))
		changes.Set("era", era)
		_, err := tx.Create(g.own("_factors"), changes)
		return err
	case f.past:
		whole := doc.NewObject()
		for _, name := range []string{"totp", "pending", "begun", "codes"} {
			whole.Set(name, doc.NewNull())
		}
		for _, name := range []string{"step", "failed", "failed_here"} {
			whole.Set(name, doc.NewInt(0))
		}
		for i, name := range changes.Keys {
			whole.Set(name, &changes.Items[i])
		}
		whole.Set("era", era)
		changes = whole
	}
	_, err := tx.UpdateAt(g.own("_factors"), f.id, f.rev, changes)
	if fault.Is(err, fault.NotFound) {
		return moved
	}
	return err
}

// moved says that another was faster: steadily looks again.
var moved = fault.New(fault.Precondition, "this was changed meanwhile: try again")

// steadily does something with the factors of a user as they are, again when they were changed meanwhile.
func (g *Gate) steadily(ctx context.Context, who *person, do func(*factors) error) error {
	for range 20 {
		f, err := g.factorsOf(ctx, who)
		if err != nil {
			return err
		}
		err = do(&f)
		if fault.Is(err, fault.Precondition) || f.id == "" && fault.Is(err, fault.Conflict) && g.has(ctx, who) {
			continue // another was faster
		}
		return err
	}
	return fault.New(fault.Unavailable, "too many do this at the same time: try again")
}

// has says whether there is a record of a user's factors.
func (g *Gate) has(ctx context.Context, who *person) bool {
	rec, err := g.first(ctx, g.own("_factors"), "user == param.a", who.id)
	return err == nil && rec != nil
}

// unfailed has the count of wrong codes begin anew.
func unfailed(changes *doc.Node) *doc.Node {
	changes.Set("failed", doc.NewInt(0))
	changes.Set("failed_here", doc.NewInt(0))
	return changes
}

// ceremony is something that was begun for whoever has its token, and that a second request ends.
type ceremony struct {
	id, purpose string
	user        string // "": nobody is known yet
	epoch       int    // of the user's account
	session     string // the session that it was begun from; "": none
	says        string
	tries       int64
}

// What a ceremony is for, how long it may take, and how many codes may be tried with one ticket (NIST 800-63B-4, 3.1.3.2:
// 10 minutes).
const (
	isTicket   = "ticket"   // a first proof was good, and a second is to follow
	isRegister = "register" // a passkey is being made
	isAssert   = "assert"   // a passkey is being shown

	ticketLife   = 10 * time.Minute
	passkeyLife  = 5 * time.Minute
	triesATicket = 5
)

// open begins a ceremony. The token that ends it is told to who asks, and to nobody else.
func (g *Gate) open(tx *data.Tx, c ceremony, life time.Duration) (token string, err error) {
	now := g.clock()
	t := g.begun.mint(now)
	body := doc.NewObject()
	body.Set("id", doc.NewString(t.recordID()))
	body.Set("purpose", doc.NewString(c.purpose))
	body.Set("hash", doc.NewString(t.hash()))
	body.Set("epoch", doc.NewInt(int64(c.epoch)))
	body.Set("expires", moment(now.Add(life)))
	for name, text := range map[string]string{"user": c.user, "session": c.session, "says": c.says} {
		if text != "" {
			body.Set(name, doc.NewString(text))
		}
	}
	_, err = tx.Create(g.own("_ceremonies"), body)
	return g.begun.text(t), err
}

// under finds the ceremony of a token, which stands in a field of the request.
func (g *Gate) under(ctx context.Context, purpose, token, field string) (ceremony, error) {
	t, ok := g.begun.parse(token)
	if !ok {
		return ceremony{}, wrongSecret(fault.Pointer(field))
	}
	rec, err := g.record(ctx, g.own("_ceremonies"), t.recordID())
	if err != nil {
		return ceremony{}, err
	}
	if rec == nil || !t.hasHash(rec[g.people.ceremony.hash].Text()) || !g.runs(rec, purpose) {
		return ceremony{}, wrongSecret(fault.Pointer(field))
	}
	return g.ceremonyOf(rec), nil
}

func (g *Gate) runs(rec data.Record, purpose string) bool {
	c := &g.people.ceremony
	return rec[c.purpose].Text() == purpose && g.clock().UnixMilli() < rec[c.expires].Int()
}

func (g *Gate) ceremonyOf(rec data.Record) ceremony {
	c := &g.people.ceremony
	return ceremony{id: rec[spec.OrdID].Text(), purpose: rec[c.purpose].Text(), user: rec[c.user].Text(), epoch: int(rec[c.epoch].Int()),
		session: rec[c.session].Text(), says: rec[c.says].Text(), tries: rec[c.tries].Int()}
}

// of finds whose a ceremony is. What changed his epoch since has ended it: a new password, for one.
func (g *Gate) of(ctx context.Context, c *ceremony, field string) (*person, error) {
	who, err := g.personByID(ctx, c.user)
	g.concerns(ctx, who)
	if err == nil && (who == nil || who.disabled || who.epoch != c.epoch) {
		err = wrongSecret(fault.Pointer(field))
	}
	return who, err
}

// spendTicket ends a ticket: of all who try one is not told that it is spent.
func (g *Gate) spendTicket(tx *data.Tx, c *ceremony) error {
	err := tx.Delete(g.own("_ceremonies"), c.id)
	if fault.Is(err, fault.NotFound) {
		return wrongSecret("/ticket")
	}
	return err
}

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

// self is who is signed in, with his factors. His session is looked up anew: one that has ended elsewhere is believed for a while
// (remembered), but not where the account itself is at stake.
func (g *Gate) self(ctx context.Context, p *pass) (*person, factors, error) {
	who, err := g.personByID(ctx, p.user)
	if err != nil {
		return nil, factors{}, err
	}
	g.concerns(ctx, who)
	session, err := g.record(ctx, g.own("_sessions"), p.session)
	if err != nil {
		return nil, factors{}, err
	}
	if who == nil || who.disabled || !g.isOf(session, who) {
		g.forget(func(q *pass) bool { return q.session == p.session })
		return nil, factors{}, refused
	}
	f, err := g.factorsOf(ctx, who)
	return who, f, err
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

// sureFor is how long somebody who has signed in, or has shown a second factor, is believed to be there himself.
const sureFor = 10 * time.Minute

// sure sees to it that it is the user himself who asks for what could take his account from him, and not somebody who has
// found a session open: he has signed in within sureFor, or gives his password, which stands in a field of the request
// (OWASP ASVS 5.0, 7.5.1). Where he has a second factor the session must have been begun with one: who knows the password
// alone does not come by it this way. always has the password asked for of who has just signed in too, where there is one.
func (g *Gate) sure(r *http.Request, p *pass, password, field string, always bool) (*person, factors, error) {
	who, has, err := g.self(r.Context(), p)
	if err != nil {
		return nil, has, err
	}
	if has.any() && !p.caller.MFA {
		return nil, has, g.askSecond(r, who, g.ticketOf(r, p), has, nil)
	}
	switch fresh := g.clock().Sub(p.since) < sureFor; {
	case who.anonymous: // he has nothing but the session
	case password != "":
		who, err = g.again(r, p, password, field)
	case fresh && (!always || who.password == ""):
	case who.password == "":
		err = fault.New(fault.Denied, "sign in again: it is more than %d minutes ago", int(sureFor.Minutes()))
	case fresh:
		err = &fault.Error{Kind: fault.Invalid, Fields: []fault.Field{{Pointer: fault.Pointer(field), Code: "required", Message: "is required"}}}
	default:
		err = &fault.Error{Kind: fault.Invalid, Fields: []fault.Field{{Pointer: fault.Pointer(field), Code: "required",
			Message: fmt.Sprintf("is required: it is more than %d minutes ago that you signed in", int(sureFor.Minutes()))}}}
	}
	return who, has, err
}

// change is a change of factors that is asked for by somebody who is signed in: who he is, beyond doubt.
func (g *Gate) change(w http.ResponseWriter, r *http.Request) (*pass, *person, factors, error) {
	p, err := g.signedIn(w, r)
	if err != nil {
		return nil, nil, factors{}, err
	}
	f, err := mayForm(w, r)
	if err != nil {
		return nil, nil, factors{}, err
	}
	password := f.maybe("password")
	if err := f.err(); err != nil {
		return nil, nil, factors{}, err
	}
	who, has, err := g.sure(r, p, password, "password", false)
	if err == nil {
		err = who.named()
	}
	return p, who, has, err
}

// added ends a request that has given a user a factor: keeps stores it. The session is taken the place of by one that was
// begun with a factor; where it is the first, there are recovery codes, which are told this once. member is one more member
// of the answer.
func (g *Gate) added(w http.ResponseWriter, r *http.Request, p *pass, who *person, has *factors, passkey string, member []byte, keeps func(*data.Tx) error, changes *doc.Node) error {
	var codes []string
	if !has.any() {
		codes = newRecovery()
		changes.Set("codes", doc.NewString(g.recoveryHashes(who, codes)))
		member = append(member, `,"recovery":`...)
		member = appendTexts(member, codes)
	}
	err := g.enter(w, r, who, entry{cookie: g.ticketOf(r, p).cookie, mfa: true, ends: p.session, more: member, also: func(tx *data.Tx) error {
		if len(changes.Keys) > 0 {
			if err := g.keep(tx, who, has, changes); err != nil {
				return err
			}
		}
		if keeps != nil {
			if err := keeps(tx); err != nil {
				return err
			}
		}
		return g.post(tx, Letter{Template: "factor-added", To: who.email, Passkey: passkey, Lang: language(r)})
	}})
	if err == nil {
		g.note(r.Context(), "factor-added", who.id, slog.Bool("passkey", passkey != ""))
	}
	return err
}

// removed ends a request that takes a factor from a user: drops removes it. His other sessions end: one of them may be why he
// removes it. left says that he has another; without one there are no recovery codes, and the session is none with a factor.
func (g *Gate) removed(w http.ResponseWriter, r *http.Request, p *pass, who *person, has *factors, passkey string, left bool, changes *doc.Node, drops func(*data.Tx) error) error {
	if !left && len(has.codes) > 0 {
		changes.Set("codes", doc.NewNull())
	}
	err := g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
		if drops != nil {
			if err := drops(tx); err != nil {
				return err
			}
		}
		if len(changes.Keys) > 0 {
			if err := g.keep(tx, who, has, changes); err != nil {
				return err
			}
		}
		if err := g.renew(tx, who, p.session, doc.NewObject()); err != nil {
			return err
		}
		if !left {
			plain := doc.NewObject()
			plain.Set("mfa", doc.NewBool(false))
			if _, err := tx.Update(g.own("_sessions"), p.session, plain); err != nil {
				return err
			}
		}
		return g.post(tx, Letter{Template: "factor-removed", To: who.email, Passkey: passkey, Lang: language(r)})
	})
	if err != nil {
		return err
	}
	g.renewed(who.id)
	g.note(r.Context(), "factor-removed", who.id, slog.Bool("passkey", passkey != ""))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// showFactors answers GET /api/auth/mfa.
func (g *Gate) showFactors(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	_, has, err := g.self(r.Context(), p)
	if err != nil {
		return err
	}
	b := strconv.AppendBool([]byte(`{"session":`), p.caller.MFA)
	b = strconv.AppendBool(append(b, `,"required":`...), g.needs(p))
	b = strconv.AppendBool(append(b, `,"totp":`...), has.totp != "")
	b = strconv.AppendInt(append(b, `,"passkeys":`...), int64(len(has.passkeys)), 10)
	b = strconv.AppendInt(append(b, `,"recovery":`...), int64(len(has.codes)), 10)
	web.JSON(w, r, http.StatusOK, append(b, '}'))
	return nil
}

// factorRoutes are those of second factors and passkeys.
var factorRoutes = []route{
	{method: http.MethodGet, path: "mfa", act: (*Gate).showFactors, theirs: true, signed: true,
		tag: "auth.mfa", name: "show", summary: "What second factors the user has", text: "`session` says whether this session began with one; the numbers are how many there are.",
		gives: tells("The factors", "session flag, required flag, totp flag, passkeys number, recovery number")},
	{method: http.MethodPost, path: "mfa", act: (*Gate).second, theirs: true, counted: true, enters: true,
		tag: "auth.mfa", name: "second", summary: "Take the second step with a code", text: "A ticket is good once, for 10 minutes and 5 codes. The cookie is as the first step has asked.",
		takes: "ticket text, method totp/recovery, code text", gives: begins("Session")},
	{method: http.MethodPost, path: "mfa/step-up", act: (*Gate).stepUp, theirs: true, counted: true, signed: true,
		tag: "auth.mfa", name: "stepUp", summary: "Ask for the second step", text: "A ticket for who is signed in already: the session that it ends in takes the place of this one.",
		fails: []int{http.StatusConflict}, gives: tells("The ticket", "mfa Ticket")},
	{method: http.MethodPost, path: "mfa/totp", act: (*Gate).beginTOTP, theirs: true, counted: true, signed: true, sure: true, may: true,
		tag: "auth.mfa", name: "totp.begin", summary: "Begin with an authenticator app", text: "A new secret, which counts for nothing before a code of it is shown. `qr` is a picture for the `src` of an `img`.",
		takes: "password? text|null", fails: []int{http.StatusConflict}, gives: tells("The secret", "secret text, uri text, qr text")},
	{method: http.MethodPost, path: "mfa/totp/confirm", act: (*Gate).confirmTOTP, theirs: true, counted: true, signed: true, sure: true,
		tag: "auth.mfa", name: "totp.confirm", summary: "Confirm the authenticator app", text: "Codes are asked for from now on. A new session takes the place of this one.",
		takes: "code text", fails: []int{http.StatusConflict}, gives: begins("NewFactor")},
	{method: http.MethodDelete, path: "mfa/totp", act: (*Gate).removeTOTP, theirs: true, counted: true, signed: true, sure: true, may: true,
		tag: "auth.mfa", name: "totp.remove", summary: "Remove the authenticator app", text: "The other sessions end.",
		takes: "password? text|null", fails: []int{http.StatusNotFound, http.StatusConflict}, gives: done("It is removed")},
	{method: http.MethodPost, path: "mfa/recovery", act: (*Gate).renewRecovery, theirs: true, counted: true, signed: true, sure: true, may: true,
		tag: "auth.mfa", name: "recovery", summary: "Make new recovery codes", text: "The old ones are good for nothing. The new ones are told this once.",
		takes: "password? text|null", fails: []int{http.StatusConflict}, gives: tells("The codes", "recovery [text]")},
	{method: http.MethodGet, path: "passkeys", act: (*Gate).listPasskeys, theirs: true, signed: true,
		tag: "auth.mfa", name: "passkeys", summary: "List the user's passkeys", text: "The oldest first.",
		gives: tells("The passkeys", "items [Passkey]")},
	{method: http.MethodPost, path: "passkeys", act: (*Gate).beginPasskey, theirs: true, counted: true, signed: true, sure: true, may: true,
		tag: "auth.mfa", name: "passkeys.begin", summary: "Begin to make a passkey", text: "Options for `navigator.credentials.create`, good for 5 minutes.",
		takes: "password? text|null", fails: []int{http.StatusConflict}, gives: tells("The options", "Ceremony")},
	{method: http.MethodPost, path: "passkeys/confirm", act: (*Gate).confirmPasskey, theirs: true, counted: true, signed: true, sure: true,
		tag: "auth.mfa", name: "passkeys.confirm", summary: "Add a passkey", text: "`credential` is what the browser made, `toJSON()`. A new session takes the place of this one.",
		takes: "ceremony text, credential object, name? text|null", fails: []int{http.StatusConflict}, gives: begins("NewPasskey")},
	{method: http.MethodPatch, path: "passkeys/{id}", act: (*Gate).renamePasskey, theirs: true, counted: true, signed: true,
		tag: "auth.mfa", name: "passkeys.rename", summary: "Rename a passkey", text: "A name has at most 60 characters.",
		takes: "name text", fails: []int{http.StatusNotFound}, gives: tells("The passkey", "Passkey")},
	{method: http.MethodDelete, path: "passkeys/{id}", act: (*Gate).removePasskey, theirs: true, counted: true, signed: true, sure: true, may: true,
		tag: "auth.mfa", name: "passkeys.remove", summary: "Remove a passkey", text: "The other sessions end. The last way to sign in is kept.",
		takes: "password? text|null", fails: []int{http.StatusNotFound, http.StatusConflict}, gives: done("It is removed")},
	{method: http.MethodPost, path: "passkeys/login", act: (*Gate).askPasskey, theirs: true, counted: true, may: true,
		tag: "auth.mfa", name: "passkeys.ask", summary: "Begin to show a passkey", text: "Options for `navigator.credentials.get`, good for 5 minutes: with a ticket for the second step, without one to sign in with a passkey alone.",
		takes: "ticket? text|null", fails: []int{http.StatusConflict}, gives: tells("The options", "Ceremony")},
	{method: http.MethodPost, path: "passkeys/login/confirm", act: (*Gate).showPasskey, theirs: true, counted: true, enters: true,
		tag: "auth.mfa", name: "passkeys.login", summary: "Sign in with a passkey", text: "`credential` is what the browser has shown, `toJSON()`.",
		takes: "ceremony text, credential object, cookie? flag|null", gives: begins("Session")},
}

func appendTexts(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, s := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = doc.AppendString(dst, s)
	}
	return append(dst, ']')
}
