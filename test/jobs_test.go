package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	app "github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/mysql"
	"github.com/bluell/plinth/data/postgres"
	"github.com/bluell/plinth/data/sqlite"
	"github.com/bluell/plinth/doc"
)

// The size of these tests: of CI, and with PLINTH_TEST_NIGHTLY=1 of a night.
func nightly(ci, night int) int {
	if os.Getenv("PLINTH_TEST_NIGHTLY") == "1" {
		return night
	}
	return ci
}

// jobsHelper is set where this program is a worker: the folder of the app, and the file in which it notes what it begins.
const jobsHelper = "PLINTH_TEST_JOBS"

const marksApp = `
collections:
  marks:
    fields:
      mark: {type: int, required: true}
      part: {type: text, required: true, max: 10}
    indexes: [[mark]]
`

const markTimeout = 4 * time.Second

// workUntilKilled is a Go program that embeds Plinth: it works on jobs that write a mark each, in two steps, and write
// down when they are begun. Some are slow, so that a kill meets them.
func workUntilKilled() {
	dir, note, _ := strings.Cut(os.Getenv(jobsHelper), "\n")
	log, err := os.OpenFile(note, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		err = markWorker(dir, log)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func markWorker(dir string, log *os.File) error {
	p, err := app.Open(context.Background(), dir, onDatabase(os.Getenv("PLINTH_DB")), app.WithKey([]byte(testKey)), app.Workers(64),
		app.WithLog(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))),
		app.Job("mark", func(ctx context.Context, w *app.Work) error {
			var n int
			if err := w.Read(&n); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(log, "%d %d %d\n", n, w.Job().Attempt, time.Now().UnixMilli()); err != nil {
				return err
			}
			write := func(part string) func(tx *data.Tx) error {
				return func(tx *data.Tx) error {
					body := doc.NewObject()
					body.Set("mark", doc.NewNumber(strconv.Itoa(n)))
					body.Set("part", doc.NewString(part))
					_, err := tx.Create("marks", body)
					return err
				}
			}
			if n%10 == 0 {
				if err := w.Step(ctx, "first", write("first")); err != nil {
					return err
				}
			}
			if n%100 == 0 { // it takes a while
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return w.Commit(ctx, write("last"))
		}))
	if err != nil {
		return err
	}
	fmt.Println("working")
	return p.RunJobs(context.Background())
}

// onDatabase opens what --db would.
func onDatabase(db string) app.Option {
	switch {
	case strings.HasPrefix(db, "postgres:"):
		return app.On(func(ctx context.Context) (driver.Engine, error) {
			return postgres.Open(ctx, db, postgres.Options{Conns: 12})
		})
	case strings.HasPrefix(db, "mysql:"):
		return app.On(func(ctx context.Context) (driver.Engine, error) { return mysql.Open(ctx, db, mysql.Options{Conns: 12}) })
	default:
		return app.OnFile("", func(file string) (*sqlite.Engine, error) { return sqlite.Open(file, sqlite.Options{}) })
	}
}

// Workers in three processes are killed without a warning, again and again. Every job is done, what it writes is
// written once, step by step, and none stays with a worker that is gone for longer than twice its timeout.
func TestWorkersKilled(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db string) {
		workersKilled(t, db, nightly(3_000, 100_000), nightly(6, 50))
	})
}

func workersKilled(t *testing.T, db string, jobs, times int) {
	dir := folder(t, marksApp)
	note := filepath.Join(t.TempDir(), "begun")
	p, err := app.Open(t.Context(), dir, onDatabase(db), app.WithKey([]byte(testKey)), app.WithLog(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	worker := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), jobsHelper+"="+dir+"\n"+note, "PLINTH_DB="+db)
		out := newLines()
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, 10*time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, ok := out.first(60 * time.Second); !ok || line != "working" {
			cmd.Process.Kill()
			cmd.Wait()
			t.Fatalf("a worker does not begin: %q", out.text())
		}
		return cmd
	}
	var workers [3]*exec.Cmd
	for i := range workers {
		workers[i] = worker()
	}
	defer func() {
		for _, w := range workers {
			w.Process.Kill()
			w.Wait()
		}
	}()
	began := time.Now()
	enqueued := make(chan error, 1)
	go func() { // while workers are killed
		const batch = 200
		for from := 0; from < jobs; from += batch {
			list := make([]data.NewJob, min(batch, jobs-from))
			for i := range list {
				list[i] = data.NewJob{Kind: "mark", Payload: from + i, Timeout: markTimeout, Attempts: 50}
			}
			if _, err := p.DB().Enqueue(context.Background(), list...); err != nil {
				enqueued <- err
				return
			}
		}
		enqueued <- nil
	}()
	counted := func(state string) int {
		t.Helper()
		out, err := p.DB().Groups(t.Context(), data.System, &data.GroupQuery{Collection: "_jobs", Filter: "state == param.s",
			Params: map[string]*doc.Node{"s": doc.NewString(state)}, Aggregate: "count"}, nil)
		var answer struct{ Groups []struct{ Count int } }
		if err != nil || json.Unmarshal(out, &answer) != nil || len(answer.Groups) != 1 {
			t.Fatalf("%s %v", out, err)
		}
		return answer.Groups[0].Count
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for kill := range times {
		// Each is killed when some more are done, so that kills fall into all parts of the work.
		for until, end := (kill+1)*jobs/(times+2), time.Now().Add(3*time.Minute); counted(data.Done) < until && time.Now().Before(end); {
			<-tick.C
		}
		i := rand.IntN(len(workers))
		workers[i].Process.Kill()
		workers[i].Wait()
		workers[i] = worker()
	}
	if err := <-enqueued; err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Minute); counted(data.Done) < jobs && time.Now().Before(end); {
		<-tick.C
	}
	took := time.Since(began)
	for _, state := range data.JobStates {
		if n, want := counted(state), map[string]int{data.Done: jobs}[state]; n != want {
			t.Errorf("%d jobs are %s, want %d", n, state, want)
		}
	}
	marks := map[string]int{}
	q := &data.ListQuery{Collection: "marks", Limit: 500}
	c, _ := p.App().Collection("marks")
	mark, _ := c.Field("mark")
	part, _ := c.Field("part")
	for {
		records, next, err := p.DB().Records(t.Context(), data.System, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			marks[fmt.Sprint(r[mark.Ord].Int(), r[part.Ord].Text())]++
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	for n := range jobs {
		for _, name := range []string{"first", "last"} {
			want := 1
			if name == "first" && n%10 != 0 {
				want = 0
			}
			if got := marks[fmt.Sprint(n, name)]; got != want {
				t.Errorf("the mark %d %s was written %d times, want %d", n, name, got, want)
			}
		}
	}
	again, longest := pauses(t, note)
	if longest > 2*markTimeout {
		t.Errorf("a job was stuck for %s, its timeout is %s", longest, markTimeout)
	}
	if again == 0 {
		t.Error("no job was begun twice: the kills met nobody")
	}
	t.Logf("%d jobs in %s, workers killed %d times: %d were begun again, after %s at most", jobs, took.Round(time.Millisecond), times, again, longest)
}

// pauses reads what the workers wrote down: how many jobs were begun again, and the longest time from one attempt to the
// next.
func pauses(t *testing.T, file string) (again int, longest time.Duration) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type attempt struct{ n, attempt int }
	at := map[attempt]int64{}
	for line := range bytes.Lines(text) {
		var a attempt
		var ms int64
		if n, err := fmt.Sscanf(string(line), "%d %d %d\n", &a.n, &a.attempt, &ms); n == 3 && err == nil { // else a kill cut it
			at[a] = ms
		}
	}
	for a, ms := range at {
		if before, ok := at[attempt{a.n, a.attempt - 1}]; ok {
			again++
			longest = max(longest, time.Duration(ms-before)*time.Millisecond)
		}
	}
	return again, longest
}

// Three servers on one database pass each tick of each schedule once; one is stopped and goes on, one is killed and
// another takes its place.
func TestTicksOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db string) {
		ticksOnce(t, db, nightly(60, 1000))
	})
}

func ticksOnce(t *testing.T, db string, ticks int) {
	const schedules = 20
	text := "schedules:\n"
	for i := range schedules {
		text += fmt.Sprintf("  s%d: {every: 1s, create: {collection: notes, body: {name: s%d}}}\n", i, i)
	}
	text += "collections: {notes: {fields: {name: {type: text, required: true, max: 20}}, access: {read: true}}}\n"
	dir := folder(t, text)
	runOn(t, db, "apply", dir)
	var servers [3]*server
	for i := range servers {
		servers[i] = servingOn(t, db, dir)
	}
	p, err := app.Open(t.Context(), dir, onDatabase(db), app.WithKey([]byte(testKey)), app.WithLog(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	names := func() map[string]int {
		t.Helper()
		out, err := p.DB().Groups(t.Context(), data.System, &data.GroupQuery{Collection: "notes", Group: "name", Aggregate: "count"}, nil)
		var answer struct {
			Groups []struct {
				Name  string
				Count int
			}
		}
		if err != nil || json.Unmarshal(out, &answer) != nil {
			t.Fatalf("%s %v", out, err)
		}
		got := map[string]int{}
		for _, g := range answer.Groups {
			got[g.Name] = g.Count
		}
		return got
	}
	sum := func() (n int) {
		for _, c := range names() {
			n += c
		}
		return n
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	until := func(n int) {
		t.Helper()
		for end := time.Now().Add(3 * time.Minute); sum() < n && time.Now().Before(end); {
			<-tick.C
		}
	}
	until(ticks / 3)
	servers[0].cmd.Process.Signal(syscall.SIGSTOP)
	servers[1].kill()
	until(ticks * 2 / 3)
	servers[0].cmd.Process.Signal(syscall.SIGCONT)
	servers[1] = servingOn(t, db, dir)
	until(ticks)
	for _, s := range servers {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
	// The key of a tick's job says which tick it is.
	seen, done := map[string][]int64{}, 0
	f := app.JobFilter{Kind: "plinth.create", Limit: 500}
	for {
		jobs, next, err := p.Jobs(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			part := strings.SplitN(j.Key, ":", 3)
			at, err := time.Parse(time.RFC3339, part[2])
			if err != nil {
				t.Fatal(err)
			}
			seen[part[1]] = append(seen[part[1]], at.Unix())
			if j.State == data.Done {
				done++
			}
		}
		if f.Cursor = next; next == "" {
			break
		}
	}
	passed := 0
	for i := range schedules {
		at := seen[fmt.Sprintf("s%d", i)]
		slices.Sort(at)
		passed += len(at)
		for n := 1; n < len(at); n++ {
			if at[n] != at[n-1]+1 {
				t.Errorf("s%d has the tick %d behind %d", i, at[n], at[n-1])
			}
		}
	}
	if n := sum(); n != done {
		t.Errorf("%d ticks are done and there are %d records", done, n)
	}
	t.Logf("%d ticks of %d schedules, of which %d are done", passed, schedules, done)
}
