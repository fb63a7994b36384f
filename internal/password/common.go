package password

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// packed is the list of common passwords: their skeletons, sorted, each as a byte (how many of its first bytes are those of the one
// before it), the rest and a newline, deflated. TestCommonList makes it of zxcvbn's list.
//
//go:embed common.deflate
var packed []byte

// shortest is the shortest word that counts as one, in code points: what is shorter is part of too many good passwords.
const shortest = 4

// common is the list, a sorted skeleton a line. It is unpacked when the first password is set: some milliseconds, 300 KB.
var common = sync.OnceValue(func() []byte {
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		panic("password: the list of common passwords: " + err.Error())
	}
	list := make([]byte, 0, 2*len(plain))
	var word []byte
	for len(plain) > 0 {
		end := bytes.IndexByte(plain[1:], '\n') + 1
		word = append(word[:plain[0]], plain[1:end]...)
		list = append(append(list, word...), '\n')
		plain = plain[end+1:]
	}
	return list
})

// listed says that a skeleton is in the list.
func listed(word string) bool {
	list := common()
	low, high := 0, len(list)
	for low < high {
		start := low + (high-low)/2
		for start > low && list[start-1] != '\n' {
			start--
		}
		end := start + bytes.IndexByte(list[start:], '\n')
		switch strings.Compare(string(list[start:end]), word) {
		case 0:
			return true
		case -1:
			low = end + 1
		default:
			high = start
		}
	}
	return false
}

// fold takes away what is no difference to who guesses: case and Unicode's compatible forms.
func fold(s string) []rune {
	return []rune(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))))
}

// skeleton is a folded text with letters in place of what is written for them.
func skeleton(folded []rune) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '@', '4':
			return 'a'
		case '3':
			return 'e'
		case '1', '!', '|', 'l':
			return 'i'
		case '0':
			return 'o'
		case '$', '5':
			return 's'
		case '7', '+':
			return 't'
		}
		return r
	}, string(folded))
}

// guessable says that a password is among those that are tried first: see Check.
func guessable(password string, context []string) bool {
	words := vocabulary(context)
	whole := fold(password)
	head, tail := decoration(whole)
	if known(whole, words) {
		return true
	}
	if trivial(whole[len(whole)-tail:]) && known(whole[:len(whole)-tail], words) {
		return true
	}
	if !trivial(whole[:head]) {
		return false
	}
	return known(whole[head:], words) || trivial(whole[len(whole)-tail:]) && head+tail < len(whole) && known(whole[head:len(whole)-tail], words)
}

// decoration is how many characters at both ends are no letters.
func decoration(folded []rune) (head, tail int) {
	head = slices.IndexFunc(folded, unicode.IsLetter)
	if head < 0 {
		return 0, 0
	}
	for tail = 0; !unicode.IsLetter(folded[len(folded)-1-tail]); tail++ {
	}
	return head, tail
}

// trivial says that what stands beside a word adds little to it.
func trivial(beside []rune) bool {
	return len(beside) <= 4 || runs(beside) || len(period(beside)) <= 4
}

// known says that a text is a word, a word of the context beside another, something short or known that is repeated, or rows of keys.
func known(folded []rune, words []string) bool {
	if len(folded) < shortest {
		return false
	}
	word := func(s string) bool { return slices.Contains(words, s) || listed(s) }
	s := skeleton(folded)
	if word(s) || runs(folded) {
		return true
	}
	if unit := period(folded); len(unit) < len(folded) && (len(unit) <= 4 || known(unit, words)) {
		return true
	}
	for _, w := range words {
		for _, rest := range []func(string, string) (string, bool){strings.CutPrefix, strings.CutSuffix} {
			if other, ok := rest(s, w); ok && word(strings.Trim(other, " -_.")) {
				return true
			}
		}
	}
	return false
}

// period is what a text repeats, at least twice though the last may be cut short; a text that repeats nothing is its own.
func period(s []rune) []rune {
	for n := 1; n <= len(s)/2; n++ {
		if slices.Equal(s[n:], s[:len(s)-n]) {
			return s[:n]
		}
	}
	return s
}

// rows are characters that follow each other, on keyboards and in order.
var rows = [][]rune{[]rune("abcdefghijklmnopqrstuvwxyz"), []rune("1234567890"), []rune("0123456789"),
	[]rune("qwertyuiop"), []rune("asdfghjkl"), []rune("zxcvbnm"), []rune("qwertzuiop"), []rune("yxcvbnm"),
	[]rune("azertyuiop"), []rune("qsdfghjklm"), []rune("wxcvbn")}

// runs says that a text is made of pieces of such rows, forwards or backwards, or of one character, of four or more on average.
func runs(s []rune) bool {
	pieces := 0
	for rest := s; len(rest) > 0; pieces++ {
		longest := 1
		for longest < len(rest) && rest[longest] == rest[0] {
			longest++
		}
		for _, row := range rows {
			at := slices.Index(row, rest[0])
			for _, step := range []int{1, len(row) - 1} {
				n := 1
				for n < len(rest) && at >= 0 && rest[n] == row[(at+n*step)%len(row)] {
					n++
				}
				longest = max(longest, n)
			}
		}
		rest = rest[longest:]
	}
	return len(s) >= shortest*max(pieces, 1)
}

// vocabulary are the skeletons of what a context says: each text of it, the local part of an address, all without what stands
// between words, and the words.
func vocabulary(context []string) (words []string) {
	between := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	add := func(folded []rune) {
		if len(folded) >= shortest {
			words = append(words, skeleton(folded))
		}
	}
	for _, text := range context {
		folded := fold(text)
		add(folded)
		if at := slices.Index(folded, '@'); at >= 0 {
			add(folded[:at])
			add(slices.DeleteFunc(slices.Clone(folded[:at]), between))
		}
		add(slices.DeleteFunc(slices.Clone(folded), between))
		for _, word := range strings.FieldsFunc(string(folded), between) {
			add([]rune(word))
		}
	}
	return words
}
