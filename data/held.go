package data

import (
	"context"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/spec"
)

// held is a transaction whose new records wait, to be stored together in few round trips: until somebody asks
// or changes anything else, or the transaction ends. Nobody can tell, but from the time that it takes: the
// first that cannot be stored is what the write fails with.
type held struct {
	driver.Tx
	w       *work
	in      driver.Inserter
	records []driver.Insertion
	of      []waiting
}

// waiting is what a held record is told by.
type waiting struct {
	k     *kind
	plain Record
	op    int // of a batch
}

// mostHeld bounds what waits.
const mostHeld = 128

// holding gives a transaction in which records are held, if the engine can store many at once.
func holding(w *work, tx driver.Tx) (driver.Tx, *held) {
	in, ok := tx.(driver.Inserter)
	if !ok {
		return tx, nil
	}
	h := &held{Tx: tx, w: w, in: in}
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
	h.records = append(h.records, driver.Insertion{C: k.Collection, R: stored, Refers: refers})
	h.of = append(h.of, waiting{k, plain, h.w.op})
	if len(h.records) == mostHeld {
		return h.store()
	}
	return nil
}

// store stores what is held. Its error is that of the first record which cannot be stored.
func (h *held) store() error {
	records, of := h.records, h.of
	if len(records) == 0 {
		return nil
	}
	h.records, h.of = nil, nil
	at, err := h.in.InsertAll(records)
	if at == len(records) && err == nil {
		return nil
	}
	at = min(at, len(records)-1)
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
