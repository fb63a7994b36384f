package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// jobs: one is there exactly when its transaction was committed, one worker has it, what it writes is written once,
// and what nobody settles is found.
func jobs(s *suite) {
	a := app(s, "  notes: {fields: {name: {type: text, max: 20, required: true}}, access: {read: true}}\n")
	eng := openTables(s, a, s.open)
	s.caps = eng.Caps()
	db, _ := openData(s, a, eng)
	ctx := context.Background()
	enqueue := func(n data.NewJob) (id string, err error) {
		ids, err := db.Enqueue(ctx, n)
		if err == nil {
			id = ids[0]
		}
		return id, err
	}
	claim := func(worker, kind string, free int) ([]data.Job, error) {
		return db.Claim(ctx, worker, []data.Room{{Kind: kind, Free: free}}, 100)
	}
	settle := func(j *data.Job, o data.Outcome) error {
		o.Job = j
		lost, err := db.Settle(ctx, []data.Outcome{o})
		if err == nil && len(lost) > 0 {
			err = fmt.Errorf("%q was lost", lost)
		}
		return err
	}
	state := func(id, want string) error {
		j, err := db.Job(ctx, id)
		if err == nil && j.State != want {
			err = fmt.Errorf("it is %s, want %s (%s)", j.State, want, j.Error)
		}
		return err
	}
	note := func(name string) func(tx *data.Tx) error {
		return func(tx *data.Tx) error {
			body := doc.NewObject()
			body.Set("name", doc.NewString(name))
			_, err := tx.Create("notes", body)
			return err
		}
	}
	notes := func(want string) error {
		text, err := list(db, &data.ListQuery{Collection: "notes", Sort: "name", Limit: 500})
		if err != nil {
			return err
		}
		if got := namesOf(parse(s, text)); got != want {
			return fmt.Errorf("there is %q, want %q", got, want)
		}
		return nil
	}
	// tend tends until something has become of a job.
	tend := func(id, was string) error {
		for range 1_000_000 {
			if _, _, _, err := db.Tend(ctx); err != nil {
				return err
			}
			if j, err := db.Job(ctx, id); err != nil || j.State != was {
				return err
			}
		}
		return fmt.Errorf("it stays %s", was)
	}
	s.expect("one is there, waiting, with what it was given", func() error {
		id, err := enqueue(data.NewJob{Kind: "one", Payload: map[string]int{"n": 7}, Priority: 3, Attempts: 4, Timeout: 90 * time.Second})
		if err != nil {
			return err
		}
		j, err := db.Job(ctx, id)
		if err != nil || j.Kind != "one" || j.State != data.Waiting || string(j.Payload) != `{"n":7}` || j.Priority != 3 || j.Attempts != 4 || j.Timeout != 90*time.Second {
			return fmt.Errorf("%+v: %w", j, err)
		}
		got, err := claim("w", "one", 5)
		if err != nil || len(got) != 1 || got[0].ID != id || got[0].Attempt != 1 || got[0].State != data.Running {
			return fmt.Errorf("%+v: %w", got, err)
		}
		again, err := claim("v", "one", 5)
		if err != nil || len(again) != 0 {
			return fmt.Errorf("another has it too: %+v: %w", again, err)
		}
		return errors.Join(settle(&got[0], data.Outcome{State: data.Done}), state(id, data.Done))
	})
	boom := errors.New("boom")
	s.expect("none of a transaction that is undone", func() error {
		err := db.Transact(ctx, operator, func(tx *data.Tx) error {
			if _, err := tx.Enqueue(data.NewJob{Kind: "undone"}); err != nil {
				return err
			}
			return boom
		})
		got, claimed := claim("w", "undone", 5)
		if err != boom || len(got) != 0 {
			return fmt.Errorf("%w, %d jobs", errors.Join(err, claimed), len(got))
		}
		return claimed
	})
	s.expect("with a record in one transaction", func() error {
		return db.Transact(ctx, operator, func(tx *data.Tx) error {
			if _, err := tx.Enqueue(data.NewJob{Kind: "with", Key: "with"}); err != nil {
				return err
			}
			return note("a")(tx)
		})
	})
	s.expect("of a key there is one that is not finished", func() error {
		first, err := enqueue(data.NewJob{Kind: "keyed", Key: "k"})
		if err != nil {
			return err
		}
		if same, err := enqueue(data.NewJob{Kind: "keyed", Key: "k"}); err != nil || same != first {
			return fmt.Errorf("%s, want %s: %w", same, first, err)
		}
		got, err := claim("w", "keyed", 5)
		if err != nil || len(got) != 1 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		if same, err := enqueue(data.NewJob{Kind: "keyed", Key: "k"}); err != nil || same != first {
			return fmt.Errorf("while it runs: %s, want %s: %w", same, first, err)
		}
		if err := settle(&got[0], data.Outcome{State: data.Done}); err != nil {
			return err
		}
		if next, err := enqueue(data.NewJob{Kind: "keyed", Key: "k"}); err != nil || next == first {
			return fmt.Errorf("when it is done: %s: %w", next, err)
		}
		return nil
	})
	s.expect("many who enqueue one key enqueue one job", func() error {
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids := map[string]bool{}
		var failed error
		for range 12 {
			wg.Go(func() {
				id, err := enqueue(data.NewJob{Kind: "race", Key: "race"})
				mu.Lock()
				defer mu.Unlock()
				ids[id], failed = true, errors.Join(failed, err)
			})
		}
		wg.Wait()
		if failed != nil || len(ids) != 1 {
			return fmt.Errorf("%v: %w", ids, failed)
		}
		return nil
	})
	s.expect("the smaller priority goes first, then the older", func() error {
		var ids []string
		for _, p := range []int{5, -1, 0, 5, -1} {
			id, err := enqueue(data.NewJob{Kind: "ranked", Priority: p})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		for i, want := range []string{ids[1], ids[4], ids[2], ids[0], ids[3]} {
			got, err := claim("w", "ranked", 1)
			if err != nil || len(got) != 1 || got[0].ID != want {
				return fmt.Errorf("the %dth: %+v: %w", i, got, err)
			}
		}
		return nil
	})
	s.expect("many workers share them: each has one worker", func() error {
		const n = 60
		for range n {
			if _, err := enqueue(data.NewJob{Kind: "shared"}); err != nil {
				return err
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[string]int{}
		var failed error
		for i := range 6 {
			wg.Go(func() {
				for { // one that is left out because another is about to take it is there when that is undone
					got, err := claim(fmt.Sprint("w", i), "shared", 7)
					mu.Lock()
					for _, j := range got {
						seen[j.ID]++
					}
					failed = errors.Join(failed, err)
					all := len(seen)
					mu.Unlock()
					if err != nil || len(got) == 0 && all == n {
						return
					}
				}
			})
		}
		wg.Wait()
		for id, times := range seen {
			if times != 1 {
				failed = errors.Join(failed, fmt.Errorf("%s was claimed %d times", id, times))
			}
		}
		return failed
	})
	s.expect("what fails is tried again when it is due, and is dead at last", func() error {
		id, err := enqueue(data.NewJob{Kind: "fails", Attempts: 2})
		if err != nil {
			return err
		}
		got, err := claim("w", "fails", 1)
		if err != nil || len(got) != 1 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		if err := settle(&got[0], data.Outcome{State: data.Later, After: 30 * time.Millisecond, Error: "no answer"}); err != nil {
			return err
		}
		if err := errors.Join(state(id, data.Later), tend(id, data.Later), state(id, data.Waiting)); err != nil {
			return err
		}
		if got, err = claim("w", "fails", 1); err != nil || len(got) != 1 || got[0].Attempt != 2 || got[0].Error != "no answer" {
			return fmt.Errorf("%+v: %w", got, err)
		}
		if err := errors.Join(settle(&got[0], data.Outcome{State: data.Dead, Error: "still none"}), state(id, data.Dead)); err != nil {
			return err
		}
		if _, err := db.RetryJob(ctx, id); err != nil {
			return err
		}
		if got, err = claim("w", "fails", 1); err != nil || len(got) != 1 || got[0].Attempt != 1 {
			return fmt.Errorf("tried again: %+v: %w", got, err)
		}
		return settle(&got[0], data.Outcome{State: data.Done})
	})
	s.expect("a delayed one waits until it is due", func() error {
		id, err := enqueue(data.NewJob{Kind: "delayed", Delay: 50 * time.Millisecond})
		if err != nil {
			return err
		}
		return errors.Join(tend(id, data.Later), state(id, data.Waiting))
	})
	s.expect("what its worker does not settle is given to another, whose it is", func() error {
		id, err := enqueue(data.NewJob{Kind: "stuck", Timeout: time.Second})
		if err != nil {
			return err
		}
		got, err := claim("gone", "stuck", 1)
		if err != nil || len(got) != 1 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		if err := tend(id, data.Running); err != nil {
			return err
		}
		next, err := claim("next", "stuck", 1)
		if err != nil || len(next) != 1 || next[0].Attempt != 2 {
			return fmt.Errorf("%+v: %w", next, err)
		}
		lost, err := db.Settle(ctx, []data.Outcome{{Job: &got[0], State: data.Done}})
		if err != nil || !slices.Equal(lost, []string{id}) {
			return fmt.Errorf("who woke settles it: %q lost: %w", lost, err)
		}
		return errors.Join(state(id, data.Running), settle(&next[0], data.Outcome{State: data.Done}), state(id, data.Done))
	})
	s.expect("one that is renewed stays with its worker, and who was overtaken does not renew it", func() error {
		id, err := enqueue(data.NewJob{Kind: "renewed", Timeout: time.Second})
		if err != nil {
			return err
		}
		got, err := claim("w", "renewed", 1)
		if err != nil || len(got) != 1 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		for was := got[0].Due; !got[0].Due.After(was); { // until the database's clock has moved
			if err := db.Renew(ctx, &got[0]); err != nil {
				return err
			}
		}
		if j, err := db.Job(ctx, id); err != nil || j.State != data.Running || !j.Due.Equal(got[0].Due) {
			return fmt.Errorf("want it running until %s: %+v: %w", got[0].Due, j, err)
		}
		if err := errors.Join(tend(id, data.Running), state(id, data.Waiting)); err != nil {
			return err
		}
		next, err := claim("next", "renewed", 1)
		if err != nil || len(next) != 1 {
			return fmt.Errorf("%d jobs: %w", len(next), err)
		}
		if err := db.Renew(ctx, &got[0]); !fault.Is(err, fault.Precondition) {
			return fmt.Errorf("who woke renews it: %w", err)
		}
		if err := db.Renew(ctx, &next[0]); err != nil {
			return err
		}
		if err := errors.Join(settle(&next[0], data.Outcome{State: data.Done}), state(id, data.Done)); err != nil {
			return err
		}
		if id, err = enqueue(data.NewJob{Kind: "renewed"}); err != nil {
			return err
		}
		if got, err = claim("w", "renewed", 1); err != nil || len(got) != 1 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		if _, err := db.CancelJob(ctx, id); err != nil {
			return err
		}
		if err := db.Renew(ctx, &got[0]); !fault.Is(err, fault.Precondition) {
			return fmt.Errorf("one that is to be cancelled: %w", err)
		}
		return settle(&got[0], data.Outcome{State: data.Cancelled})
	})
	s.expect("what it writes is written with its end, and not by who was overtaken", func() error {
		id, err := enqueue(data.NewJob{Kind: "writes", Timeout: time.Second})
		if err != nil {
			return err
		}
		got, err := claim("gone", "writes", 1)
		if err != nil || len(got) != 1 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		if err := db.Within(ctx, operator, &got[0], "first", note("step")); err != nil {
			return err
		}
		if err := tend(id, data.Running); err != nil {
			return err
		}
		next, err := claim("next", "writes", 1)
		if err != nil || len(next) != 1 || !slices.Equal(next[0].Steps, []string{"first"}) {
			return fmt.Errorf("%+v: %w", next, err)
		}
		if err := db.Within(ctx, operator, &got[0], "", note("late")); !fault.Is(err, fault.Precondition) {
			return fmt.Errorf("who woke writes: %w", err)
		}
		if err := db.Within(ctx, operator, &next[0], "", note("end")); err != nil {
			return err
		}
		return errors.Join(state(id, data.Done), notes("a end step"))
	})
	s.expect("a failed end leaves it running, and writes nothing", func() error {
		id, err := enqueue(data.NewJob{Kind: "half"})
		if err != nil {
			return err
		}
		got, err := claim("w", "half", 1)
		if err != nil || len(got) != 1 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		err = db.Within(ctx, operator, &got[0], "", func(tx *data.Tx) error {
			if err := note("half")(tx); err != nil {
				return err
			}
			return boom
		})
		if err != boom {
			return errors.Join(err, errors.New("want boom"))
		}
		return errors.Join(state(id, data.Running), notes("a end step"))
	})
	s.expect("cancelled: at once, or when its worker sees it", func() error {
		first, err := enqueue(data.NewJob{Kind: "cancel"})
		if err != nil {
			return err
		}
		if _, err := db.CancelJob(ctx, first); err != nil {
			return err
		}
		second, err := enqueue(data.NewJob{Kind: "cancel"})
		if err != nil {
			return err
		}
		got, err := claim("w", "cancel", 5)
		if err != nil || len(got) != 1 || got[0].ID != second {
			return fmt.Errorf("%+v: %w", got, err)
		}
		if j, err := db.CancelJob(ctx, second); err != nil || j.State != data.Running || !j.Cancel {
			return fmt.Errorf("%+v: %w", j, err)
		}
		if ids, err := db.ToCancel(ctx); err != nil || !slices.Equal(ids, []string{second}) {
			return fmt.Errorf("to be cancelled are %q: %w", ids, err)
		}
		if err := settle(&got[0], data.Outcome{State: data.Later, Error: "context canceled"}); err != nil {
			return err
		}
		return errors.Join(state(first, data.Cancelled), state(second, data.Cancelled))
	})
	s.expect("a batch: the last one waits for all of them", func() error {
		var id string
		err := db.Transact(ctx, operator, func(tx *data.Tx) (err error) {
			id, err = tx.EnqueueBatch(data.NewJob{Kind: "then"}, data.NewJob{Kind: "part"}, data.NewJob{Kind: "part"}, data.NewJob{Kind: "part"})
			return err
		})
		if err != nil {
			return err
		}
		got, err := claim("w", "part", 5)
		if err != nil || len(got) != 3 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		if _, err := db.Settle(ctx, []data.Outcome{{Job: &got[0], State: data.Done}, {Job: &got[1], State: data.Dead, Error: "x"}}); err != nil {
			return err
		}
		if err := state(id, data.Held); err != nil {
			return err
		}
		if err := db.Within(ctx, operator, &got[2], "", note("part")); err != nil {
			return err
		}
		return state(id, data.Waiting)
	})
	s.expect("a tick is done once", func() error {
		tick := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		var failed error
		for range 8 {
			wg.Go(func() {
				did, err := db.Tick(ctx, "nightly", tick, &data.NewJob{Kind: "ticked"})
				mu.Lock()
				defer mu.Unlock()
				if failed = errors.Join(failed, err); did {
					done++
				}
			})
		}
		wg.Wait()
		if failed != nil || done != 1 {
			return fmt.Errorf("%d times: %w", done, failed)
		}
		if did, err := db.Tick(ctx, "nightly", tick.Add(-time.Hour), &data.NewJob{Kind: "ticked"}); err != nil || did {
			return fmt.Errorf("an earlier one: %t %w", did, err)
		}
		if last, _, err := db.LastTick(ctx, "nightly"); err != nil || !last.Equal(tick) {
			return fmt.Errorf("the last one is %s: %w", last, err)
		}
		for _, from := range []time.Time{tick.Add(-time.Minute), tick} { // the first is not the last tick: nothing is done
			if err := db.Rewind(ctx, "nightly", from, tick.Add(-2*time.Hour)); err != nil {
				return err
			}
		}
		if last, _, err := db.LastTick(ctx, "nightly"); err != nil || !last.Equal(tick.Add(-2*time.Hour)) {
			return fmt.Errorf("the clock was put back, and the last one is %s: %w", last, err)
		}
		if err := db.Rewind(ctx, "nightly", tick, tick.Add(-3*time.Hour)); err != nil {
			return err
		}
		if did, err := db.Tick(ctx, "nightly", tick.Add(-time.Hour), nil); err != nil || !did {
			return fmt.Errorf("behind it: %t %w", did, err)
		}
		got, err := claim("w", "ticked", 5)
		if err != nil || len(got) != 1 {
			return fmt.Errorf("%d jobs: %w", len(got), err)
		}
		return nil
	})
	s.expect("they are listed, by state and kind", func() error {
		got, _, err := db.Jobs(ctx, data.JobFilter{State: data.Waiting, Kind: "race"})
		if err != nil || len(got) != 1 || !strings.HasPrefix(got[0].Kind, "race") {
			return fmt.Errorf("%+v: %w", got, err)
		}
		return nil
	})
}
