package live

import (
	"encoding/binary"
	"slices"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/fault"
)

// view is what a stream shows: one list, or several.
type view struct {
	key     string
	form    form
	watches []*data.Watch
	subs    []subscription // their numbers
}

func newView(form form, watches []*data.Watch, subs []subscription) *view {
	v := &view{form: form, watches: watches, subs: subs}
	key := []byte{form.mark()}
	for i, w := range watches {
		key = binary.AppendVarint(key, int64(subs[i]))
		key = append(binary.AppendUvarint(key, uint64(len(w.Key()))), w.Key()...)
	}
	v.key = string(key)
	return v
}

// walks says whether the view looks at other records than the changed ones, for changes in these collections.
func (v *view) walks(changed map[string]bool) bool {
	for _, w := range v.watches {
		if !w.Walks() {
			continue
		}
		for c := range changed {
			if w.Depends(c) {
				return true
			}
		}
	}
	return false
}

// looks says whether the view looks at other records than those of its lists.
func (v *view) looks() bool {
	for _, w := range v.watches {
		if w.Walks() {
			return true
		}
	}
	return false
}

func (v *view) depends(changed map[string]bool) bool {
	for _, w := range v.watches {
		for c := range changed {
			if w.Depends(c) {
				return true
			}
		}
	}
	return false
}

// concerned says whether the view may have something to tell of some of these changes.
func (v *view) concerned(changes []*data.Change) bool {
	return slices.ContainsFunc(v.watches, func(w *data.Watch) bool {
		return slices.ContainsFunc(changes, func(c *data.Change) bool { return w.Depends(c.Collection) })
	})
}

// ended says whether a change takes away what a caller sees the view by.
func (v *view) ended(by *data.Caller, c *data.Change) bool {
	return slices.ContainsFunc(v.watches, func(w *data.Watch) bool { return w.Ended(by, c) })
}

// same says whether one caller sees the view by the same rights as another.
func (v *view) same(a, b *data.Caller) bool {
	return !slices.ContainsFunc(v.watches, func(w *data.Watch) bool { return !w.Same(a, b) })
}

// toldEvent is an event and the list that it is of.
type toldEvent struct {
	data.Event
	of int
}

// errCut: the log gives a part of a transaction. What lies within one nobody is told.
var errCut = fault.New(fault.TooLarge, "a transaction changes too many records to be told of together")

// tell prints what a view tells of a transaction to who is at a place, of changes up to a position.
func (v *view) tell(dst []byte, h *data.History, from place, to data.Position, transaction []*data.Change) ([]byte, error) {
	c, skip := transaction[len(transaction)-1], 0
	switch {
	case !v.concerned(transaction):
		return dst, nil
	case c.First <= from.Number || c.Last > to.Number:
		return dst, errCut
	case c.First == from.Number+1:
		skip = from.events // they were told before
	}
	var buf [4]toldEvent
	all, err := v.events(buf[:0], h, transaction)
	if err != nil {
		return dst, err
	}
	for i, e := range all {
		if i < skip || e.shows() && e.Record == nil {
			continue
		}
		id := place{data.Position{Epoch: to.Epoch, Number: c.Last}, 0}
		if i < len(all)-1 {
			id.Number, id.events = c.First-1, i+1
		}
		if dst, err = v.print(dst, h, c, e, head{kind: e.Kind, id: id, hasID: true}); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// mostRenewed is about how many bytes are printed of what has changed while a snapshot was sent: they wait for who reads slowly.
const mostRenewed = 4 << 20

var errMuch = fault.New(fault.TooLarge, "too much has changed while a snapshot was sent")

// renew prints what has become of a list since a position, for who is shown the whole of it, and may have been shown each part as it was at
// another moment: what has changed and is in it, once more, and what was in it and is not. all are the changes behind the position up to another.
func (v *view) renew(dst []byte, h *data.History, from, to int64, all []*data.Change) ([]byte, error) {
	if len(all) == 0 {
		return dst, nil
	}
	type place struct {
		of int
		id string
	}
	was := map[place]bool{}
	for t := range data.Transactions(all) {
		some, err := v.events(nil, h, t)
		if err != nil {
			return dst, err
		}
		for _, e := range some {
			was[place{e.of, e.ID}] = true
		}
	}
	together := make([]*data.Change, len(all))
	for i, c := range all {
		one := *c
		one.First, one.Last = from+1, to
		together[i] = &one
	}
	told, err := v.events(nil, h, together)
	if err != nil {
		return dst, err
	}
	for i := range told {
		e := &told[i]
		delete(was, place{e.of, e.ID})
		if e.shows() {
			if e.Kind = "snapshot"; e.Record == nil {
				e.Kind = "leave"
			}
		}
	}
	for p := range was { // only in between
		told = append(told, toldEvent{data.Event{Kind: "leave", ID: p.id}, p.of})
	}
	for _, e := range told {
		if len(dst) > mostRenewed {
			return dst, errMuch
		}
		if dst, err = v.print(dst, h, together[len(all)-1], e, head{kind: e.Kind}); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// shows says whether the event has a record to be shown.
func (e *toldEvent) shows() bool { return e.Kind != "delete" && e.Kind != "leave" }

// events appends what the lists tell of changes that are of one transaction.
func (v *view) events(dst []toldEvent, h *data.History, transaction []*data.Change) ([]toldEvent, error) {
	var events [4]data.Event
	for i, w := range v.watches {
		own, err := w.Events(h, transaction, events[:0])
		if err != nil {
			return dst, err
		}
		for _, e := range own {
			dst = append(dst, toldEvent{e, i})
		}
	}
	return dst, nil
}

// print prints an event, as the head says.
func (v *view) print(dst []byte, h *data.History, c *data.Change, e toldEvent, as head) ([]byte, error) {
	as.sub, as.name = v.subs[e.of], "record"
	begun, err := len(dst), error(nil)
	if dst = v.form.open(dst, as); e.Record != nil && e.shows() {
		dst, err = v.watches[e.of].Append(dst, h, c, e.Event)
	} else {
		dst = appendID(dst, e.ID)
	}
	return v.form.close(dst, begun, as), err
}

// group are clients of one view: they are told the same.
type group struct {
	*view
	clients map[*client]struct{}
}
