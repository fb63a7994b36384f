package data

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
)

// JobFilter says which jobs are asked for.
type JobFilter struct {
	State  string // "": any
	Kind   string // "": any
	Limit  int    // 0: 100; 500 at most
	Cursor string
}

// Jobs lists jobs, the newest first, and tells the cursor of the next page, "" at the end.
func (db *DB) Jobs(ctx context.Context, f JobFilter) ([]Job, string, error) {
	var terms []string
	params := map[string]*doc.Node{}
	if f.State != "" {
		if !slices.Contains(JobStates, f.State) {
			return nil, "", fault.New(fault.BadRequest, "there is no state %q of a job: it is one of %s", f.State, strings.Join(JobStates, " "))
		}
		terms, params["state"] = append(terms, "state == param.state"), doc.NewString(f.State)
	}
	if f.Kind != "" {
		terms, params["kind"] = append(terms, "kind == param.kind"), doc.NewString(f.Kind)
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	records, next, err := db.Records(ctx, System, &ListQuery{Collection: "_jobs", Filter: strings.Join(terms, " && "), Params: params,
		Sort: "-id", Limit: f.Limit, Cursor: f.Cursor})
	if err != nil {
		return nil, "", err
	}
	jobs := make([]Job, len(records))
	for i, rec := range records {
		if jobs[i], err = db.job(rec); err != nil {
			return nil, "", err
		}
	}
	return jobs, next, nil
}

// Queued counts the jobs of each state that is not done or cancelled, and tells for how long the one that waits longest has been due.
func (db *DB) Queued(ctx context.Context) (states map[string]int64, oldest time.Duration, err error) {
	answer, err := db.Groups(ctx, System, &GroupQuery{Collection: "_jobs", Group: "state", Aggregate: "count,min(due)",
		Filter: `state in ["held", "later", "waiting", "running", "dead"]`}, nil)
	if err != nil {
		return nil, 0, err
	}
	var all struct {
		Groups []struct {
			State string
			Count int64
			Due   time.Time `json:"min(due)"`
		}
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, 0, fault.Wrap(fault.Internal, "count jobs", err)
	}
	states = map[string]int64{Held: 0, Later: 0, Waiting: 0, Running: 0, Dead: 0}
	for _, g := range all.Groups {
		if states[g.State] = g.Count; g.State == Waiting {
			oldest = max(db.clock().Sub(g.Due), 0)
		}
	}
	return states, oldest, nil
}

// Job finds a job.
func (db *DB) Job(ctx context.Context, id string) (Job, error) {
	rec, err := db.queue.k.record(ctx, db.eng, db.queue.k.whole, id)
	if err != nil {
		return Job{}, err
	}
	if rec == nil {
		return Job{}, noJob(id)
	}
	return db.job(rec)
}

func noJob(id string) error {
	return fault.New(fault.NotFound, "there is no job with the id %q: it may have been removed, a day after it was finished", id)
}

// CancelJob cancels a job. One that is running is told so, which takes a second or two, and may end otherwise.
func (db *DB) CancelJob(ctx context.Context, id string) (Job, error) {
	return db.moveJob(ctx, id, func(w *work, old, rec Record) error {
		q := &db.queue
		switch s := old[q.state].Text(); s {
		case Done, Dead, Cancelled:
			return fault.New(fault.Conflict, "the job %s is %s: only one that is not finished is cancelled", id, s)
		case Running:
			rec[q.cancel] = expr.BoolOf(true)
		default:
			o := Outcome{State: Cancelled}
			copy(rec, o.record(q, old, w.now.UnixMilli()))
		}
		return nil
	})
}

// RetryJob makes a dead or cancelled job wait again, as if it had not been begun; the steps that it has finished
// stay finished. One that is delayed waits from now on. One that was cancelled and is of Options.Forget is not tried again.
func (db *DB) RetryJob(ctx context.Context, id string) (Job, error) {
	return db.moveJob(ctx, id, func(w *work, old, rec Record) error {
		q := &db.queue
		switch s := old[q.state].Text(); s {
		case Dead, Cancelled:
			if s == Cancelled && slices.Contains(q.forget, old[q.kind].Text()) {
				return fault.New(fault.Conflict, "the job %s is cancelled, and what it was to do is not kept: it cannot be tried again", id)
			}
			rec[q.attempt], rec[q.batch] = expr.IntOf(0), Value{} // its batch has counted it
		case Later:
		default:
			return fault.New(fault.Conflict, "the job %s is %s: only one that is dead, cancelled or delayed is tried again", id, s)
		}
		rec[q.state], rec[q.due] = expr.TextOf(Waiting), expr.TimeOf(w.now.UnixMilli())
		w.after = append(w.after, func(context.Context) { db.wakeQueue() })
		return nil
	})
}

func (db *DB) moveJob(ctx context.Context, id string, move func(w *work, old, rec Record) error) (j Job, err error) {
	q := &db.queue
	err = db.commit(ctx, &System, func(w *work) error {
		old, err := q.k.record(w.ctx, w.tx, q.k.lock, id)
		if err != nil {
			return err
		}
		if old == nil {
			return noJob(id)
		}
		rec := slices.Clone(old)
		if err := move(w, old, rec); err != nil {
			return err
		}
		err = w.mustChange(q.k, []change{{old, rec}})
		switch {
		case errors.Is(err, errTaken) && w.again:
			return fault.New(fault.Conflict, "another job that is not finished has the key of the job %s", id)
		case err != nil:
			return err
		}
		if err := w.finished([]Record{rec}); err != nil {
			return err
		}
		j, err = db.job(rec)
		return err
	})
	return j, err
}
