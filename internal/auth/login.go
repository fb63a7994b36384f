package auth

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// wrongLogin is the answer to a sign-in that is not good, whatever is wrong with it.
var wrongLogin = fault.New(fault.Unauthenticated, "the address or the password is wrong")

// login answers POST /api/auth/login {email, password, cookie}.
func (g *Gate) login(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	email, password, cookie := f.text("email"), f.text("password"), g.wantsCookie(f)
	if err := f.err(); err != nil {
		return err
	}
	who, right, err := g.authenticate(r, email, password)
	if err != nil {
		return err
	}
	if err := g.mayEnter(who); err != nil {
		return err
	}
	right()
	return g.signIn(w, r, who, byPassword, cookie, nil)
}

// mayEnter refuses somebody who has shown that it is his account, which he may know, but never that his address is.
func (g *Gate) mayEnter(who *person) error {
	if who.email != "" && !who.verified && g.auth.Verify == "required" { // who came by a provider may have none
		return fault.New(fault.Denied, "confirm your address first: a mail was sent to it when you registered, and reset sends another")
	}
	return nil
}

// authenticate finds the user whose address and password these are. It takes as long when there is none.
func (g *Gate) authenticate(r *http.Request, email, password string) (who *person, right func(), err error) {
	if who, err = g.personByEmail(r.Context(), email); err != nil {
		return nil, nil, err
	}
	right, err = g.hasPassword(r, email, who, password)
	return who, right, err
}

// hasPassword says whether a password is that of a user, or else is wrongLogin. Attempts are counted under name, which is his
// address or what stands for it.
func (g *Gate) hasPassword(r *http.Request, name string, who *person, password string) (right func(), err error) {
	ctx := r.Context()
	if right, err = g.guessPassword(r, name, who); err != nil {
		return nil, err
	}
	stored := ""
	if who != nil {
		stored = who.password
	}
	ok, weak, err := g.hasher.Verify(ctx, stored, password)
	if who != nil && fault.Is(err, fault.Internal) { // what is stored cannot be read: that is for the log, and nobody learns that there is something
		g.log.Error("a stored password cannot be read: its owner has to set a new one", "user", who.id, "error", err)
		ok, err = false, nil
	}
	switch {
	case err != nil:
		return nil, err
	case !ok || who == nil || who.disabled:
		return nil, wrongLogin
	}
	if weak {
		g.rehash(ctx, who, password)
	}
	return right, nil
}

// rehash stores a password as it is stored today. Whoever signs in is not kept from it when that fails.
func (g *Gate) rehash(ctx context.Context, who *person, password string) {
	hash, err := g.hasher.Hash(ctx, password)
	if err == nil {
		err = g.db.Series(ctx, data.System, func(tx *data.Tx) error {
			rec, err := tx.Record(g.own("_accounts"), who.account)
			if err != nil || rec == nil || rec[g.people.account.password].Text() != who.password {
				return err // it was changed meanwhile
			}
			body := doc.NewObject()
			body.Set("password", doc.NewString(hash))
			_, err = tx.UpdateAt(g.own("_accounts"), who.account, rec[spec.OrdRev].Int(), body)
			return err
		})
	}
	if err != nil {
		g.log.Warn("a password could not be stored anew", "user", who.id, "error", err)
	}
}

// changePassword answers POST /api/auth/password {old, new}: the other sessions end. Who has no password yet, for he signs in by
// other ways, has no old one to give.
func (g *Gate) changePassword(w http.ResponseWriter, r *http.Request) error {
	p, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	old, password := f.maybe("old"), f.text("new")
	if err := f.err(); err != nil {
		return err
	}
	who, _, err := g.sure(r, p, old, "old", true)
	if err == nil {
		err = who.named()
	}
	if err != nil {
		return err
	}
	hash, err := g.hashed(r.Context(), password, "new", who.email)
	if err != nil {
		return err
	}
	return g.store(w, r, who, p.session, hash, nil)
}

// again asks somebody who is signed in for his password: a session that was left open does not give the account away.
func (g *Gate) again(r *http.Request, p *pass, password, field string) (*person, error) {
	who, err := g.personByID(r.Context(), p.user)
	if err != nil {
		return nil, err
	}
	if who == nil {
		return nil, refused
	}
	right, err := g.hasPassword(r, who.name(), who, password)
	if fault.Is(err, fault.Unauthenticated) {
		return nil, notPassword(field)
	}
	if err != nil {
		return nil, err
	}
	right()
	return who, nil
}

// strong refuses a password that is easily guessed, for the account of an address.
func (g *Gate) strong(password, email string) error {
	return g.hasher.Check(password, g.auth.Password.MinLength, g.db.App().Name, email)
}

// hashed checks a new password, which stands in a field of the request, and makes what is stored of it.
func (g *Gate) hashed(ctx context.Context, password, field, email string) (string, error) {
	err := g.strong(password, email)
	if e, ok := err.(*fault.Error); ok && field != "password" {
		own := *e
		own.Fields = append([]fault.Field(nil), e.Fields...)
		for i := range own.Fields {
			own.Fields[i].Pointer = fault.Pointer(field)
		}
		err = &own
	}
	if err != nil {
		return "", err
	}
	return g.hasher.Hash(ctx, password)
}

// store gives a user a new password: his other sessions end, what was sent to him before is good for nothing, and he is
// told by mail. spent is the proof by which he may.
func (g *Gate) store(w http.ResponseWriter, r *http.Request, who *person, session, hash string, spent *proof) error {
	err := g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
		if spent != nil {
			if err := spent.use(tx); err != nil {
				return err
			}
		}
		changes := doc.NewObject()
		changes.Set("password", doc.NewString(hash))
		if spent != nil && !who.verified {
			g.disown(who, changes)
		}
		if err := g.renew(tx, who, session, changes); err == errOvertaken && spent != nil {
			return wrongSecret("/token") // another was used at the same time
		} else if err != nil {
			return err
		}
		if spent != nil && !who.verified { // he has read the mail: it is said when nothing of before opens the account any more
			if _, err := tx.Update(g.people.users.Name, who.id, verified()); err != nil {
				return err
			}
		}
		return g.post(tx, Letter{Template: "password-changed", To: who.email, Lang: language(r)})
	})
	if err != nil {
		return err
	}
	g.renewed(who.id)
	g.note(r.Context(), "password-set", who.id, slog.Bool("byMail", spent != nil))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func verified() *doc.Node {
	body := doc.NewObject()
	body.Set("verified", doc.NewBool(true))
	return body
}
