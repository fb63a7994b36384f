package auth

import (
	"context"
	"net/mail"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Operators sign in as users do, by the same code, at a gate of their own behind that of the app. What is kept of them is kept in
// collections of their own (keptOf), their tokens are of a sort of their own, and each of them must have a second factor: without one
// he may set one up, and nothing else. Nobody registers as an operator, or comes in by a mail or a provider: who has the database adds
// him, and is told the token by which he sets his first password.

const operatorPrefix = "_operator" // of the names of their collections

const operatorScope = "operator:" // of what they do, before their ids

// operatorsAuth is how operators sign in. They stay signed in for a day's work.
func operatorsAuth(app *spec.App) *spec.Auth {
	return &spec.Auth{On: true, Collection: "_operators", Register: "closed", Verify: "optional", Password: app.Auth.Password, Passkeys: app.Auth.Passkeys,
		Sessions: spec.Sessions{Idle: 2 * time.Hour, Longest: 12 * time.Hour}}
}

// Operator is somebody who runs the app, apart from its users.
type Operator struct {
	ID      string    `json:"id"`
	Email   string    `json:"email"`
	Created time.Time `json:"created"`
}

// Welcome is what an operator is told once: the token with which he sets a password (POST /api/auth/operators/reset/confirm).
type Welcome struct {
	ID      string    `json:"id"`
	Email   string    `json:"email"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// welcomeLife is how long an operator has to set his password.
const welcomeLife = 24 * time.Hour

// AddOperator puts an e-mail address on the list of operators.
func (g *Gate) AddOperator(ctx context.Context, email string) (w Welcome, err error) {
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email {
		return w, fault.New(fault.Invalid, "%q is not an e-mail address", email)
	}
	body := doc.NewObject()
	body.Set("email", doc.NewString(email))
	err = g.db.Series(ctx, data.System, func(tx *data.Tx) error {
		reply, err := tx.Create("_operators", body)
		if err != nil {
			return err
		}
		w, err = g.operators.greet(tx, &person{id: reply.ID, email: email})
		return err
	})
	if fault.Is(err, fault.Conflict) {
		return Welcome{}, fault.New(fault.Conflict, "%s is an operator already", email)
	}
	return w, err
}

// greet makes the token with which an operator sets a password.
func (g *Gate) greet(tx *data.Tx, who *person) (Welcome, error) {
	expires := g.clock().Add(welcomeLife).UTC().Truncate(time.Millisecond)
	token, err := g.prove(tx, proof{purpose: toReset, user: who.id, email: who.email, epoch: who.epoch, life: welcomeLife})
	return Welcome{ID: who.id, Email: who.email, Token: token, Expires: expires}, err
}

// ResetOperator has an operator, by e-mail address or id, set a new password: his sessions end, and the old password is good for
// nothing. With factors his second factors are none any more too: he has lost them.
func (g *Gate) ResetOperator(ctx context.Context, name string, factors bool) (w Welcome, err error) {
	own := g.operators
	who, err := own.called(ctx, name)
	if err != nil {
		return w, err
	}
	err = g.db.Series(ctx, data.System, func(tx *data.Tx) error {
		changes := doc.NewObject()
		changes.Set("password", doc.NewNull())
		if factors {
			own.disown(who, changes)
		}
		if err := own.renew(tx, who, "", changes); err != nil {
			return err
		}
		as := *who
		as.epoch++
		w, err = own.greet(tx, &as)
		return err
	})
	own.renewed(who.id)
	return w, err
}

// Operators lists the operators, the oldest first.
func (g *Gate) Operators(ctx context.Context) ([]Operator, error) {
	email := g.operators.people.email
	var list []Operator
	err := each(ctx, g.db, "_operators", func(r data.Record) {
		list = append(list, Operator{r[spec.OrdID].Text(), r[email].Text(), at(r[spec.OrdCreated].Int())})
	})
	return list, err
}

// RemoveOperator takes an operator, by e-mail address or id, off the list. His sessions end, on every server within 5 s.
func (g *Gate) RemoveOperator(ctx context.Context, name string) error {
	who, err := g.operators.called(ctx, name)
	if err != nil {
		return err
	}
	_, err = g.db.Delete(ctx, data.System, "_operators", who.id, data.WriteOptions{})
	g.operators.renewed(who.id)
	return err
}
