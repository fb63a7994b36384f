package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/web"
	"github.com/bluell/plinth/spec"
)

// Store is what the door needs of the database. *data.DB satisfies it.
type Store interface {
	App() *spec.App
	Sight(by data.Caller, collection string) data.Sight
	Heard(by data.Caller, channel string) (listen, send bool)
	Allow(by data.Caller, collection string, op data.Op) error

	List(ctx context.Context, by data.Caller, q *data.ListQuery, dst []byte) ([]byte, error)
	Groups(ctx context.Context, by data.Caller, q *data.GroupQuery, dst []byte) ([]byte, error)
	Get(ctx context.Context, by data.Caller, t data.Target, v data.View, dst []byte) ([]byte, int64, error)
	File(ctx context.Context, by data.Caller, collection, id, field, name string) (data.FileInfo, error)

	Create(ctx context.Context, by data.Caller, collection string, body *doc.Node, o data.WriteOptions) (data.Reply, error)
	Update(ctx context.Context, by data.Caller, collection, id string, patch *doc.Node, o data.WriteOptions) (data.Reply, error)
	Put(ctx context.Context, by data.Caller, collection, id string, body *doc.Node, o data.WriteOptions) (data.Reply, error)
	Increment(ctx context.Context, by data.Caller, collection, id string, body *doc.Node, o data.WriteOptions) (data.Reply, error)
	Delete(ctx context.Context, by data.Caller, collection, id string, o data.WriteOptions) (data.Reply, error)
	Batch(ctx context.Context, by data.Caller, ops []data.Operation, atomic bool, o data.WriteOptions) ([]data.Result, []byte, error)

	Ready(ctx context.Context) (write bool, err error)
}

// Live answers what is asked as text/event-stream. Without it such a question is a 501.
type Live interface {
	// Stream is the live form of a list or, when id is not empty, of one record. It reads its own
	// parameters and answers wholly, errors too.
	Stream(w http.ResponseWriter, r *http.Request, by data.Caller, collection, id string)
	// Multiplex is GET /api/live.
	Multiplex(w http.ResponseWriter, r *http.Request, by data.Caller)
	// Log is GET /api/changes: the log, for operators.
	Log(w http.ResponseWriter, r *http.Request, by data.Caller)
	// Socket is GET /api/live as a WebSocket.
	Socket(w http.ResponseWriter, r *http.Request, by data.Caller)
	// Channel is /api/live/{channel} and /api/live/{channel}/{key}, whose key is not empty: GET listens, POST sends.
	Channel(w http.ResponseWriter, r *http.Request, by data.Caller, channel, key string)
	// Presence is …/presence of a channel: GET says who is there, PUT sets one's own state.
	Presence(w http.ResponseWriter, r *http.Request, by data.Caller, channel, key string)
}

// Options of New.
type Options struct {
	Live    Live         // nil: no streams
	Blobs   data.Blobs   // nil: no uploads and downloads
	Auth    http.Handler // /api/auth/…, which package auth describes; nil: none
	Public  string       // folder of the static frontend; "" or not there: none
	Version string       // of Plinth, told in the OpenAPI description

	// Page is what answers GET of an address at which the frontend has no file; it may be nil, and may give nil.
	Page func(path string) web.Act
}

// New makes the door: /api, /healthz, /readyz and the static frontend. caller says
// who asks; its error answers requests with an invalid credential. web.Guard belongs before it.
func New(store Store, caller func(*http.Request) (data.Caller, error), o Options) http.Handler {
	d := &door{store: store, caller: caller, live: o.Live, blobs: o.Blobs, enters: o.Auth != nil, version: o.Version}
	mux, channels := http.NewServeMux(), http.NewServeMux()
	route := func(pattern string, m web.Methods) {
		h := m.Handler(fail)
		if strings.HasPrefix(pattern, "/api/{collection}") {
			h = d.collections(h)
		}
		mux.Handle(pattern, h)
	}
	route("/api/{collection}", web.Methods{http.MethodGet: d.list, http.MethodPost: d.create})
	route("/api/{collection}/query", web.Methods{http.MethodPost: d.query})
	route("/api/{collection}/{id}", web.Methods{http.MethodGet: d.read, http.MethodPatch: d.update, http.MethodPut: d.put, http.MethodDelete: d.delete})
	route("/api/{collection}/{id}/increment", web.Methods{http.MethodPost: d.increment})
	route("/api/{collection}/by/{field}/{value}", web.Methods{http.MethodGet: d.readBy})
	route("/api/batch", web.Methods{http.MethodPost: d.batch})
	route("/api/files/{collection}/{id}/{field}/{name}", web.Methods{http.MethodGet: d.file})
	route("/api/live", web.Methods{http.MethodGet: d.multiplex})
	route("/api/changes", web.Methods{http.MethodGet: d.changes})
	route("/api/openapi.json", web.Methods{http.MethodGet: d.openapi})
	route("/api/docs", web.Methods{http.MethodGet: docsPage})
	route("/api/docs/docs.js", web.Methods{http.MethodGet: docsScript})
	route("/api/docs/docs.css", web.Methods{http.MethodGet: docsStyle})
	route("/healthz", web.Methods{http.MethodGet: healthy})
	route("/readyz", web.Methods{http.MethodGet: d.ready})
	// A channel may be called like what else stands behind a collection: its routes are apart.
	for _, at := range []string{"/api/live/{channel}", "/api/live/{channel}/{key}"} {
		channels.Handle(at, web.Methods{http.MethodGet: d.listen, http.MethodPost: d.send}.Handler(fail))
		channels.Handle(at+"/presence", web.Methods{http.MethodGet: d.presence, http.MethodPut: d.presence}.Handler(fail))
	}
	nowhere := func(w http.ResponseWriter, r *http.Request) { web.Problem(w, r, noRoute) }
	mux.HandleFunc("/api", nowhere)
	mux.HandleFunc("/api/", nowhere)
	channels.HandleFunc("/", nowhere)
	static := &front{dir: o.Public, spa: store.App().Server.SPA, ready: o.Page}
	route("/", web.Methods{http.MethodGet: static.page})
	return clean{mux, channels, o.Auth, d}
}

// collections keeps the routes of collections from names that are none: what is under /api/auth or
// /api/live has routes of its own, or none.
func (d *door) collections(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("collection")
		if c, ok := d.store.App().Collection(name); !ok || c.System {
			web.Problem(w, r, fault.New(fault.NotFound, "there is no collection %q", name))
			return
		}
		next.ServeHTTP(w, r)
	})
}

var noChannel = fault.New(fault.NotFound, "there is no such channel")

var noRoute = fault.New(fault.NotFound, "there is no such route")

// door is what every act needs.
type door struct {
	store   Store
	caller  func(*http.Request) (data.Caller, error)
	live    Live
	blobs   data.Blobs
	enters  bool // there is /api/auth/
	version string
}

// who asks, told to the log too.
func (d *door) who(w http.ResponseWriter, r *http.Request) (data.Caller, error) {
	by, err := d.caller(r)
	if err != nil {
		_ = web.Asks(w, nil)
		return by, err
	}
	return by, web.Asks(w, &by)
}

// clean answers paths that a ServeMux would redirect: nothing lives there.
type clean struct {
	mux, channels *http.ServeMux
	auth          http.Handler
	door          *door
}

func (c clean) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.Contains(path, "/.") && dotted(path) {
		web.Problem(w, r, noRoute)
		return
	}
	if rest, ok := strings.CutPrefix(path, "/api/live/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		if _, known := c.door.store.App().Channel(name); !known {
			web.Problem(w, r, noChannel)
			return
		}
		c.channels.ServeHTTP(w, r)
		return
	}
	if c.auth != nil && strings.HasPrefix(path, "/api/auth/") {
		c.auth.ServeHTTP(w, r)
		return
	}
	c.mux.ServeHTTP(w, r)
}

// dotted says whether a segment of the path is . or .. .
func dotted(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// nothing refuses every parameter of a route that has none.
func nothing(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	var p web.Params
	return p.Query(r).Err()
}

func acceptsJSON(r *http.Request) error {
	if !web.Accepts(r, "application/json") {
		return fault.New(fault.NotAcceptable, "the answer is application/json")
	}
	return nil
}

// personal marks an answer as the caller's own.
func personal(w http.ResponseWriter) { web.Personal(w.Header()) }
