package web

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"hash/maphash"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Rates is how often each caller may ask (server.limits.requests). He may ask so many times at once; what he has used comes
// back evenly (GCRA, ITU-T I.371). Nothing is kept of a caller who has used nothing. Times are counted from a start, by a clock
// that never jumps.
//
// Where several processes serve one database, each counts what it lets through and is told by the others what they have
// (Gossip). Until then it knows nothing of it, so together they let through what is allowed and what comes in the time
// between two of its rounds. What was too much then is owed: nobody gets more in the long run.
type Rates struct {
	count  int64
	per    time.Duration
	each   time.Duration // in which one more comes back
	most   int           // callers that are kept in a shard
	policy []string      // RateLimit-Policy
	start  time.Time
	key    []byte       // of the names by which processes know callers
	among  atomic.Int64 // processes
	named  atomic.Bool  // callers are known by these names: there are, or were, others
	seed   maphash.Seed
	shards [32]rateShard
}

// rateShard is a part of the callers.
type rateShard struct {
	mu    sync.Mutex
	all   map[string]tally
	due   []string // of whom the others are to be told
	seen  int      // callers after the last sweep
	swept time.Time
}

// tally is what a caller has used.
type tally struct {
	full   time.Duration // when all of it has come back
	since  time.Duration // when the first was used here that the others were not told of
	untold int32
	due    bool
}

const (
	// mostCallers bounds the memory of a shard: callers that are not kept are not limited. Who has that many addresses is
	// stopped by what bounds the work of all (load).
	mostCallers = 20_000

	mostDue = 512 // callers of a shard of whom the others are told at once
)

// NewRates counts callers by a rate; nil where that is no limit. By the key callers get names that tell nobody who they are.
func NewRates(r spec.Rate, key []byte) *Rates {
	if r.Count <= 0 || r.Per <= 0 {
		return nil
	}
	l := &Rates{count: int64(r.Count), per: r.Per, each: r.Per / time.Duration(r.Count), most: mostCallers, start: time.Now(), key: key, seed: maphash.MakeSeed()}
	l.each = max(l.each, 1)
	l.policy = []string{`"requests";q=` + strconv.Itoa(r.Count) + `;w=` + strconv.FormatInt(seconds(r.Per), 10)}
	for i := range l.shards {
		l.shards[i].all = map[string]tally{}
	}
	return l
}

// seconds rounds up, and is at least 1.
func seconds(d time.Duration) int64 { return max(1, int64(math.Ceil(d.Seconds()))) }

// take counts a request of a caller and says in the answer what is left to him (draft-ietf-httpapi-ratelimit-headers-10).
func (l *Rates) take(h http.Header, whom string, now time.Time) error {
	if l.named.Load() {
		whom = l.name(whom)
	}
	left, back, ok := l.spend(whom, now)
	h["Ratelimit-Policy"] = l.policy
	h["Ratelimit"] = []string{`"requests";r=` + strconv.FormatInt(left, 10) + `;t=` + strconv.FormatInt(seconds(back), 10)}
	if !ok {
		return &fault.Error{Kind: fault.Quota, After: back,
			Msg: "you have asked " + strconv.FormatInt(l.count, 10) + " times in " + l.per.String() + ": wait, then ask less often"}
	}
	return nil
}

func (l *Rates) shard(whom string) *rateShard {
	return &l.shards[maphash.String(l.seed, whom)%uint64(len(l.shards))]
}

// spend takes one, if there is one. left is how many there are then, and back in what time there are all, or one where
// there is none.
func (l *Rates) spend(whom string, now time.Time) (left int64, back time.Duration, ok bool) {
	s, at := l.shard(whom), now.Sub(l.start)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.all[whom]
	used := t.full - at
	if !known || used <= 0 {
		used, t.untold = 0, 0 // what has come back is nothing to tell of
	}
	if used+l.each > l.per {
		return 0, used + l.each - l.per, false
	}
	used += l.each
	if !known && !s.room(l, now) {
		return 0, l.per, true
	}
	t.full = at + used
	if n := l.among.Load(); n > 1 {
		if t.untold == 0 {
			t.since = at
		}
		t.untold++
		if !t.due && l.matters(t, used, n) {
			t.due = s.owe(whom)
		}
	}
	s.all[whom] = t
	left = int64((l.per - used) / l.each)
	if left == 0 {
		return 0, used + l.each - l.per, true
	}
	return left, used, true
}

// room says whether one more caller may be kept. It forgets those to whom all has come back, now and then.
func (s *rateShard) room(l *Rates, now time.Time) bool {
	if len(s.all) >= min(l.most, 2*s.seen+64) && now.Sub(s.swept) >= time.Second {
		for whom, t := range s.all {
			if t.full <= now.Sub(l.start) {
				delete(s.all, whom)
			}
		}
		s.seen, s.swept = len(s.all), now
	}
	return len(s.all) < l.most
}

// matters says whether n processes should know what a caller has used here. What n-1 of them do not tell is less than half of
// what is allowed. So when a caller has used all of it, each knows of more than the other half, and tells whatever he uses.
func (l *Rates) matters(t tally, used time.Duration, n int64) bool {
	return t.untold > 0 && (2*used >= l.per || time.Duration(t.untold)*l.each >= l.per/time.Duration(2*n))
}

// owe notes that the others are to be told of a caller, if there is room.
func (s *rateShard) owe(whom string) bool {
	if len(s.due) >= mostDue {
		return false // the next request of his tries again
	}
	s.due = append(s.due, whom)
	return true
}

// name is how processes call a caller to each other. It begins as nobody else's does.
func (l *Rates) name(whom string) string {
	m := hmac.New(sha256.New, l.key)
	m.Write([]byte(whom))
	var sum [sha256.Size]byte
	m.Sum(sum[:0])
	return "\x00" + string(sum[:nameLen-1])
}

const nameLen = 16

func isName(whom string) bool { return len(whom) == nameLen && whom[0] == 0 }

// join goes over to names, once: somebody else is there.
func (l *Rates) join() {
	if l.named.Swap(true) {
		return
	}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		was := s.all
		s.all = make(map[string]tally, len(was))
		s.mu.Unlock()
		for whom, t := range was {
			if !isName(whom) {
				whom = l.name(whom)
			}
			to := l.shard(whom)
			to.mu.Lock()
			if now, known := to.all[whom]; !known || now.full < t.full {
				to.all[whom] = t
			}
			to.mu.Unlock()
		}
	}
}

// entry is what one process tells of a caller. All times are spans that have passed, or will pass, when it is told.
type entry struct {
	whom  string
	count int64         // what he has used there and nobody was told of yet
	age   time.Duration // of the first of it
	used  time.Duration // in which all that he has used comes back, as far as the process knows
}

// owed are the callers of whom the others should know now: those who have used most, at most so many.
func (l *Rates) owed(now time.Time, most int) []entry {
	at := now.Sub(l.start)
	var all []entry
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, whom := range s.due {
			if t, known := s.all[whom]; known && t.due {
				t.due = false
				s.all[whom] = t
				if t.full > at && isName(whom) {
					all = append(all, entry{whom: whom, used: t.full - at})
				}
			}
		}
		s.due = s.due[:0]
		s.mu.Unlock()
	}
	if len(all) > most { // the others are told of when they ask again
		slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(b.used, a.used) })
		all = all[:most]
	}
	for i := range all {
		e := &all[i]
		s := l.shard(e.whom)
		s.mu.Lock()
		if t, known := s.all[e.whom]; known {
			if e.used = max(0, t.full-at); t.untold > 0 {
				e.count, e.age = int64(t.untold), at-t.since
			}
			t.untold = 0
			s.all[e.whom] = t
		}
		s.mu.Unlock()
	}
	return all
}

// amongst notes how many processes there are. To one that is new all are told that have used more than a little.
func (l *Rates) amongst(n int, anew bool, now time.Time) {
	if n > 1 {
		l.join()
	}
	l.among.Store(int64(n))
	if !anew {
		return
	}
	at := now.Sub(l.start)
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for whom, t := range s.all {
			if used := t.full - at; !t.due && (8*used >= l.per || l.matters(t, used, int64(n))) {
				if t.due = s.owe(whom); !t.due {
					break
				}
				s.all[whom] = t
			}
		}
		s.mu.Unlock()
	}
}

// debt bounds what a caller may owe: as much as all processes can have let through before they knew of each other.
func (l *Rates) debt() time.Duration {
	return time.Duration(max(2, l.among.Load())) * (l.per + 2*time.Second)
}

// add counts what a caller has used at another process, which told it at most gap ago.
func (l *Rates) add(e entry, gap time.Duration, now time.Time) {
	s, at := l.shard(e.whom), now.Sub(l.start)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.all[e.whom]
	from := at - gap - e.age // it was used after that
	if known {
		from = max(from, t.full)
	}
	count := min(e.count, l.count+int64(e.age/l.each)+1) // more is not let through in that time
	s.raise(l, e.whom, from+time.Duration(count)*l.each, now)
}

// learn counts what another process knows that a caller has used, which told it at most gap ago: also what others have told it.
func (l *Rates) learn(e entry, gap time.Duration, now time.Time) {
	s := l.shard(e.whom)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raise(l, e.whom, now.Sub(l.start)-gap+e.used, now)
}

// raise notes that all that a caller has used comes back at full, or later.
func (s *rateShard) raise(l *Rates, whom string, full time.Duration, now time.Time) {
	at := now.Sub(l.start)
	full = min(full, at+l.debt())
	t, known := s.all[whom]
	if full <= at || known && full <= t.full || !known && !s.room(l, now) {
		return
	}
	t.full = full
	s.all[whom] = t
}
