package plinth

import (
	"context"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// rates are the counts of callers. A reload that leaves the limit as it is leaves them too.
func (p *Plinth) rates(app *spec.App) (*web.Rates, error) {
	limit := app.Server.Limits.Requests
	if old := p.now.Load(); old != nil && old.app.Server.Limits.Requests == limit {
		return old.rates, nil
	}
	key, err := data.Derive(p.secret, "name callers")
	if err != nil {
		return nil, err
	}
	return web.NewRates(limit, key), nil
}

// share tells other processes of the database what callers have asked here, and hears what they have asked there, until ctx ends.
func (p *Plinth) share(ctx context.Context) {
	var by *served
	var with *web.Gossip
	leave := func() {
		if with != nil {
			with.Leave()
			with = nil
		}
	}
	defer func() { leave() }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if s := p.now.Load(); s != by {
			leave()
			by, with = s, p.gossip(s)
		}
		next := fitEvery // until there is a limit
		if with != nil && !p.unfit.Load() {
			next = with.Round(ctx)
		}
		timer.Reset(next)
	}
}

func (p *Plinth) gossip(s *served) *web.Gossip {
	if s.rates == nil {
		return nil
	}
	board, err := s.db.Board("_rates")
	if err != nil {
		p.o.log.Error("callers are counted by this process alone", "error", err)
		return nil
	}
	return web.NewGossip(s.rates, board, p.o.log)
}
