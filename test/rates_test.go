package test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/bluell/plinth/data/postgres/pgtest"
)

const ratesApp = `
server: {trustedProxies: [127.0.0.1], limits: {requests: 40/1h}}
collections:
  notes: {fields: {n: {type: int}}, access: {read: true}}
`

// Three processes of one database count what clients ask together: who has asked one as often as he may is soon refused by the
// others, and by one that begins later; who asks all in turn is let through hardly more often; nobody else is touched by it. One that is
// killed is no hindrance. It takes half a minute, so it is asked on a file and on a server; the board that the counts travel by is
// made of what the suite asks of every engine.
func TestRatesOfReplicas(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		ratesOfReplicas(t, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		ratesOfReplicas(t, postgresURL(pgtest.Database(t)))
	})
}

func ratesOfReplicas(t *testing.T, db string) {
	const most, pace = 40, 150 * time.Millisecond
	dir := folder(t, ratesApp)
	runOn(t, db, "apply", dir)
	var servers []*server
	for range 3 {
		servers = append(servers, servingOn(t, db, dir))
	}
	asks := func(s *server, from string) bool {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/notes", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Forwarded-For", from)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		left, back := 0, 0
		h := resp.Header
		if _, err := fmt.Sscanf(h.Get("RateLimit"), `"requests";r=%d;t=%d`, &left, &back); err != nil || h.Get("RateLimit-Policy") != `"requests";q=40;w=3600` || left >= most || back < 1 || back > 2*3600+2 {
			t.Errorf("%v: %v", h, err)
		}
		switch resp.StatusCode {
		case http.StatusOK:
			return true
		case http.StatusTooManyRequests:
			if left != 0 || h.Get("Retry-After") != fmt.Sprint(back) {
				t.Errorf("%v", h)
			}
		default:
			t.Fatalf("%d %s", resp.StatusCode, b)
		}
		return false
	}
	// refused is how often a process lets a client through until it refuses.
	refused := func(s *server, from string) (n int) {
		for ; n < most && asks(s, from); n++ {
			time.Sleep(pace)
		}
		return n
	}

	const ann, bob, eve = "192.0.2.1", "192.0.2.2", "2001:db8::1"
	for n := range most {
		if !asks(servers[0], ann) {
			t.Fatalf("refused after %d", n)
		}
	}
	for i, s := range servers {
		n := refused(s, ann)
		if n > most*3/4 || i == 0 && n > 0 {
			t.Errorf("process %d has let through %d after what was allowed", i, n)
		}
		t.Logf("process %d: %d after %d", i, n, most)
	}
	let := 0
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range 3 * most {
		<-tick.C
		if asks(servers[i%3], eve) {
			let++
		}
	}
	t.Logf("in turn: %d of %d", let, most)
	if let < most || let > most*7/4 {
		t.Errorf("%d were let through", let)
	}
	for i := range 30 {
		if !asks(servers[i%3], bob) {
			t.Fatalf("another is refused after %d", i)
		}
	}
	servers[1].kill()
	late := servingOn(t, db, dir)
	if n := refused(late, eve); n > most*3/4 {
		t.Errorf("a process that began later has let through %d", n)
	}
	for range most {
		asks(late, "192.0.2.3")
	}
	if n := refused(servers[2], "192.0.2.3"); n > most*3/4 {
		t.Errorf("it has let through %d of whom one that began later refuses", n)
	}
	for _, s := range append(servers, late) {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
}
