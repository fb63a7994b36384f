package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// overloadLine asks Plinth for three times what it can answer: how much of that is still answered, how soon, and how
// long it takes afterwards until everything is.
const overloadLine = "overload"

const (
	overloadConns  = 4000 // more than may be under way and wait
	overloadTimes  = 3
	overloadPause  = time.Millisecond // else each answer would wake the crowd, and stop what the server does
	goodputGoal    = 0.8
	acceptedGoal   = 1000 // ms, 99 of 100
	recoveryGoal   = 10   // s
	recoveryWindow = 500 * time.Millisecond
)

// overload is what was measured: answers a second, and milliseconds.
type overload struct {
	Capacity slot    `json:"capacity"` // asked by as many connections as elsewhere, each when it was answered
	Offered  float64 `json:"offered"`  // asked
	Goodput  float64 `json:"goodput"`  // answered as they should be
	Refused  float64 `json:"refused"`  // 503
	P50      float64 `json:"p50ms"`    // of the former
	P99      float64 `json:"p99ms"`
	Recovery float64 `json:"recoverySeconds"` // until none of half the capacity is refused, and 99 of 100 take less than 100 ms
}

func measureOverload(ctx context.Context, o options, s *site) (*overload, error) {
	next := groups(s)
	m := &overload{}
	var err error
	if m.Capacity, err = s.fireQuietly(ctx, o, next, http.StatusOK); err != nil {
		return nil, err
	}
	progress("overload: %.0f/s are answered to %d connections", m.Capacity.PerSecond, o.conns)
	crowd, err := newCrowd(s.addr, overloadConns)
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	crowd.pause = overloadPause
	d := max(o.slot(), 5*time.Second)
	if _, err := crowd.ask(ctx, overloadTimes*m.Capacity.PerSecond, time.Second, next); err != nil { // it begins at once
		return nil, err
	}
	got, err := crowd.ask(ctx, overloadTimes*m.Capacity.PerSecond, d, next)
	if err != nil {
		return nil, err
	}
	m.Offered, m.Goodput, m.Refused = got.rate(got.asked), got.rate(len(got.took)), got.rate(got.refused)
	m.P50, m.P99 = got.at(0.5), got.at(0.99)
	progress("overload: %.0f/s are asked, %.0f/s answered, %.0f/s refused, p99 %.0f ms", m.Offered, m.Goodput, m.Refused, m.P99)
	for began := time.Now(); ; {
		if got, err = crowd.ask(ctx, m.Capacity.PerSecond/2, recoveryWindow, next); err != nil {
			return nil, err
		}
		m.Recovery = time.Since(began).Seconds()
		if got.refused == 0 && got.at(0.99) < 100 {
			break
		}
		if m.Recovery > 60 {
			return nil, errors.New("overload: the server does not recover")
		}
	}
	progress("overload: after %.1f s half of it is answered as before", m.Recovery)
	return m, nil
}

// groups cost the server much more than who asks for them: else on one machine the crowd would take what it measures.
func groups(*site) requests {
	var paths []string
	for _, status := range statuses {
		paths = append(paths, "/api/posts?group=status&aggregate=count&filter="+url.QueryEscape(`status == "`+status+`"`))
	}
	return func(b []byte, rng *rand.Rand) []byte { return appendGet(b, paths[rng.IntN(len(paths))], "") }
}

func (m *overload) print(out io.Writer) {
	met := func(ok bool) string {
		if ok {
			return "yes"
		}
		return "NO"
	}
	fmt.Fprintf(out, "\noverload, counts of posts by status: %.0f/s can be answered, %.0f/s are asked over %d connections\n", m.Capacity.PerSecond, m.Offered, overloadConns)
	share := m.Goodput / m.Capacity.PerSecond
	fmt.Fprintf(out, "  answered %.0f/s = %.2f, goal >= %.1f: %s; refused %.0f/s\n", m.Goodput, share, goodputGoal, met(share >= goodputGoal), m.Refused)
	fmt.Fprintf(out, "  p50 %.0f ms, p99 %.0f ms, goal < %d ms: %s\n", m.P50, m.P99, acceptedGoal, met(m.P99 < acceptedGoal))
	fmt.Fprintf(out, "  as before after %.1f s, goal < %d s: %s\n", m.Recovery, recoveryGoal, met(m.Recovery < recoveryGoal))
}
