package plinth

import (
	"context"
	"sync"
	"time"
)

// turnstile lets requests through, counts those inside, and can be shut until they have left.
type turnstile struct {
	mu     sync.Mutex
	inside int
	shut   chan struct{} // closed when it opens again; nil: it is open
	empty  chan struct{} // closed when the last one has left; nil: nobody waits for that
}

// enter waits while it is shut. It reports false when ctx ends first: then nobody has entered.
func (t *turnstile) enter(ctx context.Context) bool {
	t.mu.Lock()
	for t.shut != nil {
		opens := t.shut
		t.mu.Unlock()
		select {
		case <-opens:
		case <-ctx.Done():
			return false
		}
		t.mu.Lock()
	}
	t.inside++
	t.mu.Unlock()
	return true
}

func (t *turnstile) leave() {
	t.mu.Lock()
	t.inside--
	if t.inside == 0 && t.empty != nil {
		close(t.empty)
		t.empty = nil
	}
	t.mu.Unlock()
}

// close shuts it and waits for those inside, but no longer than patience: a download may take hours. It
// must be open; whoever closes it opens it.
func (t *turnstile) close(patience time.Duration) {
	t.mu.Lock()
	t.shut = make(chan struct{})
	left := make(chan struct{})
	if t.inside == 0 {
		close(left)
	} else {
		t.empty = left
	}
	t.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-left:
	case <-timer.C:
		t.mu.Lock()
		t.empty = nil
		t.mu.Unlock()
	}
}

func (t *turnstile) open() {
	t.mu.Lock()
	close(t.shut)
	t.shut = nil
	t.mu.Unlock()
}
