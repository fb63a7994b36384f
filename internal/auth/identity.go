package auth

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// identity finds somebody as a provider knows him; nil when nobody is.
func (g *Gate) identity(ctx context.Context, issuer, subject string) (data.Record, error) {
	return g.first(ctx, "_identities", "issuer == param.a && subject == param.b", issuer, subject)
}

// told is what is kept of what a provider tells, each time.
func told(known *Identity, now time.Time) *doc.Node {
	body := doc.NewObject()
	for name, value := range map[string]string{"email": known.Email, "name": known.Claims["name"]} {
		body.Set(name, doc.NewNull())
		if value != "" {
			body.Set(name, doc.NewString(value))
		}
	}
	body.Set("used", moment(now))
	return body
}

func newIdentity(p *Provider, known *Identity, user string, now time.Time) *doc.Node {
	body := told(known, now)
	body.Set("user", doc.NewString(user))
	body.Set("provider", doc.NewString(p.Name))
	body.Set("issuer", doc.NewString(known.Issuer))
	body.Set("subject", doc.NewString(known.Subject))
	return body
}

// whoIs is the user whom a provider knows, with the id of his identity. Who comes for the first time becomes one.
func (g *Gate) whoIs(ctx context.Context, p *Provider, known *Identity) (*person, string, error) {
	for range 2 { // another request may make him meanwhile
		rec, err := g.identity(ctx, known.Issuer, known.Subject)
		if err != nil {
			return nil, "", err
		}
		if rec != nil {
			who, err := g.personByID(ctx, rec[g.people.identity.user].Text())
			if err == nil && who == nil {
				err = &Refusal{Code: "expired"} // he was removed at this moment
			}
			return who, rec[spec.OrdID].Text(), err
		}
		if err := g.welcome(ctx, p, known); err != nil && !fault.Is(err, fault.Conflict) {
			return nil, "", err
		}
	}
	return nil, "", &Refusal{Code: "incomplete"}
}

// welcome makes a user of somebody who comes for the first time, where people may register by themselves or his address was
// invited.
//
// He gets his address only if the provider says that it is his. If somebody has it here, it is that one's: whoever signs in
// there and says so becomes the same person, and nobody else (OpenID Connect Core, 5.7). That holds too for an account whose
// address was never confirmed: its owner proves it by mail, which ends whatever somebody else knows of the account.
func (g *Gate) welcome(ctx context.Context, p *Provider, known *Identity) error {
	own, by, err := g.newcomer(ctx, known)
	if err != nil {
		return err
	}
	says, err := g.takes(ctx, known, own)
	if err != nil {
		return err
	}
	var id string
	err = g.db.Series(ctx, data.System, func(tx *data.Tx) error {
		if by != nil {
			if err := by.use(tx); fault.Is(err, fault.Invalid) {
				return errOvertaken // it was used at this moment: whoIs looks again
			} else if err != nil {
				return err
			}
		}
		who, err := g.admitAs(tx, says, own, "")
		if err != nil {
			return err
		}
		id = who.id
		if err := g.join(tx, by, id, false); err != nil {
			return err
		}
		_, err = tx.Create("_identities", newIdentity(p, known, id, g.clock()))
		return err
	})
	if err == nil {
		g.note(ctx, "registered", id, slog.String("provider", p.Name))
	}
	return incomplete(err)
}

// newcomer is what a provider tells of somebody new, if he may come in: people may register by themselves, or his address was
// invited, by by.
func (g *Gate) newcomer(ctx context.Context, known *Identity) (own *doc.Node, by *Invitation, err error) {
	own = doc.NewObject()
	if known.Verified && known.Email != "" {
		other, err := g.personByEmail(ctx, known.Email)
		if err != nil {
			return nil, nil, err
		}
		if other != nil {
			return nil, nil, &Refusal{Code: "link"}
		}
		own.Set("email", doc.NewString(known.Email))
		own.Set("verified", doc.NewBool(true))
		// Where he may come in anyhow, he joins no team by it: nobody has asked him, and whoever invited would learn that he is here.
		if by, err = g.invitationTo(ctx, known.Email, g.auth.Register != "open"); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case by != nil:
		own = by.gives(own)
	case g.auth.Register != "open":
		return nil, nil, &Refusal{Code: "closed"}
	}
	return own, by, nil
}

// takes is what a new user's record takes from a provider, as auth.profile says; what would not do there is left out.
func (g *Gate) takes(ctx context.Context, known *Identity, own *doc.Node) (*doc.Node, error) {
	leave := map[string]bool{}
	for range len(g.auth.Profile) + 1 {
		says := doc.NewObject()
		for _, t := range g.auth.Profile {
			if v := known.Claims[t.Claim]; v != "" && !leave[t.Field] {
				says.Set(t.Field, doc.NewString(v))
			}
		}
		err := g.db.Admissible(ctx, says, own)
		var left bool
		if e, ok := err.(*fault.Error); ok && (e.Kind == fault.Invalid || e.Kind == fault.Conflict) {
			for _, f := range e.Fields {
				for _, t := range g.auth.Profile {
					if _, there := says.Get(t.Field); there && f.Pointer == fault.Pointer(t.Field) {
						leave[t.Field], left = true, true
					}
				}
			}
		}
		if !left {
			if fault.Is(err, fault.Conflict) {
				err = &Refusal{Code: "incomplete", Err: err}
			}
			return says, incomplete(err)
		}
	}
	return doc.NewObject(), nil
}

// incomplete is what a page is told when the app wants more of its users than a provider tells.
func incomplete(err error) error {
	e, ok := err.(*fault.Error)
	if !ok || e.Kind != fault.Invalid {
		return err
	}
	for _, f := range e.Fields {
		if f.Pointer == "/email" {
			return &Refusal{Code: "email", Err: err}
		}
	}
	return &Refusal{Code: "incomplete", Err: err}
}

// startLink answers POST /api/auth/identities {provider, return, password} with {location}: where the browser goes, to come back
// linked. It is a POST: a link that somebody follows links nothing.
func (g *Gate) startLink(w http.ResponseWriter, r *http.Request) error {
	in, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	name, to, password := form.text("provider"), "", ""
	if _, said := form.body.Get("return"); said {
		to = form.text("return")
	}
	if _, said := form.body.Get("password"); said {
		password = form.text("password")
	}
	p, err := g.provider(name)
	if err != nil && name != "" {
		form.add("provider", "value", "is not one of the app's providers")
	}
	if to, err = g.place(to); err != nil {
		form.add("return", "value", "is neither a path of this app, as /account, nor at its own origin or one of server.cors.origins")
	}
	if err := form.err(); err != nil {
		return err
	}
	who, _, err := g.sure(r, in, password, "password", false)
	if err != nil {
		return err
	}
	if err := mayLink(who); err != nil {
		return err
	}
	f := g.newFlow(p.Name, to)
	f.User, f.Session = who.id, in.session
	address, err := g.depart(w, r, p, f)
	if err != nil {
		return err
	}
	web.JSON(w, r, http.StatusOK, append(doc.AppendString([]byte(`{"location":`), address), '}'))
	return nil
}

// mayLink: an account whose address nobody has proven may be anybody's. Its owner ends what others know of it when he proves the
// address; an identity that was linked before would stay.
func mayLink(who *person) error {
	if who.email != "" && !who.verified {
		return fault.New(fault.Denied, "confirm your address first: sign in with a code that is sent to it, or follow the mail that you got")
	}
	return nil
}

// link ends a flow that a user has begun to add an identity. Another's is not taken away from him.
// An anonymous user becomes somebody by it: as is he, who signs in anew.
func (g *Gate) link(r *http.Request, p *Provider, f *flow, known *Identity) (as *person, err error) {
	ctx := r.Context()
	who, err := g.personByID(ctx, f.User)
	if err != nil {
		return nil, err
	}
	switch {
	case who == nil || mayLink(who) != nil:
		return nil, &Refusal{Code: "expired"}
	case who.disabled:
		return nil, &Refusal{Code: "disabled"}
	case who.anonymous:
		return g.becomeBy(ctx, p, f, known, who)
	}
	all, err := g.identitiesOf(ctx, who.id)
	if err != nil {
		return nil, err
	}
	if len(all) >= mostIdentities {
		return nil, &Refusal{Code: "full"}
	}
	err = g.db.Series(ctx, data.System, func(tx *data.Tx) error {
		if err := g.present(tx, who, f.Session); err != nil {
			return err
		}
		if _, err := tx.Create("_identities", newIdentity(p, known, who.id, g.clock())); err != nil {
			return err
		}
		return g.post(tx, Letter{Template: "identity-added", To: who.email, Provider: p.Label, Lang: language(r)})
	})
	if err == nil {
		g.note(ctx, "identity-linked", who.id, slog.String("provider", p.Name))
	}
	if err == error(refused) {
		return nil, &Refusal{Code: "expired"} // he has signed out, or was signed out, meanwhile
	}
	if !fault.Is(err, fault.Conflict) {
		return nil, err
	}
	rec, err := g.identity(ctx, known.Issuer, known.Subject)
	if err != nil {
		return nil, err
	}
	if rec == nil || rec[g.people.identity.user].Text() != who.id {
		return nil, &Refusal{Code: "taken"}
	}
	return nil, nil
}

// mostIdentities is how many identities a user has.
const mostIdentities = 100

func (g *Gate) identitiesOf(ctx context.Context, user string) ([]data.Record, error) {
	if g.ofOperators {
		return nil, nil
	}
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: "_identities", Limit: mostIdentities,
		Filter: "user == param.a", Params: map[string]*doc.Node{"a": doc.NewString(user)}})
	return records, err
}

// listIdentities answers GET /api/auth/identities.
func (g *Gate) listIdentities(w http.ResponseWriter, r *http.Request) error {
	in, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	records, err := g.identitiesOf(r.Context(), in.user)
	if err != nil {
		return err
	}
	c := &g.people.identity
	body := []byte(`{"items":[`)
	for i, rec := range records {
		if i > 0 {
			body = append(body, ',')
		}
		name := rec[c.provider].Text()
		label := g.labelOf(name)
		body = append(append(append(body, `{"id":"`...), rec[spec.OrdID].Text()...), '"')
		for _, m := range []struct{ name, value string }{{"provider", name}, {"label", label}, {"email", rec[c.email].Text()}, {"name", rec[c.name].Text()}} {
			body = append(append(append(body, `,"`...), m.name...), `":`...)
			if m.value == "" {
				body = append(body, "null"...)
			} else {
				body = doc.AppendString(body, m.value)
			}
		}
		body = at(rec[spec.OrdCreated].Int()).AppendFormat(append(body, `,"created":"`...), timeFormat)
		body = at(rec[c.used].Int()).AppendFormat(append(body, `","used":"`...), timeFormat)
		body = append(body, `"}`...)
	}
	web.JSON(w, r, http.StatusOK, append(body, `]}`...))
	return nil
}

// labelOf is what people call a provider; the name of one that the app file has no longer.
func (g *Gate) labelOf(provider string) string {
	if p, err := g.provider(provider); err == nil {
		return p.Label
	}
	return provider
}

// unlink answers DELETE /api/auth/identities/{id}, with {password} where it is needed: the user's other sessions end, for
// one of them may be why. What would leave nobody a way in is refused.
func (g *Gate) unlink(w http.ResponseWriter, r *http.Request) error {
	in, err := g.signedIn(w, r)
	if err != nil {
		return err
	}
	form, err := mayForm(w, r)
	if err != nil {
		return err
	}
	password := form.maybe("password")
	if err := form.err(); err != nil {
		return err
	}
	id := r.PathValue("id")
	records, err := g.identitiesOf(r.Context(), in.user)
	if err != nil {
		return err
	}
	var this data.Record
	var others []string
	for _, rec := range records {
		if rec[spec.OrdID].Text() == id {
			this = rec
		} else {
			others = append(others, rec[spec.OrdID].Text())
		}
	}
	if this == nil {
		return fault.New(fault.NotFound, "there is no such identity")
	}
	who, has, err := g.sure(r, in, password, "password", false)
	if err != nil {
		return err
	}
	var passkeys []string
	for _, key := range has.passkeys {
		passkeys = append(passkeys, key.id)
	}
	provider := this[g.people.identity.provider].Text()
	err = g.db.Series(r.Context(), data.System, func(tx *data.Tx) error {
		if err := g.leaves(tx, who, others, passkeys); err != nil {
			return err
		}
		if err := tx.Delete("_identities", id); err != nil {
			return err
		}
		if err := g.renew(tx, who, in.session, doc.NewObject()); err != nil {
			return err
		}
		return g.post(tx, Letter{Template: "identity-removed", To: who.email, Provider: g.labelOf(provider), Lang: language(r)})
	})
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "there is no such identity")
	}
	if err != nil {
		return err
	}
	g.renewed(who.id)
	g.note(r.Context(), "identity-unlinked", who.id, slog.String("provider", provider))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func idsOf(records []data.Record) (ids []string) {
	for _, rec := range records {
		ids = append(ids, rec[spec.OrdID].Text())
	}
	return ids
}

// leaves refuses to take from a user the last way to sign in: a password, a code that is sent to his address, or one of these
// identities and passkeys that would be left. Who takes two at once waits for the other.
func (g *Gate) leaves(tx *data.Tx, who *person, identities, passkeys []string) error {
	if who.email != "" && (who.password != "" || g.mail != nil) { // without an address there is none to sign in with
		return nil
	}
	if _, err := tx.Record(g.people.users.Name, who.id); err != nil {
		return err
	}
	for collection, ids := range map[string][]string{"_identities": identities, g.own("_passkeys"): passkeys} {
		for _, id := range ids {
			if rec, err := tx.Record(collection, id); err != nil || rec != nil {
				return err
			}
		}
	}
	return fault.New(fault.Conflict, "it is the last way to sign in to this account: set a password, or link a provider or make a passkey, first")
}
