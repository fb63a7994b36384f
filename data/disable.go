package data

import (
	"context"
	"sync"

	"github.com/bluell/plinth/spec"
)

// disables are told of users who are disabled.
type disables struct {
	mu  sync.Mutex
	all []func(ctx context.Context, user string)
}

// OnDisable has fn called with the id of each user whom this process disables (the field disabled of his record), by whichever way it
// is written: behind the commit, and before the answer.
func (db *DB) OnDisable(fn func(ctx context.Context, user string)) {
	db.disables.mu.Lock()
	db.disables.all = append(db.disables.all, fn)
	db.disables.mu.Unlock()
}

// disabled notes, in a write, that a user is disabled by it.
func (w *work) disabled(k *kind, old, rec Record) {
	if !k.Users || old == nil || rec == nil {
		return
	}
	f, ok := k.Field("disabled")
	if !ok || old[f.Ord].Bool() || !rec[f.Ord].Bool() {
		return
	}
	user := rec[spec.OrdID].Text()
	w.after = append(w.after, func(ctx context.Context) {
		d := &w.db.disables
		d.mu.Lock()
		all := d.all
		d.mu.Unlock()
		for _, fn := range all {
			fn(ctx, user)
		}
	})
}
