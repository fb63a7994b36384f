package data

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/bluell/plinth/data/driver"
)

// hints go between the processes of one database, where its engine can carry them (driver.Waker): that there may be
// something new in the log of changes or in a mailbox. They carry no data, and whoever gets none looks from time to time.
type hints struct {
	waker driver.Waker // nil: the engine carries none
	log   *slog.Logger

	mu        sync.Mutex
	due       bool // one is to be given
	giving    bool
	listeners map[int]func()
	next      int
	stop      context.CancelFunc
}

// spacing bounds how many hints one process gives: the first at once, what follows at the end of this. Who has just
// found something looks again that soon by himself.
const spacing = soon

func newHints(eng driver.Engine, log *slog.Logger) *hints {
	waker, _ := eng.(driver.Waker)
	return &hints{waker: waker, log: log, listeners: map[int]func(){}}
}

// give tells the other processes, beside whoever calls it and soon after.
func (h *hints) give() {
	if h.waker == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due = true
	if !h.giving {
		h.giving = true
		go h.run()
	}
}

func (h *hints) run() {
	for {
		h.mu.Lock()
		if !h.due {
			h.giving = false
			h.mu.Unlock()
			return
		}
		h.due = false
		h.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := h.waker.Wake(ctx); err != nil {
			h.log.Debug("other processes were not told that there is something new", "error", err)
		}
		cancel()
		time.Sleep(spacing)
	}
}

// take calls fn when another process gives a hint, until stop is called.
func (h *hints) take(fn func()) (stop func()) {
	if h.waker == nil {
		return func() {}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	id := h.next
	h.next++
	h.listeners[id] = fn
	if h.stop == nil {
		var ctx context.Context
		ctx, h.stop = context.WithCancel(context.Background())
		go h.listen(ctx)
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.listeners, id)
		if len(h.listeners) == 0 && h.stop != nil {
			h.stop()
			h.stop = nil
		}
	}
}

func (h *hints) listen(ctx context.Context) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := h.waker.Listen(ctx, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, fn := range h.listeners {
				fn()
			}
		})
		if ctx.Err() != nil {
			return
		}
		h.log.Debug("hints of other processes are not heard", "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}
