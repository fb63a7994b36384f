package live

import (
	"encoding/binary"
	"slices"

	"github.com/bluell/plinth/data"
)

// view is what a stream shows: one list, or several.
type view struct {
	key     string
	watches []*data.Watch
	several bool // it is of GET /api/live, where events say which list they are of
}

func newView(watches []*data.Watch, several bool) *view {
	v := &view{watches: watches, several: several}
	var key []byte
	if several {
		key = append(key, '+')
	}
	for _, w := range watches {
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
		sub := alone
		if v.several {
			sub = subscription(e.of)
		}
		dst = sub.open(eventOf(dst, e.Kind, id))
		if shows {
			var err error
			if dst, err = v.watches[e.of].Append(dst, h, c, e.Record); err != nil {
				return dst, err
			}
		} else {
			dst = appendID(dst, e.ID)
		}
		dst = sub.close(dst)
	}
	return dst, nil
}

// group are clients of one view: they are told the same.
type group struct {
	*view
	clients map[*client]struct{}
}
