package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
	"github.com/bluell/plinth/fault"
)

// leases: one of many has it, the term grows when it passes on, and who was overtaken is fenced.
func leases(s *suite) {
	a := app(s, "  notes: {fields: {name: {type: text, max: 20, required: true}}, access: {read: true}}\n")
	eng := openTables(s, a, s.open)
	s.caps = eng.Caps()
	db, _ := openData(s, a, eng)
	ctx := context.Background()
	note := func(l data.Lease, name string) error {
		return db.Transact(ctx, operator, func(tx *data.Tx) error {
			if err := tx.Fence(l); err != nil {
				return err
			}
			body := doc.NewObject()
			body.Set("name", doc.NewString(name))
			_, err := tx.Create("notes", body)
			return err
		})
	}
	// passes asks until the lease has ended.
	passes := func(name, holder string, ttl time.Duration) (data.Lease, error) {
		for range 100_000 {
			if l, held, err := db.Lease(ctx, name, holder, ttl); err != nil || held {
				return l, err
			}
		}
		return data.Lease{}, errors.New("it does not end")
	}
	var mine data.Lease
	s.expect("one of many takes it", func() error {
		var wg sync.WaitGroup
		var mu sync.Mutex
		holders := map[string]int{}
		var failed error
		for i := range 12 {
			wg.Go(func() {
				l, held, err := db.Lease(ctx, "one", fmt.Sprint("holder ", i), time.Hour)
				mu.Lock()
				defer mu.Unlock()
				if failed = errors.Join(failed, err); held {
					mine = l
				}
				holders[l.Holder]++
			})
		}
		wg.Wait()
		if failed != nil || len(holders) != 1 || holders[mine.Holder] != 12 || mine.Term != 1 {
			return fmt.Errorf("%v of term %d, %w", holders, mine.Term, failed)
		}
		return nil
	})
	s.expect("its holder renews it, and it is of the same term", func() error {
		l, held, err := db.Lease(ctx, "one", mine.Holder, 2*time.Hour)
		if err != nil || !held || l.Term != mine.Term || !l.Until.After(mine.Until) {
			return fmt.Errorf("%+v %t after %+v: %w", l, held, mine, err)
		}
		return nil
	})
	s.expect("its holder writes", func() error { return note(mine, "a") })
	var next data.Lease
	s.expect("another has it when it has ended, and the term is greater", func() error {
		if _, held, err := db.Lease(ctx, "one", mine.Holder, time.Millisecond); err != nil || !held {
			return fmt.Errorf("%t: %w", held, err)
		}
		var err error
		if next, err = passes("one", "another", time.Hour); err == nil && next.Term <= mine.Term {
			err = fmt.Errorf("the term is %d after %d", next.Term, mine.Term)
		}
		return err
	})
	s.expect("who had it wakes and is fenced", func() error {
		if err := note(mine, "b"); !fault.Is(err, fault.Precondition) {
			return errors.Join(err, errors.New("want a failed precondition"))
		}
		return nil
	})
	s.expect("who has it writes", func() error { return note(next, "c") })
	s.expect("nothing of the other is there", func() error {
		q := &data.ListQuery{Collection: "notes", Sort: "name"}
		text, err := list(db, q)
		if err != nil {
			return err
		}
		want := "a c"
		if !s.caps.Transactions {
			want = "" // fenced writes are refused there
		}
		if got := namesOf(parse(s, text)); got != want {
			return fmt.Errorf("there is %q, want %q", got, want)
		}
		return nil
	})
	s.expect("it can be given back", func() error {
		if err := db.Release(ctx, mine); err != nil { // whose term is over
			return err
		}
		if _, held, err := db.Lease(ctx, "one", "third", time.Hour); held || err != nil {
			return fmt.Errorf("it is given back by who does not have it: %t %w", held, err)
		}
		if err := db.Release(ctx, next); err != nil {
			return err
		}
		l, held, err := db.Lease(ctx, "one", "third", time.Hour)
		if err == nil && (!held || l.Term <= next.Term) {
			err = fmt.Errorf("%+v %t", l, held)
		}
		return err
	})
	s.expect("anew after it had ended, its own holder has a greater term", func() error {
		first, held, err := db.Lease(ctx, "two", "me", time.Millisecond)
		if err != nil || !held {
			return fmt.Errorf("%t: %w", held, err)
		}
		for range 100_000 {
			l, held, err := db.Lease(ctx, "two", "me", time.Millisecond)
			if err != nil || !held {
				return fmt.Errorf("%t: %w", held, err)
			}
			if l.Term > first.Term {
				return nil
			}
		}
		return errors.New("its term stays the same, each millisecond anew")
	})
}
