package oidc

import (
	"context"
	"sync"
	"time"
)

// How long what a provider tells of itself is kept.
const (
	fresh = time.Hour        // before it is fetched anew
	stale = 24 * time.Hour   // when it cannot be fetched anew
	pause = 30 * time.Second // between two fetches, whoever asks for another: a token with a key that nobody has costs none
	retry = 5 * time.Second  // after a fetch that failed, while there is nothing
)

// kept is something of a provider's. One at a time fetches it; those who come meanwhile wait for him.
type kept[T any] struct {
	fetch func(context.Context) (T, error)
	clock func() time.Time
	turn  chan struct{} // of who fetches

	mu     sync.Mutex
	value  T
	at     time.Time // when it was fetched; zero: never
	tried  time.Time
	failed error // the last fetch
}

func keep[T any](clock func() time.Time, fetch func(context.Context) (T, error)) *kept[T] {
	return &kept[T]{fetch: fetch, clock: clock, turn: make(chan struct{}, 1)}
}

// get is what is kept. newer asks for what was fetched after now, as far as pause allows.
func (k *kept[T]) get(ctx context.Context, newer bool) (T, error) {
	since := k.clock()
	if v, err, done := k.look(since, newer); done {
		return v, err
	}
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	defer func() { <-k.turn }()
	if v, err, done := k.look(since, newer); done {
		return v, err
	}
	// Whoever asked may go: the others want it too. The client of the room ends it.
	v, err := k.fetch(context.WithoutCancel(ctx))
	k.mu.Lock()
	now := k.clock()
	k.tried, k.failed = now, err
	if err == nil {
		k.value, k.at = v, now
	}
	k.mu.Unlock()
	v, err, _ = k.look(since, false)
	return v, err
}

// look says what there is, and whether it is to be taken without a fetch.
func (k *kept[T]) look(since time.Time, newer bool) (v T, err error, done bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock()
	has := !k.at.IsZero() && now.Sub(k.at) < stale
	wait := pause
	if !has {
		wait = retry
	}
	rests := !k.tried.IsZero() && now.Sub(k.tried) < wait
	switch {
	case has && (rests || !newer && now.Sub(k.at) < fresh):
		return k.value, nil, true
	case rests:
		return v, k.failed, true
	case has:
		return k.value, nil, false
	}
	return v, k.failed, false
}
