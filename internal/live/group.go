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

// told is an event and the list that it is of.
type told struct {
	data.Event
	of int
}

// errCut: the log gives a part of a transaction. What lies within one nobody is told.
var errCut = fault.New(fault.TooLarge, "a transaction changes too many records to be told of together")

// tell prints what a view tells of a transaction to who is at a place, of changes up to a position.
func (v *view) tell(dst []byte, h *data.History, from place, to data.Position, transaction []*data.Change) ([]byte, error) {
	var buf [4]told
	all := buf[:0]
	var events [4]data.Event
	c, skip := transaction[len(transaction)-1], 0
	switch {
	case !v.concerned(transaction):
		return dst, nil
	case c.First <= from.Number || c.Last > to.Number:
		return dst, errCut
	case c.First == from.Number+1:
		skip = from.events // they were told before
	}
	for i, w := range v.watches {
		own, err := w.Events(h, transaction, events[:0])
		if err != nil {
			return dst, err
		}
		for _, e := range own {
			all = append(all, told{e, i})
		}
	}
	for i, e := range all {
		shows := e.Kind != "delete" && e.Kind != "leave"
		if i < skip || shows && e.Record == nil {
			continue
		}
		id := place{data.Position{Epoch: to.Epoch, Number: c.Last}, 0}
		if i < len(all)-1 {
			id.Number, id.events = c.First-1, i+1
		}
		begun, head := len(dst), head{kind: e.Kind, id: id, hasID: true, sub: v.subs[e.of], name: "record"}
		dst = v.form.open(dst, head)
		if shows {
			var err error
			if dst, err = v.watches[e.of].Append(dst, h, c, e.Event); err != nil {
				return dst, err
			}
		} else {
			dst = appendID(dst, e.ID)
		}
		dst = v.form.close(dst, begun, head)
	}
	return dst, nil
}

// group are clients of one view: they are told the same.
type group struct {
	*view
	clients map[*client]struct{}
}
