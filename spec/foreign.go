package spec

import (
	"regexp"
	"slices"
	"strings"
)

// foreign is what other products write where there is no word of ours for it: what to do instead.
type foreign struct {
	theirs string // keys, in small letters and without separators
	ours   string // the key that serves the purpose, if one does
	say    string
}

var foreignKeys = map[*shape][]foreign{
	fieldShape: {
		{"index indexed dbindex", "indexes", "indexes stand beside fields: indexes: [[FIELD]]"},
		{"description helptext help comment note docs", "label", "label is the name for people; a comment begins with #"},
		{"primarykey primary pk", "id", "every record has an id"},
		{"auto autoincrement identity serial", "init", "every record has an id, which is no number; init: EXPRESSION makes a value on create"},
		{"autonow", "set", "write set: now; every record has updated"},
		{"autonowadd", "init", "write init: now; every record has created"},
	},
	collectionShape: {
		{"listrule viewrule", "access", "write access: {read: …}"},
		{"createrule", "access", "write access: {create: …}"},
		{"updaterule", "access", "write access: {update: …}"},
		{"deleterule", "access", "write access: {delete: …}"},
		{"unique uniquetogether", "indexes", "write indexes: [{fields: [a, b], unique: true}]"},
		{"description helptext help comment note docs", "", "a comment begins with #"},
		{"primarykey primary pk", "id", "every record has an id"},
		{"timestamps", "created", "every record has created and updated"},
	},
	authShape: {
		{"enabled", "", "with an auth section people sign in: remove it"},
		{"totp 2fa twofactor authenticator", "mfa", "everybody may set up an authenticator app; mfa: {required: [ROLE]} says who must"},
		{"magiclink otp passwordless emailcode codes", "", "codes by mail are there wherever mail is"},
		{"admin admins operators superuser superusers", "", "who runs the app is added by plinth operator add EMAIL"},
		{"jwt token tokens cookie cookies", "sessions", "sessions: {idle: 336h} says how long one is good"},
	},
}

// instead finds what to do instead of a key of another product.
func instead(word string, s *shape) (foreign, bool) {
	for _, f := range foreignKeys[s] {
		if slices.Contains(strings.Fields(f.theirs), bare(word)) {
			return f, true
		}
	}
	return foreign{}, false
}

// sized is a type with its size behind it, as databases write it.
var sized = pattern(`^([A-Za-z]+) ?\((\d+)(?:, ?(\d+))?\)$`)

// sizedType finds the type that a database writes with a size, and how the size is written here.
func sizedType(word string, types []string) (suggestion, why string) {
	m := sized().FindStringSubmatch(word)
	if m == nil {
		return "", ""
	}
	t := translate(strings.ToLower(m[1]), types).ours
	if slices.Contains(types, m[1]) {
		t = m[1]
	}
	switch {
	case m[3] != "" || t == Decimal.String():
		return Decimal.String(), strings.TrimSuffix("write precision: "+m[2]+", scale: "+m[3], ", scale: ")
	case t == Text.String():
		return t, "write max: " + m[2] + " beside it"
	}
	return t, ""
}

// idioms are how expressions of other products say what ours say otherwise.
var idioms = []struct {
	pattern   func() *regexp.Regexp
	ours, why string
}{
	{pattern(`@request\.auth\.u?id\b|\brequest\.auth\.u?id\b|\bauth\.uid\b(?:\(\))?|\bauth\.user\.id\b|\b(?:user|current_?[uU]ser)\.id\b`), "auth.id", ""},
	{pattern(`@request\.auth\.role\b|\b(?:request\.auth|user)\.role\b`), "auth.role", ""},
	{pattern(`@request\.(?:body|data)\b|\brequest\.resource\.data\b`), "input", "in update, input is the record as it would become; elsewhere its fields stand alone"},
	{pattern(`@\w+(?:\.\w+)*|\brequest\.\w+`), "", "auth is whoever asks, and the record's fields stand alone"},
	{pattern(`\.?\b(?:lower|upper|toLowerCase|toUpperCase|lowerAscii|upperAscii)\b\(?`), "", "a field with ci: true compares without regard to case"},
}

// idiom finds what was probably meant by an expression at a byte of it.
func idiom(text string, at int) (suggestion, why string, ok bool) {
	for _, i := range idioms {
		for _, m := range i.pattern().FindAllStringIndex(text, -1) {
			if m[0] <= at && at < m[1] {
				return i.ours, i.why, true
			}
		}
	}
	return "", "", false
}
