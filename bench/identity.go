package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// identityLine measures what it costs to know who asks: Plinth alone, on the same app with an auth section.
const identityLine = "identity"

const (
	users        = 20
	signIns      = 200 // at the same time: no account is asked more often than its limit
	password     = "a horse that is correct"
	identityGoal = 0.9 // reads of who is signed in, of those of nobody
	// memoryGoal is what internal/password promises that derivations hold of the memory, and their garbage, in MB: however many
	// sign in, no more than the semaphore lets in hold any.
	memoryGoal = 256
)

const identityApp = `
auth: {roles: [member], register: open, verify: optional}
server: {trustedProxies: [127.0.0.1]}
`

// identity is what was measured. Peak and Before are VmRSS in MB.
type identity struct {
	Anonymous []slot  `json:"anonymous"`
	SignedIn  []slot  `json:"signedIn"`
	SignIns   int     `json:"signIns"` // of those asked at once, how many began a session
	Before    float64 `json:"beforeMB"`
	Peak      float64 `json:"peakMB"`
}

func measureIdentity(ctx context.Context, o options, p peer, dir string) (*identity, error) {
	app, err := os.ReadFile(filepath.Join("app", "plinth.yaml"))
	if err != nil {
		return nil, err
	}
	p.prepare = func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "plinth.yaml"), append(app, identityApp...), 0o644)
	}
	s, err := openSite(ctx, p, dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := s.load(o.posts); err != nil {
		return nil, err
	}
	tokens := make([]string, users)
	for i := range tokens {
		if tokens[i], err = s.join(i); err != nil {
			return nil, err
		}
	}
	m := &identity{}
	if err := m.reads(ctx, o, s, tokens); err != nil {
		return nil, err
	}
	return m, m.memory(s)
}

// join registers a user and signs him in.
func (s *site) join(n int) (token string, err error) {
	if _, err := s.answer(credentials(n, n, "register"), http.StatusCreated); err != nil {
		return "", err
	}
	answer, err := s.answer(credentials(n, n, "login"), http.StatusOK)
	if err != nil {
		return "", err
	}
	var session struct{ Token string }
	if err := json.Unmarshal(answer, &session); err != nil || session.Token == "" {
		return "", fmt.Errorf("%s: no session was begun: %.200s", s.name, answer)
	}
	return session.Token, nil
}

// credentials is a request of a user's, from an address of its own.
func credentials(user, from int, act string) []byte {
	body := fmt.Sprintf(`{"email":"user%d@example.com","password":%q}`, user, password)
	return fmt.Appendf(nil, "POST /api/auth/%s HTTP/1.1\r\nHost: bench\r\nX-Forwarded-For: 198.51.100.%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		act, 1+from%250, len(body), body)
}

// reads measures reading one post, of nobody and of users in turn.
func (m *identity) reads(ctx context.Context, o options, s *site, tokens []string) error {
	nobody, path := reads(s), s.api.posts+"/"
	somebody := func(b []byte, rng *rand.Rand) []byte {
		b = append(append(append(b, "GET "...), path...), s.postID(rng.IntN(s.posts))...)
		b = append(append(b, " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer "...), tokens[rng.IntN(len(tokens))]...)
		return append(b, "\r\n\r\n"...)
	}
	kinds := []struct {
		name string
		next requests
		to   *[]slot
	}{{"nobody", nobody, &m.Anonymous}, {"signed in", somebody, &m.SignedIn}}
	for round := range o.rounds {
		for i := range kinds {
			k := kinds[(i+round)%len(kinds)]
			if _, err := s.fire(ctx, o.conns, o.slot()/5, k.next, http.StatusOK); err != nil {
				return err
			}
			got, err := s.fireQuietly(ctx, o, k.next, http.StatusOK)
			if err != nil {
				return err
			}
			progress("identity round %d  %-14s %9.0f/s  p99 %.2f ms  cpu %3.0f us  noise %2.0f%%", round+1, k.name, got.PerSecond, got.P99, got.CPU, 100*got.Noise)
			*k.to = append(*k.to, got)
		}
	}
	return nil
}

// memory has many sign in at the same moment.
func (m *identity) memory(s *site) error {
	pid := s.cmd.Process.Pid
	// 5: the greatest so far is forgotten (proc(5))
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return err
	}
	m.Before = resident(pid)
	statuses, errs := make([]int, signIns), make([]error, signIns)
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	for i := range signIns {
		ready.Add(1)
		done.Go(func() {
			c, err := dial(s.addr)
			ready.Done()
			if err != nil {
				errs[i] = err
				return
			}
			defer c.close()
			<-start
			statuses[i], _, errs[i] = c.ask(credentials(i%users, i, "login"), false)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, status := range statuses {
		switch status {
		case http.StatusOK:
			m.SignIns++
		case http.StatusServiceUnavailable: // the queue was too long for this machine
		default:
			return fmt.Errorf("%s: signing in answered %d", s.name, status)
		}
	}
	m.Peak = peak(pid)
	progress("identity %d of %d signed in at once, %.0f MB before, %.0f MB at most", m.SignIns, signIns, m.Before, m.Peak)
	return nil
}

// peak is the greatest VmRSS of a process, in MB.
func peak(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// print adds a table of its own: there is no other server in it.
func (m *identity) print(out io.Writer) {
	nobody, somebody := middle(m.Anonymous), middle(m.SignedIn)
	ratio, held := somebody.PerSecond/nobody.PerSecond, m.Peak-m.Before
	var t table
	t.row("plinth, who asks", "", "goal", "met")
	t.row("read one as nobody, answers per second", rate(nobody))
	t.row("read one with a session, answers per second", rate(somebody))
	t.row(append([]string{"signed in/nobody", fmt.Sprintf("%.2f", ratio)}, verdict(identityGoal, ratio >= identityGoal, ">= ")...)...)
	t.row(fmt.Sprintf("%d sign-ins at once, begun", signIns), strconv.Itoa(m.SignIns))
	t.row(append([]string{"memory that they take, MB", fmt.Sprintf("%.0f", held)}, verdict(memoryGoal, held <= memoryGoal, "<= ")...)...)
	fmt.Fprintln(out)
	t.print(out)
}
