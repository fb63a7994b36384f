package drivertest

import (
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/spec"
)

// Open makes an empty database for an app: the suite makes its tables. It is closed by the suite.
type Open func(t testing.TB, app *spec.App) driver.Engine

// Known are cases that an engine is known to fail, by "topic/case", with the reason. One that
// passes fails the suite: it is known no longer.
type Known map[string]string

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
	{"parameters", parameters},
	{"names", names},
	{"tx", transactions},
	{"concurrency", concurrency},
	{"schema", schema},
	{"lifecycle", lifecycle},
	{"random", random},
}

// suite is one topic on one engine.
type suite struct {
	*testing.T
	topic string
	open  Open
	known Known
}

// Run runs every topic on an engine.
func Run(t *testing.T, open Open, known ...Known) {
	all := Known{}
	for _, k := range known {
		for name, reason := range k {
			all[name] = reason
		}
	}
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) {
			t.Parallel()
			topic.run(&suite{T: t, topic: topic.name, open: open, known: all})
		})
	}
}

// expect runs a case. Of one that is known to fail, passing is the failure.
func (s *suite) expect(name string, fn func() error) {
	s.Helper()
	reason, known := s.known[s.topic+"/"+name]
	switch err := fn(); {
	case known && err == nil:
		s.Errorf("%s passes, and is known to fail (%s): remove it from the known", name, reason)
	case !known && err != nil:
		s.Errorf("%s: %v", name, err)
	}
}
