package password

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normal is the form in which a password of ours is hashed and counted: see the package. Bytes that are no UTF-8 stay as they are.
func normal(password string) string {
	if plain(password) {
		return password
	}
	var b strings.Builder
	for s := password; s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		if unicode.Is(unicode.Zs, r) {
			b.WriteByte(' ')
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return norm.NFC.String(b.String())
}

// plain says that a text is ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
