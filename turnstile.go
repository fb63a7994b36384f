package plinth

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// turnstile lets requests through, counts those inside, and can be shut until they have left. An open one
// costs two additions.
type turnstile struct {
	inside atomic.Int64
	shut   atomic.Pointer[barrier] // nil: it is open
}

// barrier is a turnstile's while it is shut.
type barrier struct {
	opens chan struct{} // closed when it opens again
	empty chan struct{} // closed when the last one has left
	once  sync.Once
}

func (b *barrier) left() { b.once.Do(func() { close(b.empty) }) }

// enter waits while it is shut. It reports false when ctx ends first: then nobody has entered.
func (t *turnstile) enter(ctx context.Context) bool {
	for {
		t.inside.Add(1) // before the look: whoever shuts it looks the other way round
		b := t.shut.Load()
		if b == nil {
			return true
		}
		t.leave()
		select {
		case <-b.opens:
		case <-ctx.Done():
			return false
		}
	}
}

func (t *turnstile) leave() {
	if t.inside.Add(-1) == 0 {
		if b := t.shut.Load(); b != nil {
			b.left()
		}
	}
}

// close shuts it and waits for those inside, but no longer than patience: a download may take hours. It
// must be open; whoever closes it opens it.
func (t *turnstile) close(patience time.Duration) {
	b := &barrier{opens: make(chan struct{}), empty: make(chan struct{})}
	t.shut.Store(b)
	if t.inside.Load() == 0 {
		b.left()
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-b.empty:
	case <-timer.C:
	}
}

func (t *turnstile) open() { close(t.shut.Swap(nil).opens) }
