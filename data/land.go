package data

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Where an engine has no transactions, but can write a record and rows about it at once (driver.Carrier), the rows of the
// log wait in the records that they tell of, and are moved into the log from there: landed. Any process may do so at any
// time, several at once, and each may end between any two steps.
//
// To land is
//
//  1. to read the floor of the log (logState), and its last position L,
//  2. to read what waits,
//  3. to read the names of the rows of the log that may be among it, which have landed,
//  4. to read the floor again, and to begin again if it is another,
//  5. to store the others at L+1, L+2, … one after the other, up to the first position that is taken,
//  6. to read the floor again, and to begin again if it is another,
//  7. to take away what has landed from where it waits.
//
// A position is the id of its row, so only one can have it: whoever finds one taken begins again. No lease is needed, and
// nobody waits for one who has ended.
//
// No row is lost: it is taken away (7) by who has seen it in the log, above the floor, and what is above the floor is not
// removed. No row lands twice. Say it landed at q before another stores it at p. The other has found p free, so L was the
// last position when it began, and q ≤ L: whoever landed it had done so before step 1. So it is found in step 3, unless
// it was swept. But before the floor is raised to q what waits is looked through, and what is in the log at or below q is
// taken away: if the floor was raised before step 1 it is not found in step 2, and if later, step 4 sees it.
//
// The log has no gap: L+1 was never taken when it is stored, unless it was taken and swept since step 1, for L is not
// swept as long as it is the last. Then the floor is at L+1 or above; step 6 sees it, and nobody is told of the row: what
// is at or below the floor counts as not there, and who has read on from below it looks at it afterwards (passed). If who
// stored it ends before step 6, the row still waits, and lands anew. The floor never falls.
//
// Changes of one record land in the order in which they were made: they wait in one document, a deleted one too, and are
// taken from it together, in order. A row that comes later is behind them.
//
// What of it may end when:
//
//	after the write, or after 1 to 4   nothing has happened; it waits
//	in 5 or after it                   some are in the log; step 3 finds them, and step 7 takes them away
//	in 7 (driver.Carrier.Shed)         some are taken away; a document in which nothing waits is found by step 2, and made clean
//	in a sweep, before the floor is raised   what has landed does not wait any more, and that is all
//	in a sweep, after it                     rows at or below the floor are still there: the next sweep removes them
type landing struct {
	mu    sync.Mutex       // one at a time in this process
	clean map[string]int64 // by collection: up to which position nothing that is in the log waits there, for certain

	launched sync.Mutex
	due      map[*kind]bool // where this process has left rows
	running  bool
}

// landAtOnce is how many rows are stored together, and mostLanding in how many records of a collection they are looked for.
const (
	landAtOnce  = 100
	mostLanding = 500
)

// waiter is a record in which rows wait.
type waiter struct {
	k    *kind
	id   string
	rows []Record
}

// land moves what waits in these collections when it is called; nil: in all. Rows that it finds there are in the log when
// it has ended. clean is a position up to which nothing that is in the log waits in any collection.
func (l *changeLog) land(ctx context.Context, among []*kind) (clean int64, err error) {
	n := &l.landing
	n.mu.Lock()
	defer n.mu.Unlock()
	if among == nil {
		among = l.carriers()
	}
	if n.clean == nil {
		n.clean = map[string]int64{}
	}
	for {
		done, err := l.landSome(ctx, among)
		if err != nil {
			return 0, err
		}
		if done {
			break
		}
		if err := ctx.Err(); err != nil {
			return 0, fault.Wrap(fault.Unavailable, "move changes into the log", err)
		}
	}
	return n.least(l.carriers()), nil
}

// carriers are the collections in whose records rows may wait.
func (l *changeLog) carriers() (all []*kind) {
	for _, c := range l.db.app.Collections {
		if !c.System {
			all = append(all, l.db.kinds[c.Name])
		}
	}
	return all
}

func (n *landing) least(among []*kind) int64 {
	least := int64(1<<62 - 1)
	for _, k := range among {
		least = min(least, n.clean[k.Name])
	}
	return least
}

// landSome moves some of what waits, and says whether that was all.
func (l *changeLog) landSome(ctx context.Context, among []*kind) (done bool, err error) {
	floor, err := l.floor(ctx)
	if err != nil {
		return false, err
	}
	last, err := l.last(ctx, l.db.eng)
	if err != nil {
		return false, err
	}
	last = max(last, floor)
	all, whole, err := l.waits(ctx, among)
	if err != nil {
		return false, err
	}
	if len(all) == 0 {
		for _, k := range among {
			l.landing.clean[k.Name] = last
		}
		return true, nil
	}
	landed := map[string]bool{}
	from := max(floor, l.landing.least(among))
	err = l.carrier.Named(ctx, l.k.Collection, upTo(from), upTo(last), func(_, name string) error {
		landed[name] = true
		return nil
	})
	if err != nil {
		return false, err
	}
	if now, err := l.floor(ctx); err != nil || now != floor {
		return false, err
	}
	first := last
	if last, err = l.place(ctx, inOrder(all, landed), last, landed); err != nil {
		return false, err
	}
	if now, err := l.floor(ctx); err != nil || now != floor {
		return false, err
	}
	done = true
	for _, k := range among {
		var ids, names []string
		left := false
		for _, w := range all {
			if w.k != k {
				continue
			}
			ids = append(ids, w.id)
			for _, row := range w.rows {
				if name := row[spec.OrdID].Text(); landed[name] {
					names = append(names, name)
				} else {
					left = true
				}
			}
		}
		if len(ids) > 0 {
			if err := l.carrier.Shed(ctx, k.Collection, ids, names); err != nil {
				return false, err
			}
		}
		switch {
		case left || !whole[k]:
			done = false
		default: // what is at first or below and waited was found, and what has landed behind it is from here
			l.landing.clean[k.Name] = max(first, last)
		}
	}
	return done, nil
}

// waits reads what waits in collections, and says of which it has read all.
func (l *changeLog) waits(ctx context.Context, among []*kind) (all []waiter, whole map[*kind]bool, err error) {
	whole = map[*kind]bool{}
	for _, k := range among {
		n := 0
		err := l.carrier.Carried(ctx, k.Collection, l.k.Collection, mostLanding, func(id string, rows []Record) error {
			all = append(all, waiter{k, id, rows})
			n++
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		whole[k] = n < mostLanding
	}
	return all, whole, nil
}

// inOrder are the rows that have not landed, in the order in which they shall: that of their names, which is that of the
// clocks of those who made them; but those of one record stay in theirs, whatever clocks say.
func inOrder(all []waiter, landed map[string]bool) []Record {
	type place struct {
		key string
		row Record
	}
	var places []place
	for _, w := range all {
		key := ""
		for _, row := range w.rows {
			name := row[spec.OrdID].Text()
			key = max(key, name)
			if !landed[name] {
				places = append(places, place{key, row})
			}
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return 0
	})
	rows := make([]Record, len(places))
	for i, p := range places {
		rows[i] = p.row
	}
	return rows
}

// place stores rows behind the last position, until another has taken one, and adds to landed what it has stored. It
// returns the position of the last.
func (l *changeLog) place(ctx context.Context, rows []Record, last int64, landed map[string]bool) (int64, error) {
	for part := range slices.Chunk(rows, landAtOnce) {
		names := make([]string, len(part))
		placed := make([]Record, len(part))
		for i, row := range part {
			names[i] = row[spec.OrdID].Text()
			placed[i] = slices.Clone(row)
			number(placed[i:i+1], last+1+int64(i))
		}
		n, err := l.carrier.Place(ctx, l.k.Collection, placed, names)
		if err != nil {
			return last, err
		}
		for _, name := range names[:n] {
			landed[name] = true
		}
		last += int64(n)
		if n < len(part) {
			break
		}
	}
	return last, nil
}

// floor reads how far the log was swept, or is of another model; 0 where nobody has written it down.
func (l *changeLog) floor(ctx context.Context) (int64, error) {
	rec, err := l.state.record(ctx, l.db.eng, l.state.whole, logRow)
	if err != nil || rec == nil {
		return 0, err
	}
	f, _ := l.state.Field("floor")
	return rec[f.Ord].Int(), nil
}

// passed is the error of having read what is behind a position that the floor has passed by now: there may have been
// other rows than those that were swept.
func (l *changeLog) passed(ctx context.Context, after int64) error {
	if l.carrier == nil {
		return nil
	}
	floor, err := l.floor(ctx)
	if err == nil && after < floor {
		err = &TooOld{after}
	}
	return err
}

// raise sets the floor, below which rows are removed then. Nothing at or below it waits any more.
func (l *changeLog) raise(ctx context.Context, to int64) error {
	f, _ := l.state.Field("floor")
	return l.db.commit(ctx, &System, func(w *work) error {
		old, err := l.state.record(w.ctx, w.tx, l.state.lock, logRow)
		if err != nil {
			return err
		}
		if old == nil {
			return fault.New(fault.Internal, "the row of _log is gone")
		}
		if old[f.Ord].Int() >= to {
			return nil
		}
		rec := append(Record(nil), old...)
		rec[f.Ord] = expr.IntOf(to)
		return w.replace(l.state, old, rec)
	})
}

// carry leaves the rows of a write with the record that it changes.
func (l *changeLog) carry(w *work) error {
	tx, ok := w.raw.(driver.CarryTx)
	if !ok {
		return fault.New(fault.Internal, "a transaction that carries nothing")
	}
	k := l.db.kinds[w.changes[0][l.row.collection].Text()]
	for _, row := range w.changes {
		row[spec.OrdID] = expr.TextOf(l.db.ids.next(time.Now())) // not the clock of the app, which may be anything
	}
	if err := tx.Carry(l.k.Collection, w.changes); err != nil {
		return err
	}
	w.changes = nil
	w.after = append(w.after, l.committed, func(context.Context) { l.launch(k) })
	return nil
}

// launch moves what waits in a collection, beside whoever calls it and soon after, so that it never becomes much. What
// is left when that fails is moved by who looks into the log, or sweeps it.
func (l *changeLog) launch(k *kind) {
	n := &l.landing
	n.launched.Lock()
	defer n.launched.Unlock()
	if n.due == nil {
		n.due = map[*kind]bool{}
	}
	n.due[k] = true
	if !n.running {
		n.running = true
		go l.landed()
	}
}

// landTime bounds one try.
const landTime = 10 * time.Second

func (l *changeLog) landed() {
	n := &l.landing
	for {
		n.launched.Lock()
		if len(n.due) == 0 {
			n.running = false
			n.launched.Unlock()
			return
		}
		var among []*kind
		for k := range n.due {
			among = append(among, k)
		}
		clear(n.due)
		n.launched.Unlock()
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), landTime)
		if _, err := l.land(ctx, among); err != nil {
			l.db.log.Debug("changes wait to be moved into the log", "error", err)
		} else {
			l.wake()
			l.db.hints.give()
		}
		cancel()
		time.Sleep(min(9*time.Since(began), landTime)) // a tenth of the time at most goes by: who wants to know looks himself
	}
}
