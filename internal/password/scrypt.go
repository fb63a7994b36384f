package password

import (
	"crypto/aes"
	"crypto/cipher"
	"math/bits"
	"strconv"

	"golang.org/x/crypto/scrypt"
)

// scryptDigest is of RFC 7914. With a signer it is Firebase's: what is derived is a key, under which the project's signer
// key is encrypted (AES-256-CTR from 0), and that is compared.
type scryptDigest struct {
	n, r, p   int
	salt, sum string
	signer    string
}

func (d scryptDigest) bytes() int64 { return 128*int64(d.n)*int64(d.r) + 128*int64(d.p)*int64(d.r) }

func (d scryptDigest) match(password string) (bool, error) {
	size := len(d.sum)
	if d.signer != "" {
		size = 32
	}
	sum, err := scrypt.Key([]byte(password), []byte(d.salt), d.n, d.r, d.p, size)
	if err != nil || d.signer == "" {
		return err == nil && same(string(sum), d.sum), err
	}
	block, err := aes.NewCipher(sum)
	if err != nil {
		return false, err
	}
	signed := []byte(d.signer)
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(signed, signed)
	return same(string(signed), d.sum), nil
}

func (d scryptDigest) check(r *reader) (digest, error) {
	switch {
	case d.n < 1<<10 || d.n&(d.n-1) != 0 || d.n > 1<<24:
		r.wrong("has an N that is no power of two, under 1,024 or far too large")
	case d.r < 1 || d.r > 64 || d.p < 1 || d.p > 64:
		r.wrong("has an r or a p that is not 1 to 64")
	case 128*int64(d.n)*int64(d.r) > maxMemory:
		r.wrong("asks for more than 128 MiB of memory")
	case 128*int64(d.n)*int64(d.r)*int64(d.p) > maxWork*maxMemory:
		r.wrong("asks for more than 512 MiB of memory times p")
	}
	return d, r.err("scrypt")
}

// power is N of its logarithm: 0 when that is out of bounds.
func power(log int) int {
	if log < 0 || log > 24 {
		return 0
	}
	return 1 << log
}

func readScrypt(_, rest string) (digest, error) {
	r := &reader{rest: rest}
	d := phcScrypt(r, "$")
	d.salt = r.salt("$", unpadded)
	d.sum = r.sum("", unpadded)
	return d.check(r)
}

// phcScrypt takes ln=,r=,p= and what stands behind.
func phcScrypt(r *reader, after string) (d scryptDigest) {
	r.literal("ln=")
	d.n = power(r.number(","))
	r.literal("r=")
	d.r = r.number(",")
	r.literal("p=")
	d.p = r.number(after)
	return d
}

func readScryptHex(_, rest string) (digest, error) {
	r := &reader{rest: rest}
	d := phcScrypt(r, ",")
	r.literal("salt=")
	decode := asIs
	switch r.until("$") {
	case "text":
	case "hex":
		decode = fromHex
	default:
		r.wrong("has neither salt=text nor salt=hex")
	}
	d.salt = r.salt(":", decode)
	d.sum = r.sum("", fromHex)
	return d.check(r)
}

func readFirebase(_, rest string) (digest, error) {
	r := &reader{rest: rest}
	r.literal("v=1,n=")
	var d scryptDigest
	d.n = power(r.number(","))
	r.literal("r=")
	d.r = r.number(",")
	r.literal("p=")
	d.p = r.number(",")
	r.literal("ss=")
	separator := r.text(",", anyBase64, 0, maxSalt, "salt separator")
	r.literal("sk=")
	d.signer = r.text("$", anyBase64, minSum, 128, "signer key")
	d.salt = r.salt("$", anyBase64) + separator
	d.sum = r.text("", anyBase64, minSum, 128, "digest")
	if len(d.sum) != len(d.signer) {
		r.wrong("has a digest that is not as long as the signer key")
	}
	return d.check(r)
}

func readDjangoScrypt(_, rest string) (digest, error) {
	r := &reader{rest: rest}
	var d scryptDigest
	d.n = r.number("$")
	d.salt = r.salt("$", asIs)
	d.r = r.number("$")
	d.p = r.number("$")
	d.sum = r.sum("", padded)
	return d.check(r)
}

func readWerkzeugScrypt(_, rest string) (digest, error) {
	r := &reader{rest: rest}
	var d scryptDigest
	d.n = r.number(":")
	d.r = r.number(":")
	d.p = r.number("$")
	d.salt = r.salt("$", asIs)
	d.sum = r.sum("", fromHex)
	return d.check(r)
}

func readSpringScrypt(_, rest string) (digest, error) {
	r := &reader{rest: rest}
	r.literal("$")
	var d scryptDigest
	params, err := strconv.ParseUint(r.until("$"), 16, 32)
	if err != nil || bits.Len64(params) > 24 {
		r.wrong("has parameters that are none")
	}
	d.n, d.r, d.p = power(int(params>>16)), int(params>>8&0xff), int(params&0xff)
	d.salt = r.salt("$", padded)
	d.sum = r.sum("", padded)
	return d.check(r)
}
