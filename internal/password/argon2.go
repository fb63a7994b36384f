package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"
)

const (
	saltLen = 16 // bytes, RFC 9106 §3.1
	sumLen  = 32
)

// argon2Params are RFC 9106's m (KiB), t and p.
type argon2Params struct {
	kind    string // argon2id or argon2i
	memory  uint32
	time    uint32
	threads uint8
}

func (p argon2Params) bytes() int64 { return int64(p.memory) << 10 }

// wrong says what is not allowed of the parameters, or "".
func (p argon2Params) wrong() string {
	switch {
	case p.threads < 1 || p.threads > 16:
		return "lanes are 1 to 16"
	case p.time < 1:
		return "there is at least one pass"
	case p.memory < 8*uint32(p.threads):
		return "there are at least 8 KiB of memory for each lane"
	case p.bytes() > maxMemory:
		return "memory is at most 128 MiB"
	case p.bytes()*int64(p.time) > maxPasses*maxMemory:
		return "memory times passes is at most 2 GiB"
	}
	return ""
}

type argon2Digest struct {
	argon2Params
	salt, sum string
}

func (d argon2Digest) derive(password string, n int) string {
	derive := argon2.IDKey
	if d.kind == "argon2i" {
		derive = argon2.Key
	}
	return string(derive([]byte(password), []byte(d.salt), d.time, d.memory, d.threads, uint32(n)))
}

func (d argon2Digest) match(password string) (bool, error) {
	return same(d.derive(password, len(d.sum)), d.sum), nil
}

func (d argon2Digest) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", d.kind, argon2.Version, d.memory, d.time, d.threads,
		b64.EncodeToString([]byte(d.salt)), b64.EncodeToString([]byte(d.sum)))
}

func readArgon2(prefix, rest string) (digest, error) {
	kind := prefix[1 : len(prefix)-1]
	r := &reader{rest: rest}
	r.literal("v=19$") // before it: version 16, whose derivation was another one
	r.literal("m=")
	d := argon2Digest{argon2Params: argon2Params{kind: kind, memory: uint32(r.number(","))}}
	r.literal("t=")
	d.time = uint32(r.number(","))
	r.literal("p=")
	d.threads = uint8(min(r.number("$"), 255))
	d.salt = r.text("$", unpadded, 8, maxSalt, "salt")
	d.sum = r.text("", unpadded, minSum, 128, "digest")
	if why := d.wrong(); why != "" {
		r.wrong("asks for too much or too little: " + why)
	}
	return d, r.err(kind)
}

// same compares in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
