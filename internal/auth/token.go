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

// A token is a prefix, which says what for, and the base64url of 56 bytes: the id of the record that it opens (a
// UUIDv7), a random secret, and a MAC over both under a key of the app and of the purpose. The MAC answers a token
// that was guessed, mistyped or made for another app without a query. What is stored is a hash of the secret.
type token [tokenBytes]byte

const (
	prefixLen  = 3
	idLen      = 16
	secretLen  = 24
	macLen     = 16
	tokenBytes = idLen + secretLen + macLen
)

// sort is a kind of token.
type sort struct {
	prefix string
	mac    []byte
}

// The prefixes. They tell whoever finds a token what it is, and programs that look for leaked secrets.
const (
	keyPrefix             = "pk_" // an API key
	sessionPrefix         = "ps_" // a session
	operatorSessionPrefix = "po_" // a session of an operator
	proofPrefix           = "pt_" // what a mail carries
	codePrefix            = "pc_" // what a page exchanges for a session
	begunPrefix           = "pb_" // what was begun and is ended by a second request
)

// strict refuses a second spelling of the same bytes.
var strict = base64.RawURLEncoding.Strict()

var textLen = prefixLen + strict.EncodedLen(tokenBytes)

// parse reads a token and checks its MAC.
func (s *sort) parse(text string) (t token, ok bool) {
	encoded, ok := strings.CutPrefix(text, s.prefix)
	if !ok || len(text) != textLen || strings.ContainsAny(encoded, "\r\n") {
		return t, false
	}
	if n, err := strict.Decode(t[:], []byte(encoded)); err != nil || n != tokenBytes {
		return t, false
	}
	return t, subtle.ConstantTimeCompare(t[idLen+secretLen:], s.sign(t[:idLen+secretLen])) == 1
}

// mint makes a new token. Its id is a UUIDv7 (RFC 9562), as every record's is.
func (s *sort) mint(now time.Time) token {
	var t token
	_, _ = rand.Read(t[:idLen+secretLen]) // never fails: the program ends instead
	stamp(t[:idLen], now)
	copy(t[idLen+secretLen:], s.sign(t[:idLen+secretLen]))
	return t
}

// again makes another token that opens a record: one that was made before is good for nothing when the hash of this is stored.
func (s *sort) again(id string) (t token, ok bool) {
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(raw) != idLen {
		return t, false
	}
	_, _ = rand.Read(t[idLen : idLen+secretLen]) // never fails: the program ends instead
	copy(t[:idLen], raw)
	copy(t[idLen+secretLen:], s.sign(t[:idLen+secretLen]))
	return t, true
}

func (s *sort) sign(b []byte) []byte {
	m := hmac.New(sha256.New, s.mac)
	m.Write(b)
	return m.Sum(nil)[:macLen]
}

func (s *sort) text(t token) string { return s.prefix + strict.EncodeToString(t[:]) }

// stamp makes 16 bytes a UUIDv7 of a moment.
func stamp(id []byte, at time.Time) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
}

// recordID is the id of the record that the token opens.
func (t token) recordID() string { return idText(t[:idLen]) }

func idText(id []byte) string {
	s := hex.EncodeToString(id)
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
