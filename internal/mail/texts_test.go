package mail

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth/spec"
)

// Every mail that is built in says what it has to, in both languages, as a text and as a page.
func TestBuiltin(t *testing.T) {
	t.Parallel()
	r := open(t, plain, nil, Options{})
	for of, f := range forms {
		for _, lang := range []string{"en", "de"} {
			m := example(of, lang)
			l, k := composed(t, r, m)
			lines(t, l.message)
			if k.Lang != lang || !strings.Contains(k.Subject, "Agency") || k.To != "<anna@example.org>" || k.From != `"Agency" <hello@example.com>` || !k.Date.Equal(noon) {
				t.Errorf("%s.%s: %+v", of, lang, k)
			}
			for _, body := range []string{k.Text, k.HTML} {
				if strings.Contains(body, "no value") || strings.Contains(body, "{{") {
					t.Errorf("%s.%s is not filled in: %s", of, lang, body)
				}
				if f.token && !strings.Contains(body, "https://app.example.com"+f.path+"?token=s3cret-token_9") {
					t.Errorf("%s.%s has no link: %s", of, lang, body)
				}
				if f.code && !strings.Contains(body, "493817") {
					t.Errorf("%s.%s has no code: %s", of, lang, body)
				}
				valid := map[string]string{"en": "24 hours", "de": "24 Stunden"}[lang]
				if (f.token || f.code) && !strings.Contains(body, valid) {
					t.Errorf("%s.%s does not say until when: %s", of, lang, body)
				}
			}
			if strings.HasPrefix(k.Text, "\n") || strings.HasPrefix(k.Text, "Subject:") {
				t.Errorf("%s.%s begins with %q", of, lang, k.Text[:20])
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	r := open(t, plain, map[string]string{
		"emails/verify.zh-Hant.txt": "Subject: 確認\n{{.Link}}\n{{.Valid}}",
		"emails/verify.fr.txt":      "Subject: Confirmez\r\n\r\n{{.Link}}\r\n",
	}, Options{})
	for lang, want := range map[string]string{"": "en", "de": "de", "de-AT": "de", "DE-at": "de", "nl": "en", "zh-Hant-TW": "zh-Hant", "zh": "en", "fr-CA": "fr"} {
		if got := r.texts().find(Verify, lang).lang; got != want {
			t.Errorf("%q finds %s, not %s", lang, got, want)
		}
	}
	if _, k := composed(t, r, example(Verify, "zh-Hant-TW")); k.Subject != "確認" || !strings.HasSuffix(k.Text, "24 h\n") {
		t.Errorf("%+v", k)
	}
}

// The app's text stands for the one that is built in, and for its page; the app's page for the page alone.
func TestOwn(t *testing.T) {
	t.Parallel()
	r := open(t, plain, map[string]string{
		"emails/reset.en.txt":   "Subject: Mine, {{.Name}}\n\nHere <b>it</b> is:\n\n{{.Link}}\n",
		"emails/verify.en.html": `<p title="{{.Name}}"><a href="{{.Link}}">Here</a><script>var x = {{.Name}}</script>`,
		"emails/taken.fr.txt":   "Subject: Pris\n\nbonjour",
		"emails/taken.fr.html":  "<p>bonjour</p>",
		"emails/.hidden":        "x",
	}, Options{})
	m := example(Reset, "en")
	m.Name = `Anna "<b>`
	m.Name = "Anna & Co"
	_, k := composed(t, r, m)
	if k.Subject != "Mine, Anna & Co" || !strings.Contains(k.HTML, "&lt;b&gt;it&lt;/b&gt;") || !strings.Contains(k.HTML, `<a href="https://app.example.com/auth/reset?token=s3cret-token_9">`) {
		t.Errorf("%+v", k)
	}
	if _, k := composed(t, r, example(Reset, "de")); !strings.Contains(k.Subject, "Neues Passwort") {
		t.Errorf("another language changed too: %+v", k)
	}
	m = example(Verify, "en")
	m.Name = `Anna'"`
	_, k = composed(t, r, m)
	if !strings.Contains(k.Subject, "Confirm") || !strings.Contains(k.HTML, `<p title="Anna&#39;&#34;"><a href="https://app.example.com/auth/verify?token=s3cret-token_9">`) || !strings.Contains(k.HTML, `<script>var x = "Anna'\""</script>`) {
		t.Errorf("%+v", k)
	}
	if _, k = composed(t, r, example(Taken, "fr")); k.HTML != "<p>bonjour</p>" {
		t.Errorf("%+v", k)
	}
}

// What others wrote becomes no link in a page that is made of a text.
func TestForeignLinks(t *testing.T) {
	t.Parallel()
	r := open(t, plain, map[string]string{"emails/invite.en.txt": "Subject: x\n\n{{.By}}\n\nhttps://elsewhere.example/x\n\n{{.Link}}\n\n{{.URL}}\n"}, Options{})
	m := example(Invite, "en")
	m.By = "Ben"
	_, k := composed(t, r, m)
	if n := strings.Count(k.HTML, "<a href="); n != 2 {
		t.Errorf("%d links: %s", n, k.HTML)
	}
}

// An invitation that is to a team too names it, in every language.
func TestInviteNamesTheTeam(t *testing.T) {
	t.Parallel()
	r := open(t, plain, nil, Options{})
	for lang, want := range map[string][2]string{"en": {"You are invited to Red at Agency", "You are invited to Agency"}, "de": {"Einladung zu Red bei Agency", "Einladung zu Agency"}} {
		m := example(Invite, lang)
		for i, team := range []string{"Red", ""} {
			m.Team = team
			if _, k := composed(t, r, m); k.Subject != want[i] {
				t.Errorf("%s: %q, want %q", lang, k.Subject, want[i])
			}
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		plain: "https://app.example.com/auth/reset",
		"server: {url: https://example.com/app/}\n":                                               "https://example.com/app/auth/reset",
		"server: {domains: [one.example, two.example]}\n":                                         "https://one.example/auth/reset",
		"server: {url: https://app.example.com, domains: [one.example], http: ':8', https: ':9'}": "https://app.example.com/auth/reset",
	} {
		r := open(t, yaml, nil, Options{})
		m := example(Reset, "")
		m.Token = "a&b=c/d+e"
		_, k := composed(t, r, m)
		u, err := url.Parse(link().FindString(k.Text))
		if err != nil || u.Query().Get("token") != m.Token || len(u.Query()) != 1 || !strings.HasPrefix(u.String(), want+"?") {
			t.Errorf("%s: %s", yaml, k.Text)
		}
	}
}

// All that is wrong with templates is told at once, each with its place.
func TestWrongTemplates(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"code.en.txt":            "Subject: {{.Link}} {{.Tokn}}\n\n{{.Lnk}} é{{.By}}",
		"code.de.txt":            "Subject: x\n\n{{with .Code}}{{.Link}}{{$.Valid}}{{$.Vald}}{{.}}{{end}}",
		"invite.de.txt":          "Subject: x\n{{range .By}}{{end}}{{.Link.Host}}{{template \"foot\" .}}{{template \"none\"}}{{define \"foot\"}}{{.Foo}}{{end}}",
		"email-change.en.txt":    "Subject: x\n{{template \"foot\" .App}}{{define \"foot\"}}{{.URL}}{{end}}",
		"email-change.de.txt":    "Subject: x\n{{with .App}}{{template \"foot\" $}}{{template \"bare\"}}{{$.URL}}{{end}}{{define \"foot\"}}{{.URL}}{{$.URL}}{{end}}{{define \"bare\"}}{{$.URL}}{{end}}",
		"invite.en.txt":          "Subject: x\n\n{{if .By}}\n",
		"invite.fr.html":         "<p>x</p>",
		"invte.en.txt":           "Subject: x",
		"readme":                 "x",
		"reset.de-.txt":          "Subject: x",
		"reset.de.txt":           "Hello\n",
		"reset.en.html":          "<a href={{.Link}}\n{{if .Name}}'{{end}}>{{.Link}}</a>",
		"reset.en.txt":           "Subject: \nx",
		"taken.de.txt":           "Subject: x\n\n{{.Link}}{{(.URL).Host}}{{printf \"%s\" .Lik | len}}",
		"taken.en.txt":           "Subject: x\n\nab {{index .App 99}}",
		"test.en.txt":            "Subject: x\n\nab {{.URL | lower}}",
		"verify.en.txt":          "Subject: x\n\n{{template \"foot\" .}}{{define \"foot\"}}{{$.Link}}{{$.Code}}{{end}}",
		"verify.de.txt":          "Subject: good\n{{with .}}{{.Link}}{{end}}{{$x := .URL}}{{$x}}{{if and .Name (eq .Name \"a\")}}{{.Name}}{{else if .To}}{{.App}}{{end}}",
		"password-changed.a.txt": "Subject: x",
	}
	in := map[string]string{}
	for name, src := range files {
		in["emails/"+name] = src
	}
	err := Check(load(t, plain, in))
	var bad *spec.Problems
	if !errors.As(err, &bad) {
		t.Fatal(err)
	}
	var got []string
	for _, p := range bad.List {
		got = append(got, strings.TrimPrefix(p.String(), "emails/"))
	}
	slices.Sort(got)
	want := []string{
		`code.de.txt:3:17: this is a text here, without parts: write $.Link`,
		`code.de.txt:3:38: the mail code has no Vald: there are App, URL, To, Name, Code, Link, Valid (did you mean "Valid"?)`,
		`code.en.txt:1:22: the mail code has no Tokn: there are App, URL, To, Name, Code, Link, Valid (did you mean "To"?)`,
		`code.en.txt:3:13: the mail code has no By: there are App, URL, To, Name, Code, Link, Valid`,
		`code.en.txt:3:3: the mail code has no Lnk: there are App, URL, To, Name, Code, Link, Valid (did you mean "Link"?)`,
		`invite.de.txt:2:9: there is no list in a mail to range over`,
		`invite.de.txt:2:28: Link is a text: it has no part .Host`,
		`email-change.en.txt:2:44: this is a text here, without parts: give the part of the file the dot, as in {{template "NAME" .}}`,
		`email-change.de.txt:2:131: this is a text here, without parts: give the part of the file the dot, as in {{template "NAME" .}}`,
		`invite.de.txt:2:67: there is no part "none" in this file`,
		`invite.de.txt:2:94: the mail invite has no Foo: there are App, URL, To, Name, By, Team, Link, Valid (did you mean "To"?)`,
		`invite.en.txt:4:1: unexpected EOF`,
		`invite.fr.html:1:1: invite.fr.txt is missing: every mail has a text, whose first line is its subject`,
		`invte.en.txt:1:1: there is no mail "invte": it is one of account-deleted, code, email-change, email-changed, factor-added, factor-blocked, factor-removed, identity-added, identity-removed, invite, invited, password-changed, recovery-codes, recovery-used, reset, taken, team-invite, test, verify (did you mean "invite"?)`,
		`reset.de.txt:1:1: the first line of a mail's text is its subject: Subject: Welcome`,
		`reset.en.html:1:1: "'" in attribute name: "'"`,
		`taken.de.txt:3:18: a variable of a mail is a text: it has no part .Host`,
		`taken.de.txt:3:39: the mail taken has no Lik: there are App, URL, To, Name`,
		`taken.en.txt:3:6: executing "taken.en.txt" at <index .App 99>: error calling index: index out of range: 99`,
		`test.en.txt:3:4: function "lower" not defined`,
		`verify.en.txt:3:52: the mail verify has no Code: there are App, URL, To, Name, Link, Valid`,
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("not told: %s", w)
		}
	}
	if n := strings.Count(strings.Join(got, "\n"), "email-change.de.txt"); n != 1 {
		t.Errorf("email-change.de.txt is told of %d times", n)
	}
	for name := range maps.Keys(files) {
		told := slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, name+":") })
		if told == (name == "verify.de.txt") {
			t.Errorf("%s is told of: %t", name, told)
		}
	}
	if t.Failed() {
		fmt.Println(strings.Join(got, "\n"))
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1 minute", 10 * time.Minute: "10 minutes", 90 * time.Minute: "90 minutes", time.Hour: "1 hour",
		24 * time.Hour: "24 hours", 48 * time.Hour: "2 days", 7 * 24 * time.Hour: "7 days", 49 * time.Hour: "49 hours",
	} {
		if got := span(d, "en-GB"); got != want {
			t.Errorf("%s is %q, not %q", d, got, want)
		}
	}
	if got := span(7*24*time.Hour, "de") + ", " + span(time.Hour, "de-CH") + ", " + span(time.Hour, "fr"); got != "7 Tage, 1 Stunde, 1 h" {
		t.Error(got)
	}
}
