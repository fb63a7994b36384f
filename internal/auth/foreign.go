package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// Tokens checks access tokens of issuers that the app trusts. Package oidc implements it.
type Tokens interface {
	// Check says whose a token is. One that is not good is a *Refusal.
	Check(ctx context.Context, text string) (*Foreign, error)
}

// Foreign is an access token of another issuer that is good. Role is that of a caller who is no user here; "" is none.
type Foreign struct {
	Issuer, Subject, Role string
	Expires               time.Time
}

// foreign looks a token of another issuer up, as find does with ours: it is believed for as long without checking it again.
// Whoever is linked to its subject is that user; anybody else is nobody in particular, with a role.
func (g *Gate) foreign(ctx context.Context, text string) (*pass, error) {
	now := g.clock()
	sum := sha256.Sum256([]byte(text))
	g.mu.RLock()
	p, anews := g.known[sum], g.anews
	g.mu.RUnlock()
	if p == nil || !now.Before(p.until) {
		var err error
		if p, err = g.lookUpForeign(ctx, text); err != nil {
			return nil, err
		}
		g.remember(sum, p, now, anews)
	}
	if p == nil || !now.Before(p.expires) {
		return nil, refused
	}
	return p, nil
}

func (g *Gate) lookUpForeign(ctx context.Context, text string) (*pass, error) {
	t, err := g.tokens.Check(ctx, text)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		if refusal.Code == unavailable {
			g.log.Warn("the issuer of a token cannot be reached", "error", refusal.Err)
			return nil, &fault.Error{Kind: fault.Unavailable, Msg: "the issuer of the token cannot be reached at the moment", After: 30 * time.Second}
		}
		g.log.Debug("a token of another issuer was refused", "error", refusal.Err)
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	rec, err := g.identity(ctx, t.Issuer, t.Subject)
	if err != nil {
		return nil, err
	}
	if rec != nil {
		who, err := g.personByID(ctx, rec[g.people.identity.user].Text())
		if err != nil || who == nil || who.disabled {
			return nil, err
		}
		by, err := g.callerOf(ctx, who.rec)
		return &pass{caller: by, user: who.id, expires: t.Expires}, err
	}
	if t.Role == "" || !hasRole(g.db.App(), t.Role) {
		return nil, nil
	}
	whose := sha256.Sum256([]byte(t.Issuer + "\x00" + t.Subject))
	return &pass{caller: data.Caller{SignedIn: true, Role: t.Role, Scope: "token:" + base64.RawURLEncoding.EncodeToString(whose[:])}, expires: t.Expires}, nil
}

// isForeign says whether a credential may be a token of another issuer (RFC 7515, 7.1).
func isForeign(text string) bool {
	return strings.HasPrefix(text, "ey") && strings.Count(text, ".") == 2
}
