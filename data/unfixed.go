package data

import (
	"maps"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// unfixed runs fn with a history where there are no snapshots. It ends at a position up to which nothing waits any more
// that is in the log: what is found to wait later is behind it.
func (l *changeLog) unfixed(h *History, after Position, fn func(*History) error) error {
	clean, err := l.land(h.ctx, nil)
	if err != nil {
		return err
	}
	if clean-after.Number > mostLater {
		return &TooOld{after.Number}
	}
	h.log, h.rd, h.newest = l, h.db.eng, max(clean, after.Number)
	h.read, h.waiting = after.Number, map[string]map[string][]*Change{}
	if h.all, err = h.readOn(h.newest); err != nil {
		return err
	}
	return fn(h)
}

// readOn adds the changes up to a position to later.
func (h *History) readOn(to int64) (all []*Change, err error) {
	l, next := h.log, h.read+1
	between := []Value{expr.TextOf(upTo(h.read)), expr.TextOf(upTo(to))}
	err = h.db.eng.Rows(h.ctx, l.between, between, func(cols driver.Columns) error {
		row := l.k.copy(cols)
		if positionOf(row[spec.OrdID].Text()) != next {
			return &TooOld{h.read}
		}
		next++
		c, err := l.change(row)
		if c != nil && err == nil {
			all = append(all, c)
			keep(h.later, c)
		}
		return err
	})
	if err == nil && next <= to {
		err = &TooOld{h.read}
	}
	if err == nil {
		err = l.passed(h.ctx, h.read)
	}
	if err == nil {
		h.read = max(h.read, to)
	}
	return all, err
}

// catchUp is called after a question about a collection, before its answer is used. Every change that the answer may show
// waits, or it has landed and may wait no more: so what waits is read first, and then the log. A change that is found in
// both is told twice, which does no harm: only the first behind a position counts.
func (h *History) catchUp(k *kind) error {
	if h.log == nil {
		return nil
	}
	l := h.log
	waiting := map[string][]*Change{}
	n := 0
	err := l.carrier.Carried(h.ctx, k.Collection, l.k.Collection, mostLater+1, func(id string, rows []Record) error {
		for _, row := range rows {
			if n++; n > mostLater {
				return &TooOld{h.newest}
			}
			number([]Record{row}, h.newest+1)
			c, err := l.change(row)
			if c == nil || err != nil || c.Collection != k.Name {
				return err
			}
			waiting[id] = append(waiting[id], c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	last, err := l.last(h.ctx, h.db.eng)
	if err != nil {
		return err
	}
	if last > h.read {
		if last-h.newest > mostLater {
			return &TooOld{h.newest}
		}
		if _, err := h.readOn(last); err != nil {
			return err
		}
	}
	h.waiting[k.Name] = waiting
	return nil
}

// changed are the records of a collection that have changed since the history begins.
func (h *History) changed(collection string) []string {
	ids := slices.Collect(maps.Keys(h.later[collection]))
	for id := range h.waiting[collection] {
		if _, known := h.later[collection][id]; !known {
			ids = append(ids, id)
		}
	}
	return ids
}
