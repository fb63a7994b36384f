package drivertest

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// Open makes an empty database for an app: the suite makes its tables. It is closed by the suite.
type Open func(t testing.TB, app *spec.App) driver.Engine

// Known are cases that an engine is known to fail, by "topic/case", with the reason. One that
// passes fails the suite: it is known no longer.
type Known map[string]string

// Refusals are the cases that an engine refuses whole, by "topic/case", with what it lacks: the Op of its
// fault.Capability. One that passes, or fails in any other way, fails the suite; so does a case that is
// refused and not among them.
type Refusals map[string]string

// topic is one file of the suite.
type topic struct {
	name string
	run  func(*suite)
}

var topics = []topic{
	{"nulls", nulls},
	{"logic", logic},
	{"pages", pages},
	{"text", texts},
	{"ci", ci},
	{"numbers", numbers},
	{"time", times},
	{"json", jsons},
	{"refs", refs},
	{"lists", lists},
	{"unique", uniques},
	{"groups", groups},
	{"per", per},
	{"beside", beside},
	{"parameters", parameters},
	{"names", names},
	{"tx", transactions},
	{"inserts", inserts},
	{"updates", updates},
	{"changes", changes},
	{"concurrency", concurrency},
	{"clock", clock},
	{"leases", leases},
	{"consumers", consumers},
	{"jobs", jobs},
	{"schema", schema},
	{"evolve", evolve},
	{"lifecycle", lifecycle},
	{"random", random},
}

// suite is one topic on one engine.
type suite struct {
	*testing.T
	topic string
	open  Open
	known Known

	caps     driver.Caps // of the engine, once it is open
	refusals Refusals    // nil: an engine that lacks something may refuse any
	seen     func(name, lacks string)
	counts   *counts
	passed   atomic.Int64
	refused  atomic.Int64
}

// Run runs every topic on an engine. What an engine without transactions or joins refuses is counted.
func Run(t *testing.T, open Open, known ...Known) {
	run(t, open, nil, nil, known)
}

// RunLacking runs every topic on an engine that lacks something. It refuses those cases and no others; seen, if
// there is one, is told of each that is refused, to make the list.
func RunLacking(t *testing.T, open Open, refusals Refusals, seen func(name, lacks string), known ...Known) {
	run(t, open, refusals, seen, known)
}

// RunTopics runs some topics, which are not counted: the same engine on another way.
func RunTopics(t *testing.T, open Open, names ...string) {
	for _, name := range names {
		at := slices.IndexFunc(topics, func(o topic) bool { return o.name == name })
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topics[at].run(&suite{T: t, topic: name, open: open, counts: &counts{}})
		})
	}
}

func run(t *testing.T, open Open, refusals Refusals, seen func(name, lacks string), known []Known) {
	all := Known{}
	for _, k := range known {
		for name, reason := range k {
			all[name] = reason
		}
	}
	counts := counting(t)
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) {
			t.Parallel()
			s := &suite{T: t, topic: topic.name, open: open, known: all, refusals: refusals, seen: seen, counts: counts}
			topic.run(s)
			counts.topic(topic.name, s.passed.Load(), s.refused.Load())
			t.Logf("%d cases passed, %d were refused", s.passed.Load(), s.refused.Load())
		})
	}
}

// expect runs a case and says whether the engine refused it. Of one that is known to fail, or to be refused,
// passing is the failure.
func (s *suite) expect(name string, fn func() error) (refused bool) {
	s.Helper()
	key := s.topic + "/" + name
	reason, known := s.known[key]
	lacks, listed := s.refusals[key]
	err := fn()
	op, refused := s.refusal(err)
	switch {
	case known && err == nil:
		s.Errorf("%s passes, and is known to fail (%s): remove it from the known", name, reason)
	case known:
		s.counts.known(key, reason)
	case listed && err == nil:
		s.Errorf("%s passes, and is known to be refused (%s): remove it from the refusals", name, lacks)
	case refused && (s.refusals == nil || lacks == op):
		s.refused.Add(1)
	case err != nil:
		s.Errorf("%s: %v", name, err)
	default:
		s.passed.Add(1)
	}
	if refused && !known && s.seen != nil {
		s.seen(key, op)
	}
	return refused
}

// refusal says whether an error is the refusal of an engine that lacks something, and what.
func (s *suite) refusal(err error) (lacks string, refused bool) {
	var e *fault.Error
	if s.caps.Transactions && s.caps.Paths || !errors.As(err, &e) || e.Kind != fault.Capability {
		return "", false
	}
	return e.Op, true
}
