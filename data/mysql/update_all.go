package mysql

import (
	"slices"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// mostUpdated is how many records one statement changes at most. Each looks for its values among those of all.
const mostUpdated = 32

// UpdateAll changes some records by each statement, as many as there are, stepped: the last one
// then stands in several places.
func (t *tx) UpdateAll(all []driver.Revision) (n int, err error) {
	if len(all) == 0 {
		return 0, t.usable()
	}
	c, ords := all[0].C, slices.Clone(all[0].Ords)
	slices.SortFunc(ords, func(a, b int) int { return b - a }) // the id last: the others are found by it
	sides := touches(t.e.served().Writes(c), ords)
	for some := range slices.Chunk(all, mostUpdated) {
		if sides || len(some) == 1 && ords[len(ords)-1] != spec.OrdID {
			for _, u := range some {
				was, err := t.Update(c, u.ID, u.Rev, u.R, u.Ords)
				if err != nil {
					return n, err
				}
				if was {
					n++
				}
			}
			continue
		}
		if err := t.writes(); err != nil {
			return n, err
		}
		size := stepped(len(some))
		one := func(i int) *driver.Revision { return &some[min(i, len(some)-1)] }
		changed, err := t.change("update", c, t.updateSome(c, ords, size), func(add func(expr.Value, expr.Kind)) {
			for _, ord := range ords {
				for i := range size {
					add(expr.TextOf(one(i).ID), expr.Null)
					add(one(i).R[ord], c.Fields[ord].Elem.Kind())
				}
			}
			for i := range size {
				add(expr.TextOf(one(i).ID), expr.Null)
			}
			for i := range size {
				add(expr.TextOf(one(i).ID), expr.Null)
				add(expr.IntOf(one(i).Rev), expr.Null)
			}
		})
		if err != nil {
			return n, err
		}
		n += changed
		for _, u := range some {
			if !slices.Contains(ords, spec.OrdID) {
				t.trace.revised(c, u.ID, u.Rev, u.R, ords)
			}
		}
	}
	return n, nil
}

// updateSome is the statement that sets some fields of n records.
func (t *tx) updateSome(c *spec.Collection, ords []int, n int) string {
	pick := `CASE "id"` + strings.Repeat(" WHEN ? THEN ?", n) + " END"
	sets := make([]string, len(ords))
	for i, ord := range ords {
		sets[i] = q(c.Fields[ord].Name) + " = " + pick
	}
	return "UPDATE " + q(c.Name) + " SET " + strings.Join(sets, ", ") + ` WHERE "id" IN (?` + strings.Repeat(", ?", n-1) + `) AND "rev" = ` + pick
}
