package data

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// History is the database as it was at the positions of some changes, and as it is now: one snapshot of it, from which
// what was committed since is taken back. It is used by one goroutine.
//
// Without transactions there is no snapshot, and each question has its own moment. So after each the changes are read that
// have come meanwhile, and are taken back too (catchUp): what was asked is then as it was at the position, whenever it
// was asked.
type History struct {
	db  *DB
	ctx context.Context
	rd  driver.Reader // nil: only the changes themselves are looked at

	all     []*Change                       // since it begins, in order
	newest  int64                           // the last position among them
	later   map[string]map[string][]*Change // the same, by collection and record, with those that have no position yet
	records map[string]map[string]Record    // as they are in the snapshot
	links   map[way][][]Value

	until time.Time // see Until

	log     *changeLog                      // where there are no snapshots; else nil
	read    int64                           // the last position among later
	waiting map[string]map[string][]*Change // like later, and behind it: what had not landed when it was looked for
}

// way leads from a record to those that refer to it.
type way struct {
	collection string
	ord        int
	id         string
}

// mostLater bounds what is taken back for one look at the past.
const mostLater = 100_000

// Changes are those behind the position where the history begins, if other records are looked at, and the position to
// which they lead.
func (h *History) Changes() ([]*Change, int64) { return h.all, h.newest }

// ErrCostly: other records were looked at for too long.
var ErrCostly = fault.New(fault.TooLarge, "a live list looks at other records for longer than it may")

// Until bounds for how long other records are looked at: behind t each question for one fails with ErrCostly.
func (h *History) Until(t time.Time) { h.until = t }

func (h *History) late() error {
	if !h.until.IsZero() && time.Now().After(h.until) {
		return ErrCostly
	}
	return nil
}

// WithHistory runs fn with the history behind a position, which ends with fn. walks says that other records than the
// changed ones are looked at.
func (db *DB) WithHistory(ctx context.Context, after Position, walks bool, fn func(*History) error) error {
	h := &History{db: db, ctx: ctx, records: map[string]map[string]Record{}}
	if !walks {
		return fn(h)
	}
	l, err := db.logged()
	if err != nil {
		return err
	}
	h.later, h.links = map[string]map[string][]*Change{}, map[way][][]Value{}
	if l.carrier != nil {
		return l.unfixed(h, after, fn)
	}
	return db.eng.Read(ctx, func(rd driver.Reader) error {
		h.rd = rd
		newest, err := l.last(ctx, rd)
		if err != nil {
			return err
		}
		if newest-after.Number > mostLater {
			return &TooOld{after.Number}
		}
		h.newest = newest
		note := func(row Record) error {
			c, err := l.change(row)
			if c == nil || err != nil {
				return err
			}
			if c.Position <= newest {
				h.all = append(h.all, c)
			}
			keep(h.later, c)
			return nil
		}
		next := after.Number + 1
		err = rd.Rows(ctx, l.between, []Value{expr.TextOf(upTo(after.Number)), expr.TextOf(upTo(newest))}, func(cols driver.Columns) error {
			row := l.k.copy(cols)
			if positionOf(row[spec.OrdID].Text()) != next { // some have been swept
				return &TooOld{after.Number}
			}
			next++
			return note(row)
		})
		if err == nil && next <= newest {
			err = &TooOld{after.Number}
		}
		if err != nil {
			return err
		}
		if !l.ordered { // what the snapshot has and nobody has given a position
			rows, err := l.pending(ctx, rd, newest+1)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if err := note(row); err != nil {
					return err
				}
			}
		}
		return fn(h)
	})
}

// keep notes a change by its record.
func keep(in map[string]map[string][]*Change, c *Change) {
	records := in[c.Collection]
	if records == nil {
		records = map[string][]*Change{}
		in[c.Collection] = records
	}
	records[c.ID] = append(records[c.ID], c)
}

// present is what a record is now, plain; nil when it is gone.
func (h *History) present(k *kind, id string) (Record, error) {
	rec, err := h.stored(k, id)
	if rec == nil || err != nil {
		return nil, err
	}
	return h.db.opened(k, rec)
}

// stored reads a record as it is stored, in the snapshot if there is one.
func (h *History) stored(k *kind, id string) (Record, error) {
	all := h.records[k.Name]
	if rec, known := all[id]; known {
		return rec, nil
	}
	var rd driver.Reader = h.db.eng
	if h.rd != nil {
		rd = h.rd
	}
	rec, err := k.record(h.ctx, rd, k.whole, id)
	if err == nil {
		err = h.catchUp(k)
	}
	if err != nil {
		return nil, err
	}
	if all == nil {
		all = map[string]Record{}
		h.records[k.Name] = all
	}
	all[id] = rec
	return rec, nil
}

// instant is the database at a position. It is an expr.Fetcher.
type instant struct {
	h  *History
	at int64
}

var _ expr.Fetcher = instant{}

func (h *History) at(position int64) instant { return instant{h, position} }
func (h *History) now() instant              { return instant{h, math.MaxInt64} }

var errNoSnapshot = fault.New(fault.Internal, "a history without a snapshot is asked for a record")

// past is what a record was, if it has changed since.
func (i instant) past(collection, id string) (rec Record, changed bool) {
	for _, c := range i.h.later[collection][id] {
		if c.Position > i.at {
			return c.Old, true
		}
	}
	for _, c := range i.h.waiting[collection][id] {
		if c.Position > i.at {
			return c.Old, true
		}
	}
	return nil, false
}

func (i instant) Fetch(collection, id string) ([]Value, error) {
	if i.h.rd == nil {
		return nil, errNoSnapshot
	}
	if err := i.h.late(); err != nil {
		return nil, err
	}
	if rec, changed := i.past(collection, id); changed {
		return rec, nil
	}
	rec, err := i.h.stored(i.h.db.kinds[collection], id)
	if err != nil {
		return nil, err
	}
	if was, changed := i.past(collection, id); changed { // meanwhile
		return was, nil
	}
	return rec, nil
}

func (i instant) Referring(collection string, ord int, id string) ([][]Value, error) {
	if i.h.rd == nil {
		return nil, errNoSnapshot
	}
	if err := i.h.late(); err != nil {
		return nil, err
	}
	key := way{collection, ord, id}
	found, ok := i.h.links[key]
	if !ok {
		var err error
		if found, err = (fetcher{i.h.db, i.h.ctx, i.h.rd}).Referring(collection, ord, id); err != nil {
			return nil, err
		}
		if err := i.h.catchUp(i.h.db.kinds[collection]); err != nil {
			return nil, err
		}
		i.h.links[key] = found
	}
	changed := i.h.changed(collection)
	if len(changed) == 0 {
		return found, nil
	}
	out := make([][]Value, 0, len(found))
	for _, r := range found {
		if _, was := i.past(collection, r[spec.OrdID].Text()); !was {
			out = append(out, r)
		}
	}
	for _, own := range changed {
		rec, was := i.past(collection, own)
		if !was || rec == nil {
			continue
		}
		if v := rec[ord]; v.Text() == id || slices.ContainsFunc(v.List(), func(item Value) bool { return item.Text() == id }) {
			out = append(out, rec)
		}
	}
	slices.SortFunc(out, func(a, b []Value) int { return expr.Compare(a[spec.OrdID], b[spec.OrdID]) })
	return out, nil
}
