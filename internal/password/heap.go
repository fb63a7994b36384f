package password

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// heap keeps the memory of derivations, those that have ended included, within a limit. golang.org/x/crypto makes new
// memory for each and lets none be used again, so what ended stays until the garbage collector has run. In a
// small process it runs after every second derivation by itself; in one with gigabytes of its own, or where GOGC is high or
// off, hundreds of them would pile up. So what has ended is counted until a cycle that began afterwards is complete, and a
// derivation that would exceed the limit has one run first. That costs such a process one cycle for half a limit's worth of
// derivations, and others nothing.
//
// What is freed stays resident, for what is needed next: derivations of one size use each other's places, so that is no more. A foreign
// hash of another size leaves holes that the next does not fit into. Before a large one would take all of this over one and a half times the
// limit, what is free is given back to the system. That is dear (tens of milliseconds, and every page is asked for again), and seldom needed.
type heap struct {
	mu    sync.Mutex
	limit int64 // bytes
	usual int64 // what one of today's parameters needs
	live  int64 // of derivations under way
	fresh int64 // of those that ended since the last cycle was complete: one that is running may have missed them
	stale int64 // of those that ended in the time of the cycle before
	cycle uint64
}

// large is what is worth a cycle of the garbage collector.
const large = 32 << 20

// begin makes sure that so many bytes fit.
func (h *heap) begin(bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turn(cycles())
	switch all := h.live + h.fresh + h.stale + bytes; {
	case bytes > h.usual && bytes >= large && all+idle() > h.limit+h.limit/2:
		debug.FreeOSMemory() // a cycle too
		h.fresh, h.stale = 0, 0
	case all > h.limit && h.fresh+h.stale > 0:
		runtime.GC() // complete when it returns, and begun after whatever had ended
		h.fresh, h.stale = 0, 0
	}
	h.live += bytes
}

// end says that what begin was told of is garbage.
func (h *heap) end(bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turn(cycles())
	h.live -= bytes
	h.fresh += bytes
}

// turn takes note of how many cycles were completed.
func (h *heap) turn(cycle uint64) {
	switch cycle - h.cycle {
	case 0:
		return
	case 1:
		h.stale = h.fresh
	default:
		h.stale = 0
	}
	h.cycle, h.fresh = cycle, 0
}

// cycles is how many cycles of the garbage collector are complete.
func cycles() uint64 { return metric("/gc/cycles/total:gc-cycles") }

// idle is how much of the heap is free, and resident.
func idle() int64 { return int64(metric("/memory/classes/heap/free:bytes")) }

func metric(name string) uint64 {
	sample := [1]metrics.Sample{{Name: name}}
	metrics.Read(sample[:])
	return sample[0].Value.Uint64()
}
