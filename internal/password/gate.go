package password

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/bluell/plinth/fault"
)

// gate lets derivations in, first come first served, while the memory that they need fits into a budget. Each counts
// for at least its share of it, so that no more than atOnce run. How many wait, and how long, is bounded too: whoever would
// wait longer is told so while he still listens.
type gate struct {
	memory   *semaphore.Weighted
	budget   int64
	share    int64
	queue    int64
	patience time.Duration
	waiting  atomic.Int64
}

func (g *gate) open(budget int64, atOnce, queue int, patience time.Duration) {
	g.memory = semaphore.NewWeighted(budget)
	g.budget, g.share = budget, budget/int64(atOnce)
	g.queue, g.patience = int64(queue), patience
}

// errBusy is what whoever does not get in is told: he may try again, the server has not failed.
var errBusy = &fault.Error{Kind: fault.Unavailable, Op: "password", Msg: "too many passwords are being verified: try again", After: 2 * time.Second}

var errPatience = errors.New("waited too long")

// enter waits for room for so many bytes, and gives what makes room again.
func (g *gate) enter(ctx context.Context, bytes int64) (leave func(), err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, gone(err)
	}
	need := min(max(bytes, g.share), g.budget)
	if !g.memory.TryAcquire(need) {
		if err := g.wait(ctx, need); err != nil {
			return nil, err
		}
	}
	return func() { g.memory.Release(need) }, nil
}

func (g *gate) wait(ctx context.Context, need int64) error {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.queue {
		return errBusy
	}
	patient, stop := context.WithTimeoutCause(ctx, g.patience, errPatience)
	defer stop()
	if err := g.memory.Acquire(patient, need); err != nil {
		if cause := context.Cause(patient); cause != errPatience {
			return gone(cause)
		}
		return errBusy
	}
	return nil
}

func gone(cause error) error { return fault.Wrap(fault.Unavailable, "password", cause) }
