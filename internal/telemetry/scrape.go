package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are asked when the metrics are read. Each may be nil.
type Sources struct {
	Database     func() (Database, bool) // false: this engine does not tell
	Jobs         func(context.Context) (Jobs, error)
	Changes      func(context.Context) (Changes, error)
	Connections  func() (open int, refused map[string]int64) // by which limit
	Live         func() int                                  // who listens
	Deliveries   func() int64
	Certificates func() []Certificate
}

// Database is how busy the database is.
type Database struct {
	InUse, Idle, Most, Waiting, Queue int

	Commits, Writes uint64   // together
	Sizes           []uint64 // commits, by how many writes
	Bounds          []int    // of Sizes
}

// Jobs is what is in the queue.
type Jobs struct {
	States map[string]int64
	Oldest time.Duration // for how long the one that waits longest has been due
}

// Changes is how far the log goes, and how far the clients of this process were told.
type Changes struct{ Newest, Told int64 }

// Certificate is one that is served.
type Certificate struct {
	Domain  string
	Expires time.Time
}

// Watch says what is asked when the metrics are read. It may be called again.
func (t *Telemetry) Watch(s Sources) {
	if t != nil && t.metrics != nil {
		t.sources.Store(&s)
	}
}

const (
	scrapeTime = 2 * time.Second  // for what the database is asked
	scrapeKept = 10 * time.Second // for so long its answer is good: two that scrape cost what one does
)

// scraped collects what is looked up when somebody asks.
type scraped struct {
	m *metrics

	mu      sync.Mutex
	at      time.Time
	jobs    *Jobs
	changes *Changes
}

var descs = sync.OnceValue(func() map[string]*prometheus.Desc {
	describe()
	all := map[string]*prometheus.Desc{}
	for _, name := range []string{"plinth_http_requests_in_flight", "plinth_http_connections", "plinth_http_connections_refused_total", "plinth_live_connections", "plinth_live_deliveries_total", "plinth_database_connections",
		"plinth_database_connections_max", "plinth_database_connection_waiters", "plinth_database_writes_queued", "plinth_database_commit_writes",
		"plinth_changes_position", "plinth_changes_lag", "plinth_jobs", "plinth_jobs_oldest_due_seconds", "plinth_tls_certificate_expiry_timestamp_seconds"} {
		all[name] = prometheus.NewDesc(name, help[name], label[name], nil)
	}
	return all
})

func (s *scraped) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs() {
		ch <- d
	}
}

func (s *scraped) Collect(ch chan<- prometheus.Metric) {
	gauge := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(descs()[name], prometheus.GaugeValue, v, labels...)
	}
	gauge("plinth_http_requests_in_flight", float64(s.m.inFlight.Load()))
	src := s.m.sources.Load()
	if src == nil {
		return
	}
	if src.Connections != nil {
		open, refused := src.Connections()
		gauge("plinth_http_connections", float64(open))
		for limit, n := range refused {
			ch <- prometheus.MustNewConstMetric(descs()["plinth_http_connections_refused_total"], prometheus.CounterValue, float64(n), limit)
		}
	}
	if src.Live != nil {
		gauge("plinth_live_connections", float64(src.Live()))
	}
	if src.Deliveries != nil {
		ch <- prometheus.MustNewConstMetric(descs()["plinth_live_deliveries_total"], prometheus.CounterValue, float64(src.Deliveries()))
	}
	if src.Database != nil {
		if d, ok := src.Database(); ok {
			gauge("plinth_database_connections", float64(d.InUse), "in_use")
			gauge("plinth_database_connections", float64(d.Idle), "idle")
			gauge("plinth_database_connections_max", float64(d.Most))
			gauge("plinth_database_connection_waiters", float64(d.Waiting))
			if d.Sizes != nil {
				gauge("plinth_database_writes_queued", float64(d.Queue))
				buckets, n := map[float64]uint64{}, uint64(0)
				for i, size := range d.Sizes {
					n += size
					buckets[float64(d.Bounds[i])] = n
				}
				ch <- prometheus.MustNewConstHistogram(descs()["plinth_database_commit_writes"], n, float64(d.Writes), buckets)
			}
		}
	}
	jobs, changes := s.look(src)
	if jobs != nil {
		for state, n := range jobs.States {
			gauge("plinth_jobs", float64(n), state)
		}
		gauge("plinth_jobs_oldest_due_seconds", jobs.Oldest.Seconds())
	}
	if changes != nil {
		gauge("plinth_changes_position", float64(changes.Newest))
		lag := int64(0)
		if changes.Told > 0 {
			lag = max(changes.Newest-changes.Told, 0)
		}
		gauge("plinth_changes_lag", float64(lag))
	}
	if src.Certificates != nil {
		for _, c := range src.Certificates() {
			gauge("plinth_tls_certificate_expiry_timestamp_seconds", float64(c.Expires.Unix()), c.Domain)
		}
	}
}

// look asks the database, unless it was asked a moment ago. What it does not answer is not there.
func (s *scraped) look(src *Sources) (*Jobs, *Changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < scrapeKept {
		return s.jobs, s.changes
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	s.jobs, s.changes = nil, nil
	if src.Jobs != nil {
		if j, err := src.Jobs(ctx); err == nil {
			s.jobs = &j
		} else {
			s.m.log.Warn("jobs could not be counted for the metrics", "error", err)
		}
	}
	if src.Changes != nil {
		if c, err := src.Changes(ctx); err == nil {
			s.changes = &c
		} else {
			s.m.log.Warn("the log of changes could not be looked at for the metrics", "error", err)
		}
	}
	s.at = time.Now()
	return s.jobs, s.changes
}
