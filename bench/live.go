package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// liveSlot is what one server did for its subscribers in one round.
type liveSlot struct {
	PerSecond float64 `json:"deliveriesPerSecond"` // as fast as it can
	Writes    float64 `json:"writesPerSecond"`     // that were delivered
	CPU       float64 `json:"cpuMicros"`           // of the server, per delivery
	Client    float64 `json:"clientShare"`         // of the processor time that client and server used together
	Steady    float64 `json:"steadyPerSecond"`     // deliveries at the fixed rate
	SteadyCPU float64 `json:"steadyCPUMicros"`     // as CPU and Client, there
	SteadyOwn float64 `json:"steadyClientShare"`
	P50       float64 `json:"p50ms"` // at the fixed rate, from a write to an event
	P99       float64 `json:"p99ms"`
	Memory    float64 `json:"kilobytesPerConnection"`
	Noise     float64 `json:"noise"`
}

// liveWrites is the fixed rate of writes. To 2,000 subscribers that is 40,000 deliveries a second.
const liveWrites = 20

// measureLive starts those of the servers that have live updates, in alternation, alone and anew each time: what it
// served before is not in its memory.
func measureLive(ctx context.Context, o options, sites []*site) (map[string][]liveSlot, error) {
	sites = slices.DeleteFunc(slices.Clone(sites), func(s *site) bool { return s.api.live == "" })
	if len(sites) == 0 {
		return nil, errors.New("the line live needs a server that has live updates: plinth or pocketbase (-only)")
	}
	most, err := raiseFiles()
	if err == nil && most < o.subscribers+100 {
		err = fmt.Errorf("%d subscribers need as many open files, and %d are allowed: raise the hard limit, or lower -subscribers", o.subscribers, most)
	}
	if err != nil {
		return nil, err
	}
	all := map[string][]liveSlot{}
	for round := range o.rounds {
		for i := range sites {
			s := sites[(i+round)%len(sites)]
			got, err := s.liveQuietly(ctx, o)
			if err != nil {
				return nil, err
			}
			progress("live     round %d  %-14s %9.0f deliveries/s  p99 %.2f ms at %.0f/s  %.1f KB each  cpu %.1f us  client's share %.0f%%  noise %2.0f%%",
				round+1, s.name, got.PerSecond, got.P99, got.Steady, got.Memory, got.CPU, 100*got.Client, 100*got.Noise)
			all[s.name] = append(all[s.name], got)
		}
	}
	return all, nil
}

// liveQuietly measures again, as fireQuietly does.
func (s *site) liveQuietly(ctx context.Context, o options) (best liveSlot, err error) {
	for attempt := range 1 + o.retries {
		got, err := s.live(ctx, o)
		if err != nil {
			return liveSlot{}, err
		}
		if attempt == 0 || got.Noise < best.Noise {
			best = got
		}
		if best.Noise < loud {
			break
		}
	}
	return best, nil
}

// live is one round of one server.
func (s *site) live(ctx context.Context, o options) (got liveSlot, err error) {
	if err := s.start(ctx); err != nil {
		return got, err
	}
	defer s.stop()
	subs, err := newSubscribers(s)
	if err != nil {
		return got, err
	}
	defer subs.close()
	// the first subscriber stays out of the figure: with it comes what there is once
	if err := subs.open(ctx, 1); err != nil {
		return got, err
	}
	alone := s.settled(ctx)
	if err := subs.open(ctx, o.subscribers); err != nil {
		return got, err
	}
	got.Memory = 1024 * (s.settled(ctx) - alone) / float64(o.subscribers-1)
	if err := subs.read(); err != nil {
		return got, err
	}

	if _, err := subs.hurry(ctx, o, o.slot()/5); err != nil {
		return got, err
	}
	before, began := s.cpu(), time.Now()
	writes, err := subs.hurry(ctx, o, o.slot())
	if err != nil {
		return got, err
	}
	elapsed, used := time.Since(began).Seconds(), s.cpu().since(before)
	deliveries := float64(writes * len(subs.streams))
	got.PerSecond, got.Writes = deliveries/elapsed, float64(writes)/elapsed
	got.CPU, got.Client, got.Noise = 1e6*used.server/deliveries, used.own/(used.own+used.server), used.noise()

	for i := range subs.took {
		subs.took[i] = subs.took[i][:0]
	}
	before, began = s.cpu(), time.Now()
	if err := subs.pace(ctx, o.slot()); err != nil {
		return got, err
	}
	elapsed, used = time.Since(began).Seconds(), s.cpu().since(before)
	took := slices.Concat(subs.took...)
	slices.Sort(took)
	got.Steady, got.SteadyCPU, got.SteadyOwn = float64(len(took))/elapsed, 1e6*used.server/float64(len(took)), used.own/(used.own+used.server)
	got.Noise = max(got.Noise, used.noise())
	got.P50, got.P99 = took[len(took)/2], took[len(took)*99/100]
	return got, nil
}

// hurry lets writers write for a while, each its next post once everybody was told of its last, and says how many.
func (subs *subscribers) hurry(ctx context.Context, o options, d time.Duration) (int, error) {
	before := subs.numbers.Load()
	until := time.Now().Add(d)
	err := subs.together(o.conns, func(_ int, c *client) error {
		for time.Now().Before(until) {
			t, err := subs.write(c, time.Time{})
			if err == nil {
				err = subs.await(ctx, t)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return int(subs.numbers.Load() - before), cmp.Or(err, subs.check())
}

// pace writes at the fixed rate. A write that is late because the one before was not answered counts from when it
// was due.
func (subs *subscribers) pace(ctx context.Context, d time.Duration) error {
	const writers = 4
	began, writes := time.Now(), int(d.Seconds()*liveWrites)
	all := make([]*told, writes)
	err := subs.together(writers, func(w int, c *client) (err error) {
		for i := w; i < writes; i += writers {
			due := began.Add(time.Duration(i) * time.Second / liveWrites)
			at := due
			if wait := time.Until(due); wait > 0 {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return ctx.Err()
				}
				at = time.Time{}
			}
			if all[i], err = subs.write(c, at); err != nil {
				return err
			}
		}
		return nil
	})
	for _, t := range all {
		if err == nil {
			err = subs.await(ctx, t)
		}
	}
	return cmp.Or(err, subs.check())
}

// together gives each of several writers a connection.
func (subs *subscribers) together(writers int, write func(w int, c *client) error) error {
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		c, err := dial(subs.site.addr)
		if err != nil {
			return err
		}
		defer c.close()
		wg.Go(func() { errs[w] = write(w, c) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// settled is the server's memory in MB once it stays the same, or after ten seconds.
func (s *site) settled(ctx context.Context) float64 {
	last := resident(s.cmd.Process.Pid)
	for range 20 {
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return last
		}
		now := resident(s.cmd.Process.Pid)
		if now < 1.002*last && last < 1.002*now {
			return now
		}
		last = now
	}
	return last
}
