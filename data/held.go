package data

import (
	"context"
	"errors"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// held is a transaction whose writes wait, to be stored together in few round trips: until somebody asks or
// changes anything else, or the transaction ends, with whose commit they travel where the engine can do so. What
// waits is one change of a record, and new records. Nobody can tell, but from the time that it takes: the first
// that cannot be stored is what the write fails with.
type held struct {
	driver.Tx
	w        *work
	in       driver.Inserter
	finisher driver.Finisher // in, if it is one
	change   *driver.Revision
	changed  waiting // what change is told by
	records  []driver.Insertion
	of       []waiting
}

// waiting is what a held record is told by.
type waiting struct {
	k     *kind
	plain Record
	op    int // of a batch
}

// mostHeld bounds what waits.
const mostHeld = 256

// holding gives a transaction in which records are held, if the engine can store many at once.
func holding(w *work, tx driver.Tx) (driver.Tx, *held) {
	in, ok := tx.(driver.Inserter)
	if !ok {
		return tx, nil
	}
	h := &held{Tx: tx, w: w, in: in}
	h.finisher, _ = tx.(driver.Finisher)
	return h, h
}

// hold takes a record, which is not changed any more: as it is, and as it is stored.
func (h *held) hold(k *kind, plain, stored Record) error {
	var refers []driver.Reference
	var none problems
	err := none.refer(k, nil, plain, func(to, id string) (bool, error) {
		refers = append(refers, driver.Reference{C: h.w.db.kinds[to].Collection, ID: id})
		return true, nil
	})
	if err != nil {
		return err
	}
	if n := len(h.records); n == 8 { // more are probably coming
		h.records, h.of = slices.Grow(h.records, mostHeld-n), slices.Grow(h.of, mostHeld-n)
	}
	h.records = append(h.records, driver.Insertion{C: k.Collection, R: stored, Refers: refers})
	h.of = append(h.of, waiting{k, plain, h.w.op})
	if len(h.records) == mostHeld {
		return h.store()
	}
	return nil
}

// revise takes a change of a record.
func (h *held) revise(k *kind, u *driver.Revision) error {
	if err := h.store(); err != nil {
		return err
	}
	h.change, h.changed = u, waiting{k: k, op: h.w.op}
	return nil
}

// store stores what is held. Its error is that of the first record which cannot be stored.
func (h *held) store() error {
	u, records, of := h.change, h.records, h.of
	h.change, h.records, h.of = nil, nil, nil // at an error nothing behind it is stored
	if u != nil {
		if h.w.guessed {
			return overtaken(true) // what was read without a lock is changed by Finish alone
		}
		was, err := h.Tx.Update(u.C, u.ID, u.Rev, u.R, u.Ords)
		if err != nil {
			return failedAt(h.changed.op, h.w.taken(h.changed.k, err, false))
		}
		if !was {
			return overtaken(false)
		}
	}
	if len(records) == 0 {
		return nil
	}
	at, err := h.in.InsertAll(records)
	if at == len(records) && err == nil {
		return nil
	}
	at = min(at, len(records)-1)
	return h.stopped(records, of, at, err)
}

// finish stores what is held, at the end of the transaction.
func (h *held) finish() error {
	if h.finisher == nil || h.change == nil && len(h.records) == 0 {
		return h.store()
	}
	u, records, of := h.change, h.records, h.of
	h.change, h.records, h.of = nil, nil, nil
	at, err := h.finisher.Finish(u, records)
	if u != nil {
		if at--; at < 0 && err == nil {
			return overtaken(h.w.guessed)
		} else if at < 0 {
			return failedAt(h.changed.op, h.w.taken(h.changed.k, err, false))
		}
	}
	if at >= len(records) {
		return err // of the commit
	}
	return h.stopped(records, of, at, err)
}

// stopped is the error for the record that could not be stored: err, or what it refers to and is missing.
func (h *held) stopped(records []driver.Insertion, of []waiting, at int, err error) error {
	if err != nil {
		return failedAt(of[at].op, h.w.taken(of[at].k, err, true))
	}
	var p problems
	next := 0
	err = p.refer(of[at].k, nil, of[at].plain, func(string, string) (bool, error) { // in the order in which hold saw them
		next++
		return !records[at].Refers[next-1].Missing, nil
	})
	if err == nil {
		err = p.err()
	}
	return failedAt(of[at].op, err)
}

// errGuessed ends a transaction in which a record was read without a lock, and has changed since. It is run again
// at once, with the lock.
var errGuessed = errors.New("the record was read without a lock")

func overtaken(guessed bool) error {
	e := &fault.Error{Kind: fault.Retry, Msg: "the record changed in the meantime"}
	if guessed {
		e.Err = errGuessed
	}
	return e
}

func (h *held) Rows(ctx context.Context, s driver.Stmt, args []Value, yield func(driver.Columns) error) error {
	if err := h.store(); err != nil {
		return err
	}
	return h.Tx.Rows(ctx, s, args, yield)
}

func (h *held) Insert(c *spec.Collection, r Record) error {
	if err := h.store(); err != nil {
		return err
	}
	return h.Tx.Insert(c, r)
}

func (h *held) Update(c *spec.Collection, id string, rev int64, r Record, ords []int) (bool, error) {
	if err := h.store(); err != nil {
		return false, err
	}
	return h.Tx.Update(c, id, rev, r, ords)
}

func (h *held) Delete(c *spec.Collection, ids []string) (int, error) {
	if err := h.store(); err != nil {
		return 0, err
	}
	return h.Tx.Delete(c, ids)
}
