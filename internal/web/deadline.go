package web

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Endless is the request without the deadline of server.limits.timeout, for an answer that goes on
// for as long as the client listens. Only the act that gives such an answer knows that it does: no
// header of a client asks for this.
func Endless(w http.ResponseWriter, r *http.Request) *http.Request {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if rec := recorderOf(w); rec != nil {
		rec.leave()
		rec.endless = true
		if rec.observer != nil {
			rec.observer.Streams(rec.ctx)
		}
	}
	if whole, ok := r.Context().Value(before{}).(context.Context); ok {
		return r.WithContext(whole)
	}
	return r
}

// Aside says that the request of ctx waits for what has a bound of its own, until back is called. It takes no place
// then among those whose work is under way.
func Aside(ctx context.Context) (back func()) {
	rec, ok := ctx.Value(working{}).(*recorder)
	if !ok {
		return func() {}
	}
	rec.pause()
	return rec.resume
}

// working is the key of the recorder that answers the request of a context.
type working struct{}

// before is the key of the context that a deadline was put upon.
type before struct{}

// deadline is a context that ends at a moment. Unlike context.WithDeadline it starts a timer only
// when somebody waits for it: most requests are answered before anybody does.
type deadline struct {
	context.Context
	at time.Time
	by *recorder

	mu     sync.Mutex
	inner  context.Context // made by the first who waits
	cancel context.CancelFunc
}

func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

func (d *deadline) Value(key any) any {
	switch key {
	case before{}:
		return d.Context
	case working{}:
		return d.by
	}
	return d.Context.Value(key)
}

func (d *deadline) waited() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inner == nil {
		d.inner, d.cancel = context.WithDeadline(d.Context, d.at)
	}
	return d.inner
}

func (d *deadline) Done() <-chan struct{} { return d.waited().Done() }

func (d *deadline) Err() error {
	d.mu.Lock()
	inner := d.inner
	d.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Err()
	case d.Context.Err() != nil:
		return d.Context.Err()
	case !time.Now().Before(d.at):
		return context.DeadlineExceeded
	}
	return nil
}

// AfterFunc is what package context asks of a context that is not its own, so that nobody has to
// wait in a goroutine.
func (d *deadline) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(d.waited(), f) }

// end frees the timer, if one was started.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel()
	}
}
