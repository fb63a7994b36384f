package data

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
)

// unready is an engine whose checks wait.
type unready struct {
	driver.Engine
	checks  atomic.Int64
	begun   chan struct{}
	release chan struct{}
}

func (e *unready) Check(ctx context.Context) error {
	if e.checks.Add(1) == 1 {
		close(e.begun)
	}
	select {
	case <-e.release:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// TestReadyAtOnce: who asks whether the database can be written while others do costs it nothing, and is told what they are. Who came first
// may go.
func TestReadyAtOnce(t *testing.T) {
	t.Parallel()
	eng := &unready{Engine: shop(t, memory.Open()), begun: make(chan struct{}), release: make(chan struct{})}
	db := &DB{eng: eng}
	first, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := db.Ready(first)
		gone <- err
	}()
	<-eng.begun
	leave()
	if err := <-gone; err == nil {
		t.Error("who has gone is told that all is well")
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := db.Ready(ctx); err == nil {
				t.Error("one is told before it is known")
			}
		})
	}
	all.Wait()
	if n := eng.checks.Load(); n != 1 {
		t.Errorf("the database was asked %d times at once", n)
	}
	close(eng.release)
	if write, err := db.Ready(t.Context()); !write || err != nil {
		t.Errorf("%t %v", write, err)
	}
}
