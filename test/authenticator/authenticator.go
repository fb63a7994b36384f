// Package authenticator is a software authenticator for tests: it answers the options of WebAuthn level 3 as a browser with a
// passkey does, or wrongly where a test says so. Its bytes are written here, and read by Plinth with a library that this one
// knows nothing of.
package authenticator

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// Authenticator has one passkey, and answers for one origin.
type Authenticator struct {
	ID     []byte
	Key    *ecdsa.PrivateKey
	Handle []byte // whose it is; known when it is made
	Count  uint32
	Origin string
	Wrong  Wrong

	t  testing.TB
	rp string
}

// Wrong is what an answer has that it should not.
type Wrong struct {
	Origin, RP, Challenge, Type, TopOrigin string
	Handle, ID                             []byte
	Drop                                   byte // flags
	CrossOrigin                            bool
	Signature                              func([]byte) []byte
	Key                                    *ecdsa.PrivateKey
}

// Flags of what an authenticator says (6.1).
const (
	UserPresent  = 0x01
	UserVerified = 0x04
	Eligible     = 0x08
	BackedUp     = 0x10
	Attested     = 0x40

	flags = UserPresent | UserVerified | Eligible | BackedUp
)

// New makes an authenticator with a passkey that is nobody's yet.
func New(t testing.TB, rp string) *Authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	return &Authenticator{t: t, ID: id, Key: key, rp: rp, Origin: "https://" + rp}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// client is what the browser says (5.8.1).
func (a *Authenticator) client(kind, challenge string) []byte {
	data := map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": a.Wrong.CrossOrigin}
	for name, text := range map[string]string{"type": a.Wrong.Type, "challenge": a.Wrong.Challenge, "origin": a.Wrong.Origin, "topOrigin": a.Wrong.TopOrigin} {
		if text != "" {
			data[name] = text
		}
	}
	b, err := json.Marshal(data)
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// data is what the authenticator says (6.1).
func (a *Authenticator) data(says byte) []byte {
	rp := a.rp
	if a.Wrong.RP != "" {
		rp = a.Wrong.RP
	}
	sum := sha256.Sum256([]byte(rp))
	b := append(sum[:], says&^a.Wrong.Drop)
	return binary.BigEndian.AppendUint32(b, a.Count)
}

// Create answers options of a new passkey (RegistrationResponseJSON).
func (a *Authenticator) Create(options map[string]any) map[string]any {
	a.t.Helper()
	user := options["user"].(map[string]any)
	a.Handle, _ = base64.RawURLEncoding.DecodeString(user["id"].(string))
	client := a.client("webauthn.create", options["challenge"].(string))
	public, err := a.Key.PublicKey.Bytes()
	if err != nil {
		a.t.Fatal(err)
	}
	cose, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: public[1:33], -3: public[33:]})
	if err != nil {
		a.t.Fatal(err)
	}
	auth := append(a.data(flags|Attested), make([]byte, 16)...)
	auth = binary.BigEndian.AppendUint16(auth, uint16(len(a.ID)))
	auth = append(append(auth, a.ID...), cose...)
	object, err := cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": auth})
	if err != nil {
		a.t.Fatal(err)
	}
	return map[string]any{"id": b64(a.ID), "rawId": b64(a.ID), "type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}},
		"response": map[string]any{"clientDataJSON": b64(client), "attestationObject": b64(object), "transports": []string{"internal", "hybrid"}}}
}

// Get answers options of a sign-in (AuthenticationResponseJSON).
func (a *Authenticator) Get(options map[string]any) map[string]any {
	a.t.Helper()
	client := a.client("webauthn.get", options["challenge"].(string))
	data := a.data(flags)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(data), hash[:]...))
	key, id, handle := a.Key, a.ID, a.Handle
	if a.Wrong.Key != nil {
		key = a.Wrong.Key
	}
	if a.Wrong.ID != nil {
		id = a.Wrong.ID
	}
	if a.Wrong.Handle != nil {
		handle = a.Wrong.Handle
	}
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		a.t.Fatal(err)
	}
	if a.Wrong.Signature != nil {
		sig = a.Wrong.Signature(sig)
	}
	return map[string]any{"id": b64(id), "rawId": b64(id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(sig), "userHandle": b64(handle)}}
}
