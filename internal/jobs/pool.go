package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Kind is one kind of job and how it is worked on.
type Kind struct {
	Name  string
	Do    Func
	Limit int // how many at once in this process; 0: as many as there are workers

	System bool // it reaches what Plinth keeps for itself

	renews bool // it may go on for longer than its timeout, as long as it says so: see Work.renew
}

// Options of New. Zero values are the defaults.
type Options struct {
	Workers  int           // how many jobs at once; 32
	Patience time.Duration // how long jobs under way may go on when the pool is to end; 10s
	Log      *slog.Logger  // slog.Default()
	Ready    func() bool   // whether jobs may be begun at the moment; always
	Observer Observer      // nil: nobody is told
}

// Observer is told of attempts at jobs, so that they can be counted, timed and traced.
type Observer interface {
	// Begun is told of each, and of the trace of what enqueued the job (see data.Job). It goes on with the context that is returned.
	Begun(ctx context.Context, kind, trace string) context.Context
	// Tried is told, with that context, what became of it: done, failed (it is tried again), dead, cancelled, returned.
	Tried(ctx context.Context, kind, result string, took time.Duration)
}

// results are what an observer is told of the state in which an attempt leaves its job.
var results = map[string]string{data.Done: "done", data.Later: "failed", data.Dead: "dead", data.Cancelled: "cancelled", data.Waiting: "returned"}

// Pool works off the jobs of one database. It runs once.
type Pool struct {
	db        *data.DB
	o         Options
	name      string // among all processes
	kinds     map[string]*kind
	schedules []*spec.Schedule

	mu      sync.Mutex
	running map[string]context.CancelCauseFunc // by id
	freed   chan struct{}                      // a job has ended
	ended   chan data.Outcome
	tried   sync.WaitGroup // attempts under way
}

type kind struct {
	Kind
	busy int
}

const (
	tendEvery  = 500 * time.Millisecond
	sweepEvery = time.Minute
	shortest   = 20 * time.Millisecond // pauses between two looks for jobs that other processes have enqueued
	longest    = 500 * time.Millisecond
	gathering  = 10 * time.Millisecond // how long few free workers wait for more, where there are jobs for all
	settling   = 2 * time.Millisecond  // how long what became of a job waits for others to be noted with it
	mostAtOnce = 1000                  // jobs that are claimed, or settled, in one transaction
	maxError   = 2000                  // characters that are kept of an error
)

// Why an attempt's context has ended.
var (
	errStopping  = errors.New("the process is about to end")
	errCancelled = errors.New("the job was cancelled")
)

// New makes a pool. Kinds that are not among these are left alone.
func New(db *data.DB, kinds []Kind, schedules []*spec.Schedule, o Options) *Pool {
	if o.Workers <= 0 {
		o.Workers = 32
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	p := &Pool{db: db, o: o, name: workerName(), kinds: map[string]*kind{}, schedules: schedules,
		running: map[string]context.CancelCauseFunc{}, freed: make(chan struct{}, 1), ended: make(chan data.Outcome, 4*o.Workers)}
	for _, k := range append(builtin(), kinds...) {
		p.kinds[k.Name] = &kind{Kind: k}
	}
	return p
}

// workerName is for people too: the machine, the process, and what no other process has.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%.60s/%d/%s", host, os.Getpid(), rand.Text()[:12])
}

// Run works until ctx ends. Then jobs under way may go on for Options.Patience; what has not ended by then is told to,
// and given back. It returns when all that it has begun has ended and is noted, but for functions that do not end
// when they are told to.
func (p *Pool) Run(ctx context.Context) {
	stop, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var beside sync.WaitGroup
	settled := make(chan struct{})
	var settlers sync.WaitGroup
	for range 2 { // while one waits for the disk
		settlers.Go(p.settle)
	}
	go func() {
		defer close(settled)
		settlers.Wait()
	}()
	beside.Go(func() { p.tend(ctx) })
	beside.Go(func() { p.sweep(ctx) })
	beside.Go(func() { p.tick(ctx) })
	p.fetch(ctx, stop)
	beside.Wait()
	done := make(chan struct{})
	go func() {
		p.tried.Wait()
		close(done)
	}()
	if !within(done, p.o.Patience) {
		cancel(errStopping)
		if !within(done, p.o.Patience/4+time.Second) {
			p.mu.Lock()
			p.o.Log.Error("jobs do not end although they are told to: they are given to other workers when their time is up", "jobs", len(p.running))
			p.mu.Unlock()
			go func() { // whenever they end, nobody notes it
				<-done
				close(p.ended)
			}()
			return
		}
	}
	close(p.ended)
	<-settled
}

// within waits for done, but no longer than d.
func within(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// pause waits for d, or until ctx ends or one of the others has something; false when ctx has ended.
func pause(ctx context.Context, d time.Duration, others ...<-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var a, b <-chan struct{}
	if len(others) > 0 {
		a = others[0]
	}
	if len(others) > 1 {
		b = others[1]
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-a:
	case <-b:
	}
	return true
}

// fetch claims jobs for free workers and begins them.
func (p *Pool) fetch(ctx, stop context.Context) {
	idle, more := shortest, false // more: the last claim left some behind
	for ctx.Err() == nil {
		rooms, free, full := p.rooms()
		if free == 0 || !p.o.Ready() {
			pause(ctx, longest, p.freed)
			continue
		}
		var got int
		var err error
		if got, more, err = p.take(ctx, stop, rooms, free, more, idle > shortest); err != nil && ctx.Err() == nil {
			p.o.Log.Warn("jobs could not be claimed", "error", err)
			pause(ctx, longest)
			continue
		}
		if got == 0 {
			var freed <-chan struct{}
			if full {
				freed = p.freed
			}
			pause(ctx, idle, p.db.Enqueued(), freed)
			idle = min(2*idle, longest)
			continue
		}
		idle = shortest
		for until := time.Now().Add(gathering); more && p.free() < p.o.Workers/2 && time.Now().Before(until); { // few free workers wait for company
			if !pause(ctx, time.Until(until), p.freed) {
				return
			}
		}
	}
}

// take claims jobs and begins them; it tells how many, and whether there are probably more. Where many workers are free and
// there were more jobs than were claimed last, it claims twice at once: while one claim waits for the disk the other goes on.
func (p *Pool) take(ctx, stop context.Context, rooms []data.Room, free int, plenty, idle bool) (got int, more bool, err error) {
	most := min(free, mostAtOnce)
	var beside sync.WaitGroup
	var others int
	if plenty && free > most {
		beside.Go(func() {
			others, _, _ = p.begun(ctx, stop, p.unlimited(free-most), min(free-most, mostAtOnce), false) // an error is the other's too, or the next's
		})
	}
	got, more, err = p.begun(ctx, stop, rooms, most, idle)
	beside.Wait()
	return got + others, more, err
}

// begun claims jobs, most at once, and begins them; all says that there were as many.
func (p *Pool) begun(ctx, stop context.Context, rooms []data.Room, most int, idle bool) (n int, all bool, err error) {
	got, err := p.claim(ctx, rooms, most, idle)
	for i := range got {
		p.begin(stop, got[i])
	}
	return len(got), len(got) == most, err
}

// claim takes jobs; idle: there were none when it looked last.
func (p *Pool) claim(ctx context.Context, rooms []data.Room, most int, idle bool) ([]data.Job, error) {
	if idle {
		var err error
		if rooms, err = p.db.Wanted(ctx, rooms); err != nil || len(rooms) == 0 {
			return nil, err
		}
	}
	return p.db.Claim(ctx, p.name, rooms, most)
}

// unlimited are the rooms of the kinds of which there may be as many as there are workers.
func (p *Pool) unlimited(free int) (rooms []data.Room) {
	for name, k := range p.kinds {
		if k.Limit == 0 {
			rooms = append(rooms, data.Room{Kind: name, Free: free})
		}
	}
	return rooms
}

// rooms tells for how many jobs of each kind there is room, and for how many in all; full says that a kind has none.
func (p *Pool) rooms() (rooms []data.Room, free int, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	free = p.o.Workers - len(p.running)
	for name, k := range p.kinds {
		room := free
		if k.Limit > 0 {
			room = min(room, k.Limit-k.busy)
		}
		if room > 0 {
			rooms = append(rooms, data.Room{Kind: name, Free: room})
		} else {
			full = true
		}
	}
	if len(rooms) == 0 {
		free = 0
	}
	return rooms, free, full
}

func (p *Pool) free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.o.Workers - len(p.running)
}

// begin runs an attempt in a goroutine of its own.
func (p *Pool) begin(stop context.Context, j data.Job) {
	ctx, cancel := context.WithCancelCause(stop)
	p.mu.Lock()
	k := p.kinds[j.Kind]
	k.busy++
	p.running[j.ID] = cancel
	p.mu.Unlock()
	w := &Work{db: p.db, by: operator, job: j}
	late := fmt.Errorf("the job's timeout of %s has passed", j.Timeout)
	expire := func() {}
	if k.renews {
		w.term, w.renewed = time.AfterFunc(j.Timeout, func() { cancel(late) }), time.Now()
	} else {
		ctx, expire = context.WithTimeoutCause(ctx, j.Timeout, late)
	}
	p.tried.Go(func() {
		if k.System {
			w.by = data.System
		}
		start := time.Now()
		if p.o.Observer != nil {
			ctx = p.o.Observer.Begun(ctx, j.Kind, j.Trace)
		}
		err := p.attempt(ctx, k.Do, w)
		o, settled := p.outcome(ctx, w, err)
		if p.o.Observer != nil {
			result := "done"
			if !settled {
				result = results[o.State]
			}
			p.o.Observer.Tried(ctx, j.Kind, result, time.Since(start))
		}
		if expire(); w.term != nil {
			w.term.Stop()
		}
		cancel(nil)
		if !settled {
			p.ended <- o
		}
		p.mu.Lock()
		k.busy--
		delete(p.running, j.ID)
		p.mu.Unlock()
		select {
		case p.freed <- struct{}{}:
		default:
		}
	})
}

// operator is who jobs write as.
var operator = data.Caller{Operator: true, SignedIn: true, Scope: "jobs"}

// attempt calls the function of a job. A panic is an error.
func (p *Pool) attempt(ctx context.Context, do Func, w *Work) (err error) {
	normal := false
	defer func() {
		if normal {
			return
		}
		if what := recover(); what != nil {
			p.o.Log.Error("a job panicked", "kind", w.job.Kind, "job", w.job.ID, "panic", what, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", what)
		} else {
			err = errors.New("the function ended its goroutine")
		}
	}()
	err = do(ctx, w)
	normal = true
	return err
}

// outcome is what became of an attempt; settled says that nothing is left to be noted.
func (p *Pool) outcome(ctx context.Context, w *Work, err error) (o data.Outcome, settled bool) {
	j := &w.job
	log := p.o.Log.With("kind", j.Kind, "job", j.ID, "attempt", j.Attempt)
	if j.State == data.Done {
		if err != nil {
			log.Warn("a job failed after its commit: it is done", "error", err)
		}
		return o, true
	}
	if err == nil {
		return data.Outcome{Job: j, State: data.Done, Forget: w.forget}, false
	}
	var final *permanent
	switch why := context.Cause(ctx); {
	case errors.Is(why, errCancelled):
		log.Info("a job was cancelled")
		return data.Outcome{Job: j, State: data.Cancelled, Forget: w.forget}, false
	case errors.Is(why, errStopping):
		log.Info("a job is given back: the process is about to end")
		return data.Outcome{Job: j, State: data.Waiting}, false
	case why != nil && errors.Is(err, ctx.Err()):
		err = fmt.Errorf("%w: %w", why, err)
	}
	o = data.Outcome{Job: j, State: data.Later, Error: clip(err.Error()), After: afterOf(err), Forget: w.forget}
	if errors.As(err, &final) || j.Attempt >= j.Attempts {
		o.State = data.Dead
		log.Error("a job failed for the last time", "error", err)
		return o, false
	}
	if o.After == 0 {
		o.After = backoff(j.Attempt)
	}
	log.Warn("a job failed", "error", err, "again", o.After.Round(time.Millisecond))
	return o, false
}

// clip cuts a text to what is kept of an error.
func clip(s string) string {
	if len(s) <= maxError {
		return s
	}
	s = s[:maxError]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// settle notes what became of jobs, as many at once as end about together.
func (p *Pool) settle() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for first := range p.ended {
		some := []data.Outcome{first}
		timer.Reset(settling)
	gather:
		for len(some) < mostAtOnce && (len(p.ended) > 0 || p.free() < p.o.Workers) {
			select {
			case o, ok := <-p.ended:
				if !ok {
					break gather
				}
				some = append(some, o)
			case <-timer.C:
				break gather
			}
		}
		p.note(some)
	}
}

// noteTime is how long the end of jobs is kept trying to be noted while the database is away. After it others find
// that their time is up.
const noteTime = 30 * time.Second

func (p *Pool) note(some []data.Outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	for wait := shortest; ; wait = min(2*wait, time.Second) {
		lost, err := p.db.Settle(ctx, some)
		for _, id := range lost {
			p.o.Log.Warn("a job had passed to another worker when it ended", "job", id)
		}
		if err == nil {
			return
		}
		p.o.Log.Warn("what became of jobs could not be noted", "jobs", len(some), "error", err)
		if fault.Is(err, fault.Internal) || !pause(ctx, wait) {
			return
		}
	}
}

// tend moves on what is due, and tells jobs that are to be cancelled.
func (p *Pool) tend(ctx context.Context) {
	wait := time.Duration(0)
	for pause(ctx, wait) {
		wait = tendEvery
		if !p.o.Ready() {
			continue
		}
		_, rescued, next, err := p.db.Tend(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			p.o.Log.Warn("jobs that are due could not be tended", "error", err)
		case rescued > 0:
			p.o.Log.Warn("jobs whose workers are gone wait again, or are dead", "jobs", rescued)
		}
		if next > 0 {
			wait = min(wait, next)
		}
		if err := p.cancel(ctx); err != nil && ctx.Err() == nil {
			p.o.Log.Warn("jobs that are to be cancelled could not be looked for", "error", err)
		}
	}
}

// cancel ends those of the jobs under way that are to be cancelled.
func (p *Pool) cancel(ctx context.Context) error {
	p.mu.Lock()
	none := len(p.running) == 0
	p.mu.Unlock()
	if none {
		return nil
	}
	ids, err := p.db.ToCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if cancel := p.running[id]; cancel != nil {
			cancel(errCancelled)
		}
	}
	return err
}

// sweep removes what was finished a while ago.
func (p *Pool) sweep(ctx context.Context) {
	for pause(ctx, sweepEvery) {
		if !p.o.Ready() {
			continue
		}
		if _, err := p.db.SweepJobs(ctx); err != nil && ctx.Err() == nil {
			p.o.Log.Warn("finished jobs could not be removed", "error", err)
		}
	}
}
