package plinth

import (
	"context"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/jobs"
	"github.com/bluell/plinth/internal/mail"
	"github.com/bluell/plinth/internal/oidc"
	"github.com/bluell/plinth/internal/password"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// entrance is the room that lets people in.
func (p *Plinth) entrance(app *spec.App, db *data.DB, room *mail.Room) (*auth.Gate, error) {
	h, err := p.hasher()
	if err != nil {
		return nil, err
	}
	o := auth.Options{Observer: observer[auth.Observer](p.sight), Clock: p.o.clock, Log: p.o.log, Dev: p.o.dev, Hasher: passwords{h}}
	if room.Sends() {
		o.Mail = letters{room}
	}
	if app.Auth.On {
		if o.Providers, err = p.providers(app); err != nil {
			return nil, err
		}
		if len(app.Auth.Trust) > 0 {
			o.Tokens = trusted{oidc.NewBearer(app, oidc.Options{Clock: p.o.clock})}
		}
		o.Address = func() string {
			if url := p.url.Load(); url != nil {
				return *url
			}
			return ""
		}
	}
	return auth.New(db, p.secret, o)
}

// writes refuses to serve an app whose people can only come in by mail, and that sends none. Where operators alone invite they can do
// without (plinth user invite --link).
func (s *served) writes() error {
	if what := mustWrite(&s.app.Auth); what != "" {
		return s.mail.Ready(what)
	}
	return nil
}

// mustWrite is what cannot be without mail; "" is nothing.
func mustWrite(a *spec.Auth) string {
	switch {
	case a.On && a.Register == "open" && a.Verify == "required":
		return "auth.register"
	case a.On && a.Invite != nil:
		return "auth.invite"
	}
	return ""
}

// passwords are hashed within one bound of memory, whatever is reloaded.
type passwords struct{ *password.Hasher }

func (passwords) Check(text string, least int, context ...string) error {
	return password.Check(text, least, context...)
}

func (p passwords) Hash(ctx context.Context, text string) (string, error) {
	defer web.Aside(ctx)()
	return p.Hasher.Hash(ctx, text)
}

func (p passwords) Verify(ctx context.Context, stored, text string) (ok, weak bool, err error) {
	defer web.Aside(ctx)()
	return p.Hasher.Verify(ctx, stored, text)
}

// letters are what auth has to write, as mails.
type letters struct{ room *mail.Room }

func (l letters) Post(tx *data.Tx, m auth.Letter) error {
	return l.room.Post(tx, mail.Message{Template: mail.Template(m.Template), To: m.To, Lang: m.Lang, Token: m.Token, Code: m.Code, By: m.By, Team: m.Team, Passkey: m.Passkey, Provider: m.Provider, Valid: m.Valid})
}

// letters is the kind of job that looks whether somebody is to be written to.
func (s *served) letters() jobs.Kind {
	return jobs.Kind{Name: auth.JobKind, System: true, Do: func(ctx context.Context, w *jobs.Work) error {
		w.Forget() // nobody needs it any more
		if !w.DB().Transactions() {
			return w.DB().Series(ctx, data.System, func(tx *data.Tx) error { return s.gate.Answer(ctx, tx, w.Job().Payload) })
		}
		return w.Commit(ctx, func(tx *data.Tx) error { return s.gate.Answer(ctx, tx, w.Job().Payload) })
	}}
}

// renewing has this process look users up anew who were changed, or whose teams were: whoever has changed them, and by whichever way.
// Of a user who is created nothing is remembered yet.
func renewing(app *spec.App, anew func(user string)) (all []data.Hook) {
	add := func(collection string, user func(*data.Writing) []string, ops ...data.Op) {
		for _, op := range ops {
			all = append(all, data.Hook{Collection: collection, Op: op, After: func(_ context.Context, c *data.Writing) {
				for _, id := range user(c) {
					anew(id)
				}
			}})
		}
	}
	if app.Auth.Collection != "" {
		add(app.Auth.Collection, func(c *data.Writing) []string { return []string{c.ID()} }, data.Update, data.Delete)
	}
	if app.Auth.Teams.Members != "" {
		add(app.Auth.Teams.Members, func(c *data.Writing) []string { return []string{c.Old("user").Text(), c.New("user").Text()} }, data.Create, data.Update, data.Delete)
	}
	return all
}
