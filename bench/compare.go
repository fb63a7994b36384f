package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// compare is the main run: build, start, load, check, measure, print.
func compare(ctx context.Context, o options) error {
	lines, err := chosen(workLines, o)
	if err != nil {
		return err
	}
	apart := func(name string) bool {
		asked := len(lines)
		lines = slices.DeleteFunc(lines, func(l line) bool { return l.name == name })
		return len(lines) < asked
	}
	live, who, looked, crowded, slowly, secure := apart(liveLine), apart(identityLine), apart(sightLine), apart(overloadLine), apart(slowLine), apart(httpsLine)
	if o.db != "sqlite" { // another process is there already, and is measured with it
		o.starts, who, looked, crowded, slowly, secure = 0, false, false, false, false, false
	}
	peers, err := build(ctx, o)
	if err != nil {
		return err
	}
	if len(peers) == 0 {
		return errors.New("there is no server to measure")
	}
	eng, err := openEngine(ctx, o)
	if err != nil {
		return err
	}
	defer func() { eng.stop(o.keep) }()
	data, err := os.MkdirTemp(o.work, "run-")
	if err != nil {
		return err
	}
	if !o.keep {
		defer os.RemoveAll(data)
	}

	var sites []*site
	defer func() { stopAll(sites) }()
	for _, p := range peers {
		if eng != nil {
			if p, err = p.on(ctx, eng); err != nil {
				return err
			}
		}
		s, err := openSite(ctx, p, filepath.Join(data, p.name))
		if err != nil {
			return err
		}
		sites = append(sites, s)
		progress("%s: loading %d posts", s.name, o.posts)
		if err := s.load(o.posts); err != nil {
			return err
		}
		if eng != nil {
			if err := eng.settle(ctx, p.name); err != nil {
				return err
			}
		}
		if err := s.check(); err != nil {
			return err
		}
	}

	r := newReport("compare", o, sites)
	if err := measure(ctx, o, lines, sites, r); err != nil {
		return err
	}
	if at := slices.IndexFunc(sites, func(s *site) bool { return s.name == "plinth" }); crowded && at >= 0 {
		if r.Overload, err = measureOverload(ctx, o, sites[at]); err != nil {
			return err
		}
	}
	if at := slices.IndexFunc(sites, func(s *site) bool { return s.name == "plinth" }); slowly && at >= 0 {
		if r.Slow, err = measureSlow(ctx, o, sites[at]); err != nil {
			return err
		}
	}
	stopAll(sites)
	if live {
		if r.Live, err = measureLive(ctx, o, sites); err != nil {
			return err
		}
	}
	if at := slices.IndexFunc(peers, func(p peer) bool { return p.name == "plinth" }); who && at >= 0 {
		if r.Identity, err = measureIdentity(ctx, o, peers[at], filepath.Join(data, identityLine)); err != nil {
			return err
		}
	}
	if at := slices.IndexFunc(peers, func(p peer) bool { return p.name == "plinth" }); looked && at >= 0 {
		if r.Sight, err = measureSight(ctx, o, peers[at], filepath.Join(data, sightLine)); err != nil {
			return err
		}
	}
	if at := slices.IndexFunc(peers, func(p peer) bool { return p.name == "plinth" }); secure && at >= 0 {
		if r.HTTPS, err = measureHTTPS(ctx, o, peers[at], filepath.Join(data, httpsLine)); err != nil {
			return err
		}
	}
	if o.starts > 0 {
		r.Starts = measureStarts(ctx, o, peers, data)
	}
	r.print(os.Stdout)
	return r.save(o.json)
}

// measure runs every line on every server in alternation; each round begins with another
// server, so that none always has the quieter moment.
func measure(ctx context.Context, o options, lines []line, sites []*site, r *report) error {
	for _, l := range lines {
		for round := range o.rounds {
			for i := range sites {
				s := sites[(i+round)%len(sites)]
				next, before := l.requests(s), o.slot()/5
				if o.growth && round == 0 && !l.creates {
					before += settling
				}
				if _, err := s.fire(ctx, o.conns, before, next, l.status(s.api)); err != nil {
					return err
				}
				got, err := s.fireQuietly(ctx, o, next, l.status(s.api))
				if err != nil {
					return err
				}
				progress("%-8s round %d  %-14s %9.0f/s  p99 %.2f ms  cpu %3.0f us  noise %2.0f%%",
					l.name, round+1, s.name, got.PerSecond, got.P99, got.CPU, 100*got.Noise)
				r.add(l, s.name, got)
			}
		}
	}
	return nil
}

// fireQuietly measures again when other processes took much of the machine meanwhile, and
// keeps the quietest attempt.
func (s *site) fireQuietly(ctx context.Context, o options, next requests, status int) (best slot, err error) {
	for attempt := range 1 + o.retries {
		got, err := s.fire(ctx, o.conns, o.slot(), next, status)
		if err != nil {
			return slot{}, err
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
