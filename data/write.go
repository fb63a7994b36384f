package data

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// work is one write under way in a transaction. The engine may run it again after a conflict, so
// nothing outside of the transaction is done before it has committed: that is left in after.
type work struct {
	db    *DB
	ctx   context.Context
	by    *Caller
	tx    driver.Tx
	raw   driver.Tx // the engine's own
	held  *held     // the engine stores many records at once; nil: it does not
	op    int       // of the batch that this is; -1: it is none
	now   time.Time
	after []func(context.Context)
	again bool // it has met another in its way, and is run once more
	looks bool // for unique values that are taken, before it writes
	bare  bool // nobody wants the record back, now or with a repeated key
	alone bool // nothing else is written with it but a batch's operations, and it has met nobody in its way yet

	depth   int      // of hooks that write, one in another
	hooked  bool     // a hook has run before something is written: records that were read earlier may be others by now
	queued  bool     // jobs are enqueued
	guessed bool     // the record was read without a lock
	finds   fetcher  // of the records that a rule looks at
	changes []Record // rows of the log
}

// commit runs do in a transaction, again after conflicts until ctx ends, and then what do has left to
// be done after it. What it returns is on disk.
func (db *DB) commit(ctx context.Context, by *Caller, do func(*work) error) error {
	if db.observer == nil {
		_, err := db.tries(ctx, by, do)
		return err
	}
	ctx = db.observer.Writes(ctx)
	t := Transaction{Start: time.Now()}
	t.Retried, t.Err = db.tries(ctx, by, do)
	t.Took = time.Since(t.Start)
	db.observer.Wrote(ctx, t)
	return t.Err
}

// tries is commit; it tells how often it was run again.
func (db *DB) tries(ctx context.Context, by *Caller, do func(*work) error) (try int, err error) {
	inside := context.WithoutCancel(ctx) // the transaction may carry other requests' work too
	looks := false
	for ; ; try++ {
		w := &work{db: db, ctx: inside, by: by, op: -1, again: try > 0, looks: looks}
		err := db.eng.Write(ctx, func(tx driver.Tx) error {
			w.raw = tx
			if db.observer != nil {
				tx = observed(inside, db.observer, tx)
			}
			w.tx, w.held = holding(w, tx)
			w.now, w.after, w.finds, w.guessed, w.changes = db.now(), nil, fetcher{db, inside, w.tx}, false, nil
			w.queued, w.hooked, w.depth, w.by = false, false, 0, by
			err := do(w)
			if err == nil {
				err = w.record()
			}
			if w.held != nil && err == nil {
				return w.held.finish()
			} else if w.held != nil {
				if earlier := w.held.store(); earlier != nil {
					return earlier // as if it had been stored when it was its turn
				}
			}
			return err
		})
		if err == nil {
			for _, f := range w.after {
				f(inside)
			}
			return try, nil
		}
		if !fault.Is(err, fault.Retry) {
			return try, err
		}
		if errors.Is(err, errTaken) {
			looks = true
			continue
		}
		if errors.Is(err, errGuessed) {
			continue
		}
		pause := time.Duration(1+rand.IntN(1<<min(try, 7))) * time.Millisecond
		select {
		case <-ctx.Done():
			return try, &fault.Error{Kind: fault.Unavailable, Msg: "the database is busy: try again", Err: err}
		case <-time.After(pause):
			if try >= 1000 {
				return try, &fault.Error{Kind: fault.Unavailable, Msg: "the database is busy: try again", Err: err}
			}
		}
	}
}

// once is commit for a write that may carry an Idempotency-Key: its answer is kept in the same
// transaction, and given again instead of doing it twice.
func (db *DB) once(ctx context.Context, by *Caller, o WriteOptions, do func(*work) (Reply, error)) (reply Reply, err error) {
	err = db.commit(ctx, by, func(w *work) (err error) {
		if o.Idempotency != nil {
			if reply, err = w.replay(o.Idempotency); err != nil || reply.Replayed {
				return err
			}
		}
		w.bare = o.Minimal && o.Idempotency == nil
		w.alone = !w.again && o.Idempotency == nil
		if reply, err = do(w); err != nil {
			return err
		}
		if o.Idempotency != nil {
			return w.keepAnswer(o.Idempotency, reply)
		}
		return nil
	})
	if err != nil {
		return Reply{}, err
	}
	if o.Minimal {
		reply.Body = nil
	}
	return reply, nil
}

func (w *work) fetch() expr.Fetcher { return &w.finds }

// holds asks a rule inside the transaction.
func (w *work) holds(rule *expr.Expr, rows ...[]Value) (bool, error) {
	var fetch expr.Fetcher
	if leaves(rule) {
		fetch = w.fetch()
	}
	if w.db.observer == nil || rule == nil || w.by.Operator {
		return w.db.holds(rule, w.by, fetch, rows...)
	}
	j := Judgement{Rule: rule.Source, Start: time.Now()}
	j.Holds, j.Err = w.db.holds(rule, w.by, fetch, rows...)
	j.Took = time.Since(j.Start)
	w.db.observer.Judged(w.ctx, j)
	return j.Holds, j.Err
}

// insert stores a finished record, if what it refers to is there; or holds it, to be stored with others.
func (w *work) insert(k *kind, rec Record) error {
	plain := rec
	if w.held == nil {
		var p problems
		if err := w.refer(k, nil, rec, &p); err != nil {
			return err
		}
		if err := p.err(); err != nil {
			return err
		}
	}
	if k.sealed {
		rec = append(Record(nil), rec...) // the caller goes on with the plain one
		if err := w.db.keys.seal(k.Collection, rec); err != nil {
			return err
		}
	}
	if err := w.look(k, nil, rec); err != nil {
		return err
	}
	w.changed(k, Create, nil, rec)
	w.tell(k, Create, nil, plain)
	if w.held != nil {
		return w.held.hold(k, plain, rec)
	}
	return w.taken(k, w.tx.Insert(k.Collection, rec), true)
}

// replace stores what has changed between two states of a record. Both are plain.
func (w *work) replace(k *kind, old, rec Record) error {
	if err := w.stepsDown(k, old, rec); err != nil {
		return err
	}
	var buf [16]int
	rev := old[spec.OrdRev].Int()
	stored, ords, err := w.revise(k, old, rec, buf[:0])
	if err != nil {
		return err
	}
	if err := w.look(k, old, rec); err != nil {
		return err
	}
	if err := w.revised(k, old, rec, stored); err != nil {
		return err
	}
	w.tell(k, Update, old, rec)
	if w.held != nil && w.held.finisher != nil {
		ords = append([]int(nil), ords...)
		return w.held.revise(k, &driver.Revision{C: k.Collection, ID: rec[spec.OrdID].Text(), Rev: rev, R: stored, Ords: ords})
	}
	was, err := w.tx.Update(k.Collection, rec[spec.OrdID].Text(), rev, stored, ords)
	if err != nil {
		return w.taken(k, err, false)
	}
	if !was {
		return overtaken(false)
	}
	return nil
}

// revise makes rec the next revision of old: what of it is stored, and where they differ.
func (w *work) revise(k *kind, old, rec Record, ords []int) (stored Record, _ []int, err error) {
	rec[spec.OrdRev] = expr.IntOf(old[spec.OrdRev].Int() + 1)
	rec[spec.OrdUpdated] = expr.TimeOf(max(w.now.UnixMilli(), old[spec.OrdUpdated].Int()))
	if err := w.db.keys.companions(k.Collection, rec); err != nil {
		return nil, nil, err
	}
	ords = append(ords, spec.OrdUpdated, spec.OrdRev)
	for i := range rec {
		if i != spec.OrdUpdated && i != spec.OrdRev && !same(old[i], rec[i]) {
			ords = append(ords, i)
		}
	}
	if !k.sealed {
		return rec, ords, nil
	}
	stored = make(Record, len(rec))
	stored[spec.OrdID], stored[spec.OrdCreated] = rec[spec.OrdID], rec[spec.OrdCreated]
	for _, ord := range ords {
		stored[ord] = rec[ord]
	}
	return stored, ords, w.db.keys.seal(k.Collection, stored)
}

// same says whether two values are the same, for storing: of one kind and equal.
func same(a, b Value) bool { return a.Kind() == b.Kind() && expr.Equal(a, b) }

// reply shows a record as the caller may read it: at least id, created, updated and rev.
func (w *work) reply(status int, k *kind, rec Record) (Reply, error) {
	r := Reply{Status: status, ID: rec[spec.OrdID].Text(), Rev: rec[spec.OrdRev].Int()}
	if w.bare {
		return r, nil
	}
	var err error
	var fetch expr.Fetcher
	if k.others {
		fetch = w.fetch()
	}
	r.Body, err = w.db.appendRecord(make([]byte, 0, room(rec)), w.by, k, rec, fetch)
	return r, err
}

// room guesses how long a record is in print.
func room(rec Record) int {
	n := 64 + 24*len(rec)
	for i := range rec {
		n += len(rec[i].Text())
	}
	return n
}

// appendRecord prints a plain record as the caller may read it.
func (db *DB) appendRecord(dst []byte, by *Caller, k *kind, rec Record, fetch expr.Fetcher) ([]byte, error) {
	may, err := db.holds(k.Access.Read, by, fetch, rec)
	if err != nil {
		return dst, err
	}
	return db.appendFields(dst, by, k, rec, fetch, may)
}

// appendFields prints the fields of a plain record that the caller may read; unless he may read the record, only the
// first four.
func (db *DB) appendFields(dst []byte, by *Caller, k *kind, rec Record, fetch expr.Fetcher, may bool) (_ []byte, err error) {
	id := rec[spec.OrdID].Text()
	dst = append(dst, '{')
	for _, f := range k.Fields {
		if !visible(f, by) || !may && f.Ord >= spec.OrdFirst {
			continue
		}
		if f.Read != nil {
			ok, err := db.holds(f.Read, by, fetch, rec)
			if err != nil {
				return dst, err
			}
			if !ok {
				continue
			}
		}
		if f.Ord > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, k.prefix[f.Ord]...)
		if dst, err = db.appendValue(dst, k.Collection, f, id, rec[f.Ord]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// refer checks that the records exist to which rec refers, where old did not refer to them, and locks
// them against being deleted.
func (w *work) refer(k *kind, old, rec Record, p *problems) error {
	return p.refer(k, old, rec, w.named)
}

// refersAlso adds to what is wrong with a record that it refers to records that are not there: a form is
// told everything at once. Nobody is told whom the rule may still refuse.
func (c *creation) refersAlso(by *Caller, err error, there func(to, id string) (bool, error)) error {
	var e *fault.Error
	if c == nil || !errors.As(err, &e) || e.Kind != fault.Invalid || len(e.Fields) == 0 {
		return err
	}
	if !decided(c.k.Access.Create, by) || len(c.named) > 0 {
		return err
	}
	p := problems(e.Fields)
	if err := p.refer(c.k, nil, c.rec, there); err != nil {
		return err
	}
	return p.err()
}

// decided says whether a rule has let the caller through whatever is in the record.
func decided(rule *expr.Expr, by *Caller) bool { return by.Operator || rule != nil && !rule.Record }

func (p *problems) refer(k *kind, old, rec Record, there func(to, id string) (bool, error)) error {
	exists := func(f *spec.Field, id Value, at spot) error {
		if f.To == k.Name && expr.Equal(id, rec[spec.OrdID]) {
			return nil // it refers to itself
		}
		found, err := there(f.To, id.Text())
		if err == nil && !found {
			p.add(at.pointer(), "ref", "there is no such record in "+f.To)
		}
		return err
	}
	for _, f := range k.Fields {
		if f.To == "" || rec[f.Ord].IsNull() || old != nil && same(old[f.Ord], rec[f.Ord]) {
			continue
		}
		if f.Type == spec.Ref {
			if err := exists(f, rec[f.Ord], spot{f, -1}); err != nil {
				return err
			}
			continue
		}
		for i, item := range rec[f.Ord].List() {
			if old != nil && contains(old[f.Ord].List(), item) {
				continue
			}
			if err := exists(f, item, spot{f, i}); err != nil {
				return err
			}
		}
	}
	return nil
}

// named is there, by the name of a collection.
func (w *work) named(collection, id string) (bool, error) { return w.there(w.db.kinds[collection], id) }

// there says whether a record exists, and locks it if it does.
func (w *work) there(k *kind, id string) (found bool, err error) {
	err = w.tx.Rows(w.ctx, k.exists, []Value{expr.TextOf(id)}, func(driver.Columns) error {
		found = true
		return nil
	})
	return found, err
}
