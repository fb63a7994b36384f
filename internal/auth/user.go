package auth

import (
	"context"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// User is somebody who has an account, as operators see him.
type User struct {
	ID        string    `json:"id"`
	Email     string    `json:"email,omitempty"`
	Verified  bool      `json:"verified"`
	Role      string    `json:"role,omitempty"`
	Disabled  bool      `json:"disabled"`
	Anonymous bool      `json:"anonymous,omitempty"`
	Created   time.Time `json:"created"`
}

// UserDetail is a user with what he proves himself with, and where he is signed in.
type UserDetail struct {
	User
	Password  bool       `json:"password"`  // he has one
	Providers []string   `json:"providers"` // with whom he signs in
	TOTP      bool       `json:"totp"`
	Passkeys  int        `json:"passkeys"`
	Sessions  int        `json:"sessions"`       // mostSessions at most
	Seen      *time.Time `json:"seen,omitempty"` // in one of them, to the hour
}

func (g *Gate) userOf(rec data.Record) User {
	p := g.people
	u := User{ID: rec[spec.OrdID].Text(), Email: rec[p.email].Text(), Verified: rec[p.verified].Bool(), Role: rec[p.role].Text(),
		Disabled: rec[p.disabled].Bool(), Created: at(rec[spec.OrdCreated].Int())}
	u.Anonymous = p.anonymous >= 0 && rec[p.anonymous].Bool()
	return u
}

// noPeople is the answer to questions about users where there are none.
var noPeople = fault.New(fault.NotFound, "nobody signs in to this app: it has no auth section")

// ListUsers lists users, the newest first. next continues; it is "" behind the last.
func (g *Gate) ListUsers(ctx context.Context, cursor string, limit int) (list []User, next string, err error) {
	if g.people == nil {
		return nil, "", noPeople
	}
	records, next, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: g.people.users.Name, Limit: limit, Sort: "-id", Cursor: cursor})
	for _, rec := range records {
		list = append(list, g.userOf(rec))
	}
	return list, next, err
}

// User finds a user by his address or id.
func (g *Gate) User(ctx context.Context, name string) (UserDetail, error) {
	who, err := g.called(ctx, name)
	if err != nil {
		return UserDetail{}, err
	}
	u := UserDetail{User: g.userOf(who.rec), Password: who.password != "", Providers: []string{}}
	identities, err := g.identitiesOf(ctx, who.id)
	if err != nil {
		return UserDetail{}, err
	}
	for _, rec := range identities {
		u.Providers = append(u.Providers, rec[g.people.identity.provider].Text())
	}
	has, err := g.factorsOf(ctx, who)
	if err != nil {
		return UserDetail{}, err
	}
	u.TOTP, u.Passkeys = has.totp != "", len(has.passkeys)
	sessions, err := g.sessions(ctx, who.id, "")
	u.Sessions = len(sessions)
	for _, s := range sessions {
		if u.Seen == nil || s.Seen.After(*u.Seen) {
			u.Seen = &s.Seen
		}
	}
	return u, err
}

// Whom is As, and knows users too, by address or id: with their fields and teams, in a session without a second factor.
func (g *Gate) Whom(ctx context.Context, as string) (data.Caller, error) {
	if !strings.Contains(as, "@") && !data.ValidID(as) {
		return As(g.db.App(), as)
	}
	who, err := g.called(ctx, as)
	if err != nil {
		return data.Caller{}, err
	}
	return g.callerOf(ctx, who.rec)
}

// called finds a user as an operator names him: by address or id.
func (g *Gate) called(ctx context.Context, name string) (who *person, err error) {
	switch {
	case g.people == nil:
		return nil, noPeople
	case data.ValidID(name):
		who, err = g.personByID(ctx, name)
	default:
		who, err = g.personByEmail(ctx, name)
	}
	if err == nil && who == nil {
		err = fault.New(fault.NotFound, "there is no %s %q", g.whose(), name)
	}
	return who, err
}

// Disable has nothing let a user in any more, or again if off is false. His sessions end, on every server within 5 s: who is
// enabled again signs in anew. It is the field disabled of his record, which operators may write as any other.
func (g *Gate) Disable(ctx context.Context, name string, off bool) (User, error) {
	var who *person
	var err error
	for range 5 { // he may change something of his account meanwhile
		if who, err = g.called(ctx, name); err != nil {
			return User{}, err
		}
		if err = g.disable(ctx, who, off); err != errOvertaken {
			break
		}
	}
	if err != nil {
		return User{}, err
	}
	g.renewed(who.id)
	u := g.userOf(who.rec)
	u.Disabled = off
	return u, nil
}

func (g *Gate) disable(ctx context.Context, who *person, off bool) error {
	body := doc.NewObject()
	body.Set("disabled", doc.NewBool(off))
	return g.db.Series(ctx, data.System, func(tx *data.Tx) error {
		if off { // without transactions: what is refused first ends then
			if _, err := tx.Update(g.people.users.Name, who.id, body); err != nil {
				return err
			}
		}
		if err := g.renew(tx, who, "", doc.NewObject()); err != nil || off {
			return err
		}
		_, err := tx.Update(g.people.users.Name, who.id, body)
		return err
	})
}

// Remove deletes a user, with what is his as the references of the app file say: a record that refers to him and does not go with
// him keeps him, which is fault.Conflict.
func (g *Gate) Remove(ctx context.Context, name string) (User, error) {
	who, err := g.called(ctx, name)
	if err != nil {
		return User{}, err
	}
	if _, err := g.db.Delete(ctx, data.System, g.people.users.Name, who.id, data.WriteOptions{}); err != nil {
		return User{}, err
	}
	g.renewed(who.id)
	return g.userOf(who.rec), nil
}
