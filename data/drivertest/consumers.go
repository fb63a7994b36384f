package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/doc"
)

// consumers: who follows the log goes on where he left off, in one place at a time, and what he writes is written once.
func consumers(s *suite) {
	a := app(s, `
  notes: {fields: {name: {type: text, max: 20, required: true}}, access: {read: true}}
  copies: {fields: {name: {type: text, max: 20, required: true}}, access: {read: true}}
`)
	eng := openTables(s, a, s.open)
	s.caps = eng.Caps()
	db, err := data.Open(context.Background(), a, eng, data.Options{Key: secret, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		s.Fatal(err)
	}
	body := func(name string) *doc.Node {
		b := doc.NewObject()
		b.Set("name", doc.NewString(name))
		return b
	}
	write := func(names ...string) error {
		for _, name := range names {
			if _, err := db.Create(context.Background(), operator, "notes", body(name), data.WriteOptions{}); err != nil {
				return err
			}
		}
		return nil
	}
	name := func(c *data.Change) string { return c.After("name").Text() }
	// told consumes until the last of these was told, in order, which is all that may be; on is asked of each call.
	told := func(c data.Consumer, on func(all string) error, names ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		var got []string
		c.Do = func(_ context.Context, all []*data.Change) error {
			var now []string
			for _, one := range all {
				if one.Collection == "notes" {
					now = append(now, name(one))
				}
			}
			if err := on(strings.Join(now, " ")); err != nil {
				return err
			}
			got = append(got, now...)
			if len(got) > 0 && got[len(got)-1] == names[len(names)-1] {
				time.AfterFunc(0, cancel)
			}
			return nil
		}
		err := db.Consume(ctx, c)
		// The end may come before it is noted that the last are done: then they are told again.
		if want := strings.Join(names, " "); err == nil && strings.Join(got, " ") != want {
			err = fmt.Errorf("told %q, want %q", got, want)
		}
		return err
	}
	any := func(string) error { return nil }
	// settled waits until a consumer has done all, or has ended.
	settled := func(consumer string, ended chan error) error {
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
			all, err := db.Consumers(context.Background())
			if err != nil {
				return err
			}
			for _, c := range all {
				if c.Name == consumer && c.Behind == 0 {
					return nil
				}
			}
			select {
			case err := <-ended:
				ended <- err
				return fmt.Errorf("%s has ended: %w", consumer, err)
			default:
			}
		}
		return fmt.Errorf("%s is not done", consumer)
	}
	begun := func(c data.Consumer) error { // so that what comes is told
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		c.Do = func(context.Context, []*data.Change) error { return nil }
		ended := make(chan error, 1)
		go func() { ended <- db.Consume(ctx, c) }()
		err := settled(c.Name, ended)
		cancel()
		return errors.Join(err, <-ended)
	}
	if s.expect("a new one begins behind what is there", func() error {
		if err := write("a", "b"); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := db.Consume(ctx, data.Consumer{Name: "one", Do: func(context.Context, []*data.Change) error { return nil }}); err != nil {
			return err
		}
		if err := begun(data.Consumer{Name: "one"}); err != nil {
			return err
		}
		if err := write("c"); err != nil {
			return err
		}
		return told(data.Consumer{Name: "one"}, any, "c")
	}) {
		return
	}
	s.expect("or with the oldest that is kept", func() error {
		return told(data.Consumer{Name: "two", Oldest: true}, any, "a", "b", "c")
	})
	s.expect("it goes on where it left off", func() error {
		if err := errors.Join(begun(data.Consumer{Name: "two"}), write("d", "e")); err != nil {
			return err
		}
		return told(data.Consumer{Name: "two"}, any, "d", "e")
	})
	s.expect("what has failed is told again, and nothing behind it", func() error {
		if err := errors.Join(begun(data.Consumer{Name: "two"}), write("f")); err != nil {
			return err
		}
		n := 0
		return told(data.Consumer{Name: "two"}, func(all string) error {
			switch n++; {
			case n <= 3 && all != "f":
				return fmt.Errorf("told %q instead of f", all)
			case n == 1:
				return errors.Join(write("g"), errors.New("it fails"))
			case n == 2:
				panic("it panics")
			default:
				return nil
			}
		}, "f", "g")
	})
	s.expect("what it writes is written once", func() error {
		if err := errors.Join(begun(data.Consumer{Name: "copies"}), write("h", "i")); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		runs := 0
		ended := make(chan error, 1)
		go func() {
			ended <- db.Consume(ctx, data.Consumer{Name: "copies", Write: func(tx *data.Tx, all []*data.Change) error {
				for _, c := range all {
					if c.Collection != "notes" {
						continue
					}
					if _, err := tx.Create("copies", body(name(c))); err != nil {
						return err
					}
				}
				if runs++; runs < 3 {
					return errors.New("too early")
				}
				return nil
			}})
		}()
		err := settled("copies", ended)
		cancel()
		if err := errors.Join(err, <-ended); err != nil {
			return err
		}
		records, _, err := db.Records(context.Background(), operator, &data.ListQuery{Collection: "copies", Sort: "name", Limit: 10})
		if err == nil && len(records) != 2 {
			err = fmt.Errorf("%d copies of two notes after %d runs", len(records), runs)
		}
		return err
	})
	s.expect("one of several is told, and another when it has ended", func() error {
		var mu sync.Mutex
		tellers := map[int]int{}
		var ends [3]context.CancelFunc
		ended := make(chan error, len(ends)+1)
		if err := begun(data.Consumer{Name: "many"}); err != nil {
			return err
		}
		for i := range ends {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			ends[i] = cancel
			defer cancel()
			go func() {
				ended <- db.Consume(ctx, data.Consumer{Name: "many", Lease: time.Second, Do: func(_ context.Context, all []*data.Change) error {
					mu.Lock()
					defer mu.Unlock()
					tellers[i] += len(all)
					return nil
				}})
			}()
		}
		for round := range ends {
			if err := errors.Join(write("x", "y"), settled("many", ended)); err != nil {
				return err
			}
			mu.Lock()
			sum := 0
			for i, n := range tellers {
				if sum += n; n > 0 {
					ends[i]()
				}
			}
			who := len(tellers)
			mu.Unlock()
			if sum != 2*(round+1) || who != round+1 {
				return fmt.Errorf("round %d: %d told to %d", round, sum, who)
			}
			if err := <-ended; err != nil {
				return err
			}
		}
		return nil
	})
	s.expect("it is told that it has lost some, and goes on", func() error {
		if err := errors.Join(begun(data.Consumer{Name: "late"}), write("k", "l", "m"), db.SweepChanges(context.Background(), 0, 1)); err != nil {
			return err
		}
		var old *data.TooOld
		if err := told(data.Consumer{Name: "late"}, any, "never"); !errors.As(err, &old) {
			return fmt.Errorf("without Lost: %w", err)
		}
		lost := 0
		err := told(data.Consumer{Name: "late", Lost: func(context.Context) error {
			if lost++; lost == 1 {
				return errors.New("not yet")
			}
			return write("n")
		}}, any, "n")
		if err == nil && lost != 2 {
			err = fmt.Errorf("lost was told %d times", lost)
		}
		return err
	})
	s.expect("a wrong one is refused", func() error {
		for _, c := range []data.Consumer{{}, {Name: "x"}, {Name: strings.Repeat("x", 101), Write: func(*data.Tx, []*data.Change) error { return nil }}} {
			if err := db.Consume(context.Background(), c); err == nil {
				return fmt.Errorf("%+v runs", c)
			}
		}
		return nil
	})
}
