package expr

import (
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// NFC is the text in Unicode's normalisation form C.
func NFC(s string) string {
	if isASCII(s) {
		return s
	}
	return norm.NFC.String(s)
}

// A Caser carries state while it works, so each user takes one of its own.
var folders = sync.Pool{New: func() any {
	c := cases.Fold()
	return &c
}}

// Fold is what a ci field compares, sorts and groups by: NFC of the full fold of NFC.
func Fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	c := folders.Get().(*cases.Caser)
	defer folders.Put(c)
	return norm.NFC.String(c.String(norm.NFC.String(s)))
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// codePoints is the length of a text.
func codePoints(s string) int64 { return int64(utf8.RuneCountInString(s)) }
