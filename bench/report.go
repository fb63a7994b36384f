package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"
)

// report collects what was measured, prints it as one table and saves it as JSON.
type report struct {
	Run      string                `json:"run"`
	When     time.Time             `json:"when"`
	Database string                `json:"database"`
	Cores    int                   `json:"cores"`
	Go       string                `json:"go"`
	Conns    int                   `json:"connections"`
	Rounds   int                   `json:"rounds"`
	Slot     float64               `json:"seconds"`
	Posts    int                   `json:"posts,omitempty"`
	Sites    []string              `json:"servers"`
	Lines    []*reportLine         `json:"lines"`
	Live     map[string][]liveSlot `json:"live,omitempty"`
	Identity *identity             `json:"identity,omitempty"`
	Sight    *sight                `json:"sight,omitempty"`
	Overload *overload             `json:"overload,omitempty"`
	Slow     []slow                `json:"slow,omitempty"`
	HTTPS    *encrypted            `json:"https,omitempty"`
	Starts   map[string]*start     `json:"starts,omitempty"`
	atMost   bool                  // the goals say how many times slower at most

	subscribers int
}

type reportLine struct {
	Name  string                  `json:"name"`
	Title string                  `json:"title"`
	Slots map[string][]slot       `json:"slots"`
	Sum   map[string]*measurement `json:"median"`
	goals map[string]float64
}

// measurement is the median of the rounds.
type measurement struct {
	slot
	Spread float64 `json:"spread"` // how far the rounds lie apart, of the median
	Ratio  float64 `json:"ratio,omitempty"`
	Goal   float64 `json:"goal,omitempty"`
	Met    bool    `json:"met,omitempty"`
}

func newReport(run string, o options, sites []*site) *report {
	r := &report{Run: run, When: time.Now().UTC().Truncate(time.Second), Database: o.db, Cores: runtime.NumCPU(), Go: runtime.Version(),
		Conns: o.conns, Rounds: o.rounds, Slot: o.seconds, subscribers: o.subscribers}
	if run == "compare" {
		r.Posts = o.posts
	}
	for _, s := range sites {
		r.Sites = append(r.Sites, s.name)
	}
	return r
}

func (r *report) add(l line, name string, s slot) {
	i := slices.IndexFunc(r.Lines, func(have *reportLine) bool { return have.Name == l.name })
	if i < 0 {
		i = len(r.Lines)
		r.Lines = append(r.Lines, &reportLine{Name: l.name, Title: l.title, Slots: map[string][]slot{}, goals: l.goals})
	}
	r.Lines[i].Slots[name] = append(r.Lines[i].Slots[name], s)
}

// sum computes the medians, and the ratios of the first server to each of the others. The
// goals are Plinth's.
func (r *report) sum() {
	first := r.Sites[0]
	for _, l := range r.Lines {
		l.Sum = map[string]*measurement{}
		for name, slots := range l.Slots {
			l.Sum[name] = middle(slots)
		}
		for _, name := range r.Sites[1:] {
			m := l.Sum[name]
			m.Ratio = l.Sum[first].PerSecond / m.PerSecond
			switch goal := l.goals[name]; {
			case r.atMost:
				m.Goal, m.Met = goal, m.Ratio <= goal
			case first == "plinth":
				m.Goal, m.Met = goal, m.Ratio >= goal
			}
		}
	}
}

func middle(slots []slot) *measurement {
	pick := func(of func(slot) float64) float64 {
		var values []float64
		for _, s := range slots {
			values = append(values, of(s))
		}
		return median(values)
	}
	perSecond := func(s slot) float64 { return s.PerSecond }
	m := &measurement{slot: slot{
		PerSecond: pick(perSecond),
		P50:       pick(func(s slot) float64 { return s.P50 }),
		P99:       pick(func(s slot) float64 { return s.P99 }),
		CPU:       pick(func(s slot) float64 { return s.CPU }),
		Database:  pick(func(s slot) float64 { return s.Database }),
		Noise:     pick(func(s slot) float64 { return s.Noise }),
	}}
	less := func(a, b slot) int { return cmp.Compare(a.PerSecond, b.PerSecond) }
	m.Spread = (slices.MaxFunc(slots, less).PerSecond - slices.MinFunc(slots, less).PerSecond) / m.PerSecond
	return m
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

const (
	wideSpread = 0.2
	loud       = 0.1
)

func (r *report) print(out io.Writer) {
	r.sum()
	first, others := r.Sites[0], r.Sites[1:]
	fmt.Fprintf(out, "\n%s, %d cores, %s, %d connections, median of %d rounds of %g s\n\n",
		r.Database, r.Cores, r.Go, r.Conns, r.Rounds, r.Slot)

	var t table
	head := append([]string{"answers per second"}, r.Sites...)
	for _, name := range others {
		head = append(head, first+"/"+name, "goal", "met")
	}
	t.row(head...)
	for _, l := range r.Lines {
		cells := []string{l.Title}
		for _, name := range r.Sites {
			cells = append(cells, rate(l.Sum[name]))
		}
		for _, name := range others {
			m := l.Sum[name]
			cells = append(cells, fmt.Sprintf("%.2f", m.Ratio))
			cells = append(cells, verdict(m.Goal, m.Met, r.sign())...)
		}
		t.row(cells...)
	}
	if len(r.Lines) > 0 {
		r.printTimes(&t, "server's processor time, us per answer", func(m *measurement) float64 { return m.CPU })
	}
	if len(r.Lines) > 0 && r.Database != "sqlite" {
		r.printTimes(&t, "its database's processor time, us per answer", func(m *measurement) float64 { return m.Database })
	}
	if len(r.Live) > 0 {
		r.printLive(&t)
	}
	if r.Starts != nil {
		r.printStarts(&t)
	}
	t.print(out)
	if r.Identity != nil {
		r.Identity.print(out)
	}
	if r.Sight != nil {
		r.Sight.print(out)
	}
	if r.Overload != nil {
		r.Overload.print(out)
	}
	if r.Slow != nil {
		printSlow(out, r.Slow)
	}
	if r.HTTPS != nil {
		r.HTTPS.print(out)
	}
	r.printNoise(out)
}

func (r *report) printTimes(t *table, title string, of func(*measurement) float64) {
	t.row(title)
	first, others := r.Sites[0], r.Sites[1:]
	for _, l := range r.Lines {
		cells := []string{l.Title}
		for _, name := range r.Sites {
			cells = append(cells, fmt.Sprintf("%.0f", of(l.Sum[name])))
		}
		for _, name := range others {
			// in the sense of the ratios above: more than 1 is in favour of the first
			cells = append(cells, fmt.Sprintf("%.2f", of(l.Sum[name])/of(l.Sum[first])), "", "")
		}
		t.row(cells...)
	}
}

func (r *report) sign() string {
	if r.atMost {
		return "<= "
	}
	return ">= "
}

// The goals of live updates are Plinth's: how many times PocketBase's speed, what part of its memory, and how late.
const (
	liveGoal       = 2.0
	liveGoalMemory = 0.5
	liveGoalP99    = 50.0
)

func (r *report) printLive(t *table) {
	t.row(fmt.Sprintf("live updates, %d subscribers of one list", r.subscribers))
	first, others := r.Sites[0], r.Sites[1:]
	plinth := first == "plinth"
	middle := func(name string, of func(liveSlot) float64) float64 {
		var values []float64
		for _, s := range r.Live[name] {
			values = append(values, of(s))
		}
		return median(values)
	}
	row := func(title, format string, of func(liveSlot) float64, judge func(ratio float64) []string) {
		cells := []string{title}
		for _, name := range r.Sites {
			if len(r.Live[name]) == 0 {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, fmt.Sprintf(format, middle(name, of)))
		}
		for _, name := range others {
			if len(r.Live[name]) == 0 || len(r.Live[first]) == 0 {
				cells = append(cells, "", "", "")
				continue
			}
			ratio := middle(first, of) / middle(name, of)
			cells = append(cells, fmt.Sprintf("%.2f", ratio))
			if plinth {
				cells = append(cells, judge(ratio)...)
			} else {
				cells = append(cells, "", "")
			}
		}
		t.row(cells...)
	}
	noGoal := func(float64) []string { return []string{"", ""} }
	row("deliveries per second", "%.0f", func(s liveSlot) float64 { return s.PerSecond },
		func(ratio float64) []string { return verdict(liveGoal, ratio >= liveGoal, ">= ") })
	row("memory per connection, KB", "%.1f", func(s liveSlot) float64 { return s.Memory },
		func(ratio float64) []string { return verdict(liveGoalMemory, ratio <= liveGoalMemory, "<= ") })
	row("server's processor time, us per delivery", "%.1f", func(s liveSlot) float64 { return s.CPU }, noGoal)
	row("the client's share of processor time, %", "%.0f", func(s liveSlot) float64 { return 100 * s.Client }, noGoal)
	row(fmt.Sprintf("the same two at %d deliveries/s", liveWrites*r.subscribers), "%.1f", func(s liveSlot) float64 { return s.SteadyCPU }, noGoal)
	row("", "%.0f", func(s liveSlot) float64 { return 100 * s.SteadyOwn }, noGoal)
	row(fmt.Sprintf("p50 ms at %d deliveries/s", liveWrites*r.subscribers), "%.2f", func(s liveSlot) float64 { return s.P50 }, noGoal)
	p99 := func(s liveSlot) float64 { return s.P99 }
	row(fmt.Sprintf("p99 ms at %d deliveries/s", liveWrites*r.subscribers), "%.2f", p99, func(float64) []string {
		goal := verdict(liveGoalP99, middle(first, p99) < liveGoalP99, "< ")
		goal[0] += " ms"
		return goal
	})
}

// The goals of a start are Plinth's, with the example app.
const (
	startGoalMs = 18
	startGoalMB = 30
)

func (r *report) printStarts(t *table) {
	times, memory := []string{"time, ms"}, []string{"memory, MB"}
	for _, name := range r.Sites {
		st := r.Starts[name]
		if st == nil {
			times, memory = append(times, "-"), append(memory, "-")
			continue
		}
		times = append(times, fmt.Sprintf("%.1f", st.FirstMs))
		memory = append(memory, fmt.Sprintf("%.1f", st.Resident))
	}
	if st := r.Starts["plinth"]; st != nil && st.App == "agency" {
		times = append(times, append([]string{""}, verdict(startGoalMs, st.FirstMs <= startGoalMs, "<= ")...)...)
		memory = append(memory, append([]string{""}, verdict(startGoalMB, st.Resident <= startGoalMB, "<= ")...)...)
	}
	t.row("start to the first answer")
	t.row(times...)
	t.row(memory...)
}

func rate(m *measurement) string {
	mark := ""
	if m.Spread > wideSpread {
		mark = "~"
	}
	return fmt.Sprintf("%s%.0f", mark, m.PerSecond)
}

func verdict(goal float64, met bool, sign string) []string {
	switch {
	case goal == 0:
		return []string{"", ""}
	case met:
		return []string{fmt.Sprintf("%s%g", sign, goal), "yes"}
	}
	return []string{fmt.Sprintf("%s%g", sign, goal), "NO"}
}

func (r *report) printNoise(out io.Writer) {
	var worst, sum float64
	var slots int
	for _, l := range r.Lines {
		for _, of := range l.Slots {
			for _, s := range of {
				worst, sum, slots = max(worst, s.Noise), sum+s.Noise, slots+1
			}
		}
	}
	for _, of := range r.Live {
		for _, s := range of {
			worst, sum, slots = max(worst, s.Noise), sum+s.Noise, slots+1
		}
	}
	if r.HTTPS != nil {
		for _, s := range append(r.HTTPS.HTTP, r.HTTPS.HTTPS...) {
			worst, sum, slots = max(worst, s.Noise), sum+s.Noise, slots+1
		}
	}
	if r.Identity != nil {
		for _, s := range append(r.Identity.Anonymous, r.Identity.SignedIn...) {
			worst, sum, slots = max(worst, s.Noise), sum+s.Noise, slots+1
		}
	}
	if r.Sight != nil {
		for _, w := range r.Sight.Lines {
			for _, s := range append(w.Plain, w.Watched...) {
				worst, sum, slots = max(worst, s.Noise), sum+s.Noise, slots+1
			}
		}
	}
	if r.Overload != nil {
		worst, sum, slots = max(worst, r.Overload.Capacity.Noise), sum+r.Overload.Capacity.Noise, slots+1
	}
	if slots == 0 { // the line slow has others beside on purpose
		fmt.Fprintf(out, "\n~ the rounds lie more than %.0f %% apart.\n", 100*wideSpread)
		return
	}
	fmt.Fprintf(out, "\n~ the rounds lie more than %.0f %% apart. Processor time taken by others: %.0f %% on average, %.0f %% at worst",
		100*wideSpread, 100*sum/float64(slots), 100*worst)
	if sum/float64(slots) > loud {
		fmt.Fprint(out, ": TOO LOUD for a verdict, run it again on a quiet machine")
	}
	fmt.Fprintln(out, ".")
}

func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
