package data

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Membership is a team to which a user belongs, and his role there.
type Membership struct{ Team, Role string }

// mostTeams is how many teams a user has in rules: those to which he has belonged for longest. MostAdded is from how many on others add
// him to no more without asking him: what is left is for those that he makes and joins.
const (
	mostTeams = 1000
	MostAdded = mostTeams / 2
)

// ErrLastOwner is the answer to what would leave a team without anybody who manages it.
var ErrLastOwner = fault.New(fault.Conflict, "the team would have nobody who manages it: let somebody else do so first, or delete the team")

// teams is what the database knows of the teams of its app.
type teams struct {
	*spec.Teams
	k, members, users          *kind
	team, user, role, disabled int       // of memberships, and of users
	of                         *referrer // the memberships of a team

	mu      sync.Mutex
	rejoins []func(user string)
}

func (db *DB) openTeams() error {
	t := &db.app.Auth.Teams
	if !t.On() {
		return nil
	}
	if !db.eng.Caps().Transactions {
		const what = "auth.teams"
		return &fault.Error{Kind: fault.Capability, Op: what, Msg: "this database has no transactions, and this needs them: " + what}
	}
	db.teams = &teams{Teams: t, k: db.kinds[t.Collection], members: db.kinds[t.Members], users: db.kinds[db.app.Auth.Collection]}
	for name, ord := range map[string]*int{"team": &db.teams.team, "user": &db.teams.user, "role": &db.teams.role} {
		f, _ := db.teams.members.Field(name)
		*ord = f.Ord
	}
	f, _ := db.teams.users.Field("disabled")
	db.teams.disabled = f.Ord
	db.teams.members.whose = db.teams.user
	for i := range db.teams.k.referrers {
		if r := &db.teams.k.referrers[i]; r.from == db.teams.members {
			db.teams.of = r
		}
	}
	return nil
}

// TeamsOf are the teams to which a user belongs, as Caller has them.
func (db *DB) TeamsOf(ctx context.Context, user string) ([]Membership, error) {
	t := db.teams
	if t == nil || user == "" {
		return nil, nil
	}
	var all []Membership
	q := &ListQuery{Collection: t.Members, Filter: "user == param.u", Params: map[string]*doc.Node{"u": doc.NewString(user)}, Sort: "id", Limit: maxLimit}
	for {
		records, next, err := db.Records(ctx, System, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			all = append(all, Membership{rec[t.team].Text(), rec[t.role].Text()})
		}
		if q.Cursor = next; next == "" || len(all) >= mostTeams {
			break
		}
	}
	return sortedTeams(all), nil
}

// sortedTeams puts memberships in an order of their own: then two callers with the same ones have the same lists.
func sortedTeams(all []Membership) []Membership {
	slices.SortFunc(all, func(a, b Membership) int { return strings.Compare(a.Team, b.Team) })
	return all
}

// OnRejoin has fn called with the id of each user who belongs to other teams, or with another role, by what this process has
// written.
func (db *DB) OnRejoin(fn func(user string)) {
	if t := db.teams; t != nil {
		t.mu.Lock()
		t.rejoins = append(t.rejoins, fn)
		t.mu.Unlock()
	}
}

// rejoined notes, in a write, that a membership has changed.
func (w *work) rejoined(k *kind, rec Record) {
	t := w.db.teams
	if t == nil || k != t.members {
		return
	}
	user := rec[t.user].Text()
	w.after = append(w.after, func(context.Context) {
		t.mu.Lock()
		all := t.rejoins
		t.mu.Unlock()
		for _, fn := range all {
			fn(user)
		}
	})
}

// founded makes who makes a team its owner, and sees it as such for the rest of the write.
func (w *work) founded(k *kind, rec Record) error {
	t := w.db.teams
	if t == nil || k != t.k || w.by.ID == "" {
		return nil
	}
	team, by := rec[spec.OrdID].Text(), *w.by
	body := doc.NewObject()
	body.Set("team", doc.NewString(team))
	body.Set("user", doc.NewString(by.ID))
	body.Set("role", doc.NewString(t.Owner()))
	c, err := w.db.planCreate(&System, t.members, body, nil, "")
	if err != nil {
		return err
	}
	asks, bare := w.by, w.bare
	w.by, w.bare = &System, true
	_, err = c.apply(w)
	if w.by, w.bare = asks, bare; err != nil {
		return err
	}
	by.Teams = sortedTeams(append(slices.Clone(by.Teams), Membership{team, t.Owner()}))
	w.by = &by
	return nil
}

// keepsOwners refuses to remove what would leave a team that stays without an owner. gone is all that goes.
func (w *work) keepsOwners(list []going, gone map[link]bool) error {
	t := w.db.teams
	if t == nil {
		return nil
	}
	for _, g := range list {
		if g.k != t.members || g.rec[t.role].Text() != t.Owner() {
			continue
		}
		team := g.rec[t.team].Text()
		if gone[link{t.k, team}] {
			continue
		}
		if err := w.owned(team, func(id string) bool { return gone[link{t.members, id}] }); err != nil {
			return err
		}
	}
	return nil
}

// stepsDown refuses to take the role of the owner from the last who has it.
func (w *work) stepsDown(k *kind, old, rec Record) error {
	t := w.db.teams
	if t == nil || k != t.members || old[t.role].Text() != t.Owner() || rec[t.role].Text() == t.Owner() {
		return nil
	}
	return w.owned(old[t.team].Text(), func(id string) bool { return id == old[spec.OrdID].Text() })
}

// owned is ErrLastOwner where a team has no owner who can sign in but those that are left out. Two who leave at the same time come one
// after the other, by the lock of the team, and the second sees that the first has left: others are read as they are, not as they
// were when the transaction began.
func (w *work) owned(team string, out func(membership string) bool) error {
	t := w.db.teams
	there, err := t.k.record(w.ctx, w.tx, t.k.lock, team)
	if err != nil || there == nil {
		return err
	}
	all, err := t.of.records(w.ctx, w.tx, team)
	if err != nil {
		return err
	}
	for _, m := range all {
		id := m[spec.OrdID].Text()
		if out(id) || m[t.role].Text() != t.Owner() {
			continue
		}
		is, err := t.members.record(w.ctx, w.tx, t.members.lock, id)
		if err != nil {
			return err
		}
		if is == nil || is[t.role].Text() != t.Owner() {
			continue
		}
		user, err := t.users.record(w.ctx, w.tx, t.users.whole, is[t.user].Text())
		if err != nil {
			return err
		}
		if user != nil && !user[t.disabled].Bool() {
			return nil
		}
	}
	return ErrLastOwner
}

// team is auth.teams and auth.teamsAs("role"), by the name that expr has for them.
func (w who) team(name string) (v Value, ok bool) {
	t := &w.app.Auth.Teams
	if !t.On() {
		return Value{}, false
	}
	as, asked := strings.CutPrefix(name, expr.TeamsAs)
	if !asked && name != expr.Teams {
		return Value{}, false
	}
	var ids []Value
	roles := t.From(as)
	for _, m := range w.by.Teams {
		if !asked || slices.Contains(roles, m.Role) {
			ids = append(ids, expr.TextOf(m.Team))
		}
	}
	if ids == nil {
		return Value{}, true
	}
	return expr.ListOf(ids...), true
}

// teamNames are the names by which rules of the app may ask for teams.
func (db *DB) teamNames() []string {
	if db.teams == nil {
		return nil
	}
	names := []string{expr.Teams}
	for _, r := range db.teams.Roles {
		names = append(names, expr.TeamsAs+r)
	}
	return names
}

// sameTeams says whether two callers belong to the same teams, as far as rules look at them.
func (db *DB) sameTeams(a, b *Caller, looks func(string) bool) bool {
	if slices.Equal(a.Teams, b.Teams) {
		return true
	}
	for _, name := range db.teamNames() {
		if looks(name) && !expr.Equal(who{db.app, a}.Field(name), who{db.app, b}.Field(name)) {
			return false
		}
	}
	return true
}

// moved says whether a change of a membership makes another of a caller, as far as rules look at his teams.
func (t *teams) moved(db *DB, by *Caller, c *Change, looks func(string) bool) bool {
	as := func(rec Record) *Caller {
		if rec == nil || rec[t.user].Text() != by.ID {
			return &Caller{}
		}
		return &Caller{Teams: []Membership{{rec[t.team].Text(), rec[t.role].Text()}}}
	}
	return !db.sameTeams(as(c.Old), as(c.New), looks)
}

// Whose is the id of the user to whom a change may give other rights, where it is a change of a user's record or of what he belongs to;
// else an id that is no user's.
func (c *Change) Whose() string {
	if c.k == nil || c.k.whose == spec.OrdID {
		return c.ID
	}
	rec := c.New
	if rec == nil {
		rec = c.Old
	}
	if rec == nil {
		return c.ID
	}
	return rec[c.k.whose].Text()
}
