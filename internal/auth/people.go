package auth

import (
	"cmp"
	"context"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Hasher turns passwords into what is stored of them. Package password implements it.
type Hasher interface {
	// Hash makes what is stored.
	Hash(ctx context.Context, password string) (string, error)
	// Verify says whether a password is the one that was stored, and whether it should be stored anew. With "" for what was stored
	// it takes as long, and is false.
	Verify(ctx context.Context, stored, password string) (ok, weak bool, err error)
	// Check refuses a password that nobody should have: fault.Invalid, at /password. context are words that it must not be
	// made of.
	Check(password string, minLength int, context ...string) error
}

// Mail sends what must reach the owner of an address. Package mail implements it.
type Mail interface {
	// Post has a mail sent if the transaction is committed.
	Post(tx *data.Tx, m Letter) error
}

// Letter is a mail: the name of its template, and what stands in it.
type Letter struct {
	Template string // verify, taken, reset, code, email-change, email-changed, password-changed, factor-added, factor-removed, recovery-codes, recovery-used, factor-blocked, identity-added, identity-removed, invite, invited, team-invite, account-deleted
	To       string
	Lang     string        // what its reader asked for: a BCP 47 tag, or ""
	Token    string        // the link's, where there is one
	Code     string        // what is typed in, where there is one
	By       string        // who invites, as he calls himself; "": nobody is named
	Team     string        // what the team is called that it is about; "": it has no name, or it is about none
	Passkey  string        // the name of the passkey that it is about; "": the authenticator app
	Provider string        // the label of the provider that it is about
	Valid    time.Duration // for how long these are
}

// people are the collections of users and of what is kept beside them, with the ordinals of their fields.
type people struct {
	users                     *spec.Collection
	email, verified, disabled int
	role, anonymous           int // -1 where there are none: operators have no role
	account                   struct{ user, password, epoch, era int }
	session                   struct{ user, epoch, hash, seen, expires, agent, address, mfa int }
	proof                     struct{ purpose, hash, user, epoch, email, by, says, tries, own, expires int }
	tries                     struct{ count, until int }
	identity                  struct{ user, provider, issuer, subject, email, name, used int }
	flow                      struct{ user, epoch, hash, challenge, expires int }
	factor                    struct{ era, totp, step, pending, begun, codes, failed, failedHere, turn int }
	passkey                   struct{ user, era, name, says, counter, eligible, backed, used int }
	invitation                struct{ whose, by, mfa, email, says, hash, expires, team, teamRole int }
	membership                struct{ role int } // where there are teams
	ceremony                  struct{ purpose, hash, user, epoch, session, says, tries, expires int }
}

func (g *Gate) peopleOf(app *spec.App) (*people, error) {
	if !g.auth.On {
		return nil, nil
	}
	p := &people{}
	var ok bool
	if p.users, ok = app.Collection(g.auth.Collection); !ok {
		return nil, fault.New(fault.Internal, "the collection of users is missing")
	}
	p.email, p.verified, p.disabled = ordOf(p.users, "email"), ordOf(p.users, "verified"), ordOf(p.users, "disabled")
	p.role, p.anonymous = -1, -1
	if !g.ofOperators {
		p.role = ordOf(p.users, "role")
	}
	if g.auth.Anonymous > 0 {
		p.anonymous = ordOf(p.users, "anonymous")
	}
	for _, of := range []struct {
		collection string
		fields     map[string]*int
	}{
		{"_accounts", map[string]*int{"user": &p.account.user, "password": &p.account.password, "epoch": &p.account.epoch, "era": &p.account.era}},
		{"_sessions", map[string]*int{"user": &p.session.user, "epoch": &p.session.epoch, "hash": &p.session.hash, "seen": &p.session.seen, "expires": &p.session.expires,
			"agent": &p.session.agent, "address": &p.session.address, "mfa": &p.session.mfa}},
		{"_proofs", map[string]*int{"purpose": &p.proof.purpose, "hash": &p.proof.hash, "user": &p.proof.user, "epoch": &p.proof.epoch, "email": &p.proof.email,
			"by": &p.proof.by, "says": &p.proof.says, "tries": &p.proof.tries, "own": &p.proof.own, "expires": &p.proof.expires}},
		{"_tries", map[string]*int{"count": &p.tries.count, "until": &p.tries.until}},
		{"_identities", map[string]*int{"user": &p.identity.user, "provider": &p.identity.provider, "issuer": &p.identity.issuer, "subject": &p.identity.subject,
			"email": &p.identity.email, "name": &p.identity.name, "used": &p.identity.used}},
		{"_flows", map[string]*int{"user": &p.flow.user, "epoch": &p.flow.epoch, "hash": &p.flow.hash, "challenge": &p.flow.challenge, "expires": &p.flow.expires}},
		{"_factors", map[string]*int{"era": &p.factor.era, "totp": &p.factor.totp, "step": &p.factor.step, "pending": &p.factor.pending, "begun": &p.factor.begun,
			"codes": &p.factor.codes, "failed": &p.factor.failed, "failed_here": &p.factor.failedHere, "turn": &p.factor.turn}},
		{"_passkeys", map[string]*int{"user": &p.passkey.user, "era": &p.passkey.era, "name": &p.passkey.name, "says": &p.passkey.says, "counter": &p.passkey.counter,
			"eligible": &p.passkey.eligible, "backed": &p.passkey.backed, "used": &p.passkey.used}},
		{"_invitations", map[string]*int{"whose": &p.invitation.whose, "by": &p.invitation.by, "mfa": &p.invitation.mfa, "email": &p.invitation.email,
			"says": &p.invitation.says, "hash": &p.invitation.hash, "expires": &p.invitation.expires}},
		{"_ceremonies", map[string]*int{"purpose": &p.ceremony.purpose, "hash": &p.ceremony.hash, "user": &p.ceremony.user, "epoch": &p.ceremony.epoch,
			"session": &p.ceremony.session, "says": &p.ceremony.says, "tries": &p.ceremony.tries, "expires": &p.ceremony.expires}},
	} {
		c, ok := app.Collection(g.own(of.collection))
		if !ok && g.ofOperators {
			continue // they are not invited, and come by no provider
		}
		if !ok {
			return nil, fault.New(fault.Internal, "auth.Collections is missing among the app's collections")
		}
		for name, ord := range of.fields {
			*ord = ordOf(c, name)
		}
	}
	if t := &g.auth.Teams; t.On() {
		members, ok := app.Collection(t.Members)
		if !ok {
			return nil, fault.New(fault.Internal, "the collection of memberships is missing")
		}
		p.membership.role = ordOf(members, "role")
		c, _ := app.Collection("_invitations")
		p.invitation.team, p.invitation.teamRole = ordOf(c, "team"), ordOf(c, "team_role")
	}
	return p, nil
}

// person is a user with what is kept beside him.
type person struct {
	id       string
	email    string
	verified bool
	disabled bool
	rec      data.Record // of the collection of users

	anonymous bool

	account  string // the id of his account; "" when he has none
	rev      int64  // of his account, as it was read
	password string // as it is stored; "" when he has none
	epoch    int    // of his sessions
	era      int    // of his factors and passkeys: those of an earlier one are none
}

// name is what attempts at an account are counted by: its address, or what stands for it where it has none.
func (who *person) name() string { return cmp.Or(who.email, who.id) }

// personBy finds a user by a condition on his record; nil when there is none.
func (g *Gate) personBy(ctx context.Context, filter, value string) (*person, error) {
	p := g.people
	rec, err := g.first(ctx, p.users.Name, filter, value)
	if err != nil {
		return nil, err
	}
	id := nobody // looked for too: whether there is somebody must not be seen from the time
	if rec != nil {
		id = rec[spec.OrdID].Text()
	}
	acc, err := g.first(ctx, g.own("_accounts"), "user == param.a", id)
	if err != nil || rec == nil {
		return nil, err
	}
	who := &person{}
	who.read(p, rec)
	if acc == nil {
		return who, nil
	}
	who.account, who.rev = acc[spec.OrdID].Text(), acc[spec.OrdRev].Int()
	who.password, who.epoch, who.era = acc[p.account.password].Text(), int(acc[p.account.epoch].Int()), int(acc[p.account.era].Int())
	return who, nil
}

// read takes what is known of a user from his record.
func (who *person) read(p *people, rec data.Record) {
	who.id, who.email, who.verified, who.disabled, who.rec = rec[spec.OrdID].Text(), rec[p.email].Text(), rec[p.verified].Bool(), rec[p.disabled].Bool(), rec
	who.anonymous = p.anonymous >= 0 && rec[p.anonymous].Bool()
}

func (g *Gate) personByEmail(ctx context.Context, email string) (*person, error) {
	return g.personBy(ctx, "email == param.a", email)
}

func (g *Gate) personByID(ctx context.Context, id string) (*person, error) {
	return g.personBy(ctx, "id == param.a", id)
}

// callerOf is a user as he asks.
func (g *Gate) callerOf(ctx context.Context, rec data.Record) (data.Caller, error) {
	id := rec[spec.OrdID].Text()
	if g.ofOperators {
		return data.Caller{SignedIn: true, Operator: true, Scope: operatorScope + id}, nil
	}
	teams, err := g.db.TeamsOf(ctx, id)
	return data.Caller{ID: id, SignedIn: true, Role: rec[g.people.role].Text(), User: rec, Teams: teams, Scope: "user:" + id}, err
}

// Sweep removes the sessions, proofs and invitations that have ended, counts of spans that are over, and anonymous users who have
// not been seen for long.
func (g *Gate) Sweep(ctx context.Context) error {
	if g.operators != nil {
		if err := g.operators.Sweep(ctx); err != nil {
			return err
		}
	}
	if g.people == nil {
		return nil
	}
	now := g.clock()
	for _, of := range []struct{ collection, field string }{
		{"_sessions", "expires"}, {"_proofs", "expires"}, {"_invitations", "expires"}, {"_ceremonies", "expires"}, {"_flows", "expires"}, {"_tries", "until"},
	} {
		if _, ok := g.db.App().Collection(g.own(of.collection)); !ok {
			continue
		}
		if err := g.db.SweepOf(ctx, g.own(of.collection), of.field, now); err != nil {
			return err
		}
	}
	if g.ofOperators {
		return nil
	}
	return g.sweepAnonymous(ctx, now)
}
