package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// overloadLine asks Plinth for three times what it can answer: how much of that is still answered, how soon, and how
// long it takes afterwards until everything is.
const overloadLine = "overload"

const (
	overloadConns  = 4000 // more than may be under way and wait
	overloadTimes  = 3
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

// crowd are connections that ask at a rate of their own, whether the server keeps up or not; each waits for its answer
// before it asks again.
type crowd struct {
	clients []*client
	dice    []*rand.Rand
}

func newCrowd(addr string, n int) (*crowd, error) {
	c := &crowd{}
	for i := range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			c.close()
			return nil, err
		}
		c.clients = append(c.clients, &client{conn: conn, in: bufio.NewReaderSize(conn, 4<<10)})
		c.dice = append(c.dice, rand.New(rand.NewPCG(uint64(i), 11)))
	}
	return c, nil
}

func (c *crowd) close() {
	for _, cl := range c.clients {
		cl.close()
	}
}

// asked is what a crowd has seen.
type asked struct {
	asked, refused int
	took           []float64 // ms, of the answers that were as they should be
	time           time.Duration
}

func (a asked) rate(n int) float64 { return float64(n) / a.time.Seconds() }

func (a asked) at(share float64) float64 {
	if len(a.took) == 0 {
		return 0
	}
	slices.Sort(a.took)
	return a.took[int(share*float64(len(a.took)-1))]
}

// ask asks for a time, perSecond in all.
func (c *crowd) ask(ctx context.Context, perSecond float64, d time.Duration, next requests) (all asked, err error) {
	each := time.Duration(float64(len(c.clients)) / perSecond * float64(time.Second))
	var mu sync.Mutex
	var wg sync.WaitGroup
	var over atomic.Bool
	began := time.Now()
	for i, cl := range c.clients {
		wg.Go(func() {
			rng := c.dice[i]
			var own asked
			var failed error
			request := make([]byte, 0, 256)
			due := began.Add(time.Duration(rng.Int64N(int64(each)))) // each keeps the moment that is his: else all would ask at once
			timer := time.NewTimer(time.Until(due))
			defer timer.Stop()
			for failed == nil {
				select {
				case <-timer.C:
				case <-ctx.Done():
					failed = ctx.Err()
					continue
				}
				if over.Load() {
					break
				}
				request = next(request[:0], rng)
				from := time.Now()
				status, _, err := cl.ask(request, false)
				own.asked++
				switch {
				case err != nil:
					failed = err
				case status == http.StatusOK:
					own.took = append(own.took, float64(time.Since(from))/1e6)
				case status == http.StatusServiceUnavailable:
					own.refused++
				default:
					failed = fmt.Errorf("overload: status %d", status)
				}
				if due = due.Add(each); time.Until(due) < -each { // what could not be asked in time is not asked at once
					due = time.Now()
				}
				if left := time.Until(began.Add(d)); time.Until(due) > left {
					break
				}
				timer.Reset(time.Until(due))
			}
			mu.Lock()
			defer mu.Unlock()
			all.asked += own.asked
			all.refused += own.refused
			all.took = append(all.took, own.took...)
			err = errors.Join(err, failed)
		})
	}
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	over.Store(true)
	all.time = time.Since(began)
	wg.Wait()
	return all, err
}
