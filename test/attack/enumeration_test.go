package attack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/internal/password"
)

// How many pairs of requests are compared; from judgedPairs on, the times are judged too. PLINTH_TEST_PAIRS says another number.
const (
	fewPairs    = 20
	judgedPairs = 500
	mostApart   = time.Millisecond
	crowd       = 100 // addresses that somebody has, and as many that nobody has
)

const strangers = `
name: strangers
auth: {roles: [member, staff, admin], register: open}
mail: {from: "App <app@example.com>", smtp: "smtp://127.0.0.1:1"}
server: {url: "https://app.example.com", trustedProxies: [127.0.0.1]}
`

// TestNobodyLearnsWhoIsThere: OWASP 13, 52. Of two requests, one about an address that somebody has and one about an address that nobody has, the
// status, the headers and the body are the same; and so is the time, which is a difference of the means that lies, with its interval
// of 95 %, within a millisecond. The two are asked in a random order, with the same service between them.
//
//	PLINTH_TEST_PAIRS=5000 go test -count=1 -timeout 0 -run TestNobodyLearnsWhoIsThere -v ./test/attack
func TestNobodyLearnsWhoIsThere(t *testing.T) {
	pairs := fewPairs
	if text := os.Getenv("PLINTH_TEST_PAIRS"); text != "" {
		var err error
		if pairs, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var moved atomic.Int64 // minutes
	start := time.Now()
	a := open(t, strangers, plinth.WithClock(func() time.Time { return start.Add(time.Duration(moved.Load()) * time.Minute) }))
	a.crowd()
	s := httptest.NewServer(a.app.Handler())
	t.Cleanup(s.Close)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ path, more string }{
		{"register", `,"password":"` + strong + `"`},
		{"login", `,"password":"another horse"`},
		{"reset", ""},
		{"code", ""},
		{"code/confirm", `,"code":"00000000"`},
	} {
		t.Run(c.path, func(t *testing.T) {
			apart := make([]float64, 0, pairs) // ms
			for i := range pairs + pairs/20 + 1 {
				moved.Add(2) // else it would be too many, of one address
				var took [2]time.Duration
				var got [2]string
				first := rng.IntN(2)
				for _, known := range []int{first, 1 - first} {
					name := "nobody"
					if known == 1 {
						name = "ann"
					}
					took[known], got[known] = timed(t, s, c.path, fmt.Sprintf(`{"email":"%s%d@example.com"%s}`, name, i%crowd, c.more), 2*i+known)
				}
				if got[0] != got[1] {
					t.Fatalf("nobody is answered %s\nsomebody %s", got[0], got[1])
				}
				if i > pairs/20 { // the first make it warm
					apart = append(apart, float64(took[1]-took[0])/float64(time.Millisecond))
				}
			}
			mean, wide := interval(apart)
			t.Logf("%d pairs: somebody takes %+.3f ms longer, give or take %.3f ms (95 %%)", len(apart), mean, wide)
			if limit := float64(mostApart) / float64(time.Millisecond); pairs >= judgedPairs && math.Abs(mean)+wide >= limit {
				t.Errorf("that is not within %g ms", limit)
			}
		})
	}
}

// crowd makes users with a password and a confirmed address.
func (a *target) crowd() {
	a.t.Helper()
	hasher, err := password.New(password.Options{})
	if err != nil {
		a.t.Fatal(err)
	}
	hash, err := hasher.Hash(a.t.Context(), strong)
	if err != nil {
		a.t.Fatal(err)
	}
	create := func(collection string, body map[string]any) string {
		r, err := a.app.DB().Create(context.Background(), data.System, collection, doc.FromAny(body), data.WriteOptions{})
		if err != nil {
			a.t.Fatal(err)
		}
		return r.ID
	}
	for i := range crowd {
		id := create("users", map[string]any{"email": fmt.Sprintf("ann%d@example.com", i), "verified": true})
		create("_accounts", map[string]any{"user": id, "password": hash})
	}
}

// timed sends a request, from an address of its own, and gives what is answered without what differs each time.
func timed(t *testing.T, s *httptest.Server, path, body string, n int) (time.Duration, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/auth/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", n>>16, n&0xffff))
	began := time.Now()
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	var problem map[string]any
	if json.Unmarshal(b, &problem) == nil {
		delete(problem, "request")
		b, _ = json.Marshal(problem)
	}
	var said strings.Builder
	fmt.Fprintf(&said, "%d %s", res.StatusCode, b)
	for _, name := range slices.Sorted(maps.Keys(res.Header)) {
		switch name {
		case "Date", "X-Request-Id", "Content-Length", "Ratelimit": // which counts seconds
		case "Set-Cookie":
			for _, c := range res.Cookies() {
				fmt.Fprintf(&said, "\ncookie %s of %d characters %s %t %t", c.Name, len(c.Value), c.Path, c.Secure, c.HttpOnly)
			}
		default:
			fmt.Fprintf(&said, "\n%s: %s", name, res.Header[name])
		}
	}
	return took, said.String()
}

// interval is the mean of differences, and half of its interval of 95 %.
func interval(d []float64) (mean, wide float64) {
	for _, v := range d {
		mean += v / float64(len(d))
	}
	var squares float64
	for _, v := range d {
		squares += (v - mean) * (v - mean)
	}
	return mean, 1.96 * math.Sqrt(squares/float64(len(d)-1)/float64(len(d)))
}
