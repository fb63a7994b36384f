package same_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// story is an app and what it was asked, until an engine disagreed with memory.
type story struct {
	yaml  string
	asked []request
}

// tell asks everything anew, and returns both answers to the last request that was compared and whether they
// are the same.
func (y story) tell(t testing.TB, e engine) (same bool, n int, got, want answer, err error) {
	s := &scope{TB: t}
	defer s.end()
	m, err := open(s, y.yaml, memoryEngine)
	if err != nil {
		return true, 0, got, want, err
	}
	x, err := open(s, y.yaml, e)
	if err != nil {
		return true, 0, got, want, err
	}
	for i, r := range y.asked {
		tick(i, x, m)
		if got = x.ask(r); e.refuses(got) {
			continue
		}
		if want = m.ask(r); got.status >= 500 || got != want {
			return false, i + 1, got, want, nil
		}
	}
	return true, len(y.asked), got, want, nil
}

// shorter leaves out what the disagreement does not need, of the requests and of the lines of the app file, for a
// minute at most, and says what is left.
func (y story) shorter(t testing.TB, e engine) string {
	end := time.Now().Add(time.Minute)
	same, n, got, want, err := y.tell(t, e)
	if same {
		return fmt.Sprintf("it did not happen again with the same app and requests (%v)", err)
	}
	y.asked = y.asked[:n]
	try := func(z story) bool {
		if time.Now().After(end) {
			return false
		}
		same, n, g, w, _ := z.tell(t, e)
		if same {
			return false
		}
		y, got, want = story{z.yaml, z.asked[:n]}, g, w
		return true
	}
	for size := len(y.asked) / 2; size > 0; size /= 2 {
		for at := len(y.asked) - size; at >= 0; at -= size {
			if at+size <= len(y.asked) {
				try(story{y.yaml, slices.Delete(slices.Clone(y.asked), at, at+size)})
			}
		}
	}
	for at := strings.Count(y.yaml, "\n"); at >= 0; at-- {
		if lines := strings.SplitAfter(y.yaml, "\n"); at < len(lines) {
			try(story{strings.Join(slices.Delete(lines, at, at+1), ""), y.asked})
		}
	}
	var asked strings.Builder
	for _, r := range y.asked {
		fmt.Fprintf(&asked, "%s\n", r)
	}
	return fmt.Sprintf("the app\n%s\nis asked\n%s\n%s says %s\n\nmemory says %s", y.yaml, asked.String(), e.name, got, want)
}
