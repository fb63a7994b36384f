package jobs

import (
	"context"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/spec"
)

// missedAfter is how late a tick may be done as if nothing had been. One that is later was missed: nobody was there.
const missedAfter = time.Minute

// tick enqueues the jobs of schedules. Each process does so for all of them: package data sees to it that a tick is done once.
func (p *Pool) tick(ctx context.Context) {
	last := map[string]time.Time{} // the tick of a schedule that is known to be passed
	wait := time.Duration(0)
	for len(p.schedules) > 0 && pause(ctx, wait) {
		wait = longest
		if !p.o.Ready() {
			continue
		}
		wait = time.Minute // a server's clock may be put forward
		for _, s := range p.schedules {
			left, err := p.due(ctx, s, last)
			if err != nil {
				if ctx.Err() == nil {
					p.o.Log.Warn("a schedule could not be looked after", "schedule", s.Name, "error", err)
				}
				left = longest
			}
			wait = min(wait, left)
		}
	}
}

// due does the ticks of a schedule that are due, and says how long it is to the next.
func (p *Pool) due(ctx context.Context, s *spec.Schedule, last map[string]time.Time) (left time.Duration, err error) {
	stored, now, err := p.db.LastTick(ctx, s.Name)
	if err != nil {
		return 0, err
	}
	if stored.IsZero() { // it begins now
		_, err := p.db.Tick(ctx, s.Name, now, nil)
		stored = now
		if err != nil {
			return 0, err
		}
	}
	if last[s.Name].Before(stored) {
		last[s.Name] = stored
	}
	for ctx.Err() == nil {
		tick, missed := following(s, last[s.Name], now)
		if tick.IsZero() || tick.After(now) {
			break
		}
		job := jobOf(s, tick)
		if missed && s.Skip {
			job = nil
			p.o.Log.Info("the ticks of a schedule were missed and are skipped", "schedule", s.Name, "last", tick)
		}
		if _, err := p.db.Tick(ctx, s.Name, tick, job); err != nil {
			return 0, err
		}
		last[s.Name] = tick
	}
	next := s.Next(last[s.Name])
	if next.IsZero() {
		return time.Minute, nil
	}
	return max(next.Sub(now), time.Millisecond), nil
}

// following is the tick that comes after the last one. Where ticks were missed it is the latest of them, for they are
// made up for once; missed says that it is one of those.
func following(s *spec.Schedule, last, now time.Time) (tick time.Time, missed bool) {
	tick = s.Next(last)
	if tick.IsZero() || now.Sub(tick) <= missedAfter {
		return tick, false
	}
	for next := s.Next(tick); !next.IsZero() && !next.After(now); next = s.Next(tick) {
		tick = next
		if now.Sub(tick) <= missedAfter {
			return tick, false
		}
	}
	return tick, true
}

// jobOf is what a tick of a schedule enqueues. Its key is for people.
func jobOf(s *spec.Schedule, tick time.Time) *data.NewJob {
	j := &data.NewJob{Kind: s.Job, Key: "schedule:" + s.Name + ":" + tick.UTC().Format(time.RFC3339)}
	switch {
	case s.Create != "":
		j.Kind, j.Payload = createKind, creation{s.Create, raw(s.Body)}
	case s.Delete != "":
		j.Kind, j.Payload, j.Timeout = deleteKind, deletion{s.Delete, s.Filter}, deleteTimeout
	default:
		j.Payload = raw(s.Body)
	}
	return j
}
