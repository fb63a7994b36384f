package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// Recovery codes are for somebody who has lost his other factors: each is good once. One has 80 random bits, in the 32 letters
// and digits of Crockford, which are not taken for each other: so many need no limit of the account's (NIST 800-63B-4, 3.1.2.2
// asks for one below 64), by which who knows the password would keep its owner out.
const (
	recoveryCodes = 10
	recoveryLen   = 16 // letters and digits, in groups of four
	crockford     = "0123456789abcdefghjkmnpqrstvwxyz"
)

func newRecovery() []string {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		var random [recoveryLen]byte
		_, _ = rand.Read(random[:]) // never fails: the program ends instead
		var b strings.Builder
		for j, r := range random {
			if j > 0 && j%4 == 0 {
				b.WriteByte('-')
			}
			b.WriteByte(crockford[r&31])
		}
		codes[i] = b.String()
	}
	return codes
}

// plainRecovery is a code as it is hashed, however it was typed.
var plainRecovery = strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1")

// recoveryHash is what is stored of a code: without the app's secret nobody can tell whether one is right.
func (g *Gate) recoveryHash(who *person, code string) string {
	m := hmac.New(sha256.New, g.proof.mac)
	m.Write([]byte("recovery\x00" + who.id + "\x00" + plainRecovery.Replace(strings.ToLower(code))))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (g *Gate) recoveryHashes(who *person, codes []string) string {
	hashes := make([]string, len(codes))
	for i, code := range codes {
		hashes[i] = g.recoveryHash(who, code)
	}
	return strings.Join(hashes, " ")
}

// spendRecovery takes a code from those that are left.
func (g *Gate) spendRecovery(who *person, f *factors, code string) (*doc.Node, error) {
	hash, found := []byte(g.recoveryHash(who, code)), -1
	for i, h := range f.codes {
		if subtle.ConstantTimeCompare([]byte(h), hash) == 1 {
			found = i
		}
	}
	if found < 0 || !f.any() {
		return nil, wrongSecret("/code")
	}
	changes := doc.NewObject()
	if left := slices.Delete(slices.Clone(f.codes), found, found+1); len(left) > 0 {
		changes.Set("codes", doc.NewString(strings.Join(left, " ")))
	} else {
		changes.Set("codes", doc.NewNull())
	}
	return changes, nil
}

// renewRecovery answers POST /api/auth/mfa/recovery {password}: new codes, told this once, in place of the old ones.
func (g *Gate) renewRecovery(w http.ResponseWriter, r *http.Request) error {
	_, who, _, err := g.change(w, r)
	if err != nil {
		return err
	}
	codes := newRecovery()
	err = g.steadily(r.Context(), who, func(has *factors) error {
		if !has.any() {
			return fault.New(fault.Conflict, "recovery codes stand in for a second factor: set one up first")
		}
		changes := doc.NewObject()
		changes.Set("codes", doc.NewString(g.recoveryHashes(who, codes)))
		return g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
			if err := g.keep(tx, who, has, changes); err != nil {
				return err
			}
			return g.post(tx, Letter{Template: "recovery-codes", To: who.email, Lang: language(r)})
		})
	})
	if err != nil {
		return err
	}
	g.note(r.Context(), "recovery-renewed", who.id)
	web.JSON(w, r, http.StatusOK, append(appendTexts([]byte(`{"recovery":`), codes), '}'))
	return nil
}
