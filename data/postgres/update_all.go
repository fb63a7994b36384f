package postgres

import (
	"strconv"
	"strings"

	"github.com/bluell/plinth/data/driver"
	"github.com/bluell/plinth/expr"
	"github.com/bluell/plinth/spec"
)

// mostUpdated is how many records one statement changes at most.
const mostUpdated = 1000

// UpdateAll sends the values of each field as one array.
func (t *tx) UpdateAll(all []driver.Revision) (n int, err error) {
	if err := t.usable(); err != nil || len(all) == 0 {
		return 0, err
	}
	c, ords := all[0].C, all[0].Ords
	w := t.e.served().Writes(c)
	listed := len(touched(w, ords)) > 0
	for _, ord := range ords {
		listed = listed || c.Fields[ord].Kind() == expr.List // an array of arrays would have one length
	}
	for len(all) > 0 && err == nil {
		some := all[:min(len(all), mostUpdated)]
		all = all[len(some):]
		changed := 0
		if listed {
			was := false
			some, all = some[:1], append(some[1:], all...)
			if was, err = t.Update(c, some[0].ID, some[0].Rev, some[0].R, ords); was {
				changed = 1
			}
		} else {
			changed, err = t.updateSome(c, some)
		}
		n += changed
	}
	return n, err
}

func (t *tx) updateSome(c *spec.Collection, all []driver.Revision) (int, error) {
	ords := all[0].Ords
	return t.change("update", func(b *batch) {
		b.call(updateSome(c, ords))
		args := &b.c.args
		args.column(expr.Text, len(all), func(i int) expr.Value { return expr.TextOf(all[i].ID) })
		args.column(expr.Int, len(all), func(i int) expr.Value { return expr.IntOf(all[i].Rev) })
		for _, ord := range ords {
			args.column(c.Fields[ord].Kind(), len(all), func(i int) expr.Value { return all[i].R[ord] })
		}
	})
}

// updateSome is the statement that sets some fields of records whose ids and revisions come as arrays. The arrays stand
// in sub-queries, which hide their length from the planner: for some hundred records of a table of some ten thousand it
// would read and hash the whole table rather than look each of them up.
func updateSome(c *spec.Collection, ords []int) string {
	var set, arrays, names strings.Builder
	for i, ord := range ords {
		f := c.Fields[ord]
		n := strconv.Itoa(i + 3)
		if i > 0 {
			set.WriteString(", ")
		}
		set.WriteString(q(f.Name) + " = v.c" + n)
		arrays.WriteString(", (SELECT $" + n + "::" + typeOf(expr.List, f.Kind()) + ")")
		names.WriteString(", c" + n)
	}
	return "UPDATE " + q(c.Name) + " t SET " + set.String() + " FROM unnest((SELECT $1::text[]), (SELECT $2::bigint[])" + arrays.String() + ") v(c1, c2" + names.String() +
		`) WHERE t."id" = v.c1 COLLATE "C" AND t."rev" = v.c2` + dialect{}.Tells()
}
