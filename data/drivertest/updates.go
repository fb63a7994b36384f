package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// updates: many records that are changed at once are changed as if one came after the other. An engine without a
// driver.Finisher is asked one by one, and is not asked to give a record another id.
func updates(s *suite) {
	a := app(s, `
  rows:
    fields:
      text: {type: text, max: 20, unique: true}
      n: {type: int}
      big: {type: bigint}
      f: {type: float}
      yes: {type: bool}
      cost: {type: decimal, precision: 9, scale: 2}
      at: {type: time}
      day: {type: date}
      kind: {type: enum, values: [a, b]}
      j: {type: json}
      tags: {type: list, of: text, max: 9}
    access: {read: true}
`)
	eng := openTables(s, a, s.open)
	s.caps = eng.Caps()
	rows, _ := a.Collection("rows")
	values := func(n int) []expr.Value {
		return []expr.Value{expr.TextOf(fmt.Sprint("é", n)), expr.IntOf(int64(n)), expr.BigintOf(int64(-n)), expr.FloatOf(float64(n) / 4), expr.BoolOf(n%2 == 0),
			expr.DecimalOf(int64(n), 2), expr.TimeOf(int64(n) * 1001), expr.DateOf("2026-02-28"), expr.TextOf("b"), expr.JSONOf(`{"a":[1]}`), expr.ListOf(expr.TextOf("x"), expr.TextOf("y"))}
	}
	record := func(n int) driver.Record {
		r := make(driver.Record, len(rows.Fields))
		r[spec.OrdID], r[spec.OrdRev] = expr.TextOf(apart(n)), expr.IntOf(1)
		r[spec.OrdCreated], r[spec.OrdUpdated] = expr.TimeOf(0), expr.TimeOf(0)
		return r
	}
	every, err := eng.Prepare(&driver.Query{From: rows, Cols: allOf(rows), Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1})
	if err != nil {
		s.Fatal(err)
	}
	read := func() (all []driver.Record, err error) {
		err = eng.Rows(context.Background(), every, nil, func(cols driver.Columns) error {
			r := make(driver.Record, len(rows.Fields))
			cols.Record(r)
			all = append(all, r)
			return nil
		})
		return all, err
	}
	far := false
	err = eng.Write(context.Background(), func(tx driver.Tx) error { _, far = tx.(driver.Finisher); return nil })
	if err != nil {
		s.Fatal(err)
	}
	write := func(all []driver.Revision) (n int, err error) {
		if !s.caps.Transactions { // each by itself
			for _, u := range all {
				err := eng.Write(context.Background(), func(tx driver.Tx) error {
					was, err := tx.Update(u.C, u.ID, u.Rev, u.R, u.Ords)
					if was {
						n++
					}
					return err
				})
				if err != nil {
					return n, err
				}
			}
			return n, nil
		}
		failed := eng.Write(context.Background(), func(tx driver.Tx) error {
			if far {
				n, err = tx.(driver.Finisher).UpdateAll(all)
				return err
			}
			n = 0
			for _, u := range all {
				was, err := tx.Update(u.C, u.ID, u.Rev, u.R, u.Ords)
				if err != nil {
					return err
				}
				if was {
					n++
				}
			}
			return nil
		})
		return n, errors.Join(failed, err)
	}
	// A size on each side of every bound that an engine may have.
	for _, size := range []int{1, 2, 3, 31, 33, 70, 1001} {
		if size > 3 && !far {
			continue // no two of them have anything to do with each other
		}
		s.expect(fmt.Sprintf("%d of all kinds", size), func() error {
			if err := refill(eng, rows, size, record); err != nil {
				return err
			}
			want, err := read()
			if err != nil {
				return err
			}
			scalars := []int{spec.OrdUpdated, spec.OrdRev}
			for _, f := range rows.Fields[spec.OrdFirst:] {
				if f.Type != spec.List && f.Companion == spec.Own {
					scalars = append(scalars, f.Ord)
				}
			}
			var all []driver.Revision
			for n := range want {
				r := slices.Clone(want[n])
				r[spec.OrdRev], r[spec.OrdUpdated] = expr.IntOf(2), expr.TimeOf(7)
				if n%3 != 1 { // of the others all stay null
					for i, v := range values(n) {
						if ord := spec.OrdFirst + i; slices.Contains(scalars, ord) {
							r[ord] = v
						}
					}
				}
				want[n] = r
				all = append(all, driver.Revision{C: rows, ID: r[spec.OrdID].Text(), Rev: 1, R: r, Ords: scalars})
			}
			n, err := write(all)
			if err != nil || n != size {
				return fmt.Errorf("%d are changed: %w", n, err)
			}
			return sameRecords(read, want)
		})
	}
	s.expect("one that is another by now is left", func() error {
		if err := refill(eng, rows, 5, record); err != nil {
			return err
		}
		want, err := read()
		if err != nil {
			return err
		}
		number, _ := rows.Field("n")
		var all []driver.Revision
		for n := range want {
			r := slices.Clone(want[n])
			r[spec.OrdRev], r[number.Ord] = expr.IntOf(2), expr.IntOf(9)
			rev := int64(1)
			if n == 2 {
				rev = 4
			} else {
				want[n] = r
			}
			all = append(all, driver.Revision{C: rows, ID: r[spec.OrdID].Text(), Rev: rev, R: r, Ords: []int{spec.OrdRev, number.Ord}})
		}
		n, err := write(all)
		if err != nil || n != 4 {
			return fmt.Errorf("%d are changed: %w", n, err)
		}
		return sameRecords(read, want)
	})
	s.expect("lists", func() error {
		if err := refill(eng, rows, 3, record); err != nil {
			return err
		}
		want, err := read()
		if err != nil {
			return err
		}
		tags, _ := rows.Field("tags")
		var all []driver.Revision
		for n := range want {
			r := slices.Clone(want[n])
			r[spec.OrdRev] = expr.IntOf(2)
			r[tags.Ord] = expr.ListOf(slices.Repeat([]expr.Value{expr.TextOf("t")}, n)...)
			want[n] = r
			all = append(all, driver.Revision{C: rows, ID: r[spec.OrdID].Text(), Rev: 1, R: r, Ords: []int{spec.OrdRev, tags.Ord}})
		}
		n, err := write(all)
		if err != nil || n != 3 {
			return fmt.Errorf("%d are changed: %w", n, err)
		}
		return sameRecords(read, want)
	})
	if !far {
		return
	}
	for _, size := range []int{1, 2, 40} {
		s.expect(fmt.Sprintf("%d get other ids", size), func() error {
			if err := refill(eng, rows, size, record); err != nil {
				return err
			}
			want, err := read()
			if err != nil {
				return err
			}
			var all []driver.Revision
			for n := range want {
				was := want[n][spec.OrdID].Text()
				want[n] = slices.Clone(want[n])
				want[n][spec.OrdID] = expr.TextOf(fmt.Sprintf("00000000-0000-7%03x-8000-000000000000", n))
				all = append(all, driver.Revision{C: rows, ID: was, Rev: 1, R: want[n], Ords: []int{spec.OrdID}})
			}
			n, err := write(all)
			if err != nil || n != size {
				return fmt.Errorf("%d are changed: %w", n, err)
			}
			return sameRecords(read, want)
		})
	}
}

// refill puts n records into a collection that has others.
func refill(eng driver.Engine, c *spec.Collection, n int, record func(int) driver.Record) error {
	ids, err := eng.Prepare(&driver.Query{From: c, Cols: []driver.Col{{Ord: spec.OrdID}}, Sort: []driver.Key{{Ord: spec.OrdID}}, Limit: -1})
	if err != nil {
		return err
	}
	var old []string
	err = eng.Rows(context.Background(), ids, nil, func(cols driver.Columns) error {
		old = append(old, string(cols.Text(0)))
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range old { // one by one, which every engine can do
		if err := eng.Write(context.Background(), func(tx driver.Tx) error { _, err := tx.Delete(c, []string{id}); return err }); err != nil {
			return err
		}
	}
	for i := range n {
		if err := eng.Write(context.Background(), func(tx driver.Tx) error { return tx.Insert(c, record(i)) }); err != nil {
			return err
		}
	}
	return nil
}

func sameRecords(read func() ([]driver.Record, error), want []driver.Record) error {
	got, err := read()
	if err != nil || len(got) != len(want) {
		return fmt.Errorf("there are %d records, want %d: %w", len(got), len(want), err)
	}
	for n := range got {
		for i := range got[n] {
			if !expr.Equal(got[n][i], want[n][i]) {
				return fmt.Errorf("record %d has %v as value %d, want %v", n, got[n][i], i, want[n][i])
			}
		}
	}
	return nil
}
