package plinth_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
)

// changing is an engine whose tables look as if another process had taken a column away.
type changing struct {
	*memory.Engine
	changed atomic.Bool
}

func (e *changing) Inspect(ctx context.Context) ([]driver.Table, error) {
	tables, err := e.Engine.Inspect(ctx)
	for i, t := range tables {
		if t.Name == "notes" && e.changed.Load() {
			tables[i].Columns = t.Columns[:len(t.Columns)-1]
		}
	}
	return tables, err
}

func writeNote(t *testing.T, p *plinth.Plinth) {
	t.Helper()
	note := doc.NewObject()
	note.Set("text", doc.NewString("a note"))
	if _, err := p.DB().Create(t.Context(), data.System, "notes", note, data.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A consumer stops while the tables are not those of the app, and goes on when they are again.
func TestConsumerGoesOnWhenTheTablesFitAgain(t *testing.T) {
	t.Parallel()
	eng := &changing{Engine: memory.Open()}
	told := make(chan int, 10)
	p, err := plinth.Open(t.Context(), folder(t, notes), env("a key of the tests, which is long enough"), plinth.WithLog(slog.New(slog.DiscardHandler)),
		plinth.On(func(context.Context) (*changing, error) { return eng, nil }),
		plinth.Consume(data.Consumer{Name: "told", Oldest: true, Do: func(_ context.Context, all []*data.Change) error {
			told <- len(all)
			return nil
		}}))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, plinth.Listening{Listen: "127.0.0.1:0", Roles: []string{"jobs"}}) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	writeNote(t, p)
	<-told
	eng.changed.Store(true)
	for end := time.Now().Add(30 * time.Second); ; <-time.After(10 * time.Millisecond) {
		all, err := p.DB().Consumers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if all[0].Holder == "" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it goes on although the tables are others")
		}
	}
	eng.changed.Store(false)
	writeNote(t, p)
	select {
	case <-told:
	case <-time.After(30 * time.Second):
		t.Error("it does not go on")
	}
}

// What a consumer's function does when the process is told to end is not done again if it came to its end, and a function
// that does not end holds up neither the end nor a reload.
func TestConsumersEnd(t *testing.T) {
	t.Parallel()
	told, goOn, forever := make(chan int, 10), make(chan bool), make(chan bool)
	defer close(forever)
	p, err := plinth.Open(t.Context(), folder(t, notes), inMemory(), env("a key of the tests, which is long enough"),
		plinth.WithLog(slog.New(slog.DiscardHandler)), plinth.Patience(100*time.Millisecond), plinth.Dev(),
		plinth.Consume(data.Consumer{Name: "slow", Oldest: true, Do: func(context.Context, []*data.Change) error {
			told <- 1
			<-goOn
			return nil
		}}),
		plinth.Consume(data.Consumer{Name: "stuck", Oldest: true, Do: func(context.Context, []*data.Change) error {
			<-forever
			return nil
		}}))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	writeNote(t, p)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.RunJobs(ctx) }()
	<-told
	reloaded := make(chan error, 1)
	go func() {
		_, err := p.Reload(t.Context())
		reloaded <- err
	}()
	within := func(what string, done chan error) {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal(what + " waits for a function that does not end")
		}
	}
	goOn <- true
	within("a reload", reloaded)
	writeNote(t, p)
	<-told
	stop()
	goOn <- true
	within("the end", ended)
	for end := time.Now().Add(30 * time.Second); ; <-time.After(time.Millisecond) {
		all, err := p.DB().Consumers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if all[0].Name == "slow" && all[0].Behind == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("what was done is told again: %+v", all)
		}
	}
	select {
	case <-told:
		t.Error("it is told a third time of two notes")
	default:
	}
}
