package sqlite

import (
	"math/bits"
	"sync/atomic"

	"github.com/bluell/plinth/data/driver"
)

// groups counts the writes of each commit.
type groups struct {
	writes atomic.Uint64
	sizes  [9]atomic.Uint64 // by driver.GroupSizes
}

func (g *groups) add(n int) {
	g.writes.Add(uint64(n))
	g.sizes[min(bits.Len(uint(n-1)), len(g.sizes)-1)].Add(1)
}

// Load is how busy the readers are, and what the writer has committed together.
func (e *Engine) Load() driver.Load {
	p := e.readers
	l := driver.Load{Most: cap(p.free), Waiting: int(p.waits.Load()), Queue: len(e.writer.queue), Groups: &driver.Groups{}}
	l.InUse = cap(p.free) - len(p.free) + cap(p.extra) - len(p.extra)
	p.mu.Lock()
	l.Idle = len(p.idle)
	p.mu.Unlock()
	g := &e.writer.groups
	l.Groups.Writes = g.writes.Load()
	for i := range g.sizes {
		n := g.sizes[i].Load()
		l.Groups.Sizes = append(l.Groups.Sizes, n)
		l.Groups.Commits += n
	}
	return l
}
