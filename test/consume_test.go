package test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	app "github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

// consumeHelper is set where this program is a consumer: the folder of the app.
const consumeHelper = "PLINTH_TEST_CONSUME"

const copyApp = `
collections:
  notes: {fields: {n: {type: int, required: true}}}
  copies:
    fields:
      n:  {type: int, required: true}
      by: {type: int, required: true}
    indexes: [[n]]
`

// consumeUntilKilled is a Go program that embeds Plinth: it copies each note that it is told of, and says which process
// it is.
func consumeUntilKilled() {
	ctx := context.Background()
	p, err := app.Open(ctx, os.Getenv(consumeHelper), onDatabase(os.Getenv("PLINTH_DB")), app.WithKey([]byte(testKey)),
		app.WithLog(slog.New(slog.DiscardHandler)), app.Consume(data.Consumer{Name: "copies", Oldest: true, Lease: 300 * time.Millisecond,
			Write: func(tx *data.Tx, all []*data.Change) error {
				for _, c := range all {
					if c.Collection != "notes" {
						continue
					}
					body := doc.NewObject()
					body.Set("n", doc.NewNumber(strconv.FormatInt(c.After("n").Int(), 10)))
					body.Set("by", doc.NewNumber(strconv.Itoa(os.Getpid())))
					if _, err := tx.Create("copies", body); err != nil {
						return err
					}
				}
				return nil
			}}))
	if err == nil {
		fmt.Println("working")
		err = p.RunJobs(ctx)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// The process that consumes is stopped past its lease and woken, again and again, and at last killed: another goes on, the
// woken one is fenced, and every note is copied once.
func TestConsumerIsFenced(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, db string) { consumerIsFenced(t, db, nightly(4, 50)) })
}

func consumerIsFenced(t *testing.T, db string, times int) {
	dir := folder(t, copyApp)
	p, err := app.Open(t.Context(), dir, onDatabase(db), app.WithKey([]byte(testKey)), app.WithLog(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	running := map[int]*exec.Cmd{}
	defer func() {
		for _, cmd := range running {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	begin := func() {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), consumeHelper+"="+dir, "PLINTH_DB="+db)
		out := newLines()
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, 10*time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running[cmd.Process.Pid] = cmd
		if line, ok := out.first(60 * time.Second); !ok || line != "working" {
			t.Fatalf("a consumer does not begin: %q", out.text())
		}
	}
	for range 3 {
		begin()
	}
	written := 0
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	// last writes a note and waits until it is copied: by whom; 0: it is not within the time.
	last := func(patience time.Duration) int {
		t.Helper()
		body := doc.NewObject()
		body.Set("n", doc.NewNumber(strconv.Itoa(written)))
		if _, err := p.DB().Create(t.Context(), data.System, "notes", body, data.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		written++
		for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
			records, _, err := p.DB().Records(t.Context(), data.System, &data.ListQuery{Collection: "copies", Filter: "n == param.n",
				Params: map[string]*doc.Node{"n": doc.NewNumber(strconv.Itoa(written - 1))}, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			if len(records) > 0 {
				r := records[0]
				return int(r[len(r)-1].Int())
			}
		}
		return 0
	}
	passed := 0
	for range times {
		leader := last(60 * time.Second)
		if running[leader] == nil {
			t.Fatalf("the last note was copied by %d", leader)
		}
		running[leader].Process.Signal(syscall.SIGSTOP)
		// What it has locked is waited for, if need be until it is woken: a file, where it was stopped in a write.
		woken := time.AfterFunc(3*time.Second, func() { running[leader].Process.Signal(syscall.SIGCONT) })
		next := last(60 * time.Second)
		if woken.Stop() {
			running[leader].Process.Signal(syscall.SIGCONT)
		}
		if next != 0 && next != leader {
			passed++
		}
		last(60 * time.Second)
	}
	leader := last(60 * time.Second)
	running[leader].Process.Kill()
	running[leader].Wait()
	delete(running, leader)
	if next := last(60 * time.Second); next == 0 || next == leader {
		t.Errorf("behind the one that was killed the note was copied by %d", next)
	}
	if passed < times/4 {
		t.Errorf("it passed on %d times of %d", passed, times)
	}
	groups, err := p.DB().Groups(t.Context(), data.System, &data.GroupQuery{Collection: "copies", Aggregate: "count"}, nil)
	if want := fmt.Sprintf(`{"groups":[{"count":%d}]}`, written); err != nil || string(groups) != want {
		t.Errorf("copies of %d notes: %s, %v", written, groups, err)
	}
}
