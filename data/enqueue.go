package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Enqueue leaves a job to be worked on when the transaction has been committed, and only then. Of a key that an
// unfinished job has, it is that job's id.
func (t *Tx) Enqueue(n NewJob) (id string, err error) {
	err = t.in(func(w *work) error {
		id, _, err = w.enqueue(&n, "", "")
		return err
	})
	return id, err
}

// EnqueueBatch enqueues jobs, and one that is held until all of them are finished: done, dead or cancelled. It is
// the id of that one. A job that is there already, by its key, is not waited for.
func (t *Tx) EnqueueBatch(then NewJob, jobs ...NewJob) (id string, err error) {
	err = t.in(func(w *work) error {
		id, err = w.enqueueBatch(&then, jobs)
		return err
	})
	return id, err
}

// Enqueue enqueues jobs by themselves, all or none, and tells their ids.
func (db *DB) Enqueue(ctx context.Context, jobs ...NewJob) (ids []string, err error) {
	err = db.commit(ctx, &System, func(w *work) error {
		ids = make([]string, len(jobs))
		for i := range jobs {
			if ids[i], _, err = w.enqueue(&jobs[i], "", ""); err != nil {
				return err
			}
		}
		return nil
	})
	return ids, err
}

// Enqueued has something to receive when jobs were enqueued by this process since it was received last.
func (db *DB) Enqueued() <-chan struct{} { return db.queue.wake }

// enqueue stores a job, unless one with its key is there. own is its id; "" makes one.
func (w *work) enqueue(n *NewJob, batch, own string) (id string, isNew bool, err error) {
	q := &w.db.queue
	rec, err := n.record(w)
	if err != nil {
		return "", false, err
	}
	rec[q.batch] = textOrNull(batch)
	if own != "" {
		rec[spec.OrdID] = expr.TextOf(own)
	}
	if err := w.db.keys.companions(q.k.Collection, rec); err != nil {
		return "", false, err
	}
	if n.Key != "" {
		err := w.tx.Rows(w.ctx, q.keyed, []Value{rec[q.oneKey]}, func(cols driver.Columns) error {
			id = string(cols.Text(0))
			return nil
		})
		if err != nil || id != "" {
			return id, false, err
		}
	}
	return rec[spec.OrdID].Text(), true, w.add(rec)
}

// add stores the record of a new job, and wakes who works on it after the commit.
func (w *work) add(rec Record) error {
	if !w.queued {
		w.queued = true
		w.after = append(w.after, func(context.Context) { w.db.wakeQueue() })
	}
	return w.insert(w.db.queue.k, rec)
}

func (db *DB) wakeQueue() {
	select {
	case db.queue.wake <- struct{}{}:
	default: // who is to be woken has not looked yet
	}
}

func (w *work) enqueueBatch(then *NewJob, jobs []NewJob) (id string, err error) {
	if then.Delay != 0 {
		return "", fault.New(fault.Invalid, "the job %s, which waits for a batch, has a delay: it takes none", then.Kind)
	}
	q := &w.db.queue
	head, err := then.record(w)
	if err != nil {
		return "", err
	}
	id = head[spec.OrdID].Text()
	left := 0
	for i := range jobs {
		_, isNew, err := w.enqueue(&jobs[i], id, "")
		if err != nil {
			return "", err
		}
		if isNew {
			left++
		}
	}
	if left > 0 {
		head[q.state], head[q.left] = expr.TextOf(Held), expr.IntOf(int64(left))
	}
	if err := w.db.keys.companions(q.k.Collection, head); err != nil {
		return "", err
	}
	return id, w.add(head)
}

// Tick enqueues the job of a schedule's tick, unless that was done, by whichever process: then done is false. last
// is what the schedule's last tick was when nobody has done a later one. A nil job only passes the tick.
//
// Where there are no transactions the job is stored first, under an id that is made of the tick, so that a crash
// between the two does not make it twice.
func (db *DB) Tick(ctx context.Context, name string, tick time.Time, job *NewJob) (done bool, err error) {
	id := tickID(name, tick)
	apart := !db.eng.Caps().Transactions
	if apart && job != nil {
		last, _, err := db.LastTick(ctx, name)
		if err != nil || !last.IsZero() && !tick.After(last) {
			return false, err
		}
		if done, err = db.tickJob(ctx, id, job); err != nil {
			return false, err
		}
	}
	k := db.kinds["_schedules"]
	noted := !apart || job == nil // it is done when the schedule's row says so
	for range 2 {
		err = db.commit(ctx, &System, func(w *work) error {
			var old Record
			err := w.tx.Rows(w.ctx, db.queue.schedule, []Value{expr.TextOf(name)}, func(cols driver.Columns) error {
				old = k.copy(cols)
				return nil
			})
			if err != nil {
				return err
			}
			last, _ := k.Field("last")
			at := expr.TimeOf(tick.UnixMilli())
			if noted {
				done = false
			}
			if old != nil && old[last.Ord].Int() >= at.Int() {
				return nil
			}
			if !apart && job != nil {
				if _, _, err := w.enqueue(job, "", ""); err != nil {
					return err
				}
			}
			if noted {
				done = true
			}
			if old == nil {
				rec := k.fresh(w)
				k.put(rec, "name", expr.TextOf(name))
				k.put(rec, "last", at)
				return w.insert(k, rec)
			}
			rec := append(Record(nil), old...)
			rec[last.Ord] = at
			return w.replace(k, old, rec)
		})
		if !fault.Is(err, fault.Conflict) {
			break // else the schedule is new, and another was the first to note it
		}
	}
	return done && err == nil, err
}

// Rewind has a schedule go on from a moment, where its last tick is still what it is said to be: the clock was put back.
func (db *DB) Rewind(ctx context.Context, name string, last, to time.Time) error {
	k := db.kinds["_schedules"]
	return db.commit(ctx, &System, func(w *work) error {
		var old Record
		err := w.tx.Rows(w.ctx, db.queue.schedule, []Value{expr.TextOf(name)}, func(cols driver.Columns) error {
			old = k.copy(cols)
			return nil
		})
		f, _ := k.Field("last")
		if err != nil || old == nil || old[f.Ord].Int() != last.UnixMilli() {
			return err // another has done so, or a tick
		}
		rec := append(Record(nil), old...)
		rec[f.Ord] = expr.TimeOf(to.UnixMilli())
		return w.replace(k, old, rec)
	})
}

// tickJob stores the job of a tick under its id, unless it is there.
func (db *DB) tickJob(ctx context.Context, id string, job *NewJob) (done bool, err error) {
	q := &db.queue
	err = db.commit(ctx, &System, func(w *work) error {
		done = false
		there, err := q.k.record(w.ctx, w.tx, q.k.whole, id)
		if err != nil || there != nil {
			return err
		}
		_, done, err = w.enqueue(job, "", id)
		return err
	})
	return done && err == nil, err
}

// LastTick is the last tick of a schedule that was passed, zero where there was none, and what time it is by the
// database's clock.
func (db *DB) LastTick(ctx context.Context, name string) (last, now time.Time, err error) {
	k := db.kinds["_schedules"]
	err = db.commit(ctx, &System, func(w *work) error {
		rec, err := k.unique(w.ctx, w.tx, "name", name)
		if err != nil {
			return err
		}
		ms, err := w.tx.Now()
		if err != nil {
			return err
		}
		last, now = time.Time{}, time.UnixMilli(ms).UTC()
		if rec != nil {
			f, _ := k.Field("last")
			last = time.UnixMilli(rec[f.Ord].Int()).UTC()
		}
		return nil
	})
	return last, now, err
}

// tickID is the id of a tick's job: a UUIDv7 of its moment, which is the same in every process.
func tickID(name string, tick time.Time) string {
	sum := sha256.Sum256([]byte(name))
	var b [16]byte
	copy(b[6:], sum[:])
	binary.BigEndian.PutUint64(b[:8], uint64(tick.UnixMilli())<<16|0x7000|uint64(b[6]&0xf)<<8|uint64(b[7]))
	b[8] = b[8]&0x3f | 0x80
	return formatID(b)
}
