package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// Func works on a job of its kind. ctx ends when the job's timeout has passed, when it is cancelled, and when the
// process is about to end. An error has the job tried again later, unless it is Permanent. It may be called more than
// once for one job, in other processes too: what must not be done twice is written by Work.Commit or Work.Step.
type Func func(ctx context.Context, w *Work) error

// Work is one attempt at a job.
type Work struct {
	db  *data.DB
	by  data.Caller
	job data.Job

	forget bool

	term    *time.Timer // of a kind that renews its jobs: it ends the attempt
	renewed time.Time   // when that began
}

// Job is the job as it was claimed, with the steps that are finished.
func (w *Work) Job() data.Job { return w.job }

// DB is the app's database.
func (w *Work) DB() *data.DB { return w.db }

// Forget has the payload removed when this attempt ends the job: what it holds is not to be kept with a finished job. One
// that is tried again keeps it. It is for a job that is not ended by Commit.
func (w *Work) Forget() { w.forget = true }

// renew has the timeout begin anew where a quarter of it has passed. It is called between parts of the work, each of which is done within a
// timeout: so all of it may take as long as it must, and is soon with another worker when this one is gone.
func (w *Work) renew(ctx context.Context) error {
	if time.Since(w.renewed) < w.job.Timeout/4 {
		return nil
	}
	began := time.Now()
	if err := w.db.Renew(ctx, &w.job); err != nil {
		return err
	}
	w.renewed = began
	w.term.Reset(w.job.Timeout - time.Since(began))
	return nil
}

// Read reads the payload into what a pointer leads to, as encoding/json does. A payload that does not fit will not fit
// another time: the error is Permanent.
func (w *Work) Read(into any) error {
	if err := json.Unmarshal(w.job.Payload, into); err != nil {
		return Permanent(fmt.Errorf("the payload of a job %s: %w", w.job.Kind, err))
	}
	return nil
}

// Commit writes, as an operator, what the job is there for, and ends it, in one transaction: so it is written once,
// however often the job is begun. The function returns after it. do may run again: see data.DB.Transact.
func (w *Work) Commit(ctx context.Context, do func(*data.Tx) error) error {
	if w.job.State == data.Done {
		return fault.New(fault.Internal, "the job %s is committed twice: what belongs together is one Commit, what comes before it a Step", w.job.ID)
	}
	return w.db.Within(ctx, w.by, &w.job, "", do)
}

// Step writes, as an operator, one step of a job of several, and notes in the same transaction that it is finished: an
// attempt after it passes over it. Names are the job's own.
func (w *Work) Step(ctx context.Context, name string, do func(*data.Tx) error) error {
	switch {
	case name == "":
		return fault.New(fault.Internal, "a step of the job %s has no name", w.job.Kind)
	case slices.Contains(w.job.Steps, name):
		return nil
	}
	return w.db.Within(ctx, w.by, &w.job, name, do)
}

// Permanent is an error after which a job is not tried again: it is dead at once.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// After is an error after which a job is tried again when so much time has passed.
func After(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &after{err, d}
}

type after struct {
	error
	d time.Duration
}

func (a *after) Unwrap() error { return a.error }

// afterOf is the pause that an error asks for; zero where it asks for none.
func afterOf(err error) time.Duration {
	var a *after
	if errors.As(err, &a) {
		return max(a.d, time.Millisecond)
	}
	return 0
}
