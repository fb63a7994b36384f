package live

import (
	"fmt"
	"sync"
	"time"

	"github.com/bluell/plinth/fault"
)

// What one caller may send at one process: so many messages a second in the long run, and so many at once.
const (
	messageRate  = 50
	messageBurst = 100

	frameRate  = 100 // frames of one WebSocket
	frameBurst = 500 // subscriptions come together
)

// limits bound what one caller (data.Caller.Scope) may have and do at this process.
type limits struct {
	most int // streams; 0: any number

	mu      sync.Mutex
	streams map[string]int
	buckets map[string]bucket
}

// bucket is how much a caller may send: some at a moment, and more from then on.
type bucket struct {
	left float64
	at   time.Time
}

func (b *bucket) spend(now time.Time, rate, burst float64) bool {
	b.left = min(burst, b.left+rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func newLimits(most int) *limits {
	return &limits{most: most, streams: map[string]int{}, buckets: map[string]bucket{}}
}

// admit counts a client among the streams of its caller until it is over.
func (h *Hub) admit(c *client) error {
	l, scope := h.limits, c.by.Scope
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most > 0 && l.streams[scope] >= l.most {
		return &fault.Error{Kind: fault.Limited, Msg: fmt.Sprintf("you have %d live connections here: end some, or carry several subscriptions over one (GET /api/live?subscribe=…)", l.most), After: 5 * time.Second}
	}
	l.streams[scope]++
	c.freed = sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.streams[scope]--; l.streams[scope] <= 0 {
			delete(l.streams, scope)
		}
	})
	return nil
}

// mostBuckets bounds the callers that are remembered: those who have sent nothing for a while are forgotten first.
const mostBuckets = 10_000

// spend takes one message of what a caller may send.
func (l *limits) spend(scope string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[scope]
	if !known {
		if len(l.buckets) >= mostBuckets {
			l.forget(now)
		}
		b = bucket{messageBurst, now}
	}
	enough := b.spend(now, messageRate, messageBurst)
	l.buckets[scope] = b
	if !enough {
		return &fault.Error{Kind: fault.Limited, Msg: fmt.Sprintf("at most %d messages a second", messageRate), After: time.Second}
	}
	return nil
}

func (l *limits) forget(now time.Time) {
	for scope, b := range l.buckets {
		if b.left+messageRate*now.Sub(b.at).Seconds() >= messageBurst {
			delete(l.buckets, scope)
		}
	}
	if len(l.buckets) >= mostBuckets {
		clear(l.buckets)
	}
}
