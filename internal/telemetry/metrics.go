package telemetry

import (
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/internal/web"
)

// Family is one metric: what docs/metrics.md says of it.
type Family struct {
	Name   string
	Type   string // counter, gauge, histogram
	Labels []string
	Help   string
}

// Families are all metrics of Plinth's own. Those of the Go runtime and of the process come with the library that collects them.
var Families = []Family{
	{"plinth_build_info", "gauge", []string{"version", "goversion"}, "Which Plinth this is: always 1."},
	{"plinth_http_requests_total", "counter", []string{"route", "method", "status"}, "Requests that were answered, by the pattern of their route, and the class of the status: 2xx; 501 (the database cannot do that) and 503 (refused for the load) are none of 5xx. Route none: there is no such route."},
	{"plinth_http_request_duration_seconds", "histogram", []string{"route", "method"}, "Time until the answer was written; streams are not among them."},
	{"plinth_http_requests_in_flight", "gauge", nil, "Requests that are worked on; streams are not among them."},
	{"plinth_http_requests_shed_total", "counter", nil, "Requests that were refused with 503, for there was more to do than the process can, or too much to keep for clients that read slowly."},
	{"plinth_http_connections", "gauge", nil, "Connections with clients that are open, streams among them."},
	{"plinth_http_connections_refused_total", "counter", []string{"limit"}, "Connections that were closed at once, for there were as many as server.limits allows: connections, connectionsPerAddress."},
	{"plinth_http_request_bytes_total", "counter", []string{"route"}, "Bytes of bodies that were read."},
	{"plinth_http_response_bytes_total", "counter", []string{"route"}, "Bytes of bodies that were answered."},
	{"plinth_live_connections", "gauge", nil, "Clients that listen: streams and WebSockets."},
	{"plinth_live_deliveries_total", "counter", nil, "Events that were sent to clients that listen."},
	{"plinth_database_statement_duration_seconds", "histogram", []string{"kind"}, "Time of a statement until its last row was taken, by what it does: select, count, group, lock, insert, update, delete, finish (what is left of a write with its commit)."},
	{"plinth_database_statement_errors_total", "counter", []string{"kind"}, "Statements that failed for a reason that is the server's or the database's."},
	{"plinth_database_transaction_duration_seconds", "histogram", []string{"result"}, "Time of a write until it was on disk, waiting and tries included: committed, refused (by a rule, a condition, what is stored) or failed."},
	{"plinth_database_conflicts_total", "counter", nil, "How often a write met another in its way and was run again."},
	{"plinth_database_connections", "gauge", []string{"state"}, "Connections that are in_use, and idle."},
	{"plinth_database_connections_max", "gauge", nil, "Connections that there may be."},
	{"plinth_database_connection_waiters", "gauge", nil, "Who waits for a connection."},
	{"plinth_database_writes_queued", "gauge", nil, "Writes that wait for the one writer (SQLite)."},
	{"plinth_database_commit_writes", "histogram", nil, "How many writes were committed together (SQLite)."},
	{"plinth_changes_position", "gauge", nil, "The newest position in the log of changes."},
	{"plinth_changes_lag", "gauge", nil, "Changes that clients of this process were not told of yet."},
	{"plinth_job_attempts_total", "counter", []string{"kind", "result"}, "Attempts at jobs that have ended: done, failed (it is tried again), dead (it is not), cancelled, returned (the process ends)."},
	{"plinth_job_duration_seconds", "histogram", []string{"kind"}, "Time of an attempt at a job."},
	{"plinth_jobs", "gauge", []string{"state"}, "Jobs that are stored, of the whole app: held, later, waiting, running, dead."},
	{"plinth_jobs_oldest_due_seconds", "gauge", nil, "For how long the job that waits longest has been due; 0 when none waits."},
	{"plinth_mails_total", "counter", []string{"result"}, "Mails that were handed over (sent), were not (failed), or were too late (expired)."},
	{"plinth_sign_ins_total", "counter", []string{"by"}, "Sessions that were begun, by what somebody has shown: password, code, provider and second factors."},
	{"plinth_sign_in_refusals_total", "counter", []string{"route", "why"}, "Credentials that were not good, or not good enough, or of which there were too many."},
	{"plinth_rate_limited_total", "counter", []string{"limit"}, "What was refused because it was tried too often."},
	{"plinth_tls_certificate_expiry_timestamp_seconds", "gauge", []string{"domain"}, "When a certificate ends, in seconds since 1970."},
}

var (
	help  = map[string]string{}
	label = map[string][]string{}
)

var describe = sync.OnceFunc(func() {
	for _, f := range Families {
		help[f.Name], label[f.Name] = f.Help, f.Labels
	}
})

// Buckets, in seconds: a request takes tens of microseconds, or an upload's minutes.
var (
	requestBuckets   = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}
	statementBuckets = []float64{0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5}
	jobBuckets       = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800}
)

// metrics are kept in a registry of their own.
type metrics struct {
	log      *slog.Logger
	registry *prometheus.Registry
	inFlight atomic.Int64

	requests          *prometheus.CounterVec
	durations         *prometheus.HistogramVec
	in, out           *prometheus.CounterVec
	statements        [len(data.StatementKinds)]prometheus.Observer
	statementErrors   [len(data.StatementKinds)]prometheus.Counter
	transactions      [3]prometheus.Observer
	shed, asked       prometheus.Counter // asked: too often, by server.limits.requests
	conflicts         prometheus.Counter
	jobs              *prometheus.CounterVec
	jobTime           *prometheus.HistogramVec
	mails, signIns    *prometheus.CounterVec
	refusals, limited *prometheus.CounterVec
	sources           atomic.Pointer[Sources]
	routing           sync.Mutex // who adds to routes
	routes            atomic.Pointer[map[string]*route]
}

// results of transactions.
const (
	committed = iota
	refused
	broken
)

func newMetrics(o *Options) *metrics {
	describe()
	m := &metrics{log: o.Log, registry: prometheus.NewRegistry()}
	m.routes.Store(&map[string]*route{})
	add := m.registry.MustRegister
	counter := func(name string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help[name]}, label[name])
		add(c)
		return c
	}
	histogram := func(name string, buckets []float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help[name], Buckets: buckets}, label[name])
		add(h)
		return h
	}
	m.requests, m.durations = counter("plinth_http_requests_total"), histogram("plinth_http_request_duration_seconds", requestBuckets)
	m.in, m.out = counter("plinth_http_request_bytes_total"), counter("plinth_http_response_bytes_total")
	statements, errs := histogram("plinth_database_statement_duration_seconds", statementBuckets), counter("plinth_database_statement_errors_total")
	for i, kind := range data.StatementKinds {
		m.statements[i], m.statementErrors[i] = statements.WithLabelValues(kind), errs.WithLabelValues(kind)
	}
	transactions := histogram("plinth_database_transaction_duration_seconds", requestBuckets)
	for i, result := range []string{committed: "committed", refused: "refused", broken: "failed"} {
		m.transactions[i] = transactions.WithLabelValues(result)
	}
	m.shed = counter("plinth_http_requests_shed_total").WithLabelValues()
	m.conflicts = counter("plinth_database_conflicts_total").WithLabelValues()
	m.jobs, m.jobTime = counter("plinth_job_attempts_total"), histogram("plinth_job_duration_seconds", jobBuckets)
	m.mails, m.signIns = counter("plinth_mails_total"), counter("plinth_sign_ins_total")
	m.refusals, m.limited = counter("plinth_sign_in_refusals_total"), counter("plinth_rate_limited_total")
	m.asked = m.limited.WithLabelValues("requests")
	for _, result := range []string{"sent", "failed", "expired"} {
		m.mails.WithLabelValues(result)
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "plinth_build_info", Help: help["plinth_build_info"]}, label["plinth_build_info"])
	info.WithLabelValues(o.Version, runtime.Version()).Set(1)
	add(info, &scraped{m: m}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// methods by which requests are counted.
var methods = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"}

func methodOf(s string) int {
	for i, m := range methods[:len(methods)-1] {
		if m == s {
			return i
		}
	}
	return len(methods) - 1
}

// classes of statuses. What is no fault of the server's is not among its faults: what the database cannot do, and what is refused for the load.
var classes = [...]string{"1xx", "2xx", "3xx", "4xx", "5xx", "501", "503"}

func classOf(e *web.Exchange) int {
	switch {
	case e.Shed:
		return 6
	case e.Status == http.StatusNotImplemented:
		return 5
	}
	return min(max(e.Status/100, 1), 5) - 1
}

// route has the counters of a pattern, found once.
type route struct {
	name    string
	in, out prometheus.Counter
	series  [len(methods)]atomic.Pointer[series]
}

// series are the counters of a method of a route.
type series struct {
	requests  [len(classes)]prometheus.Counter
	durations prometheus.Observer
}

// mostRoutes bounds the routes that are told apart, whatever becomes of patterns.
const mostRoutes = 500

// request counts a request.
func (m *metrics) request(e *web.Exchange) {
	name := e.Route
	if name == "" {
		name = "none"
	}
	r := (*m.routes.Load())[name]
	if r == nil {
		r = m.addRoute(name)
	}
	method := methodOf(e.Method)
	s := r.series[method].Load()
	if s == nil {
		s = m.addSeries(r, method)
	}
	s.requests[classOf(e)].Inc()
	if e.Shed {
		m.shed.Inc()
	}
	if e.Limited {
		m.asked.Inc()
	}
	if !e.Stream {
		s.durations.Observe(e.Took.Seconds())
	}
	if e.In > 0 {
		r.in.Add(float64(e.In))
	}
	r.out.Add(float64(e.Out))
}

func (m *metrics) addRoute(name string) *route {
	m.routing.Lock()
	defer m.routing.Unlock()
	old := *m.routes.Load()
	if len(old) >= mostRoutes {
		name = "more"
	}
	if r := old[name]; r != nil {
		return r
	}
	r := &route{name: name, in: m.in.WithLabelValues(name), out: m.out.WithLabelValues(name)}
	all := maps.Clone(old)
	all[name] = r
	m.routes.Store(&all)
	return r
}

func (m *metrics) addSeries(r *route, method int) *series {
	s := &series{durations: m.durations.WithLabelValues(r.name, methods[method])}
	for i, class := range classes {
		s.requests[i] = m.requests.WithLabelValues(r.name, methods[method], class)
	}
	if !r.series[method].CompareAndSwap(nil, s) {
		return r.series[method].Load() // the same counters
	}
	return s
}

func (m *metrics) statement(s *data.Statement) {
	for i, kind := range data.StatementKinds {
		if kind == s.Kind {
			m.statements[i].Observe(s.Took.Seconds())
			if s.Err != nil && failed(s.Err) {
				m.statementErrors[i].Inc()
			}
			return
		}
	}
}

func (m *metrics) transaction(w *data.Transaction) {
	result := committed
	switch {
	case w.Err != nil && failed(w.Err):
		result = broken
	case w.Err != nil:
		result = refused
	}
	m.transactions[result].Observe(w.Took.Seconds())
	if w.Retried > 0 {
		m.conflicts.Add(float64(w.Retried))
	}
}
