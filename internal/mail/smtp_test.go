package mail

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

// office is a real SMTP server. Its fields are set before it is opened.
type office struct {
	tls      bool     // STARTTLS is offered
	implicit bool     // TLS from the first byte
	utf8     bool     // SMTPUTF8 is offered
	ways     []string // to sign in
	echo     bool     // it repeats what it refuses

	rcpt, data func(n int) error // what is answered the n-th time, from 1
	cut        bool              // the connection ends within the message

	addr  string
	roots *x509.CertPool

	mu    sync.Mutex
	n     int
	mails []delivery
	auths []string // ways that were begun
}

// delivery is a mail that has arrived.
type delivery struct {
	from, to string
	utf8     bool
	tls      bool
	message  []byte
}

func (o *office) open(t *testing.T) *office {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	config := &tls.Config{Certificates: certified.TLS.Certificates}
	o.roots = x509.NewCertPool()
	o.roots.AddCert(certified.Certificate())
	s := smtp.NewServer(o)
	s.Domain, s.AllowInsecureAuth, s.EnableSMTPUTF8 = "office.test", true, o.utf8
	s.ErrorLog = quiet{}
	if o.tls {
		s.TLSConfig = config
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = l.Addr().String()
	if o.implicit {
		l = tls.NewListener(l, config)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return o
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func (o *office) NewSession(c *smtp.Conn) (smtp.Session, error) { return &visit{o: o, c: c}, nil }

// got are the mails that have arrived.
func (o *office) got() []delivery {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]delivery(nil), o.mails...)
}

// visit is a connection to an office.
type visit struct {
	o *office
	c *smtp.Conn
	d delivery
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }
func (v *visit) Mail(from string, o *smtp.MailOptions) error {
	_, secured := v.c.TLSConnectionState()
	v.d = delivery{from: from, utf8: o.UTF8, tls: secured}
	return nil
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.o.mu.Lock()
	defer v.o.mu.Unlock()
	v.o.n++
	v.d.to = to
	if v.o.rcpt != nil {
		return v.o.rcpt(v.o.n)
	}
	return nil
}

func (v *visit) Data(r io.Reader) error {
	if v.o.cut {
		_, _ = io.ReadFull(r, make([]byte, 20))
		return v.c.Conn().Close()
	}
	var err error
	if v.d.message, err = io.ReadAll(r); err != nil {
		return err
	}
	v.o.mu.Lock()
	defer v.o.mu.Unlock()
	if v.o.data != nil {
		if err := v.o.data(v.o.n); err != nil {
			return err
		}
	}
	v.o.mails = append(v.o.mails, v.d)
	return nil
}

func (v *visit) AuthMechanisms() []string { return v.o.ways }

const user, password = "us/er@x", "p:ss wörd/%"

func (v *visit) Auth(way string) (sasl.Server, error) {
	v.o.mu.Lock()
	v.o.auths = append(v.o.auths, way)
	v.o.mu.Unlock()
	no := func(said string) error {
		if !v.o.echo {
			said = "wrong"
		}
		return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: said}
	}
	switch way {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, u, p string) error {
			if u != user || p != password {
				return no(fmt.Sprintf("no %s %s for %s", base64.StdEncoding.EncodeToString([]byte("\x00"+u+"\x00"+p)), p, u))
			}
			return nil
		}), nil
	case "LOGIN":
		return &steps{ask: []string{"Username:", "Password:"}, then: func(said []string) error {
			if said[0] != user || said[1] != password {
				return no(base64.StdEncoding.EncodeToString([]byte(said[1])))
			}
			return nil
		}}, nil
	case "CRAM-MD5":
		return &steps{ask: []string{"<1@office.test>"}, then: func(said []string) error {
			m := hmac.New(md5.New, []byte(password))
			m.Write([]byte("<1@office.test>"))
			if said[0] != fmt.Sprintf("%s %x", user, m.Sum(nil)) {
				return no(said[0])
			}
			return nil
		}}, nil
	case "SCRAM-SHA-256":
		c, err := scram.SHA256.NewClient(user, password, "")
		if err != nil {
			return nil, err
		}
		kept, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of the test", Iters: 4096})
		if err != nil {
			return nil, err
		}
		s, err := scram.SHA256.NewServer(func(name string) (scram.StoredCredentials, error) {
			if name != user {
				return kept, errors.New("unknown")
			}
			return kept, nil
		})
		if err != nil {
			return nil, err
		}
		return scrambled{s.NewConversation()}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// steps is a way to sign in that asks, and judges the answers.
type steps struct {
	ask  []string
	said []string
	then func([]string) error
}

func (s *steps) Next(response []byte) ([]byte, bool, error) {
	if response != nil {
		s.said = append(s.said, string(response))
	}
	if len(s.said) == len(s.ask) {
		return nil, true, s.then(s.said)
	}
	return []byte(s.ask[len(s.said)]), false, nil
}

type scrambled struct{ c *scram.ServerConversation }

func (s scrambled) Next(response []byte) ([]byte, bool, error) {
	if response == nil {
		return []byte{}, false, nil // the client begins
	}
	if s.c.Done() {
		if s.c.Valid() {
			return nil, true, nil
		}
		return nil, true, smtp.ErrAuthFailed
	}
	out, err := s.c.Step(string(response))
	if err != nil {
		return nil, true, smtp.ErrAuthFailed
	}
	return []byte(out), false, nil
}

// to is the server as an app file names it: its first %s is where it is.
func (o *office) to(t *testing.T, form string) *server {
	t.Helper()
	s, err := readServer(strings.Replace(form, "%s", o.addr, 1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var withUser = "smtp://" + strings.ReplaceAll(url.UserPassword(user, password).String(), "%s", "%73") + "@%s"

// mailed is a letter to an address.
func mailed(t *testing.T, to string) *letter {
	t.Helper()
	m := example(Reset, "de")
	m.To = to
	l, _ := composed(t, open(t, plain, nil, Options{}), m)
	return l
}

func TestTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		office  *office
		address string
		roots   bool
		secured bool
		fails   string
	}{
		{"offered", &office{tls: true}, "smtp://%s", true, true, ""},
		{"offered on this machine, with a certificate of its own", &office{tls: true}, "smtp://%s", false, true, ""},
		{"not offered", &office{}, "smtp://%s", true, false, ""},
		{"required", &office{tls: true}, "smtp://%s?tls=required", true, true, ""},
		{"required, not believed", &office{tls: true}, "smtp://%s?tls=required", false, false, "failed: tls: failed to verify certificate"},
		{"required, not offered", &office{}, "smtp://%s?tls=required", true, false, "offers no STARTTLS, and mail.smtp says tls=required"},
		{"never", &office{tls: true}, "smtp://%s/?tls=never", true, false, ""},
		{"smtps", &office{implicit: true}, "smtps://%s", true, true, ""},
		{"smtps, not believed", &office{implicit: true}, "smtps://%s", false, true, "failed: tls: failed to verify certificate"},
		{"smtps, without", &office{}, "smtps://%s", true, true, "TLS with 127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := c.office.open(t)
			s := o.to(t, c.address)
			if c.roots {
				s.roots = o.roots
			}
			l := mailed(t, "anna@example.org")
			err := s.send(t.Context(), l, nil)
			got := o.got()
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || Final(err) || len(got) > 0 {
					t.Errorf("%v, %d mails", err, len(got))
				}
				return
			}
			if err != nil || len(got) != 1 {
				t.Fatalf("%v, %d mails", err, len(got))
			}
			if d := got[0]; d.from != "hello@example.com" || d.to != "anna@example.org" || d.tls != c.secured || d.utf8 || string(d.message) != string(l.message) {
				t.Errorf("%+v\nnot\n%s", d, l.message)
			}
		})
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			o := (&office{tls: true, echo: true, ways: []string{"XOAUTH2", "CRAM-MD5", way}}).open(t)
			s := o.to(t, withUser+"?tls=required")
			s.roots = o.roots
			var told []string
			if err := s.send(t.Context(), mailed(t, "anna@example.org"), func(f string, args ...any) { told = append(told, fmt.Sprintf(f, args...)) }); err != nil {
				t.Fatal(err)
			}
			if len(o.got()) != 1 || strings.Join(o.auths, " ") != way {
				t.Errorf("%d mails, by %s", len(o.got()), o.auths)
			}
			s.password = "wr0ng/one"
			err := s.send(t.Context(), mailed(t, "anna@example.org"), func(f string, args ...any) { told = append(told, fmt.Sprintf(f, args...)) })
			if err == nil || Final(err) || !strings.Contains(err.Error(), "does not let us sign in with "+way+": 535") || len(o.got()) != 1 {
				t.Errorf("%v", err)
			}
			for _, text := range append(told, err.Error()) {
				for _, secret := range []string{password, "wr0ng/one", base64.StdEncoding.EncodeToString([]byte("wr0ng/one")), base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00wr0ng/one"))} {
					if strings.Contains(text, secret) {
						t.Errorf("the password is told: %s", text)
					}
				}
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		o := (&office{ways: []string{"NTLM"}}).open(t)
		if err := o.to(t, withUser).send(t.Context(), mailed(t, "anna@example.org"), nil); err == nil || !strings.Contains(err.Error(), "no way to sign in that is known here: it has NTLM") {
			t.Error(err)
		}
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go converse(l, "220 hello", "250 office.test", "250 more")
		defer l.Close()
		o := &office{addr: l.Addr().String()}
		if err := o.to(t, withUser).send(t.Context(), mailed(t, "anna@example.org"), nil); err == nil || !strings.Contains(err.Error(), "offers no sign-in, and mail.smtp has a user") {
			t.Error(err)
		}
	})
}

// converse answers one connection line by line.
func converse(l net.Listener, answers ...string) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for i, a := range answers {
		if i > 0 {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
		}
		fmt.Fprintf(c, "%s\r\n", a)
	}
	_, _ = in.ReadString('\n')
}

// No proof of a password goes over the network in the clear, whatever the server offers.
func TestNoPasswordInTheClear(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"} {
		o := (&office{ways: []string{way}}).open(t)
		talk := &talk{server: o.to(t, withUser), ctx: t.Context(), tell: func(string, ...any) {}}
		if err := talk.connect(); err != nil {
			t.Fatal(err)
		}
		defer talk.conn.Close()
		if !talk.here {
			t.Error("127.0.0.1 is not this machine")
		}
		talk.here = false
		for _, step := range []func() error{talk.greet, talk.secure} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if err := talk.signIn(); err == nil || !strings.Contains(err.Error(), "the password is not sent in the clear") || len(o.auths) > 0 {
			t.Errorf("%s: %v, %s", way, err, o.auths)
		}
	}
}

// A certificate that is not believed counts as none, but on this machine.
func TestUncheckedCertificate(t *testing.T) {
	t.Parallel()
	o := (&office{tls: true}).open(t)
	talk := &talk{server: o.to(t, "smtp://%s"), ctx: t.Context(), tell: func(string, ...any) {}}
	if err := talk.connect(); err != nil {
		t.Fatal(err)
	}
	defer talk.conn.Close()
	talk.here = false
	if err := talk.greet(); err != nil {
		t.Fatal(err)
	}
	if err := talk.secure(); err == nil || !strings.Contains(err.Error(), "failed to verify certificate") {
		t.Error(err)
	}
}

func said(code int, text string) func(int) error {
	return func(int) error { return &smtp.SMTPError{Code: code, Message: text} }
}

// What the server says to the receiver or to the message decides whether there is another try.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		o     *office
		final bool
		fails string
	}{
		{"no such address", &office{rcpt: said(550, "no such user <Anna@Example.org>\r\nhere")}, true, "does not take mail for a…@example.org: 550 no such user <a…@example.org>"},
		{"busy", &office{rcpt: said(451, "later")}, false, "does not take mail for a…@example.org: 451 "},
		{"sign in first", &office{rcpt: said(530, "sign in")}, false, "530"},
		{"spam", &office{data: said(554, "spam")}, true, "did not take the mail for a…@example.org: 554 "},
		{"full", &office{data: said(452, "full")}, false, "452"},
		{"cut off", &office{cut: true}, false, "the mail for a…@example.org"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := c.o.open(t)
			err := o.to(t, "smtp://%s").send(t.Context(), mailed(t, "anna@example.org"), nil)
			if err == nil || Final(err) != c.final || !strings.Contains(err.Error(), c.fails) || strings.ContainsAny(err.Error(), "\r\n") || len(o.got()) > 0 {
				t.Errorf("final %t: %v", Final(err), err)
			}
		})
	}
}

// A mail that is tried again is the same one: by its Message-ID, and to the byte.
func TestAgain(t *testing.T) {
	t.Parallel()
	o := (&office{rcpt: func(n int) error {
		if n == 1 {
			return &smtp.SMTPError{Code: 451, Message: "greylisted"}
		}
		return nil
	}}).open(t)
	now := noon
	r := open(t, plain[:len(plain)-2]+", smtp: 'smtp://"+o.addr+"'}\n", nil, Options{Clock: func() time.Time { return now }})
	j := posted(t, r, example(Reset, "de"))
	if err := r.Deliver(t.Context(), j); err == nil || Final(err) {
		t.Fatal(err)
	}
	for range 2 {
		now = now.Add(time.Hour)
		if err := r.Deliver(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	got := o.got()
	if len(got) != 2 || string(got[0].message) != string(got[1].message) || !strings.Contains(string(got[0].message), "\r\nMessage-ID: <"+jobID+"@example.com>\r\n") {
		t.Errorf("%d mails: %+v", len(got), got)
	}
}

func TestForeignAddresses(t *testing.T) {
	t.Parallel()
	modern, old := (&office{utf8: true}).open(t), (&office{}).open(t)
	if err := old.to(t, "smtp://%s").send(t.Context(), mailed(t, "用户@例え.テスト"), nil); !Final(err) || !strings.Contains(err.Error(), "SMTPUTF8") {
		t.Error(err)
	}
	for _, o := range []*office{modern, old} {
		if err := o.to(t, "smtp://%s").send(t.Context(), mailed(t, "anna@bücher.example"), nil); err != nil {
			t.Error(err)
		}
	}
	if err := modern.to(t, "smtp://%s").send(t.Context(), mailed(t, "用户@例え.テスト"), nil); err != nil {
		t.Error(err)
	}
	if got := modern.got(); len(got) != 2 || got[0].to != "anna@xn--bcher-kva.example" || got[0].utf8 || got[1].to != "用户@xn--r8jz45g.xn--zckzah" || !got[1].utf8 {
		t.Errorf("%+v", got)
	}
	if got := old.got(); len(got) != 1 || got[0].to != "anna@xn--bcher-kva.example" {
		t.Errorf("%+v", got)
	}
}

// A server that says nothing, and one that is not there, end in time; so does a job whose time is up.
func TestPatience(t *testing.T) {
	t.Parallel()
	silent := func(answers ...string) *office {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					in := bufio.NewReader(c)
					for i, a := range answers {
						if i > 0 {
							if _, err := in.ReadString('\n'); err != nil {
								return
							}
						}
						fmt.Fprintf(c, "%s\r\n", a)
					}
					_, _ = io.Copy(io.Discard, in)
				}()
			}
		}()
		return &office{addr: l.Addr().String()}
	}
	for what, c := range map[string]struct {
		o     *office
		fails string
	}{
		"no greeting":                  {silent(), "does not greet: there was no answer in time"},
		"no hello":                     {silent("220 hi"), "does not answer to EHLO: there was no answer in time"},
		"no mail":                      {silent("220 hi", "250 office.test"), "does not take mail from hello@example.com: there was no answer in time"},
		"no end":                       {silent("220 hi", "250 office.test", "250 ok", "250 ok", "354 go on"), "did not take the mail for a…@example.org: there was no answer in time"},
		"no greeting of a mail server": {silent("HTTP/1.1 400 Bad Request"), "does not greet"},
		"not welcome":                  {silent("554 go away"), "does not greet: 554 go away"},
	} {
		s := c.o.to(t, "smtp://%s")
		s.patience = patience{connect: 5 * time.Second, reply: 30 * time.Millisecond, data: 30 * time.Millisecond}
		if err := s.send(t.Context(), mailed(t, "anna@example.org"), nil); err == nil || Final(err) || !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := silent().to(t, "smtp://%s").send(ctx, mailed(t, "anna@example.org"), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := (&office{addr: l.Addr().String()}).to(t, "smtp://%s").send(t.Context(), mailed(t, "anna@example.org"), nil); err == nil || Final(err) || !strings.Contains(err.Error(), "cannot be reached") {
		t.Error(err)
	}
}

func TestServerAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"smtp://mail.example.com":                           "mail.example.com:587 offered",
		"smtp://mail.example.com:25":                        "mail.example.com:25 offered",
		"smtps://mail.example.com":                          "mail.example.com:465 implicit",
		"smtp://a%40b:p%2Fw@mail.example.com/?tls=required": "mail.example.com:587 required a@b p/w",
		"smtp://[::1]:2525":                                 "[::1]:2525 offered",
	} {
		s, err := readServer(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(s.String() + " " + s.tls + " " + s.user + " " + s.password); got != want {
			t.Errorf("%s is %s, not %s", text, got, want)
		}
	}
}

// Try tells each step of a test mail.
func TestTry(t *testing.T) {
	t.Parallel()
	o := (&office{tls: true, ways: []string{"PLAIN"}}).open(t)
	r := open(t, "server: {url: https://app.example.com}\nmail: {from: a@example.com, smtp: '"+strings.Replace(withUser, "%s", o.addr, 1)+"'}\n", nil, Options{})
	var told []string
	if err := r.Try(t.Context(), Code, "anna@example.org", "de", func(step string) { told = append(told, step) }); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("connected to %[1]s (%[1]s)\nsecured with TLS 1.3\nsigned in with PLAIN\n%[1]s takes mail from a@example.com for anna@example.org\nsent: 2.0.0 OK: queued", o.addr)
	if got := strings.Join(told, "\n"); got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
	if k, err := readKept(o.got()[0].message); err != nil || !strings.Contains(k.Text, "123456") || k.Lang != "de" {
		t.Errorf("%v, %+v", err, k)
	}
}
