package live

import (
	"sort"

	"github.com/bluell/plinth/data"
)

// mostRecent is how many bytes of changes a hub remembers.
const mostRecent = 8 << 20

// recent are the newest changes that a hub has told of, in order. Whoever comes back after a moment is told from them what he
// has missed, and the database is not asked: when links are cut, or another replica ends, many come back at once.
type recent struct {
	all   []*data.Change
	since int64 // they are all that are behind this position
	size  int   // bytes
	most  int
}

// begin forgets all: what is behind a position comes next.
func (r *recent) begin(at int64) { *r = recent{since: at, most: r.most} }

func (r *recent) add(all []*data.Change) {
	r.size += sizeOf(all)
	r.all = append(r.all, all...)
	if r.size <= r.most {
		return
	}
	n := 0
	for ; r.size > r.most/2; n++ { // half of them, so that it is seldom done
		r.size -= r.all[n].Size()
		r.since = r.all[n].Position
	}
	r.all = append([]*data.Change(nil), r.all[n:]...)
}

// recall puts changes before the others: all from behind a position up to where they begin. It does nothing when there is too
// much of them.
func (r *recent) recall(from int64, all []*data.Change) {
	size := sizeOf(all)
	if r.size+size > r.most {
		return
	}
	r.all = append(all[:len(all):len(all)], r.all...)
	r.size, r.since = r.size+size, from
}

// behind gives the changes behind a position that is not before since. They are not to be changed.
func (r *recent) behind(at int64) []*data.Change {
	i := sort.Search(len(r.all), func(i int) bool { return r.all[i].Position > at })
	return r.all[i:len(r.all):len(r.all)]
}

func sizeOf(all []*data.Change) (n int) {
	for _, c := range all {
		n += c.Size()
	}
	return n
}
