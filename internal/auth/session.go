package auth

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// begun is a session that was begun: what the client shows from now on, and until when.
type begun struct {
	id      string
	token   string
	expires time.Time
}

// begin signs a user in at the client that sends r. mfa says that he has shown a second factor.
func (g *Gate) begin(tx *data.Tx, r *http.Request, who *person, mfa bool) (begun, error) {
	now := g.clock()
	t := g.session.mint(now)
	b := begun{id: t.recordID(), token: g.session.text(t), expires: now.Add(g.auth.Sessions.Longest).UTC().Truncate(time.Millisecond)}
	body := doc.NewObject()
	body.Set("id", doc.NewString(b.id))
	body.Set("user", doc.NewString(who.id))
	body.Set("epoch", doc.NewInt(int64(who.epoch)))
	body.Set("hash", doc.NewString(t.hash()))
	body.Set("seen", moment(now))
	body.Set("expires", moment(b.expires))
	body.Set("agent", doc.NewString(clip(r.UserAgent(), 200)))
	body.Set("address", doc.NewString(clip(g.address(r), 64)))
	body.Set("network", doc.NewString(clip(network(g.address(r)), 64)))
	body.Set("mfa", doc.NewBool(mfa))
	_, err := tx.Create(g.own("_sessions"), body)
	return b, err
}

// surplus are the oldest sessions of a user, those that are too many beside one that begins. but is one that goes in any case.
func (g *Gate) surplus(ctx context.Context, who *person, but string) (ids []string, err error) {
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: g.own("_sessions"), Limit: 500, Sort: "-id", Filter: "user == param.a && id != param.b",
		Params: map[string]*doc.Node{"a": doc.NewString(who.id), "b": doc.NewString(cmp.Or(but, nobody))}})
	if err != nil || len(records) < mostSessions {
		return nil, err
	}
	return idsOf(records[mostSessions-1:]), nil
}

// clip cuts a text to so many characters, and replaces what is no UTF-8 or no character that can be shown.
func clip(s string, most int) string {
	out := make([]rune, 0, min(len(s), most))
	for _, r := range s {
		if r == utf8.RuneError || r < ' ' || r == 0x7f {
			r = '?'
		}
		if out = append(out, r); len(out) == most {
			break
		}
	}
	return string(out)
}

// lookUpSession asks the database for a session and its user. One that has ended, lay idle for too long, or is of an
// earlier epoch of the account, is nil.
func (g *Gate) lookUpSession(ctx context.Context, t token) (*pass, error) {
	c := &g.people.session
	rec, err := g.record(ctx, g.own("_sessions"), t.recordID())
	if err != nil || rec == nil || !t.hasHash(rec[c.hash].Text()) {
		return nil, err
	}
	ends := time.UnixMilli(rec[c.expires].Int())
	expires := ends
	if idle := time.UnixMilli(rec[c.seen].Int()).Add(g.auth.Sessions.Idle + g.noted()); idle.Before(expires) {
		expires = idle // as far as it is known: each use within so long of the last is not noted
	}
	if !g.clock().Before(expires) {
		return nil, nil
	}
	who, err := g.personByID(ctx, rec[c.user].Text())
	if err != nil || who == nil || int64(who.epoch) != rec[c.epoch].Int() {
		return nil, err
	}
	if who.disabled {
		g.endAll(ctx, who)
		return nil, nil
	}
	g.noteUse(g.own("_sessions"), t.recordID(), "seen", rec[c.seen])
	by, err := g.callerOf(ctx, who.rec)
	if err != nil {
		return nil, err
	}
	by.MFA = rec[c.mfa].Bool()
	return &pass{caller: by, user: who.id, session: t.recordID(), since: at(rec[spec.OrdCreated].Int()), expires: expires, ends: ends}, nil
}

// Session is a place where a user is signed in.
type Session struct {
	ID      string
	Created time.Time
	Seen    time.Time // to the hour
	Expires time.Time
	Agent   string // what the client calls itself
	Address string // where it signed in from
	MFA     bool   // it began with a second factor
	Current bool   // it is the one that asks
}

// sessions are those of a user that have not ended, the newest first.
func (g *Gate) sessions(ctx context.Context, user, current string) ([]Session, error) {
	c := &g.people.session
	who, err := g.personByID(ctx, user)
	if err != nil || who == nil {
		return nil, err
	}
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: g.own("_sessions"), Limit: mostSessions, Sort: "-id",
		Filter: "user == param.a && epoch == param.b && expires > now",
		Params: map[string]*doc.Node{"a": doc.NewString(user), "b": doc.NewInt(int64(who.epoch))}})
	if err != nil {
		return nil, err
	}
	list := make([]Session, len(records))
	for i, r := range records {
		list[i] = Session{ID: r[spec.OrdID].Text(), Created: at(r[spec.OrdCreated].Int()), Seen: at(r[c.seen].Int()), Expires: at(r[c.expires].Int()),
			Agent: r[c.agent].Text(), Address: r[c.address].Text(), MFA: r[c.mfa].Bool(), Current: r[spec.OrdID].Text() == current}
	}
	return list, nil
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// mostSessions is how many sessions a user has: when another begins, the oldest ends.
const mostSessions = 100

// end ends a session of a user.
func (g *Gate) end(ctx context.Context, user, id string) error {
	c := &g.people.session
	rec, err := g.record(ctx, g.own("_sessions"), id)
	if err == nil && (rec == nil || rec[c.user].Text() != user) {
		err = fault.New(fault.NotFound, "there is no such session")
	}
	if err == nil {
		_, err = g.db.Delete(ctx, data.System, g.own("_sessions"), id, data.WriteOptions{})
	}
	g.forget(func(p *pass) bool { return p.session == id })
	return err
}

// errOvertaken is the answer to who would change an account by what is no longer true of it.
var errOvertaken = fault.New(fault.Conflict, "the account was changed meanwhile: look again, and try again")

// renew ends the sessions of a user, in the transaction and by what it writes: those of an earlier epoch are none any
// more. A session that begins meanwhile, with what is no longer true, is of the old one. but is the one that goes on.
//
// Both must be as they were read, for whoever asks was let in by that: of two who change an account at once one is
// errOvertaken, and a session that has ended, which a process may still believe for a while, is refused and does not begin again.
func (g *Gate) renew(tx *data.Tx, who *person, but string, changes *doc.Node) error {
	if but != "" {
		rec, err := tx.Record(g.own("_sessions"), but)
		if err != nil {
			return err
		}
		if !g.isOf(rec, who) {
			g.forget(func(p *pass) bool { return p.session == but })
			return refused
		}
	}
	epoch := doc.NewInt(int64(who.epoch + 1))
	changes.Set("epoch", epoch)
	if who.account == "" {
		changes.Set("user", doc.NewString(who.id))
		if _, err := tx.Create(g.own("_accounts"), changes); err != nil {
			return overtaken(err)
		}
	} else if _, err := tx.UpdateAt(g.own("_accounts"), who.account, who.rev, changes); err != nil {
		return overtaken(err)
	}
	if but == "" {
		return nil
	}
	body := doc.NewObject()
	body.Set("epoch", epoch)
	_, err := tx.Update(g.own("_sessions"), but, body)
	return err
}

// present refuses what is done by a session that has ended since it was looked at, or whose account was changed: a process may
// believe it for a while, and a request may have waited.
func (g *Gate) present(tx *data.Tx, who *person, session string) error {
	rec, err := tx.Record(g.own("_sessions"), session)
	if err != nil {
		return err
	}
	if !g.isOf(rec, who) {
		g.forget(func(p *pass) bool { return p.session == session })
		return refused
	}
	if who.account == "" {
		return nil
	}
	account, err := tx.Record(g.own("_accounts"), who.account)
	if err == nil && (account == nil || int(account[g.people.account.epoch].Int()) != who.epoch) {
		err = refused
	}
	return err
}

// isOf says whether a session, as it is stored, is one of a user that has not ended.
func (g *Gate) isOf(session data.Record, who *person) bool {
	c := &g.people.session
	return session != nil && session[c.user].Text() == who.id && session[c.epoch].Int() == int64(who.epoch) && g.clock().UnixMilli() < session[c.expires].Int()
}

// endAll ends the sessions of somebody who was disabled when the first of them is shown: if he is enabled again he signs in anew,
// whoever has kept a session meanwhile.
func (g *Gate) endAll(ctx context.Context, who *person) {
	err := g.db.Series(ctx, data.System, func(tx *data.Tx) error { return g.renew(tx, who, "", doc.NewObject()) })
	if err != nil && err != errOvertaken {
		g.log.Warn("the sessions of a user who is disabled could not be ended", "user", who.id, "error", err)
	}
}

// beginAnew ends the sessions of a user, and what was sent to him before; with all, what proves who he is, too: his password and his factors.
func (g *Gate) beginAnew(ctx context.Context, user string, all bool) error {
	defer g.renewed(user)
	for try := 0; ; try++ { // he may change something of his account meanwhile
		who, err := g.personByID(ctx, user)
		if err != nil || who == nil {
			return err
		}
		changes := doc.NewObject()
		if all {
			changes.Set("password", doc.NewNull())
			g.disown(who, changes)
		}
		err = g.db.Series(ctx, data.System, func(tx *data.Tx) error { return g.renew(tx, who, "", changes) })
		if err != errOvertaken || try == 5 {
			return err
		}
	}
}

// disabled ends the sessions of a user whom this process has disabled, by whichever write: if he is enabled again he signs in anew.
func (g *Gate) disabled(ctx context.Context, user string) {
	g.note(ctx, "disabled", user)
	if err := g.beginAnew(ctx, user, false); err != nil {
		g.log.Warn("the sessions of a user who is disabled could not be ended", "user", user, "error", err)
	}
}

// overtaken says what it means that an account is not at the revision at which it was read, is gone, or is there by now.
func overtaken(err error) error {
	if fault.Is(err, fault.Precondition) || fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return errOvertaken
	}
	return err
}

// disown has the factors and passkeys of a user be none, by changes of his account: they were set up before he has proven that
// the account is his.
func (g *Gate) disown(who *person, changes *doc.Node) {
	changes.Set("era", doc.NewInt(int64(who.era+1)))
}

// renewed has this process look a user up anew, whatever he comes with.
func (g *Gate) renewed(user string) {
	g.forgetUser(user)
}

// Anew has this process look a user up anew when he asks next: something has changed what he may do.
func (g *Gate) Anew(user string) { g.renewed(user) }

// listSessions answers GET /api/auth/sessions.
func (g *Gate) listSessions(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	list, err := g.sessions(r.Context(), p.user, p.session)
	if err != nil {
		return err
	}
	body := []byte(`{"items":[`)
	for i, s := range list {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(body, `{"id":"`...), s.ID...)
		for _, m := range []struct {
			name string
			at   time.Time
		}{{"created", s.Created}, {"seen", s.Seen}, {"expires", s.Expires}} {
			body = append(append(append(body, `","`...), m.name...), `":"`...)
			body = m.at.AppendFormat(body, timeFormat)
		}
		body = doc.AppendString(append(body, `","agent":`...), s.Agent)
		body = doc.AppendString(append(body, `,"address":`...), s.Address)
		body = strconv.AppendBool(append(body, `,"mfa":`...), s.MFA)
		body = strconv.AppendBool(append(body, `,"current":`...), s.Current)
		body = append(body, '}')
	}
	web.JSON(w, r, http.StatusOK, append(body, `]}`...))
	return nil
}

// endSession answers DELETE /api/auth/sessions/{id}.
func (g *Gate) endSession(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if !data.ValidID(id) {
		return fault.New(fault.NotFound, "there is no such session")
	}
	if err := g.end(r.Context(), p.user, id); err != nil {
		return err
	}
	if id == p.session {
		g.cookie.drop(w)
	}
	g.note(r.Context(), "session-ended", p.user)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// endOthers answers DELETE /api/auth/sessions: all of the user's end but the one that asks.
func (g *Gate) endOthers(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	who, err := g.personByID(r.Context(), p.user)
	if err != nil {
		return err
	}
	if who == nil {
		return refused
	}
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) error { return g.renew(tx, who, p.session, doc.NewObject()) })
	if err != nil {
		return err
	}
	g.renewed(who.id)
	g.note(r.Context(), "sessions-ended", who.id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
