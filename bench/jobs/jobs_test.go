package jobs

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/postgres/pgtest"
	"github.com/bluell/plinth/data/sqlite"
)

// The size of a run, and how River's own bench sets its client (river/cmd/river/riverbench): many workers, short pauses.
const (
	workers   = 2000
	batch     = 500 // jobs that are enqueued in one transaction
	producers = 16  // who enqueue at once, where they do so one by one
	patience  = 3 * time.Minute
)

func total() int {
	if os.Getenv("PLINTH_BENCH_SHORT") == "1" {
		return 5_000
	}
	return 20_000
}

// queue is one of those that are compared.
type queue interface {
	enqueue(ctx context.Context, n int) error
	start(done func()) (stop func(), err error)
}

var quiet = slog.New(slog.DiscardHandler)

func BenchmarkJobs(b *testing.B) {
	server := pgtest.Start(b, "fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=256MB", "max_connections=100")
	for _, q := range []struct {
		name string
		open func(b *testing.B) queue
	}{
		{"plinth-sqlite", func(b *testing.B) queue { return openPlinth(b, sqliteOption(b)) }},
		{"plinth-postgres", func(b *testing.B) queue { return openPlinth(b, postgresOption(server.Database(b))) }},
		{"river-postgres", func(b *testing.B) queue { return openRiver(b, server.Database(b)) }},
	} {
		b.Run(q.name, func(b *testing.B) {
			for _, m := range []struct {
				name string
				run  func(b *testing.B, q queue)
			}{{"enqueue-batches", enqueueBatches}, {"burn-down", burnDown}, {"both", both}, {"enqueue-one-by-one", oneByOne}} {
				b.Run(m.name, func(b *testing.B) {
					for b.Loop() {
						b.StopTimer()
						m.run(b, q.open(b))
						b.StartTimer()
					}
				})
			}
		})
	}
}

// report says how many jobs a second that was.
func report(b *testing.B, n int, took time.Duration) {
	b.Helper()
	b.ReportMetric(float64(n)/took.Seconds(), "jobs/s")
	b.ReportMetric(0, "ns/op")
}

// enqueueBatches: how fast jobs are enqueued, some hundreds in one transaction.
func enqueueBatches(b *testing.B, q queue) {
	began := time.Now()
	fill(b, q, total())
	report(b, total(), time.Since(began))
}

// burnDown: the jobs are there, and are worked off: River's "fixed job burn down".
func burnDown(b *testing.B, q queue) {
	fill(b, q, total())
	began := time.Now()
	work(b, q, total(), func() {})
	report(b, total(), time.Since(began))
}

// both: jobs are enqueued and worked off at the same time.
func both(b *testing.B, q queue) {
	began := time.Now()
	work(b, q, total(), func() { fill(b, q, total()) })
	report(b, total(), time.Since(began))
}

// oneByOne: each job is enqueued in a transaction of its own, as beside a write of a request.
func oneByOne(b *testing.B, q queue) {
	n := total() / 8
	began := time.Now()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for range producers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := q.enqueue(b.Context(), 1); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	report(b, n, time.Since(began))
}

func fill(b *testing.B, q queue, n int) {
	b.Helper()
	for range n / batch {
		if err := q.enqueue(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

// work works until so many jobs are done, and that is noted.
func work(b *testing.B, q queue, n int, beside func()) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	all := make(chan struct{})
	stop, err := q.start(func() {
		if left.Add(-1) == 0 {
			close(all)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	beside()
	select {
	case <-all:
	case <-time.After(patience):
		b.Errorf("%d jobs are left after %s", left.Load(), patience)
	}
	stop()
}

// plinthQueue is Plinth, embedded.
type plinthQueue struct {
	b     *testing.B
	dir   string
	on    plinth.Option
	p     *plinth.Plinth
	done  atomic.Pointer[func()]
	batch []data.NewJob
}

type noop struct {
	N int `json:"n"`
}

func openPlinth(b *testing.B, on plinth.Option) queue {
	b.Helper()
	q := &plinthQueue{b: b, dir: b.TempDir()}
	if err := os.WriteFile(filepath.Join(q.dir, "plinth.yaml"), []byte("name: bench\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	var err error
	q.p, err = plinth.Open(b.Context(), q.dir, on, plinth.WithKey([]byte("0123456789abcdef0123456789abcdef")), plinth.WithLog(quiet), plinth.Workers(workers),
		plinth.Job("noop", func(context.Context, *plinth.Work) error {
			(*q.done.Load())()
			return nil
		}))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := q.p.Close(); err != nil {
			b.Error(err)
		}
	})
	return q
}

func (q *plinthQueue) enqueue(ctx context.Context, n int) error {
	jobs := make([]data.NewJob, n)
	for i := range jobs {
		jobs[i] = data.NewJob{Kind: "noop", Payload: noop{i}}
	}
	_, err := q.p.DB().Enqueue(ctx, jobs...)
	return err
}

func (q *plinthQueue) start(done func()) (func(), error) {
	q.done.Store(&done)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.p.RunJobs(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			q.b.Error(err)
		}
		left, _, err := q.p.Jobs(context.Background(), plinth.JobFilter{State: data.Running})
		if err != nil || len(left) > 0 {
			q.b.Errorf("%d jobs are not noted as done: %v", len(left), err)
		}
	}, nil
}

func sqliteOption(b *testing.B) plinth.Option {
	return plinth.OnFile("", func(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) })
}

func postgresOption(address string) plinth.Option {
	return plinth.On(func(ctx context.Context) (driver.Engine, error) {
		return postgres.Open(ctx, address, postgres.Options{})
	})
}

// riverQueue is River.
type riverQueue struct {
	pool   *pgxpool.Pool
	insert *river.Client[pgx.Tx]
	done   atomic.Pointer[func()]
	open   func(*river.Config) (*river.Client[pgx.Tx], error)
	b      *testing.B
}

type noopArgs struct {
	N int `json:"n"`
}

func (noopArgs) Kind() string { return "noop" }

type noopWorker struct {
	river.WorkerDefaults[noopArgs]
	q *riverQueue
}

func (w *noopWorker) Work(context.Context, *river.Job[noopArgs]) error {
	(*w.q.done.Load())()
	return nil
}

func openRiver(b *testing.B, address string) queue {
	b.Helper()
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = 16
	q := &riverQueue{b: b}
	if q.pool, err = pgxpool.NewWithConfig(b.Context(), config); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(q.pool.Close)
	m, err := rivermigrate.New(riverpgxv5.New(q.pool), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := m.Migrate(b.Context(), rivermigrate.DirectionUp, nil); err != nil {
		b.Fatal(err)
	}
	if q.insert, err = river.NewClient(riverpgxv5.New(q.pool), &river.Config{Logger: quiet}); err != nil {
		b.Fatal(err)
	}
	return q
}

func (q *riverQueue) enqueue(ctx context.Context, n int) error {
	if n == 1 {
		_, err := q.insert.Insert(ctx, noopArgs{0}, nil)
		return err
	}
	params := make([]river.InsertManyParams, n)
	for i := range params {
		params[i] = river.InsertManyParams{Args: noopArgs{i}}
	}
	_, err := q.insert.InsertManyFast(ctx, params)
	return err
}

func (q *riverQueue) start(done func()) (func(), error) {
	q.done.Store(&done)
	all := river.NewWorkers()
	river.AddWorker(all, &noopWorker{q: q})
	c, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		FetchCooldown:     2 * time.Millisecond,
		FetchPollInterval: 20 * time.Millisecond,
		Logger:            quiet,
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		Workers:           all,
	})
	if err != nil {
		return nil, err
	}
	if err := c.Start(context.Background()); err != nil {
		return nil, err
	}
	return func() {
		if err := c.Stop(context.Background()); err != nil {
			q.b.Error(err)
		}
	}, nil
}
