package auth

import (
	"context"
	"net/http"
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
