package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/spec"
)

// posture is what is to be looked at before an app serves other people: good, plinth.Consider, which somebody should have decided, or
// wrong, which nobody should serve other people with.
type posture struct {
	plinth.Points
	app *spec.App
	dir string
}

// production reviews how an app would be served to other people.
func (c *cli) production(ctx context.Context, app *spec.App, dir string) error {
	p := &posture{app: app, dir: dir}
	p.transport()
	p.limits()
	p.open()
	p.people()
	p.disk(c.at.engine)
	if c.db != "" {
		warnings, err := plinth.Check(ctx, dir, c.looking(dir))
		if err != nil {
			return err
		}
		for _, w := range warnings {
			p.Say("durability", plinth.Wrong, "%s", w)
		}
		if len(warnings) == 0 {
			p.Say("durability", plinth.Good, "the database keeps what it has acknowledged, by its settings")
		}
	}
	return c.points(p.Points, spec.FileName+" should not be served to other people like this")
}

// points prints what was looked at. It is a failure where something is wrong.
func (c *cli) points(all plinth.Points, failure string) error {
	failed := all.Wrong()
	if c.json {
		c.print(map[string]any{"ok": failed == 0, "points": append(plinth.Points{}, all...)})
		if failed > 0 {
			return told{errWrong}
		}
		return nil
	}
	for _, p := range all {
		c.say("%-8s  %-12s  %s", p.Verdict, p.About, p.Text)
	}
	if failed > 0 {
		return fmt.Errorf("%s: %s", failure, plinth.Counted(failed, "point"))
	}
	return nil
}

var errWrong = errors.New("not as it should be")

// transport: are requests encrypted on their way, and is it known where they come from?
func (p *posture) transport() {
	s := p.app.Server
	until, err := plinth.CheckCertificate(p.app, time.Now())
	switch {
	case err != nil:
		p.Say("https", plinth.Wrong, "%s", err)
	case len(s.Domains) > 0:
		p.Say("https", plinth.Good, "certificates for %s are obtained and renewed", strings.Join(s.Domains, ", "))
	case s.TLS.Cert != "":
		text := "the certificate in " + s.TLS.Cert + " is served, until " + until.UTC().Format(time.DateTime)
		p.Either("https", time.Until(until) > 14*24*time.Hour, text, plinth.Consider, text+": put the next one in its place, a running server takes it by itself")
	case strings.HasPrefix(s.URL, "https://") && len(s.TrustedProxies) > 0:
		p.Say("https", plinth.Good, "a proxy in front of it speaks https, as server.url says")
	case strings.HasPrefix(s.URL, "https://"):
		p.Say("https", plinth.Consider, "server.url is https, and nothing here speaks it: a proxy in front of it belongs into server.trustedProxies, for without it all clients have its address, and its limits")
	default:
		p.Say("https", plinth.Wrong, "passwords and sessions would be sent for everybody to read: add server.domains or server.tls, or a proxy that speaks https, with server.url and server.trustedProxies")
	}
	if s.URL == "" && len(s.Domains) == 0 {
		p.Say("address", plinth.Consider, "server.url is missing: links in mails, and other sites' answers to sign-ins, need it")
	}
	for _, n := range s.TrustedProxies {
		if n.Bits() == 0 {
			p.Say("proxies", plinth.Wrong, "server.trustedProxies has %s: whoever asks could give himself any address", n)
		}
	}
	if s.Operator.Listen != "" {
		p.Either("operator", s.Operator.Local(), "metrics and profiles are for this machine alone", plinth.Consider,
			"metrics and profiles can be read by whoever reaches "+s.Operator.Listen+": nobody else should")
	}
	for _, origin := range s.CORS.Origins {
		switch {
		case origin == "*":
			p.Say("cors", plinth.Consider, "the pages of every site may call the API, without credentials")
		case strings.HasPrefix(origin, "http://"):
			p.Say("cors", plinth.Consider, "%s is not encrypted: whoever is on its way may call the API in its name", origin)
		}
	}
}

func (p *posture) limits() {
	l := p.app.Server.Limits
	p.Either("requests", l.Requests.Count > 0, "a caller may ask "+rate(l.Requests), plinth.Consider,
		"server.limits.requests is missing: one caller may ask as often as the server can answer")
	p.Either("body", l.Body <= 64<<20, fmt.Sprintf("a body has at most %d KB", l.Body>>10), plinth.Consider, fmt.Sprintf("a body may have %d MB, and is read into memory", l.Body>>20))
	p.Either("time", l.Timeout <= 2*time.Minute, "a request takes at most "+l.Timeout.String(), plinth.Consider, "a request may take "+l.Timeout.String()+": slow ones hold what others wait for")
}

func rate(r spec.Rate) string { return fmt.Sprintf("%d times in %s", r.Count, r.Per) }

// open: what may people do who are not signed in?
func (p *posture) open() {
	found := spec.Open(p.app)
	for _, f := range found {
		verdict := plinth.Consider
		if f.Operation == "update" || f.Operation == "delete" {
			verdict = plinth.Wrong
		}
		p.Say("access", verdict, "%s", f)
	}
	if len(found) == 0 {
		p.Say("access", plinth.Good, "nothing is open to people who are not signed in")
	}
	p.Either("tests", len(p.app.Tests) > 0, plinth.Counted(len(p.app.Tests), "test")+" in the app file say who may do what", plinth.Consider,
		"the app file has no tests: nothing would tell when a change of a rule opens something")
}

func (p *posture) people() {
	a := p.app.Auth
	if !a.On {
		return
	}
	if a.Register == "open" {
		p.Either("accounts", a.Verify == "required", "who registers has to prove his address", plinth.Consider, "anybody may register with an address that is not his: auth.verify is optional")
	}
	p.Either("password", a.Password.MinLength >= 8, fmt.Sprintf("a password has at least %d characters, and is none of the common ones", a.Password.MinLength), plinth.Wrong, "auth.password.minLength is less than 8")
	if len(p.app.Roles) > 0 {
		p.Either("factors", len(a.MFA.Required) > 0, "a second factor is a must for "+strings.Join(a.MFA.Required, ", "), plinth.Consider, "no role must have a second factor: auth.mfa.required")
	}
	if err := plinth.LacksMail(p.app); err != nil {
		p.Say("mail", plinth.Wrong, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	} else {
		p.Either("mail", p.app.Mail.SMTP != "", "mails are sent", plinth.Consider, "mail.smtp is missing: nobody who has forgotten his password can get in again")
	}
}

// disk: what lies in the folder, and who can read it?
func (p *posture) disk(engine string) {
	data := filepath.Join(p.dir, "data")
	key, err := os.Stat(filepath.Join(data, "key"))
	switch {
	case os.Getenv("PLINTH_KEY") != "":
		p.Say("key", plinth.Good, "it is given by PLINTH_KEY")
	case err == nil && runtime.GOOS != "windows" && key.Mode().Perm()&0o077 != 0:
		p.Say("key", plinth.Wrong, "data/key can be read by other users of this machine: chmod 600 it")
	case err == nil:
		p.Say("key", plinth.Consider, "it lies beside the database, in data/key: who copies the folder has both. PLINTH_KEY gives it from elsewhere")
	default:
		p.Say("key", plinth.Wrong, "there is none: set PLINTH_KEY to 32 random bytes in base64 (openssl rand -base64 32), and keep it apart from backups")
	}
	if info, err := os.Stat(data); err == nil && runtime.GOOS != "windows" {
		p.Either("folder", info.Mode().Perm()&0o077 == 0, "data/ can be read by its owner alone", plinth.Wrong, "data/ can be read by other users of this machine: chmod 700 it")
	}
	if engine != "sqlite" {
		p.Say("backup", plinth.Consider, "the database is a server's: its own tools make backups, and data/files is to be copied beside them")
		return
	}
	newest := time.Time{}
	names, _ := filepath.Glob(filepath.Join(data, "backups", "*.plinth"))
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	switch age := time.Since(newest); {
	case newest.IsZero():
		p.Say("backup", plinth.Consider, "there is none in data/backups: plinth backup makes one beside the running server; it belongs on another machine")
	case age > 48*time.Hour:
		p.Say("backup", plinth.Consider, "the newest in data/backups is %d days old", int(age.Hours()/24))
	default:
		p.Say("backup", plinth.Good, "the newest in data/backups is of %s", newest.Format(time.DateTime))
	}
}
