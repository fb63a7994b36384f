package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/wneessen/go-mail/smtp"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// server is where mails are handed over: mail.smtp, read. Its password is in no error and no step that is told.
type server struct {
	host, port     string
	tls            string // offered, required, never; implicit: from the first byte
	user, password string
	patience       patience
	roots          *x509.CertPool // whose certificates are believed; nil: the system's
}

// patience is how long each part of the conversation may take. The whole has the timeout of its job.
type patience struct {
	connect time.Duration // to a connection, and to its TLS
	reply   time.Duration // to the answer of a command
	data    time.Duration // to the message being taken
}

const maxSaid = 300 // characters that are kept of an answer of the server

func readServer(text string) (*server, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "mail.smtp is no address") // err has the password
	}
	s := &server{host: u.Hostname(), port: u.Port(), tls: u.Query().Get("tls"), user: u.User.Username(),
		patience: patience{connect: 20 * time.Second, reply: 40 * time.Second, data: 100 * time.Second}}
	s.password, _ = u.User.Password()
	port := "587"
	if s.tls == "" {
		s.tls = "offered"
	}
	if u.Scheme == "smtps" {
		port, s.tls = "465", "implicit"
	}
	if s.port == "" {
		s.port = port
	}
	return s, nil
}

func (s *server) String() string { return net.JoinHostPort(s.host, s.port) }

// talk is one conversation with a server.
type talk struct {
	*server
	ctx  context.Context
	to   string   // whom the letter is to
	conn net.Conn // below TLS
	c    *smtp.Client
	here bool // the server is on this machine
	tell func(format string, args ...any)
}

// send hands a letter over. tell, which may be nil, is told each step. An answer of 5xx to the recipient or to the
// message is final; whatever else goes wrong is worth another try.
func (s *server) send(ctx context.Context, l *letter, tell func(format string, args ...any)) error {
	if tell == nil {
		tell = func(string, ...any) {}
	}
	t := &talk{server: s, ctx: ctx, to: l.to, tell: tell}
	if err := t.connect(); err != nil {
		return err
	}
	defer t.conn.Close()
	defer context.AfterFunc(ctx, func() { _ = t.conn.Close() })()
	for _, step := range []func() error{t.greet, t.secure, t.signIn} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := t.hand(l); err != nil {
		return err
	}
	t.wait(t.patience.connect)
	_ = t.c.Quit() // it has the mail
	return nil
}

// Reach goes as far with the server that takes an app's mails as is gone before a mail: it connects, secures and signs in. tell is
// told each step.
func Reach(ctx context.Context, m spec.Mail, tell func(format string, args ...any)) error {
	_, s, err := sender(m)
	if err != nil || s == nil {
		return err
	}
	t := &talk{server: s, ctx: ctx, tell: tell}
	if err := t.connect(); err != nil {
		return err
	}
	defer t.conn.Close()
	defer context.AfterFunc(ctx, func() { _ = t.conn.Close() })()
	for _, step := range []func() error{t.greet, t.secure, t.signIn} {
		if err := step(); err != nil {
			return err
		}
	}
	t.wait(t.patience.connect)
	_ = t.c.Quit()
	return nil
}

// wait bounds what comes next.
func (t *talk) wait(d time.Duration) { _ = t.conn.SetDeadline(time.Now().Add(d)) } // a closed one fails there

func (t *talk) connect() error {
	d := net.Dialer{Timeout: t.patience.connect}
	var err error
	if t.conn, err = d.DialContext(t.ctx, "tcp", t.String()); err != nil {
		return t.failed("%s cannot be reached", err, t)
	}
	at, _ := t.conn.RemoteAddr().(*net.TCPAddr)
	t.here = at != nil && at.IP.IsLoopback()
	t.tell("connected to %s (%s)", t, t.conn.RemoteAddr())
	return nil
}

// greet waits for the server's greeting, behind TLS where the address says so, and says hello.
func (t *talk) greet() error {
	on := t.conn
	if t.tls == "implicit" {
		t.wait(t.patience.connect)
		secured := tls.Client(on, t.tlsConfig(false))
		if err := secured.HandshakeContext(t.ctx); err != nil {
			return t.failed("TLS with %s failed", err, t)
		}
		on = secured
	}
	t.wait(t.patience.reply)
	var err error
	if t.c, err = smtp.NewClient(on, t.host); err != nil {
		return t.failed("%s does not greet", err, t)
	}
	if err := t.c.Hello(t.name()); err != nil {
		return t.failed("%s does not answer to EHLO", err, t)
	}
	if t.tls == "implicit" {
		t.tellTLS()
	}
	return nil
}

// name is what this machine calls itself: its name if it has one, else its address (RFC 5321, 4.1.3).
func (t *talk) name() string {
	if host, err := os.Hostname(); err == nil && hostName().MatchString(host) {
		return host
	}
	at, _ := t.conn.LocalAddr().(*net.TCPAddr)
	switch {
	case at == nil:
		return "localhost"
	case at.IP.To4() == nil:
		return "[IPv6:" + at.IP.String() + "]"
	}
	return "[" + at.IP.String() + "]"
}

var hostName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
})

// tlsConfig is for the server's name. unchecked is for a server on this machine, whose certificate is often its own.
func (t *talk) tlsConfig(unchecked bool) *tls.Config {
	return &tls.Config{ServerName: t.host, RootCAs: t.roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: unchecked}
}

// secure goes on behind TLS where it is offered, or demanded.
func (t *talk) secure() error {
	if t.tls == "implicit" || t.tls == "never" {
		return nil
	}
	if offered, _ := t.c.Extension("STARTTLS"); !offered {
		if t.tls == "required" {
			return fmt.Errorf("%s offers no STARTTLS, and mail.smtp says tls=required", t)
		}
		t.tell("no TLS: %s does not offer it", t)
		return nil
	}
	t.wait(t.patience.connect)
	if err := t.c.StartTLS(t.tlsConfig(t.here && t.tls == "offered")); err != nil {
		return t.failed("TLS with %s failed", err, t)
	}
	t.tellTLS()
	return nil
}

func (t *talk) tellTLS() {
	if state, ok := t.c.TLSConnectionState(); ok {
		t.tell("secured with %s", tls.VersionName(state.Version))
	}
}

// signIn signs in with the best way that is offered. What proves a password goes over TLS alone, except to this machine.
func (t *talk) signIn() error {
	if t.user == "" {
		return nil
	}
	_, secured := t.c.TLSConnectionState()
	if !secured && !t.here {
		return fmt.Errorf("%s offers no TLS: the password is not sent in the clear", t)
	}
	offered, ways := t.c.Extension("AUTH")
	if !offered {
		return fmt.Errorf("%s offers no sign-in, and mail.smtp has a user", t)
	}
	way, auth := t.way(strings.Fields(strings.ToUpper(ways)))
	if auth == nil {
		return fmt.Errorf("%s offers no way to sign in that is known here: it has %s", t, t.plain(ways))
	}
	t.wait(t.patience.reply)
	if err := t.c.Auth(auth); err != nil {
		return t.failed("%s does not let us sign in with %s", err, t, way)
	}
	t.tell("signed in with %s", way)
	return nil
}

// way is the best of the ways to sign in.
func (t *talk) way(offered []string) (string, smtp.Auth) {
	for _, w := range []struct {
		name string
		auth func() smtp.Auth
	}{
		{"SCRAM-SHA-256", func() smtp.Auth { return smtp.ScramSHA256Auth(t.user, t.password) }},
		{"SCRAM-SHA-1", func() smtp.Auth { return smtp.ScramSHA1Auth(t.user, t.password) }},
		{"PLAIN", func() smtp.Auth { return smtp.PlainAuth("", t.user, t.password, t.host, true) }}, // signIn has looked
		{"LOGIN", func() smtp.Auth { return smtp.LoginAuth(t.user, t.password, t.host, true) }},
		{"CRAM-MD5", func() smtp.Auth { return smtp.CRAMMD5Auth(t.user, t.password) }},
	} {
		for _, o := range offered {
			if o == w.name {
				return w.name, w.auth()
			}
		}
	}
	return "", nil
}

// hand gives the letter to the server.
func (t *talk) hand(l *letter) error {
	foreign := !ascii(l.from) || !ascii(l.to)
	if takes, _ := t.c.Extension("SMTPUTF8"); foreign && !takes {
		return final("%s takes no addresses with letters beyond ASCII before the @ (it has no SMTPUTF8)", t)
	}
	t.c.SkipSMTPUTF8(!foreign) // RFC 6531: what is not declared, a server that cannot do it may take
	t.wait(t.patience.reply)
	if err := t.c.Mail("<" + l.from + ">"); err != nil {
		return t.failed("%s does not take mail from %s", err, t, l.from)
	}
	t.wait(t.patience.reply)
	if err := t.c.Rcpt("<" + l.to + ">"); err != nil {
		return t.refused("%s does not take mail for %s", err, t, l.to)
	}
	t.tell("%s takes mail from %s for %s", t, l.from, l.to)
	t.wait(t.patience.reply)
	w, err := t.c.Data()
	if err != nil {
		return t.refused("%s does not take the mail for %s", err, t, l.to)
	}
	t.wait(t.patience.data)
	if _, err := w.Write(l.message); err != nil {
		return t.failed("the mail for %s was cut off", err, l.to)
	}
	if err := w.Close(); err != nil {
		return t.refused("%s did not take the mail for %s", err, t, l.to)
	}
	said := ""
	if d, ok := w.(*smtp.DataCloser); ok {
		said = t.plain(d.ServerResponse())
	}
	t.tell("sent: %s", said)
	return nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// refused is failed, and final where the server says that it will not take this mail: not where it wants us to sign in.
func (t *talk) refused(format string, err error, args ...any) error {
	var answer *textproto.Error
	if errors.As(err, &answer) && answer.Code >= 500 && answer.Code < 600 && answer.Code != 530 {
		return final("%s", t.failed(format, err, args...))
	}
	return t.failed(format, err, args...)
}

// failed says what did not work, and what the server has said or what became of the connection.
func (t *talk) failed(format string, err error, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if ended := t.ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", t.masked(text), ended)
	}
	var answer *textproto.Error
	var slow net.Error
	said := err.Error()
	switch {
	case errors.As(err, &answer):
		said = strconv.Itoa(answer.Code) + " " + answer.Msg
	case errors.As(err, &slow) && slow.Timeout():
		said = "there was no answer in time"
	}
	return errors.New(t.masked(text + ": " + t.plain(said)))
}

// masked is a text without the whole address of the receiver: errors are logged, and logs name nobody.
func (t *talk) masked(text string) string {
	if t.to == "" {
		return text
	}
	local, domain, _ := strings.Cut(t.to, "@")
	_, first := utf8.DecodeRuneInString(local)
	return regexp.MustCompile("(?i)"+regexp.QuoteMeta(t.to)).ReplaceAllLiteralString(text, local[:first]+"…@"+domain)
}

// plain is what a server says as one line, without our password, which it may repeat.
func (s *server) plain(said string) string {
	if s.password != "" {
		for _, secret := range []string{s.password, s.user + "\x00" + s.password, "\x00" + s.user + "\x00" + s.password} {
			said = strings.ReplaceAll(said, secret, "…")
			said = strings.ReplaceAll(said, base64.StdEncoding.EncodeToString([]byte(secret)), "…")
		}
	}
	return oneLine(said, maxSaid)
}
