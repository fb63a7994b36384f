package auth

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/spec"
)

// Users is the collection of users; "" where nobody signs in.
func (g *Gate) Users() string { return g.db.App().Auth.Collection }

// MoveIn keeps for users what another system has stored of their passwords, as it is: they sign in with them, and then our own
// hash takes its place. Who has a password keeps it. So the same can be brought in twice, and undoes no new password. It says of
// how many it was kept.
//
// stored is by the ids of users. That it can be verified is the caller's to see to (password.Identify).
func (g *Gate) MoveIn(ctx context.Context, stored map[string]string) (kept int, err error) {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(stored)), data.MaxBatch) {
		n, err := g.moveIn(ctx, part, stored)
		if kept += n; err != nil {
			return kept, err
		}
	}
	return kept, nil
}

// Proven is for users, by their ids, of whom somebody else knows that their addresses are theirs. As with every first proof, whoever
// had registered with such an address and never proved it has nothing of the account: password, factors, sessions and what was sent
// before are good for nothing. That the addresses are proven the caller writes afterwards.
func (g *Gate) Proven(ctx context.Context, users []string) error {
	for part := range slices.Chunk(users, data.MaxBatch) {
		records, err := g.among(ctx, part, "!verified && email != null")
		if err != nil {
			return err
		}
		for _, rec := range records {
			if err := g.beginAnew(ctx, rec[spec.OrdID].Text(), true); err != nil {
				return err
			}
		}
	}
	return nil
}

// among are those users of a few, by their ids, for whom a condition holds.
func (g *Gate) among(ctx context.Context, users []string, condition string) ([]data.Record, error) {
	named := make([]*doc.Node, len(users))
	for i, id := range users {
		named[i] = doc.NewString(id)
	}
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: g.people.users.Name, Limit: len(users), Fields: "id", Filter: "id in param.users && " + condition,
		Params: map[string]*doc.Node{"users": doc.NewArray(named...)}})
	return records, err
}

func (g *Gate) moveIn(ctx context.Context, users []string, stored map[string]string) (int, error) {
	named := make([]*doc.Node, len(users))
	for i, id := range users {
		named[i] = doc.NewString(id)
	}
	records, _, err := g.db.Records(ctx, data.System, &data.ListQuery{Collection: "_accounts", Limit: len(users), Filter: "user in param.users",
		Params: map[string]*doc.Node{"users": doc.NewArray(named...)}})
	if err != nil {
		return 0, err
	}
	c := &g.people.account
	accounts := map[string]data.Record{}
	for _, r := range records {
		accounts[r[c.user].Text()] = r
	}
	var ops []data.Operation
	for _, id := range users {
		body := doc.NewObject()
		body.Set("password", doc.NewString(stored[id]))
		is, there := accounts[id]
		switch {
		case !there:
			body.Set("user", doc.NewString(id))
			ops = append(ops, data.Operation{Op: "create", Collection: "_accounts", Body: body})
		case is[c.password].Text() == "":
			ops = append(ops, data.Operation{Op: "update", Collection: "_accounts", ID: is[spec.OrdID].Text(), Body: body, IfMatch: &data.Match{Revs: []int64{is[spec.OrdRev].Int()}}})
		}
	}
	if len(ops) == 0 {
		return 0, nil
	}
	if _, _, err := g.db.Batch(ctx, data.System, ops, true, data.WriteOptions{Minimal: true}); err != nil {
		return 0, overtaken(errors.Unwrap(err))
	}
	return len(ops), nil
}
