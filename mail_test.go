package plinth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/mail"
	"github.com/bluell/plinth/spec"
)

// mailing is an app that is served, and its database as bytes.
func mailing(t *testing.T, yaml string, opts ...Option) (p *Plinth, url string, stored func() []byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Open(t.Context(), dir, append([]Option{WithKey(make([]byte, 32)),
		OnFile("", func(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) })}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- p.Serve(ctx, Listening{Listen: "127.0.0.1:0", Ready: func(url string) { ready <- url }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, p.Close()); err != nil {
			t.Error(err)
		}
	})
	select {
	case url = <-ready:
	case <-time.After(20 * time.Second):
		t.Fatal("it is not served")
	}
	return p, url, func() []byte {
		var all []byte
		for _, end := range []string{"", "-wal"} {
			b, err := os.ReadFile(filepath.Join(dir, "data", "plinth.db"+end))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
}

var errNo = errors.New("no")

// post posts a mail in a transaction, which ends with err.
func post(t *testing.T, p *Plinth, m mail.Message, err error) {
	t.Helper()
	got := p.DB().Transact(t.Context(), data.System, func(tx *data.Tx) error {
		return errors.Join(p.now.Load().mail.Post(tx, m), err)
	})
	if (got == nil) != (err == nil) {
		t.Fatal(got)
	}
}

// mailJob waits until the only job of a mail is in a state.
func mailJob(t *testing.T, p *Plinth, state string) JobInfo {
	t.Helper()
	var all []JobInfo
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) { // what Jobs tells has no signal
		var err error
		if all, _, err = p.Jobs(t.Context(), JobFilter{Kind: mail.Kind}); err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 && all[0].State == state {
			return all[0]
		}
	}
	t.Fatalf("no job is %s: %+v", state, all)
	return JobInfo{}
}

// With Dev a mail is shown at the page exactly when its transaction was committed; what it carried is nowhere else.
func TestMailIsKept(t *testing.T) {
	t.Parallel()
	told := make(chan string, 10)
	p, url, stored := mailing(t, "name: Agency\n", Dev(), Telling(func(text string) { told <- text }))
	m := mail.Message{Template: mail.Reset, To: "anna@example.org", Token: "a-secret-token", Valid: time.Hour, Lang: "de-AT"}
	post(t, p, m, errNo)
	post(t, p, m, nil)
	if j := mailJob(t, p, data.Done); string(j.Payload) != "null" || j.Attempt > 2 {
		t.Errorf("%+v", j)
	}
	if bytes.Contains(stored(), []byte("a-secret-token")) || bytes.Contains(stored(), []byte("anna@example.org")) {
		t.Error("what a mail carries stands in the database")
	}
	if got := <-told; got != "mails are kept, not sent: "+url+"/_dev/mail" {
		t.Error(got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/_dev/mail.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var shown struct {
		Mails []struct{ ID, To, Subject, Text string }
	}
	if err := json.NewDecoder(res.Body).Decode(&shown); err != nil || len(shown.Mails) != 1 {
		t.Fatalf("%v: %+v", err, shown)
	}
	if k := shown.Mails[0]; k.To != "<anna@example.org>" || k.Subject != "Neues Passwort für Agency" || !strings.Contains(k.Text, url+"/auth/reset?token=a-secret-token\n") {
		t.Errorf("%+v", k)
	}
	m.Template = mail.Verify
	post(t, p, m, nil)
	select {
	case got := <-told:
		t.Errorf("it is told twice: %s", got)
	default:
	}
}

// receiver takes mails; answer is what it says to the n-th one, from 1.
type receiver struct {
	n      atomic.Int32
	answer func(n int32) error
	mails  chan string
}

func (r *receiver) NewSession(*smtp.Conn) (smtp.Session, error) { return r, nil }
func (r *receiver) Reset()                                      {}
func (r *receiver) Logout() error                               { return nil }
func (r *receiver) Mail(string, *smtp.MailOptions) error        { return nil }
func (r *receiver) Rcpt(_ string, _ *smtp.RcptOptions) error    { return r.answer(r.n.Add(1)) }
func (r *receiver) Data(in io.Reader) error {
	b, err := io.ReadAll(in)
	r.mails <- string(b)
	return err
}

func (r *receiver) open(t *testing.T) string {
	t.Helper()
	r.mails = make(chan string, 10)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return "server: {url: https://app.example.com}\nmail: {from: 'Agency <hello@example.com>', smtp: 'smtp://" + l.Addr().String() + "'}\n"
}

// A mail that the server does not take now is sent later; nobody reads in its job what it carries.
func TestMailIsTriedAgain(t *testing.T) {
	t.Parallel()
	busy := make(chan bool)
	r := &receiver{answer: func(n int32) error {
		if n == 1 {
			busy <- true
			return &smtp.SMTPError{Code: 451, Message: "later"}
		}
		return nil
	}}
	p, _, stored := mailing(t, r.open(t))
	post(t, p, mail.Message{Template: mail.Code, To: "anna@example.org", Code: "493817", Token: "a-secret-token", Valid: time.Hour}, nil)
	j := mailJob(t, p, data.Running)
	for _, secret := range []string{"493817", "a-secret-token", "anna"} {
		if bytes.Contains(j.Payload, []byte(secret)) || bytes.Contains(stored(), []byte(secret)) {
			t.Errorf("%s can be read: %s", secret, j.Payload)
		}
	}
	<-busy
	got := <-r.mails
	if !strings.Contains(got, "Message-ID: <"+j.ID+"@example.com>\r\n") || !strings.Contains(got, "493817") {
		t.Error(got)
	}
	if j := mailJob(t, p, data.Done); j.Attempt != 2 || string(j.Payload) != "null" || !strings.Contains(j.Error, "does not take mail for a…@example.org: 451") {
		t.Errorf("%+v", j)
	}
}

// A test mail is sent at once, without a database.
func TestSendTestMail(t *testing.T) {
	t.Parallel()
	r := &receiver{answer: func(int32) error { return nil }}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(r.open(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	var steps []string
	if err := SendTestMail(t.Context(), dir, TestMail{To: "anna@example.org", Template: "invite", Lang: "de"}, func(step string) { steps = append(steps, step) }); err != nil {
		t.Fatal(err)
	}
	if got := <-r.mails; !strings.Contains(got, "To: <anna@example.org>\r\n") || len(steps) != 4 || !strings.HasPrefix(steps[3], "sent: ") {
		t.Errorf("%q\n%s", steps, got)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !errors.Is(err, os.ErrNotExist) {
		t.Error("it leaves something behind")
	}
}

// An address that the server refuses ends the job; it may be tried again by hand.
func TestMailIsRefused(t *testing.T) {
	t.Parallel()
	r := &receiver{answer: func(n int32) error {
		if n == 1 {
			return &smtp.SMTPError{Code: 550, Message: "no such user"}
		}
		return nil
	}}
	p, _, _ := mailing(t, r.open(t))
	post(t, p, mail.Message{Template: mail.Taken, To: "anna@example.org"}, nil)
	j := mailJob(t, p, data.Dead)
	if j.Attempt != 1 || !strings.Contains(j.Error, "550") {
		t.Errorf("%+v", j)
	}
	if _, err := p.RetryJob(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	if got := <-r.mails; !strings.Contains(got, "To: <anna@example.org>") {
		t.Error(got)
	}
}

// A mail that is cancelled keeps nothing of what it carries, nor does the job that looks whether somebody is to be written to.
func TestMailIsCancelled(t *testing.T) {
	t.Parallel()
	r := &receiver{answer: func(int32) error { return &smtp.SMTPError{Code: 451, Message: "later"} }}
	p, _, _ := mailing(t, r.open(t))
	post(t, p, mail.Message{Template: mail.Code, To: "anna@example.org", Code: "493817", Valid: time.Hour}, nil)
	letter, err := p.DB().Enqueue(t.Context(), data.NewJob{Kind: auth.JobKind, Payload: "anna@example.org", Delay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.DB().Enqueue(t.Context(), data.NewJob{Kind: "other", Payload: "stays"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ id, payload string }{{mailJob(t, p, data.Later).ID, "null"}, {letter[0], "null"}, {other[0], `"stays"`}} {
		j, err := p.CancelJob(t.Context(), c.id)
		for until := time.Now().Add(20 * time.Second); err == nil && j.State == data.Running && time.Now().Before(until); time.Sleep(5 * time.Millisecond) { // it was tried again just now
			j, err = p.JobByID(t.Context(), c.id)
		}
		if err != nil || j.State != data.Cancelled || string(j.Payload) != c.payload {
			t.Errorf("%v: a cancelled job %s is %s and has the payload %s", err, j.Kind, j.State, j.Payload)
		}
		_, err = p.RetryJob(t.Context(), c.id)
		if lost := c.payload == "null"; fault.Is(err, fault.Conflict) != lost || !lost && err != nil {
			t.Errorf("a cancelled job %s is tried again: %v", j.Kind, err)
		}
	}
}

// Wrong templates keep an app from being opened, and a reload from replacing what is served.
func TestWrongMailTemplates(t *testing.T) {
	t.Parallel()
	p, _, _ := mailing(t, "name: Agency\n", Dev(), Telling(func(string) {}))
	if err := os.Mkdir(filepath.Join(p.dir, "emails"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "emails", "reset.en.txt"), []byte("Subject: x\n\n{{.Code}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "emails/reset.en.txt:3:3: the mail reset has no Code: there are App, URL, To, Name, Link, Valid"
	_, err := p.Reload(t.Context())
	var bad *spec.Problems
	if !errors.As(err, &bad) || err.Error() != want {
		t.Errorf("%v", err)
	}
	if err := CheckMail(p.App()); !errors.As(err, &bad) || err.Error() != want {
		t.Errorf("%v", err)
	}
}
