package plinth

import (
	"context"

	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/password"
	"github.com/bluell/plinth/internal/seed"
)

// Seeded says what Seed did.
type Seeded = seed.Result

// Seed loads the files of seed/. Records that are there already are brought up to date. progress, which
// may be nil, is called in long work with records done of all of a file.
func (p *Plinth) Seed(ctx context.Context, progress func(done, total int, text string)) (Seeded, error) {
	s := p.now.Load()
	return seed.Load(ctx, s.db, movers{s.gate}, p.dir, progress)
}

// movers keep what other systems have stored of passwords.
type movers struct{ *auth.Gate }

func (movers) Known(stored string) (bool, error) {
	scheme, err := password.Identify(stored)
	return scheme != "none", err
}
