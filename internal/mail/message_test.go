package mail

import (
	"bytes"
	nm "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/fault"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"anna@example.org":                           "anna@example.org",
		"anna+tag@example.org":                       "anna+tag@example.org",
		"anna@Bücher.example":                        "anna@xn--bcher-kva.example",
		"用户@例え.テスト":                                  "用户@xn--r8jz45g.xn--zckzah",
		"anna@localhost":                             "anna@localhost",
		"":                                           "",
		"anna":                                       "",
		"@example.org":                               "",
		"anna@":                                      "",
		"anna@@example.org":                          "",
		"anna@example.org\r\nBcc: x":                 "",
		"anna\r\n@example.org":                       "",
		"anna\x00@example.org":                       "",
		"an na@example.org":                          "",
		"<anna@example.org>":                         "",
		"Anna <anna@example.org>":                    "",
		"a@example.org,b@c.org":                      "",
		"a@example.org b@c.org":                      "",
		`"a b"@example.org`:                          "",
		"anna@[127.0.0.1]":                           "",
		"anna@127.0.0.1":                             "",
		".anna@example.org":                          "",
		"an..na@example.org":                         "",
		"anna@.example":                              "",
		"anna@example.org.":                          "",
		"anna@example..org":                          "",
		"anna@。example":                              "",
		"anna@exa mple.org":                          "",
		"anna@-example.org":                          "",
		"an\u202ena@example.org":                     "",
		"an\u00a0na@example.org":                     "",
		"anna@\xffexample.org":                       "",
		strings.Repeat("a", 65) + "@example.org":     "",
		"a@" + strings.Repeat("a.", 130) + "example": "",
	} {
		got, err := address(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("address(%q) = %q, %v, not %q", in, got, err, want)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("address(%q): %v is not Invalid", in, err)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Anna":                     "Anna",
		" Anna \t van\r\n Bcc: x ": "", // a colon: none of a name
		"Anna\r\nvan\x00 Delft":    "Anna van Delft",
		"Änne 👩‍💻":                 "Änne 👩‍💻",
		"\u202eanna":               "anna",
		"evil.com":                 "",
		"go to www.evil.com now":   "",
		"https://evil":             "",
		"boss@bank.example":        "",
		"boss＠bank":                "",
		"Dr. J. Smith":             "Dr. J. Smith",
		strings.Repeat("é", 200):   strings.Repeat("é", 99) + "…",
		"broken \xff\xfe":          "broken",
		"\u2028line\u2029":         "line",
		"\x1b]0;title\x07":         "]0;title",
	} {
		if got := plainName(in); got != want {
			t.Errorf("plainName(%q) = %q, not %q", in, got, want)
		}
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	t.Parallel()
	change := func(of Template, do func(*Message)) Message {
		m := example(of, "")
		do(&m)
		return m
	}
	for what, m := range map[string]Message{
		"no template":     {Template: "welcome", To: "a@example.org"},
		"no address":      change(Reset, func(m *Message) { m.To = "" }),
		"no token":        change(Reset, func(m *Message) { m.Token = "" }),
		"a token":         change(Taken, func(m *Message) { m.Token = "x" }),
		"no code":         change(Code, func(m *Message) { m.Code = "" }),
		"a code":          change(Reset, func(m *Message) { m.Code = "1" }),
		"no end":          change(Reset, func(m *Message) { m.Valid = 0 }),
		"an end":          change(Taken, func(m *Message) { m.Valid = time.Hour }),
		"a broken token":  change(Reset, func(m *Message) { m.Token = "a\nb" }),
		"a broken code":   change(Code, func(m *Message) { m.Code = "1\r\n2" }),
		"a long token":    change(Reset, func(m *Message) { m.Token = strings.Repeat("a", 1001) }),
		"no language":     change(Reset, func(m *Message) { m.Lang = "de/../../x" }),
		"a line language": change(Reset, func(m *Message) { m.Lang = "de\r\nBcc: x" }),
	} {
		if err := m.check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for of := range forms {
		m := example(of, "de-AT")
		if err := m.check(); err != nil {
			t.Errorf("%s: %v", of, err)
		}
	}
}

// What others choose adds no header, no receiver and no line that servers cut.
func FuzzCompose(f *testing.F) {
	f.Add("anna@example.org", "Anna", "Ben", "Agency", "tok", "de")
	f.Add("a@b.c\r\nBcc: x@y.z", "x\r\nBcc: y@z.example", "a\nSubject: b", "=?utf-8?q?=0d=0aBcc:_x?=", "a&b=c#d", "en-x-y")
	f.Add("ü@ü.de", `"x" <y@z>, `, "\x00\u2028", strings.Repeat("Ä", 500), "%0d%0a", "")
	f.Add("a@b.example", strings.Repeat("long ", 50), strings.Repeat("w", 3000), "a\"b\\c", "~", "zh-Hant-TW")
	r := open(f, plain, nil, Options{})
	f.Fuzz(func(t *testing.T, to, name, by, app, token, lang string) {
		one := *r
		other := *r.app
		other.Name = app
		one.app = &other
		m := Message{Template: Invite, To: to, Name: name, By: by, Token: token, Lang: lang, Valid: time.Hour}
		if m.check() != nil {
			return
		}
		l, err := one.compose(&m, one.base(), jobID, noon)
		if err != nil {
			t.Fatal(err)
		}
		lines(t, l.message)
		got, err := nm.ReadMessage(bytes.NewReader(l.message))
		if err != nil {
			t.Fatalf("%v\n%s", err, l.message)
		}
		var names []string
		for name, values := range got.Header {
			if len(values) != 1 {
				t.Errorf("%d headers %s", len(values), name)
			}
			names = append(names, name)
		}
		slices.Sort(names)
		want := []string{"Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
		if !slices.Equal(names, want) {
			t.Errorf("the headers are %q", names)
		}
		for _, of := range []struct{ header, address string }{{"To", l.to}, {"From", "hello@example.com"}} {
			list, err := got.Header.AddressList(of.header)
			if err != nil || len(list) != 1 || list[0].Address != of.address {
				t.Errorf("%s: %v, %v", of.header, list, err)
			}
		}
		k, err := readKept(l.message)
		if w, err := one.texts().write(m.Template, m.Lang, one.values(&m, one.base()), m.Valid); err != nil || k.Subject != w.subject {
			t.Errorf("the subject is %q, not %q: %v", k.Subject, w.subject, err)
		}
		if err != nil || !strings.Contains(k.Text, "https://app.example.com/auth/invite?token=") {
			t.Errorf("%v\n%+v", err, k)
		}
	})
}
