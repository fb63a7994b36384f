package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const channelsApp = `
collections:
  notes:
    fields: {n: {type: int, required: true}}
    access: {read: true, create: true}
channels:
  room: {read: true, write: true, presence: true}
`

// heard is a stream that a test listens to.
type heard struct {
	t  *testing.T
	in *bufio.Reader
}

func hear(t *testing.T, url string) *heard {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %v %v", url, resp, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &heard{t, bufio.NewReader(resp.Body)}
}

// next is the next event of one of these kinds.
func (h *heard) next(kinds ...string) (kind, data string) {
	h.t.Helper()
	for {
		line, err := h.in.ReadString('\n')
		if err != nil {
			h.t.Fatalf("waiting for %s: %v", kinds, err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case name == "event":
			kind = value
		case name == "data" && slices.Contains(kinds, kind):
			return kind, value
		}
	}
}

// Two servers on one database: what is said at one is heard at the other, in order; each knows who is at both; and who was at
// one that is killed is gone.
func TestChannelsBetweenServers(t *testing.T) {
	onEach(t, func(t *testing.T, db string) {
		dir := folder(t, channelsApp)
		runOn(t, db, "apply", dir)
		a, b := servingOn(t, db, dir), servingOn(t, db, dir)
		atA := hear(t, a.url+"/api/live/room/1")
		atA.next("ready")
		atB := hear(t, b.url+"/api/live/room/1")
		_, present := atB.next("presence")
		atB.next("ready")
		if strings.Count(present, `"id"`) != 2 {
			t.Errorf("who comes is told of %s", present)
		}
		_, joined := atA.next("join")
		var member struct{ ID string }
		if err := json.Unmarshal([]byte(joined), &member); err != nil || !strings.Contains(present, member.ID) {
			t.Errorf("%s of %s: %v", joined, present, err)
		}
		judged := described(t)
		const many = 60
		var took []time.Duration
		for n := range many {
			begun := time.Now()
			if status, body, err := ask(judged, "POST", a.url+"/api/live/room/1", "", fmt.Sprintf(`{"data":%d}`, n)); status != 202 {
				t.Fatalf("%d %s %v", status, body, err)
			}
			for _, l := range []*heard{atA, atB} {
				if _, got := l.next("message"); got != fmt.Sprintf(`{"data":%d}`, n) {
					t.Fatalf("message %d is %s", n, got)
				}
			}
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		t.Logf("a message from one server to a listener of the other: median %s, p90 %s", took[many/2], took[many*9/10])
		notes := hear(t, b.url+"/api/notes")
		notes.next("ready")
		took = nil
		for n := range many {
			begun := time.Now()
			if status, body, err := ask(judged, "POST", a.url+"/api/notes", "", fmt.Sprintf(`{"n":%d}`, n)); status != 201 {
				t.Fatalf("%d %s %v", status, body, err)
			}
			if _, got := notes.next("create"); !strings.Contains(got, fmt.Sprintf(`"n":%d`, n)) {
				t.Fatalf("note %d is %s", n, got)
			}
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		t.Logf("a record from one server to a listener of the other: median %s, p90 %s", took[many/2], took[many*9/10])
		b.kill()
		begun := time.Now()
		_, left := atA.next("leave")
		if left != `{"id":"`+member.ID+`"}` {
			t.Errorf("%s has left, want %s", left, member.ID)
		}
		t.Logf("who was at a server that was killed is gone after %s", time.Since(begun).Round(time.Millisecond))
		again := servingOn(t, db, dir)
		atB = hear(t, again.url+"/api/live/room/1")
		atB.next("ready")
		atA.next("join")
		if err := again.stop(); err != nil {
			t.Error(err)
		}
		atA.next("leave")
	})
}
