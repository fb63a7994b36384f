package password

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bluell/plinth/fault"
)

// code is the code that Check gives, or "".
func code(t *testing.T, password string, min int, context ...string) string {
	t.Helper()
	err := Check(password, min, context...)
	if err == nil {
		return ""
	}
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Invalid || len(e.Fields) != 1 || e.Fields[0].Pointer != "/password" || e.Fields[0].Message == "" {
		t.Fatalf("%q: %v", password, err)
	}
	if password != "" && strings.Contains(e.Fields[0].Message, password) {
		t.Errorf("the error repeats the password: %v", err)
	}
	return e.Fields[0].Code
}

func TestLength(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		password string
		min      int
		want     string
	}{
		{"", 15, "min"},
		{"vexing-otters!", 15, "min"},
		{"vexing-otters!?", 15, ""},
		{"vexotter", 8, ""},
		{"vexotte", 8, "min"},
		{"пять-зелёных-ло", 15, ""},             // 15 code points of 28 bytes
		{"пять-зелёных-л", 15, "min"},           // 27 bytes
		{"zwo\u0308lfte Kru\u0308", 12, "min"},  // 12 and 14 as they are typed, 11 composed
		{"zwo\u0308lfte Kru\u0308g", 12, ""},    // 12 composed
		{"🔑🦊🌍🚲🧊🎻🪁🥝", 8, ""},                     // code points, not bytes, nor UTF-16
		{"the otter sings at   dawn", 15, ""},   // spaces count
		{strings.Repeat("🦊🌍🚲🧊🎻🪁🥝🐙", 8), 15, ""}, // what repeats is known to nobody
		{long(64, "🦊"), 15, ""},
		{long(MaxBytes/4, "🦊"), 15, ""},
		{long(MaxBytes/4, "🦊") + "x", 15, "max"},
		{strings.Repeat("x", MaxBytes+1), 15, "max"},
		{"only lower case letters", 15, ""}, // no rule of composition
		{"918273645519", 8, ""},
		{"nul\x00 and \t are in it", 15, ""},
	} {
		if got := code(t, c.password, c.min); got != c.want {
			t.Errorf("%q of at least %d: %q, want %q", c.password, c.min, got, c.want)
		}
	}
}

// long is n code points that do not repeat, the first of which is given.
func long(n int, first string) string {
	var b strings.Builder
	b.WriteString(first)
	for i := 1; i < n; i++ {
		b.WriteRune(rune(0x20000 + i*i%0xa000))
	}
	if s := b.String(); utf8.RuneCountInString(s) == n {
		return s
	}
	panic("a character is missing")
}

func TestCommon(t *testing.T) {
	t.Parallel()
	context := []string{"Blue Harbor", "alice.smith@example-mail.org"}
	for _, p := range []string{
		"password", "PassWord", "ｐａｓｓｗｏｒｄ", "p@ssw0rd", "P@$$w0rd", "pa55word", "baseball", "football1", "trustno1", "TrustN01", "iloveyou!", "sunshine2024", "2024sunshine", "!!sunshine!!",
		"letmein!", "$unsh1ne", "dragon1234567890", "monkey!!!!!!!!!", "1q2w3e4r", "passwordpassword", "passwordpasswordpass", "dragondragon1",
		"aaaaaaaaaaaaaaa", "abcabcabcabcabc", "121212121212121", "12345678", "123456789012345", "098765432109876", "qwertyuiop", "qwertyuiopasdfg", "poiuytrewq", "abcdefghijklmno", "zyxwvuts", "asdfghjklqwerty",
		"1234567890abcdef", "aaaabbbbcccc", "qwertzuiop", "azertyuiop",
		"blue harbor", "BlueHarbor", "blueharbor1", "Blu3 H4rb0r!", "harbor12345678", "blueharborblueharbor",
		"alice.smith@example-mail.org", "Alice.Smith", "alicesmith", "AliceSmith99", "smith123456789", "alice1234", "harborpassword", "password-harbor", "harbor_dragon1", "alicesmith-alice",
	} {
		if got := code(t, p, 8, context...); got != "common" {
			t.Errorf("%q is let in: %q", p, got)
		}
	}
	for _, p := range []string{
		"correct horse battery staple", "vexing otters sing", "harbor lights at dusk", "alice went down the rabbit hole", "password reset is my hobby",
		"k7#mQ2vX9$pL", "8472910384756123", "dragon slew the knight", "sunshine 847193 rain", "smithereens and dust", "qwerty is a keyboard row", "abc otter 123 xyz fox", "aabbccdd-eeffgghh-i", "пять-зелёных-лошадей",
		"blueberry pie at the harbor cafe", "the quick brown fox", "12 Angry Men, 1957", "ox", "?!?!.,;:", "1 2 4 8 16 32 64",
	} {
		if got := code(t, p, 2, context...); got != "" {
			t.Errorf("%q is refused: %q", p, got)
		}
	}
	for _, c := range []string{"", " ", "@", "a", "a@b.c", "ab cd", "\xff\xfe", strings.Repeat("@", 3000)} {
		if got := code(t, "vexing otters sing", 8, c); got != "" {
			t.Errorf("beside %q: %q", c, got)
		}
	}
}

// Whatever is typed is judged, and in time.
func FuzzCheck(f *testing.F) {
	for _, p := range []string{"", "password", "\xff", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "123abc!", "e\u0301\u0301\u0301", "!!!", "@@@a"} {
		f.Add(p, "a@b.c")
	}
	f.Fuzz(func(t *testing.T, password, context string) {
		if err := Check(password, 8, context); err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
		if n := normal(password); normal(n) != n || utf8.ValidString(password) && !utf8.ValidString(n) {
			t.Fatalf("%q becomes %q, and that %q", password, n, normal(n))
		}
	})
}
