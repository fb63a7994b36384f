package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// slot is what one server did in one slice of the run.
type slot struct {
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50ms"`
	P99       float64 `json:"p99ms"`
	CPU       float64 `json:"cpuMicros"`                // of the server, per request
	Database  float64 `json:"databaseMicros,omitempty"` // of its database's server, per request
	Noise     float64 `json:"noise"`                    // share of all cores that went to processes not ours
}

// fire sends requests over several connections for a while; every answer must have the
// wanted status.
func (s *site) fire(ctx context.Context, conns int, d time.Duration, next requests, status int) (slot, error) {
	clients := make([]*client, conns)
	for i := range clients {
		c, err := s.dial()
		if err != nil {
			return slot{}, err
		}
		defer c.close()
		clients[i] = c
	}

	var over atomic.Bool
	var wg sync.WaitGroup
	took := make([][]float64, conns)
	errs := make([]error, conns)
	before := s.cpu()
	began := time.Now()
	for i, c := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), uint64(began.UnixNano())))
			took[i], errs[i] = c.repeat(&over, rng, next, status)
			if errs[i] != nil {
				over.Store(true)
			}
		})
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	over.Store(true)
	wg.Wait()
	elapsed := time.Since(began)
	used := s.cpu().since(before)

	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return slot{}, fmt.Errorf("%s: %w", s.name, err)
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	n := len(all)
	return slot{
		PerSecond: float64(n) / elapsed.Seconds(),
		P50:       all[n/2],
		P99:       all[n*99/100],
		CPU:       1e6 * used.server / float64(n),
		Database:  1e6 * used.database / float64(n),
		Noise:     used.noise(),
	}, nil
}

// repeat asks until it is over and returns how many milliseconds each answer took.
func (c *client) repeat(over *atomic.Bool, rng *rand.Rand, next requests, status int) ([]float64, error) {
	took := make([]float64, 0, 1<<14)
	request := make([]byte, 0, 1<<10)
	began := time.Now()
	for !over.Load() || len(took) == 0 {
		request = next(request[:0], rng)
		got, _, err := c.ask(request, false)
		if err != nil {
			return nil, err
		}
		if got != status {
			return nil, fmt.Errorf("status %d instead of %d for %.80q", got, status, request)
		}
		now := time.Now()
		took = append(took, float64(now.Sub(began))/1e6)
		began = now
	}
	return took, nil
}
