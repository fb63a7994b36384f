package live

import (
	"encoding/binary"
	"slices"

	"github.com/bluell/plinth/data"
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

// tell prints what a view tells of a change; the events before skip were told before.
func (v *view) tell(dst []byte, h *data.History, epoch string, c *data.Change, skip int) ([]byte, error) {
	var buf [4]told
	all := buf[:0]
	var events [4]data.Event
	for i, w := range v.watches {
		own, err := w.Events(h, c, events[:0])
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
		id := place{data.Position{Epoch: epoch, Number: c.Position}, 0}
		if i < len(all)-1 {
			id.Number, id.events = c.Position-1, i+1
		}
		from, head := len(dst), head{kind: e.Kind, id: id, hasID: true, sub: v.subs[e.of], name: "record"}
		dst = v.form.open(dst, head)
		if shows {
			var err error
			if dst, err = v.watches[e.of].Append(dst, h, c, e.Event); err != nil {
				return dst, err
			}
		} else {
			dst = appendID(dst, e.ID)
		}
		dst = v.form.close(dst, from, head)
	}
	return dst, nil
}

// group are clients of one view: they are told the same.
type group struct {
	*view
	clients map[*client]struct{}
}
