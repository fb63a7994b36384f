package data

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// statements are what jobs are found by.
type statements struct {
	waiting  driver.Stmt // of a state (0) and a kind (1), the first (2) by priority
	peek     driver.Stmt // the same, not to be changed
	overdue  driver.Stmt // of a state (0), due at a moment (1), the first (2)
	next     driver.Stmt // of a state (0): the one that is due first
	asked    driver.Stmt // of a state (0): the ids of those that are to be cancelled
	keyed    driver.Stmt // the id of the unfinished one whose key has this hash (0)
	schedule driver.Stmt // of _schedules, by name (0), to be changed
}

func (db *DB) openQueue() error {
	k, s := db.kinds["_jobs"], db.kinds["_schedules"]
	if k == nil || s == nil {
		return nil // an app of a test that keeps no jobs
	}
	q := &db.queue
	q.k, q.jobColumns, q.wake = k, jobColumnsOf(k.Collection), make(chan struct{}, 1)
	field := func(ord int) *expr.Node { return fieldNode(k.Fields[ord]) }
	param := func(i, ord int) *expr.Node {
		return &expr.Node{Op: expr.OpParam, Index: i, Type: expr.Type{Kind: k.Fields[ord].Kind()}}
	}
	compare := func(op expr.Op, ord, i int) *expr.Node {
		return &expr.Node{Op: op, Type: expr.Type{Kind: expr.Bool}, Args: []*expr.Node{field(ord), param(i, ord)}}
	}
	sort := func(ords ...int) (keys []driver.Key) {
		for _, ord := range append(ords, spec.OrdID) {
			keys = append(keys, driver.Key{Ord: ord})
		}
		return keys
	}
	name, _ := s.Field("name")
	for _, p := range []struct {
		stmt *driver.Stmt
		q    driver.Query
	}{
		{&q.waiting, driver.Query{Where: expr.And(compare(expr.OpEq, q.state, 0), compare(expr.OpEq, q.kind, 1)),
			Sort: sort(q.priority), Limit: 2, Lock: driver.LockSkip}},
		{&q.peek, driver.Query{Where: expr.And(compare(expr.OpEq, q.state, 0), compare(expr.OpEq, q.kind, 1)), Sort: sort(q.priority), Limit: 2}},
		{&q.overdue, driver.Query{Where: expr.And(compare(expr.OpEq, q.state, 0), compare(expr.OpLe, q.due, 1)),
			Sort: sort(q.due), Limit: 2, Lock: driver.LockSkip}},
		{&q.next, driver.Query{Where: compare(expr.OpEq, q.state, 0), Sort: sort(q.due), Limit: 1}},
		{&q.asked, driver.Query{Where: expr.And(compare(expr.OpEq, q.state, 0), field(q.cancel)), Sort: sort(), Limit: -1}},
	} {
		p.q.From, p.q.Cols = k.Collection, k.wholeAll
		var err error
		if *p.stmt, err = db.eng.Prepare(&p.q); err != nil {
			return err
		}
	}
	byKey := equalTo(k, q.oneKey, driver.Unlocked)
	byKey.Cols = byKey.Cols[:1]
	var err error
	if q.keyed, err = db.eng.Prepare(byKey); err != nil {
		return err
	}
	q.schedule, err = db.eng.Prepare(equalTo(s, name.Ord, driver.LockWrite))
	return err
}

// Room is for how many jobs of a kind there is room.
type Room struct {
	Kind string
	Free int
}

// Claim takes jobs that wait, most at once, for a worker, whose name no other process may have. A kind that has no
// room here is left alone. A claimed job is running: unless it is settled or renewed before, it is given to others a quarter of its timeout
// after that has passed.
func (db *DB) Claim(ctx context.Context, worker string, rooms []Room, most int) (jobs []Job, err error) {
	if !db.eng.Caps().Transactions {
		for _, r := range rooms {
			for range min(max(r.Free, 0), most-len(jobs)) {
				one, err := db.claim(ctx, worker, []Room{{r.Kind, 1}}, 1)
				if err != nil || len(one) == 0 {
					if err != nil {
						return jobs, err
					}
					break
				}
				jobs = append(jobs, one...)
			}
		}
		return jobs, nil
	}
	return db.claim(ctx, worker, rooms, most)
}

// Wanted are the rooms for which there are jobs. It is asked before Claim where there are probably none: so nobody begins
// a transaction to find nothing.
func (db *DB) Wanted(ctx context.Context, rooms []Room) (some []Room, err error) {
	for _, r := range rooms {
		if r.Free <= 0 {
			continue
		}
		found := false
		err := db.eng.Rows(ctx, db.queue.peek, []Value{expr.TextOf(Waiting), expr.TextOf(r.Kind), expr.IntOf(1)}, func(driver.Columns) error {
			found = true
			return nil
		})
		if err != nil {
			return nil, err
		}
		if found {
			some = append(some, r)
		}
	}
	return some, nil
}

func (db *DB) claim(ctx context.Context, worker string, rooms []Room, most int) (jobs []Job, err error) {
	q := &db.queue
	err = db.commit(ctx, &System, func(w *work) error {
		jobs = jobs[:0]
		var found []Record
		for _, r := range rooms {
			if r.Free <= 0 {
				continue
			}
			err := w.tx.Rows(w.ctx, q.waiting, []Value{expr.TextOf(Waiting), expr.TextOf(r.Kind), expr.IntOf(int64(min(r.Free, most)))}, func(cols driver.Columns) error {
				found = append(found, q.k.copy(cols))
				return nil
			})
			if err != nil {
				return err
			}
		}
		if len(found) == 0 {
			return nil
		}
		if len(found) > most { // of several kinds: the first of them all
			slices.SortStableFunc(found, func(a, b Record) int {
				if c := expr.Compare(a[q.priority], b[q.priority]); c != 0 {
					return c
				}
				return expr.Compare(a[spec.OrdID], b[spec.OrdID])
			})
			found = found[:most]
		}
		now, err := w.tx.Now()
		if err != nil {
			return err
		}
		var changes []change
		for _, old := range found {
			rec := slices.Clone(old)
			rec[q.state], rec[q.worker], rec[q.cancel] = expr.TextOf(Running), expr.TextOf(worker), Value{}
			rec[q.attempt] = expr.IntOf(old[q.attempt].Int() + 1)
			rec[q.due] = expr.TimeOf(q.givenAway(old, now))
			changes = append(changes, change{old, rec})
		}
		if err := w.mustChange(q.k, changes); err != nil {
			return err
		}
		for _, c := range changes {
			j, err := db.job(c.rec)
			if err != nil {
				return err
			}
			jobs = append(jobs, j)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return jobs, nil
}

// givenAway is when a job is given to others whose timeout begins now.
func (q *queue) givenAway(rec Record, now int64) int64 {
	timeout := rec[q.timeout].Int()
	return now + timeout + timeout/4
}

// change is a record and what it becomes.
type change struct{ old, rec Record }

// mustChange changes records that this transaction has locked.
func (w *work) mustChange(k *kind, changes []change) error {
	all, err := w.changeAll(k, changes)
	if err == nil && !all {
		err = overtaken(false)
	}
	return err
}

// changeAll changes records, and tells whether all of them were still what they were. Where one was not, the rest is
// changed or not: the transaction is given up.
func (w *work) changeAll(k *kind, changes []change) (all bool, err error) {
	if w.held != nil {
		if err := w.held.store(); err != nil {
			return false, err
		}
	}
	groups := map[string][]driver.Revision{} // by the fields that are changed
	var order []string
	for _, c := range changes {
		stored, ords, err := w.revise(k, c.old, c.rec, nil)
		if err != nil {
			return false, err
		}
		id, rev := c.old[spec.OrdID].Text(), c.old[spec.OrdRev].Int()
		if w.held == nil || w.held.finisher == nil {
			was, err := w.tx.Update(k.Collection, id, rev, stored, ords)
			if err != nil || !was {
				return false, w.taken(k, err, false)
			}
			continue
		}
		key := fmt.Sprint(ords)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], driver.Revision{C: k.Collection, ID: id, Rev: rev, R: stored, Ords: ords})
	}
	for _, key := range order {
		n, err := w.held.finisher.UpdateAll(groups[key])
		if err != nil || n < len(groups[key]) {
			return false, w.taken(k, err, false)
		}
	}
	return true, nil
}

// Outcome is what became of a job that was claimed.
type Outcome struct {
	Job   *Job
	State string        // Done; Later, to be tried again; Dead; Cancelled; Waiting, given back as if it had not been begun
	After time.Duration // Later: when
	Error string        // Later, Dead

	Forget bool // Done, Dead, Cancelled: the payload is removed
}

// keepFinished is how long a finished job is kept to be looked at; a dead one for longer, to be tried again.
const (
	keepFinished = 24 * time.Hour
	keepDead     = 30 * 24 * time.Hour
)

// Settle notes what became of jobs. A job that was taken from its worker meanwhile stays as it is: lost are the ids
// of those.
func (db *DB) Settle(ctx context.Context, outcomes []Outcome) (lost []string, err error) {
	if !db.eng.Caps().Transactions {
		for i := range outcomes {
			gone, err := db.settle(ctx, outcomes[i:i+1])
			if lost = append(lost, gone...); err != nil {
				return lost, err
			}
		}
		return lost, nil
	}
	return db.settle(ctx, outcomes)
}

// settle changes the records as they were claimed. Where one is not that any more, it is done again with all of them
// locked, to see which.
func (db *DB) settle(ctx context.Context, outcomes []Outcome) (lost []string, err error) {
	q := &db.queue
	careful := false
	err = db.commit(ctx, &System, func(w *work) error {
		lost = lost[:0]
		now := w.now.UnixMilli()
		if slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.State == Later }) {
			var err error
			if now, err = w.tx.Now(); err != nil {
				return err
			}
		}
		changes := make([]change, 0, len(outcomes))
		for _, o := range outcomes {
			old := o.Job.rec
			if careful {
				var err error
				if old, err = q.k.record(w.ctx, w.tx, q.k.lock, o.Job.ID); err != nil {
					return err
				}
				if !o.Job.mine(q, old) {
					lost = append(lost, o.Job.ID)
					continue
				}
				if o.State == Later && q.asksEnd(old) {
					o.State = Cancelled
				}
			}
			changes = append(changes, change{old, o.record(q, old, now)})
		}
		all, err := w.changeAll(q.k, changes)
		if err != nil {
			return err
		}
		if !all {
			careful = true
			return overtaken(true)
		}
		finished := make([]Record, len(changes))
		for i, c := range changes {
			finished[i] = c.rec
		}
		return w.finished(finished)
	})
	return lost, err
}

// asksEnd says whether a running job is to be cancelled.
func (q *queue) asksEnd(rec Record) bool { return !rec[q.cancel].IsNull() && rec[q.cancel].Bool() }

// mine says whether a job is still with the worker and in the attempt in which it was claimed.
func (j *Job) mine(q *queue, rec Record) bool {
	return rec != nil && rec[q.state].Text() == Running && rec[q.worker].Text() == j.Worker && rec[q.attempt].Int() == int64(j.Attempt)
}

// record is what a job's record becomes.
func (o *Outcome) record(q *queue, old Record, now int64) Record {
	rec := slices.Clone(old)
	rec[q.state], rec[q.cancel] = expr.TextOf(o.State), Value{}
	rec[q.due] = expr.TimeOf(now)
	switch o.State {
	case Later:
		rec[q.due] = expr.TimeOf(now + max(1, o.After.Milliseconds()))
	case Waiting:
		rec[q.attempt] = expr.IntOf(old[q.attempt].Int() - 1)
	case Dead:
		rec[q.due] = expr.TimeOf(now + keepDead.Milliseconds())
	default:
		rec[q.due] = expr.TimeOf(now + keepFinished.Milliseconds())
	}
	ended := o.State == Done || o.State == Dead || o.State == Cancelled
	if ended && o.Forget || o.State == Cancelled && slices.Contains(q.forget, old[q.kind].Text()) {
		rec[q.payload] = expr.TextOf("null")
	}
	if o.Error != "" {
		rec[q.error] = expr.TextOf(o.Error)
	}
	return rec
}

// finished counts the jobs among these that are finished off from the batches that they belong to. A job that has
// waited for the last of them waits to be worked on then.
func (w *work) finished(recs []Record) error {
	q := &w.db.queue
	batches := map[string]int64{}
	for _, rec := range recs {
		if s := rec[q.state].Text(); !rec[q.batch].IsNull() && (s == Done || s == Dead || s == Cancelled) {
			batches[rec[q.batch].Text()]++
		}
	}
	ids := make([]string, 0, len(batches))
	for id := range batches {
		ids = append(ids, id)
	}
	slices.Sort(ids) // two that finish jobs of the same batches do not meet crosswise
	for _, id := range ids {
		old, err := q.k.record(w.ctx, w.tx, q.k.lock, id)
		if err != nil {
			return err
		}
		if old == nil || old[q.state].Text() != Held {
			continue
		}
		rec := slices.Clone(old)
		left := old[q.left].Int() - batches[id]
		rec[q.left] = expr.IntOf(left)
		if left <= 0 {
			rec[q.state] = expr.TextOf(Waiting)
			w.after = append(w.after, func(context.Context) { w.db.wakeQueue() })
		}
		if err := w.mustChange(q.k, []change{{old, rec}}); err != nil {
			return err
		}
	}
	return nil
}

// goesOn is an error where its worker has no part in a job any more.
func (j *Job) goesOn(q *queue, rec Record) error {
	switch {
	case !j.mine(q, rec):
		return fault.New(fault.Precondition, "the job %s has passed to another: attempt %d of %s is over", j.ID, j.Attempt, j.Worker)
	case q.asksEnd(rec):
		return fault.New(fault.Precondition, "the job %s is cancelled", j.ID)
	}
	return nil
}

// Renew has the timeout of a job that was claimed begin anew. Where the job was taken from its worker meanwhile, or is to be
// cancelled, the error is a fault.Precondition.
func (db *DB) Renew(ctx context.Context, j *Job) error {
	q := &db.queue
	var rec Record
	err := db.commit(ctx, &System, func(w *work) error {
		old, err := q.k.record(w.ctx, w.tx, q.k.lock, j.ID)
		if err != nil {
			return err
		}
		if err := j.goesOn(q, old); err != nil {
			return err
		}
		now, err := w.tx.Now()
		if err != nil {
			return err
		}
		rec = slices.Clone(old)
		rec[q.due] = expr.TimeOf(q.givenAway(old, now))
		return w.mustChange(q.k, []change{{old, rec}})
	})
	if err == nil {
		j.rec, j.Due = rec, time.UnixMilli(rec[q.due].Int()).UTC()
	}
	return err
}

// Within runs do in a transaction as a part of a job that was claimed: with step, that step is finished with it;
// with none, the job is done with it. Where the job was taken from its worker meanwhile nothing is done, and the
// error is a fault.Precondition: so what do writes is written once, however often the job is begun.
func (db *DB) Within(ctx context.Context, by Caller, j *Job, step string, do func(*Tx) error) error {
	q := &db.queue
	if !db.eng.Caps().Transactions {
		const what = "a job that commits with what it writes"
		return &fault.Error{Kind: fault.Capability, Op: what, Msg: "this database has no transactions, and this needs one: " + what}
	}
	var rec Record
	err := db.commit(ctx, &by, func(w *work) error {
		w.bare = true
		old, err := q.k.record(w.ctx, w.tx, q.k.lock, j.ID)
		if err != nil {
			return err
		}
		if err := j.goesOn(q, old); err != nil {
			return err
		}
		if err := w.steps(do); err != nil {
			return err
		}
		if step != "" {
			rec = slices.Clone(old)
			rec[q.steps] = expr.ListOf(append(slices.Clone(old[q.steps].List()), expr.TextOf(step))...)
		} else {
			done := Outcome{Job: j, State: Done}
			rec = done.record(q, old, w.now.UnixMilli())
		}
		if err := w.mustChange(q.k, []change{{old, rec}}); err != nil {
			return err
		}
		return w.finished([]Record{rec})
	})
	if err == nil {
		if j.rec = rec; step != "" {
			j.Steps = append(j.Steps, step)
		} else {
			j.State = Done
		}
	}
	return err
}

// tended is how many jobs are tended in one transaction.
const tended = 500

// Tend moves on the jobs that are due: what was delayed waits from now on, and what its worker did not settle in time
// is tried again or dead. It tells how many of each. next is when to come again for a delayed one, zero where there
// is none.
func (db *DB) Tend(ctx context.Context) (delayed, rescued int, next time.Duration, err error) {
	if delayed, err = db.tendAll(ctx, Later); err != nil {
		return delayed, 0, 0, err
	}
	if rescued, err = db.tendAll(ctx, Running); err != nil {
		return delayed, rescued, 0, err
	}
	if delayed+rescued > 0 {
		db.wakeQueue()
	}
	next, err = db.nextDue(ctx)
	return delayed, rescued, next, err
}

// SweepJobs removes the jobs that were finished a while ago, and tells how many.
func (db *DB) SweepJobs(ctx context.Context) (removed int, err error) {
	for _, state := range []string{Done, Cancelled, Dead} {
		n, err := db.tendAll(ctx, state)
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// tendAll tends the jobs of a state that are due, some at a time.
func (db *DB) tendAll(ctx context.Context, state string) (all int, err error) {
	if _, some, err := db.first(ctx, db.eng, state); err != nil || !some {
		return 0, err // nobody begins a transaction to find nothing
	}
	most := tended
	if !db.eng.Caps().Transactions {
		most = 1
	}
	for {
		n, err := db.tend(ctx, state, most)
		if all += n; err != nil || n < most {
			return all, err
		}
	}
}

// first says when the first job of a state is due.
func (db *DB) first(ctx context.Context, rd driver.Reader, state string) (due int64, some bool, err error) {
	q := &db.queue
	err = rd.Rows(ctx, q.next, []Value{expr.TextOf(state), expr.IntOf(1)}, func(cols driver.Columns) error {
		due, some = cols.Int(q.due), true
		return nil
	})
	return due, some, err
}

// stuck is the error of an attempt whose worker did not say what became of it.
const stuck = "its worker did not say what became of it: it was ended, or the job went on for longer than its timeout"

func (db *DB) tend(ctx context.Context, state string, most int) (n int, err error) {
	q := &db.queue
	err = db.commit(ctx, &System, func(w *work) error {
		now, err := w.tx.Now()
		if err != nil {
			return err
		}
		var found []Record
		err = w.tx.Rows(w.ctx, q.overdue, []Value{expr.TextOf(state), expr.TimeOf(now), expr.IntOf(int64(most))}, func(cols driver.Columns) error {
			found = append(found, q.k.copy(cols))
			return nil
		})
		n = len(found)
		if err != nil || n == 0 {
			return err
		}
		if state != Later && state != Running {
			ids := make([]string, n)
			for i, rec := range found {
				ids[i] = rec[spec.OrdID].Text()
			}
			_, err := w.tx.Delete(q.k.Collection, ids)
			return err
		}
		changes := make([]change, n)
		after := make([]Record, n)
		for i, old := range found {
			rec := slices.Clone(old)
			rec[q.state], rec[q.due] = expr.TextOf(Waiting), expr.TimeOf(now)
			if state == Running {
				rec = tendStuck(q, old, now)
			}
			changes[i], after[i] = change{old, rec}, rec
		}
		if err := w.mustChange(q.k, changes); err != nil {
			return err
		}
		return w.finished(after)
	})
	return n, err
}

// tendStuck is what becomes of a running job whose time is up.
func tendStuck(q *queue, old Record, now int64) Record {
	o := Outcome{State: Waiting, Error: stuck}
	switch {
	case q.asksEnd(old):
		o.State = Cancelled
	case old[q.attempt].Int() >= old[q.attempts].Int():
		o.State = Dead
	}
	rec := o.record(q, old, now)
	rec[q.attempt] = old[q.attempt] // it was begun
	return rec
}

// nextDue is how long it is until a delayed job is due; zero where there is none.
func (db *DB) nextDue(ctx context.Context) (next time.Duration, err error) {
	due, some, err := db.first(ctx, db.eng, Later)
	if err != nil || !some {
		return 0, err
	}
	err = db.commit(ctx, &System, func(w *work) error {
		now, err := w.tx.Now()
		next = max(time.Millisecond, time.Duration(due-now)*time.Millisecond)
		return err
	})
	return next, err
}

// ToCancel are the ids of the running jobs that are to be cancelled.
func (db *DB) ToCancel(ctx context.Context) (ids []string, err error) {
	err = db.eng.Rows(ctx, db.queue.asked, []Value{expr.TextOf(Running)}, func(cols driver.Columns) error {
		ids = append(ids, string(cols.Text(spec.OrdID)))
		return nil
	})
	return ids, err
}
