package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/bluell/plinth/data"
	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// concurrency: writers beside each other lose nothing and disturb nobody: an error undoes its own
// work and not a neighbour's, one of many takes a unique value, and counting does not lose.
func concurrency(s *suite) {
	b := s.bare()
	const writers, each = 16, 20
	boom := errors.New("boom")
	s.expect("a neighbour's error", func() error {
		var wg sync.WaitGroup
		errs := make(chan error, writers*each)
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					err := retry(func() error {
						return b.write(func(tx driver.Tx) error {
							if err := tx.Insert(b.things, b.row(1000+w*each+i, int64(i))); err != nil {
								return err
							}
							if i%3 == 0 {
								return boom
							}
							return nil
						})
					})
					if (i%3 == 0) != (err == boom) || i%3 != 0 && err != nil {
						errs <- fmt.Errorf("write %d: %w", i, err)
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			return err
		}
		return b.eng.Read(context.Background(), func(r driver.Reader) error {
			got, err := b.all(r)
			if want := writers * (each - (each+2)/3); err == nil && len(got) != want {
				err = fmt.Errorf("%d records, want %d", len(got), want)
			}
			return err
		})
	})
	s.expect("one of many takes a value", func() error {
		var wg sync.WaitGroup
		var mu sync.Mutex
		taken := 0
		var other error
		for w := range writers {
			wg.Go(func() {
				rec := b.row(5000+w, 0)
				rec[b.one] = expr.TextOf("the one")
				err := retry(func() error { return b.write(func(tx driver.Tx) error { return tx.Insert(b.things, rec) }) })
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					taken++
				case !fault.Is(err, fault.Unique):
					other = err
				}
			})
		}
		wg.Wait()
		if taken != 1 || other != nil {
			return fmt.Errorf("%d took it (%w)", taken, other)
		}
		return nil
	})
	s.expect("a locked row is counted up without loss", func() error { return b.countUp(writers, each) })
	s.increments(writers, each)
	s.deletes(writers, each)
}

func retry(fn func() error) error {
	for {
		if err := fn(); !fault.Is(err, fault.Retry) {
			return err
		}
	}
}

// countUp reads a locked row and writes it one higher.
func (b *bare) countUp(writers, each int) error {
	counter := b.row(9000, 0)
	if err := b.write(func(tx driver.Tx) error { return tx.Insert(b.things, counter) }); err != nil {
		return err
	}
	same := &expr.Node{Op: expr.OpEq, Type: expr.Type{Kind: expr.Bool}, Args: []*expr.Node{
		{Op: expr.OpField, Type: expr.Type{Kind: expr.Text}, Name: "id", Args: []*expr.Node{{Op: expr.OpRow, Type: expr.Type{Kind: expr.Row}}}},
		{Op: expr.OpParam, Type: expr.Type{Kind: expr.Text}}}}
	stmt, err := b.eng.Prepare(&driver.Query{From: b.things, Where: same, Cols: []driver.Col{{Ord: b.n}, {Ord: spec.OrdRev}},
		Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1, Lock: driver.LockWrite})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for range writers {
		wg.Go(func() {
			for range each {
				err := retry(func() error {
					return b.write(func(tx driver.Tx) error {
						var n, rev int64
						err := tx.Rows(context.Background(), stmt, []expr.Value{expr.TextOf(id(9000))}, func(cols driver.Columns) error {
							n, rev = cols.Int(0), cols.Int(1)
							return nil
						})
						if err != nil {
							return err
						}
						rec := b.row(9000, n+1)
						rec[spec.OrdRev] = expr.IntOf(rev + 1)
						ok, err := tx.Update(b.things, id(9000), rev, rec, []int{b.n, spec.OrdRev})
						if err == nil && !ok {
							err = errors.New("a locked row has another revision")
						}
						return err
					})
				})
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		return err
	}
	return b.eng.Read(context.Background(), func(r driver.Reader) error {
		q, err := b.eng.Prepare(&driver.Query{From: b.things, Where: same, Cols: []driver.Col{{Ord: b.n}, {Ord: spec.OrdRev}}, Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1})
		if err != nil {
			return err
		}
		return r.Rows(context.Background(), q, []expr.Value{expr.TextOf(id(9000))}, func(cols driver.Columns) error {
			if want := int64(writers * each); cols.Int(0) != want || cols.Int(1) != want+1 {
				return fmt.Errorf("it is %d at revision %d, want %d", cols.Int(0), cols.Int(1), want)
			}
			return nil
		})
	})
}

// increments does the same through package data.
func (s *suite) increments(writers, each int) {
	p := s.pair(`
  stock:
    fields: {n: {type: int, min: 0}}
    access: {read: true}
`)
	p.create("stock", `"n":200`)
	s.expect("stock is not oversold", func() error {
		var wg sync.WaitGroup
		var mu sync.Mutex
		sold := 0
		var other error
		for range writers {
			wg.Go(func() {
				for range each {
					_, err := p.it.Increment(context.Background(), operator, "stock", id(1), parse(p, `{"n":-1}`), data.WriteOptions{})
					mu.Lock()
					switch {
					case err == nil:
						sold++
					case !fault.Is(err, fault.Invalid):
						other = err
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if sold != 200 || other != nil {
			return fmt.Errorf("%d sold of 200 (%w)", sold, other)
		}
		return nil
	})
}

// deletes has many delete the same records: what is good once is made of it.
func (s *suite) deletes(writers, each int) {
	p := s.pair(`
  tickets:
    fields: {n: {type: int}}
    access: {read: true}
`)
	s.expect("of many who delete a record one does", func() error {
		p.create("tickets", slices.Repeat([]string{`"n":1`}, each)...)
		for i := range each {
			var wg sync.WaitGroup
			var mu sync.Mutex
			deleted := 0
			var other error
			for range writers {
				wg.Go(func() {
					_, err := p.it.Delete(context.Background(), operator, "tickets", id(i+1), data.WriteOptions{})
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						deleted++
					case !fault.Is(err, fault.NotFound):
						other = err
					}
				})
			}
			wg.Wait()
			if deleted != 1 || other != nil {
				return fmt.Errorf("%d deleted it, %v", deleted, other)
			}
		}
		return nil
	})
}
