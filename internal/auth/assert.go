package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// A passkey is shown: to sign in alone, or as the second step.

// askPasskey answers POST /api/auth/passkeys/login {ticket}: the options with which a browser shows a passkey. Without a ticket
// they are the same for everybody: whose passkey it is, it says itself.
func (g *Gate) askPasskey(w http.ResponseWriter, r *http.Request) error {
	rp, err := g.relying("")
	if err != nil {
		return err
	}
	f, err := mayForm(w, r)
	if err != nil {
		return err
	}
	token := f.maybe("ticket")
	if err := f.err(); err != nil {
		return err
	}
	if token == "" {
		options, session, err := rp.BeginDiscoverableLogin()
		if err != nil {
			return fault.Wrap(fault.Internal, "ask for a passkey", err)
		}
		return g.offer(w, r, ceremony{purpose: isAssert}, challenge{Session: *session}, options.Response)
	}
	t, err := g.under(r.Context(), isTicket, token, "ticket")
	if err != nil {
		return err
	}
	who, err := g.of(r.Context(), &t, "ticket")
	if err != nil {
		return err
	}
	has, err := g.factorsOf(r.Context(), who)
	if err != nil {
		return err
	}
	if len(has.passkeys) == 0 {
		return fault.New(fault.Conflict, "you have no passkey: show another factor")
	}
	options, session, err := rp.BeginLogin(holder{who, has.passkeys})
	if err != nil {
		return fault.Wrap(fault.Internal, "ask for a passkey", err)
	}
	return g.offer(w, r, ceremony{purpose: isAssert, user: who.id, epoch: who.epoch, session: t.session}, challenge{Session: *session, Ticket: t.id}, options.Response)
}

// showPasskey answers POST /api/auth/passkeys/login/confirm {ceremony, credential, cookie}: it signs in.
func (g *Gate) showPasskey(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	token, credential, cookie := f.text("ceremony"), f.object("credential"), g.wantsCookie(f)
	if err := f.err(); err != nil {
		return err
	}
	ctx := r.Context()
	c, ch, err := g.answered(ctx, isAssert, token)
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return g.notIt(err)
	}
	rp, err := g.relying(parsed.Response.CollectedClientData.Origin)
	if err != nil {
		return err
	}
	var t *ceremony
	if ch.Ticket != "" {
		rec, err := g.record(ctx, g.own("_ceremonies"), ch.Ticket)
		if err != nil {
			return err
		}
		if rec == nil || !g.runs(rec, isTicket) {
			return wrongSecret("/ticket")
		}
		going := g.ceremonyOf(rec)
		t, cookie = &going, going.says != ""
	}
	who, err := g.holderOf(ctx, &c, parsed)
	if err != nil {
		return err
	}
	e := entry{by: byPasskey, cookie: cookie, mfa: true, ends: c.session}
	return g.steadily(ctx, who, func(has *factors) error {
		shown, err := g.assert(rp, who, has, ch.Session, parsed)
		if err == nil {
			err = g.mayEnter(who)
		}
		if err != nil {
			return err
		}
		e.also = func(tx *data.Tx) error {
			_, err := tx.UpdateAt(g.own("_passkeys"), shown.id, shown.rev, shown.changes(g.clock()))
			if fault.Is(err, fault.NotFound) {
				return moved // it is looked for again
			}
			if err != nil {
				return err
			}
			if has.id != "" && has.failed+has.here > 0 {
				if err := g.keep(tx, who, has, unfailed(doc.NewObject())); err != nil {
					return err
				}
			}
			if t == nil {
				return nil
			}
			return g.spendTicket(tx, t)
		}
		return g.enter(w, r, who, e)
	})
}

// holderOf finds whose passkey is shown: who has begun the ceremony or, where that is not known, whom the passkey names.
func (g *Gate) holderOf(ctx context.Context, c *ceremony, parsed *protocol.ParsedCredentialAssertionData) (*person, error) {
	if c.user != "" {
		return g.of(ctx, c, "ceremony")
	}
	named := parsed.Response.UserHandle
	if len(named) != idLen {
		return nil, wrongSecret("/credential")
	}
	who, err := g.personByID(ctx, idText(named))
	g.concerns(ctx, who)
	if err == nil && (who == nil || who.disabled) {
		err = wrongSecret("/credential")
	}
	return who, err
}

// assert verifies a response (WebAuthn level 3, 7.2), and finds the passkey that was shown.
func (g *Gate) assert(rp *webauthn.WebAuthn, who *person, has *factors, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (*passkey, error) {
	h := holder{who, has.passkeys}
	var got *webauthn.Credential
	var err error
	if len(session.UserID) == 0 {
		_, got, err = rp.ValidatePasskeyLogin(func([]byte, []byte) (webauthn.User, error) { return h, nil }, session, parsed)
	} else {
		got, err = rp.ValidateLogin(h, session, parsed)
	}
	if err != nil {
		return nil, g.notIt(err)
	}
	for i := range has.passkeys {
		p := &has.passkeys[i]
		if string(p.kept.ID) != string(got.ID) {
			continue
		}
		if got.Authenticator.CloneWarning {
			g.log.Warn("a passkey was refused: its counter has gone back, so there may be a copy of it", "user", who.id, "passkey", p.id,
				"counter", parsed.Response.AuthenticatorData.Counter, "was", p.counter)
			return nil, wrongSecret("/credential")
		}
		p.counter, p.backed = got.Authenticator.SignCount, got.Flags.BackupState
		return p, nil
	}
	return nil, fault.New(fault.Internal, "a passkey was verified that is none of the user's")
}

// changes are what is kept of a use.
func (p *passkey) changes(now time.Time) *doc.Node {
	body := doc.NewObject()
	body.Set("counter", doc.NewInt(int64(p.counter)))
	body.Set("backed", doc.NewBool(p.backed))
	body.Set("used", moment(now))
	return body
}
