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
	wait := time.Duration(0)
	for len(p.schedules) > 0 && pause(ctx, wait) {
		wait = longest
		if !p.o.Ready() {
			continue
		}
		wait = time.Minute // a server's clock may be put forward
		for _, s := range p.schedules {
			left, err := p.due(ctx, s)
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

// putBack is how far the clock of a database is put back before a schedule by times of day does what it has done already: less than that, and each
// time is done once.
const putBack = 3 * time.Hour

// due does the ticks of a schedule that are due, and says how long it is to the next.
func (p *Pool) due(ctx context.Context, s *spec.Schedule) (left time.Duration, err error) {
	last, now, err := p.db.LastTick(ctx, s.Name)
	if err != nil {
		return 0, err
	}
	if last.IsZero() { // it begins now
		last = now
		if _, err := p.db.Tick(ctx, s.Name, now, nil); err != nil {
			return 0, err
		}
	}
	most := putBack
	if s.Passes() { // a clock that is put right by less than the time between two ticks is waited for
		most = max(s.Next(last).Sub(last), missedAfter)
	}
	if ahead := last.Sub(now); ahead > most { // the clock was wrong, and was put back: it would not tick until it is as late again
		if err := p.db.Rewind(ctx, s.Name, last, now); err != nil {
			return 0, err
		}
		p.o.Log.Warn("the clock was put back: a schedule goes on from now", "schedule", s.Name, "ahead", ahead.Round(time.Second).String())
		last = now
	}
	for ctx.Err() == nil {
		tick, missed := following(s, last, now)
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
		last = tick
	}
	next := s.Next(last)
	if next.IsZero() {
		return time.Minute, nil
	}
	return max(next.Sub(now), time.Millisecond), nil
}

// following is the tick that comes after the last one. Where ticks were missed it is the latest that is due, for they are
// made up for once; missed says that it was missed itself.
func following(s *spec.Schedule, last, now time.Time) (tick time.Time, missed bool) {
	tick = s.Next(last)
	if tick.IsZero() || now.Sub(tick) <= missedAfter {
		return tick, false
	}
	for next := s.Next(tick); !next.IsZero() && !next.After(now); next = s.Next(tick) {
		tick = next
	}
	return tick, now.Sub(tick) > missedAfter
}

// jobOf is what a tick of a schedule enqueues. Its key is for people.
func jobOf(s *spec.Schedule, tick time.Time) *data.NewJob {
	j := &data.NewJob{Kind: s.Job, Key: "schedule:" + s.Name + ":" + tick.UTC().Format(time.RFC3339)}
	switch {
	case s.Create != "":
		j.Kind, j.Payload = createKind, creation{s.Create, raw(s.Body)}
	case s.Delete != "":
		j.Kind, j.Payload = deleteKind, deletion{s.Delete, s.Filter}
	default:
		j.Payload = raw(s.Body)
	}
	return j
}
