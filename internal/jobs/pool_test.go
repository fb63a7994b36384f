package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/internal/jobs"
	"github.com/bluell/plinth/spec"
)

// house is an app in memory, inside a bubble in which time passes at once (testing/synctest): a goroutine that is left
// behind fails the test.
type house struct {
	*testing.T
	*data.DB
	app *spec.App
	eng driver.Engine
	ctx context.Context
	log strings.Builder
}

var secret = []byte("0123456789abcdef0123456789abcdef")

const plain = `collections:
  notes:
    fields: {name: {type: text, required: true, max: 60}, at: {type: time, init: now}}
    access: {read: true}
`

func inside(t *testing.T, yaml string, test func(h *house)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &house{T: t, eng: memory.Open()}
		h.open(yaml)
		test(h)
	})
}

func (h *house) open(yaml string) {
	h.Helper()
	app, err := spec.LoadFS(fstest.MapFS{"plinth.yaml": {Data: []byte(yaml)}}, func(string) (string, bool) { return "", false })
	if err == nil {
		err = app.Extend("data", []byte(data.Collections))
	}
	if err != nil {
		h.Fatal(err)
	}
	ctx := context.Background()
	plan, err := data.Plan(ctx, app, h.eng, secret)
	if err != nil {
		h.Fatal(err)
	}
	if err := plan.Apply(ctx, h.eng, data.ApplyOptions{}); err != nil {
		h.Fatal(err)
	}
	if h.DB, err = data.Open(ctx, app, h.eng, data.Options{Key: secret}); err != nil {
		h.Fatal(err)
	}
	h.app, h.ctx = app, ctx
}

// pool runs a pool until stop is called, which waits for it.
func (h *house) pool(o jobs.Options, kinds ...jobs.Kind) (stop func()) {
	o.Log = slog.New(slog.NewTextHandler(&safe{b: &h.log}, nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	p := jobs.New(h.DB, kinds, h.app.Schedules, o)
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// safe is a writer for many.
type safe struct {
	mu sync.Mutex
	b  *strings.Builder
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (h *house) enqueue(n data.NewJob) string {
	h.Helper()
	ids, err := h.Enqueue(h.ctx, n)
	if err != nil {
		h.Fatal(err)
	}
	return ids[0]
}

// state waits until a job is in a state.
func (h *house) state(id, want string) data.Job {
	h.Helper()
	var j data.Job
	for range 100_000 {
		var err error
		if j, err = h.Job(h.ctx, id); err != nil {
			h.Fatal(err)
		}
		if j.State == want {
			return j
		}
		time.Sleep(100 * time.Millisecond) // of the bubble's time, which passes at once
	}
	h.Fatalf("the job is %s, want %s (%s)", j.State, want, j.Error)
	return j
}

func (h *house) names() string {
	h.Helper()
	records, _, err := h.Records(h.ctx, data.System, &data.ListQuery{Collection: "notes", Sort: "id", Limit: 500})
	if err != nil {
		h.Fatal(err)
	}
	var names []string
	for _, r := range records {
		names = append(names, r[spec.OrdFirst].Text())
	}
	return strings.Join(names, " ")
}

func note(name string) func(*data.Tx) error {
	return func(tx *data.Tx) error {
		body := doc.NewObject()
		body.Set("name", doc.NewString(name))
		_, err := tx.Create("notes", body)
		return err
	}
}

var errBoom = errors.New("boom")

func TestWork(t *testing.T) {
	inside(t, plain, func(h *house) {
		stop := h.pool(jobs.Options{}, jobs.Kind{Name: "greet", Do: func(ctx context.Context, w *jobs.Work) error {
			var p struct{ Name string }
			if err := w.Read(&p); err != nil {
				return err
			}
			return w.Commit(ctx, note(p.Name))
		}})
		defer stop()
		id := h.enqueue(data.NewJob{Kind: "greet", Payload: map[string]string{"name": "ann"}})
		if j := h.state(id, data.Done); j.Attempt != 1 {
			t.Errorf("%+v", j)
		}
		if got := h.names(); got != "ann" {
			t.Errorf("there is %q", got)
		}
		bad := h.enqueue(data.NewJob{Kind: "greet", Payload: []int{1}})
		if j := h.state(bad, data.Dead); j.Attempt != 1 || !strings.Contains(j.Error, "payload") {
			t.Errorf("a payload that does not fit: %+v", j)
		}
	})
}

// A payload that is to be forgotten is gone with the attempt that ends its job, however it ends, and not before.
func TestForget(t *testing.T) {
	inside(t, plain, func(h *house) {
		do := func(ctx context.Context, w *jobs.Work) error {
			var how string
			if err := w.Read(&how); err != nil {
				return err
			}
			w.Forget()
			switch {
			case how == "never":
				return jobs.Permanent(errBoom)
			case how == "later" && w.Job().Attempt < 3:
				return errBoom
			}
			return nil
		}
		stop := h.pool(jobs.Options{}, jobs.Kind{Name: "secret", Do: do}, jobs.Kind{Name: "plain", Do: func(context.Context, *jobs.Work) error { return nil }})
		defer stop()
		for _, c := range []struct{ kind, payload, state, want string }{
			{"secret", "once", data.Done, "null"}, {"secret", "never", data.Dead, "null"}, {"secret", "later", data.Done, "null"}, {"plain", "kept", data.Done, `"kept"`},
		} {
			id := h.enqueue(data.NewJob{Kind: c.kind, Payload: c.payload})
			if j := h.state(id, c.state); string(j.Payload) != c.want {
				t.Errorf("%s %s: the payload is %s", c.kind, c.payload, j.Payload)
			}
		}
	})
}

func TestTriesAgain(t *testing.T) {
	inside(t, plain, func(h *house) {
		var at []time.Time
		stop := h.pool(jobs.Options{}, jobs.Kind{Name: "fails", Do: func(context.Context, *jobs.Work) error {
			at = append(at, time.Now())
			return errBoom
		}}, jobs.Kind{Name: "panics", Do: func(context.Context, *jobs.Work) error {
			panic("a mistake")
		}}, jobs.Kind{Name: "never", Do: func(context.Context, *jobs.Work) error {
			return jobs.Permanent(errBoom)
		}}, jobs.Kind{Name: "soon", Do: func(_ context.Context, w *jobs.Work) error {
			if w.Job().Attempt == 1 {
				return jobs.After(time.Hour, errBoom)
			}
			return nil
		}})
		defer stop()
		id := h.enqueue(data.NewJob{Kind: "fails", Attempts: 4})
		if j := h.state(id, data.Dead); j.Attempt != 4 || j.Error != "boom" || len(at) != 4 {
			t.Fatalf("%+v after %d attempts", j, len(at))
		}
		for i, least := range []time.Duration{time.Second, 16 * time.Second, 81 * time.Second} {
			if pause := at[i+1].Sub(at[i]); pause < least || pause > least*5/4+time.Second {
				t.Errorf("pause %d is %s, want %s and up to a quarter more", i, pause, least)
			}
		}
		if j := h.state(h.enqueue(data.NewJob{Kind: "panics", Attempts: 2}), data.Dead); j.Attempt != 2 || j.Error != "panic: a mistake" {
			t.Errorf("%+v", j)
		}
		if !strings.Contains(h.log.String(), "pool_test.go") {
			t.Error("the log does not have the stack of the panic")
		}
		if j := h.state(h.enqueue(data.NewJob{Kind: "never"}), data.Dead); j.Attempt != 1 {
			t.Errorf("%+v", j)
		}
		began := time.Now()
		if j := h.state(h.enqueue(data.NewJob{Kind: "soon"}), data.Done); j.Attempt != 2 || time.Since(began) < time.Hour || time.Since(began) > time.Hour+time.Minute {
			t.Errorf("%+v after %s", j, time.Since(began))
		}
	})
}

func TestTimeout(t *testing.T) {
	inside(t, plain, func(h *house) {
		var rounds atomic.Int64
		stop := h.pool(jobs.Options{}, jobs.Kind{Name: "slow", Do: func(ctx context.Context, w *jobs.Work) error {
			rounds.Add(1)
			<-ctx.Done()
			return ctx.Err()
		}})
		defer stop()
		began := time.Now()
		j := h.state(h.enqueue(data.NewJob{Kind: "slow", Timeout: 2 * time.Second, Attempts: 1}), data.Dead)
		if took := time.Since(began); took < 2*time.Second || took > 3*time.Second || !strings.Contains(j.Error, "timeout of 2s") || rounds.Load() != 1 {
			t.Errorf("%s after %s, %d attempts", j.Error, took, rounds.Load())
		}
	})
}

// A job whose function does not end when its time is up goes to another worker, in less than twice its timeout, and
// what the first one does then counts for nothing.
func TestStuck(t *testing.T) {
	inside(t, plain, func(h *house) {
		release := make(chan struct{})
		do := func(ctx context.Context, w *jobs.Work) error {
			if w.Job().Attempt == 1 {
				<-release // deaf to ctx
			}
			return w.Commit(context.WithoutCancel(ctx), note(fmt.Sprint("attempt ", w.Job().Attempt)))
		}
		first := h.pool(jobs.Options{}, jobs.Kind{Name: "deaf", Do: do})
		id := h.enqueue(data.NewJob{Kind: "deaf", Timeout: 4 * time.Second})
		h.state(id, data.Running)
		second := h.pool(jobs.Options{}, jobs.Kind{Name: "deaf", Do: do})
		began := time.Now()
		h.state(id, data.Done)
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("it was stuck for %s", took)
		}
		close(release)
		second()
		first()
		if got := h.names(); got != "attempt 2" {
			t.Errorf("there is %q", got)
		}
		if !strings.Contains(h.log.String(), "had passed to another worker") {
			t.Errorf("nobody is told: %s", h.log.String())
		}
	})
}

func TestSteps(t *testing.T) {
	inside(t, plain, func(h *house) {
		var calls []string
		stop := h.pool(jobs.Options{}, jobs.Kind{Name: "steps", Do: func(ctx context.Context, w *jobs.Work) error {
			for _, name := range []string{"one", "two", "three"} {
				err := w.Step(ctx, name, func(tx *data.Tx) error {
					calls = append(calls, name)
					if err := note(name)(tx); err != nil {
						return err
					}
					if name == "two" && w.Job().Attempt < 3 {
						return errBoom
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		}})
		defer stop()
		j := h.state(h.enqueue(data.NewJob{Kind: "steps"}), data.Done)
		if !slices.Equal(calls, []string{"one", "two", "two", "two", "three"}) || h.names() != "one two three" || !slices.Equal(j.Steps, []string{"one", "two", "three"}) {
			t.Errorf("%q, there is %q, finished are %q", calls, h.names(), j.Steps)
		}
	})
}

func TestCancel(t *testing.T) {
	inside(t, plain, func(h *house) {
		began := make(chan string, 1)
		stop := h.pool(jobs.Options{}, jobs.Kind{Name: "long", Do: func(ctx context.Context, w *jobs.Work) error {
			began <- w.Job().ID
			<-ctx.Done()
			return ctx.Err()
		}})
		defer stop()
		id := h.enqueue(data.NewJob{Kind: "long", Timeout: time.Hour})
		<-began
		at := time.Now()
		if _, err := h.CancelJob(h.ctx, id); err != nil {
			t.Fatal(err)
		}
		h.state(id, data.Cancelled)
		if took := time.Since(at); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// At the end jobs may go on for a while; what does not end is told to, and given back as if it had not been begun.
func TestStop(t *testing.T) {
	inside(t, plain, func(h *house) {
		began := make(chan string, 2)
		stop := h.pool(jobs.Options{Patience: 5 * time.Second}, jobs.Kind{Name: "short", Do: func(context.Context, *jobs.Work) error {
			began <- ""
			time.Sleep(3 * time.Second)
			return nil
		}}, jobs.Kind{Name: "long", Do: func(ctx context.Context, w *jobs.Work) error {
			began <- ""
			<-ctx.Done()
			return ctx.Err()
		}})
		short := h.enqueue(data.NewJob{Kind: "short"})
		long := h.enqueue(data.NewJob{Kind: "long", Timeout: time.Hour})
		<-began
		<-began
		stop()
		later := h.enqueue(data.NewJob{Kind: "short"})
		h.state(short, data.Done)
		if j := h.state(long, data.Waiting); j.Attempt != 0 {
			t.Errorf("%+v", j)
		}
		h.state(later, data.Waiting)
	})
}

func TestLimits(t *testing.T) {
	inside(t, plain, func(h *house) {
		var now, most, all, allMost atomic.Int64
		count := func(n, m *atomic.Int64) func() {
			v := n.Add(1)
			for {
				old := m.Load()
				if v <= old || m.CompareAndSwap(old, v) {
					return func() { n.Add(-1) }
				}
			}
		}
		stop := h.pool(jobs.Options{Workers: 5}, jobs.Kind{Name: "few", Limit: 2, Do: func(context.Context, *jobs.Work) error {
			defer count(&now, &most)()
			defer count(&all, &allMost)()
			time.Sleep(100 * time.Millisecond)
			return nil
		}}, jobs.Kind{Name: "many", Do: func(context.Context, *jobs.Work) error {
			defer count(&all, &allMost)()
			time.Sleep(100 * time.Millisecond)
			return nil
		}})
		defer stop()
		began := time.Now()
		var ids []string
		for range 20 {
			ids = append(ids, h.enqueue(data.NewJob{Kind: "few"}), h.enqueue(data.NewJob{Kind: "many"}))
		}
		for _, id := range ids {
			h.state(id, data.Done)
		}
		if most.Load() != 2 || allMost.Load() != 5 {
			t.Errorf("%d of one kind and %d in all ran at once, want 2 and 5", most.Load(), allMost.Load())
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("20 jobs of 100ms, two at once, took %s", took)
		}
	})
}

// Two claims at once keep to the limits that one keeps to, and what either has claimed is given back when the pool is to end
// while they claim.
func TestTwoClaims(t *testing.T) {
	inside(t, plain, func(h *house) {
		const workers, limit, all = 2100, 3, 2200
		var few, running, most, fewMost atomic.Int64
		note := func(n, m *atomic.Int64) {
			v := n.Add(1)
			for old := m.Load(); v > old && !m.CompareAndSwap(old, v); old = m.Load() {
			}
		}
		one := func(ctx context.Context, _ *jobs.Work) error {
			note(&running, &most)
			defer running.Add(-1)
			<-ctx.Done()
			return ctx.Err()
		}
		err := h.Transact(h.ctx, data.System, func(tx *data.Tx) error {
			for n := range all + 2*limit {
				kind := "many"
				if n >= 1000 && n < 1000+2*limit { // behind what the first claim takes alone
					kind = "few"
				}
				if _, err := tx.Enqueue(data.NewJob{Kind: kind, Timeout: 24 * time.Hour}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, after := range []time.Duration{0, time.Minute} {
			stop := h.pool(jobs.Options{Workers: workers, Patience: time.Second}, jobs.Kind{Name: "few", Limit: limit, Do: func(ctx context.Context, w *jobs.Work) error {
				note(&few, &fewMost)
				defer few.Add(-1)
				return one(ctx, w)
			}}, jobs.Kind{Name: "many", Do: one})
			time.Sleep(after)
			stop()
			cursor, n := "", 0
			for {
				page, next, err := h.Jobs(h.ctx, data.JobFilter{State: data.Waiting, Cursor: cursor, Limit: 500})
				if err != nil {
					t.Fatal(err)
				}
				for _, j := range page {
					if n++; j.Attempt != 0 {
						t.Errorf("%+v", j)
					}
				}
				if cursor = next; next == "" {
					break
				}
			}
			if n != all+2*limit {
				t.Errorf("stopped after %v: %d of %d jobs wait", after, n, all+2*limit)
			}
		}
		if most.Load() != workers || fewMost.Load() != limit {
			t.Errorf("%d ran at once, and %d of the one kind, want %d and %d", most.Load(), fewMost.Load(), workers, limit)
		}
	})
}

// The next version's jobs wait for the next version.
func TestUnknownKind(t *testing.T) {
	inside(t, plain, func(h *house) {
		stop := h.pool(jobs.Options{}, jobs.Kind{Name: "known", Do: func(context.Context, *jobs.Work) error { return nil }})
		unknown := h.enqueue(data.NewJob{Kind: "unknown", Timeout: time.Second})
		late := h.enqueue(data.NewJob{Kind: "unknown", Delay: time.Second})
		h.state(h.enqueue(data.NewJob{Kind: "known"}), data.Done)
		time.Sleep(time.Hour)
		for _, id := range []string{unknown, late} {
			if j := h.state(id, data.Waiting); j.Attempt != 0 {
				t.Errorf("%+v", j)
			}
		}
		stop()
		next := h.pool(jobs.Options{}, jobs.Kind{Name: "unknown", Do: func(context.Context, *jobs.Work) error { return nil }})
		defer next()
		h.state(unknown, data.Done)
		h.state(late, data.Done)
	})
}

// Finished jobs are removed when they have been kept for a while: a done one for a day, a dead one for a month.
func TestRemoved(t *testing.T) {
	inside(t, plain, func(h *house) {
		stop := h.pool(jobs.Options{}, jobs.Kind{Name: "good", Do: func(context.Context, *jobs.Work) error { return nil }},
			jobs.Kind{Name: "bad", Do: func(context.Context, *jobs.Work) error { return jobs.Permanent(errBoom) }})
		defer stop()
		good, bad := h.enqueue(data.NewJob{Kind: "good"}), h.enqueue(data.NewJob{Kind: "bad"})
		h.state(good, data.Done)
		h.state(bad, data.Dead)
		time.Sleep(23 * time.Hour)
		h.state(good, data.Done)
		time.Sleep(2 * time.Hour)
		if _, err := h.Job(h.ctx, good); err == nil {
			t.Error("a done job is there after a day")
		}
		h.state(bad, data.Dead)
	})
}

func TestSchedules(t *testing.T) {
	inside(t, `schedules:
  often: {cron: "*/5 * * * *", create: {collection: notes, body: {name: often}}}
  clean: {cron: "2 2 * * *", delete: {collection: notes, filter: created < now - duration("1h")}}
  tick: {every: 1m, job: tick, payload: {a: 1}}
`+plain, func(h *house) {
		var ticks atomic.Int64
		kind := jobs.Kind{Name: "tick", Do: func(_ context.Context, w *jobs.Work) error {
			if string(w.Job().Payload) == `{"a":1}` {
				ticks.Add(1)
			}
			return nil
		}}
		stops := []func(){h.pool(jobs.Options{}, kind), h.pool(jobs.Options{}, kind), h.pool(jobs.Options{}, kind)}
		// The bubble's time begins at midnight of 2000-01-01, UTC.
		time.Sleep(2*time.Hour + 30*time.Second)
		if n := strings.Count(h.names(), "often"); n != 24 || ticks.Load() != 120 {
			t.Errorf("%d records and %d ticks, want 24 and 120", n, ticks.Load())
		}
		time.Sleep(140 * time.Second) // it is 02:02:50: those are gone that were made before 01:02
		if n := strings.Count(h.names(), "often"); n != 12 {
			t.Errorf("%d records, want 12", n)
		}
		for _, stop := range stops {
			stop()
		}
		was, before := ticks.Load(), strings.Count(h.names(), "often")
		time.Sleep(92*time.Minute + 20*time.Second) // nobody is there
		stop := h.pool(jobs.Options{}, kind)
		defer stop()
		time.Sleep(20 * time.Second)
		if n := strings.Count(h.names(), "often") - before; n != 1 || ticks.Load()-was != 1 {
			t.Errorf("%d records and %d ticks were made up for, want one each", n, ticks.Load()-was)
		}
	})
}

// Deletes of a schedule may take as long as there are records, as long as they go on: what stands still goes to another worker, in less
// than twice the timeout of a minute, and what the first one does then counts for nothing.
func TestLongDeletes(t *testing.T) {
	inside(t, `schedules:
  clean: {cron: "0 1 * * *", delete: {collection: notes, filter: 'name != "stays"'}}
`+plain, func(h *house) {
		var deleted atomic.Int64
		release := make(chan struct{})
		var err error
		h.DB, err = data.Open(h.ctx, h.app, h.eng, data.Options{Key: secret, Hooks: []data.Hook{{Collection: "notes", Op: data.Delete, After: func(context.Context, *data.Writing) {
			if deleted.Add(1) == 25 {
				<-release // deaf to ctx
			}
			time.Sleep(10 * time.Second)
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if err := h.Transact(h.ctx, data.System, note("goes")); err != nil {
				t.Fatal(err)
			}
		}
		first := h.pool(jobs.Options{})
		time.Sleep(time.Hour + 24*10*time.Second + 5*time.Second) // it stands still now
		second := h.pool(jobs.Options{})
		began := time.Now()
		all, _, err := h.Jobs(h.ctx, data.JobFilter{Kind: "plinth.delete"})
		if err != nil || len(all) != 1 || all[0].State != data.Running || all[0].Attempt != 1 || deleted.Load() != 25 {
			t.Fatalf("%v, after %d deletes: %+v", err, deleted.Load(), all)
		}
		for deleted.Load() == 25 && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it was stuck for %s", took)
		}
		close(release)
		if j := h.state(all[0].ID, data.Done); j.Attempt != 2 || h.names() != "" {
			t.Errorf("%+v, there is %q", j, h.names())
		}
		second()
		first()
		if !strings.Contains(h.log.String(), "had passed to another worker") {
			t.Errorf("nobody is told: %s", h.log.String())
		}
	})
}

func TestMissedAreSkipped(t *testing.T) {
	inside(t, "schedules: {hourly: {cron: '@hourly', missed: skip, create: {collection: notes, body: {name: hourly}}}}\n"+plain, func(h *house) {
		h.pool(jobs.Options{})()
		stop := h.pool(jobs.Options{})
		time.Sleep(time.Second)
		stop()
		time.Sleep(5*time.Hour + 5*time.Minute)
		stop = h.pool(jobs.Options{})
		defer stop()
		time.Sleep(10 * time.Minute)
		if got := h.names(); got != "" {
			t.Errorf("there is %q", got)
		}
		time.Sleep(time.Hour)
		if got := h.names(); got != "hourly" {
			t.Errorf("there is %q", got)
		}
	})
}
