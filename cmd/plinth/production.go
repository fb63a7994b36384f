package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/spec"
)

// point is one thing that was looked at: good; consider, which somebody should have decided; or wrong, which nobody
// should serve other people with.
type point struct {
	About   string `json:"about"`
	Verdict string `json:"verdict"`
	Text    string `json:"text"`
}

const (
	good     = "good"
	consider = "consider"
	wrongly  = "wrong"
)

// posture is what is to be looked at before an app serves other people.
type posture struct {
	app    *spec.App
	dir    string
	points []point
}

func (p *posture) say(about, verdict, format string, args ...any) {
	p.points = append(p.points, point{about, verdict, fmt.Sprintf(format, args...)})
}

// either says one of two things.
func (p *posture) either(about string, ok bool, yes, otherwise, no string) {
	if ok {
		p.say(about, good, "%s", yes)
	} else {
		p.say(about, otherwise, "%s", no)
	}
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
			p.say("durability", wrongly, "%s", w)
		}
		if len(warnings) == 0 {
			p.say("durability", good, "the database keeps what it has acknowledged, by its settings")
		}
	}
	failed := 0
	for _, pt := range p.points {
		if pt.Verdict == wrongly {
			failed++
		}
		if !c.json {
			c.say("%-8s  %-12s  %s", pt.Verdict, pt.About, pt.Text)
		}
	}
	if c.json {
		c.print(map[string]any{"ok": failed == 0, "points": p.points})
	}
	if failed > 0 {
		if c.json {
			return told{errProduction}
		}
		return fmt.Errorf("%s should not be served to other people like this: %s", spec.FileName, plinth.Counted(failed, "point"))
	}
	return nil
}

var errProduction = errors.New("not as it should be")

// transport: are requests encrypted on their way, and is it known where they come from?
func (p *posture) transport() {
	s := p.app.Server
	switch {
	case len(s.Domains) > 0:
		p.say("https", good, "certificates for %s are obtained and renewed", strings.Join(s.Domains, ", "))
	case s.TLS.Cert != "":
		p.say("https", good, "the certificate in %s is served", s.TLS.Cert)
	case strings.HasPrefix(s.URL, "https://") && len(s.TrustedProxies) > 0:
		p.say("https", good, "a proxy in front of it speaks https, as server.url says")
	case strings.HasPrefix(s.URL, "https://"):
		p.say("https", consider, "server.url is https, and nothing here speaks it: a proxy in front of it belongs into server.trustedProxies, for without it all clients have its address, and its limits")
	default:
		p.say("https", wrongly, "passwords and sessions would be sent for everybody to read: add server.domains or server.tls, or a proxy that speaks https, with server.url and server.trustedProxies")
	}
	if s.URL == "" && len(s.Domains) == 0 {
		p.say("address", consider, "server.url is missing: links in mails, and other sites' answers to sign-ins, need it")
	}
	for _, n := range s.TrustedProxies {
		if n.Bits() == 0 {
			p.say("proxies", wrongly, "server.trustedProxies has %s: whoever asks could give himself any address", n)
		}
	}
	if host, _, err := net.SplitHostPort(s.Operator.Listen); err == nil {
		ip := net.ParseIP(host)
		p.either("operator", host == "localhost" || ip != nil && ip.IsLoopback(), "metrics and profiles are for this machine alone", consider,
			"metrics and profiles can be read by whoever reaches "+s.Operator.Listen+": nobody else should")
	}
	for _, origin := range s.CORS.Origins {
		switch {
		case origin == "*":
			p.say("cors", consider, "the pages of every site may call the API, without credentials")
		case strings.HasPrefix(origin, "http://"):
			p.say("cors", consider, "%s is not encrypted: whoever is on its way may call the API in its name", origin)
		}
	}
}

func (p *posture) limits() {
	l := p.app.Server.Limits
	p.either("requests", l.Requests.Count > 0, "a caller may ask "+rate(l.Requests)+" at each process", consider,
		"server.limits.requests is missing: one caller may ask as often as the server can answer")
	p.either("body", l.Body <= 64<<20, fmt.Sprintf("a body has at most %d KB", l.Body>>10), consider, fmt.Sprintf("a body may have %d MB, and is read into memory", l.Body>>20))
	p.either("time", l.Timeout <= 2*time.Minute, "a request takes at most "+l.Timeout.String(), consider, "a request may take "+l.Timeout.String()+": slow ones hold what others wait for")
}

func rate(r spec.Rate) string { return fmt.Sprintf("%d times in %s", r.Count, r.Per) }

// open: what may people do who are not signed in?
func (p *posture) open() {
	found := spec.Open(p.app)
	for _, f := range found {
		verdict := consider
		if f.Operation == "update" || f.Operation == "delete" {
			verdict = wrongly
		}
		p.say("access", verdict, "%s", f)
	}
	if len(found) == 0 {
		p.say("access", good, "nothing is open to people who are not signed in")
	}
	p.either("tests", len(p.app.Tests) > 0, plinth.Counted(len(p.app.Tests), "test")+" in the app file say who may do what", consider,
		"the app file has no tests: nothing would tell when a change of a rule opens something")
}

func (p *posture) people() {
	a := p.app.Auth
	if !a.On {
		return
	}
	if a.Register == "open" {
		p.either("accounts", a.Verify == "required", "who registers has to prove his address", consider, "anybody may register with an address that is not his: auth.verify is optional")
	}
	p.either("password", a.Password.MinLength >= 8, fmt.Sprintf("a password has at least %d characters, and is none of the common ones", a.Password.MinLength), wrongly, "auth.password.minLength is less than 8")
	if len(p.app.Roles) > 0 {
		p.either("factors", len(a.MFA.Required) > 0, "a second factor is a must for "+strings.Join(a.MFA.Required, ", "), consider, "no role must have a second factor: auth.mfa.required")
	}
	if err := plinth.LacksMail(p.app); err != nil {
		p.say("mail", wrongly, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	} else {
		p.either("mail", p.app.Mail.SMTP != "", "mails are sent", consider, "mail.smtp is missing: nobody who has forgotten his password can get in again")
	}
}

// disk: what lies in the folder, and who can read it?
func (p *posture) disk(engine string) {
	data := filepath.Join(p.dir, "data")
	_, err := os.Stat(filepath.Join(data, "key"))
	switch {
	case os.Getenv("PLINTH_KEY") != "":
		p.say("key", good, "it is given by PLINTH_KEY")
	case err == nil:
		p.say("key", consider, "it lies beside the database, in data/key: who copies the folder has both. PLINTH_KEY gives it from elsewhere")
	default:
		p.say("key", wrongly, "there is none: set PLINTH_KEY to 32 random bytes in base64 (openssl rand -base64 32), and keep it apart from backups")
	}
	if info, err := os.Stat(data); err == nil && runtime.GOOS != "windows" {
		p.either("folder", info.Mode().Perm()&0o077 == 0, "data/ can be read by its owner alone", wrongly, "data/ can be read by other users of this machine: chmod 700 it")
	}
	if engine != "sqlite" {
		p.say("backup", consider, "the database is a server's: its own tools make backups, and data/files is to be copied beside them")
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
		p.say("backup", consider, "there is none in data/backups: plinth backup makes one beside the running server; it belongs on another machine")
	case age > 48*time.Hour:
		p.say("backup", consider, "the newest in data/backups is %d days old", int(age.Hours()/24))
	default:
		p.say("backup", good, "the newest in data/backups is of %s", newest.Format(time.DateTime))
	}
}
