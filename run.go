package plinth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bluell/plinth/internal/serve"
	"github.com/bluell/plinth/spec"
)

// Listening says where Run serves and whom it tells.
type Listening struct {
	Listen string           // host:port; port 0 picks a free one
	Ready  func(url string) // called once, when requests are answered
}

const sweepEvery = 15 * time.Minute

// Run opens the app in a folder and serves it until ctx ends or the process is told to end. With Dev it
// follows the app file: a good one replaces what is served, a wrong one is told and changes nothing.
func Run(ctx context.Context, dir string, l Listening, opts ...Option) error {
	p, err := Open(ctx, dir, opts...)
	if err != nil {
		return err
	}
	err = p.Serve(ctx, l)
	return errors.Join(err, p.Close())
}

// Serve serves an open app, as Run does.
func (p *Plinth) Serve(ctx context.Context, l Listening) error {
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { p.sweeping(ctx) })
	if p.o.orphans {
		beside.Go(func() { p.removingOrphans(ctx) })
	}
	if p.o.dev {
		beside.Go(func() { serve.Watch(ctx, p.dir, func() { p.follow(ctx) }) })
	}
	err := serve.Run(ctx, p.Handler(), serve.Options{Listen: l.Listen, Limits: p.App().Server.Limits, Ready: l.Ready, Log: p.o.log})
	cancel()
	beside.Wait()
	return err
}

// sweeping removes what has expired, from time to time.
func (p *Plinth) sweeping(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := p.DB().Sweep(ctx); err != nil && ctx.Err() == nil {
				p.o.log.Warn("what has expired could not be removed", "error", err)
			}
		}
	}
}

// removingOrphans looks for uploads that no record names, at the start and from time to time.
func (p *Plinth) removingOrphans(ctx context.Context) {
	tick := time.NewTicker(orphansEvery)
	defer tick.Stop()
	for {
		if err := p.removeOrphans(ctx); err != nil && ctx.Err() == nil {
			p.o.log.Warn("uploads that no record names could not be removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow is Reload after a save, told to whoever works on the app.
func (p *Plinth) follow(ctx context.Context) {
	steps, err := p.Reload(ctx)
	var wrong *spec.Problems
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &wrong):
		p.o.tell("the app file is wrong, the last good one is served:\n" + wrong.Error())
	case err != nil:
		p.o.tell("the last good app file is served: " + err.Error())
	case len(steps) > 0:
		text := "the app file was read again:"
		for _, s := range steps {
			text += "\n  " + s
		}
		p.o.tell(text)
	default:
		p.o.tell("the app file was read again")
	}
}
