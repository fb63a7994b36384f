package plinth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluell/plinth"
	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/memory"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

const bookings = `
collections:
  bookings:
    fields:
      guest:  {type: text, required: true, max: 100}
      number: {type: text, max: 20, unique: true}
    access: {read: true, create: true}
  letters:
    fields: {text: {type: text, required: true, max: 200}}
    access: {read: true}
`

// A Go program stands in the way of writes, and works on jobs that are enqueued with them.
func ExampleJob() {
	dir, _ := os.MkdirTemp("", "plinth-example-")
	defer os.RemoveAll(dir)
	os.WriteFile(filepath.Join(dir, "plinth.yaml"), []byte(bookings), 0o644)

	written := make(chan string, 1)
	p, err := plinth.Open(context.Background(), dir,
		plinth.On(func(context.Context) (*memory.Engine, error) { return memory.Open(), nil }),
		plinth.WithKey([]byte("32 random bytes from a safe place")),

		plinth.Before("bookings", plinth.Create, func(_ context.Context, b *data.Writing) error {
			if b.New("guest").Text() == "Nobody" {
				return fault.New(fault.Invalid, "a booking needs a guest")
			}
			if err := b.Set("number", "B-"+b.ID()[:8]); err != nil {
				return err
			}
			_, err := b.Tx.Enqueue(data.NewJob{Kind: "letter", Payload: map[string]string{"guest": b.New("guest").Text()}})
			return err // there is a letter exactly when there is a booking
		}),
		plinth.Job("letter", func(ctx context.Context, w *plinth.Work) error {
			var about struct{ Guest string }
			if err := w.Read(&about); err != nil {
				return err
			}
			return w.Commit(ctx, func(tx *data.Tx) error { // once, however often the job is begun
				letter := doc.NewObject()
				letter.Set("text", doc.NewString("Dear "+about.Guest+", you are welcome."))
				_, err := tx.Create("letters", letter)
				return err
			})
		}),
		plinth.After("letters", plinth.Create, func(_ context.Context, l *data.Writing) { written <- l.New("text").Text() }))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.RunJobs(ctx) }() // Serve does so by itself

	for _, guest := range []string{"Ann", "Nobody"} {
		booking := doc.NewObject()
		booking.Set("guest", doc.NewString(guest))
		if _, err := p.DB().Create(ctx, data.Caller{}, "bookings", booking, data.WriteOptions{}); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(<-written)
	stop()
	<-done
	// Output:
	// a booking needs a guest
	// Dear Ann, you are welcome.
}

func TestKindsAreChecked(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, *plinth.Work) error { return nil }
	dir := folder(t, "schedules: {nightly: {cron: '@daily', job: report}}\n")
	for _, c := range []struct {
		opts []plinth.Option
		want string
	}{
		{[]plinth.Option{plinth.Job("plinth.create", nothing)}, `"plinth.create" is no kind of job`},
		{[]plinth.Option{plinth.Job("Report", nothing)}, `"Report" is no kind of job`},
		{[]plinth.Option{plinth.Job("report", nil)}, "has no function"},
		{[]plinth.Option{plinth.Job("report", nothing), plinth.Job("report", nothing)}, "registered twice"},
		{[]plinth.Option{plinth.After("nowhere", plinth.Create, func(context.Context, *data.Writing) {})}, `the collection "nowhere"`},
	} {
		p, err := plinth.Open(t.Context(), dir, append(c.opts, inMemory(), env("a key of the tests, which is long enough"))...)
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	p, err := plinth.Open(t.Context(), dir, inMemory(), env("a key of the tests, which is long enough"))
	if err != nil {
		t.Fatal(err) // whoever only looks at the database need not know the kinds
	}
	defer p.Close()
	var wrong *spec.Problems
	if err := p.Serve(t.Context(), plinth.Listening{Listen: "127.0.0.1:0"}); !errors.As(err, &wrong) || wrong.List[0].Line != 1 {
		t.Errorf("%v, want the line of the schedule", err)
	}
}

// A reload ends the jobs under way, or gives them back, and goes on with the new app file.
func TestReloadOfJobs(t *testing.T) {
	t.Parallel()
	dir := folder(t, notes)
	began := make(chan struct{}, 4)
	p, err := plinth.Open(t.Context(), dir, inMemory(), env("a key of the tests, which is long enough"), plinth.Dev(), plinth.Patience(time.Millisecond),
		plinth.Job("long", func(ctx context.Context, w *plinth.Work) error {
			began <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.RunJobs(ctx) }()
	if _, err := p.DB().Enqueue(ctx, data.NewJob{Kind: "long", Timeout: time.Hour}); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(notes+"schedules: {x: {every: 1h, job: unknown}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Reload(ctx); err == nil || !strings.Contains(err.Error(), "nothing works on jobs") {
		t.Errorf("%v", err)
	}
	more := strings.Replace(notes, "max: 100}}", "max: 100}, more: {type: text}}", 1)
	if err := os.WriteFile(filepath.Join(dir, spec.FileName), []byte(more), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	<-began // it was given back, and is begun again
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A process without the role api answers for its health alone, and one without jobs works on none.
func TestRoles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		roles  []string
		status int
	}{{[]string{"jobs"}, http.StatusNotFound}, {[]string{"api"}, http.StatusOK}, {nil, http.StatusOK}} {
		p, err := plinth.Open(t.Context(), folder(t, notes), inMemory(), env("a key of the tests, which is long enough"),
			plinth.Job("nothing", func(context.Context, *plinth.Work) error { return nil }))
		if err != nil {
			t.Fatal(err)
		}
		id, err := p.DB().Enqueue(t.Context(), data.NewJob{Kind: "nothing"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ready, ended := make(chan string, 1), make(chan error, 1)
		go func() {
			ended <- p.Serve(ctx, plinth.Listening{Listen: "127.0.0.1:0", Roles: c.roles, Ready: func(url string) { ready <- url }})
		}()
		url := <-ready
		for path, want := range map[string]int{"/healthz": http.StatusOK, "/api/notes": c.status} {
			r, err := http.Get(url + path)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != want {
				t.Errorf("%v: %s answers %d, want %d", c.roles, path, r.StatusCode, want)
			}
		}
		want := data.Done
		if slices.Equal(c.roles, []string{"api"}) {
			want = data.Waiting
		}
		j, err := p.JobByID(ctx, id[0])
		for tries := 0; err == nil && j.State != want && tries < 1000; tries++ {
			<-time.After(10 * time.Millisecond)
			j, err = p.JobByID(ctx, id[0])
		}
		if err != nil || j.State != want {
			t.Errorf("%v: the job is %s, want %s (%v)", c.roles, j.State, want, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
