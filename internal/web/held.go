package web

import (
	"net/http"
	"net/netip"
	"sync"
)

// What answers hold in memory while their clients take them is bounded: a client that asks for much and
// reads slowly must not take the memory of all, nor the share of others.
const (
	largeAnswer = 256 << 10 // bytes from which an answer counts
	mostHeld    = 128 << 20
	mostOfOne   = mostHeld / 4 // that one client holds with more than one answer
)

var held holding

// holding counts the bytes of large answers that are on their way.
type holding struct {
	mu  sync.Mutex
	all int64
	of  map[netip.Addr]int64 // by client, as far as one is known
}

// take counts an answer, and says whether it may be sent. It is given back either way.
func (h *holding) take(who netip.Addr, n int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all += n
	if !who.IsValid() {
		return h.all <= mostHeld
	}
	if h.of == nil {
		h.of = map[netip.Addr]int64{}
	}
	others := h.of[who]
	h.of[who] += n
	return h.all <= mostHeld && (others == 0 || others+n <= mostOfOne)
}

func (h *holding) give(who netip.Addr, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all -= n
	if !who.IsValid() {
		return
	}
	if h.of[who] -= n; h.of[who] == 0 {
		delete(h.of, who)
	}
}

// clientOf is the address that a request's connection is counted for; not valid where many share it or none is known.
func clientOf(r *http.Request) netip.Addr {
	if c, ok := r.Context().Value(connections{}).(Connection); ok {
		return c.Client()
	}
	return netip.Addr{}
}
