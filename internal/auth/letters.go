package auth

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// Whoever asks for a mail is answered before anybody looks whether the address is somebody's: the request leaves a job of
// JobKind, whatever it is for, and the job looks. So neither the answer nor the time that it takes tells anything.

// JobKind is the kind of job by which Letters is called.
const JobKind = "plinth.auth"

var noMail = &fault.Error{Kind: fault.Lacking, Op: "mail", Msg: "this server sends no mail: mail.smtp is missing in the app file"}

// ask leaves a job.
func (g *Gate) ask(w http.ResponseWriter, r *http.Request, purpose string, asks *doc.Node) error {
	if g.mail == nil {
		return noMail
	}
	email, _ := asks.Get("email")
	who, err := g.personByEmail(r.Context(), email.Text)
	if err != nil {
		return err
	}
	known, err := g.near(r, email.Text, who)
	if err != nil {
		return err
	}
	if err := g.countMail(r, purpose, expr.Fold(email.Text), known); err != nil {
		return err
	}
	asks.Set("purpose", doc.NewString(purpose))
	asks.Set("lang", doc.NewString(language(r)))
	asks.Set("by", doc.NewString(g.marked(w, r)))
	payload, err := g.sealed(asks)
	if err != nil {
		return err
	}
	_, err = g.db.Enqueue(r.Context(), data.NewJob{Kind: JobKind, Payload: payload})
	return err
}

// letterJob is the payload of a job of JobKind. What was asked for is sealed: it may have what is stored of a password, and data
// opens the payload of a job for whoever may look at jobs.
type letterJob struct {
	Sealed string `json:"sealed"`
}

// sealed is the payload of a job that answers a request.
func (g *Gate) sealed(asks *doc.Node) (json.RawMessage, error) {
	return json.Marshal(letterJob{g.letters.seal(asks.AppendCanonical(nil))})
}

// Answer works on a job of JobKind, whose payload body is: tx, of data.System, is committed with the job, so that each
// request is answered by one mail.
func (g *Gate) Answer(ctx context.Context, tx *data.Tx, body []byte) error {
	var job letterJob
	if err := json.Unmarshal(body, &job); err != nil {
		return fault.Wrap(fault.Internal, "read a job of "+JobKind, err)
	}
	plain, ok := g.letters.open(job.Sealed)
	if !ok {
		return fault.New(fault.Internal, "a job of %s does not open: another PLINTH_KEY, or it was changed", JobKind)
	}
	payload, err := doc.Parse(plain, doc.Limits{})
	if err != nil {
		return err
	}
	text := func(name string) string {
		n, _ := payload.Get(name)
		if n == nil {
			return ""
		}
		return n.Text
	}
	email, purpose := text("email"), text("purpose")
	if purpose == toJoin {
		return g.send(ctx, tx, text("id"), text("lang"))
	}
	who, err := g.personByEmail(ctx, email)
	if err != nil {
		return err
	}
	switch purpose {
	case toRegister:
		if who != nil && who.verified {
			return g.post(tx, Letter{Template: "taken", To: who.email, Lang: text("lang")})
		}
		if who != nil {
			email = who.email // what is equal to it, as ß is to ss, may be another's mailbox
		}
		p := proof{purpose: toRegister, email: email, by: text("by"), says: payload}
		if epoch, ok := payload.Get("epoch"); ok {
			guest, err := g.personByID(ctx, text("user"))
			if err != nil || guest == nil || epoch.Text != strconv.Itoa(guest.epoch) {
				return err // he was removed, or has become somebody meanwhile
			}
			p.user, p.epoch = guest.id, guest.epoch
		}
		token, err := g.prove(tx, p)
		if err != nil {
			return err
		}
		return g.post(tx, Letter{Template: "verify", To: email, Token: token, Valid: lives[toRegister], Lang: text("lang")})
	case toMove:
		mover, err := g.personByID(ctx, text("user"))
		if err != nil || mover == nil || mover.disabled {
			return err
		}
		if who != nil && who.id != mover.id {
			return g.post(tx, Letter{Template: "taken", To: who.email, Lang: text("lang")})
		}
		if epoch, _ := payload.Get("epoch"); epoch == nil || epoch.Text != strconv.Itoa(mover.epoch) {
			return nil // the password was changed since he asked
		}
		token, err := g.prove(tx, moving(mover, email, text("by")))
		if err != nil {
			return err
		}
		return g.post(tx, Letter{Template: "email-change", To: email, Token: token, Valid: lives[toMove], Lang: text("lang")})
	case toReset, toSignIn:
		if who == nil || who.disabled {
			if purpose == toSignIn {
				// Nobody is sent this code. But a guess at it costs the same writes as one at a code that was sent.
				_, err = g.prove(tx, proof{purpose: toSignIn, email: email, by: text("by")})
			}
			return err
		}
		secret, err := g.prove(tx, proof{purpose: purpose, user: who.id, email: who.email, epoch: who.epoch, by: text("by")})
		if err != nil {
			return err
		}
		l := Letter{Template: purpose, To: who.email, Token: secret, Valid: lives[purpose], Lang: text("lang")}
		if purpose == toSignIn {
			l.Token, l.Code = "", secret
		}
		return g.post(tx, l)
	}
	return fault.New(fault.Internal, "a job of %s is for %q, which is not known", JobKind, purpose)
}

// language is what a client would like to read.
func language(r *http.Request) string { return web.Language(r) }

func (g *Gate) post(tx *data.Tx, l Letter) error {
	if g.mail == nil || l.To == "" {
		return nil // what needs no mail goes on without one: no server sends any, or he who came by a provider has no address
	}
	return g.mail.Post(tx, l)
}

// asksFor answers a request {email} for a mail.
func (g *Gate) asksFor(w http.ResponseWriter, r *http.Request, purpose string) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	email := f.address("email")
	if err := f.err(); err != nil {
		return err
	}
	asks := doc.NewObject()
	asks.Set("email", doc.NewString(email))
	if err := g.ask(w, r, purpose, asks); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// reset answers POST /api/auth/reset {email}.
func (g *Gate) reset(w http.ResponseWriter, r *http.Request) error { return g.asksFor(w, r, toReset) }

// sendCode answers POST /api/auth/code {email}.
func (g *Gate) sendCode(w http.ResponseWriter, r *http.Request) error {
	return g.asksFor(w, r, toSignIn)
}

// confirmReset answers POST /api/auth/reset/confirm {token, password}: all sessions end.
func (g *Gate) confirmReset(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	token, password := f.text("token"), f.text("password")
	if err := f.err(); err != nil {
		return err
	}
	p, who, err := g.owner(r, toReset, token)
	if err != nil {
		return err
	}
	hash, err := g.hashed(r.Context(), password, "password", who.email)
	if err != nil {
		return err
	}
	if err := g.store(w, r, who, "", hash, &p); err != nil {
		return err
	}
	g.hasRead(r, who.email)
	g.uncount(r.Context(), inRow, expr.Fold(who.email), rowSpan) // of the password that is none any more
	return nil
}

// owner finds the proof that a token is, and whose it is.
func (g *Gate) owner(r *http.Request, purpose, token string) (proof, *person, error) {
	p, err := g.look(r.Context(), purpose, token)
	if err != nil {
		return p, nil, err
	}
	who, err := g.personByID(r.Context(), p.user)
	g.concerns(r.Context(), who)
	sentTo := p.email
	if purpose == toMove {
		sentTo = p.from()
	}
	if err == nil && (who == nil || who.disabled || who.epoch != p.epoch || !sameBox(who.email, sentTo)) {
		err = wrongSecret("/token")
	}
	return p, who, err
}

// confirmCode answers POST /api/auth/code/confirm {email, code, cookie}: it signs in.
func (g *Gate) confirmCode(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	email, code, cookie := f.address("email"), f.text("code"), f.flag("cookie")
	if err := f.err(); err != nil {
		return err
	}
	who, err := g.personByEmail(r.Context(), email)
	if err != nil {
		return err
	}
	g.concerns(r.Context(), who)
	p, right, err := g.guessCode(r, email, who, code)
	if err != nil {
		return err
	}
	if who == nil || who.disabled || p.user != who.id || p.epoch != who.epoch {
		return wrongSecret("/code")
	}
	right()
	as := *who
	if !who.verified {
		as.epoch++
		as.era++
	}
	err = g.signIn(w, r, &as, byCode, cookie, func(tx *data.Tx) error {
		err := p.use(tx)
		if fault.Is(err, fault.Invalid) {
			return wrongSecret("/code")
		}
		if err != nil || who.verified {
			return err
		}
		// The first proof of the address: a password that was set before, and sessions, are not known to be its owner's.
		changes := doc.NewObject()
		changes.Set("password", doc.NewNull())
		g.disown(who, changes)
		if err := g.renew(tx, who, "", changes); err == errOvertaken {
			return wrongSecret("/code")
		} else if err != nil {
			return err
		}
		_, err = tx.Update(g.people.users.Name, who.id, verified())
		return err
	})
	if !who.verified {
		g.renewed(who.id)
	}
	return err
}

// move answers POST /api/auth/email {email, password}: a mail to the new address.
func (g *Gate) move(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	email, password := f.address("email"), f.maybe("password")
	if err := f.err(); err != nil {
		return err
	}
	who, _, err := g.sure(r, p, password, "password", false)
	if err == nil {
		err = who.named()
	}
	if err != nil {
		return err
	}
	asks := doc.NewObject()
	asks.Set("email", doc.NewString(email))
	asks.Set("user", doc.NewString(who.id))
	asks.Set("epoch", doc.NewInt(int64(who.epoch)))
	if err := g.ask(w, r, toMove, asks); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// confirmMove answers POST /api/auth/email/confirm {token, password}: see mine.
func (g *Gate) confirmMove(w http.ResponseWriter, r *http.Request) error {
	token, password, err := readToken(w, r)
	if err != nil {
		return err
	}
	return g.moveTo(w, r, token, password)
}

// moving is the proof by which a user gets another address, as long as he has the one that he has now.
func moving(who *person, email, by string) proof {
	from := doc.NewObject()
	from.Set("from", doc.NewString(who.email))
	return proof{purpose: toMove, user: who.id, email: email, by: by, epoch: who.epoch, says: from}
}

// from is the address that a user had when he asked for another.
func (p *proof) from() string {
	if p.says == nil {
		return ""
	}
	n, _ := p.says.Get("from")
	if n == nil {
		return ""
	}
	return n.Text
}

// moveTo gives a user the address that he has proven, which may be the one he has.
func (g *Gate) moveTo(w http.ResponseWriter, r *http.Request, token, password string) error {
	p, who, err := g.owner(r, toMove, token)
	if err != nil {
		return err
	}
	if err := g.mine(r, &p, who, password, who.password); err != nil {
		return err
	}
	changes := verified()
	moved := !sameBox(p.email, who.email)
	if moved {
		changes.Set("email", doc.NewString(p.email))
	}
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
		if err := p.use(tx); err != nil {
			return err
		}
		if err := g.still(tx, who); err != nil {
			return err
		}
		if _, err := tx.Update(g.people.users.Name, who.id, changes); err != nil || !moved {
			return err
		}
		return g.post(tx, Letter{Template: "email-changed", To: who.email, Lang: language(r)})
	})
	if err != nil {
		return err
	}
	g.renewed(who.id)
	g.note(r.Context(), "address-confirmed", who.id, slog.Bool("moved", moved))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// still fails if a user is not any more as he was when a proof of his was looked at: another was used at the same time.
func (g *Gate) still(tx *data.Tx, who *person) error {
	user, err := tx.Record(g.people.users.Name, who.id)
	if err != nil {
		return err
	}
	if user == nil || user[g.people.email].Text() != who.email {
		return wrongSecret("/token")
	}
	if who.account == "" {
		return nil
	}
	account, err := tx.Record(g.own("_accounts"), who.account)
	if err == nil && (account == nil || int(account[g.people.account.epoch].Int()) != who.epoch) {
		err = wrongSecret("/token")
	}
	return err
}
