package plinth

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/auth"
	"github.com/bluell/plinth/internal/certs"
	"github.com/bluell/plinth/internal/files"
	"github.com/bluell/plinth/internal/live"
	"github.com/bluell/plinth/internal/mail"
	"github.com/bluell/plinth/internal/pages"
	"github.com/bluell/plinth/internal/password"
	"github.com/bluell/plinth/internal/rest"
	"github.com/bluell/plinth/internal/serve"
	"github.com/bluell/plinth/internal/telemetry"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Plinth is an open app. It is safe for concurrent use.
type Plinth struct {
	dir    string
	at     place
	o      options
	secret []byte
	eng    driver.Engine
	files  *files.Disk
	fresh  bool // the database was made by this Open

	hasher func() (*password.Hasher, error)

	now       atomic.Pointer[served]
	jobs      shift
	https     https
	crowd     *serve.Crowd
	requests  turnstile   // shut while a reload replaces what is served
	unfit     atomic.Bool // the database has another schema than what is served
	leaving   atomic.Bool // the process was told to end
	reloading sync.Mutex
	closing   sync.Once
	closed    error

	following sync.Mutex
	waiting   atomic.Bool // the app file is good and its schema is not there yet
	said      string      // what follow told last

	sight *telemetry.Telemetry // nil: nobody looks
	doors *web.Load            // of all its doors, also after a reload

	url      atomic.Pointer[string] // where requests are answered, when they are
	mailKept sync.Once
	began    time.Time // with what tells time that passes from a clock that is set
}

// served is what answers requests, until a reload puts another in its place.
type served struct {
	app  *spec.App
	db   *data.DB
	gate *auth.Gate
	live *live.Hub
	mail *mail.Room
	http http.Handler

	rates *web.Rates // nil: callers may ask as often as they like

	tables []driver.Table // what the app uses of the database
}

// Open opens the app in a folder. A new database is set up. An existing one must have the schema of
// the app file: with Dev safe steps are applied, otherwise it is an error that names the command.
//
// A wrong app file is *spec.Problems; everything else that is wrong is a fault.
func Open(ctx context.Context, dir string, opts ...Option) (*Plinth, error) {
	o := choose(opts)
	if err := o.checkKinds(); err != nil {
		return nil, err
	}
	if err := o.checkConsumers(); err != nil {
		return nil, err
	}
	app, err := load(dir, &o)
	if err != nil {
		return nil, err
	}
	key, err := secret(dir, &o)
	made := o.dev && errors.Is(err, errNoKey)
	if made {
		key, err = newKey(), nil
	}
	if err != nil {
		return nil, err
	}
	at := o.place(dir)
	eng, err := o.engine(ctx, at)
	if err != nil {
		return nil, err
	}
	p := &Plinth{dir: dir, at: at, o: o, secret: key, eng: eng, hasher: hasher(), doors: web.NewLoad(), began: time.Now()}
	p.crowd = serve.NewCrowd(func() *spec.Server { return &p.App().Server }, o.log)
	err = p.observe(app)
	if err == nil && made {
		err = p.keepKey(ctx, app)
	}
	if err == nil {
		err = p.start(ctx, app)
	}
	if err != nil {
		_ = eng.Close()
		return nil, err
	}
	return p, nil
}

// hasher is made when people can sign in.
func hasher() func() (*password.Hasher, error) {
	return sync.OnceValues(func() (*password.Hasher, error) { return password.New(password.Options{}) })
}

func (p *Plinth) start(ctx context.Context, app *spec.App) error {
	told := sync.OnceFunc(func() {
		p.o.tell("another process is changing the schema of the database: waiting until it ends")
	})
	m, err := data.PlanAlone(ctx, app, p.eng, p.secret, told)
	if err != nil {
		return err
	}
	p.fresh = m.Fresh
	if err := p.settle(ctx, m); err != nil {
		return err
	}
	if p.files, err = files.Open(p.at.uploads); err != nil {
		return err
	}
	found := m.Found()
	if len(m.Steps) > 0 {
		found = nil // there are others now
	}
	s, err := p.wire(ctx, app, found)
	if err != nil {
		return err
	}
	p.now.Store(s)
	return nil
}

// load reads the app and adds what the rooms keep for themselves.
func load(dir string, o *options) (*spec.App, error) {
	app, err := spec.Load(dir, o.env)
	if err != nil {
		return nil, err
	}
	if err := mail.Check(app); err != nil {
		return nil, err
	}
	if app.Server.URL == "" && len(app.Server.Domains) > 0 && !o.dev { // with Dev it is at the listener's address
		app.Server.URL = "https://" + app.Server.Domains[0]
	}
	for _, room := range []struct{ name, yaml string }{{"data", data.Collections}, {"auth", auth.Collections(app)}, {"certs", certs.Collections(app)}} {
		if room.yaml == "" {
			continue
		}
		if err := app.Extend(room.name, []byte(room.yaml)); err != nil {
			return nil, fault.Wrap(fault.Internal, "the collections of "+room.name, err)
		}
	}
	return app, nil
}

// wire puts the doors before the database of an app. tables are those that there are; nil: look.
func (p *Plinth) wire(ctx context.Context, app *spec.App, tables []driver.Table) (*served, error) {
	var blobs data.Blobs
	if p.files != nil {
		blobs = p.files
	}
	room, err := p.mailing(app)
	if err != nil {
		return nil, err
	}
	var gate *auth.Gate
	hooks := append(renewing(app, func(user string) { gate.Anew(user) }), p.o.hooks...)
	db, err := data.Open(ctx, app, p.eng, data.Options{Key: p.secret, Clock: p.o.clock, Log: p.o.log, Blobs: blobs, Hooks: hooks,
		Forget: []string{mail.Kind, auth.JobKind}, Observer: observer[data.Observer](p.sight), Slow: p.o.slow})
	if err != nil {
		return nil, err
	}
	if gate, err = p.entrance(app, db, room); err != nil {
		return nil, err
	}
	p.sight.Trust(app.Server.TrustedProxies)
	hub := live.New(db, live.Options{Log: p.o.log, Caller: gate.Caller, Anew: gate.Anew, Server: app.Server})
	public := filepath.Join(p.dir, "public")
	ready, err := pages.New(app, pages.Options{Public: public, Mail: room.Sends(), Dev: p.o.dev})
	if err != nil {
		return nil, err
	}
	door := rest.New(db, gate.Caller, rest.Options{Live: hub, Blobs: blobs, Auth: gate.Door(), Public: public, Page: ready.Page, Version: Version()})
	if tables == nil {
		if tables, err = p.eng.Inspect(ctx); err != nil {
			return nil, err
		}
	}
	rates, err := p.rates(app)
	if err != nil {
		return nil, err
	}
	return &served{app: app, db: db, gate: gate, live: hub, mail: room, rates: rates,
		http: web.Observed(room.Show(p.whileFit(door)), app.Server, p.doors, rates, p.o.log, observer[web.Observer](p.sight)), tables: used(app, tables)}, nil
}

// close ends what goes on beside requests.
func (s *served) close() {
	s.live.Close()
	s.gate.Close()
}

// App is the app as it is served at the moment.
func (p *Plinth) App() *spec.App { return p.now.Load().app }

// DB is the app's database, for Go code. After a reload it is another.
func (p *Plinth) DB() *data.DB { return p.now.Load().db }

// Fresh says whether the database was set up by this Open.
func (p *Plinth) Fresh() bool { return p.fresh }

// Handler answers all requests of the app: the API, its files and its frontend.
func (p *Plinth) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.requests.enter(r.Context()) {
			return // nobody waits for an answer any more
		}
		defer p.requests.leave()
		p.now.Load().http.ServeHTTP(w, r)
	})
}

// Close ends the database after the writes under way. Requests should have ended.
func (p *Plinth) Close() error {
	p.closing.Do(func() {
		p.now.Load().close()
		p.closed = errors.Join(p.eng.Close(), p.sight.Close())
	})
	return p.closed
}
