package data

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Keyring holds what is derived from the app's secret, one key for each purpose.
type Keyring struct {
	aead   *subtle.XChaCha20Poly1305
	lookup []byte
	cursor []byte
}

// NewKeyring derives the keys. The secret has at least 32 bytes.
func NewKeyring(secret []byte) (*Keyring, error) {
	if len(secret) < 32 {
		return nil, fault.New(fault.Invalid, "the key is too short: PLINTH_KEY needs at least 32 bytes")
	}
	sealing, err := Derive(secret, "seal fields")
	if err != nil {
		return nil, err
	}
	aead, err := subtle.NewXChaCha20Poly1305(sealing)
	if err != nil {
		return nil, err
	}
	lookup, err := Derive(secret, "look up sealed fields")
	if err != nil {
		return nil, err
	}
	cursor, err := Derive(secret, "sign cursors")
	if err != nil {
		return nil, err
	}
	return &Keyring{aead: aead, lookup: lookup, cursor: cursor}, nil
}

// Derive makes a 32-byte key for one purpose from the app's secret (HKDF-SHA256, RFC 5869).
func Derive(secret []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, "plinth: "+purpose, 32)
}

// place is the associated data of a sealed value: moved elsewhere it does not open.
func place(c *spec.Collection, f *spec.Field, id string) []byte {
	return []byte(c.Name + "/" + f.Name + "/" + id)
}

// Seal encrypts the JSON text of a field's value for its place.
func (k *Keyring) Seal(c *spec.Collection, f *spec.Field, id, plain string) (string, error) {
	out, err := k.aead.Encrypt([]byte(plain), place(c, f, id))
	if err != nil {
		return "", fault.Wrap(fault.Internal, "seal "+c.Name+"."+f.Name, err)
	}
	return string(out), nil
}

// Unseal is the reverse of Seal.
func (k *Keyring) Unseal(c *spec.Collection, f *spec.Field, id string, sealed []byte) ([]byte, error) {
	out, err := k.aead.Decrypt(sealed, place(c, f, id))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Internal, Op: "open " + c.Name + "." + f.Name,
			Err: fmt.Errorf("the sealed value does not open: another PLINTH_KEY, or it was moved or changed: %w", err)}
	}
	return out, nil
}

// Lookup is the keyed hash by which a searchable encrypted field is asked for equality. The text
// is the value's canonical text (its fold, for a ci field).
func (k *Keyring) Lookup(c *spec.Collection, f *spec.Field, text string) string {
	m := hmac.New(sha256.New, k.lookup)
	m.Write([]byte(c.Name + "/" + f.Name + "/"))
	m.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
