package certs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
)

// locks are certmagic's locks on the leases of the app's database: of all processes one orders a certificate. A lease is renewed
// while its lock is held; that of a process that died ends by itself.
type locks struct {
	db  func() *data.DB
	log *slog.Logger

	mu   sync.Mutex
	held map[string]*hold
}

// hold is a lock that is held.
type hold struct {
	lease   data.Lease
	release context.CancelFunc
	renewed chan struct{} // closed when no more is renewed
}

const (
	lockLife = 20 * time.Second       // of a lock whose process died
	lockWait = 500 * time.Millisecond // between two looks at a lock that another has
)

// leaseName fits the names of leases, however long a domain is.
func leaseName(name string) string {
	if len(name) > 80 {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return "certificates/" + name
}

// Lock waits until a lock is this caller's.
func (l *locks) Lock(ctx context.Context, name string) error {
	for {
		held, err := l.TryLock(ctx, name)
		if err != nil || held {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockWait):
		}
	}
}

// TryLock takes a lock if nobody has it.
func (l *locks) TryLock(ctx context.Context, name string) (bool, error) {
	holder := rand.Text() // each lock has another: those of one process exclude each other too
	lease, held, err := l.db().Lease(ctx, leaseName(name), holder, lockLife)
	if err != nil || !held {
		return false, err
	}
	h := &hold{lease: lease, renewed: make(chan struct{})}
	ctx, h.release = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(h.renewed)
		l.renew(ctx, lease)
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*hold{}
	}
	l.held[name] = h
	return true, nil
}

func (l *locks) renew(ctx context.Context, lease data.Lease) {
	tick := time.NewTicker(lockLife / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, held, err := l.db().Lease(ctx, lease.Name, lease.Holder, lockLife)
		if ctx.Err() == nil && (err != nil || !held || now.Term != lease.Term) {
			l.log.Warn("a lock of certificates could not be kept", "lock", lease.Name, "error", err)
		}
	}
}

// Unlock gives a lock back.
func (l *locks) Unlock(ctx context.Context, name string) error {
	l.mu.Lock()
	h := l.held[name]
	delete(l.held, name)
	l.mu.Unlock()
	if h == nil {
		return nil
	}
	h.release()
	<-h.renewed
	return l.db().Release(ctx, h.lease)
}
