package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// slowLine asks Plinth for a quarter of what it can answer, without and with clients beside that are slow on purpose (slowhttptest).
const slowLine = "slow"

const (
	slowConns = 4000
	slowGoal  = 2 // p99 with them, of that without
	slowWarm  = 3 * time.Second
)

// slow is what was measured of one kind of slow clients, in milliseconds.
type slow struct {
	Kind    string  `json:"kind"`
	Offered float64 `json:"offered"` // a second
	Beside  int     `json:"beside"`  // connections of slow clients, at the least
	Refused int     `json:"refused"` // of them, with the slow ones beside
	Without float64 `json:"p99msWithout"`
	With    float64 `json:"p99msWith"`
}

func measureSlow(ctx context.Context, o options, s *site) ([]slow, error) {
	program, err := exec.LookPath("slowhttptest")
	if err != nil {
		progress("slow is left out: slowhttptest is not installed")
		return nil, nil
	}
	next := reads(s)
	capacity, err := s.fireQuietly(ctx, o, next, http.StatusOK)
	if err != nil {
		return nil, err
	}
	rate := capacity.PerSecond / 4
	crowd, err := newCrowd(s.addr, o.conns)
	if err != nil {
		return nil, err
	}
	defer crowd.close()
	d := max(o.slot(), 2*time.Second)
	url := "http://" + s.addr
	var all []slow
	for _, kind := range []struct {
		name string
		rate int // of their connections, a second
		args []string
	}{
		{"headers (-H)", slowConns, []string{"-H", "-i", "5", "-u", url + s.api.posts}},
		{"bodies (-B)", slowConns, []string{"-B", "-i", "5", "-s", "8192", "-f", "application/json", "-u", url + s.api.posts}},
		{"answers (-X)", slowConns, []string{"-X", "-n", "5", "-z", "32", "-w", "10", "-y", "20", "-u", url + s.api.list(statuses[0], 30, false, "")}},
		{"ranges (-R)", slowConns / 10, []string{"-R", "-t", "GET", "-a", "1", "-b", "1000", "-u", url + s.api.posts}}, // answered at once: all in one second would be a flood
	} {
		var rounds []slow
		for range o.rounds {
			m, err := slowRound(ctx, crowd, rate, d, next, func(do func(context.Context) (asked, error)) (asked, error) {
				return beside(ctx, program, kind.args, kind.rate, do)
			}, s.addr)
			if err != nil {
				return nil, fmt.Errorf("slow %s: %w", kind.name, err)
			}
			m.Kind = kind.name
			progress("slow     %-14s %9.0f/s  p99 %.2f ms without, %.2f ms with %d of them", m.Kind, m.Offered, m.Without, m.With, m.Beside)
			rounds = append(rounds, m)
		}
		slices.SortFunc(rounds, func(a, b slow) int { return cmp.Compare(a.With/a.Without, b.With/b.Without) })
		all = append(all, rounds[len(rounds)/2])
	}
	return all, nil
}

// slowRound measures once without and once with them.
func slowRound(ctx context.Context, crowd *crowd, rate float64, d time.Duration, next requests, beside func(func(context.Context) (asked, error)) (asked, error), addr string) (m slow, err error) {
	without, err := crowd.ask(ctx, rate, d, next)
	if err != nil {
		return m, err
	}
	with, err := beside(func(ctx context.Context) (got asked, err error) {
		if _, err = crowd.ask(ctx, rate, slowWarm, next); err != nil { // until they are all there
			return got, err
		}
		m.Beside = connected(addr) - len(crowd.clients)
		got, err = crowd.ask(ctx, rate, d, next)
		m.Beside = min(m.Beside, connected(addr)-len(crowd.clients))
		return got, err
	})
	m.Offered, m.Refused, m.Without, m.With = with.rate(with.asked), with.refused, without.at(0.99), with.at(0.99)
	return m, err
}

// beside does something while slow clients are there; those that have ended come again.
func beside(ctx context.Context, program string, args []string, rate int, do func(context.Context) (asked, error)) (asked, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	args = append([]string{"-n", "19", program}, append(args, "-c", strconv.Itoa(slowConns), "-r", strconv.Itoa(rate), "-l", "120", "-v", "0")...) // they take as little of our cores as can be: elsewhere they have their own
	go func() {
		for {
			out, err := exec.CommandContext(ctx, "nice", args...).CombinedOutput()
			if ctx.Err() != nil {
				err = nil
			} else if err == nil {
				continue
			}
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out[max(0, len(out)-500):])
			}
			over <- err
			return
		}
	}()
	got, err := do(ctx)
	cancel()
	return got, errors.Join(err, <-over)
}

// connected counts the connections to a port of this machine that are open (proc(5)).
func connected(addr string) (n int) {
	_, port, _ := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port)
	at := fmt.Sprintf(":%04X", number)
	b, _ := os.ReadFile("/proc/net/tcp")
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], at) && f[3] == "01" {
			n++
		}
	}
	return n
}

func printSlow(out io.Writer, all []slow) {
	fmt.Fprintf(out, "\nread one at a quarter of what can be answered, beside %d clients that are slow on purpose\n", slowConns)
	for _, m := range all {
		ratio, verdict := m.With/m.Without, "met"
		if ratio > slowGoal || m.Refused > 0 {
			verdict = "MISSED"
		}
		fmt.Fprintf(out, "  %-14s %.0f/s: p99 %.2f ms without, %.2f ms with them: %.2f (goal <= %d, none refused: %d; %s); there were %d\n", m.Kind, m.Offered, m.Without, m.With, ratio, slowGoal, m.Refused, verdict, m.Beside)
	}
}
