package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// A passkey is made, and is its user's from then on.

// beginPasskey answers POST /api/auth/passkeys {password}: the options with which a browser makes a passkey.
func (g *Gate) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	rp, err := g.relying("")
	if err != nil {
		return err
	}
	p, who, has, err := g.change(w, r)
	if err != nil {
		return err
	}
	if len(has.passkeys) >= mostPasskeys {
		return fault.New(fault.Conflict, "you have %d passkeys: remove one first", mostPasskeys)
	}
	h := holder{who, has.passkeys}
	options, session, err := rp.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return fault.Wrap(fault.Internal, "begin a passkey", err)
	}
	return g.offer(w, r, ceremony{purpose: isRegister, user: who.id, epoch: who.epoch, session: p.session}, challenge{Session: *session}, options.Response)
}

// confirmPasskey answers POST /api/auth/passkeys/confirm {ceremony, credential, name}: the passkey is there.
func (g *Gate) confirmPasskey(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	token, name, credential := f.text("ceremony"), f.maybe("name"), f.object("credential")
	if name = strings.TrimSpace(name); name == "" {
		name = "Passkey"
	}
	f.checkName(name)
	if err := f.err(); err != nil {
		return err
	}
	c, ch, err := g.answered(r.Context(), isRegister, token)
	if err != nil {
		return err
	}
	who, err := g.of(r.Context(), &c, "ceremony")
	if err != nil {
		return err
	}
	if c.session != p.session {
		return wrongSecret("/ceremony") // begun by another
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return g.notIt(err)
	}
	rp, err := g.relying(parsed.Response.CollectedClientData.Origin)
	if err != nil {
		return err
	}
	made, err := rp.CreateCredential(holder{who: who}, ch.Session, parsed)
	if err != nil {
		return g.notIt(err)
	}
	k := kept{ID: made.ID, PublicKey: made.PublicKey, AAGUID: made.Authenticator.AAGUID}
	for _, t := range made.Transport {
		k.Transports = append(k.Transports, string(t))
	}
	says, err := json.Marshal(k)
	if err != nil {
		return fault.Wrap(fault.Internal, "keep a passkey", err)
	}
	err = g.steadily(r.Context(), who, func(has *factors) error {
		if has.any() && !p.caller.MFA {
			return g.askSecond(r, who, g.ticketOf(r, p), *has, nil) // he got one meanwhile
		}
		if len(has.passkeys) >= mostPasskeys {
			return fault.New(fault.Conflict, "you have %d passkeys: remove one first", mostPasskeys)
		}
		now := g.clock()
		t := g.begun.mint(now) // for its id
		key := passkey{id: t.recordID(), name: name, made: now, eligible: made.Flags.BackupEligible, backed: made.Flags.BackupState, counter: made.Authenticator.SignCount}
		member := append([]byte(`,"passkey":`), key.json()...)
		return g.added(w, r, p, who, has, name, member, func(tx *data.Tx) error {
			body := doc.NewObject()
			body.Set("id", doc.NewString(key.id))
			body.Set("user", doc.NewString(who.id))
			body.Set("era", doc.NewInt(int64(who.era)))
			body.Set("name", doc.NewString(name))
			body.Set("key", doc.NewString(keyOf(k.ID)))
			body.Set("says", doc.NewString(string(says)))
			body.Set("counter", doc.NewInt(int64(key.counter)))
			body.Set("eligible", doc.NewBool(key.eligible))
			body.Set("backed", doc.NewBool(key.backed))
			_, err := tx.Create(g.own("_passkeys"), body)
			return err
		}, unfailed(doc.NewObject())) // a change in any case: of those who add one at the same time each sees the others'
	})
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind == fault.Conflict && len(e.Fields) > 0 {
		return fault.New(fault.Conflict, "this passkey is somebody's already") // of what is unique it is the last to be told
	}
	return err
}
