package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// sightLine measures what it costs that a server is looked at: Plinth alone, as it comes and with metrics and traces.
const sightLine = "sight"

const (
	sampled   = "0.01" // of the requests are traced
	sightGoal = 0.9    // of the speed of the one that nobody looks at
)

// sight is what was measured: as it comes, and watched. Spans is how many the receiver was sent.
type sight struct {
	Lines []*sightWork `json:"lines"`
	Spans int          `json:"spans"`
}

type sightWork struct {
	Title   string `json:"title"`
	Plain   []slot `json:"plain"`
	Watched []slot `json:"watched"`
}

func measureSight(ctx context.Context, o options, p peer, dir string) (m *sight, err error) {
	r, err := startReceiver(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		n, e := r.stop()
		if m != nil {
			if m.Spans = n; n == 0 && err == nil {
				err = errors.New("the receiver was sent no span")
			}
		}
		err = errors.Join(err, e)
	}()
	operator, err := freeAddress()
	if err != nil {
		return nil, err
	}
	app, err := os.ReadFile(filepath.Join("app", "plinth.yaml"))
	if err != nil {
		return nil, err
	}
	watched, command := p, p.command
	watched.name = "plinth, watched"
	watched.prepare = func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "plinth.yaml"), fmt.Appendf(app, "server: {operator: {listen: %q}}\n", operator), 0o644)
	}
	watched.command = func(dir, addr string) *exec.Cmd {
		cmd := command(dir, addr)
		cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.url, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG="+sampled)
		return cmd
	}
	var sites []*site
	defer func() { stopAll(sites) }()
	for i, one := range []peer{p, watched} {
		s, err := openSite(ctx, one, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		sites = append(sites, s)
		if err := s.load(o.posts); err != nil {
			return nil, err
		}
	}
	m = &sight{}
	for _, work := range []struct {
		title    string
		requests func(*site) requests
		status   int
	}{{"read one", reads, http.StatusOK}, {"create", creates, http.StatusCreated}} {
		w := &sightWork{Title: work.title}
		m.Lines = append(m.Lines, w)
		all := []func(b []byte, rng *rand.Rand) []byte{work.requests(sites[0]), work.requests(sites[1])}
		for round := range o.rounds {
			for i := range sites {
				at := (i + round) % len(sites)
				if _, err := sites[at].fire(ctx, o.conns, o.slot()/5, all[at], work.status); err != nil {
					return m, err
				}
				got, err := sites[at].fireQuietly(ctx, o, all[at], work.status)
				if err != nil {
					return m, err
				}
				progress("sight    round %d  %-16s %-8s %9.0f/s  p99 %.2f ms  cpu %3.0f us  noise %2.0f%%", round+1, sites[at].name, work.title, got.PerSecond, got.P99, got.CPU, 100*got.Noise)
				if at == 0 {
					w.Plain = append(w.Plain, got)
				} else {
					w.Watched = append(w.Watched, got)
				}
			}
		}
	}
	code, err := askMetrics(operator)
	if err != nil || code != http.StatusOK {
		return m, fmt.Errorf("the metrics answer %d: %w", code, err)
	}
	return m, nil
}

// askMetrics reads the metrics once.
func askMetrics(operator string) (code int, err error) {
	resp, err := http.Get("http://" + operator + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// spanReceiver is the OpenTelemetry Collector's (test/otlp), which counts.
type spanReceiver struct {
	cmd *exec.Cmd
	out *bufio.Reader
	url string
}

func startReceiver(ctx context.Context, o options) (*spanReceiver, error) {
	program := filepath.Join(o.work, "bin", "otlp")
	if err := goBuild(ctx, filepath.Join("..", "test", "otlp"), program, "."); err != nil {
		return nil, err
	}
	r := &spanReceiver{cmd: exec.Command(program, "-count")}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	said, err := r.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	r.out = bufio.NewReader(out)
	line, err := bufio.NewReader(said).ReadString('\n')
	if r.url = strings.TrimSpace(line); err != nil {
		_ = r.cmd.Process.Kill()
		return nil, fmt.Errorf("the receiver of traces: %w", err)
	}
	return r, nil
}

// stop ends it and tells how many spans it was sent.
func (r *spanReceiver) stop() (spans int, err error) {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	line, err := r.out.ReadString('\n')
	if err == nil {
		spans, err = strconv.Atoi(strings.TrimSpace(line))
	}
	return spans, errors.Join(err, r.cmd.Wait())
}

func (m *sight) print(out io.Writer) {
	var t table
	t.row("plinth, looked at", "as it comes", "watched", "watched/as it comes", "goal", "met")
	for _, w := range m.Lines {
		plain, watched := middle(w.Plain), middle(w.Watched)
		ratio := watched.PerSecond / plain.PerSecond
		t.row(append([]string{w.Title + ", answers per second", rate(plain), rate(watched), fmt.Sprintf("%.2f", ratio)}, verdict(sightGoal, ratio >= sightGoal, ">= ")...)...)
		t.row("the server's processor time for one, us", fmt.Sprintf("%.0f", plain.CPU), fmt.Sprintf("%.0f", watched.CPU), fmt.Sprintf("%.2f", watched.CPU/max(plain.CPU, 1)))
	}
	t.row("spans that the receiver was sent", "", strconv.Itoa(m.Spans))
	fmt.Fprintln(out)
	t.print(out)
}
