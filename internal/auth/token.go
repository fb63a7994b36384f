package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// A token is pk_ and the base64url of 56 bytes: the id of the key (a UUIDv7), a random secret, and
// a MAC over both under a key of the app. The MAC answers a token that was guessed, mistyped or
// made for another app without a query. What is stored is a hash of the secret.
const (
	prefix     = "pk_"
	idLen      = 16
	secretLen  = 24
	macLen     = 16
	tokenBytes = idLen + secretLen + macLen
)

type token [tokenBytes]byte

// strict refuses a second spelling of the same bytes.
var strict = base64.RawURLEncoding.Strict()

var textLen = len(prefix) + strict.EncodedLen(tokenBytes)

// parse reads a token and checks its MAC.
func parse(text string, mac []byte) (t token, ok bool) {
	encoded, ok := strings.CutPrefix(text, prefix)
	if !ok || len(text) != textLen || strings.ContainsAny(encoded, "\r\n") {
		return t, false
	}
	if n, err := strict.Decode(t[:], []byte(encoded)); err != nil || n != tokenBytes {
		return t, false
	}
	return t, subtle.ConstantTimeCompare(t[idLen+secretLen:], sign(t[:idLen+secretLen], mac)) == 1
}

// mint makes a new token. Its id is a UUIDv7 (RFC 9562), as every record's is.
func mint(now time.Time, mac []byte) token {
	var t token
	_, _ = rand.Read(t[:idLen+secretLen]) // never fails: the program ends instead
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(t[:6], ms[2:])
	t[6] = t[6]&0x0f | 0x70
	t[8] = t[8]&0x3f | 0x80
	copy(t[idLen+secretLen:], sign(t[:idLen+secretLen], mac))
	return t
}

func sign(b, mac []byte) []byte {
	m := hmac.New(sha256.New, mac)
	m.Write(b)
	return m.Sum(nil)[:macLen]
}

func (t token) text() string { return prefix + strict.EncodeToString(t[:]) }

// keyID is the id of the key, as records have it.
func (t token) keyID() string {
	s := hex.EncodeToString(t[:idLen])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// sumOf is what a token is remembered by: whoever measures how long a comparison takes learns nothing.
func sumOf(text string) [32]byte {
	var b [128]byte
	return sha256.Sum256(b[:copy(b[:], text)])
}

// hash is what is stored of the secret. It has 192 random bits: a slow hash would add nothing.
func (t token) hash() string {
	sum := sha256.Sum256(t[idLen : idLen+secretLen])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (t token) hasHash(stored string) bool {
	return subtle.ConstantTimeCompare([]byte(t.hash()), []byte(stored)) == 1
}
