package drivertest

import (
	"errors"
	"fmt"
	"time"

	"github.com/bluell/plinth/data/driver"
)

// clock: a transaction is told the time by the database, which goes on while it is under way, and asking for it
// disturbs nothing.
func clock(s *suite) {
	b := s.bare()
	// goes looks until it is later, and says whether the clock ever stepped back.
	goes := func(tx driver.Tx) (first, last int64, err error) {
		if first, err = tx.Now(); err != nil {
			return 0, 0, err
		}
		last = first
		for looks := 0; last == first; looks++ {
			if last, err = tx.Now(); err != nil {
				return 0, 0, err
			}
			if last < first || looks == 10_000_000 {
				return 0, 0, fmt.Errorf("it was %d, and is %d after %d looks", first, last, looks)
			}
		}
		return first, last, nil
	}
	s.expect("it is UTC in milliseconds", func() error {
		return b.write(func(tx driver.Tx) error {
			ms, err := tx.Now()
			// These tests start the servers that they ask, or are told of one whose clock is right: half an hour is the
			// least by which a zone is wrong.
			if far := time.Since(time.UnixMilli(ms)); err == nil && far.Abs() > 20*time.Minute {
				err = fmt.Errorf("it is %v away from here", far)
			}
			return err
		})
	})
	s.expect("it goes on within a transaction", func() error {
		return b.write(func(tx driver.Tx) error {
			_, _, err := goes(tx)
			return err
		})
	})
	s.expect("it goes on behind a change, which is kept", func() error {
		err := b.write(func(tx driver.Tx) error {
			if err := tx.Insert(b.things, b.row(1, 10)); err != nil {
				return err
			}
			_, _, err := goes(tx)
			return err
		})
		return errors.Join(err, b.has("01=10"))
	})
	s.expect("a change behind it is undone whole", func() error {
		boom := errors.New("boom")
		err := b.write(func(tx driver.Tx) error {
			if _, err := tx.Now(); err != nil {
				return err
			}
			if err := tx.Insert(b.things, b.row(2, 20)); err != nil {
				return err
			}
			return boom
		})
		if err != boom {
			return errors.Join(err, errors.New("want boom"))
		}
		return b.has("01=10")
	})
	s.expect("another transaction does not see an earlier time", func() error {
		var last int64
		err := b.write(func(tx driver.Tx) (err error) {
			_, last, err = goes(tx)
			return err
		})
		if err != nil {
			return err
		}
		return b.write(func(tx driver.Tx) error {
			ms, err := tx.Now()
			if err == nil && ms < last {
				err = fmt.Errorf("it is %d, and was %d", ms, last)
			}
			return err
		})
	})
}
