package mail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	nm "net/mail"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
)

// letter is a mail as it is handed over: the envelope, and the message of RFC 5322.
type letter struct {
	from, to string
	id       string // Message-ID, without < and >
	message  []byte
}

const maxSubject = 200 // characters

// compose writes a mail. base is where its links lead; id and at are those of its job.
func (r *Room) compose(m *Message, base, id string, at time.Time) (*letter, error) {
	if base == "" {
		return nil, errors.New("nothing says where links lead: server.url is missing, and this process does not answer requests yet")
	}
	to, err := address(m.To)
	if err != nil {
		return nil, final("%s", err)
	}
	text, err := r.texts().write(m.Template, m.Lang, r.values(m, base), m.Valid)
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(r.from.Address, "@")
	l := &letter{from: r.from.Address, to: to, id: id + "@" + domain}

	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP), gomail.WithBoundary("part."+id))
	msg.FromMailAddress(&nm.Address{Name: oneLine(r.from.Name, maxName), Address: l.from})
	msg.ToMailAddress(&nm.Address{Name: m.Name, Address: to})
	msg.Subject(encodedWords(text.subject))
	msg.SetMessageIDWithValue(l.id)
	msg.SetDateWithValue(at.UTC())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notice answers it
	msg.SetGenHeader("Content-Language", text.lang)
	msg.SetBodyString(gomail.TypeTextPlain, text.text)
	msg.AddAlternativeString(gomail.TypeTextHTML, text.html) // last is best (RFC 2046, 5.1.4)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("the mail %s could not be written: %w", m.Template, err)
	}
	l.message = b.Bytes()
	return l, nil
}

// encodedWords are a text for a header, as encoded words where it has letters beyond ASCII (RFC 2047). Each is so short that
// the first stands behind the header's name: in the next line some readers would take the blank before it for a part of it.
func encodedWords(s string) string {
	if ascii(s) {
		return s
	}
	const most = 36 // bytes: 48 of base64, 60 with what is around them
	var words []string
	word := ""
	for _, r := range s + "\x00" {
		if r == 0 || len(word)+utf8.RuneLen(r) > most {
			words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(word))+"?=")
			word = ""
		}
		word += string(r)
	}
	return strings.Join(words, " ")
}

// values are the variables of a mail, but for Valid, which is in the language of the text that is found.
func (r *Room) values(m *Message, base string) map[string]string {
	f := forms[m.Template]
	v := map[string]string{"App": oneLine(r.app.Name, maxName), "URL": base, "To": m.To, "Name": m.Name}
	for _, name := range f.vars {
		v[name] = ""
		switch name {
		case "Link":
			if m.Token != "" {
				v[name] = base + f.path + "?token=" + url.QueryEscape(m.Token)
			}
		case "Code":
			v[name] = m.Code
		case "By":
			v[name] = m.By
		case "Team":
			v[name] = m.Team
		case "Passkey":
			v[name] = m.Passkey
		case "Provider":
			v[name] = oneLine(m.Provider, maxName)
		}
	}
	return v
}
