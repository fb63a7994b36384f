package plinth

import (
	"context"

	"github.com/bluell/plinth/internal/auth"
)

// Names of package auth that callers of this package need.
type (
	KeyOptions = auth.KeyOptions
	Key        = auth.Key
	Operator   = auth.Operator
	Welcome    = auth.Welcome
)

// AddKey makes an API key. The token is told once: only a hash of it is kept.
func (p *Plinth) AddKey(ctx context.Context, o KeyOptions) (id, token string, err error) {
	return p.now.Load().gate.AddKey(ctx, o)
}

// Keys lists the API keys, the oldest first.
func (p *Plinth) Keys(ctx context.Context) ([]Key, error) { return p.now.Load().gate.Keys(ctx) }

// RemoveKey removes an API key; every server forgets it within 5 s.
func (p *Plinth) RemoveKey(ctx context.Context, id string) error {
	return p.now.Load().gate.RemoveKey(ctx, id)
}

// AddOperator puts an e-mail address on the list of operators. The token with which the operator sets a password is told once.
func (p *Plinth) AddOperator(ctx context.Context, email string) (Welcome, error) {
	return p.now.Load().gate.AddOperator(ctx, email)
}

// ResetOperator ends the sessions and the password of an operator, by e-mail address or id, and with factors the second factors too:
// the token with which the operator sets a new password is told once.
func (p *Plinth) ResetOperator(ctx context.Context, who string, factors bool) (Welcome, error) {
	return p.now.Load().gate.ResetOperator(ctx, who, factors)
}

// Operators lists the operators, the oldest first.
func (p *Plinth) Operators(ctx context.Context) ([]Operator, error) {
	return p.now.Load().gate.Operators(ctx)
}

// RemoveOperator takes an operator, by e-mail address or id, off the list: the operator's sessions end, on every server within 5 s.
func (p *Plinth) RemoveOperator(ctx context.Context, who string) error {
	return p.now.Load().gate.RemoveOperator(ctx, who)
}
