package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/fault"
	"github.com/bluell/plinth/spec"
)

// bare is one engine, asked without package data.
type bare struct {
	*suite
	eng    driver.Engine
	things *spec.Collection
	n, one int // ordinals
}

func (s *suite) bare() *bare {
	s.Helper()
	a := app(s, `
  things:
    fields: {n: {type: int}, one: {type: text, max: 20, unique: true}}
    access: {read: true}
`)
	b := &bare{suite: s, eng: openTables(s, a, s.open)}
	s.caps = b.eng.Caps()
	b.things, _ = a.Collection("things")
	n, _ := b.things.Field("n")
	one, _ := b.things.Field("one")
	b.n, b.one = n.Ord, one.Ord
	return b
}

// row is a record of things.
func (b *bare) row(num int, n int64) driver.Record {
	r := make(driver.Record, len(b.things.Fields))
	r[spec.OrdID], r[spec.OrdRev] = expr.TextOf(id(num)), expr.IntOf(1)
	r[spec.OrdCreated], r[spec.OrdUpdated] = expr.TimeOf(0), expr.TimeOf(0)
	r[b.n] = expr.IntOf(n)
	return r
}

// all reads id and n of every record.
func (b *bare) all(r driver.Reader) ([]string, error) {
	stmt, err := b.eng.Prepare(&driver.Query{From: b.things, Cols: []driver.Col{{Ord: spec.OrdID}, {Ord: b.n}}, Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1})
	if err != nil {
		return nil, err
	}
	var out []string
	err = r.Rows(context.Background(), stmt, nil, func(cols driver.Columns) error {
		text := string(cols.Text(0))
		out = append(out, fmt.Sprintf("%s=%d", text[len(text)-2:], cols.Int(1)))
		return nil
	})
	return out, err
}

// has says what there is, in a transaction and without one.
func (b *bare) has(want ...string) error {
	check := func(r driver.Reader) error {
		got, err := b.all(r)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("there is %q, want %q", got, want)
		}
		return err
	}
	return errors.Join(b.eng.Read(context.Background(), check), check(b.eng))
}

func (b *bare) write(fn func(driver.Tx) error) error { return b.eng.Write(context.Background(), fn) }

// insert writes records, each by itself.
func (b *bare) insert(rows ...driver.Record) {
	b.Helper()
	for _, r := range rows {
		if err := b.write(func(tx driver.Tx) error { return tx.Insert(b.things, r) }); err != nil {
			b.Fatal(err)
		}
	}
}

// instead brings about, record by record, what a case would have left behind that the engine refused.
func (b *bare) instead(refused bool, rows ...driver.Record) {
	b.Helper()
	if !refused {
		return
	}
	for _, r := range rows {
		id := r[spec.OrdID].Text()
		if err := b.write(func(tx driver.Tx) error { _, err := tx.Delete(b.things, []string{id}); return err }); err != nil {
			b.Fatal(err)
		}
	}
	b.insert(rows...)
}

// transactions: all or nothing, one's own work is seen, a snapshot stays what it was, and a change
// asks for the revision that it knows.
func transactions(s *suite) {
	b := s.bare()
	boom := errors.New("boom")
	s.expect("insert", func() error {
		err := b.write(func(tx driver.Tx) error { return tx.Insert(b.things, b.row(1, 10)) })
		return errors.Join(err, b.has("01=10"))
	})
	s.expect("an error undoes everything and is returned as it is", func() error {
		err := b.write(func(tx driver.Tx) error {
			if err := tx.Insert(b.things, b.row(2, 20)); err != nil {
				return err
			}
			if _, err := tx.Delete(b.things, []string{id(1)}); err != nil {
				return err
			}
			return boom
		})
		if err != boom {
			return errors.Join(err, errors.New("want boom"))
		}
		return b.has("01=10")
	})
	b.instead(s.expect("one's own work is seen", func() error {
		return b.write(func(tx driver.Tx) error {
			if err := tx.Insert(b.things, b.row(3, 30)); err != nil {
				return err
			}
			if ok, err := tx.Update(b.things, id(3), 1, b.row(3, 31), []int{b.n}); err != nil || !ok {
				return fmt.Errorf("update: %t %w", ok, err)
			}
			got, err := b.all(tx)
			if err == nil && !slices.Equal(got, []string{"01=10", "03=31"}) {
				err = fmt.Errorf("there is %q", got)
			}
			return err
		})
	}), b.row(3, 31))
	s.expect("an update of another revision changes nothing", func() error {
		err := b.write(func(tx driver.Tx) error {
			if ok, err := tx.Update(b.things, id(3), 2, b.row(3, 99), []int{b.n}); err != nil || ok {
				return fmt.Errorf("it was done: %t %w", ok, err)
			}
			if ok, err := tx.Update(b.things, id(77), 1, b.row(77, 99), []int{b.n}); err != nil || ok {
				return fmt.Errorf("a record that is not there was changed: %t %w", ok, err)
			}
			return nil
		})
		return errors.Join(err, b.has("01=10", "03=31"))
	})
	s.expect("an update leaves what it does not name", func() error {
		rec := b.row(3, 5)
		rec[b.one], rec[spec.OrdRev] = expr.TextOf("x"), expr.IntOf(2)
		err := b.write(func(tx driver.Tx) error {
			_, err := tx.Update(b.things, id(3), 1, rec, []int{b.one, spec.OrdRev})
			return err
		})
		return errors.Join(err, b.has("01=10", "03=31"))
	})
	refused := func(name, index string, fn func(driver.Tx) error) {
		s.expect(name, func() error {
			var e *fault.Error
			if err := b.write(fn); !errors.As(err, &e) || e.Kind != fault.Unique || e.Index != index {
				return fmt.Errorf("%v, want unique by %q", err, index)
			}
			return b.has("01=10", "03=31")
		})
	}
	rec := b.row(4, 40)
	rec[b.one] = expr.TextOf("x")
	uniqueName := b.things.Indexes[0].Name
	refused("a taken value", uniqueName, func(tx driver.Tx) error { return tx.Insert(b.things, rec) })
	refused("a taken id", "id", func(tx driver.Tx) error { return tx.Insert(b.things, b.row(1, 0)) })
	refused("a value taken by an update", uniqueName, func(tx driver.Tx) error {
		_, err := tx.Update(b.things, id(1), 1, rec, []int{b.one})
		return err
	})
	s.expect("delete counts what was there", func() error {
		return b.write(func(tx driver.Tx) error {
			if err := tx.Insert(b.things, b.row(5, 50)); err != nil {
				return err
			}
			n, err := tx.Delete(b.things, []string{id(5), id(6)})
			if err == nil && n != 1 {
				err = fmt.Errorf("%d records, want 1", n)
			}
			return err
		})
	})
	s.expect("a snapshot stays what it was", func() error {
		return b.eng.Read(context.Background(), func(r driver.Reader) error {
			before, err := b.all(r)
			if err != nil {
				return err
			}
			if err := b.write(func(tx driver.Tx) error { return tx.Insert(b.things, b.row(8, 80)) }); err != nil {
				return err
			}
			after, err := b.all(r)
			if err == nil && !slices.Equal(before, after) {
				err = fmt.Errorf("it was %q and is %q", before, after)
			}
			return err
		})
	})
	s.expect("and the next one is new", func() error { return b.has("01=10", "03=31", "08=80") })
	s.expect("an error of yield ends the rows and is returned as it is", func() error {
		stmt, err := b.eng.Prepare(&driver.Query{From: b.things, Cols: []driver.Col{{Ord: spec.OrdID}}, Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1})
		if err != nil {
			return err
		}
		rows := 0
		read := func(r driver.Reader) error {
			return r.Rows(context.Background(), stmt, nil, func(driver.Columns) error { rows++; return boom })
		}
		if err := b.eng.Read(context.Background(), read); err != boom || rows != 1 {
			return fmt.Errorf("%v after %d rows, want boom after 1", err, rows)
		}
		if err := read(b.eng); err != boom || rows != 2 {
			return fmt.Errorf("without a transaction: %v after %d rows, want boom after 1", err, rows-1)
		}
		return nil
	})
	s.expect("a single query does not see what is not committed", func() error {
		return b.write(func(tx driver.Tx) error {
			if err := tx.Insert(b.things, b.row(7, 70)); err != nil {
				return err
			}
			if err := b.has("01=10", "03=31", "08=80"); err != nil {
				return err
			}
			_, err := tx.Delete(b.things, []string{id(7)})
			return err
		})
	})
	s.expect("a cancelled caller does not begin", func() error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		ran := false
		err := b.eng.Write(ctx, func(driver.Tx) error { ran = true; return nil })
		if err == nil || ran {
			return fmt.Errorf("%v, began: %t", err, ran)
		}
		stmt, err := b.eng.Prepare(&driver.Query{From: b.things, Count: true, Limit: -1})
		if err != nil {
			return err
		}
		if err := b.eng.Rows(ctx, stmt, nil, func(driver.Columns) error { ran = true; return nil }); err == nil || ran {
			return fmt.Errorf("a query: %v, began: %t", err, ran)
		}
		return nil
	})
	s.expect("a caller who gives up in the middle is carried through", func() error {
		ctx, cancel := context.WithCancel(context.Background())
		err := b.eng.Write(ctx, func(tx driver.Tx) error {
			cancel()
			return tx.Insert(b.things, b.row(9, 90))
		})
		return errors.Join(err, b.has("01=10", "03=31", "08=80", "09=90"))
	})
}
