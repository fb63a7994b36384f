package mail

import (
	"encoding/json"
	nm "net/mail"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Kind is the kind of job that a mail is. It is registered where jobs are worked off, with Deliver.
const Kind = "plinth.mail"

// Limits of one attempt at a mail.
const (
	Timeout = 3 * time.Minute
	AtOnce  = 4 // mails that a process sends at once: servers count connections
)

// Options of New.
type Options struct {
	Secret  []byte        // the app's
	Dev     bool          // without an SMTP server mails are kept
	Folder  string        // where they are
	Address func() string // Dev: where this process answers, when there is no server.url; "" as long as it does not
	Kept    func()        // a mail was kept
	Clock   func() time.Time
}

// Room posts and delivers the mails of an app. It is safe for concurrent use.
type Room struct {
	app    *spec.App
	o      Options
	seal   *sealer
	texts  func() texts
	from   *nm.Address
	server *server // nil: mails are kept, or there is no mail
}

// New reads the templates of an app. What is wrong with them is *spec.Problems.
func New(app *spec.App, o Options) (*Room, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	r := &Room{app: app, o: o}
	var err error
	if r.texts, err = readTexts(app.Dir); err != nil {
		return nil, err
	}
	if r.seal, err = newSealer(o.Secret); err != nil {
		return nil, err
	}
	r.from, r.server, err = sender(app.Mail)
	return r, err
}

// sender is who mails are from, and the server that takes them; nil: none.
func sender(m spec.Mail) (*nm.Address, *server, error) {
	from := &nm.Address{Name: "Plinth", Address: "plinth@localhost"}
	if m.From != "" {
		a, err := nm.ParseAddress(m.From)
		if err != nil {
			return nil, nil, fault.New(fault.Invalid, "mail.from is no sender")
		}
		from = a
	}
	ascii, err := address(from.Address)
	if err != nil {
		return nil, nil, err
	}
	from.Address = ascii
	if m.SMTP == "" {
		return from, nil, nil
	}
	s, err := readServer(m.SMTP)
	return from, s, err
}

// keeps says whether mails are kept instead of sent.
func (r *Room) keeps() bool { return r.o.Dev && r.server == nil }

// Sends says whether mails are sent, or kept to be looked at.
func (r *Room) Sends() bool { return r.server != nil || r.keeps() }

// Ready says whether mails can be sent; what needs them asks it before it begins, and says what it is, as in "auth.verify".
// What is missing is *spec.Problems, at its place in the app file. With Dev nothing is missing.
func (r *Room) Ready(what string) error {
	if r.o.Dev {
		return nil
	}
	return Lacks(r.app, what)
}

// Lacks is Ready of an app that is not served: what must be said before it is, without Dev.
func Lacks(app *spec.App, what string) error {
	var bad []spec.Problem
	if app.Mail.SMTP == "" {
		bad = append(bad, missing(app.Mail.Pos, what+` sends mail, and no server takes it: add mail: {from: "App <app@example.com>", smtp: "${SMTP_URL}"}`))
	}
	if app.Server.URL == "" && len(app.Server.Domains) == 0 {
		bad = append(bad, missing(app.Server.Pos, what+" sends mails with links, and nothing says where they lead: add server: {url: https://app.example.com}"))
	}
	if bad == nil {
		return nil
	}
	return &spec.Problems{List: bad}
}

// missing is a problem at a section, or where one would be.
func missing(at spec.Pos, text string) spec.Problem {
	if at.File == "" {
		at = spec.Pos{File: spec.FileName, Line: 1, Column: 1}
	}
	return spec.Problem{File: at.File, Line: at.Line, Column: at.Column, Code: "required", Message: text}
}

// base is where links lead, without a slash at its end; "" where nothing says so.
func (r *Room) base() string {
	switch {
	case r.app.Server.URL != "":
		return r.app.Server.URL
	case len(r.app.Server.Domains) > 0:
		return "https://" + r.app.Server.Domains[0]
	case r.o.Dev && r.o.Address != nil:
		return strings.TrimSuffix(r.o.Address(), "/")
	}
	return ""
}

// Post leaves a mail to be sent when the transaction has been committed, and only then.
func (r *Room) Post(tx *data.Tx, m Message) error {
	j, err := r.Job(m)
	if err != nil {
		return err
	}
	_, err = tx.Enqueue(j)
	return err
}

// Job is the job that sends a mail, for who enqueues it himself. An address to which nothing can be sent is a fault of
// kind Invalid; where there is no mail at all, one of kind Lacking.
func (r *Room) Job(m Message) (data.NewJob, error) {
	if !r.Sends() {
		return data.NewJob{}, fault.New(fault.Lacking, "this app sends no mail: its app file names no smtp server")
	}
	if err := m.check(); err != nil {
		return data.NewJob{}, err
	}
	valid := m.Valid
	if valid == 0 {
		valid = unhurried
	}
	p := payload{Mail: m.Template, Until: r.o.Clock().Add(valid).UTC().Truncate(time.Millisecond)}
	var err error
	if p.Sealed, err = r.seal.seal(&p, &m); err != nil {
		return data.NewJob{}, err
	}
	return data.NewJob{Kind: Kind, Payload: p, Priority: -10, Timeout: Timeout}, nil // somebody waits for it
}

// payload is what the job of a mail has. Whom it is to, and what it carries, is in Sealed.
type payload struct {
	Mail   Template  `json:"mail"`
	Until  time.Time `json:"until"`
	Sealed []byte    `json:"sealed"`
}

// read opens the payload of a job.
func (r *Room) read(text json.RawMessage) (p payload, m Message, err error) {
	if err := json.Unmarshal(text, &p); err != nil || p.Sealed == nil {
		return p, m, final("the job has no mail: it was sent, or had expired")
	}
	return p, m, r.seal.open(&p, &m)
}
