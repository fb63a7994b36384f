package live_test

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/sqlite"
)

// several processes on one file.
func several(t *testing.T, n int) []*house {
	t.Helper()
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plinth.db")
	all := make([]*house, n)
	for i := range all {
		var e driver.Engine
		e, err := sqlite.Open(file, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all[i] = serve(t, hall, e)
		all[i].people()
	}
	return all
}

func TestMessagesBetweenProcesses(t *testing.T) {
	all := several(t, 2)
	a, b := all[0], all[1]
	atA, atB := a.listen("", "/api/live/open/x", ""), b.listen("", "/api/live/quiet/x", "")
	atA.want("presence", "ready")
	atB.want("ready")
	const many = 90 // less than one caller may send at once
	for n := range many {
		b.say("staff", "open/x", fmt.Sprintf(`{"data":%d}`, n))
		if n%3 == 0 {
			a.say("staff", "quiet/x", fmt.Sprintf(`{"data":%d}`, n))
		}
	}
	for n := range many {
		atA.told(fmt.Sprintf(`message {"data":%d}`, n))
		if n%3 == 0 {
			atB.told(fmt.Sprintf(`message {"data":%d}`, n))
		}
	}
}

// Somebody listens at one process, and nothing but a message comes to the other.
func TestMessageToAProcessThatHasJustBegun(t *testing.T) {
	all := several(t, 2)
	for n := range 5 {
		l := all[1].listen("", fmt.Sprintf("/api/live/quiet/%d", n), "")
		l.want("ready")
		all[0].say("root", fmt.Sprintf("quiet/%d", n), `{"event":"first"}`)
		l.told(`message {"event":"first"}`)
	}
}

func TestPresenceBetweenProcesses(t *testing.T) {
	all := several(t, 3)
	a, b, c := all[0], all[1], all[2]
	ann := a.listen("ann", "/api/live/open/x?state="+url.QueryEscape(`{"at":"a"}`), "")
	ann.want("presence", "ready")
	bob := b.listen("bob", "/api/live/open/x", "")
	bob.told(`presence {"you":"` + id(101) + `","members":[{"id":"` + id(100) + `","state":{"at":"a"}},{"id":"` + id(101) + `","state":{}}]}`)
	bob.want("ready")
	ann.told(`join {"id":"` + id(101) + `","state":{}}`)
	if status, body := c.do("", "GET", "/api/live/open/x/presence", ""); status != 200 || body != `{"members":[{"id":"`+id(100)+`","state":{"at":"a"}},{"id":"`+id(101)+`","state":{}}]}` {
		t.Errorf("at a process where nobody listens: %d %s", status, body)
	}
	if status, body := c.do("bob", "PUT", "/api/live/open/x/presence", `{"set":"at c"}`); status != 204 {
		t.Errorf("%d %s", status, body)
	}
	for _, l := range []*listener{ann, bob} {
		l.told(`state {"id":"` + id(101) + `","state":{"set":"at c"}}`)
	}
	if status, _ := c.do("reader", "GET", "/api/live/open/x/presence", ""); status != 200 {
		t.Error(status)
	}
	again := c.listen("bob", "/api/live/open/x", "") // he is there already: nobody is told
	again.want("presence", "ready")
	bob.cancel()
	if status, body := a.do("bob", "PUT", "/api/live/open/x/presence", `{"n":1}`); status != 204 {
		t.Errorf("%d %s", status, body)
	}
	ann.told(`state {"id":"` + id(101) + `","state":{"n":1}}`)
	again.told(`state {"id":"` + id(101) + `","state":{"n":1}}`)
	again.cancel()
	ann.told(`leave {"id":"` + id(101) + `"}`)
	carol := b.dial("staff", "?subscribe=channel:open/x")
	e, err := carol.next()
	if err != nil || !strings.Contains(e, `"members":[{"id":"`+id(100)+`","state":{"at":"a"}},`) {
		t.Fatal(e, err)
	}
	ann.want("join")
	b.hub.Close() // as when it is told to end
	if e, err := ann.next(); err != nil || e.kind != "leave" {
		t.Fatal(e, err)
	}
}

// Who was at a process that died is gone, and what was sent to it.
func TestProcessDies(t *testing.T) {
	all := several(t, 2)
	h := all[0]
	l := h.listen("", "/api/live/open/x", "")
	l.want("presence", "ready")
	dead, err := all[1].Process()
	if err == nil {
		err = dead.Join(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	others, err := dead.Others(t.Context())
	if err != nil || len(others) != 1 {
		t.Fatal(others, err)
	}
	for _, body := range []string{`nonsense`, `[{"k":"of a newer version","c":"open/x"},{"k":"message"},{"k":"gone","c":"open/x","m":"nobody"},{"k":"say","c":"no","m":"no"}]`,
		`[{"k":"hello","a":[{"c":"open/x","m":"ghost","v":{"a":1},"t":5},{"c":"open/y","m":"ghost"}]}]`} {
		if err := dead.Send(t.Context(), others, body); err != nil {
			t.Fatal(err)
		}
	}
	l.told(`join {"id":"ghost","state":{"a":1}}`)
	var answer string
	for answer == "" && t.Context().Err() == nil {
		if _, err := dead.Receive(t.Context(), func(from, body string) { answer = body }); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(answer, `[{"k":"answer","a":[{"k":"","c":"open/x","m":"`) {
		t.Errorf("hello is answered with %s", answer)
	}
	l.told(`leave {"id":"ghost"}`) // its lease has ended
	if others, err := dead.Others(t.Context()); err != nil || len(others) != 1 {
		t.Error(others, err)
	}
	if _, there, err := dead.Renew(t.Context()); there || err != nil {
		t.Errorf("it is still there: %v", err)
	}
	// One that was only asleep comes back as another.
	was := dead.ID()
	if err := dead.Join(t.Context()); err != nil || dead.ID() == was {
		t.Fatal(err)
	}
	if others, _, err := dead.Renew(t.Context()); err != nil || len(others) != 1 || slices.Contains(others, was) {
		t.Error(others, err)
	}
	if err := dead.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
}
