package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
)

// requests gives the bytes of one request after the other; each connection has its own rng.
type requests func(b []byte, rng *rand.Rand) []byte

// line is one kind of work, and how much of each peer's speed Plinth must reach.
type line struct {
	name     string
	title    string
	creates  bool
	requests func(s *site) requests
	goals    map[string]float64
}

func (l line) status(api dialect) int {
	if l.creates {
		return api.created
	}
	return http.StatusOK
}

// workLines come in the order in which they are run: what makes the tables longer is last.
var workLines = []line{
	{name: "read", title: "read one", requests: reads, goals: goals(3)},
	{name: "list", title: "list 30, filtered, sorted", requests: lists(false), goals: goals(5)},
	{name: "expand", title: "the same, author expanded", requests: lists(true), goals: goals(5)},
	{name: "patch", title: "patch", requests: patches, goals: goals(3)},
	{name: "create", title: "create", creates: true, requests: creates, goals: goals(3)},
	{name: "batch", title: "batch of 100 creates", requests: batches, goals: goals(0)},
	{name: liveLine},
	{name: identityLine},
	{name: sightLine},
	{name: overloadLine},
	{name: slowLine},
	{name: httpsLine},
}

// What follows is measured in another way than the lines with requests (live.go, identity.go, sight.go, overload.go, slow.go, https.go).
const liveLine = "live"

// goals of Plinth's speed over a peer's; Fastify must be beaten, hand-written Go nearly reached.
func goals(pocketbase float64) map[string]float64 {
	return map[string]float64{"handwritten": 0.9, "pocketbase": pocketbase, "fastify": 1, "directus": 10}
}

func chosen(all []line, o options) ([]line, error) {
	for _, name := range o.lines {
		if !slices.ContainsFunc(all, func(l line) bool { return l.name == name }) {
			return nil, fmt.Errorf("there is no line %q here", name)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(l line) bool { return !o.wants(o.lines, l.name) }), nil
}

func reads(s *site) requests {
	path := s.api.posts + "/"
	return func(b []byte, rng *rand.Rand) []byte {
		return appendGet(b, path, s.postID(rng.IntN(s.posts)))
	}
}

func lists(expand bool) func(*site) requests {
	return func(s *site) requests {
		var paths []string
		for _, status := range statuses {
			paths = append(paths, s.api.list(status, 30, expand, ""))
		}
		return func(b []byte, rng *rand.Rand) []byte {
			return appendGet(b, paths[rng.IntN(len(paths))], "")
		}
	}
}

// patches always change something: a patch that changes nothing would be cheaper.
func patches(s *site) requests {
	path := s.api.posts + "/"
	return func(b []byte, rng *rand.Rand) []byte {
		views := rng.IntN(1 << 30)
		body := fmt.Appendf(nil, `{"title":"Patched to %d views","views":%d}`, views, views)
		return appendSend(b, http.MethodPatch, path+s.postID(rng.IntN(s.posts)), body)
	}
}

func creates(s *site) requests {
	ready := make([][]byte, 500)
	for i := range ready {
		ready[i] = appendSend(nil, http.MethodPost, s.api.posts, s.post(s.posts+i).json())
	}
	return anyOf(ready)
}

func batches(s *site) requests {
	ready := make([][]byte, 50)
	for i := range ready {
		bodies := make([][]byte, 100)
		for j := range bodies {
			bodies[j] = s.post(s.posts + 100*i + j).json()
		}
		ready[i] = appendSend(nil, http.MethodPost, s.api.batched("posts"), s.api.batch("posts", bodies))
	}
	return anyOf(ready)
}

func anyOf(ready [][]byte) requests {
	return func(b []byte, rng *rand.Rand) []byte {
		return append(b, ready[rng.IntN(len(ready))]...)
	}
}
