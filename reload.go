package plinth

import (
	"context"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/certs"
)

// Reload reads the app file again and serves it: it is compiled, the steps of its schema that lose
// nothing are applied, and what answers requests is replaced; without Dev a database that differs from
// the app file is an error, as in Open. When anything is wrong, what was served before goes on. It returns
// the steps in words.
func (p *Plinth) Reload(ctx context.Context) (steps []string, err error) {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	app, err := load(p.dir, &p.o)
	if err != nil {
		return nil, err
	}
	if p.jobs.began() {
		if err := app.CheckKinds(p.o.kindNames()); err != nil {
			return nil, err
		}
	}
	m, err := data.Plan(ctx, app, p.eng, p.secret)
	if err != nil {
		return nil, err
	}
	if len(m.Steps) > 0 {
		if err := p.mayApply(m); err != nil {
			return nil, err
		}
	}
	others, err := p.recertify(ctx, app)
	if err != nil {
		return nil, err
	}
	defer func() {
		if others != nil && others.close != nil {
			others.close() // the old ones stay
		}
	}()
	p.jobs.pause() // jobs under way end, or are given back
	defer p.jobs.resume()
	old := p.now.Load()
	old.live.Cut()             // who listens comes back to what is served then
	p.requests.close(patience) // the requests under way are answered by what they began with
	defer p.requests.open()
	old.gate.Close()
	if err := m.Apply(ctx, p.eng, ApplyOptions{}); err != nil {
		return nil, p.back(old, err)
	}
	next, err := p.wire(ctx, app, nil)
	if err != nil {
		return nil, p.back(old, err)
	}
	p.now.Store(next)
	if others != nil {
		if m, is := others.source.(*certs.Managed); is {
			m.Load(ctx)
		}
		p.https.put(others)
		others = nil
	}
	old.live.Close()
	if app.Server.Operator != old.app.Server.Operator {
		p.o.tell("server.operator counts from the next start: plinth reload")
	}
	p.unfit.Store(false)
	for _, s := range m.Steps {
		steps = append(steps, s.Text)
	}
	return steps, nil
}

// patience is how long a reload waits for the requests under way. A download may go on for longer: it is
// past the database by then.
const patience = 5 * time.Second

// back makes the engine serve the app that is still in place.
func (p *Plinth) back(old *served, err error) error {
	if e := p.eng.Use(old.app); e != nil {
		p.o.log.Error("the last good app file cannot be served any more", "error", e)
	}
	return err
}
