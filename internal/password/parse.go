package password

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// What a stored hash may ask for: see the package.
const (
	maxMemory = 128 << 20 // bytes
	maxWork   = 4         // times maxMemory: what scrypt does with its memory
	maxPasses = 16        // times maxMemory: what argon2 does with it, which is about as long
	maxStored = 1024
	minSum    = 16
	maxSum    = 64
	maxSalt   = 128
)

// form is a stored hash, read.
type form struct {
	scheme string
	digest digest
	empty  bool // there is no password
}

// digest is what a password is held against.
type digest interface {
	bytes() int64 // of memory that match needs
	match(password string) (bool, error)
}

// candidates are the forms of a password that may have been hashed, the likely one first. Of a hash in our own format they are both
// tried too: PHP's looks the same.
func (f form) candidates(password string) []string {
	n := normal(password)
	switch {
	case n == password:
		return []string{password}
	case f.scheme == "argon2id" || f.empty:
		return []string{n, password}
	}
	return []string{password, n}
}

// parse reads a stored hash, by the table of the package.
func parse(stored string) (form, error) {
	if stored == "" || stored[0] == '!' {
		return form{scheme: "none", empty: true}, nil
	}
	if len(stored) > maxStored {
		return form{}, refuse("is longer than %d bytes", maxStored)
	}
	for i := range len(stored) {
		if stored[i] <= ' ' || stored[i] > '~' {
			return form{}, refuse("has other characters than visible ASCII")
		}
	}
	for _, s := range schemes {
		for _, prefix := range s.prefixes {
			if rest, ok := strings.CutPrefix(stored, prefix); ok {
				if s.weak != "" {
					return form{}, refuse("is %s", s.weak)
				}
				d, err := s.read(prefix, rest)
				if err != nil {
					return form{}, err
				}
				return form{scheme: s.name, digest: d}, nil
			}
		}
	}
	if hexDigest(stored) {
		return form{}, refuse("is %s", fast("a digest in hexadecimal"))
	}
	return form{}, refuse("is of no known format")
}

// schemes are the formats, by how they begin. A longer prefix stands before one that it begins with.
var schemes = []struct {
	name     string
	prefixes []string
	read     func(prefix, rest string) (digest, error)
	weak     string // why it is refused
}{
	{name: "argon2id", prefixes: []string{"$argon2id$"}, read: readArgon2},
	{name: "argon2i", prefixes: []string{"$argon2i$"}, read: readArgon2},
	{name: "bcrypt", prefixes: []string{"$2a$", "$2b$", "$2y$"}, read: readBcrypt},
	{name: "devise", prefixes: []string{"{devise}"}, read: wrapped(readBcrypt, "$2a$", "$2b$", "$2y$")},
	{name: "scrypt", prefixes: []string{"$scrypt$"}, read: readScrypt},
	{name: "scrypt-hex", prefixes: []string{"$scrypt-hex$"}, read: readScryptHex},
	{name: "firebase-scrypt", prefixes: []string{"$firebase-scrypt$", "$fbscrypt$"}, read: readFirebase},
	{name: "django-pbkdf2", prefixes: []string{"pbkdf2_sha256$", "pbkdf2_sha1$"}, read: readDjangoPBKDF2},
	{name: "django-argon2", prefixes: []string{"argon2"}, read: wrapped(readArgon2, "$argon2id$", "$argon2i$")},
	{name: "django-bcrypt", prefixes: []string{"bcrypt$"}, read: wrapped(readBcrypt, "$2a$", "$2b$", "$2y$")},
	{name: "django-bcrypt-sha256", prefixes: []string{"bcrypt_sha256$"}, read: wrapped(readBcryptSHA256, "$2a$", "$2b$", "$2y$")},
	{name: "django-scrypt", prefixes: []string{"scrypt$"}, read: readDjangoScrypt},
	{name: "werkzeug-pbkdf2", prefixes: []string{"pbkdf2:sha256:", "pbkdf2:sha1:", "pbkdf2:sha512:"}, read: readWerkzeugPBKDF2},
	{name: "werkzeug-scrypt", prefixes: []string{"scrypt:"}, read: readWerkzeugScrypt},
	{name: "spring-bcrypt", prefixes: []string{"{bcrypt}"}, read: wrapped(readBcrypt, "$2a$", "$2b$", "$2y$")},
	{name: "spring-pbkdf2", prefixes: []string{"{pbkdf2}", "{pbkdf2@SpringSecurity_v5_8}"}, read: readSpringPBKDF2},
	{name: "spring-scrypt", prefixes: []string{"{scrypt}", "{scrypt@SpringSecurity_v5_8}"}, read: readSpringScrypt},
	{name: "spring-argon2", prefixes: []string{"{argon2}", "{argon2@SpringSecurity_v5_8}"}, read: wrapped(readArgon2, "$argon2id$", "$argon2i$")},

	{prefixes: []string{"{noop}", "plain$", "{plain}", "{cleartext}"}, weak: "plain text: it is no secret, its user resets the password"},
	{prefixes: []string{"{MD4}", "{MD5}", "md5$", "unsalted_md5$"}, weak: fast("MD4 or MD5")},
	{prefixes: []string{"{SHA-1}", "{sha1}", "{SHA}", "{SSHA}", "{ldap}", "sha1$", "unsalted_sha1$"}, weak: fast("SHA-1")},
	{prefixes: []string{"{SHA-256}", "{sha256}", "sha256$", "sha512$", "hmac:"}, weak: fast("SHA-2")},
	{prefixes: []string{"crypt$", "{CRYPT}"}, weak: fast("DES crypt")},
	{prefixes: []string{"$1$", "$apr1$"}, weak: fast("MD5 crypt")},
	{prefixes: []string{"$P$", "$H$", "{phpass}"}, weak: "phpass (WordPress, Drupal, phpBB), which is not supported"},
	{prefixes: []string{"$5$", "$6$", "$7$", "$y$"}, weak: "a hash of crypt(3), which is not supported"},
	{prefixes: []string{"$2$", "$2x$"}, weak: "a form of bcrypt with known errors: its user resets the password"},
	{prefixes: []string{"$argon2d$"}, weak: "argon2d, which is not supported"},
	{prefixes: []string{"{"}, weak: "marked with an {id} that is not known"},
}

func fast(what string) string {
	return what + ", too weak to have stayed a secret: its user resets the password"
}

// wrapped reads what another system has put its own mark in front of.
func wrapped(read func(prefix, rest string) (digest, error), prefixes ...string) func(string, string) (digest, error) {
	return func(mark, stored string) (digest, error) {
		for _, prefix := range prefixes {
			if rest, ok := strings.CutPrefix(stored, prefix); ok {
				return read(prefix, rest)
			}
		}
		return nil, refuse("has nothing that is known behind %s", mark)
	}
}

func hexDigest(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) >= 32
}

// reader takes a hash apart. Its first mistake counts; what is read after it is empty.
type reader struct {
	rest string
	why  string
}

func (r *reader) wrong(why string) {
	if r.why == "" {
		r.why = why
	}
}

// literal takes a text that must be there.
func (r *reader) literal(s string) {
	rest, ok := strings.CutPrefix(r.rest, s)
	if !ok {
		r.wrong("lacks " + s)
	}
	r.rest = rest
}

// until takes what stands before a separator, which must be there, and the separator. "" is the end.
func (r *reader) until(separator string) string {
	if separator == "" {
		s := r.rest
		r.rest = ""
		return s
	}
	before, after, ok := strings.Cut(r.rest, separator)
	if !ok {
		r.wrong("lacks a " + separator)
		return ""
	}
	r.rest = after
	return before
}

// number takes a decimal number of at most nine digits.
func (r *reader) number(separator string) int {
	s := r.until(separator)
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || len(s) > 9 || s[0] == '0' && s != "0" {
		r.wrong("has a number that is none, or too large")
		return 0
	}
	return int(n)
}

// salt takes bytes in an encoding, or as they stand when it is nil.
func (r *reader) salt(separator string, decode func(string) (string, error)) string {
	return r.text(separator, decode, 1, maxSalt, "salt")
}

func (r *reader) sum(separator string, decode func(string) (string, error)) string {
	return r.text(separator, decode, minSum, maxSum, "digest")
}

func (r *reader) text(separator string, decode func(string) (string, error), least, most int, what string) string {
	s := r.until(separator)
	if r.why != "" {
		return ""
	}
	b, err := decode(s)
	switch {
	case err != nil:
		r.wrong("has a " + what + " in another encoding")
	case len(b) < least:
		r.wrong("has a " + what + " that is too short")
	case len(b) > most:
		r.wrong("has a " + what + " that is too long")
	}
	return b
}

// err is the first mistake.
func (r *reader) err(scheme string) error {
	switch {
	case r.why != "":
		return refuse("(%s) %s", scheme, r.why)
	case r.rest != "":
		return refuse("(%s) goes on behind its end", scheme)
	}
	return nil
}

func asIs(s string) (string, error) { return s, nil }

func fromHex(s string) (string, error) {
	b, err := hex.DecodeString(s)
	return string(b), err
}

func padded(s string) (string, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return string(b), err
}

func unpadded(s string) (string, error) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return string(b), err
}

// anyBase64 is base64 of either alphabet, padded or not.
func anyBase64(s string) (string, error) {
	return unpadded(strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "="))
}
