package auth

import (
	"context"
	"net/mail"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Operator is somebody who runs the app, apart from its users.
type Operator struct {
	ID      string    `json:"id"`
	Email   string    `json:"email"`
	Created time.Time `json:"created"`
}

// AddOperator puts an e-mail address on the list of operators.
func (g *Gate) AddOperator(ctx context.Context, email string) (id string, err error) {
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email {
		return "", fault.New(fault.Invalid, "%q is not an e-mail address", email)
	}
	body := doc.NewObject()
	body.Set("email", doc.NewString(email))
	reply, err := g.db.Create(ctx, data.System, "_operators", body, data.WriteOptions{Minimal: true})
	if fault.Is(err, fault.Conflict) {
		return "", fault.New(fault.Conflict, "%s is an operator already", email)
	}
	return reply.ID, err
}

// Operators lists the operators, the oldest first.
func (g *Gate) Operators(ctx context.Context) ([]Operator, error) {
	c, _ := g.db.App().Collection("_operators")
	email, _ := c.Field("email")
	var list []Operator
	err := each(ctx, g.db, "_operators", func(r data.Record) {
		list = append(list, Operator{r[spec.OrdID].Text(), r[email.Ord].Text(), time.UnixMilli(r[spec.OrdCreated].Int()).UTC()})
	})
	return list, err
}

// RemoveOperator takes an operator, by e-mail address or id, off the list.
func (g *Gate) RemoveOperator(ctx context.Context, who string) error {
	list, err := g.Operators(ctx)
	if err != nil {
		return err
	}
	for _, o := range list {
		if o.ID == who || strings.EqualFold(o.Email, who) {
			_, err := g.db.Delete(ctx, data.System, "_operators", o.ID, data.WriteOptions{})
			return err
		}
	}
	return fault.New(fault.NotFound, "%s is not an operator", who)
}
