package auth

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// An anonymous user (auth.anonymous) has an id and a session, and neither an address nor a role: auth.has is false of him. He
// becomes somebody by what makes a user of others too, asked for with his session: he registers, or signs in with a provider.
// Then he has the same id and records, and new sessions: whoever had one of before has none of a named user.

// anonymousPerHour is how many come in from one address, or one network of IPv6.
const anonymousPerHour = 30

// comeIn answers POST /api/auth/anonymous {cookie, …fields}: as login.
func (g *Gate) comeIn(w http.ResponseWriter, r *http.Request) error {
	if g.people.anonymous < 0 {
		return fault.New(fault.Denied, "nobody comes in without an account")
	}
	f, err := mayForm(w, r)
	if err != nil {
		return err
	}
	cookie := f.flag("cookie")
	if _, ok := f.take("id"); ok {
		f.add("id", "readonly", "is not yours to choose")
	}
	says := f.rest()
	if err := f.err(); err != nil {
		return err
	}
	own := doc.NewObject()
	own.Set("anonymous", doc.NewBool(true))
	own.Set("role", doc.NewNull())
	if err := g.db.Admissible(r.Context(), says, own); err != nil {
		return err
	}
	if err := g.count(r.Context(), "anonymous", network(g.address(r)), anonymousPerHour, time.Hour); err != nil {
		return err
	}
	as := &person{id: nobody}
	return g.enter(w, r, as, entry{cookie: cookie, by: "anonymous", also: func(tx *data.Tx) (err error) {
		*as, err = g.admitAs(tx, says, own, "")
		return err
	}})
}

// guest is the anonymous user who asks; nil: it is none. A cookie of a session that has ended is nobody's: a page cannot drop it, and who
// came here long ago must not be kept from having an account.
func (g *Gate) guest(r *http.Request) (*person, error) {
	if g.people.anonymous < 0 {
		return nil, nil
	}
	p, err := g.pass(r)
	if err == error(refused) && len(r.Header["Authorization"]) == 0 {
		return nil, nil
	}
	if err != nil || p.session == "" {
		return nil, err
	}
	who, err := g.personByID(r.Context(), p.user)
	if err != nil || who == nil || !who.anonymous {
		return nil, err
	}
	return who, nil
}

// named refuses an anonymous user, who has nothing yet that this is about.
func (who *person) named() error {
	if who.anonymous {
		return fault.New(fault.Denied, "an anonymous user has no account to protect: register first, or sign in with a provider")
	}
	return nil
}

// becomes adds to what is said of somebody that he is anonymous no more. He has the role of who is new, unless one is said.
func (g *Gate) becomes(own *doc.Node) *doc.Node {
	own.Set("anonymous", doc.NewBool(false))
	if _, said := own.Get("role"); !said {
		f, _ := g.people.users.Field("role")
		own.Set("role", doc.NewString(f.Default.Text()))
	}
	return own
}

// become ends a verification of somebody who registered while he was an anonymous user.
func (g *Gate) become(ctx context.Context, p *proof, hash string, says *doc.Node) error {
	who, err := g.personByID(ctx, p.user)
	if err != nil {
		return err
	}
	if who == nil || !who.anonymous || who.disabled || who.epoch != p.epoch {
		return wrongSecret("/token") // he was removed, or has become somebody meanwhile
	}
	own := address(p.email)
	own.Set("verified", doc.NewBool(true))
	err = g.db.Series(ctx, data.System, func(tx *data.Tx) error {
		if err := p.use(tx); err != nil {
			return err
		}
		_, err := g.takeOver(tx, who, says, g.becomes(own), hash)
		return err
	})
	if err == nil {
		g.renewed(who.id)
		g.note(ctx, "registered", who.id)
	}
	return err
}

// becomeBy ends a flow that an anonymous user has begun: he is whom the provider knows from now on, if that one may come in here.
func (g *Gate) becomeBy(ctx context.Context, p *Provider, f *flow, known *Identity, who *person) (*person, error) {
	own, by, err := g.newcomer(ctx, known)
	if err != nil {
		return nil, err
	}
	already := false
	if by != nil && by.team != "" {
		rec, err := g.membership(ctx, by.team, who.id)
		if err != nil {
			return nil, err
		}
		already = rec != nil
	}
	var as person
	err = g.db.Series(ctx, data.System, func(tx *data.Tx) (err error) {
		if err := g.present(tx, who, f.Session); err != nil {
			return err
		}
		if by != nil {
			if err := by.use(tx); err != nil {
				return err
			}
		}
		if _, err := tx.Create("_identities", newIdentity(p, known, who.id, g.clock())); err != nil {
			return err // first: without transactions he must not be somebody who has no way in
		}
		if as, err = g.takeOver(tx, who, doc.NewObject(), g.becomes(own), ""); err != nil {
			return err
		}
		return g.join(tx, by, who.id, already)
	})
	switch {
	case err == error(refused):
		return nil, &Refusal{Code: "expired"} // he was removed, or has become somebody meanwhile
	case fault.Is(err, fault.Conflict):
		return nil, &Refusal{Code: "taken", Err: err}
	case fault.Is(err, fault.Invalid):
		return nil, &Refusal{Code: "incomplete", Err: err}
	case err != nil:
		return nil, err
	}
	g.renewed(who.id)
	g.note(ctx, "registered", who.id, slog.String("provider", p.Name))
	return &as, nil
}

// sweepEvery is how often a process looks for anonymous users who have not been seen for long.
const sweepEvery = time.Hour

// sweepAnonymous removes anonymous users whose time has passed, with what goes with them as the references of the app file say.
func (g *Gate) sweepAnonymous(ctx context.Context, now time.Time) error {
	g.mu.Lock()
	due := g.people.anonymous >= 0 && !now.Before(g.swept.Add(sweepEvery))
	if due {
		g.swept = now
	}
	g.mu.Unlock()
	if !due {
		return nil
	}
	before := moment(now.Add(-g.auth.Anonymous - noteEvery)) // the last use of a session is known to noteEvery
	q := &data.ListQuery{Collection: g.people.users.Name, Limit: 500, Fields: "id", Filter: "anonymous && created < param.a", Params: map[string]*doc.Node{"a": before}}
	kept := 0
	for {
		records, next, err := g.db.Records(ctx, data.System, q)
		if err != nil {
			return err
		}
		for _, rec := range records {
			err := g.outlast(ctx, rec[spec.OrdID].Text(), before.Text)
			if fault.Is(err, fault.Conflict) {
				kept++
			} else if err != nil {
				return err
			}
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	if kept > 0 {
		g.log.Warn("anonymous users whose time has passed stay: records refer to them that do not go with them", "users", kept)
	}
	return nil
}

// outlast removes an anonymous user who has used no session since a moment.
func (g *Gate) outlast(ctx context.Context, id, since string) error {
	seen, err := g.first(ctx, "_sessions", "user == param.a && seen >= param.b", id, since)
	if err != nil || seen != nil {
		return err
	}
	return g.db.Series(ctx, data.System, func(tx *data.Tx) error {
		rec, err := tx.Record(g.people.users.Name, id)
		if err != nil || rec == nil || !rec[g.people.anonymous].Bool() {
			return err // he is gone, or has become somebody
		}
		return tx.Delete(g.people.users.Name, id)
	})
}
