package expr

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Slug is a text as it may stand in an address: folded, without marks, letters and digits of
// any script in words joined by hyphens. "Crème brûlée!" becomes "creme-brulee".
func Slug(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(Fold(s)) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		default:
			gap = true
		}
	}
	return norm.NFC.String(b.String())
}
