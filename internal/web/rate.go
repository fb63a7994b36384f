package web

import (
	"hash/maphash"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// rates is how often each caller may ask (server.limits.requests), at this process. He may ask so many times at once;
// what he has used comes back evenly (GCRA, ITU-T I.371). Nothing is kept of a caller who has used nothing.
type rates struct {
	count  int64
	per    time.Duration
	each   time.Duration // in which one more comes back
	most   int           // callers that are kept in a shard
	policy []string      // RateLimit-Policy
	seed   maphash.Seed
	shards [32]rateShard
}

// rateShard is a part of the callers. full is when all that a caller has used has come back.
type rateShard struct {
	mu    sync.Mutex
	full  map[string]time.Time
	seen  int // callers after the last sweep
	swept time.Time
}

// mostCallers bounds the memory of a shard: callers that are not kept are not limited. Who has that many addresses is
// stopped by what bounds the work of all (load).
const mostCallers = 20_000

func newRates(r spec.Rate) *rates {
	if r.Count <= 0 || r.Per <= 0 {
		return nil
	}
	l := &rates{count: int64(r.Count), per: r.Per, each: r.Per / time.Duration(r.Count), most: mostCallers, seed: maphash.MakeSeed()}
	l.each = max(l.each, 1)
	l.policy = []string{`"requests";q=` + strconv.Itoa(r.Count) + `;w=` + strconv.FormatInt(seconds(r.Per), 10)}
	for i := range l.shards {
		l.shards[i].full = map[string]time.Time{}
	}
	return l
}

// seconds rounds up, and is at least 1.
func seconds(d time.Duration) int64 { return max(1, int64(math.Ceil(d.Seconds()))) }

// take counts a request of a caller and says in the answer what is left to him (draft-ietf-httpapi-ratelimit-headers-10).
func (l *rates) take(h http.Header, whom string, now time.Time) error {
	left, back, ok := l.spend(whom, now)
	h["Ratelimit-Policy"] = l.policy
	h["Ratelimit"] = []string{`"requests";r=` + strconv.FormatInt(left, 10) + `;t=` + strconv.FormatInt(seconds(back), 10)}
	if !ok {
		return &fault.Error{Kind: fault.Quota, After: back,
			Msg: "you have asked " + strconv.FormatInt(l.count, 10) + " times in " + l.per.String() + ": wait, then ask less often"}
	}
	return nil
}

// spend takes one, if there is one. left is how many there are then, and back in what time there are all, or one where
// there is none.
func (l *rates) spend(whom string, now time.Time) (left int64, back time.Duration, ok bool) {
	s := &l.shards[maphash.String(l.seed, whom)%uint64(len(l.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	full, known := s.full[whom]
	used := max(0, full.Sub(now))
	if used+l.each > l.per {
		return 0, used + l.each - l.per, false
	}
	used += l.each
	if !known && len(s.full) >= min(l.most, 2*s.seen+64) && now.Sub(s.swept) >= time.Second {
		s.sweep(now)
	}
	if !known && len(s.full) >= l.most {
		return 0, l.per, true
	}
	s.full[whom] = now.Add(used)
	left = int64((l.per - used) / l.each)
	if left == 0 {
		return 0, used + l.each - l.per, true
	}
	return left, used, true
}

// sweep forgets callers to whom all has come back.
func (s *rateShard) sweep(now time.Time) {
	for whom, full := range s.full {
		if !full.After(now) {
			delete(s.full, whom)
		}
	}
	s.seen, s.swept = len(s.full), now
}
