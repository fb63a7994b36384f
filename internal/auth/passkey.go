package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Passkeys (WebAuthn level 3). They are discoverable, and the authenticator verifies who holds it: so one signs in alone, and
// counts as a second factor. The key that is kept is sealed for its record: whoever can write to the database cannot put
// his own in its place. What an authenticator says of its maker (attestation) is not asked for.

// mostPasskeys is how many a user may have.
const (
	mostPasskeys = 20
	passkeyName  = 60 // characters
)

// passkey is one of a user's.
type passkey struct {
	id        string // of its record
	rev       int64
	user      string
	era       int64
	name      string
	made      time.Time
	used      time.Time // zero: never
	counter   uint32
	eligible  bool // it may be copied to other devices of its owner (BE)
	backed    bool // it has been (BS)
	kept      kept
	signature webauthn.Credential // what the library makes of it
}

// kept is what is sealed of a passkey.
type kept struct {
	ID         []byte   `json:"id"`
	PublicKey  []byte   `json:"publicKey"` // COSE_Key (RFC 9052)
	AAGUID     []byte   `json:"aaguid"`    // the model of the authenticator
	Transports []string `json:"transports"`
}

func (g *Gate) passkeyOf(rec data.Record) (p passkey, err error) {
	c := &g.people.passkey
	p = passkey{id: rec[spec.OrdID].Text(), rev: rec[spec.OrdRev].Int(), user: rec[c.user].Text(), era: rec[c.era].Int(), name: rec[c.name].Text(), made: at(rec[spec.OrdCreated].Int()),
		counter: uint32(rec[c.counter].Int()), eligible: rec[c.eligible].Bool(), backed: rec[c.backed].Bool()}
	if v := rec[c.used]; !v.IsNull() {
		p.used = at(v.Int())
	}
	if err := json.Unmarshal([]byte(rec[c.says].Text()), &p.kept); err != nil {
		return p, fault.Wrap(fault.Internal, "read a passkey", err)
	}
	flags := protocol.FlagUserPresent | protocol.FlagUserVerified
	if p.eligible {
		flags |= protocol.FlagBackupEligible
	}
	if p.backed {
		flags |= protocol.FlagBackupState
	}
	p.signature = webauthn.Credential{ID: p.kept.ID, PublicKey: p.kept.PublicKey, AttestationType: "none", AttestationFormat: "none", Flags: webauthn.NewCredentialFlags(flags),
		Authenticator: webauthn.Authenticator{AAGUID: p.kept.AAGUID, SignCount: p.counter}}
	for _, t := range p.kept.Transports {
		p.signature.Transport = append(p.signature.Transport, protocol.AuthenticatorTransport(t))
	}
	return p, nil
}

// passkeysOf finds the passkeys of a user, the oldest first.
func (g *Gate) passkeysOf(ctx context.Context, who *person) ([]passkey, error) {
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: g.own("_passkeys"), Limit: mostPasskeys, Sort: "id",
		Filter: "user == param.a && era == param.b", Params: map[string]*doc.Node{"a": doc.NewString(who.id), "b": doc.NewInt(int64(who.era))}})
	if err != nil {
		return nil, err
	}
	list := make([]passkey, len(records))
	for i, rec := range records {
		if list[i], err = g.passkeyOf(rec); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// holder is a user as the library asks for him. His handle is his id: it says nothing of him (14.6.1).
type holder struct {
	who      *person
	passkeys []passkey
}

func (h holder) WebAuthnID() []byte          { return handle(h.who.id) }
func (h holder) WebAuthnName() string        { return h.who.email }
func (h holder) WebAuthnDisplayName() string { return h.who.email }
func (h holder) WebAuthnCredentials() []webauthn.Credential {
	list := make([]webauthn.Credential, len(h.passkeys))
	for i, p := range h.passkeys {
		list[i] = p.signature
	}
	return list
}

func handle(id string) []byte {
	b, _ := hex.DecodeString(strings.ReplaceAll(id, "-", "")) // an id is a UUID
	return b
}

// relying is the relying party of the app (WebAuthn, 4). origin is the one that a response names, "" before there is one: an
// app that says nowhere where it is served has passkeys with --dev, for pages at localhost.
func (g *Gate) relying(origin string) (*webauthn.WebAuthn, error) {
	app := g.db.App()
	domain, origins := g.auth.Passkeys.Domain, g.auth.Passkeys.Origins
	if domain == "" && g.dev && app.Server.URL == "" {
		domain, origins = "localhost", []string{"http://localhost"}
		if u, err := url.Parse(origin); err == nil && u.Hostname() == "localhost" {
			origins = []string{origin}
		}
	}
	if domain == "" {
		return nil, &fault.Error{Kind: fault.Lacking, Op: "passkeys", Msg: "passkeys belong to a domain, and server.url of the app file has none: write server: {url: https://app.example.com}"}
	}
	must := true
	rp, err := webauthn.New(&webauthn.Config{RPID: domain, RPDisplayName: app.Name, RPOrigins: origins, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &must, UserVerification: protocol.VerificationRequired},
		Timeouts:               webauthn.TimeoutsConfig{Login: webauthn.TimeoutConfig{Timeout: passkeyLife}, Registration: webauthn.TimeoutConfig{Timeout: passkeyLife}},
		// Keepers of passkeys tell more than they were asked; nothing of it is used.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore})
	if err != nil {
		return nil, &fault.Error{Kind: fault.Lacking, Op: "passkeys", Msg: "passkeys cannot be used at " + domain, Err: err}
	}
	return rp, nil
}

// challenge is what is kept of a ceremony while an authenticator is asked.
type challenge struct {
	Session webauthn.SessionData `json:"session"`
	Ticket  string               `json:"ticket,omitempty"` // the id of the ticket that the ceremony goes on with
}

// offer begins a ceremony and answers with its options, in the form that PublicKeyCredential.parseCreationOptionsFromJSON and
// parseRequestOptionsFromJSON read.
func (g *Gate) offer(w http.ResponseWriter, r *http.Request, c ceremony, ch challenge, options any) error {
	says, err := json.Marshal(ch)
	if err != nil {
		return fault.Wrap(fault.Internal, "keep a challenge", err)
	}
	shown, err := json.Marshal(options)
	if err != nil {
		return fault.Wrap(fault.Internal, "write options of a passkey", err)
	}
	c.says = string(says)
	var token string
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) (err error) {
		token, err = g.open(tx, c, passkeyLife)
		return err
	})
	if err != nil {
		return err
	}
	body := doc.AppendString([]byte(`{"ceremony":`), token)
	web.JSON(w, r, http.StatusOK, append(append(append(body, `,"options":`...), shown...), '}'))
	return nil
}

// answered ends a ceremony, whatever comes of it: a challenge is good for one answer. It returns what was kept of it.
func (g *Gate) answered(ctx context.Context, purpose, token string) (c ceremony, ch challenge, err error) {
	if c, err = g.under(ctx, purpose, token, "ceremony"); err != nil {
		return c, ch, err
	}
	_, err = g.db.Delete(ctx, data.System, g.own("_ceremonies"), c.id, data.WriteOptions{})
	if fault.Is(err, fault.NotFound) {
		err = wrongSecret("/ceremony")
	}
	if err != nil {
		return c, ch, err
	}
	if err := json.Unmarshal([]byte(c.says), &ch); err != nil {
		return c, ch, fault.Wrap(fault.Internal, "read a challenge", err)
	}
	return c, ch, nil
}

// keyOf is what a passkey is found by.
func keyOf(credential []byte) string {
	sum := sha256.Sum256(credential)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// notIt is the answer to a credential that is not good. Why is for the log alone.
func (g *Gate) notIt(err error) error {
	why := err.Error()
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.DevInfo != "" {
		why = e.DevInfo
	}
	g.log.Info("a passkey was refused", "why", clip(why, 300))
	return wrongSecret("/credential")
}

// json is a passkey as its owner sees it.
func (p *passkey) json() []byte {
	b := doc.AppendString([]byte(`{"id":`), p.id)
	b = doc.AppendString(append(b, `,"name":`...), p.name)
	b = append(p.made.UTC().AppendFormat(append(b, `,"created":"`...), timeFormat), `","used":`...)
	if p.used.IsZero() {
		b = append(b, "null"...)
	} else {
		b = append(p.used.UTC().AppendFormat(append(b, '"'), timeFormat), '"')
	}
	b = strconv.AppendBool(append(b, `,"synced":`...), p.backed)
	return append(b, '}')
}

// listPasskeys answers GET /api/auth/passkeys.
func (g *Gate) listPasskeys(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	_, has, err := g.self(r.Context(), p)
	if err != nil {
		return err
	}
	body := []byte(`{"items":[`)
	for i := range has.passkeys {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, has.passkeys[i].json()...)
	}
	web.JSON(w, r, http.StatusOK, append(body, `]}`...))
	return nil
}

var noPasskey = fault.New(fault.NotFound, "there is no such passkey")

// named finds a passkey of a user by its id.
func (f *factors) named(id string) (*passkey, error) {
	for i := range f.passkeys {
		if f.passkeys[i].id == id {
			return &f.passkeys[i], nil
		}
	}
	return nil, noPasskey
}

// renamePasskey answers PATCH /api/auth/passkeys/{id} {name}.
func (g *Gate) renamePasskey(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(f.text("name"))
	if name == "" && len(f.wrong) == 0 {
		f.add("name", "required", "is empty")
	}
	f.checkName(name)
	if err := f.err(); err != nil {
		return err
	}
	_, has, err := g.self(r.Context(), p)
	if err != nil {
		return err
	}
	key, err := has.named(r.PathValue("id"))
	if err != nil {
		return err
	}
	body := doc.NewObject()
	body.Set("name", doc.NewString(name))
	_, err = g.db.Update(r.Context(), data.System, g.own("_passkeys"), key.id, body, data.WriteOptions{Minimal: true})
	if fault.Is(err, fault.NotFound) {
		return noPasskey
	}
	if err != nil {
		return err
	}
	key.name = name
	web.JSON(w, r, http.StatusOK, key.json())
	return nil
}

// removePasskey answers DELETE /api/auth/passkeys/{id} {password}.
func (g *Gate) removePasskey(w http.ResponseWriter, r *http.Request) error {
	p, who, _, err := g.change(w, r)
	if err != nil {
		return err
	}
	return g.steadily(r.Context(), who, func(has *factors) error {
		key, err := has.named(r.PathValue("id"))
		if err != nil {
			return err
		}
		left := has.totp != "" || len(has.passkeys) > 1
		var others []string
		for _, k := range has.passkeys {
			if k.id != key.id {
				others = append(others, k.id)
			}
		}
		identities, err := g.identitiesOf(r.Context(), who.id)
		if err != nil {
			return err
		}
		return g.removed(w, r, p, who, has, key.name, left, doc.NewObject(), func(tx *data.Tx) error {
			if err := g.leaves(tx, who, idsOf(identities), others); err != nil {
				return err
			}
			err := tx.Delete(g.own("_passkeys"), key.id)
			if fault.Is(err, fault.NotFound) {
				return noPasskey
			}
			return err
		})
	})
}

// checkName refuses a name that a passkey cannot have.
func (f *form) checkName(name string) {
	if utf8.RuneCountInString(name) > passkeyName {
		f.add("name", "max", "has at most "+strconv.Itoa(passkeyName)+" characters")
	}
}
