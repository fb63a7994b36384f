package plinth

import (
	"context"

	"github.com/bluell/plinth/internal/seed"
)

// Seeded says what Seed did.
type Seeded = seed.Result

// Seed loads the files of seed/. Records that are there already are brought up to date. progress, which
// may be nil, is called in long work with records done of all of a file.
func (p *Plinth) Seed(ctx context.Context, progress func(done, total int, text string)) (Seeded, error) {
	return seed.Load(ctx, p.DB(), p.dir, progress)
}
