package seed

import (
	"context"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// passwordField stands in the records of users, where it is no field: it is what another system has stored of a password.
var passwordField = &spec.Field{Name: "password", Type: spec.Text}

// peopleOf is who keeps the passwords of a collection; nil where it is not the users'.
func (l *loader) peopleOf(c *spec.Collection) People {
	if l.people == nil || l.people.Users() != c.Name {
		return nil
	}
	return l.people
}

// part takes the password out of a record.
func (s *set) part(r *record) error {
	v, ok := r.body.Get(passwordField.Name)
	if s.people == nil || !ok {
		return nil
	}
	r.body = without(r.body, passwordField.Name)
	if v.IsNull() {
		return nil
	}
	if v.Kind != doc.String {
		return fault.New(fault.Invalid, "password is not text")
	}
	of, err := s.people.Known(v.Text)
	if err != nil {
		return fault.New(fault.Invalid, "%s. password takes what another system has stored, never what people type: leave it empty where there is nothing that can be verified, and they set one by a reset", words(err))
	}
	if of {
		r.password = v.Text
	}
	return nil
}

// prove says of whom a batch is going to say that the address is theirs. Somebody else may have registered with it before: he must have
// nothing of the account, so it is done before the batch.
func (s *set) prove(ctx context.Context, b *batch) error {
	if s.people == nil {
		return nil
	}
	var users []string
	for _, op := range b.ops {
		if v, ok := op.Body.Get("verified"); ok && op.Op == "update" && v.Kind == doc.Bool && v.Bool {
			users = append(users, op.ID)
		}
	}
	if len(users) == 0 {
		return nil
	}
	return s.people.Proven(ctx, users)
}

// moveIn has the passwords of records kept that are in the database now.
func (l *loader) moveIn(ctx context.Context, s *set, records []*record) error {
	stored := map[string]string{}
	for _, r := range records {
		if r.password != "" {
			id, _ := r.body.Get("id")
			stored[id.Text] = r.password
		}
	}
	if len(stored) == 0 {
		return nil
	}
	kept, err := s.people.MoveIn(ctx, stored)
	l.result.Passwords += kept
	return err
}
