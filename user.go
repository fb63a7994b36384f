package plinth

import (
	"context"

	"github.com/bluell/plinth/internal/auth"
)

// Names of package auth that callers of this package need.
type (
	User       = auth.User
	UserDetail = auth.UserDetail

	InviteOptions = auth.InviteOptions
	Invitation    = auth.Invitation
)

// Users lists users, the newest first, limit of them. next continues; it is "" behind the last.
func (p *Plinth) Users(ctx context.Context, cursor string, limit int) (list []User, next string, err error) {
	return p.now.Load().gate.ListUsers(ctx, cursor, limit)
}

// UserDetail finds a user by e-mail address or id.
func (p *Plinth) UserDetail(ctx context.Context, who string) (UserDetail, error) {
	return p.now.Load().gate.User(ctx, who)
}

// DisableUser has nothing let a user in any more, by e-mail address or id, or again if off is false. The user's sessions end, on
// every server within 5 s.
func (p *Plinth) DisableUser(ctx context.Context, who string, off bool) (User, error) {
	return p.now.Load().gate.Disable(ctx, who, off)
}

// RemoveUser deletes a user, by e-mail address or id, with the records that go with one by the app file. It is fault.Conflict
// where a record refers to the user that does not go.
func (p *Plinth) RemoveUser(ctx context.Context, who string) (User, error) {
	return p.now.Load().gate.Remove(ctx, who)
}

// InviteUser invites somebody, as an operator. A running server sends the mail; with Link the link is told instead.
func (p *Plinth) InviteUser(ctx context.Context, o InviteOptions) (Invitation, error) {
	return p.now.Load().gate.Invite(ctx, o)
}
