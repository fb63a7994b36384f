package plinth

import (
	"context"
	"time"
)

const (
	orphanAge    = 24 * time.Hour // no request takes so long: what it stored is named by then
	orphansEvery = time.Hour
)

// removeOrphans removes uploads that no record names, as far as it can.
func (p *Plinth) removeOrphans(ctx context.Context) {
	if err := p.orphans(ctx); err != nil && ctx.Err() == nil {
		p.o.log.Warn("uploads that no record names could not be removed", "error", err)
	}
}

// steady is what time it is by a clock that nobody has put forward since began, which was so long ago: what is uploaded at the moment
// would else be old, and gone before its record names it. Where a clock was put back it is that one.
func steady(began time.Time, ago time.Duration, now time.Time) time.Time {
	if t := began.Round(0).Add(ago); t.Before(now.Round(0)) {
		return t
	}
	return now.Round(0)
}

// orphans removes uploads that no record names: a crash between the storing of a file and the
// commit of its record, or after a deletion, leaves them. It looks for the old files first and asks then
// which are in use; when anything cannot be read, nothing is removed.
func (p *Plinth) orphans(ctx context.Context) error {
	orphans := map[string]bool{}
	err := p.files.Older(ctx, steady(p.began, time.Since(p.began), time.Now()).Add(-orphanAge), func(key string) error {
		orphans[key] = true
		return nil
	})
	if err != nil || len(orphans) == 0 {
		return err
	}
	if err := p.DB().BlobsInUse(ctx, func(blob string) { delete(orphans, blob) }); err != nil {
		return err
	}
	for key := range orphans {
		if err := p.files.Delete(ctx, key); err != nil {
			return err
		}
	}
	if n := len(orphans); n > 0 {
		p.o.log.Info("uploads that no record names were removed", "files", n)
	}
	return nil
}
