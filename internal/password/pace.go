package password

import (
	"context"
	"sync/atomic"
	"time"
)

// pace holds refusals back until a hash of another system would have been derived too, so that its time does not tell that there
// is one.
type pace struct {
	slowest atomic.Int64 // nanoseconds of one derivation
}

// longest is how long a refusal is held back at most, for each derivation.
const longest = 3 * time.Second

// learn notes how long a derivation took that is not of today's parameters. The longest counts, and is forgotten
// gradually, for it may have been the machine that was slow. Two at once may lose one of them: there are more.
func (p *pace) learn(took time.Duration) {
	kept := p.slowest.Load()
	kept -= kept / 32
	p.slowest.Store(min(max(kept, int64(took)), int64(longest)))
}

// hold waits until so many of them would have been done since began.
func (p *pace) hold(ctx context.Context, began time.Time, times int) error {
	rest := time.Duration(p.slowest.Load())*time.Duration(times) - time.Since(began)
	if rest <= 0 {
		return nil
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return gone(context.Cause(ctx))
	}
}
