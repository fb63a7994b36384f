package auth

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
)

// register answers POST /api/auth/register {email, password, …fields}.
//
// Where an address must be verified, nobody is a user before that: what he asked for rests in the proof that is sent to the
// address. So whoever registers with somebody else's address before him has nothing of it: there is no account that could
// wait for its owner. Where it need not be, the user is made at once. An anonymous user who registers keeps his id.
func (g *Gate) register(w http.ResponseWriter, r *http.Request) error {
	a := g.auth
	if a.Register != "open" {
		return fault.New(fault.Denied, "nobody can register by himself")
	}
	guest, err := g.guest(r)
	if err != nil {
		return err
	}
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	email, password := f.address("email"), f.text("password")
	if _, ok := f.take("id"); ok { // else he could take the id of somebody who was removed, and be the owner of what that one left
		f.add("id", "readonly", "is not yours to choose")
	}
	says := f.rest()
	own := address(email)
	if guest != nil {
		own.Set("id", doc.NewString(guest.id)) // what is unique may be his already
	}
	var weak error
	if password != "" {
		weak = g.strong(password, email)
	}
	if err := together(f.err(), g.db.Admissible(r.Context(), says, own), weak); err != nil {
		return err
	}
	hash, err := g.hasher.Hash(r.Context(), password)
	if err != nil {
		return err
	}
	if a.Verify == "required" {
		asks := doc.NewObject()
		asks.Set("email", doc.NewString(email))
		asks.Set("password", doc.NewString(hash))
		asks.Set("says", says)
		if guest != nil {
			asks.Set("user", doc.NewString(guest.id))
			asks.Set("epoch", doc.NewInt(int64(guest.epoch)))
		}
		if err := g.ask(w, r, toRegister, asks); err != nil {
			return err
		}
		web.JSON(w, r, http.StatusAccepted, []byte(`{"verify":"mail"}`))
		return nil
	}
	var who *person
	by := g.marked(w, r)
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) (err error) {
		if guest == nil {
			who, err = g.admit(tx, says, email, hash, false)
		} else {
			who = &person{}
			*who, err = g.takeOver(tx, guest, says, g.becomes(address(email)), hash)
		}
		if err != nil || g.mail == nil {
			return err
		}
		// He may go without it; whoever is asked to confirm the address may do it any time.
		token, err := g.prove(tx, moving(who, email, by))
		if err != nil {
			return err
		}
		return g.post(tx, Letter{Template: "email-change", To: email, Token: token, Valid: lives[toMove], Lang: language(r)})
	})
	if err != nil {
		return err
	}
	if guest != nil {
		g.renewed(guest.id)
	}
	g.note(r.Context(), "registered", who.id)
	caller := data.Caller{ID: who.id, SignedIn: true, Role: g.db.App().Roles[0]}
	body, err := g.db.Me(r.Context(), caller, []byte(`{"user":`))
	if err != nil {
		return err
	}
	web.JSON(w, r, http.StatusCreated, append(body, '}'))
	return nil
}

// together is what is wrong in several ways, for somebody who mends all of it at once: the fields of each that is Invalid, told once
// where two of them blame the same. What is wrong otherwise counts where no field is.
func together(all ...error) error {
	var fields []fault.Field
	var other error
	for _, err := range all {
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Invalid {
			other = cmp.Or(other, err)
			continue
		}
		for _, f := range e.Fields {
			if !slices.ContainsFunc(fields, func(told fault.Field) bool { return told.Pointer == f.Pointer }) {
				fields = append(fields, f)
			}
		}
	}
	if fields == nil {
		return other
	}
	return &fault.Error{Kind: fault.Invalid, Fields: fields}
}

// admit makes a user and his account.
func (g *Gate) admit(tx *data.Tx, says *doc.Node, email, hash string, proven bool) (*person, error) {
	own := address(email)
	own.Set("verified", doc.NewBool(proven))
	who, err := g.admitAs(tx, says, own, hash)
	return &who, err
}

// admitAs makes a user and his account; own is what is not his to say. hash "" is no password.
func (g *Gate) admitAs(tx *data.Tx, says, own *doc.Node, hash string) (person, error) {
	reply, err := tx.Admit(says, own)
	if err != nil {
		return person{}, err
	}
	account := doc.NewObject()
	account.Set("user", doc.NewString(reply.ID))
	if hash != "" {
		account.Set("password", doc.NewString(hash))
	}
	if _, err := tx.Create("_accounts", account); err != nil {
		return person{}, err
	}
	return g.reread(tx, person{id: reply.ID})
}

// verify answers POST /api/auth/verify {token, password}: the address is proven, and whoever registered with it is a user. It is
// he who follows the link: in the browser in which he registered, where no password is needed, or with the password (see mine).
func (g *Gate) verify(w http.ResponseWriter, r *http.Request) error {
	token, password, err := readToken(w, r)
	if err != nil {
		return err
	}
	p, err := g.look(r.Context(), toRegister, token)
	if fault.Is(err, fault.Invalid) { // where nobody has to be verified, it is the address of a user
		return g.moveTo(w, r, token, password)
	}
	if err != nil {
		return err
	}
	hash, says := p.asked()
	who, err := g.personByEmail(r.Context(), p.email)
	if err != nil {
		return err
	}
	if who != nil && (who.verified || who.disabled || !sameBox(who.email, p.email)) { // by another proof that was sent to the address, or an operator
		return wrongSecret("/token")
	}
	if err := g.mine(r, &p, nil, password, hash); err != nil {
		return err
	}
	if who != nil {
		// Somebody made the user and never proved the address. It is whoever reads its mails: nothing that was there before
		// opens the account.
		return g.store(w, r, who, "", hash, &p)
	}
	if p.user != "" {
		if err := g.become(r.Context(), &p, hash, says); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
		if err := p.use(tx); err != nil {
			return err
		}
		who, err = g.admit(tx, says, p.email, hash, true)
		return err
	})
	if err != nil {
		return err
	}
	g.note(r.Context(), "registered", who.id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// asked is what somebody who registers has asked for: what is stored of his password, and the fields of his record.
func (p *proof) asked() (hash string, says *doc.Node) {
	if n, ok := p.says.Get("password"); ok {
		hash = n.Text
	}
	if n, ok := p.says.Get("says"); ok && n.Kind == doc.Object {
		return hash, n
	}
	return hash, doc.NewObject()
}
