package plinth

import (
	"context"
	"net/http"
	"os"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/internal/live"
	"github.com/bluell/plinth/internal/serve"
	"github.com/bluell/plinth/internal/telemetry"
	"github.com/bluell/plinth/spec"
)

// observe makes what tells how the server is, as far as anybody wants to know: metrics where the app has a listener for
// operators, traces where the environment names a receiver, times in answers with Dev.
func (p *Plinth) observe(app *spec.App) (err error) {
	p.sight, err = telemetry.New(telemetry.Options{Metrics: app.Server.Operator.Listen != "", Timing: p.o.dev, Env: os.LookupEnv, Name: app.Name,
		Version: Version(), Engine: p.eng.Name(), Log: p.o.log})
	p.sight.Watch(telemetry.Sources{
		Database:     p.load,
		Jobs:         p.queued,
		Connections:  p.crowd.Count,
		Changes:      p.logged,
		Live:         func() int { return p.now.Load().live.Count() },
		Deliveries:   live.Deliveries,
		Certificates: p.https.expiries,
	})
	return err
}

// observer is sight as a room declares it: nil where nobody looks.
func observer[T any](sight *telemetry.Telemetry) (none T) {
	if sight == nil {
		return none
	}
	return any(sight).(T)
}

func (p *Plinth) load() (d telemetry.Database, ok bool) {
	own := p.eng
	if h, ok := own.(*held); ok {
		own = h.Engine
	}
	eng, ok := own.(driver.Loaded)
	if !ok {
		return d, false
	}
	l := eng.Load()
	d = telemetry.Database{InUse: l.InUse, Idle: l.Idle, Most: l.Most, Waiting: l.Waiting, Queue: l.Queue}
	if g := l.Groups; g != nil {
		d.Commits, d.Writes, d.Sizes, d.Bounds = g.Commits, g.Writes, g.Sizes, driver.GroupSizes
	}
	return d, true
}

func (p *Plinth) queued(ctx context.Context) (j telemetry.Jobs, err error) {
	j.States, j.Oldest, err = p.DB().Queued(ctx)
	return j, err
}

func (p *Plinth) logged(ctx context.Context) (c telemetry.Changes, err error) {
	s := p.now.Load()
	c.Told = s.live.At() // first: what comes meanwhile is not behind
	c.Newest, err = s.db.Logged(ctx)
	return c, err
}

// operator is the listener of whoever runs the app, who can ask how it is when there are too many connections; false: it has none.
func (p *Plinth) operator(health http.Handler) (l serve.Listener, ok bool) {
	at := p.App().Server.Operator.Listen
	if at == "" || p.sight == nil {
		return l, false
	}
	return serve.Listener{Name: "operator", Address: at, Handler: p.sight.Operator(onlyHealth(health)), Opened: func(url string) {
		text := "for operators, without sign-in: " + url + "/metrics, /debug/pprof/, /healthz, /readyz"
		if !p.App().Server.Operator.Local() {
			text += "; whoever reaches that address sees them"
		}
		p.o.tell(text)
	}}, true
}
