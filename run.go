package plinth

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/serve"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Listening says where an app is served and who is told.
type Listening struct {
	Listen string           // host:port; port 0 picks a free one. "": 127.0.0.1:8080, or nowhere beside server.http and server.https
	TLS    bool             // with Dev: by https, by an authority that is made in the app's data/
	Ready  func(url string) // called once, when requests are answered
	Roles  []string         // what this process does: api, jobs; all when nil. Without api it answers /healthz and /readyz alone
	Drain  time.Duration    // for how long requests are still taken after the process was told to end; /readyz is 503 from the start of it
}

func (l *Listening) does(role string) bool { return l.Roles == nil || slices.Contains(l.Roles, role) }

// onlyHealth is a door for a process that does not serve the app.
func onlyHealth(door http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			door.ServeHTTP(w, r)
			return
		}
		web.Problem(w, r, fault.New(fault.NotFound, "this process does not serve the app: it was started with other --roles"))
	})
}

const (
	sweepEvery   = 15 * time.Minute
	changesEvery = time.Minute
)

// Serve serves an open app until ctx ends or the process is told to end. With Dev it follows the app file: a
// good one replaces what is served, a wrong one is told and changes nothing. When another process changes the
// schema so that the app does not fit any more, all but /healthz is answered with 503 until it fits again; with
// Dev the app file is read again then. Settings of a database server with which it can lose what was acknowledged
// are logged at the start.
//
// An app with server.domains or server.tls is served by https at server.https, and at server.http led there: not with Dev, nor
// where the process has no role api.
func (p *Plinth) Serve(ctx context.Context, l Listening) error {
	if l.does("jobs") {
		if err := p.App().CheckKinds(p.o.kindNames()); err != nil {
			return err
		}
	}
	if err := p.now.Load().writes(); err != nil {
		return err
	}
	if err := p.returns(); err != nil {
		return err
	}
	p.warn(ctx)
	p.warnOfCertificate()
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { every(ctx, sweepEvery, p.sweep) })
	beside.Go(func() {
		p.sweepChanges(ctx)
		every(ctx, changesEvery, p.sweepChanges)
	})
	beside.Go(func() { every(ctx, fitEvery, p.look) })
	if p.at.file != "" {
		beside.Go(func() {
			p.removeOrphans(ctx)
			every(ctx, orphansEvery, p.removeOrphans)
		})
	}
	if p.o.dev {
		beside.Go(func() { serve.Watch(ctx, p.dir, func() { p.follow(ctx, true) }) })
	}
	if l.does("jobs") {
		beside.Go(func() {
			if err := p.RunJobs(ctx); err != nil {
				p.o.log.Error("jobs are not worked off", "error", err)
			}
		})
	}
	door := p.Handler()
	if l.does("api") {
		beside.Go(func() { p.share(ctx) })
	} else {
		door = onlyHealth(door)
	}
	listeners, err := p.listeners(ctx, l, door)
	if err != nil {
		cancel()
		beside.Wait()
		return err
	}
	defer p.https.ended()
	ready := func(url string) {
		url = p.public(url)
		if l.does("api") {
			p.url.Store(&url)
		}
		p.https.answered(ctx, &beside)
		if l.Ready != nil {
			l.Ready(url)
		}
	}
	if own, ok := p.operator(door); ok {
		listeners = append(listeners, own)
	}
	err = serve.Run(ctx, listeners, serve.Options{
		Limits: p.App().Server.Limits, Log: p.o.log, Ready: ready, Drain: l.Drain, Control: p.controlFolder(),
		Reload: p.again, Leave: func() { p.leaving.Store(true) }, Cut: func() { p.now.Load().live.Cut() },
	})
	cancel()
	beside.Wait()
	return err
}

// controlFolder is where commands find this process: the app's data, which may have to be made.
func (p *Plinth) controlFolder() string {
	dir := filepath.Join(p.dir, "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ""
	}
	return dir
}

// TakeOver tells each server that was started with the app in this folder on this machine to hand over to a new process,
// which is started from its program as that is now, with the same arguments, and reads the app file anew. No
// connection is refused meanwhile. A new process that cannot serve is told as an error, and the old one
// goes on. told gets what each has done.
func TakeOver(ctx context.Context, dir string, told func(string)) error {
	return serve.TakeOver(ctx, filepath.Join(dir, "data"), told)
}

// Refuse tells the server from which this process was to take over, if there is one, why it does not.
func Refuse(why string) { serve.Refuse(why) }

// again is Reload in words.
func (p *Plinth) again(ctx context.Context) (string, error) {
	steps, err := p.Reload(ctx)
	if err != nil {
		return "", err
	}
	return strings.Join(append([]string{"the app file was read again"}, steps...), "; "), nil
}

// every calls fn each time that d has passed, until ctx ends.
func every(ctx context.Context, d time.Duration, fn func(context.Context)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn(ctx)
		}
	}
}

// sweep removes what has expired.
func (p *Plinth) sweep(ctx context.Context) {
	s := p.now.Load()
	if err := errors.Join(s.db.Sweep(ctx), s.gate.Sweep(ctx)); err != nil && ctx.Err() == nil {
		p.o.log.Warn("what has expired could not be removed", "error", err)
	}
}

// sweepChanges removes changes that are older than the app keeps them, or too many.
func (p *Plinth) sweepChanges(ctx context.Context) {
	keep := p.App().Changes
	if err := p.DB().SweepChanges(ctx, keep.Keep, keep.Most); err != nil && ctx.Err() == nil {
		p.o.log.Warn("old changes could not be removed", "error", err)
	}
}

// follow is Reload after a save, or after another process changed the schema, told to whoever works on
// the app: a save always, the same refusal once.
func (p *Plinth) follow(ctx context.Context, saved bool) {
	p.following.Lock()
	defer p.following.Unlock()
	steps, err := p.Reload(ctx)
	if ctx.Err() != nil {
		return
	}
	text := "the app file was read again"
	var wrong *spec.Problems
	switch {
	case errors.As(err, &wrong):
		text = "the app file is wrong, the last good one is served:\n" + wrong.Error()
	case err != nil:
		text = "the last good app file is served: " + err.Error()
	case len(steps) > 0:
		text += ":\n  " + strings.Join(steps, "\n  ")
	}
	if err == nil {
		p.warnOfCertificate()
	}
	p.waiting.Store(err != nil && wrong == nil)
	if saved || err == nil || text != p.said {
		p.o.tell(text)
	}
	p.said = text
}
