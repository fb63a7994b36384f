package plinth

import (
	"context"
	"path/filepath"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/jobs"
	"github.com/bluell/plinth/internal/mail"
	"github.com/bluell/plinth/internal/telemetry"
	"github.com/bluell/plinth/spec"
)

// mailing is the room that posts and sends the mails of an app.
func (p *Plinth) mailing(app *spec.App) (*mail.Room, error) {
	return mail.New(app, mail.Options{Secret: p.secret, Dev: p.o.dev, Folder: filepath.Join(p.dir, "data", "mail"), Clock: p.o.clock,
		Address: func() string {
			if url := p.url.Load(); url != nil {
				return *url
			}
			return ""
		},
		Kept: func() { p.mailKept.Do(p.tellMails) }})
}

// tellMails tells where the mails are that are kept.
func (p *Plinth) tellMails() {
	at := filepath.Join(p.dir, "data", "mail")
	if url := p.url.Load(); url != nil {
		at = *url + mail.Page
	}
	p.o.tell("mails are kept, not sent: " + at)
}

// mails is the kind of job that a mail is.
func (s *served) mails(sight *telemetry.Telemetry) jobs.Kind {
	return jobs.Kind{Name: mail.Kind, Limit: mail.AtOnce, Do: func(ctx context.Context, w *jobs.Work) error {
		err := s.mail.Deliver(ctx, w.Job())
		switch {
		case err == nil:
			sight.Mailed("sent")
		case mail.Expired(err):
			sight.Mailed("expired")
		default:
			sight.Mailed("failed")
		}
		if err == nil || mail.Expired(err) {
			w.Forget()
		}
		if mail.Final(err) {
			return jobs.Permanent(err)
		}
		return err
	}}
}

// CheckMail looks at the templates of an app's mails, in emails/. All that is wrong with them is *spec.Problems. Open
// does so by itself.
func CheckMail(app *spec.App) error { return mail.Check(app) }

// LacksMail is what an app must say of its mails before it is served without Dev: *spec.Problems.
func LacksMail(app *spec.App) error {
	if what := mustWrite(&app.Auth); what != "" {
		return mail.Lacks(app, what)
	}
	return nil
}

// A TestMail is a mail that is sent to see whether mails arrive.
type TestMail struct {
	To       string // one address
	Template string // which mail, with examples for what it says; "": one that says that it is a test
	Lang     string // a BCP 47 tag; English when ""
}

// SendTestMail sends a mail at once by the app's SMTP server, and tells each step. Neither a database nor a key is
// needed. A template that is not there, and an address that is none, are faults of kind BadRequest; an app without a
// server, and templates that are wrong, are *spec.Problems.
func SendTestMail(ctx context.Context, dir string, m TestMail, tell func(step string), opts ...Option) error {
	o := choose(opts)
	app, err := load(dir, &o)
	if err != nil {
		return err
	}
	room, err := mail.New(app, mail.Options{Secret: newKey(), Clock: o.clock}) // nothing is sealed with this key
	if err == nil {
		err = room.Ready("plinth mail test")
	}
	if err != nil {
		return err
	}
	err = room.Try(ctx, mail.Template(m.Template), m.To, m.Lang, tell)
	if fault.Is(err, fault.Invalid) {
		return fault.New(fault.BadRequest, "%s", err)
	}
	return err
}
