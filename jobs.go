package plinth

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/internal/jobs"
)

// Work is one attempt at a job: its payload, and what writes its effects once (Commit, Step).
type Work = jobs.Work

// Operations for Before and After.
const (
	Create = data.Create
	Update = data.Update
	Delete = data.Delete
)

// Job registers a kind of job: do works on the jobs of this kind, which data.Tx.Enqueue and data.DB.Enqueue leave
// behind. Its name is 1 to 60 of a-z, 0-9, _, - and ., and does not begin with "plinth.".
func Job(kind string, do func(ctx context.Context, w *Work) error, limits ...JobLimit) Option {
	k := jobs.Kind{Name: kind, Do: do}
	for _, l := range limits {
		l(&k)
	}
	return func(o *options) { o.kinds = append(o.kinds, k) }
}

// JobLimit bounds how jobs of a kind are worked on.
type JobLimit func(*jobs.Kind)

// AtOnce is how many jobs of a kind this process works on at once.
func AtOnce(n int) JobLimit { return func(k *jobs.Kind) { k.Limit = n } }

// Workers is how many jobs this process works on at once, of all kinds; 32 when absent.
func Workers(n int) Option { return func(o *options) { o.workers = n } }

// Patience is how long the jobs under way may go on when the process is to end, and how long is waited for consumers, which
// are told so at once; 10 seconds when absent.
func Patience(d time.Duration) Option { return func(o *options) { o.patience = d } }

// Consume registers a consumer of the log of changes, which runs where jobs are worked off: in one process at a time.
func Consume(c data.Consumer) Option {
	return func(o *options) { o.consumers = append(o.consumers, c) }
}

// Permanent is an error of a job that is not to be tried again.
func Permanent(err error) error { return jobs.Permanent(err) }

// TryAgain is an error of a job that is to be tried again when so much time has passed.
func TryAgain(in time.Duration, err error) error { return jobs.After(in, err) }

// Before has do called inside each write of a collection, by whichever way it comes, before the rules are asked: it
// may change the record, and refuse it.
func Before(collection string, op data.Op, do func(ctx context.Context, c *data.Writing) error) Option {
	return func(o *options) { o.hooks = append(o.hooks, data.Hook{Collection: collection, Op: op, Before: do}) }
}

// After has do called when a write of a collection has been committed, before it is answered. What it does is lost when
// the process ends just then: what must not be lost is a job, which Before enqueues.
func After(collection string, op data.Op, do func(ctx context.Context, c *data.Writing)) Option {
	return func(o *options) { o.hooks = append(o.hooks, data.Hook{Collection: collection, Op: op, After: do}) }
}

func (o *options) kindNames() []string {
	names := make([]string, len(o.kinds))
	for i, k := range o.kinds {
		names[i] = k.Name
	}
	return names
}

// checkKinds refuses kinds of jobs that cannot be registered.
func (o *options) checkKinds() error {
	seen := map[string]bool{}
	for _, k := range o.kinds {
		switch {
		case !data.ValidKind(k.Name):
			return fault.New(fault.Invalid, "%q is no kind of job: 1 to 60 of a-z, 0-9, _, - and ., not beginning with plinth.", k.Name)
		case k.Do == nil:
			return fault.New(fault.Invalid, "the kind of job %s has no function", k.Name)
		case seen[k.Name]:
			return fault.New(fault.Invalid, "the kind of job %s is registered twice", k.Name)
		}
		seen[k.Name] = true
	}
	return nil
}

// checkConsumers refuses consumers that cannot run.
func (o *options) checkConsumers() error {
	seen := map[string]bool{}
	for _, c := range o.consumers {
		if err := c.Check(); err != nil {
			return err
		}
		if seen[c.Name] {
			return fault.New(fault.Invalid, "the consumer %s is registered twice", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// consume runs the consumers until ctx ends, while the database has the tables of this app.
func (p *Plinth) consume(ctx context.Context, db *data.DB) {
	var all sync.WaitGroup
	for _, c := range p.o.consumers {
		all.Go(func() {
			for ctx.Err() == nil {
				fit, end := context.WithCancel(ctx)
				unfit := p.unfit.Load()
				look := func() {
					every(fit, fitEvery, func(context.Context) {
						if p.unfit.Load() != unfit {
							end()
						}
					})
				}
				if unfit {
					look()
					continue
				}
				go look()
				err := db.Consume(fit, c)
				end()
				if err != nil {
					p.o.log.Error("a consumer of the log of changes does not go on", "consumer", c.Name, "error", err)
					return
				}
			}
		})
	}
	all.Wait()
}

// RunJobs runs consumers, and works off jobs and schedules, until ctx ends: then what is under way may go on for Patience. Serve does so by
// itself. It is called once at a time. A schedule whose kind of job is not registered is *spec.Problems.
func (p *Plinth) RunJobs(ctx context.Context) error {
	if err := p.App().CheckKinds(p.o.kindNames()); err != nil {
		return err
	}
	for {
		inside, ended := p.jobs.begin(ctx)
		if inside == nil {
			return nil
		}
		s := p.now.Load()
		consumed := make(chan struct{})
		go func() {
			defer close(consumed)
			p.consume(inside, s.db)
		}()
		jobs.New(s.db, append([]jobs.Kind{s.mails(p.sight), s.letters()}, p.o.kinds...), s.app.Schedules, jobs.Options{Workers: p.o.workers, Patience: p.o.patience, Log: p.o.log, Observer: observer[jobs.Observer](p.sight),
			Ready: func() bool { return !p.unfit.Load() }}).Run(inside)
		select {
		case <-consumed:
		case <-time.After(cmp.Or(p.o.patience, 10*time.Second)):
			p.o.log.Error("consumers of the log of changes do not end although they are told to: others go on when their leases are over")
		}
		ended()
	}
}

// shift is the time in which jobs are worked off: a reload ends one, and another begins behind it.
type shift struct {
	mu     sync.Mutex
	begun  bool
	opens  chan struct{} // closed when the next may begin; nil: it may
	cancel context.CancelFunc
	ended  chan struct{} // closed when the one that runs has ended; nil: none runs
}

// begin waits until a shift may begin. inside ends when it is to end; nil: ctx has ended before.
func (s *shift) begin(ctx context.Context) (inside context.Context, ended func()) {
	for ctx.Err() == nil {
		s.mu.Lock()
		opens := s.opens
		if opens == nil {
			s.begun = true
			done := make(chan struct{})
			inside, s.cancel = context.WithCancel(ctx)
			s.ended = done
			cancel := s.cancel
			s.mu.Unlock()
			return inside, func() {
				cancel()
				s.mu.Lock()
				s.ended = nil
				s.mu.Unlock()
				close(done)
			}
		}
		s.mu.Unlock()
		select {
		case <-opens:
		case <-ctx.Done():
		}
	}
	return nil, nil
}

// began says whether this process works off jobs.
func (s *shift) began() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

// pause ends the shift that runs, waits for its end, and lets none begin before resume.
func (s *shift) pause() {
	s.mu.Lock()
	s.opens = make(chan struct{})
	ended := s.ended
	if ended != nil {
		s.cancel()
	}
	s.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

func (s *shift) resume() {
	s.mu.Lock()
	close(s.opens)
	s.opens = nil
	s.mu.Unlock()
}

// A JobFilter says which jobs are listed; a JobInfo is one.
type (
	JobFilter = data.JobFilter
	JobInfo   = data.Job
)

// Jobs lists jobs, the newest first, and tells the cursor of the next page.
func (p *Plinth) Jobs(ctx context.Context, f JobFilter) ([]JobInfo, string, error) {
	return p.DB().Jobs(ctx, f)
}

// JobByID finds a job.
func (p *Plinth) JobByID(ctx context.Context, id string) (JobInfo, error) { return p.DB().Job(ctx, id) }

// RetryJob makes a dead, cancelled or delayed job wait to be worked on.
func (p *Plinth) RetryJob(ctx context.Context, id string) (JobInfo, error) {
	return p.DB().RetryJob(ctx, id)
}

// CancelJob cancels a job that is not finished. One that runs is told so within a second or two.
func (p *Plinth) CancelJob(ctx context.Context, id string) (JobInfo, error) {
	return p.DB().CancelJob(ctx, id)
}
