package password

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
)

const (
	minIterations = 1000 // RFC 8018 §4.2; fewer are as good as none
	maxIterations = 5_000_000
)

var hashes = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

type pbkdf2Digest struct {
	hash       string
	iterations int
	salt, sum  string
}

func (d pbkdf2Digest) bytes() int64 { return 1 << 10 }

func (d pbkdf2Digest) match(password string) (bool, error) {
	sum, err := pbkdf2.Key(hashes[d.hash], password, []byte(d.salt), d.iterations, len(d.sum))
	return err == nil && same(string(sum), d.sum), err
}

func (d pbkdf2Digest) check(r *reader) (digest, error) {
	if d.iterations < minIterations || d.iterations > maxIterations {
		r.wrong("has fewer than 1,000 iterations, or more than 5,000,000")
	}
	return d, r.err("pbkdf2")
}

func readDjangoPBKDF2(prefix, rest string) (digest, error) {
	r := &reader{rest: rest}
	d := pbkdf2Digest{hash: strings.TrimSuffix(strings.TrimPrefix(prefix, "pbkdf2_"), "$")}
	d.iterations = r.number("$")
	d.salt = r.salt("$", asIs)
	d.sum = r.sum("", padded)
	return d.check(r)
}

func readWerkzeugPBKDF2(prefix, rest string) (digest, error) {
	r := &reader{rest: rest}
	d := pbkdf2Digest{hash: strings.Split(prefix, ":")[1]}
	d.iterations = r.number("$")
	d.salt = r.salt("$", asIs)
	d.sum = r.sum("", fromHex)
	return d.check(r)
}

func readSpringPBKDF2(prefix, rest string) (digest, error) {
	r := &reader{rest: rest}
	d, salt := pbkdf2Digest{hash: "sha1", iterations: 185_000}, 8
	if prefix != "{pbkdf2}" {
		d, salt = pbkdf2Digest{hash: "sha256", iterations: 310_000}, 16
	}
	d.sum = r.text("", fromHex, salt+32, salt+32, "salt and digest")
	if r.why == "" {
		d.salt, d.sum = d.sum[:salt], d.sum[salt:]
	}
	return d.check(r)
}
