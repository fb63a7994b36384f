package password

import (
	"strconv"
	"unicode/utf8"

	"github.com/bluell/plinth/fault"
)

// MaxBytes is the longest password that Check lets in, in bytes of UTF-8 as it was typed: 256 code points at least, where NIST
// asks for 64. It bounds work, and is no reason to cut.
const MaxBytes = 1024

// Check says whether a new password is good enough, by NIST 800-63B-4 §3.1.1.2: at least min code points (15 where
// it is all that is asked for, 8 beside a second factor), counted in the form that is hashed; any characters, with no rule of
// what must be among them; and not one of those that are tried first.
//
// These are a list of 30,000 that many people use, compared as a whole: without regard to case, to @ 4 3 1 ! | 0 $ 5 7 + in
// place of letters, to up to four digits or signs at each end, or any number that repeat or count on, and to being repeated;
// rows of keys and counted characters; and the context: the site's name, the e-mail address, its local part and the words in
// them, also beside a word of the list.
//
// The error is fault.Invalid with one field, /password, whose code is min, max or common (whoever calls the field something
// else changes its pointer).
func Check(password string, min int, context ...string) error {
	if len(password) > MaxBytes {
		return tooLong(MaxBytes)
	}
	if utf8.RuneCountInString(normal(password)) < min {
		return fieldError("min", "must have at least "+strconv.Itoa(min)+" characters")
	}
	if guessable(password, context) {
		return fieldError("common", "is one of those that are tried first: take another")
	}
	return nil
}

func tooLong(most int) error {
	return fieldError("max", "must have at most "+strconv.Itoa(most)+" bytes")
}

func fieldError(code, message string) error {
	return &fault.Error{Kind: fault.Invalid, Op: "password", Fields: []fault.Field{{Pointer: "/password", Code: code, Message: message}}}
}
