package password

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	minCost    = 4
	maxCost    = 15
	bcryptLen  = 60
	saltAndSum = 22 + 31
)

type bcryptDigest struct {
	hash   string
	sha256 bool   // of the SHA-256 of the password, in hexadecimal
	after  string // what stands behind the password: Devise's pepper
}

func (d bcryptDigest) bytes() int64 { return 8 << 10 }

// match takes what bcrypt takes of a password: 72 bytes. That is what was hashed.
func (d bcryptDigest) match(password string) (bool, error) {
	password += d.after
	if d.sha256 {
		sum := sha256.Sum256([]byte(password))
		password = hex.EncodeToString(sum[:])
	}
	err := bcrypt.CompareHashAndPassword([]byte(d.hash), []byte(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

func readBcrypt(prefix, rest string) (digest, error) {
	d := bcryptDigest{hash: prefix + rest}
	r := &reader{rest: rest}
	if len(d.hash) != bcryptLen {
		r.wrong("has not 60 characters")
	}
	if cost, err := strconv.ParseUint(r.until("$"), 10, 8); err != nil || len(r.rest) != saltAndSum || cost < minCost || cost > maxCost {
		r.wrong("has a cost that is not 04 to 15")
	}
	if strings.Trim(r.until(""), "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		r.wrong("has other characters than bcrypt's")
	}
	return d, r.err("bcrypt")
}

func readBcryptSHA256(prefix, rest string) (digest, error) {
	d, err := readBcrypt(prefix, rest)
	if err != nil {
		return nil, err
	}
	b := d.(bcryptDigest)
	b.sha256 = true
	return b, nil
}
