package web

import (
	"container/list"
	"math/rand/v2"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/fault"
)

// Load bounds how much work is under way at once. The listeners of one process share one. More requests than that wait in a line, and more
// than can be answered soon are refused at once: a server that takes whatever comes answers everybody late, and soon nobody in time.
//
// How much is soon is measured: by how many were answered in the last moments. Whoever waits for his client, to send a body
// or to take an answer, does no work.
//
// Requests wait before they come here, too: for a processor. Where each is answered without a pause none sees that others wait,
// and the line stays empty while thousands stand before the door. So it is measured how long one who is ready waits for a
// processor; when that is long, those who are let in step back once, and all who wait come to stand in the line, or are refused.
type Load struct {
	inside  atomic.Int64
	slots   atomic.Int64 // how many may be inside
	most    atomic.Int64 // how many may wait
	waiting atomic.Int64 // the length of line

	mu   sync.Mutex
	line list.List // of chan struct{}: first come, first served

	crowded atomic.Bool // who is ready waits long for a processor

	start  time.Time
	window atomic.Int64 // when the present one began, in nanoseconds after start
	done   atomic.Int64 // answers in it
	rate   float64      // answers a second, lately; whoever closes a window writes it

	refused atomic.Int64 // and not told yet
	told    atomic.Int64 // when it was told last, in nanoseconds after start
}

const (
	fewestSlots = 64
	mostSlots   = 512 // twice what SQLite commits together
	shortLine   = 512
	longLine    = 16_384
	crowdedLine = 256
	crowdSize   = 32 // fewer who are ready are no crowd

	loadWindow  = 100 * time.Millisecond
	workTime    = 50 * time.Millisecond  // that what is inside should take: it may wait for a disk, and is better written together
	lineTime    = 150 * time.Millisecond // that the line should take
	crowdedWork = 20 * time.Millisecond  // the same where they wait for a processor
	crowdedTime = 100 * time.Millisecond
	patience    = 300 * time.Millisecond // after which one who waits is refused
	crowdTime   = 50 * time.Millisecond  // that one who is ready waits for a processor
	longer      = 5 * time.Second        // patience with live connections: a browser does not come back from a refusal
)

// NewLoad is the load of a process.
func NewLoad() *Load {
	l := &Load{start: time.Now()}
	l.slots.Store(mostSlots)
	l.most.Store(shortLine)
	return l
}

// overloaded are told when to come back: not all at once.
var overloaded = [...]error{busy(1), busy(2), busy(3)}

func busy(s int) error {
	return &fault.Error{Kind: fault.Unavailable, After: time.Duration(s) * time.Second, Msg: "the server has more to do than it can at the moment: try again later"}
}

// unbounded are answered whatever the load is: whoever asks wants to know how the server is.
func unbounded(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// enter waits until there is room, and fails when that takes too long.
func (l *Load) enter(r *http.Request) error {
	if l.waiting.Load() == 0 {
		if l.inside.Add(1) <= l.slots.Load() {
			l.stepBack()
			return nil
		}
		l.inside.Add(-1)
	}
	l.mu.Lock()
	if l.waiting.Load() >= l.most.Load() {
		l.mu.Unlock()
		return l.refuse()
	}
	turn := make(chan struct{})
	place := l.line.PushBack(turn)
	l.waiting.Add(1)
	l.admit() // somebody may have left before he saw that one waits
	l.mu.Unlock()
	wait := patience
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") || r.Header.Get("Upgrade") != "" {
		wait = longer
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-turn:
		l.stepBack()
		return nil
	case <-timer.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-turn: // at the last moment
		return nil
	default:
	}
	l.line.Remove(place)
	l.waiting.Add(-1)
	return l.refuse()
}

// stepBack lets those who wait for a processor come in before, if they have waited long. Without it whoever is let in from the
// line goes first, before all who were never looked at.
func (l *Load) stepBack() {
	if l.crowded.Load() {
		runtime.Gosched()
	}
}

func (l *Load) refuse() error {
	l.refused.Add(1)
	return overloaded[rand.IntN(len(overloaded))]
}

// admit lets those in for whom there is room. The lock is held.
func (l *Load) admit() {
	for l.line.Len() > 0 && l.inside.Load() < l.slots.Load() {
		l.inside.Add(1)
		l.waiting.Add(-1)
		close(l.line.Remove(l.line.Front()).(chan struct{}))
	}
}

// pause is for whoever waits for his client, until resume.
func (l *Load) pause() {
	l.inside.Add(-1)
	if l.waiting.Load() > 0 {
		l.mu.Lock()
		l.admit()
		l.mu.Unlock()
	}
}

func (l *Load) resume() { l.inside.Add(1) }

// leave ends what enter began.
func (l *Load) leave() {
	l.done.Add(1)
	began, now := l.window.Load(), int64(time.Since(l.start))
	closes := now-began >= int64(loadWindow) && l.window.CompareAndSwap(began, now)
	if closes {
		l.measure(time.Duration(now - began))
	}
	l.pause()
	if closes {
		l.look()
	}
}

// look says whether those who are ready wait long for a processor: whether they are more than are answered in crowdTime.
func (l *Load) look() {
	sample := [1]metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	metrics.Read(sample[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crowded.Store(float64(sample[0].Value.Uint64()) > max(crowdSize, l.rate*crowdTime.Seconds()))
}

// room sets how many are let in, and how many may wait: as many as are soon answered. While there is no crowd the rate says what is
// asked for, not what could be answered, and few may be let in only because few came. The lock is held.
func (l *Load) room() {
	work, line, shortest := workTime, lineTime, float64(shortLine)
	if l.crowded.Load() {
		work, line, shortest = crowdedWork, crowdedTime, crowdedLine
	}
	l.slots.Store(int64(min(max(l.rate*work.Seconds(), fewestSlots), mostSlots)))
	l.most.Store(int64(min(max(l.rate*line.Seconds(), shortest), longLine)))
}

// measure closes a window. After a time in which nobody asked nothing is known.
func (l *Load) measure(took time.Duration) {
	n := float64(l.done.Swap(0)) / took.Seconds()
	l.mu.Lock()
	defer l.mu.Unlock()
	if took > 20*loadWindow {
		l.rate = 0
		l.slots.Store(mostSlots)
		l.most.Store(shortLine)
		return
	}
	if l.rate == 0 {
		l.rate = n
	}
	l.rate = (l.rate + n) / 2
	l.room()
}

// tell gives how many were refused since it was told last, once a second.
func (l *Load) tell() (n int64) {
	was, now := l.told.Load(), int64(time.Since(l.start))
	if now-was < int64(time.Second) || !l.told.CompareAndSwap(was, now) {
		return 0
	}
	return l.refused.Swap(0)
}
